//! Which nodes a scan pod should share.
//!
//! Pure: the time, the [`Snapshot`] of the cluster, the [`Ledger`] of what was planned and the [`Lifetimes`] come in as
//! arguments; the same arguments give the same [`Plan`]. Knows nothing of who watches the cluster (cluster/) or of how a
//! pod is edited (mutators/placement.rs).

use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::policy::profile::Neighbours;
use crate::tree::Node;
use crate::workload::Pod;

pub mod bound;
mod fit;
mod ladder;
mod ledger;
mod lifetimes;
mod list;
mod load;
mod names;
mod seen;
mod settled;
pub mod simulate;
mod snapshot;
pub mod unreadable;

pub use fit::{Closed, Needs, NodeSelector};
pub use ladder::Rung;
pub use ledger::{Ledger, Reservation};
pub use lifetimes::{Ended, Kind, Lifetimes};
pub use load::{Amounts, Load, Part, Port, Requests, Run};
pub use seen::{BY_AFFINITY, NodeSeen, PodSeen, Shut, Uid, reservation_key};
pub use settled::Settled;
pub use snapshot::{Snapshot, Store};

/// The scheduler that the ladder is made for.
const SCHEDULER: &str = "default-scheduler";

/// Versions before this one ignore a pod with any preferred term on a node's name, and the pod stays Pending.
const KARPENTER_READS_PAST_NAMES: (u32, u32) = (1, 5);

/// What is known of the cluster when a pod comes, for packing only.
#[derive(Clone, Copy, Debug)]
pub struct View<'f> {
    /// Nodes and what runs on them, and what was planned.
    pub state: &'f dyn State,
    /// How long scans run.
    pub lifetimes: &'f Lifetimes,
    /// Whether terms that name nodes may be used.
    pub karpenter: Karpenter,
    /// When the pod came: decides which plans are out of date, and when scans should end.
    pub now: Timestamp,
}

/// What a plan stands on. Asked when a plan needs it and not before, so that whoever has to lock the ledger can do it then.
pub trait State: Debug {
    /// The nodes and what runs on them, and what was planned and is not seen yet; the same at every call.
    fn get(&self) -> (&Snapshot, &Ledger);
}

impl State for (&Snapshot, &Ledger) {
    fn get(&self) -> (&Snapshot, &Ledger) {
        *self
    }
}

/// Whether terms that name nodes may be used, as Karpenter before 1.5 never makes a node for a pod that has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Karpenter {
    /// Unless Karpenter is older, or it made nodes here and its version (major, minor) is not known.
    Auto(Option<(u32, u32)>),
    /// Always.
    Ladder,
    /// Never.
    Affinity,
}

/// What a profile and its surroundings ask of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Options<'o> {
    /// The pod's namespace.
    pub namespace: &'o str,
    /// The names of its profiles, with commas between.
    pub profiles: &'o str,
    /// The value of its `groupBy` label.
    pub group: Option<&'o str>,
    /// Whether nodes that run other things may be filled.
    pub neighbours: Neighbours,
    /// The most pods of these profiles on a node; 0 is no limit.
    pub max_per_node: u32,
    /// Whether terms that name nodes may be used.
    pub karpenter: Karpenter,
    /// The node affinities of the volumes that it uses.
    pub volumes: &'o [NodeSelector],
}

/// How a pod should be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// With preferred node terms.
    Ladder(Ladder),
    /// With preferred podAffinity: it is not known where or when the pod will be scheduled, or Karpenter is too old.
    Affinity(Reason),
    /// Not at all: every node is closed to it, and one that does not exist yet cannot be named.
    Nothing,
}

/// Why a pod got no ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No view of the nodes: none was asked for, or it is not there yet, or it is stale.
    NoView,
    /// Karpenter is older than 1.5, or may be.
    Karpenter,
    /// It is bound, waits behind a gate, or is another scheduler's.
    Scheduler,
    /// Every node is closed to it.
    Closed,
    /// The author's terms draw it to its mates, or are a list that he may send again.
    Author,
    /// The author keeps such pods on different nodes.
    Apart,
    /// No label says which pods belong together.
    Group,
    /// The pod has no room for the annotation that says that it was packed.
    Annotations,
}

impl Reason {
    /// The label in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Reason::NoView => "no-view",
            Reason::Karpenter => "karpenter",
            Reason::Scheduler => "scheduler",
            Reason::Closed => "closed",
            Reason::Author => "author",
            Reason::Apart => "apart",
            Reason::Group => "group",
            Reason::Annotations => "annotations",
        }
    }
}

/// What became of a pod that should be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    /// It names nodes.
    Ladder,
    /// It names its mates.
    Affinity(Reason),
    /// Nothing was added.
    Nothing(Reason),
}

/// Preferred node terms, and what they reserve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// At least one; the best first.
    pub rungs: Vec<Rung>,
    /// For `preferredDuringSchedulingIgnoredDuringExecution`: one a rung, behind copies of what the author would rather have.
    pub terms: Vec<Value>,
    /// To be committed to the ledger, unless the request is a dry run.
    pub reservation: Reservation,
}

/// Plans one pod, which is as it will be stored but for placement.
///
/// Costs one pass over the nodes. Never names a node that is closed to the pod, and never a requirement: where the terms
/// cannot be followed the scheduler goes on without.
pub fn plan(
    pod: &Pod<'_>,
    snapshot: &Snapshot,
    ledger: &Ledger,
    lifetimes: &Lifetimes,
    options: &Options<'_>,
    now: Timestamp,
) -> Plan {
    if !is_scheduled_now(pod) {
        return Plan::Affinity(Reason::Scheduler);
    }
    if !options.karpenter.allows(snapshot) {
        return Plan::Affinity(Reason::Karpenter);
    }
    let profiles = Arc::from(options.profiles);
    let preference = ladder::Preference::of(pod);
    let needs = Needs::of(pod, options.volumes).under(&profiles, options.neighbours, options.max_per_node);
    let kind = Kind::of(pod, options.profiles, options.group);
    let now_seconds = now.as_second();
    let ends = lifetimes.predict(kind).map(|lasts| now_seconds.saturating_add(lasts.into()));
    let when = ends.map(|ends| ladder::When { now: now_seconds, ends });
    let key = reservation_key(pod, options.namespace);
    let rungs = ladder::climb(&needs, &preference, snapshot, &ledger.facing(key, now), when);
    let Some(first) = rungs.rungs.first() else { return Plan::Nothing };
    let reservation = Reservation {
        key,
        node: Arc::clone(&first.node),
        requests: needs.requests,
        run: Arc::new(Run { profiles, ends }),
    };
    Plan::Ladder(Ladder { terms: preference.terms(&rungs), rungs: rungs.rungs, reservation })
}

/// Whether kube-scheduler will place the pod, and as soon as it is stored.
fn is_scheduled_now(pod: &Pod<'_>) -> bool {
    let bound = pod.spec().and_then(|spec| spec.str("nodeName")).is_some_and(|name| !name.is_empty());
    !bound && is_for_scheduler(pod)
}

/// Whether it is kube-scheduler that places the pod, or has placed it, and no gate is before it. Of others no plan was made.
pub fn is_for_scheduler(pod: &Pod<'_>) -> bool {
    let Some(spec) = pod.spec() else { return false };
    let scheduler = spec.str("schedulerName").filter(|name| !name.is_empty()).unwrap_or(SCHEDULER);
    scheduler == SCHEDULER && spec.get("schedulingGates").and_then(Node::as_array).is_none_or(<[_]>::is_empty)
}

impl Karpenter {
    fn allows(self, snapshot: &Snapshot) -> bool {
        match self {
            Karpenter::Ladder => true,
            Karpenter::Affinity => false,
            Karpenter::Auto(Some(version)) => version >= KARPENTER_READS_PAST_NAMES,
            Karpenter::Auto(None) => !snapshot.has_karpenter(),
        }
    }
}

#[cfg(test)]
// `scan(json!({…}))` reads better than `scan(&json!({…}))`.
#[allow(clippy::needless_pass_by_value)]
mod tests;
