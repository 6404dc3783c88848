//! Which nodes a pod should share: the order of the rungs, their weights, the terms.
//!
//! Knows nothing of how the snapshot was made, nor of what is done with the terms (mutators/placement.rs).

use std::borrow::Cow;
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

/// How a ladder is made.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// The weights of its rungs, the best first.
    weights: &'static [u8],
    /// How many of the rungs are the nodes with the most room, when there are more nodes in use than rungs.
    roomy: usize,
    /// The most rungs on nodes that are planned full, and are not full yet.
    late: usize,
}

/// The shapes, each for up to so many nodes.
///
/// Up to 100 nodes kube-scheduler scores all of them, and nearly every pod gets its first rung. Weights fall by half there, so that a
/// rung is 100 points (of NodeAffinity's 200) before the next one, which is as much as LeastAllocated can give an emptier node: with
/// 0.7 the emptier of the two won now and then (simulated, 60 seeds of 60 jobs on 20 nodes: 594 nodes instead of 581 over a bound of
/// 565).
///
/// Of more it scores a sample: 46 % of 500, 10 % of 5,000. A rung has to be in it, and to have room. Where many pods are planned before
/// the first of them is placed, those that miss their rung take room that was planned for others, who take that of the next ones; and
/// each that finds no rung opens a node anywhere. Hence more rungs, evenly from 100 to 1 (by a factor; whether 0.65 or 0.8 is no
/// difference beyond 0.3 of 63 nodes), and two kinds that the plan alone would not name:
///
/// - A node that is planned full, as many of those that it was planned for will go elsewhere. In the model, 400 pods of which 120 wait,
///   60 seeds, without and with it: 63.7 and 63.4 of 1,000 nodes, 73 and 71 of 5,000. Several gain a little more where the scheduler's
///   list is guessed ([`super::list`]), and lose two nodes where it is not: they are full by the time, and in the place of other rungs.
/// - Where hundreds of nodes are in use, those that fit best have room for this pod and no other, and are soon full. With 400 of 1,000
///   nodes in use and 60 pods waiting, 36 more came into use when all rungs were on such nodes, 17 with four on the roomiest (30 seeds).
const SHAPES: [(usize, Shape); 3] = [
    (100, Shape { weights: &[100, 50, 25, 13, 6, 3, 2, 1], roomy: 0, late: 0 }),
    (1_500, Shape { weights: &[100, 68, 46, 32, 22, 15, 10, 7, 5, 3, 2, 1, 1], roomy: 4, late: 1 }),
    (
        usize::MAX,
        Shape {
            weights: &[
                100, 85, 73, 62, 53, 45, 39, 33, 28, 24, 20, 17, 15, 13, 11, 9, 8, 7, 6, 5, 4, 4, 3, 3, 2, 2, 2, 1, 1,
                1,
            ],
            roomy: 4,
            late: 2,
        },
    ),
];

/// The weight of a copy of what the author would rather have.
const COPY: u8 = 100;

/// The most that a rung below copies weighs: 100 points less than they.
const BELOW_COPIES: u8 = 50;

impl Shape {
    /// The ladder's where there are so many nodes.
    fn of(nodes: usize) -> Shape {
        let [few, many, most] = SHAPES;
        [few, many].into_iter().find(|(up_to, _)| nodes <= *up_to).unwrap_or(most).1
    }
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
/// First the nodes in use, in the order of [`rank`]; then some that are planned full and have room; then unused ones, in an order that
/// is the same for all pods and all replicas, so that they open the same ones, and that is spread over the scheduler's list
/// ([`super::list`]), which samples neighbours together. Only nodes that are as the author prefers, as far as there are any.
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
    let shape = Shape::of(snapshot.len());
    let most = shape.weights.len();
    let mut candidates = Candidates {
        fitting: Best::of(most),
        roomy: Best::of(shape.roomy),
        late: Best::of(shape.late),
        unused: Best::of(most),
    };
    for (place, node, slot) in snapshot.slots() {
        let mut planned = slot.load.totals();
        let reserved = held.next_if(|(at, _)| *at == place).map(|(_, reserved)| reserved);
        if let Some(reserved) = reserved {
            planned = planned.plus(&reserved.totals());
        }
        // What costs least is asked first; most nodes of a busy cluster have no room, or are no better than what was found.
        let has_room = needs.has_room(node, &planned);
        if !has_room && (shape.late == 0 || reserved.is_none() && !slot.is_promised()) {
            continue;
        }
        let load = if has_room { planned } else { slot.bound() };
        if !has_room && (!load.is_used() || !needs.has_room(node, &load)) {
            continue;
        }
        let wish = preference.met_by(node);
        let (ends, fit) =
            if load.is_used() { rank(needs, node, &load, when) } else { (0, snapshot.spread(place).into()) };
        let rank = Rank { wish, ends, fit };
        if !candidates.want(rank, node, &load, has_room) {
            continue;
        }
        // What is pending counts in all but room, for the node is named no more often than the profile lets pods share it.
        let mut merged = Cow::Borrowed(&slot.load);
        if let Some(reserved) = reserved {
            merged.to_mut().merge(reserved);
        }
        if !has_room {
            let merged = merged.to_mut();
            (merged.amounts, merged.pods) = (load.amounts, load.pods);
        }
        if needs.closed(node, &merged).is_none() {
            candidates.put(rank, node, &load, has_room);
        }
    }
    candidates.rungs(shape)
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
    ends: u64,
    fit: u64,
}

impl Rank {
    /// By most room in place of best fit.
    fn by_room(self) -> Rank {
        Rank { fit: u64::MAX - self.fit, ..self }
    }
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

/// Nodes that may become rungs.
struct Candidates<'s> {
    /// In use, with room also for what is planned there; best fit first.
    fitting: Best<'s>,
    /// Those of them with the most room.
    roomy: Best<'s>,
    /// In use, planned full, and with room so far; most room first.
    late: Best<'s>,
    unused: Best<'s>,
}

impl<'s> Candidates<'s> {
    /// Whether a node with this load is better than what was found; `has_room` as it is planned.
    fn want(&self, rank: Rank, node: &NodeSeen, load: &Totals, has_room: bool) -> bool {
        match (has_room, load.is_used()) {
            (true, true) => self.fitting.wants(rank, node) || self.roomy.wants(rank.by_room(), node),
            _ if self.fitting.is_full_for(rank.wish) => false,
            (true, false) => self.unused.wants(rank, node),
            (false, _) => self.late.wants(rank.by_room(), node),
        }
    }

    fn put(&mut self, rank: Rank, node: &'s NodeSeen, load: &Totals, has_room: bool) {
        match (has_room, load.is_used()) {
            (false, _) => self.late.put(rank.by_room(), node),
            (true, false) => self.unused.put(rank, node),
            (true, true) => {
                self.fitting.put(rank, node);
                self.roomy.put(rank.by_room(), node);
            }
        }
    }

    fn rungs(&self, shape: Shape) -> Rungs {
        // The first rung is where the pod is booked, so it has room as it is planned.
        let first = |best: &Best<'_>| best.nodes.first().map(|(rank, _)| rank.wish);
        let Some(wish) = first(&self.fitting).into_iter().chain(first(&self.unused)).min() else {
            return Rungs::default();
        };
        let [fitting, roomy, late, unused] =
            [&self.fitting, &self.roomy, &self.late, &self.unused].map(|best| best.nodes_for(wish));
        let most = shape.weights.len();
        let by_fit = if fitting.len() < most { most } else { most - shape.roomy };
        let best = fitting.iter().take(by_fit).chain(&roomy).chain(&fitting);
        let opens = unused.iter().take(usize::from(fitting.is_empty()));
        let mut nodes: Vec<&NodeSeen> = Vec::with_capacity(most);
        for node in best.chain(opens).chain(&late).chain(&unused) {
            if nodes.len() < most && !nodes.iter().any(|named| std::ptr::eq(*named, *node)) {
                nodes.push(node);
            }
        }
        // Below the copies of what the author would rather have.
        let weights = shape.weights.iter().copied().skip_while(|weight| wish > 0 && *weight > BELOW_COPIES);
        let rungs = nodes.iter().zip(weights).map(|(node, weight)| Rung { node: Arc::clone(&node.name), weight });
        Rungs { rungs: rungs.collect(), wish }
    }
}

/// The best few nodes so far, the best first. Names break ties, so that the order does not depend on how nodes came in.
struct Best<'s> {
    nodes: Vec<(Rank, &'s NodeSeen)>,
    most: usize,
}

impl<'s> Best<'s> {
    fn of(most: usize) -> Best<'s> {
        Best { nodes: Vec::with_capacity(most + 1), most }
    }

    fn wants(&self, rank: Rank, node: &NodeSeen) -> bool {
        self.nodes.len() < self.most
            || self.nodes.last().is_some_and(|(worst, last)| (rank, &node.name) < (*worst, &last.name))
    }

    fn put(&mut self, rank: Rank, node: &'s NodeSeen) {
        let at = self.nodes.partition_point(|(better, other)| (*better, &other.name) < (rank, &node.name));
        self.nodes.insert(at, (rank, node));
        self.nodes.truncate(self.most);
    }

    /// Whether there are as many as can be that meet this wish of the author's, or heavier ones.
    fn is_full_for(&self, wish: usize) -> bool {
        self.nodes.len() >= self.most && self.nodes.last().is_none_or(|(worst, _)| worst.wish <= wish)
    }

    /// Those that meet this wish of the author's.
    fn nodes_for(&self, wish: usize) -> Vec<&'s NodeSeen> {
        self.nodes.iter().filter(|(rank, _)| rank.wish == wish).map(|(_, node)| *node).collect()
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
        let copy = |wish: &Wish| json!({"weight": COPY, "preference": {"matchExpressions": wish.expressions}});
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
