//! The nodes, and what runs on them: a [`Store`] that follows a watch, and the [`Snapshot`]s it gives out.
//!
//! A snapshot never changes. It shares all but what has changed since with the store: nodes stand in chunks, and a change
//! copies one chunk. Of a pod, a snapshot has only its part in its node's load; the store keeps what it needs to take it
//! away again. Knows nothing of who watches, and no clock.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::fit::could_take;
use super::lifetimes::Lifetimes;
use super::list;
use super::load::{Amounts, Load, Part, Requests, Run, Totals};
use super::seen::{Label, NodeSeen, PodSeen, Uid};

/// Nodes in a chunk: a change copies at most about 7 KB, and a snapshot of 5,000 nodes is 79 pointers.
const CHUNK: usize = 64;

/// For how many seconds after its creation a pending pod counts as running on the node that was planned for it.
pub(super) const PROMISE: i64 = 30;

/// The most pending pods that count so: whoever may create pods can write the annotation.
pub(super) const PROMISES: usize = 4_096;

/// An immutable view of the nodes.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    chunks: Vec<Arc<Vec<Slot>>>,
    places: Arc<HashMap<Arc<str>, u32>>,
    /// By place, see [`list::spread`].
    spread: Arc<Vec<u32>>,
    /// How many nodes Karpenter has made.
    karpenters: usize,
}

/// The place of one node.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// `None` in a place that is free, and for a node of which so far only its pods were seen.
    pub(super) node: Option<Arc<NodeSeen>>,
    name: Option<Arc<str>>,
    /// What runs there, and what is pending and was planned there.
    pub load: Load,
    /// The part of it that is pending; `None` on nearly all nodes.
    promised: Option<Arc<Promised>>,
}

/// What pending pods take together that were planned for a node.
#[derive(Clone, Debug, Default)]
struct Promised {
    amounts: Amounts,
    pods: u32,
    /// How many of them are scans; nearly always all.
    scans: u32,
}

/// Follows the nodes and pods of a cluster.
#[derive(Debug, Default)]
pub struct Store {
    view: Snapshot,
    /// Nodes came or went since `view.spread` was made.
    is_rearranged: bool,
    pods: HashMap<Uid, Row>,
    free: BTreeSet<u32>,
    /// Pending pods that count where they were planned, by the time at which they stop to.
    promises: BTreeSet<(i64, Uid)>,
    labels: Pool<Label>,
    profiles: Pool<str>,
    /// How many lists of pods have begun; one that broke off is followed by another, and then it counts for nothing.
    list: u16,
    /// The nodes in the list that is being read.
    listed_nodes: Option<HashSet<Arc<str>>>,
}

/// Values of which many objects have the same, kept once.
#[derive(Debug)]
struct Pool<T: ?Sized> {
    values: HashSet<Arc<T>>,
    /// How many there were when those that nobody has any more were last dropped.
    swept: usize,
}

/// What is needed to take a pod away from its node.
#[derive(Debug)]
struct Row {
    requests: Requests,
    run: Option<Arc<Run>>,
    slot: u32,
    part: Part,
    /// The list that it was last seen in or after.
    list: u16,
    /// Until when it counts, in seconds since 1970, while it is pending; `FOR_GOOD` once it is bound.
    until: i64,
}

const FOR_GOOD: i64 = i64::MAX;

// === impl Snapshot ===

impl Snapshot {
    /// The nodes that are there, with their places.
    pub(super) fn slots(&self) -> impl Iterator<Item = (u32, &NodeSeen, &Slot)> {
        let slots = (0_u32..).zip(self.chunks.iter().flat_map(|chunk| chunk.iter()));
        slots.filter_map(|(place, slot)| Some((place, slot.node.as_deref()?, slot)))
    }

    /// The nodes that are there, and what runs on each.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeSeen, &Load)> {
        self.slots().map(|(_, node, slot)| (node, &slot.load))
    }

    /// How many nodes there are, with those of which so far only pods speak.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The smaller, the sooner is the node in this place to be taken into use.
    pub(super) fn spread(&self, place: u32) -> u32 {
        self.spread.get(place as usize).copied().unwrap_or(u32::MAX)
    }

    /// The place of a node, by name.
    pub(super) fn place(&self, name: &str) -> Option<u32> {
        self.places.get(name).copied()
    }

    /// The place of a node that is there, by name.
    pub(super) fn open(&self, name: &str) -> Option<u32> {
        self.place(name).filter(|place| self.slot(*place).is_some_and(|slot| slot.node.is_some()))
    }

    pub(super) fn slot(&self, place: u32) -> Option<&Slot> {
        let place = place as usize;
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)
    }

    /// What runs on a node, by the node's name.
    pub fn load(&self, name: &str) -> Option<&Load> {
        Some(&self.slot(self.place(name)?)?.load)
    }

    /// Whether Karpenter has made any of the nodes.
    pub fn has_karpenter(&self) -> bool {
        self.karpenters > 0
    }

    fn slot_mut(&mut self, place: u32) -> Option<&mut Slot> {
        let place = place as usize;
        Arc::make_mut(self.chunks.get_mut(place / CHUNK)?).get_mut(place % CHUNK)
    }
}

// === impl Slot ===

impl Slot {
    /// What is bound there, without what is pending and was planned there; but for `ends`, which is when all of it would end.
    pub(super) fn bound(&self) -> Totals {
        let all = self.load.totals();
        let Some(promised) = &self.promised else { return all };
        Totals {
            amounts: all.amounts.less(&promised.amounts),
            pods: all.pods.saturating_sub(promised.pods),
            scans: all.scans.saturating_sub(promised.scans),
            others: all.others.saturating_sub(promised.pods.saturating_sub(promised.scans)),
            ends: all.ends,
        }
    }

    /// Whether a pending pod was planned there.
    pub(super) fn is_promised(&self) -> bool {
        self.promised.is_some()
    }

    fn promise(&mut self, amounts: &Amounts, part: Part) {
        let promised = Arc::make_mut(self.promised.get_or_insert_default());
        promised.amounts.add(amounts);
        promised.pods += 1;
        promised.scans += u32::from(part == Part::Scan);
    }

    /// A pod that was planned there is bound, or gone, or has waited for too long.
    fn keep_promise(&mut self, amounts: &Amounts, part: Part) {
        let Some(promised) = &mut self.promised else { return };
        let promised = Arc::make_mut(promised);
        promised.amounts = promised.amounts.less(amounts);
        promised.pods = promised.pods.saturating_sub(1);
        promised.scans = promised.scans.saturating_sub(u32::from(part == Part::Scan));
        if promised.pods == 0 {
            self.promised = None;
        }
    }
}

// === impl Store ===

impl Store {
    /// A view of what is known at `now`. Costs as many pointers as there are chunks, and when nodes came or went since the last one
    /// a sort of them.
    pub fn snapshot(&mut self, now: jiff::Timestamp) -> Snapshot {
        let now = now.as_second();
        while let Some((_, uid)) = self.promises.first().copied().filter(|(until, _)| *until <= now) {
            self.drop_pod(uid);
        }
        // A clock that was set back would keep them for as long as it was set back by.
        while let Some((_, uid)) = self.promises.last().copied().filter(|(until, _)| *until > now + 2 * PROMISE) {
            self.drop_pod(uid);
        }
        if std::mem::take(&mut self.is_rearranged) {
            let nodes = self.view.slots().map(|(place, node, _)| (place, node)).collect();
            self.view.spread = Arc::new(list::spread(nodes));
        }
        self.view.clone()
    }

    /// A node is new or has changed.
    pub fn apply_node(&mut self, mut node: NodeSeen) {
        if let Some(listed) = &mut self.listed_nodes {
            listed.insert(Arc::clone(&node.name));
        }
        let place = self.place_of(&node.name);
        if self.view.slot(place).and_then(|slot| slot.node.as_deref()) == Some(&node) {
            return;
        }
        for label in &mut node.labels {
            self.labels.share(label);
        }
        self.view.karpenters += usize::from(node.is_karpenters());
        let node = Arc::new(node);
        let old = self.view.slot_mut(place).and_then(|slot| slot.node.replace(Arc::clone(&node)));
        self.is_rearranged |= old.as_ref().is_none_or(|old| (old.created, old.zone()) != (node.created, node.zone()));
        if let Some(old) = old {
            self.view.karpenters -= usize::from(old.is_karpenters());
        }
    }

    /// A node is gone.
    pub fn remove_node(&mut self, name: &str) {
        let Some(place) = self.view.place(name) else { return };
        if let Some(slot) = self.view.slot_mut(place)
            && let Some(old) = slot.node.take()
        {
            self.view.karpenters -= usize::from(old.is_karpenters());
            self.is_rearranged = true;
        }
        self.vacate(place);
    }

    /// A pod is new or has changed.
    ///
    /// It counts on the node that it is bound to until it has ended, however long it takes to terminate. A pending pod counts on
    /// the node that was planned for it, for half a minute after its creation, if that node could take it at all; whether such a plan
    /// is to be believed otherwise is the caller's choice, who can clear `planned`. Returns whether it counted before.
    pub fn apply_pod(&mut self, mut pod: PodSeen, lifetimes: &Lifetimes) -> bool {
        let counted = self.drop_pod(pod.uid);
        let until = if pod.node.is_some() { FOR_GOOD } else { pod.created.saturating_add(PROMISE) };
        let place = match (&pod.node, &pod.planned) {
            _ if pod.ended => return counted,
            (Some(node), _) => self.place_of(node),
            (None, Some(planned)) if self.promises.len() < PROMISES => match self.promised(planned, &pod.requests) {
                Some(place) => place,
                None => return counted,
            },
            _ => return counted,
        };
        if let Some(profiles) = &mut pod.profiles {
            self.profiles.share(profiles);
        }
        let run = pod.run(lifetimes).map(Arc::new);
        if until != FOR_GOOD {
            self.promises.insert((until, pod.uid));
        }
        if let Some(slot) = self.view.slot_mut(place) {
            slot.load.add(&pod.requests, pod.part, run.as_ref());
            if until != FOR_GOOD {
                slot.promise(&pod.requests.amounts, pod.part);
            }
        }
        let row = Row { requests: pod.requests, run, slot: place, part: pod.part, list: self.list, until };
        self.pods.insert(pod.uid, row);
        counted
    }

    /// A pod is gone, by its `metadata.uid`.
    pub fn remove_pod(&mut self, uid: &str) {
        self.drop_pod(uid.into());
    }

    /// A list of all pods begins: what is applied from here on is in it.
    pub fn list_pods(&mut self) {
        self.list = self.list.wrapping_add(1);
    }

    /// The list of pods is complete: what was not in it is gone.
    pub fn listed_pods(&mut self) {
        let gone: Vec<Uid> = self.pods.iter().filter(|(_, row)| row.list != self.list).map(|(uid, _)| *uid).collect();
        for uid in gone {
            self.drop_pod(uid);
        }
        // A cluster that has shrunk gives its memory back.
        self.pods.shrink_to(self.pods.len() * 2);
    }

    /// A list of all nodes begins.
    pub fn list_nodes(&mut self) {
        self.listed_nodes = Some(HashSet::new());
    }

    /// The list of nodes is complete.
    pub fn listed_nodes(&mut self) {
        let listed = self.listed_nodes.take().unwrap_or_default();
        let gone =
            |(_, node, _): (u32, &NodeSeen, &Slot)| (!listed.contains(&node.name)).then(|| Arc::clone(&node.name));
        let gone: Vec<_> = self.view.slots().filter_map(gone).collect();
        for name in &gone {
            self.remove_node(name);
        }
    }

    /// How many pods count.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    /// Bytes kept for nodes and for pods, spare room included; what the allocator adds is not.
    pub fn bytes(&self) -> (usize, usize) {
        const COUNTS: usize = 2 * size_of::<usize>();
        let mut nodes = self.view.chunks.capacity() * size_of::<Arc<Vec<Slot>>>()
            + self.view.places.capacity() * 8 / 7 * (size_of::<(Arc<str>, u32)>() + 1)
            + self.view.spread.capacity() * size_of::<u32>()
            + self.labels.table();
        nodes += self.view.chunks.iter().map(|chunk| chunk.capacity() * size_of::<Slot>()).sum::<usize>();
        for slot in self.view.chunks.iter().flat_map(|chunk| chunk.iter()) {
            nodes += slot.load.heap();
            if let Some(node) = &slot.node {
                nodes += COUNTS + size_of::<NodeSeen>() + COUNTS + node.name.len();
                nodes += size_of_val(&*node.labels);
                nodes += node
                    .taints
                    .iter()
                    .map(|taint| size_of_val(taint) + taint.key.len() + taint.value.len())
                    .sum::<usize>();
                nodes += node
                    .extended
                    .iter()
                    .map(|extended| size_of_val(extended) + COUNTS + extended.0.len())
                    .sum::<usize>();
            }
        }
        for label in &self.labels.values {
            nodes += COUNTS + size_of::<Label>() + label.key.len() + label.value.len();
        }
        let mut pods = self.pods.capacity() * 8 / 7 * (size_of::<(Uid, Row)>() + 1);
        for row in self.pods.values() {
            pods += row.requests.heap();
            // Its node's list of runs grows by doubling.
            pods += row.run.as_ref().map_or(0, |_| COUNTS + size_of::<Run>() + 2 * size_of::<Arc<Run>>());
        }
        pods += self.profiles.table() + self.profiles.values.iter().map(|names| COUNTS + names.len()).sum::<usize>();
        // One for each of them at most.
        pods += self.promises.len() * (COUNTS + size_of::<Promised>());
        // A balanced tree is at least half full.
        pods += self.promises.len() * 2 * size_of::<(i64, Uid)>();
        (nodes, pods)
    }

    /// The place of a node that is there and could take this.
    fn promised(&self, name: &str, requests: &Requests) -> Option<u32> {
        let place = self.view.place(name)?;
        let node = self.view.slot(place)?.node.as_deref()?;
        could_take(node, requests).then_some(place)
    }

    /// The place of a node that is there or of which a pod speaks.
    fn place_of(&mut self, name: &Arc<str>) -> u32 {
        if let Some(place) = self.view.place(name) {
            return place;
        }
        let place = self.free.pop_first().unwrap_or_else(|| {
            let last = self.view.chunks.last().map_or(CHUNK, |chunk| chunk.len());
            if last == CHUNK {
                self.view.chunks.push(Arc::new(Vec::with_capacity(CHUNK)));
            }
            let before = (self.view.chunks.len() - 1) * CHUNK;
            let chunk = self.view.chunks.last_mut().map(Arc::make_mut);
            let index = chunk.map_or(0, |chunk| {
                chunk.push(Slot::default());
                chunk.len() - 1
            });
            u32::try_from(before + index).unwrap_or(u32::MAX)
        });
        if let Some(slot) = self.view.slot_mut(place) {
            slot.name = Some(Arc::clone(name));
        }
        Arc::make_mut(&mut self.view.places).insert(Arc::clone(name), place);
        place
    }

    /// Frees a place in which there is neither a node nor a pod.
    fn vacate(&mut self, place: u32) {
        let Some(slot) = self.view.slot(place) else { return };
        if slot.node.is_some() || slot.load.pods > 0 {
            return;
        }
        if let Some(name) = self.view.slot_mut(place).and_then(|slot| std::mem::take(slot).name) {
            Arc::make_mut(&mut self.view.places).remove(&name);
            self.free.insert(place);
        }
    }

    fn drop_pod(&mut self, uid: Uid) -> bool {
        let Some(row) = self.pods.remove(&uid) else { return false };
        self.promises.remove(&(row.until, uid));
        if let Some(slot) = self.view.slot_mut(row.slot) {
            slot.load.remove(&row.requests, row.part, row.run.as_ref());
            if row.until != FOR_GOOD {
                slot.keep_promise(&row.requests.amounts, row.part);
            }
        }
        self.vacate(row.slot);
        true
    }
}

// === impl Pool ===

impl<T: ?Sized + Eq + Hash> Pool<T> {
    /// Makes `value` the one that is kept, or keeps it.
    fn share(&mut self, value: &mut Arc<T>) {
        if let Some(known) = self.values.get(value) {
            *value = Arc::clone(known);
            return;
        }
        // Often enough that those that nobody has are never the greater part for long.
        if self.values.len() > 2 * self.swept + 1_024 {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.swept = self.values.len();
        }
        self.values.insert(Arc::clone(value));
    }

    fn table(&self) -> usize {
        self.values.capacity() * 8 / 7 * (size_of::<Arc<T>>() + 1)
    }
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Pool { values: HashSet::new(), swept: 0 }
    }
}

#[cfg(test)]
// `pod(json!({…}))` reads better than `pod(&json!({…}))`.
#[allow(clippy::needless_pass_by_value)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::packing::Amounts;
    use crate::tree::Node;

    fn node(name: &str) -> NodeSeen {
        // About what a node of a managed cluster has.
        let mut labels = serde_json::Map::new();
        for index in 0..22 {
            labels.insert(format!("topology.example.com/label-{index}"), json!(format!("common-value-{index}")));
        }
        for key in ["kubernetes.io/hostname", "alpha.eksctl.io/instance-id", "csi.example.com/node-id"] {
            labels.insert(key.to_owned(), json!(name));
        }
        let allocatable =
            json!({"cpu": "3920m", "memory": "15Gi", "ephemeral-storage": "80Gi", "pods": "58", "hugepages-1Gi": "0"});
        seen(&json!({
            "metadata": {"name": name, "labels": labels},
            "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
        }))
    }

    fn seen(node: &Value) -> NodeSeen {
        NodeSeen::read(&Node::from(node.clone())).unwrap()
    }

    fn pod(uid: u32, node: Option<&str>, extra: Value) -> PodSeen {
        let mut pod = json!({
            "metadata": {"uid": format!("00000000-0000-0000-0000-{uid:012}"), "name": format!("pod-{uid}"), "namespace": "scans",
                         "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"nodeName": node, "containers": [{"image": "scan", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]},
            "status": {"startTime": "2026-01-01T00:00:10Z"},
        });
        json_patch::merge(&mut pod, &extra);
        PodSeen::read(&Node::from(pod), &[]).unwrap()
    }

    fn planned(node: &str) -> Value {
        json!({"metadata": {"annotations": {"supercargo.dev/placement": node, "supercargo.dev/profile": "scan"}}})
    }

    fn uid(uid: u32) -> String {
        format!("00000000-0000-0000-0000-{uid:012}")
    }

    fn at(text: &str) -> jiff::Timestamp {
        text.parse().unwrap()
    }

    const SOON: &str = "2026-01-01T00:00:20Z";

    fn cpu(snapshot: &Snapshot, node: &str) -> Option<u64> {
        Some(snapshot.load(node)?.amounts.cpu)
    }

    #[test]
    fn a_pod_counts_where_it_is_until_it_ends() {
        let (mut store, none) = (Store::default(), Lifetimes::default());
        store.apply_pod(pod(1, Some("a"), json!({})), &none);
        assert_eq!(store.snapshot(at(SOON)).nodes().count(), 0, "its node was not seen yet");
        store.apply_node(node("a"));
        store.apply_node(node("b"));
        let before = store.snapshot(at(SOON));
        assert_eq!((cpu(&before, "a"), cpu(&before, "b")), (Some(100), Some(0)));
        store.apply_pod(pod(1, Some("a"), json!({"metadata": {"deletionTimestamp": SOON}})), &none);
        assert_eq!(cpu(&store.snapshot(at(SOON)), "a"), Some(100), "it is terminating, and still there");
        store.apply_pod(pod(1, Some("a"), json!({"status": {"phase": "Succeeded"}})), &none);
        assert_eq!(
            (cpu(&store.snapshot(at(SOON)), "a"), cpu(&before, "a")),
            (Some(0), Some(100)),
            "snapshots never change"
        );
        store.apply_pod(pod(2, Some("b"), json!({})), &none);
        store.remove_pod(&uid(2));
        assert_eq!((cpu(&store.snapshot(at(SOON)), "b"), store.pods()), (Some(0), 0));
    }

    #[test]
    fn a_planned_pod_counts_where_it_was_planned_for_half_a_minute() {
        let (mut store, none) = (Store::default(), Lifetimes::default());
        for name in ["a", "b"] {
            store.apply_node(node(name));
        }
        store.apply_pod(pod(1, None, planned("a")), &none);
        store.apply_pod(pod(2, None, planned("gone")), &none);
        store.apply_pod(pod(3, None, planned("podAffinity")), &none);
        store.apply_pod(pod(4, None, planned("a")), &none);
        for absurd in [json!({"cpu": "4"}), json!({"memory": "16Gi"}), json!({"example.com/gpu": "1"})] {
            let spec = json!({"spec": {"containers": [{"resources": {"requests": absurd}}]}});
            let requests = Requests::of(&crate::workload::Pod::new("", &Node::from(spec)));
            store.apply_pod(PodSeen { requests, ..pod(6, None, planned("a")) }, &none);
            assert_eq!(store.pods(), 2, "a could never take it");
        }
        assert_eq!(cpu(&store.snapshot(at(SOON)), "a"), Some(200));
        store.apply_pod(pod(1, Some("b"), planned("a")), &none);
        let bound = store.snapshot(at(SOON));
        assert_eq!((cpu(&bound, "a"), cpu(&bound, "b")), (Some(100), Some(100)), "the scheduler has the last word");
        let later = store.snapshot(at("2026-01-01T00:00:30Z"));
        assert_eq!((cpu(&later, "a"), cpu(&later, "b")), (Some(0), Some(100)));
        assert_eq!((store.promises.len(), store.pods()), (0, 1));
        store.apply_pod(pod(5, None, planned("a")), &none);
        let set_back = store.snapshot(at("2025-12-31T23:00:00Z"));
        assert_eq!(cpu(&set_back, "a"), Some(0), "our clock was set back");
    }

    #[test]
    fn forged_plans_are_capped() {
        let (mut store, none) = (Store::default(), Lifetimes::default());
        store.apply_node(node("a"));
        for uid in 0..5_000 {
            store.apply_pod(pod(uid, None, planned("a")), &none);
        }
        assert_eq!(store.pods(), PROMISES);
    }

    #[test]
    fn a_list_leaves_no_ghosts() {
        let (mut store, none) = (Store::default(), Lifetimes::default());
        for name in ["a", "b", "c"] {
            store.apply_node(node(name));
        }
        for uid in 0..3 {
            store.apply_pod(pod(uid, Some("a"), json!({})), &none);
        }
        store.list_nodes();
        for name in ["a", "c"] {
            store.apply_node(node(name));
        }
        store.listed_nodes();
        store.list_pods();
        store.apply_pod(pod(1, Some("a"), json!({})), &none);
        store.listed_pods();
        let snapshot = store.snapshot(at(SOON));
        let nodes: Vec<_> = snapshot.nodes().map(|(node, load)| (&*node.name, load.pods)).collect();
        assert_eq!(nodes, [("a", 1), ("c", 0)]);
        store.apply_node(node("d"));
        assert_eq!(store.view.chunks[0].len(), 3, "places are used again");
        // A list that breaks off, and the next one: neither what was there before nor what only the first one had is left.
        store.list_pods();
        store.apply_pod(pod(5, Some("a"), json!({})), &none);
        store.list_pods();
        store.apply_pod(pod(6, Some("a"), json!({})), &none);
        store.listed_pods();
        assert_eq!((store.pods(), cpu(&store.snapshot(at(SOON)), "a")), (1, Some(100)));
    }

    #[test]
    fn what_goes_leaves_nothing_behind() {
        let (mut store, none) = (Store::default(), Lifetimes::default());
        for round in 0..200 {
            let name = format!("node-{round}");
            store.apply_pod(pod(1, Some(&name), planned("a")), &none);
            for index in 0..50 {
                store.apply_node(node(&format!("{name}-{index}")));
            }
            store.apply_node(node(&name));
            for index in 0..50 {
                store.remove_node(&format!("{name}-{index}"));
            }
            store.remove_node(&name);
            assert_eq!(store.view.places.len(), 1, "of a node that is gone while its pod is not, the load stays known");
            store.remove_pod(&uid(1));
        }
        assert!(store.view.places.is_empty() && store.view.chunks.len() == 1);
        assert!(store.labels.values.len() < 1_200, "{}", store.labels.values.len());
    }

    /// A pod in the snapshot costs at most 200 bytes and a node 1 KB, at 5,000 nodes and 150,000 pods.
    #[test]
    fn a_pod_costs_200_bytes_and_a_node_a_kilobyte() {
        let (mut store, lifetimes) = (Store::default(), Lifetimes::default());
        for index in 0..5_000 {
            store.apply_node(node(&format!("ip-10-0-{}-{}.eu-central-1.compute.internal", index / 256, index % 256)));
        }
        let names: Vec<_> = store.snapshot(at(SOON)).nodes().map(|(node, _)| Arc::clone(&node.name)).collect();
        let template = pod(0, Some("x"), planned("x"));
        for uid in 0..150_000_u32 {
            let node = Arc::clone(&names[uid as usize % names.len()]);
            store.apply_pod(
                PodSeen {
                    uid: Uid::from(&*format!("00000000-0000-0000-0000-{uid:012}")),
                    node: Some(node),
                    ..template.clone()
                },
                &lifetimes,
            );
        }
        let (nodes, pods) = store.bytes();
        assert!(pods / 150_000 <= 200, "{} bytes a pod", pods / 150_000);
        assert!(nodes / 5_000 <= 1_024, "{} bytes a node", nodes / 5_000);
        // A snapshot itself costs its pointers, and a change after it one chunk.
        let (before, slot) = (store.snapshot(at(SOON)), size_of::<Slot>());
        assert!(before.chunks.len() * 8 < 1_000 && CHUNK * slot < 8_192, "{slot} bytes a place");
        store.remove_pod(&uid(7));
        let copied = before.chunks.iter().zip(&store.view.chunks).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert_eq!(copied, 1);
        assert_eq!(template.requests.amounts, Amounts { cpu: 100, memory: 64 << 20, storage: 0 });
    }
}
