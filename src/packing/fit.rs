//! Which nodes are closed to a pod.
//!
//! [`Needs::refused`] is what the scheduler's own filters say, for as much as a node by itself decides (pods that must or
//! must not be near others are not looked at); [`Needs::avoided`] is where we would rather not send it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::load::{Load, Requests, Totals};
use super::seen::{NodeSeen, Shut, Taint};
use crate::policy::profile::{Effect, Neighbours};
use crate::tree::Node;
use crate::workload::Pod;

/// Why a node is closed to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// A taint with NoSchedule or NoExecute that it does not tolerate.
    Taint,
    /// `spec.nodeSelector`, required node affinity, or the node affinity of a volume.
    Affinity,
    /// No room: cpu, memory, ephemeral storage, pods, or an extended resource.
    Room,
    /// A host port is taken.
    Port,
    /// Of itself, to every pod.
    Shut(Shut),
    /// A taint with PreferNoSchedule that it does not tolerate: this outweighs every hint.
    PreferNoSchedule,
    /// The profile's `maxPerNode` is reached.
    MaxPerNode,
    /// The profile wants nodes that run scans only, and this one runs something else.
    Neighbours,
}

/// A `v1/NodeSelector`: matches a node that one of its terms matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Term {
    expressions: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Requirement {
    key: Key,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
    /// One that this version does not know: matches nothing.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Toleration {
    key: String,
    exists: bool,
    value: String,
    effect: Option<Effect>,
}

/// The name of a label, and where it was found among the labels of the last node that was asked: most nodes of a cluster have labels of the same
/// keys. One name is another only by how it is written.
#[derive(Debug, Default)]
struct Key {
    name: String,
    last: AtomicUsize,
}

/// What a pod needs of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Needs {
    /// What it takes.
    pub requests: Requests,
    selector: Vec<(Key, String)>,
    /// All of these must match: the pod's own, and those of its volumes.
    affinities: Vec<NodeSelector>,
    tolerations: Vec<Toleration>,
    /// The most pods of `profiles` on a node; 0 is no limit.
    max_per_node: usize,
    profiles: Arc<str>,
    scans_only: bool,
}

impl Needs {
    /// Reads what the pod itself says. `volumes` are the node affinities of the volumes that it uses.
    pub fn of(pod: &Pod<'_>, volumes: &[NodeSelector]) -> Needs {
        let spec = pod.spec();
        let affinity = spec.and_then(|spec| spec.path(&["affinity", "nodeAffinity"]));
        let required = affinity
            .and_then(|affinity| affinity.get("requiredDuringSchedulingIgnoredDuringExecution"))
            .map(NodeSelector::read);
        let text = |(key, value): (&str, &Node<'_>)| Some((Key::new(key), value.as_str()?.to_owned()));
        Needs {
            requests: Requests::of(pod),
            selector: spec.into_iter().flat_map(|spec| spec.entries("nodeSelector")).filter_map(text).collect(),
            affinities: required.into_iter().chain(volumes.iter().cloned()).collect(),
            tolerations: spec
                .map(|spec| spec.items("tolerations").iter().filter_map(Toleration::read).collect())
                .unwrap_or_default(),
            ..Needs::default()
        }
    }

    /// The same with what a profile says.
    #[must_use]
    pub fn under(mut self, profiles: &Arc<str>, neighbours: Neighbours, max_per_node: u32) -> Needs {
        self.profiles = Arc::clone(profiles);
        self.scans_only = neighbours == Neighbours::ScansOnly;
        self.max_per_node = max_per_node as usize;
        self
    }

    /// Why the scheduler would not put the pod there.
    pub fn refused(&self, node: &NodeSeen, load: &Load) -> Option<Closed> {
        // The cheapest first: this is asked of every node for every pod.
        if !self.has_room(node, &load.totals()) || !self.has_extended(node, load) {
            return Some(Closed::Room);
        }
        if node.taints.iter().any(|taint| taint.effect != Effect::PreferNoSchedule && !self.tolerates(taint)) {
            return Some(Closed::Taint);
        }
        if !self.selector.iter().all(|(key, value)| key.of(node) == Some(value)) {
            return Some(Closed::Affinity);
        }
        if !self.affinities.iter().all(|affinity| affinity.matches(node)) {
            return Some(Closed::Affinity);
        }
        let taken = |port| load.ports().iter().any(|taken| taken.conflicts(port));
        self.requests.ports().iter().any(taken).then_some(Closed::Port)
    }

    /// Why we would not send the pod there, though the scheduler might.
    pub fn avoided(&self, node: &NodeSeen, load: &Load) -> Option<Closed> {
        if let Some(shut) = node.shut {
            return Some(Closed::Shut(shut));
        }
        if self.scans_only && load.others > 0 {
            return Some(Closed::Neighbours);
        }
        if self.intolerable(node) > 0 {
            return Some(Closed::PreferNoSchedule);
        }
        (self.max_per_node > 0 && load.scans_of(&self.profiles) >= self.max_per_node).then_some(Closed::MaxPerNode)
    }

    /// Why the pod should not be sent there.
    pub fn closed(&self, node: &NodeSeen, load: &Load) -> Option<Closed> {
        self.refused(node, load).or_else(|| self.avoided(node, load))
    }

    /// How many taints with PreferNoSchedule it does not tolerate.
    pub(super) fn intolerable(&self, node: &NodeSeen) -> u64 {
        let soft = node.taints.iter().filter(|taint| taint.effect == Effect::PreferNoSchedule);
        soft.map(|taint| u64::from(!self.tolerates(taint))).sum()
    }

    pub(super) fn has_room(&self, node: &NodeSeen, load: &Totals) -> bool {
        has_room(&self.requests, node, load)
    }

    fn has_extended(&self, node: &NodeSeen, load: &Load) -> bool {
        has_extended(&self.requests, node, load)
    }

    fn tolerates(&self, taint: &Taint) -> bool {
        self.tolerations.iter().any(|toleration| toleration.tolerates(taint))
    }
}

/// Whether a node could take this if nothing else ran there.
pub(super) fn could_take(node: &NodeSeen, requests: &Requests) -> bool {
    let empty = Load::default();
    has_room(requests, node, &empty.totals()) && has_extended(requests, node, &empty)
}

/// As NodeResourcesFit: what is not asked for is not looked at, so that a node over its limit still takes what asks for nothing.
fn has_room(requests: &Requests, node: &NodeSeen, load: &Totals) -> bool {
    let (wanted, has, taken) = (&requests.amounts, &node.allocatable, &load.amounts);
    load.pods < node.pods
        && fits(wanted.cpu, has.cpu, taken.cpu)
        && fits(wanted.memory, has.memory, taken.memory)
        && fits(wanted.storage, has.storage, taken.storage)
}

fn has_extended(requests: &Requests, node: &NodeSeen, load: &Load) -> bool {
    requests.extended().iter().all(|(resource, wanted)| {
        let has = node.extended.iter().find(|(name, _)| name == resource).map_or(0, |(_, has)| *has);
        fits(*wanted, has, load.extended(resource))
    })
}

fn fits(wanted: u64, has: u64, taken: u64) -> bool {
    wanted == 0 || wanted <= has.saturating_sub(taken)
}

impl Key {
    fn new(name: &str) -> Key {
        Key { name: name.to_owned(), last: AtomicUsize::default() }
    }

    /// The label's value.
    fn of<'n>(&self, node: &'n NodeSeen) -> Option<&'n str> {
        let (place, value) = node.label_near(&self.name, self.last.load(Ordering::Relaxed))?;
        self.last.store(place, Ordering::Relaxed);
        Some(value)
    }
}

impl Clone for Key {
    fn clone(&self) -> Self {
        Key::new(&self.name)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl NodeSelector {
    /// Reads a `v1/NodeSelector`, such as `spec.nodeAffinity.required` of a PersistentVolume.
    pub fn read(node: &Node<'_>) -> NodeSelector {
        NodeSelector { terms: node.items("nodeSelectorTerms").iter().map(Term::read).collect() }
    }

    /// Whether one of the terms matches.
    pub fn matches(&self, node: &NodeSeen) -> bool {
        self.terms.iter().any(|term| term.matches(node))
    }
}

impl Term {
    /// Reads a `v1/NodeSelectorTerm`.
    pub fn read(node: &Node<'_>) -> Term {
        let list = |key| node.items(key).iter().map(Requirement::read).collect();
        Term { expressions: list("matchExpressions"), fields: list("matchFields") }
    }

    /// The same without `matchFields`; `None` when nothing is left.
    pub fn expressions_only(self) -> Option<Term> {
        (!self.expressions.is_empty()).then(|| Term { fields: Vec::new(), ..self })
    }

    /// Whether all requirements hold. A term without any matches nothing.
    pub fn matches(&self, node: &NodeSeen) -> bool {
        (!self.expressions.is_empty() || !self.fields.is_empty())
            && self.expressions.iter().all(|requirement| requirement.holds(requirement.key.of(node)))
            && self.fields.iter().all(|requirement| {
                // The only field that there is, and the only two operators.
                requirement.key.name == "metadata.name"
                    && matches!(requirement.operator, Operator::In | Operator::NotIn)
                    && requirement.holds(Some(&node.name))
            })
    }
}

impl Requirement {
    fn read(node: &Node<'_>) -> Requirement {
        let operator = match node.str("operator") {
            Some("In") => Operator::In,
            Some("NotIn") => Operator::NotIn,
            Some("Exists") => Operator::Exists,
            Some("DoesNotExist") => Operator::DoesNotExist,
            Some("Gt") => Operator::Gt,
            Some("Lt") => Operator::Lt,
            _ => Operator::Unknown,
        };
        let values = node.items("values").iter().filter_map(Node::as_str).map(str::to_owned).collect();
        Requirement { key: Key::new(node.str("key").unwrap_or_default()), operator, values }
    }

    fn holds(&self, value: Option<&str>) -> bool {
        let listed = || value.is_some_and(|value| self.values.iter().any(|wanted| wanted == value));
        let compared = || {
            let number = |text: &str| text.parse::<i64>().ok();
            Some(number(value?)?.cmp(&number(self.values.first()?)?))
        };
        match self.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => compared() == Some(std::cmp::Ordering::Greater),
            Operator::Lt => compared() == Some(std::cmp::Ordering::Less),
            Operator::Unknown => false,
        }
    }
}

impl Toleration {
    /// `None` for an operator that this version does not know: it tolerates nothing.
    fn read(node: &Node<'_>) -> Option<Toleration> {
        let exists = match node.str("operator") {
            Some("Exists") => true,
            None | Some("" | "Equal") => false,
            Some(_) => return None,
        };
        let effect = match node.str("effect") {
            None | Some("") => None,
            Some("NoSchedule") => Some(Effect::NoSchedule),
            Some("PreferNoSchedule") => Some(Effect::PreferNoSchedule),
            Some("NoExecute") => Some(Effect::NoExecute),
            Some(_) => return None,
        };
        let text = |key| node.str(key).unwrap_or_default().to_owned();
        Some(Toleration { key: text("key"), exists, value: text("value"), effect })
    }

    /// As `ToleratesTaint` of k8s.io/api.
    fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && (self.key.is_empty() || self.key == *taint.key)
            && (self.exists || self.value == *taint.value)
    }
}

#[cfg(test)]
// `needs(json!({…}))` reads better than `needs(&json!({…}))`.
#[allow(clippy::needless_pass_by_value)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::packing::load::{Part, Run};

    fn node(extra: Value) -> NodeSeen {
        let mut node = json!({
            "metadata": {"name": "a", "labels": {"zone": "1", "cores": "8"}},
            "status": {
                "allocatable": {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi", "pods": "3", "example.com/gpu": "1"},
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}],
            },
        });
        json_patch::merge(&mut node, &extra);
        NodeSeen::read(&Node::from(node)).unwrap()
    }

    fn needs(spec: Value) -> Needs {
        let tree = Node::from(json!({"spec": spec}));
        Needs::of(&Pod::new("", &tree), &[])
    }

    fn closed(spec: Value, extra: Value) -> Option<Closed> {
        let (needs, node) = (needs(spec), node(extra));
        needs.closed(&node, &Load::default())
    }

    fn required(terms: Value) -> Value {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
    }

    #[test]
    fn a_node_may_be_shut_of_itself() {
        assert_eq!(closed(json!({}), json!({})), None);
        let status = |kind: &str, status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": kind, "status": status}]}});
        let taint = |key: &str| json!({"spec": {"taints": [{"key": key, "effect": "PreferNoSchedule"}]}});
        for (extra, why) in [
            (json!({"spec": {"unschedulable": true}}), Shut::Unschedulable),
            (json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}), Shut::NotReady),
            (json!({"status": {"conditions": null}}), Shut::NotReady),
            (status("MemoryPressure", "True"), Shut::Pressure),
            (json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), Shut::Leaving),
            (taint("DeletionCandidateOfClusterAutoscaler"), Shut::Leaving),
            (taint("aws-node-termination-handler/spot-itn"), Shut::Leaving),
        ] {
            let tolerant = json!({"tolerations": [{"operator": "Exists"}]});
            assert_eq!(closed(tolerant, extra.clone()), Some(Closed::Shut(why)), "{extra}");
        }
        assert_eq!(closed(json!({}), status("PIDPressure", "Unknown")), None);
    }

    #[test]
    fn taints_are_tolerated_as_the_scheduler_reads_tolerations() {
        let tainted = |effect: &str| json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": effect}]}});
        for (toleration, tolerated) in [
            (json!({"operator": "Exists"}), true),
            (json!({"key": "k", "operator": "Exists"}), true),
            (json!({"key": "k", "value": "v"}), true),
            (json!({"key": "k", "value": "v", "operator": "Equal", "effect": "NoSchedule"}), true),
            (json!({"key": "k", "value": "v", "effect": "NoExecute"}), false),
            (json!({"key": "k", "value": "w"}), false),
            (json!({"key": "l", "operator": "Exists"}), false),
            (json!({"key": "k", "operator": "Gt", "value": "1"}), false),
        ] {
            let expected = (!tolerated).then_some(Closed::Taint);
            assert_eq!(closed(json!({"tolerations": [toleration]}), tainted("NoSchedule")), expected, "{toleration}");
        }
        assert_eq!(closed(json!({}), tainted("NoExecute")), Some(Closed::Taint));
        assert_eq!(closed(json!({}), tainted("PreferNoSchedule")), Some(Closed::PreferNoSchedule));
    }

    #[test]
    fn every_operator_of_node_affinity_counts() {
        for (requirement, matches) in [
            (json!({"key": "zone", "operator": "In", "values": ["2", "1"]}), true),
            (json!({"key": "zone", "operator": "NotIn", "values": ["1"]}), false),
            (json!({"key": "none", "operator": "NotIn", "values": ["1"]}), true),
            (json!({"key": "none", "operator": "Exists"}), false),
            (json!({"key": "none", "operator": "DoesNotExist"}), true),
            (json!({"key": "cores", "operator": "Gt", "values": ["7"]}), true),
            (json!({"key": "cores", "operator": "Gt", "values": ["8"]}), false),
            (json!({"key": "cores", "operator": "Lt", "values": ["10"]}), true),
            (json!({"key": "none", "operator": "Lt", "values": ["10"]}), false),
        ] {
            let expected = (!matches).then_some(Closed::Affinity);
            assert_eq!(
                closed(required(json!([{"matchExpressions": [requirement]}])), json!({})),
                expected,
                "{requirement}"
            );
        }
        let by_name = |operator: &str, name: &str| json!([{"matchFields": [{"key": "metadata.name", "operator": operator, "values": [name]}]}]);
        assert_eq!(closed(required(by_name("In", "a")), json!({})), None);
        assert_eq!(closed(required(by_name("NotIn", "a")), json!({})), Some(Closed::Affinity));
        // Terms are alternatives, and an empty one is none.
        assert_eq!(
            closed(required(json!([{}, {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}])), json!({})),
            None
        );
        assert_eq!(closed(required(json!([{}])), json!({})), Some(Closed::Affinity));
        assert_eq!(closed(json!({"nodeSelector": {"zone": "2"}}), json!({})), Some(Closed::Affinity));
        let elsewhere = NodeSelector::read(&Node::from(
            json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["2"]}]}]}),
        ));
        let tree = Node::from(json!({"spec": {}}));
        let needs = Needs::of(&Pod::new("", &tree), &[elsewhere]);
        assert_eq!(
            needs.refused(&node(json!({})), &Load::default()),
            Some(Closed::Affinity),
            "a volume that cannot be there"
        );
    }

    #[test]
    fn a_label_is_found_wherever_it_is_among_those_of_a_node() {
        let needs = needs(json!({"nodeSelector": {"pool": "1", "arch": "arm64"}}));
        let meets =
            |labels: Value| needs.refused(&node(json!({"metadata": {"labels": labels}})), &Load::default()).is_none();
        for _ in 0..2 {
            assert!(meets(json!({"arch": "arm64", "pool": "1"})));
            assert!(meets(json!({"a": "", "arch": "arm64", "b": "", "x": "", "pool": "1"})));
            assert!(!meets(json!({"arch": "arm64", "b": "", "pool": "2"})));
            assert!(!meets(json!({"arch": "arm64", "poool": "1"})) && !meets(json!({})));
        }
    }

    #[test]
    fn room_is_what_others_leave() {
        let asks = |resource: &str, amount: &str| {
            needs(json!({"containers": [{"resources": {"requests": {resource: amount}}}]}))
        };
        let node = node(json!({}));
        let mut load = Load::default();
        for (resource, fits, too_much) in [
            ("cpu", "2", "2001m"),
            ("memory", "4Gi", "4097Mi"),
            ("ephemeral-storage", "10Gi", "11Gi"),
            ("example.com/gpu", "1", "2"),
            ("example.com/none", "0", "1"),
        ] {
            assert_eq!(asks(resource, fits).refused(&node, &load), None, "{resource}");
            assert_eq!(asks(resource, too_much).refused(&node, &load), Some(Closed::Room), "{resource}");
        }
        load.add(&asks("cpu", "3").requests, Part::Other, None);
        assert_eq!(asks("memory", "4Gi").refused(&node, &load), None, "what it does not ask for is not looked at");
        assert_eq!(asks("cpu", "1m").refused(&node, &load), Some(Closed::Room));
        for _ in 0..2 {
            load.add(&Requests::default(), Part::Fixture, None);
        }
        assert_eq!(needs(json!({})).refused(&node, &load), Some(Closed::Room), "three pods are all that it takes");
    }

    #[test]
    fn a_host_port_is_taken_once() {
        let listens = |port: Value| needs(json!({"containers": [{"ports": [port]}]}));
        let mut load = Load::default();
        load.add(&listens(json!({"hostPort": 80, "hostIP": "10.0.0.1"})).requests, Part::Other, None);
        for (port, free) in [
            (json!({"hostPort": 81}), true),
            (json!({"hostPort": 80, "protocol": "UDP"}), true),
            (json!({"hostPort": 80, "hostIP": "10.0.0.2"}), true),
            (json!({"containerPort": 80}), true),
            (json!({"hostPort": 80, "hostIP": "10.0.0.1"}), false),
            (json!({"hostPort": 80}), false),
            (json!({"hostPort": 80, "hostIP": "0.0.0.0"}), false),
        ] {
            let expected = (!free).then_some(Closed::Port);
            assert_eq!(listens(port.clone()).refused(&node(json!({})), &load), expected, "{port}");
        }
    }

    #[test]
    fn a_profile_may_ask_for_company_and_for_elbow_room() {
        let scan = Arc::from("scan");
        let mut load = Load::default();
        let limited = |most| needs(json!({})).under(&scan, Neighbours::ScansOnly, most);
        let run = Arc::new(Run { profiles: Arc::from("extra,scan"), ends: None });
        load.add(&Requests::default(), Part::Scan, Some(&run));
        load.add(&Requests::default(), Part::Fixture, None);
        assert_eq!(limited(0).avoided(&node(json!({})), &load), None);
        assert_eq!(limited(2).avoided(&node(json!({})), &load), None);
        assert_eq!(limited(1).avoided(&node(json!({})), &load), Some(Closed::MaxPerNode));
        load.add(&Requests::default(), Part::Other, None);
        assert_eq!(limited(0).avoided(&node(json!({})), &load), Some(Closed::Neighbours));
    }
}
