//! Which nodes a pod should share: the order of the rungs, their weights, the terms.
//!
//! Knows nothing of how the snapshot was made, nor of what is done with the terms (mutators/placement.rs).

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fit::{Needs, Term};
use super::ledger::Ledger;
use super::load::{Amounts, Load, Totals};
use super::seen::NodeSeen;
use super::snapshot::Snapshot;
use crate::tree::Node;
use crate::workload::Pod;

/// Each half of the one before.
///
/// So that a rung is 100 points (of NodeAffinity's 200) before the next one, which is as much as LeastAllocated can give an
/// emptier node: with 0.7 the emptier of the two won now and then (simulated, 60 seeds of 60 jobs on 20 nodes: 594 nodes instead of
/// 581 over a bound of 565; no difference at 200 to 1,000 nodes).
const WEIGHTS: [u8; 8] = [100, 50, 25, 13, 6, 3, 2, 1];

/// How many rungs there are of each weight, up to so many nodes.
///
/// Once there are 100 feasible nodes, kube-scheduler scores a sample of them: 46 % of 500, 10 % of 5,000. A rung has to be in it, and
/// to have room. Where many pods are planned before the first of them is placed, those that miss their rung take room that was planned
/// for others, who take that of the next ones, and who finds none opens a node anywhere. In the model, 400 pods of which 120 wait, nodes
/// used with eight rungs and as here, over a bound of 61: of 500 nodes 76 and 63, of 1,500 86 and 64, of 3,000 119 and 70, of 5,000 222
/// and 95. Of rungs that weigh the same the scheduler takes the emptiest, so that the best ones stay apart.
const WIDTHS: [(usize, [usize; 8]); 3] =
    [(99, [1; 8]), (1_500, [1, 1, 1, 2, 2, 2, 2, 2]), (usize::MAX, [1, 1, 2, 2, 4, 4, 8, 8])];

/// The weights of the rungs where there are so many nodes.
fn weights(nodes: usize) -> impl Iterator<Item = u8> {
    let widths = WIDTHS.iter().find(|(most, _)| nodes <= *most).map_or([1; 8], |(_, widths)| *widths);
    WEIGHTS.into_iter().zip(widths).flat_map(|(weight, width)| std::iter::repeat_n(weight, width))
}

/// A node that the pod should share, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// `metadata.name`.
    pub node: Arc<str>,
    /// `weight` of the term.
    pub weight: u8,
}

/// The most preferences of an author that are looked at; who writes more has the lightest passed over.
const WISHES: usize = 4;

/// What the author prefers, the heaviest first.
///
/// The rungs are nodes that match the first wish that any open node matches, and repeat it: Karpenter looks at nothing but the heaviest
/// preferred term. Wishes before that one are met by no node that the pod can go to, yet Karpenter may buy one that does; copies of
/// them stand above the rungs, so that they stay the heaviest and a node that comes meanwhile wins as it would without us.
#[derive(Clone, Debug, Default)]
pub(super) struct Preference {
    wishes: Vec<Wish>,
}

#[derive(Clone, Debug)]
struct Wish {
    term: Term,
    /// `matchExpressions`, as they are written.
    expressions: Value,
}

/// The rungs, and which wish of the author their nodes match; none when it is as many as there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Rungs {
    pub rungs: Vec<Rung>,
    wish: usize,
}

/// The nodes that are best for the pod, the best first; at most as many as there are rungs.
///
/// First the nodes in use, in the order of [`rank`]; then unused ones, in an order that is the same for all pods and all
/// replicas, so that they open the same ones, and that has nothing to do with the scheduler's, which samples neighbours together.
/// Only nodes that are as the author prefers, as far as there are any.
pub(super) fn climb(
    needs: &Needs,
    preference: &Preference,
    snapshot: &Snapshot,
    ledger: &Ledger,
    when: Option<When>,
) -> Rungs {
    let mut held: Vec<(u32, &Load)> =
        ledger.held().filter_map(|(node, load)| Some((snapshot.open(node)?, load))).collect();
    held.sort_unstable_by_key(|(place, _)| *place);
    let mut held = held.into_iter().peekable();
    let mut best = Best { nodes: Vec::new(), most: weights(snapshot.len()).count() };
    for (place, node, slot) in snapshot.slots() {
        let mut load = slot.load.totals();
        let reserved = held.next_if(|(at, _)| *at == place).map(|(_, reserved)| reserved);
        if let Some(reserved) = reserved {
            load = load.plus(&reserved.totals());
        }
        // What costs least is asked first; most nodes of a busy cluster have no room, or are no better than what was found.
        if !needs.has_room(node, &load) {
            continue;
        }
        let (ends, fit) = if load.is_used() { rank(needs, node, &load, when) } else { (0, node.digest) };
        let rank = Rank { wish: preference.met_by(node), is_unused: !load.is_used(), ends, fit };
        if !best.wants(rank, node) {
            continue;
        }
        let closed = match reserved {
            None => needs.closed(node, &slot.load),
            Some(reserved) => {
                let mut merged = slot.load.clone();
                merged.merge(reserved);
                needs.closed(node, &merged)
            }
        };
        if closed.is_none() {
            best.put(rank, node);
        }
    }
    let wish = best.nodes.first().map_or(0, |(rank, _)| rank.wish);
    let nodes = best.nodes.into_iter().filter(|(rank, _)| rank.wish == wish);
    // Below the copies of what the author would rather have.
    let weights = weights(snapshot.len()).skip(usize::from(wish > 0));
    let rungs = nodes.zip(weights).map(|((_, node), weight)| Rung { node: Arc::clone(&node.name), weight });
    Rungs { rungs: rungs.collect(), wish }
}

/// A pod's expected end and the present, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub now: i64,
    pub ends: i64,
}

/// The smaller, the sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    wish: usize,
    is_unused: bool,
    ends: u64,
    fit: u64,
}

/// How the pod's end and the node's go together, then best fit.
///
/// In this order, since a node that is not prolonged costs nothing more, however badly the pod fits (simulated, scans of forty known
/// kinds over two hours, twelve runs: 3 to 8 % fewer node-seconds than best fit alone; with the order turned round about half of that).
fn rank(needs: &Needs, node: &NodeSeen, load: &Totals, when: Option<When>) -> (u64, u64) {
    let fit = left_over(&node.allocatable, &load.amounts, &needs.requests.amounts);
    (when.map_or(0, |when| when.ends_with(load)), fit)
}

impl When {
    /// The less, the better does the pod end with what keeps the node in use. Nodes that it would prolong come last, by how much; the
    /// others by how much longer they go on: room on a node that will work for long is for pods that do (a model of seventy seconds and
    /// one of two hours: 1 to 3 % fewer node-seconds).
    fn ends_with(self, load: &Totals) -> u64 {
        // What is no scan stays, as far as anybody knows.
        if load.others > 0 {
            return STEPS - 1;
        }
        // A scan that has outlived its prediction may take as long again as it is late.
        let late = |ends: i64| if ends < self.now { self.now + (self.now - ends) } else { ends };
        let empty_at = load.ends.map_or(self.now, late);
        let (prolongs, goes_on) =
            (steps(self.ends.saturating_sub(empty_at)), steps(empty_at.saturating_sub(self.ends)));
        if prolongs > 0 { STEPS + prolongs } else { goes_on }
    }
}

/// More than there can be.
const STEPS: u64 = 1 << 7;

/// Seconds in powers of two from 4 on; nothing for less. By best fit alone nodes of a step are told apart. Coarser ones are too coarse for
/// scans of some seconds, finer ones gain nothing for any.
fn steps(seconds: i64) -> u64 {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    u64::from(u64::BITS - (seconds / 4).leading_zeros())
}

/// What would be left of the node, as millionths of its cpu and memory together (so up to two million).
fn left_over(has: &Amounts, taken: &Amounts, wanted: &Amounts) -> u64 {
    let share = |has: u64, taken: u64, wanted: u64| {
        let left = has.saturating_sub(taken).saturating_sub(wanted);
        left * 1_000_000 / has.max(1)
    };
    // In KiB, so that the product stays within 64 bits: a node has at most 2^40 of either.
    share(has.cpu, taken.cpu, wanted.cpu) + share(has.memory >> 10, taken.memory >> 10, wanted.memory >> 10)
}

/// The best few nodes so far, the best first. Names break ties, so that the order does not depend on how nodes came in.
struct Best<'s> {
    nodes: Vec<(Rank, &'s NodeSeen)>,
    most: usize,
}

impl<'s> Best<'s> {
    fn wants(&self, rank: Rank, node: &NodeSeen) -> bool {
        self.nodes.len() < self.most
            || self.nodes.last().is_some_and(|(worst, last)| (rank, &node.name) < (*worst, &last.name))
    }

    /// One that is wanted.
    fn put(&mut self, rank: Rank, node: &'s NodeSeen) {
        let at = self.nodes.partition_point(|(better, other)| (*better, &other.name) < (rank, &node.name));
        self.nodes.insert(at, (rank, node));
        self.nodes.truncate(self.most);
    }
}

impl Preference {
    /// Reads the author's preferred node terms.
    pub fn of(pod: &Pod<'_>) -> Preference {
        let affinity = pod.spec().and_then(|spec| spec.path(&["affinity", "nodeAffinity"]));
        let terms = affinity.map(|affinity| affinity.items("preferredDuringSchedulingIgnoredDuringExecution"));
        let weight = |term: &&Node<'_>| match term.get("weight") {
            Some(Node::Number(weight)) => weight.as_i64().unwrap_or_default(),
            _ => 0,
        };
        // The first of those that weigh the same, as Karpenter's stable sort has it.
        let mut terms: Vec<_> = terms.unwrap_or_default().iter().collect();
        terms.sort_by_key(|term| Reverse(weight(term)));
        // Of a term without expressions Karpenter makes nothing, and comes no further.
        Preference {
            wishes: terms.into_iter().map_while(|term| Wish::read(term.get("preference")?)).take(WISHES).collect(),
        }
    }

    /// The first wish that the node meets.
    fn met_by(&self, node: &NodeSeen) -> usize {
        self.wishes.iter().position(|wish| wish.term.matches(node)).unwrap_or(self.wishes.len())
    }

    /// The terms for `preferredDuringSchedulingIgnoredDuringExecution`: one a rung, since `matchFields` takes one name only.
    pub fn terms(&self, rungs: &Rungs) -> Vec<Value> {
        let [heaviest, ..] = WEIGHTS;
        let copy = |wish: &Wish| json!({"weight": heaviest, "preference": {"matchExpressions": wish.expressions}});
        let term = |rung: &Rung| {
            let mut preference =
                json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [*rung.node]}]});
            if let (Some(wish), Some(preference)) = (self.wishes.get(rungs.wish), preference.as_object_mut()) {
                preference.insert("matchExpressions".to_owned(), wish.expressions.clone());
            }
            json!({"weight": rung.weight, "preference": preference})
        };
        self.wishes.iter().take(rungs.wish).map(copy).chain(rungs.rungs.iter().map(term)).collect()
    }
}

impl Wish {
    fn read(preference: &Node<'_>) -> Option<Wish> {
        let term = Term::read(preference).expressions_only()?;
        Some(Wish { term, expressions: preference.get("matchExpressions")?.to_value() })
    }
}
