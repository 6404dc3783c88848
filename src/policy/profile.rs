//! PodProfile: what to add to the pods it matches.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::volumes::VolumeTypes;
use super::selector::LabelSelector;
use crate::facts::Namespace;
use crate::fields::Problems;
use crate::workload::{INJECTED, Pod};

mod metadata;
mod resources;
mod sources;
mod volumes;

/// `spec` of a PodProfile.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PodProfileSpec {
    /// Lower comes first, then the name; the first profile to set a field wins.
    #[serde(default = "hundred")]
    pub order: i32,
    /// The pods that get it.
    #[serde(rename = "match")]
    pub matches: ProfileMatch,
    /// Labels, for NetworkPolicies to select; keys need a domain of your own.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations; none that Kubernetes itself or Supercargo reads.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Where the pods should run.
    #[serde(default)]
    pub placement: Placement,
    /// Requests and limits for containers that have none.
    #[serde(default)]
    pub resources: ResourceDefaults,
    /// Volumes, as in a pod spec: a name and one source, whose fields are read as strictly as these.
    #[serde(default)]
    pub volumes: Vec<Map<String, Value>>,
    /// Where the volumes are mounted.
    #[serde(default)]
    pub volume_mounts: Vec<Mount>,
}

/// The pods that get a profile: both must match.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ProfileMatch {
    /// Namespaces by label.
    pub namespace_selector: LabelSelector,
    /// Pods by the labels that their template has.
    pub pod_selector: LabelSelector,
}

/// Where pods should run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Placement {
    /// Packed onto few nodes, spread, or neither.
    pub mode: Mode,
    /// The first of these labels that a pod has says which pods belong together.
    pub group_by: Vec<String>,
    /// Whether nodes that run other things may be filled. Followed with a view of the nodes (`serve --cluster`) only.
    pub neighbours: Neighbours,
    /// The most pods of the profile that are sent to one node; 0 is no limit. Followed with a view of the nodes (`serve --cluster`)
    /// only; the scheduler may still put more there when no other node has room.
    pub max_per_node: u32,
    /// Node labels that the pods need.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    pub tolerations: Vec<Toleration>,
    /// Keeps autoscalers from moving a pod before it has ended.
    pub run_to_completion: bool,
    /// With mode Spread: over what, and which pods are counted together.
    pub spread: Spread,
}

/// How pods are placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// On few nodes.
    Pack,
    /// Over many.
    Spread,
    /// As the scheduler likes.
    #[default]
    None,
}

/// Which nodes may be filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Neighbours {
    /// All.
    #[default]
    Any,
    /// Those that run scans only.
    ScansOnly,
}

/// A toleration as in a pod spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Toleration {
    /// The taint's key; all keys when left out (then the operator is Exists).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Equal or Exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,
    /// The taint's value, with Equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The taint's effect; all effects when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// For how long, with effect NoExecute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

/// How a toleration compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    /// The value must be the same.
    Equal,
    /// Any value will do.
    Exists,
}

/// A taint's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Effect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away if they can.
    PreferNoSchedule,
    /// Running pods are evicted, too.
    NoExecute,
}

/// What Spread spreads.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Spread {
    /// Node labels to spread over.
    pub topology_keys: Vec<String>,
    /// Labels whose values say which pods are counted together.
    pub by: Vec<String>,
}

/// Requests and limits, by what a container is for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ResourceDefaults {
    /// For app containers.
    pub containers: Amounts,
    /// For init containers, sidecars among them unless `sidecars` is set.
    pub init_containers: Amounts,
    /// For sidecars: init containers with `restartPolicy: Always`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecars: Option<Amounts>,
}

/// Requests and limits, by resource.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Amounts {
    /// What the scheduler sets aside.
    pub requests: BTreeMap<String, Amount>,
    /// What the container may use at most.
    pub limits: BTreeMap<String, Amount>,
}

/// A quantity: text ("500m", "1Gi") or a bare number, as YAML has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Amount(pub String);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Amount(text)),
            Value::Number(number) => Ok(Amount(number.to_string())),
            _ => Err(serde::de::Error::custom("not a quantity: write a number or text such as \"500m\" or \"1Gi\"")),
        }
    }
}

/// One mount, in all containers that it names.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Mount {
    /// The name of one of the profile's volumes.
    pub volume: String,
    /// The absolute path in the container.
    pub mount_path: String,
    /// Whether the container may not write.
    #[serde(default)]
    pub read_only: bool,
    /// Container names, or `*` for all app containers; a named entry wins over `*` for the same path.
    #[serde(default = "everywhere")]
    pub containers: Vec<String>,
    /// Containers that `*` does not mean; the known injected proxies when left out.
    #[serde(default = "injected")]
    pub except_containers: Vec<String>,
    /// A folder of the volume, taken from the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_path_from: Option<SubPathFrom>,
}

/// Which folder of a volume a pod gets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SubPathFrom {
    /// The pod's annotation that names the folder: a relative path without `..`.
    pub annotation: String,
    /// The folder that it is looked for in, with `/` at its end; `{namespace}` stands for the pod's namespace. The volume itself when
    /// left out.
    #[serde(default)]
    pub prefix: String,
    /// Whether a pod without the annotation is refused; otherwise it gets the folder that the prefix names.
    #[serde(default = "yes")]
    pub required: bool,
}

fn hundred() -> i32 {
    100
}

fn yes() -> bool {
    true
}

fn injected() -> Vec<String> {
    INJECTED.map(str::to_owned).to_vec()
}

fn everywhere() -> Vec<String> {
    vec!["*".to_owned()]
}

/// A compiled PodProfile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// `metadata.name`.
    pub name: String,
    /// What was written; every field of it has been checked.
    pub spec: PodProfileSpec,
}

impl Profile {
    /// Checks a spec, reporting every mistake at its pointer.
    pub(super) fn compile(name: String, spec: PodProfileSpec, types: &VolumeTypes, problems: &mut Problems) -> Profile {
        spec.matches.namespace_selector.check("/spec/match/namespaceSelector", problems);
        spec.matches.pod_selector.check("/spec/match/podSelector", problems);
        metadata::check(&spec, problems);
        check_placement(&spec.placement, problems);
        let resources = &spec.resources;
        let roles = [
            ("containers", Some(&resources.containers)),
            ("initContainers", Some(&resources.init_containers)),
            ("sidecars", resources.sidecars.as_ref()),
        ];
        for (role, amounts) in roles {
            if let Some(amounts) = amounts {
                resources::check(&format!("/spec/resources/{role}"), amounts, problems);
            }
        }
        volumes::check(&spec, types, problems);
        Profile { name, spec }
    }

    /// Whether it can match pods in this namespace.
    pub fn serves(&self, namespace: &Namespace) -> bool {
        self.spec.matches.namespace_selector.matches(|key| namespace.labels.get(key).map(String::as_str))
    }

    /// Whether the pod gets it, in a namespace that it serves.
    pub fn matches(&self, pod: &Pod<'_>) -> bool {
        self.spec.matches.pod_selector.matches(|key| pod.label(key))
    }
}

fn check_placement(placement: &Placement, problems: &mut Problems) {
    check_keys("/spec/placement/groupBy", &placement.group_by, problems);
    for (key, value) in &placement.node_selector {
        problems.label_key("/spec/placement/nodeSelector", key);
        problems.label_value("/spec/placement/nodeSelector", key, value);
    }
    for (index, toleration) in placement.tolerations.iter().enumerate() {
        let at = format!("/spec/placement/tolerations/{index}");
        let exists = toleration.operator == Some(TolerationOperator::Exists);
        if let Some(key) = &toleration.key {
            problems.label_key(&format!("{at}/key"), key);
        }
        if let Some(value) = &toleration.value {
            problems.label_value(&at, "value", value);
        }
        if toleration.key.is_none() && !exists {
            problems.add(&at, "has no key: name the taint's key, or write operator: Exists to tolerate every taint");
        }
        if exists && toleration.value.is_some() {
            problems.add(format!("{at}/value"), "operator Exists takes no value");
        }
        if toleration.toleration_seconds.is_some() && toleration.effect != Some(Effect::NoExecute) {
            problems.add(format!("{at}/tolerationSeconds"), "works with effect: NoExecute only");
        }
    }
    check_keys("/spec/placement/spread/topologyKeys", &placement.spread.topology_keys, problems);
    check_keys("/spec/placement/spread/by", &placement.spread.by, problems);
    if placement.mode == Mode::Spread && placement.spread.topology_keys.is_empty() {
        problems.add(
            "/spec/placement/spread/topologyKeys",
            "is empty: mode Spread needs a node label, such as topology.kubernetes.io/zone",
        );
    }
}

/// Label keys of which each stands there once: a second constraint for a topology would be refused, any other does nothing.
fn check_keys(at: &str, keys: &[String], problems: &mut Problems) {
    for (index, key) in keys.iter().enumerate() {
        let at = format!("{at}/{index}");
        problems.label_key(&at, key);
        if keys[..index].contains(key) {
            problems.add(at, format!("{key:?} is there twice: leave it out"));
        }
    }
}
