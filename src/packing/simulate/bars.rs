//! What fills each node in the end, for pictures.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Job, berths};
use crate::packing::load::Amounts;
use crate::packing::{NodeSeen, PodSeen, Requests};
use crate::workload::Pod;

/// A node and what fills it: cpu or memory, whichever is scarcer there, in thousandths of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The node's name.
    pub node: Arc<str>,
    /// What ran there before.
    pub before: u64,
    /// The jobs, by group.
    pub jobs: BTreeMap<String, u64>,
}

impl Bar {
    /// What the jobs take together.
    pub fn taken(&self) -> u64 {
        self.jobs.values().sum()
    }
}

/// A bar for every node, in the order of the nodes, with every job at its place (see [`super::Report::places`]).
pub fn bars(nodes: &[NodeSeen], running: &[PodSeen], jobs: &[Job], places: &[Option<Arc<str>>]) -> Vec<Bar> {
    let mut groups: BTreeMap<&str, BTreeMap<&str, Amounts>> = BTreeMap::new();
    for (job, place) in jobs.iter().zip(places) {
        let Some(place) = place else { continue };
        let amounts = Requests::of(&Pod::new("", &job.pod)).amounts;
        groups.entry(place).or_default().entry(&job.group).or_default().add(&amounts);
    }
    let before: BTreeMap<Arc<str>, Amounts> =
        berths(nodes, running).into_iter().map(|berth| (berth.node.name, berth.load.amounts)).collect();
    nodes
        .iter()
        .map(|node| {
            let before = before.get(&node.name).copied().unwrap_or_default();
            let jobs = groups.remove(&*node.name).unwrap_or_default();
            let mut all = before;
            for amounts in jobs.values() {
                all.add(amounts);
            }
            let has = &node.allocatable;
            let share = |part: u64, whole: u64| (part.saturating_mul(1000)).checked_div(whole).unwrap_or(0);
            let by_cpu = share(all.cpu, has.cpu) >= share(all.memory, has.memory);
            let of = |amounts: &Amounts| {
                if by_cpu { share(amounts.cpu, has.cpu) } else { share(amounts.memory, has.memory) }
            };
            Bar {
                node: Arc::clone(&node.name),
                before: of(&before),
                jobs: jobs.iter().map(|(group, amounts)| ((*group).to_owned(), of(amounts))).collect(),
            }
        })
        .collect()
}
