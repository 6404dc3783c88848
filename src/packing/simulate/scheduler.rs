//! A model of kube-scheduler 1.36: filter, sample, score, pick.
//!
//! Filters are those of `fit.rs`. Scores are NodeResourcesFit, NodeResourcesBalancedAllocation, NodeAffinity, TaintToleration,
//! and InterPodAffinity for one group a pod, with the default weights, as the source has them.
//! Left out: ImageLocality (every node has the image, or none), PodTopologySpread (skipped for pods of Jobs), preemption, and
//! that filters run in parallel, so that the real sample may be a few nodes larger.

use std::collections::HashMap;

use crate::packing::fit::{Needs, Term};
use crate::packing::load::{Amounts, Load};
use crate::packing::{NodeSeen, PodSeen};

/// What NodeResourcesFit is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// The emptier the better: the default.
    LeastAllocated,
    /// The fuller the better.
    MostAllocated,
}

/// What scores count for a pod that does not ask for cpu or memory.
const DEFAULT_CPU: u64 = 100;
const DEFAULT_MEMORY: u64 = 200 * 1024 * 1024;

/// With fewer nodes, all are scored; also the least that are.
const FEW: usize = 100;

/// A node in the scheduler's list, and what runs there.
pub(super) struct Berth {
    pub node: NodeSeen,
    pub load: Load,
    /// The load with the defaults for pods that do not ask.
    nonzero: Amounts,
    /// Pods with podAffinity, by group.
    groups: HashMap<String, u64>,
}

/// A pod as the scheduler sees it.
pub(super) struct Asking {
    pub needs: Needs,
    /// Preferred node terms, with their weights.
    pub terms: Vec<(u64, Term)>,
    /// The group that it has a preferred podAffinity of weight 100 to.
    pub group: Option<String>,
}

pub(super) struct Scheduler {
    scoring: Scoring,
    /// Where in the list the next sample begins.
    next: usize,
}

/// The nodes in the order of the scheduler's list: one of each zone by turns.
pub(super) fn in_zones(nodes: &[NodeSeen]) -> Vec<Berth> {
    let zone = |node: &NodeSeen| node.label("topology.kubernetes.io/zone").unwrap_or_default().to_owned();
    let mut zones: Vec<(String, Vec<&NodeSeen>)> = Vec::new();
    for node in nodes {
        let of = zone(node);
        match zones.iter_mut().find(|(name, _)| *name == of) {
            Some((_, list)) => list.push(node),
            None => zones.push((of, vec![node])),
        }
    }
    let longest = zones.iter().map(|(_, list)| list.len()).max().unwrap_or(0);
    let by_turns = (0..longest).flat_map(|turn| zones.iter().filter_map(move |(_, list)| list.get(turn).copied()));
    by_turns
        .map(|node| Berth {
            node: node.clone(),
            load: Load::default(),
            nonzero: Amounts::default(),
            groups: HashMap::new(),
        })
        .collect()
}

impl Berth {
    /// A pod comes.
    pub fn add(&mut self, pod: &PodSeen, group: Option<&str>) {
        self.load.add(&pod.requests, pod.part, None);
        self.nonzero.add(&nonzero(&pod.requests.amounts));
        if let Some(group) = group {
            *self.groups.entry(group.to_owned()).or_default() += 1;
        }
    }

    /// A pod goes.
    pub fn remove(&mut self, pod: &PodSeen, group: Option<&str>) {
        self.load.remove(&pod.requests, pod.part, None);
        self.nonzero = self.nonzero.less(&nonzero(&pod.requests.amounts));
        if let Some(count) = group.and_then(|group| self.groups.get_mut(group)) {
            *count -= 1;
        }
    }
}

fn nonzero(amounts: &Amounts) -> Amounts {
    let or = |amount: u64, default: u64| if amount == 0 { default } else { amount };
    Amounts { cpu: or(amounts.cpu, DEFAULT_CPU), memory: or(amounts.memory, DEFAULT_MEMORY), storage: amounts.storage }
}

impl Scheduler {
    pub fn new(scoring: Scoring) -> Self {
        Scheduler { scoring, next: 0 }
    }

    /// The place that the pod is bound to; `None` when no node is feasible.
    pub fn place(&mut self, berths: &[Berth], pod: &Asking) -> Option<usize> {
        let sample = self.sample(berths, pod);
        let scored = self.score(berths, &sample, pod);
        let mut heap: Vec<(u64, usize)> = scored.into_iter().zip(sample).collect();
        first_of_heap(&mut heap)
    }

    /// `findNodesThatPassFilters`: feasible nodes from where the last sample ended, until there are enough.
    fn sample(&mut self, berths: &[Berth], pod: &Asking) -> Vec<usize> {
        let (all, wanted) = (berths.len(), sample_size(berths.len()));
        let mut sample = Vec::new();
        let mut looked_at = 0;
        while looked_at < all && sample.len() < wanted {
            let place = (self.next + looked_at) % all;
            looked_at += 1;
            let feasible = berths.get(place).is_some_and(|berth| {
                berth.node.shut.is_none() && pod.needs.refused(&berth.node, &berth.load).is_none()
            });
            if feasible {
                sample.push(place);
            }
        }
        self.next = (self.next + looked_at) % all.max(1);
        sample
    }

    /// The weighted sum of the normalised scores of each node.
    fn score(&self, berths: &[Berth], sample: &[usize], pod: &Asking) -> Vec<u64> {
        let berths: Vec<&Berth> = sample.iter().filter_map(|place| berths.get(*place)).collect();
        let wanted = &pod.needs.requests.amounts;
        let each = |score: &dyn Fn(&Berth) -> u64| berths.iter().map(|berth| score(berth)).collect::<Vec<u64>>();
        let preferred = each(&|berth| {
            let matching = pod.terms.iter().filter(|(_, term)| term.matches(&berth.node));
            matching.map(|(weight, _)| weight).sum()
        });
        let intolerable = each(&|berth| pod.needs.intolerable(&berth.node));
        // Its own term counts each mate, and each mate's term counts it.
        let mates = each(&|berth| {
            pod.group.as_ref().and_then(|group| berth.groups.get(group)).map_or(0, |count| 2 * 100 * count)
        });
        let most = |scores: &[u64]| scores.iter().copied().max().unwrap_or(0);
        let (top, worst, crowd) = (most(&preferred), most(&intolerable), most(&mates));
        let least = mates.iter().copied().min().unwrap_or(0);
        let parts = preferred.iter().zip(&intolerable).zip(&mates);
        berths
            .iter()
            .zip(parts)
            .map(|(berth, ((preferred, intolerable), mates))| {
                let affinity = (preferred * 100).checked_div(top).unwrap_or(0);
                let taints = 100 - (intolerable * 100).checked_div(worst).unwrap_or(0);
                let company = ((mates - least) * 100).checked_div(crowd - least).unwrap_or(0);
                self.allocated(berth, wanted) + balanced(berth, wanted) + 2 * affinity + 3 * taints + 2 * company
            })
            .collect()
    }

    /// NodeResourcesFit: the mean of cpu and memory.
    fn allocated(&self, berth: &Berth, wanted: &Amounts) -> u64 {
        let mut taken = berth.nonzero;
        taken.add(&nonzero(wanted));
        let has = &berth.node.allocatable;
        let score = |has: u64, taken: u64| match self.scoring {
            _ if has == 0 => 0,
            Scoring::LeastAllocated => has.saturating_sub(taken) * 100 / has,
            Scoring::MostAllocated => taken.min(has) * 100 / has,
        };
        u64::midpoint(score(has.cpu, taken.cpu), score(has.memory, taken.memory))
    }
}

/// NodeResourcesBalancedAllocation: by how much the pod evens out cpu and memory, from 50 to 100; 75 is neutral.
fn balanced(berth: &Berth, wanted: &Amounts) -> u64 {
    let has = &berth.node.allocatable;
    let level = |taken: &Amounts| {
        if has.cpu == 0 || has.memory == 0 {
            return 100;
        }
        // 100 × (1 - half the difference of the two shares), rounded down
        let cpu = u128::from(taken.cpu.min(has.cpu)) * u128::from(has.memory);
        let memory = u128::from(taken.memory.min(has.memory)) * u128::from(has.cpu);
        let apart = (50 * cpu.abs_diff(memory)).div_ceil(u128::from(has.cpu) * u128::from(has.memory));
        100 - u64::try_from(apart).unwrap_or(50).min(50)
    };
    let mut with = berth.load.amounts;
    with.add(wanted);
    50 + (50 + level(&with) - level(&berth.load.amounts).min(50 + level(&with))) / 2
}

/// `numFeasibleNodesToFind` with percentageOfNodesToScore not set.
fn sample_size(all: usize) -> usize {
    if all < FEW {
        return all;
    }
    let percentage = 50_usize.saturating_sub(all / 125).max(5);
    (all * percentage / 100).max(FEW)
}

/// The node that Go's `heap.Init` leaves on top: since 1.36 nothing random decides between equal scores.
fn first_of_heap(heap: &mut [(u64, usize)]) -> Option<usize> {
    let score = |heap: &[(u64, usize)], index: usize| heap.get(index).map(|(score, _)| *score);
    for start in (0..heap.len() / 2).rev() {
        let mut parent = start;
        loop {
            let (left, right) = (2 * parent + 1, 2 * parent + 2);
            if left >= heap.len() {
                break;
            }
            let child = if right < heap.len() && score(heap, right) > score(heap, left) { right } else { left };
            if score(heap, child) <= score(heap, parent) {
                break;
            }
            heap.swap(parent, child);
            parent = child;
        }
    }
    heap.first().map(|(_, place)| *place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_as_large_as_the_schedulers() {
        for (all, size) in [(1, 1), (99, 99), (100, 100), (150, 100), (200, 100), (500, 230), (1000, 420), (5000, 500)]
        {
            assert_eq!(sample_size(all), size, "{all}");
        }
    }

    #[test]
    fn equal_scores_are_decided_by_the_heap() {
        assert_eq!(first_of_heap(&mut [(1, 0), (1, 1), (1, 2)]), Some(0));
        assert_eq!(first_of_heap(&mut [(1, 0), (2, 1), (2, 2), (3, 3), (3, 4)]), Some(3));
        assert_eq!(first_of_heap(&mut []), None);
    }
}
