//! The table of kinds: where in which object a pod template stands, and views into it that know their JSON pointers.
//!
//! Views borrow from a tree and judge nothing. A kind that is not in the table is no workload.

use crate::tree::{Map, Node};

mod container;
mod defaults;
pub mod limit_range;
mod pod;
pub mod resources;

pub use container::{Container, INJECTED, PROBES, Role};
pub use defaults::{apply_api_defaults, apply_limit_ranges};
pub use limit_range::LimitRange;
pub use pod::{LONGEST_NAME, MOST_ANNOTATION_BYTES, Pod};

/// Written into pods: names the profiles applied, so that a person sees who changed the pod.
pub const PROFILE_ANNOTATION: &str = "supercargo.dev/profile";

/// Written into pods: how the pod was placed; once there, placement stays.
pub const PLACEMENT_ANNOTATION: &str = "supercargo.dev/placement";

/// Written into the pods of `supercargo batch`: their group as it stands in the file, and so the same in every run.
pub const BATCH_GROUP_ANNOTATION: &str = "supercargo.dev/batch-group";

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group, "" for core.
    pub group: &'static str,
    /// `kind` as it is written.
    pub name: &'static str,
    /// The resource's name in URLs and registrations.
    pub plural: &'static str,
    /// Pointer of the pod (its `metadata` and `spec`) in the object; `None` for ConfigMap, which has none.
    pub pod: Option<&'static str>,
}

/// Every kind that a rule can look at.
pub const KINDS: &[Kind] = &[
    Kind { group: "", name: "ConfigMap", plural: "configmaps", pod: None },
    POD,
    Kind { group: "", name: "PodTemplate", plural: "podtemplates", pod: Some("/template") },
    Kind { group: "", name: "ReplicationController", plural: "replicationcontrollers", pod: Some("/spec/template") },
    Kind { group: "apps", name: "DaemonSet", plural: "daemonsets", pod: Some("/spec/template") },
    Kind { group: "apps", name: "Deployment", plural: "deployments", pod: Some("/spec/template") },
    Kind { group: "apps", name: "ReplicaSet", plural: "replicasets", pod: Some("/spec/template") },
    Kind { group: "apps", name: "StatefulSet", plural: "statefulsets", pod: Some("/spec/template") },
    Kind { group: "batch", name: "CronJob", plural: "cronjobs", pod: Some("/spec/jobTemplate/spec/template") },
    Kind { group: "batch", name: "Job", plural: "jobs", pod: Some("/spec/template") },
];

/// The line of Pod.
pub const POD: Kind = Kind { group: "", name: "Pod", plural: "pods", pod: Some("") };

/// For objects of a kind that is not in the table: they hold text, and nothing is known of its meaning.
static OTHER: Kind = Kind { group: "", name: "", plural: "", pod: None };

/// The line of a kind; `None` for what no rule looks at.
pub fn kind(group: &str, name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.group == group && kind.name == name)
}

/// An object with a pod spec in it, or a ConfigMap.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'t> {
    /// Its line in the table.
    pub kind: &'static Kind,
    /// The whole object.
    pub object: &'t Node<'t>,
}

impl<'t> Workload<'t> {
    /// Views `object` as the kind that the request (or the document) says it is.
    pub fn new(kind: &'static Kind, object: &'t Node<'t>) -> Self {
        Workload { kind, object }
    }

    /// Views an object of a kind that is not in the table.
    pub fn other(object: &'t Node<'t>) -> Self {
        Workload { kind: &OTHER, object }
    }

    /// Whether it is a pod and not a template of pods.
    pub fn is_pod(&self) -> bool {
        self.kind.name == "Pod"
    }

    /// The pod, or what the pods made from it will look like.
    pub fn pod(&self) -> Option<Pod<'t>> {
        let at = self.kind.pod?;
        Some(Pod::new(at, self.object.pointer(at)?))
    }

    /// `metadata.namespace`, "" when it does not say.
    pub fn namespace(&self) -> &'t str {
        self.object.path(&["metadata", "namespace"]).and_then(Node::as_str).unwrap_or_default()
    }

    /// `metadata.name`, or `metadata.generateName` when the API server still has to make the name.
    pub fn name(&self) -> &'t str {
        let metadata = self.object.get("metadata");
        metadata.and_then(|m| m.str("name").or_else(|| m.str("generateName"))).unwrap_or_default()
    }

    /// Kind and name of the owner that `metadata.ownerReferences` marks as controller. Anyone can write that: believe it only
    /// of a request that a controller's own service account makes.
    pub fn controller(&self) -> Option<(&'t str, &'t str)> {
        let owners = self.object.get("metadata")?.items("ownerReferences");
        let owner = owners.iter().find(|owner| owner.get("controller").and_then(Node::as_bool) == Some(true))?;
        Some((owner.str("kind")?, owner.str("name")?))
    }

    /// Whether it is on its way out: `metadata.deletionTimestamp` is set.
    pub fn is_being_deleted(&self) -> bool {
        self.object.path(&["metadata", "deletionTimestamp"]).is_some()
    }

    /// Whether nothing that a rule looks at differs: only `status`, or metadata other than labels and annotations.
    pub fn differs_in_bookkeeping_only(&self, old: &Node<'_>) -> bool {
        let same_metadata = |key| self.object.path(&["metadata", key]) == old.path(&["metadata", key]);
        same_metadata("labels") && same_metadata("annotations") && judged(self.object) == judged(old)
    }
}

/// The members of an object that rules look at beside labels and annotations, by name.
fn judged<'n, 't>(object: &'n Node<'t>) -> Vec<(&'n str, &'n Node<'t>)> {
    let members = object.as_object().into_iter().flat_map(Map::iter);
    let mut judged: Vec<_> =
        members.filter(|(key, _)| !matches!(*key, "metadata" | "status" | "apiVersion" | "kind")).collect();
    judged.sort_by_key(|(key, _)| *key);
    judged
}
