//! Pods that have no node yet, in the order in which the scheduler tries them.
//!
//! As if each were tried in its turn, and went to the end where no node takes it. But whoever needs the same as a pod that was refused
//! would be refused as well, as long as no other pod ends: so one of a kind is tried, and the others wait at no cost.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};

use crate::packing::fit::Needs;

/// Pods that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The pods; `None` in the place of one that has found a node.
    order: VecDeque<Option<Waiting>>,
    /// The turn of the first in `order`; the others have those after it.
    first: i64,
    len: usize,
    kinds: Vec<Kind>,
    by_needs: HashMap<Needs, usize>,
    /// Kinds of which somebody waits and may find a node.
    open: BTreeSet<usize>,
    /// Kinds of which somebody was refused, with no room since.
    refused: BTreeSet<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    job: usize,
    kind: usize,
}

/// Pods that need the same.
#[derive(Debug)]
struct Kind {
    needs: Needs,
    /// Their turns, in order.
    turns: VecDeque<i64>,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.len
    }

    /// A pod comes.
    pub fn push(&mut self, job: usize, needs: &Needs) {
        let kind = self.by_needs.get(needs).copied().unwrap_or_else(|| {
            self.kinds.push(Kind { needs: needs.clone(), turns: VecDeque::new() });
            self.by_needs.insert(needs.clone(), self.kinds.len() - 1);
            self.kinds.len() - 1
        });
        let turn = self.first.saturating_add_unsigned(self.order.len() as u64);
        self.order.push_back(Some(Waiting { job, kind }));
        self.put(kind, |turns| turns.push_back(turn));
    }

    /// Tries all but the last `lead` in their turn; `place` says whether a node takes the pod.
    pub fn serve(&mut self, lead: usize, mut place: impl FnMut(usize) -> bool) {
        if self.len <= lead {
            return;
        }
        let late: Vec<Waiting> = (0..lead).filter_map(|_| self.pop_last()).collect();
        let next = |kinds: &[Kind], kind: usize| Some(Reverse((*kinds.get(kind)?.turns.front()?, kind)));
        let mut turns: BinaryHeap<_> = self.open.iter().filter_map(|kind| next(&self.kinds, *kind)).collect();
        while let Some(Reverse((turn, kind))) = turns.pop() {
            let Some(waiting) = self.at(turn).copied().flatten() else { continue };
            if place(waiting.job) {
                self.take(turn, kind);
                turns.extend(next(&self.kinds, kind));
            } else {
                self.open.remove(&kind);
                self.refused.insert(kind);
            }
        }
        // All that were refused went to the end.
        for waiting in late {
            self.first -= 1;
            let turn = self.first;
            self.order.push_front(Some(waiting));
            self.put(waiting.kind, |turns| turns.push_front(turn));
        }
    }

    /// Room has come: those that fit it are tried again.
    pub fn reopen(&mut self, fits: impl Fn(&Needs) -> bool) {
        let fits = |kind: &usize| self.kinds.get(*kind).is_some_and(|kind| fits(&kind.needs));
        let fitting: Vec<usize> = self.refused.iter().copied().filter(fits).collect();
        for kind in fitting {
            self.refused.remove(&kind);
            self.open.insert(kind);
        }
    }

    fn at(&mut self, turn: i64) -> Option<&mut Option<Waiting>> {
        self.order.get_mut(usize::try_from(turn - self.first).ok()?)
    }

    fn put(&mut self, kind: usize, to: impl FnOnce(&mut VecDeque<i64>)) {
        self.len += 1;
        if let Some(kind) = self.kinds.get_mut(kind) {
            to(&mut kind.turns);
        }
        if !self.refused.contains(&kind) {
            self.open.insert(kind);
        }
    }

    fn pop_last(&mut self) -> Option<Waiting> {
        let waiting = std::iter::from_fn(|| self.order.pop_back()).flatten().next()?;
        self.kinds.get_mut(waiting.kind)?.turns.pop_back();
        self.left(waiting.kind);
        Some(waiting)
    }

    /// The first of a kind has found a node.
    fn take(&mut self, turn: i64, kind: usize) {
        if let Some(place) = self.at(turn) {
            *place = None;
        }
        while let Some(None) = self.order.front() {
            self.order.pop_front();
            self.first += 1;
        }
        if let Some(kind) = self.kinds.get_mut(kind) {
            kind.turns.pop_front();
        }
        self.left(kind);
    }

    fn left(&mut self, kind: usize) {
        self.len -= 1;
        if self.kinds.get(kind).is_some_and(|kind| kind.turns.is_empty()) {
            self.open.remove(&kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tree::Node;
    use crate::workload::Pod;

    fn needs(cpu: u64) -> Needs {
        let pod = json!({"spec": {"containers": [{"resources": {"requests": {"cpu": format!("{cpu}m")}}}]}});
        Needs::of(&Pod::new("", &Node::from(pod)), &[])
    }

    /// Every pod is tried in its turn.
    #[derive(Default)]
    struct Patient(VecDeque<usize>);

    impl Patient {
        fn serve(&mut self, lead: usize, mut place: impl FnMut(usize) -> bool) {
            for _ in 0..self.0.len().saturating_sub(lead) {
                let job = self.0.pop_front().unwrap();
                if !place(job) {
                    self.0.push_back(job);
                }
            }
        }
    }

    /// Nodes with room for so much, the first that fits is taken, and its pod told to `log`.
    fn first_fit<'r>(
        rooms: &'r mut [u64],
        cpus: &'r [u64],
        log: &'r mut Vec<(usize, usize)>,
    ) -> impl FnMut(usize) -> bool {
        |job| {
            let Some(place) = rooms.iter().position(|room| *room >= cpus[job]) else { return false };
            rooms[place] -= cpus[job];
            log.push((job, place));
            true
        }
    }

    #[test]
    fn pods_find_the_same_nodes_as_if_each_were_tried_again_and_again() {
        for seed in 1..200_u64 {
            let mut state = seed;
            let mut below = |n: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % n
            };
            let (mut queue, mut patient) = (Queue::default(), Patient::default());
            let (mut rooms, mut same_rooms) = ([10; 3], [10; 3]);
            let (mut cpus, mut log, mut same) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..300 {
                let job = cpus.len();
                cpus.push(1 + below(5));
                queue.push(job, &needs(cpus[job]));
                patient.0.push_back(job);
                let lead = [0, 0, 3, 7][usize::try_from(below(4)).unwrap()];
                queue.serve(lead, first_fit(&mut rooms, &cpus, &mut log));
                patient.serve(lead, first_fit(&mut same_rooms, &cpus, &mut same));
                assert_eq!((&log, queue.len()), (&same, patient.0.len()), "{seed}");
                if below(4) == 0 && !log.is_empty() {
                    let (ended, place) = log[usize::try_from(below(log.len() as u64)).unwrap()];
                    rooms[place] = (rooms[place] + cpus[ended]).min(10);
                    same_rooms = rooms;
                    let room = rooms[place];
                    queue.reopen(|needs| needs.requests.amounts.cpu <= room);
                    queue.serve(0, first_fit(&mut rooms, &cpus, &mut log));
                    patient.serve(0, first_fit(&mut same_rooms, &cpus, &mut same));
                    assert_eq!((&log, queue.len()), (&same, patient.0.len()), "{seed}");
                }
            }
        }
    }

    #[test]
    fn of_pods_that_need_the_same_one_is_tried() {
        let (mut queue, mut tries) = (Queue::default(), 0);
        for job in 0..1000 {
            queue.push(job, &needs(1 + job as u64 % 2));
            queue.serve(20, |_| {
                tries += 1;
                false
            });
        }
        assert_eq!((tries, queue.len()), (2, 1000));
        queue.reopen(|needs| needs.requests.amounts.cpu == 2);
        queue.serve(0, |job| {
            tries += 1;
            job % 2 == 1 && tries < 10
        });
        assert_eq!((tries, queue.len()), (10, 993), "seven find a node, and one of the kind is refused");
    }
}
