//! What of a Node or a Pod cannot be read. An API server gives out nothing of the kind; a file may hold it, and what reads the object
//! leaves it out without a word.

use super::seen::Taint;
use crate::tree::{Node, escape};
use crate::workload::{Pod, resources};

/// Where in the object, as an RFC 6901 pointer, and what is wrong.
pub type Unreadable = (String, String);

/// Of a `v1/Node`.
pub fn of_node(object: &Node<'_>) -> Vec<Unreadable> {
    let mut found = Vec::new();
    if text(object, "name").is_none() {
        found.push(("/metadata".to_owned(), "has no name".to_owned()));
    }
    each(object, "/metadata/labels", &mut found, |label| label.as_str().is_none().then(|| "is no text".to_owned()));
    let taints = object.get("spec").map(|spec| spec.items("taints")).unwrap_or_default();
    let wrong = taints.iter().enumerate().filter(|(_, taint)| Taint::read(taint).is_none());
    found.extend(
        wrong.map(|(index, _)| (format!("/spec/taints/{index}"), "has no key, or no effect that is known".to_owned())),
    );
    quantities(object, "/status/allocatable", &mut found);
    found
}

/// Of a `v1/Pod`.
pub fn of_pod(object: &Node<'_>) -> Vec<Unreadable> {
    let mut found = Vec::new();
    if text(object, "uid").or_else(|| text(object, "name")).is_none() {
        found.push(("/metadata".to_owned(), "has neither name nor uid".to_owned()));
    }
    if object.path(&["spec", "nodeName"]).is_some_and(|node| node.as_str().is_none()) {
        found.push(("/spec/nodeName".to_owned(), "is no text".to_owned()));
    }
    let mut holders = vec!["/spec".to_owned(), "/status".to_owned()];
    holders.extend(Pod::new("", object).containers().map(|container| container.pointer("")));
    for list in ["containerStatuses", "initContainerStatuses"] {
        let statuses = object.get("status").map(|status| status.items(list)).unwrap_or_default();
        holders.extend((0..statuses.len()).map(|index| format!("/status/{list}/{index}")));
    }
    for holder in holders {
        for map in ["resources/requests", "resources/limits", "overhead", "allocatedResources"] {
            quantities(object, &format!("{holder}/{map}"), &mut found);
        }
    }
    found
}

fn text<'n>(object: &'n Node<'_>, key: &str) -> Option<&'n str> {
    object.get("metadata")?.str(key).filter(|text| !text.is_empty())
}

fn quantities(object: &Node<'_>, at: &str, found: &mut Vec<Unreadable>) {
    each(object, at, found, |node| match resources::quantity(node) {
        Err(error) => Some(error.to_string()),
        Ok(quantity) => quantity.is_negative().then(|| format!("{quantity} is negative")),
    });
}

/// Looks at the values of a map, but for those that are null, which are as good as not there.
fn each(object: &Node<'_>, at: &str, found: &mut Vec<Unreadable>, wrong: impl Fn(&Node<'_>) -> Option<String>) {
    match object.pointer(at) {
        None | Some(Node::Null) => {}
        Some(Node::Object(map)) => {
            let values = map.iter().filter(|(_, node)| !matches!(node, Node::Null));
            found.extend(values.filter_map(|(key, node)| Some((format!("{at}/{}", escape(key)), wrong(node)?))));
        }
        Some(_) => found.push((at.to_owned(), "is no map".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(unreadable: &[Unreadable]) -> Vec<&str> {
        unreadable.iter().map(|(at, _)| at.as_str()).collect()
    }

    #[test]
    fn what_a_node_leaves_unsaid_is_named() {
        let node = |metadata: Value, allocatable: Value, taint: Value| {
            of_node(&Node::from(
                json!({"metadata": metadata, "spec": {"taints": [taint]}, "status": {"allocatable": allocatable}}),
            ))
        };
        let taint = json!({"key": "k", "effect": "NoSchedule"});
        assert_eq!(node(json!({"name": "a"}), json!({"cpu": 4, "pods": "110", "memory": null}), taint.clone()), []);
        assert_eq!(node(json!(null), json!(null), taint.clone()), [("/metadata".to_owned(), "has no name".to_owned())]);
        let wrong = node(
            json!({"name": "a", "labels": {"x/y": 1}}),
            json!({"cpu": "abc", "memory": "-1"}),
            json!({"key": "k"}),
        );
        assert_eq!(
            at(&wrong),
            ["/metadata/labels/x~1y", "/spec/taints/0", "/status/allocatable/cpu", "/status/allocatable/memory"]
        );
        assert!(wrong[2].1.starts_with("\"abc\" is not a quantity") && wrong[3].1 == "-1 is negative", "{wrong:?}");
        assert_eq!(at(&node(json!({"name": "a"}), json!([]), taint)), ["/status/allocatable"]);
    }

    #[test]
    fn what_a_pod_leaves_unsaid_is_named() {
        let requests = |cpu: &str| json!({"requests": {"cpu": cpu}});
        let pod = json!({
            "metadata": {"generateName": "p-"},
            "spec": {
                "nodeName": 1,
                "containers": [{"resources": requests("1")}, {"resources": requests("one")}],
                "initContainers": [{"resources": {"limits": {"memory": true}}}],
                "resources": requests("-1"),
                "overhead": {"cpu": "1x"},
            },
            "status": {"containerStatuses": [{"allocatedResources": {"cpu": ""}}]},
        });
        let found = of_pod(&Node::from(pod));
        assert_eq!(
            at(&found),
            [
                "/metadata",
                "/spec/nodeName",
                "/spec/resources/requests/cpu",
                "/spec/overhead/cpu",
                "/spec/initContainers/0/resources/limits/memory",
                "/spec/containers/1/resources/requests/cpu",
                "/status/containerStatuses/0/allocatedResources/cpu",
            ]
        );
        assert_eq!(of_pod(&Node::from(json!({"metadata": {"name": "p"}}))), []);
    }
}
