//! The fewest nodes that could hold a set of pods: what every way of packing is measured against.

use super::load::Amounts;

/// Room for pods: amounts, and how many pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What is free.
    pub amounts: Amounts,
    /// Pods that can come.
    pub pods: u32,
}

/// A lower bound of the unused nodes that `pods` need when those in use can be filled first; `None` when all nodes together
/// do not hold them.
///
/// The largest of, for cpu, memory, storage and the number of pods: how many of the largest unused nodes it takes until all room
/// is at least all demand (L1); and, when nothing is in use, Martello and Toth's L2 for cpu and for memory with every node as
/// large as the largest. No packing can do with less; there may be none that does with so few.
pub fn unused_nodes(pods: &[Amounts], in_use: &[Room], unused: &[Room]) -> Option<usize> {
    let count = u64::try_from(pods.len()).unwrap_or(u64::MAX);
    let cpu = |amounts: &Amounts| amounts.cpu;
    let memory = |amounts: &Amounts| amounts.memory;
    let storage = |amounts: &Amounts| amounts.storage;
    let mut bound = cover(count, in_use, unused, |room| u64::from(room.pods))?;
    for of in [cpu, memory, storage] {
        let demand = sum(pods.iter().map(of));
        bound = bound.max(cover(demand, in_use, unused, |room| of(&room.amounts))?);
    }
    if in_use.is_empty() {
        for of in [cpu, memory] {
            let largest = unused.iter().map(|room| of(&room.amounts)).max().unwrap_or_default();
            bound = bound.max(martello_toth(pods.iter().map(of).collect(), largest)?);
        }
    }
    (bound <= unused.len()).then_some(bound)
}

/// Cut at what 64 bits hold: of absurd amounts there may be any number.
fn sum(amounts: impl Iterator<Item = u64>) -> u64 {
    amounts.fold(0, u64::saturating_add)
}

/// How many of the largest unused nodes it takes.
fn cover(demand: u64, in_use: &[Room], unused: &[Room], of: impl Fn(&Room) -> u64) -> Option<usize> {
    let mut missing = demand.saturating_sub(sum(in_use.iter().map(&of)));
    let mut sizes: Vec<u64> = unused.iter().map(of).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let mut taken = 0;
    while missing > 0 {
        missing = missing.saturating_sub(*sizes.get(taken)?);
        taken += 1;
    }
    Some(taken)
}

/// The bound L2 for bins of one size: for each threshold, items too large to share with one of it have a bin each, and what
/// the middle ones leave over is filled with the smaller ones. `None` when an item fits nowhere.
fn martello_toth(mut items: Vec<u64>, size: u64) -> Option<usize> {
    items.sort_unstable();
    if items.last().is_some_and(|largest| *largest > size) {
        return None;
    }
    // Sums of the first n items, so that each threshold costs a few binary searches.
    let sums: Vec<u64> = std::iter::once(0)
        .chain(items.iter().scan(0, |sum, item| {
            *sum = item.saturating_add(*sum);
            Some(*sum)
        }))
        .collect();
    let sum = |from: usize, to: usize| sums.get(to).copied().unwrap_or(0) - sums.get(from).copied().unwrap_or(0);
    let mut best = 0;
    let halves = items.partition_point(|item| *item * 2 <= size);
    for (index, threshold) in items.iter().take(halves).enumerate().filter(|(_, item)| **item > 0) {
        let small = items.get(..index).map_or(0, |below| below.partition_point(|item| item < threshold));
        let large = items.partition_point(|item| *item <= size - threshold);
        let (alone, middle) = (items.len() - large, large - halves);
        let room_beside = size.saturating_mul(middle as u64).saturating_sub(sum(halves, large));
        let missing = sum(small, halves).saturating_sub(room_beside);
        let more = usize::try_from(missing.div_ceil(size.max(1))).unwrap_or(usize::MAX);
        best = best.max(alone + middle + more);
    }
    // With a threshold of nothing: every item above one half has a bin of its own.
    Some(best.max(items.len() - halves))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(cpus: &[u64]) -> Vec<Amounts> {
        cpus.iter().map(|cpu| Amounts { cpu: *cpu, ..Amounts::default() }).collect()
    }

    fn nodes(cpus: &[u64]) -> Vec<Room> {
        pods(cpus).into_iter().map(|amounts| Room { amounts, pods: 4 }).collect()
    }

    #[test]
    fn no_packing_needs_fewer() {
        // (pods, in use, unused, bound)
        for (demand, in_use, unused, bound) in [
            (&[5, 5, 5][..], &[][..], &[10, 10, 10][..], Some(2)),
            (&[6, 6, 6], &[], &[10, 10, 10], Some(3)),
            (&[7, 7, 3, 3, 4], &[], &[10, 10, 10, 10], Some(3)),
            (&[6, 6, 5, 5, 5], &[], &[10, 10, 10, 10], Some(4)),
            (&[1, 1, 1, 1, 1], &[], &[10, 10], Some(2)),
            (&[5, 5, 5], &[12], &[4, 10], Some(1)),
            (&[5, 5], &[10], &[], Some(0)),
            (&[], &[], &[], Some(0)),
            (&[11], &[], &[10], None),
            (&[5, 5, 5], &[], &[10], None),
        ] {
            assert_eq!(
                unused_nodes(&pods(demand), &nodes(in_use), &nodes(unused)),
                bound,
                "{demand:?} {in_use:?} {unused:?}"
            );
        }
    }

    #[test]
    fn absurd_amounts_wrap_nowhere() {
        let absurd = 1 << 60;
        assert_eq!(unused_nodes(&pods(&[absurd; 32]), &[], &nodes(&[absurd])), None);
        assert_eq!(unused_nodes(&pods(&[absurd]), &nodes(&[absurd; 32]), &[]), Some(0));
    }
}
