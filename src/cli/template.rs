//! The pod that a controller will make from a template, and as whom it will send it.

use crate::tree::{Map, Node};
use crate::workload::Kind;

/// The pod that will be sent for an object, and by whom; `None` for what makes no pods.
pub(super) fn pod(kind: &Kind, tree: Node<'static>, namespace: &str) -> Option<(Node<'static>, &'static str)> {
    let username = match kind.name {
        "Pod" => return Some((tree, "")),
        "Deployment" | "ReplicaSet" => "system:serviceaccount:kube-system:replicaset-controller",
        "StatefulSet" => "system:serviceaccount:kube-system:statefulset-controller",
        "DaemonSet" => "system:serviceaccount:kube-system:daemon-set-controller",
        "ReplicationController" => "system:serviceaccount:kube-system:replication-controller",
        "Job" | "CronJob" => "system:serviceaccount:kube-system:job-controller",
        _ => "",
    };
    let template = tree.pointer(kind.pod?)?;
    let owner = tree.get("metadata").and_then(|m| m.str("name").or_else(|| m.str("generateName"))).unwrap_or("pod");
    let mut metadata = Map::default();
    metadata.insert("generateName", Node::String(format!("{}-", owner.trim_end_matches('-')).into()));
    metadata.insert("namespace", Node::String(namespace.to_owned().into()));
    for (key, value) in template.entries("metadata") {
        if !matches!(key, "name" | "namespace" | "generateName" | "creationTimestamp") {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let mut pod = Map::default();
    pod.insert("apiVersion", Node::String("v1".into()));
    pod.insert("kind", Node::String("Pod".into()));
    pod.insert("metadata", Node::Object(metadata));
    pod.insert("spec", template.get("spec").cloned().unwrap_or_default());
    Some((Node::Object(pod), username))
}
