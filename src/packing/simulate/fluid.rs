//! Node-time that no way of packing can do without.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::berths;
use crate::packing::load::Amounts;
use crate::packing::simulate::Job;
use crate::packing::{NodeSeen, PodSeen, Requests};
use crate::workload::Pod;

/// Parts of a node, so that sums are exact.
const PARTS: u128 = 1_000_000;

/// The node-milliseconds that would do on unused nodes if pods were fluid: whatever does not fit into the nodes in use, as parts of the
/// largest unused one, over time. `None` when a job has no end, or there is no unused node and the others do not hold them.
///
/// No packing reaches it: pods are not fluid, and nodes cannot be woken in part. But one in which pods wait may fall below it, as they
/// can then run where others have left room on nodes in use.
pub fn fluid(nodes: &[NodeSeen], running: &[PodSeen], jobs: &[Job]) -> Option<u64> {
    let (mut free, mut largest) = (Amounts::default(), Amounts::default());
    for berth in berths(nodes, running) {
        let room = berth.node.allocatable.less(&berth.load.amounts);
        if berth.load.is_used() {
            free.add(&room);
        } else {
            largest.cpu = largest.cpu.max(room.cpu);
            largest.memory = largest.memory.max(room.memory);
        }
    }
    // When, how much, and whether it comes.
    let mut changes: Vec<(u64, Amounts, bool)> = Vec::with_capacity(2 * jobs.len());
    for (job, comes) in jobs.iter().zip(comings(jobs)) {
        let amounts = Requests::of(&Pod::new("", &job.pod)).amounts;
        changes.push((comes, amounts, true));
        changes.push((comes.saturating_add(job.runs?), amounts, false));
    }
    // Who goes goes first: what leaves makes room for what comes.
    changes.sort_by_key(|(at, _, comes)| (*at, *comes));
    let (mut demand, mut since, mut sum) = (Amounts::default(), 0, 0_u128);
    for (at, amounts, comes) in changes {
        let parts = parts(demand.cpu, free.cpu, largest.cpu)?.max(parts(demand.memory, free.memory, largest.memory)?);
        sum = sum.saturating_add(u128::from(at - since).saturating_mul(parts));
        since = at;
        if comes {
            demand.add(&amounts);
        } else {
            demand = demand.less(&amounts);
        }
    }
    u64::try_from(sum / PARTS).ok()
}

/// When each job comes if none has to wait for a node: one that follows comes when the first of its series ends.
fn comings(jobs: &[Job]) -> Vec<u64> {
    let mut ends: HashMap<usize, BinaryHeap<Reverse<u64>>> = HashMap::new();
    let coming = |job: &Job| {
        let ends = ends.entry(job.series).or_default();
        let first = if job.follows { ends.pop().map(|Reverse(end)| end) } else { None };
        let comes = first.unwrap_or(job.arrives);
        ends.extend(job.runs.map(|runs| Reverse(comes.saturating_add(runs))));
        comes
    };
    jobs.iter().map(coming).collect()
}

fn parts(demand: u64, free: u64, largest: u64) -> Option<u128> {
    let missing = demand.saturating_sub(free);
    if missing == 0 {
        return Some(0);
    }
    (u128::from(missing) * PARTS).checked_div(u128::from(largest))
}
