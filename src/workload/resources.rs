//! Requests and limits as the scheduler and the validation of the API server read them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Container, Pod, Role};
use crate::quantity::{Quantity, QuantityError, parse};
use crate::tree::Node;

/// "requests" and "limits", as fields are called.
pub const SIDES: [&str; 2] = ["requests", "limits"];

/// What pod-level resources can bound beside huge pages; the rest stays with the containers.
pub const POD_LEVEL: [&str; 2] = ["cpu", "memory"];

/// A quantity as it may stand in an object: text, or a bare number in YAML.
pub fn quantity(node: &Node<'_>) -> Result<Quantity, QuantityError> {
    parse(&text(node))
}

/// The text of a quantity.
pub fn text<'n>(node: &'n Node<'_>) -> Cow<'n, str> {
    match node {
        Node::String(text) => Cow::Borrowed(text),
        Node::Number(number) => Cow::Owned(number.to_string()),
        _ => Cow::Borrowed(""),
    }
}

/// The request or limit that `owner`, a container or a pod's spec, has. One that is `null` is nothing: so the API server reads it,
/// and stores "0".
pub(super) fn written<'t>(owner: &'t Node<'t>, side: &str, resource: &str) -> Option<&'t Node<'t>> {
    match owner.path(&["resources", side])?.as_object()?.get(resource)? {
        Node::Null => Some(&Node::String(Cow::Borrowed("0"))),
        amount => Some(amount),
    }
}

/// Whether a quantity is there, readable, and more than nothing: a limit of "0" bounds nothing.
pub fn is_set(node: Option<&Node<'_>>) -> bool {
    node.is_some_and(|node| quantity(node).is_ok_and(|quantity| quantity > Quantity::ZERO))
}

/// Whether resources of the pod can bound this one.
pub fn is_pod_level(resource: &str) -> bool {
    POD_LEVEL.contains(&resource) || is_huge_pages(resource)
}

/// Huge pages of some size: the API server takes them only beside cpu or memory.
pub fn is_huge_pages(resource: &str) -> bool {
    resource.starts_with("hugepages-")
}

/// Whether a container may request less than its limit: of huge pages and extended resources both are the same.
pub fn may_overcommit(resource: &str) -> bool {
    (!resource.contains('/') || resource.contains("kubernetes.io/")) && !is_huge_pages(resource)
}

/// What containers ask for together, each with its role and in their order; `None` when none of them asks.
///
/// As `podRequests` of the LimitRanger and `AggregateContainerRequests` of component-helpers 1.36: app containers and sidecars
/// side by side, or an init container with the sidecars before it, whichever is more.
pub fn together(amounts: impl Iterator<Item = (Role, Option<Quantity>)>) -> Option<Quantity> {
    let plus = |a: Option<Quantity>, b: Option<Quantity>| match (a, b) {
        (Some(a), Some(b)) => Some(a.plus(b)),
        (one, other) => one.or(other),
    };
    let (mut running, mut sidecars, mut starting) = (None, None, None);
    for (role, amount) in amounts {
        match role {
            Role::App => running = plus(running, amount),
            Role::Sidecar => {
                running = plus(running, amount);
                sidecars = plus(sidecars, amount);
            }
            Role::Init => starting = starting.max(plus(sidecars, amount)),
            Role::Ephemeral => {}
        }
    }
    running.max(starting)
}

/// What the scheduler sets aside for the pod, by resource name, without the place that it takes itself (`pods`).
///
/// As `PodRequests` of component-helpers 1.36 with every gate on: the app containers and sidecars side by side, or the init
/// container that needs most together with the sidecars before it, whichever is more; pod-level resources instead, where they
/// are set; overhead on top. A container that is being resized counts with the most that it has or asks for. What cannot be
/// read counts as nothing: the API server refuses it.
pub fn scheduled<'t>(pod: &Pod<'t>) -> BTreeMap<&'t str, Quantity> {
    let resizing = Resizing::of(pod);
    let (mut running, mut starting) = (BTreeMap::new(), BTreeMap::new());
    let mut sidecars = BTreeMap::new();
    for container in pod.containers() {
        let mut wanted = requests(container.node().get("resources"));
        match container.role() {
            Role::App => {
                resizing.raise(&container, &mut wanted);
                add(&mut running, &wanted);
            }
            Role::Sidecar => {
                resizing.raise(&container, &mut wanted);
                add(&mut running, &wanted);
                add(&mut sidecars, &wanted);
                raise(&mut starting, &sidecars);
            }
            Role::Init => {
                add(&mut wanted, &sidecars);
                raise(&mut starting, &wanted);
            }
            Role::Ephemeral => {}
        }
    }
    raise(&mut running, &starting);
    let Some(spec) = pod.spec() else { return running };
    let mut whole = requests(spec.get("resources"));
    whole.retain(|resource, _| is_pod_level(resource));
    if !whole.is_empty() {
        let status = pod.status();
        let mut given = requests(status.and_then(|status| status.get("resources")));
        raise(&mut given, &amounts(status.and_then(|status| status.get("allocatedResources"))));
        given.retain(|resource, _| whole.contains_key(resource));
        raise(&mut whole, &given);
        running.extend(whole);
    }
    add(&mut running, &amounts(spec.get("overhead")));
    running
}

type Quantities<'t> = BTreeMap<&'t str, Quantity>;

/// A map of quantities, `null` as "0" (see [`written`]); what cannot be read is left out.
fn amounts<'t>(node: Option<&'t Node<'_>>) -> Quantities<'t> {
    let amount = |node: &Node<'_>| match node {
        Node::Null => Some(Quantity::ZERO),
        amount => quantity(amount).ok(),
    };
    let members = node.and_then(Node::as_object).into_iter().flat_map(crate::tree::Map::iter);
    members.filter_map(|(resource, node)| Some((resource, amount(node)?))).collect()
}

/// The requests of `resources`; a limit without a request is one, as the API server will write it.
fn requests<'t>(resources: Option<&'t Node<'_>>) -> Quantities<'t> {
    let side = |side| amounts(resources.and_then(|resources| resources.get(side)));
    let mut requests = side("limits");
    requests.extend(side("requests"));
    requests
}

fn add<'t>(into: &mut Quantities<'t>, from: &Quantities<'t>) {
    for (resource, amount) in from {
        let sum = into.entry(resource).or_insert(Quantity::ZERO);
        *sum = sum.plus(*amount);
    }
}

fn raise<'t>(into: &mut Quantities<'t>, from: &Quantities<'t>) {
    for (resource, amount) in from {
        let most = into.entry(resource).or_insert(Quantity::ZERO);
        *most = (*most).max(*amount);
    }
}

/// What the status says that the containers have got, which differs from the spec while a pod is resized.
struct Resizing<'t> {
    statuses: [&'t [Node<'t>]; 2],
    /// The node cannot give what the spec asks for, so that it does not count.
    infeasible: bool,
}

impl<'t> Resizing<'t> {
    fn of(pod: &Pod<'t>) -> Self {
        let list = |name| pod.status().map(|status| status.items(name)).unwrap_or_default();
        let infeasible = list("conditions").iter().any(|condition| {
            condition.str("type") == Some("PodResizePending") && condition.str("reason") == Some("Infeasible")
        });
        Resizing { statuses: ["containerStatuses", "initContainerStatuses"].map(list), infeasible }
    }

    fn raise(&self, container: &Container<'t>, wanted: &mut Quantities<'t>) {
        let mut statuses = self.statuses.iter().copied().flatten();
        let Some(status) = statuses.find(|status| status.str("name") == Some(container.name())) else { return };
        if status.get("resources").is_none() {
            return;
        }
        let mut given = amounts(status.path(&["resources", "requests"]));
        raise(&mut given, &amounts(status.get("allocatedResources")));
        if self.infeasible {
            *wanted = given;
        } else {
            raise(wanted, &given);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The requests of a pod, as "cpu=… memory=…".
    fn of(pod: serde_json::Value) -> String {
        let tree = Node::from(pod);
        let amounts = scheduled(&Pod::new("", &tree));
        amounts.iter().map(|(resource, amount)| format!("{resource}={amount}")).collect::<Vec<_>>().join(" ")
    }

    fn cpu(amount: &str) -> serde_json::Value {
        json!({"name": format!("c{amount}"), "resources": {"requests": {"cpu": amount}}})
    }

    fn sidecar(amount: &str) -> serde_json::Value {
        json!({"name": format!("s{amount}"), "restartPolicy": "Always", "resources": {"requests": {"cpu": amount}}})
    }

    #[test]
    fn init_containers_and_sidecars_count_as_the_scheduler_counts_them() {
        // (spec, cpu)
        for (spec, expected) in [
            (json!({"containers": [cpu("1"), cpu("500m")]}), "cpu=1.5"),
            (json!({"containers": [cpu("1")], "initContainers": [cpu("3"), cpu("2")]}), "cpu=3"),
            (json!({"containers": [cpu("1")], "initContainers": [sidecar("1"), cpu("3")]}), "cpu=4"),
            (json!({"containers": [cpu("1")], "initContainers": [cpu("3"), sidecar("1")]}), "cpu=3"),
            (json!({"containers": [cpu("3")], "initContainers": [cpu("3"), sidecar("1")]}), "cpu=4"),
            (json!({"containers": [cpu("1")], "ephemeralContainers": [cpu("9")]}), "cpu=1"),
            (json!({"containers": [cpu("1")], "overhead": {"cpu": "250m"}}), "cpu=1.25"),
            (json!({"containers": [{"resources": {"limits": {"cpu": "2"}}}]}), "cpu=2"),
            (json!({"containers": [{"resources": {"limits": {"cpu": "2"}, "requests": {"cpu": null}}}]}), "cpu=0"),
        ] {
            assert_eq!(of(json!({"spec": spec})), expected, "{spec}");
        }
    }

    #[test]
    fn pod_level_resources_stand_for_their_containers() {
        let containers = json!([{"resources": {"requests": {"cpu": "1", "memory": "1Gi", "example.com/gpu": 1}}}]);
        let spec = json!({"containers": containers, "resources": {"requests": {"cpu": "3"}}, "overhead": {"cpu": "1"}});
        assert_eq!(of(json!({"spec": spec})), "cpu=4 example.com/gpu=1 memory=1073741824");
    }

    #[test]
    fn a_pod_that_is_resized_counts_with_the_most_that_it_has_or_asks_for() {
        let pod = |asks: &str, has: &str, conditions: serde_json::Value| {
            let status =
                json!({"name": "app", "resources": {"requests": {"cpu": has}}, "allocatedResources": {"cpu": has}});
            json!({
                "spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": asks}}}]},
                "status": {"conditions": conditions, "containerStatuses": [status]},
            })
        };
        assert_eq!(of(pod("2", "1", json!([]))), "cpu=2");
        assert_eq!(of(pod("1", "2", json!([]))), "cpu=2");
        let infeasible = json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
        assert_eq!(of(pod("9", "1", infeasible)), "cpu=1");
    }
}
