//! What is kept of a Node and of a Pod object, the same whether a watch or `kubectl get -o json` brought it.

use std::sync::Arc;

use super::lifetimes::{Ended, Kind, Lifetimes};
use super::load::{Amounts, Extended, Part, Requests, Run};
use super::names::{Hasher, digest};
use crate::policy::profile::Effect;
use crate::tree::Node;
use crate::workload::{PLACEMENT_ANNOTATION, PROFILE_ANNOTATION, Pod};

/// What annotation `supercargo.dev/placement` says of a pod that was packed without naming a node. No node can be called so.
pub const BY_AFFINITY: &str = "podAffinity";

/// A node, without what runs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSeen {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.creationTimestamp`, in seconds since 1970.
    pub(super) created: i64,
    /// In the order of [`Label::order`].
    pub(super) labels: Box<[Arc<Label>]>,
    pub(super) taints: Box<[Taint]>,
    /// `status.allocatable`.
    pub allocatable: Amounts,
    /// `status.allocatable.pods`.
    pub pods: u32,
    pub(super) extended: Box<[Extended]>,
    /// Why no pod should be sent there, whatever it tolerates.
    pub shut: Option<Shut>,
}

/// A label of a node. Most are the same on many nodes, which then share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Label {
    pub key: Box<str>,
    pub value: Box<str>,
}

impl Label {
    /// By length first: keys have long prefixes in common, and are looked up for every node that a pod could go to.
    fn order(&self, key: &str) -> std::cmp::Ordering {
        (self.key.len(), &*self.key).cmp(&(key.len(), key))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taint {
    pub key: Box<str>,
    pub value: Box<str>,
    pub effect: Effect,
}

/// Why a node is closed to every pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// `spec.unschedulable`: cordoned.
    Unschedulable,
    /// Condition Ready is not True.
    NotReady,
    /// Memory, disk or process ids are short, or the network is not there.
    Pressure,
    /// It is being deleted, or an autoscaler is about to take it away.
    Leaving,
}

/// Whoever sets one of these is about to remove the node, or has not finished making it; a toleration does not change that.
const LEAVING: [&str; 9] = [
    "DeletionCandidateOfClusterAutoscaler",
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "karpenter.sh/unregistered",
    "node.cloudprovider.kubernetes.io/shutdown",
    "node.cloudprovider.kubernetes.io/uninitialized",
    "node.kubernetes.io/out-of-service",
    "node.kubernetes.io/unschedulable",
];

/// The node termination handler of AWS: spot interruptions, rebalancing, scheduled maintenance.
const LEAVING_PREFIX: &str = "aws-node-termination-handler/";

/// Conditions that, when True, have the node lifecycle controller taint the node.
const PRESSURES: [&str; 4] = ["MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"];

impl NodeSeen {
    /// Reads a `v1/Node`; `None` without a name.
    pub fn read(object: &Node<'_>) -> Option<NodeSeen> {
        let metadata = object.get("metadata")?;
        let name = metadata.str("name").filter(|name| !name.is_empty())?;
        let label =
            |(key, value): (&str, &Node<'_>)| Some(Arc::new(Label { key: key.into(), value: value.as_str()?.into() }));
        let mut labels: Vec<_> = metadata.entries("labels").filter_map(label).collect();
        labels.sort_by(|a, b| a.order(&b.key));
        labels.dedup_by(|a, b| a.key == b.key);
        let taints = object.get("spec").map(|spec| spec.items("taints")).unwrap_or_default();
        let taints: Vec<_> = taints.iter().filter_map(Taint::read).collect();
        let allocatable = object.path(&["status", "allocatable"]).and_then(Node::as_object);
        let quantity = |(name, node)| Some((name, crate::workload::resources::quantity(node).ok()?));
        let quantities: Vec<_> =
            allocatable.into_iter().flat_map(crate::tree::Map::iter).filter_map(quantity).collect();
        let pods = quantities.iter().find(|(name, _)| *name == "pods").map_or(0, |(_, pods)| pods.units());
        let (allocatable, extended) = Amounts::split(quantities.into_iter());
        Some(NodeSeen {
            name: Arc::from(name),
            created: metadata.str("creationTimestamp").and_then(seconds).unwrap_or_default(),
            labels: labels.into(),
            shut: shut(object, &taints),
            taints: taints.into(),
            allocatable,
            pods: u32::try_from(pods).unwrap_or(u32::MAX),
            extended: extended.into(),
        })
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.label_near(key, usize::MAX).map(|(_, value)| value)
    }

    /// The same with its place among the labels; this one is looked at first.
    pub(super) fn label_near(&self, key: &str, place: usize) -> Option<(usize, &str)> {
        let is_there = self.labels.get(place).is_some_and(|label| label.order(key).is_eq());
        let place = if is_there { place } else { self.labels.binary_search_by(|label| label.order(key)).ok()? };
        Some((place, &self.labels.get(place)?.value))
    }

    /// Its region and zone, as the scheduler tells nodes apart by them.
    pub(super) fn zone(&self) -> [Option<&str>; 2] {
        ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"].map(|key| self.label(key))
    }

    /// Whether Karpenter made it.
    pub fn is_karpenters(&self) -> bool {
        // The second is what versions before 0.32 wrote.
        ["karpenter.sh/nodepool", "karpenter.sh/provisioner-name"].iter().any(|key| self.label(key).is_some())
    }
}

fn shut(object: &Node<'_>, taints: &[Taint]) -> Option<Shut> {
    let leaving = |taint: &Taint| LEAVING.contains(&&*taint.key) || taint.key.starts_with(LEAVING_PREFIX);
    if object.path(&["spec", "unschedulable"]).and_then(Node::as_bool) == Some(true) {
        return Some(Shut::Unschedulable);
    }
    if object.path(&["metadata", "deletionTimestamp"]).is_some() || taints.iter().any(leaving) {
        return Some(Shut::Leaving);
    }
    let conditions = object.get("status").map(|status| status.items("conditions")).unwrap_or_default();
    let holds = |name: &str| {
        let condition = conditions.iter().find(|condition| condition.str("type") == Some(name));
        condition.is_some_and(|condition| condition.str("status") == Some("True"))
    };
    if !holds("Ready") {
        return Some(Shut::NotReady);
    }
    PRESSURES.into_iter().any(holds).then_some(Shut::Pressure)
}

impl Taint {
    pub fn read(node: &Node<'_>) -> Option<Taint> {
        let effect = match node.str("effect")? {
            "NoSchedule" => Effect::NoSchedule,
            "PreferNoSchedule" => Effect::PreferNoSchedule,
            "NoExecute" => Effect::NoExecute,
            _ => return None,
        };
        Some(Taint { key: node.str("key")?.into(), value: node.str("value").unwrap_or_default().into(), effect })
    }
}

/// A pod that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// `metadata.uid`.
    pub uid: Uid,
    /// What its reservation has, see [`reservation_key`].
    pub key: u64,
    /// `spec.nodeName`.
    pub node: Option<Arc<str>>,
    /// The node that was planned, from the annotation.
    pub planned: Option<Arc<str>>,
    /// `metadata.creationTimestamp`, in seconds since 1970.
    pub created: i64,
    /// `status.startTime`, in seconds since 1970.
    pub started: Option<i64>,
    /// Whether it takes nothing any more: phase Succeeded or Failed.
    pub ended: bool,
    /// What it takes.
    pub requests: Requests,
    /// What it is.
    pub part: Part,
    /// The profiles applied, from the annotation.
    pub profiles: Option<Arc<str>>,
    /// For predicting when it ends.
    pub kind: Option<Kind>,
    /// For how many seconds it ran, and when it ended, if it ran to its end.
    pub ran: Option<(u32, i64)>,
}

impl PodSeen {
    /// Reads a `v1/Pod`; `None` with neither uid nor name. `group_by` are the labels that say which pods belong together, as in
    /// `placement.groupBy`.
    pub fn read(object: &Node<'_>, group_by: &[String]) -> Option<PodSeen> {
        let pod = Pod::new("", object);
        let metadata = pod.metadata()?;
        let uid = metadata
            .str("uid")
            .filter(|uid| !uid.is_empty())
            .map_or_else(|| by_name(metadata), |uid| Some(uid.into()))?;
        let text = |key: &str| pod.spec().and_then(|spec| spec.str(key)).filter(|text| !text.is_empty());
        let status = |key: &str| pod.status().and_then(|status| status.str(key));
        let ended = matches!(status("phase"), Some("Succeeded" | "Failed"));
        let started = status("startTime").and_then(seconds);
        let profiles = pod.annotation(PROFILE_ANNOTATION).filter(|names| !names.is_empty());
        let group = group_by.iter().find_map(|key| pod.label(key));
        let part = match profiles {
            Some(_) => Part::Scan,
            None if pod.is_mirror() || owner(metadata).is_some_and(|owner| owner.str("kind") == Some("DaemonSet")) => {
                Part::Fixture
            }
            None => Part::Other,
        };
        let planned = pod.annotation(PLACEMENT_ANNOTATION).filter(|node| !node.is_empty() && *node != BY_AFFINITY);
        Some(PodSeen {
            uid,
            key: reservation_key(&pod, metadata.str("namespace").unwrap_or_default()),
            node: text("nodeName").map(Arc::from),
            planned: planned.map(Arc::from),
            created: metadata.str("creationTimestamp").and_then(seconds).unwrap_or_default(),
            started,
            ended,
            requests: Requests::of(&pod),
            part,
            profiles: profiles.map(Arc::from),
            kind: profiles.map(|profiles| Kind::of(&pod, profiles, group)),
            ran: if ended { ran(&pod, started) } else { None },
        })
    }

    /// What can be learned from it: when it was a scan, and ran to its end.
    pub fn lesson(&self) -> Option<Ended> {
        let (seconds, at) = self.ran?;
        Some(Ended { kind: self.kind?, seconds, at })
    }

    /// What is kept of a scan besides its requests.
    pub(super) fn run(&self, lifetimes: &Lifetimes) -> Option<Run> {
        let profiles = Arc::clone(self.profiles.as_ref()?);
        let lasts = self.kind.and_then(|kind| lifetimes.predict(kind));
        let ends = lasts.map(|lasts| self.started.unwrap_or(self.created).saturating_add(lasts.into()));
        Some(Run { profiles, ends })
    }
}

/// A pod's uid in 16 bytes: the number that a UUID is, or a digest of a uid that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid([u64; 2]);

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let half = |range| u64::from_str_radix(digits.get(range)?, 16).ok();
        match (digits.len(), half(0..16), half(16..32)) {
            (32, Some(high), Some(low)) => Uid([high, low]),
            _ => Uid([digest(&[text]), digest(&["uid", text])]),
        }
    }
}

/// What tells a pod from others in a file without uids.
fn by_name(metadata: &Node<'_>) -> Option<Uid> {
    let name = metadata.str("name").filter(|name| !name.is_empty())?;
    Some(Uid::from(&*format!("{}/{name}", metadata.str("namespace").unwrap_or("default"))))
}

fn seconds(time: &str) -> Option<i64> {
    Some(time.parse::<jiff::Timestamp>().ok()?.as_second())
}

/// For how long a pod ran that was not stopped by others, and when it ended.
fn ran(pod: &Pod<'_>, started: Option<i64>) -> Option<(u32, i64)> {
    let status = pod.status()?;
    // Evicted, preempted, node lost, past its deadline: says nothing about how long such a scan takes.
    if status.str("reason").is_some() || pod.metadata()?.get("deletionTimestamp").is_some() {
        return None;
    }
    let finished = |status: &Node<'_>| status.path(&["state", "terminated", "finishedAt"])?.as_str().and_then(seconds);
    let last = status.items("containerStatuses").iter().filter_map(finished).max()?;
    Some((u32::try_from(last.checked_sub(started?)?).ok()?, last))
}

/// The owner that is marked as controller.
fn owner<'n, 't>(metadata: &'n Node<'t>) -> Option<&'n Node<'t>> {
    let mut owners = metadata.items("ownerReferences").iter();
    owners.find(|owner| owner.get("controller").and_then(Node::as_bool) == Some(true))
}

/// What a pod and the reservation made for it have in common: namespace, owner, and the name that it was generated from.
pub fn reservation_key(pod: &Pod<'_>, namespace: &str) -> u64 {
    let mut hasher = Hasher::default();
    hasher.part(namespace);
    if let Some(metadata) = pod.metadata() {
        let owner = owner(metadata);
        hasher.part(owner.and_then(|owner| owner.str("uid").or_else(|| owner.str("name"))).unwrap_or_default());
        hasher.part(metadata.str("generateName").or_else(|| metadata.str("name")).unwrap_or_default());
    }
    hasher.finish()
}
