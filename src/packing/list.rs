//! kube-scheduler's list of nodes, as far as it can be guessed, and an order of nodes that is spread evenly over it.
//!
//! With more than 100 nodes to choose from the scheduler looks for each pod at a stretch of its list (42 % of 1,000 nodes, 10 % of
//! 5,000), and for the next pod at the next one. A pod can follow us only where its stretch holds a node that we named and that has
//! room. So nodes had better be taken into use at even distances: in the model 400 pods, sixty of them planned ahead, take 63 of 1,000
//! nodes and 69 of 5,000 so, and 64 and 99 where the list is another one (docs/packing.md).
//!
//! The list (nodeTree of the scheduler's cache) has one node of each zone by turns, in a zone in the order in which they came. Nodes
//! that are made while the scheduler runs come as they are made. Those that were there before came by name up to Kubernetes 1.34; from
//! 1.35 on they come in the order of a Go map, which nobody knows. Guessed is: as they were made, those of a second by name. Where that is
//! wrong, this order is as good as any other that does not know the list.

use std::collections::HashMap;

use super::seen::NodeSeen;

/// 2^32 over the golden ratio: multiples of it, taken modulo 2^32, keep apart as well as they can, however many there are.
const GOLDEN: u32 = 0x9e37_79b9;

/// For each place a number; nodes in the order of these numbers stand far from each other in the scheduler's list. The same for all
/// replicas, so that they take the same nodes into use.
pub(super) fn spread(mut nodes: Vec<(u32, &NodeSeen)>) -> Vec<u32> {
    nodes.sort_unstable_by(|(_, a), (_, b)| (a.created, &a.name).cmp(&(b.created, &b.name)));
    // Each zone's turn, and how many of its nodes there were.
    let mut zones: HashMap<[Option<&str>; 2], (usize, usize)> = HashMap::new();
    let mut list: Vec<(usize, usize, u32)> = Vec::with_capacity(nodes.len());
    for (place, node) in nodes {
        let turn = zones.len();
        let (turn, before) = zones.entry(node.zone()).or_insert((turn, 0));
        list.push((*before, *turn, place));
        *before += 1;
    }
    list.sort_unstable();
    let places = list.iter().map(|(.., place)| *place as usize + 1).max().unwrap_or(0);
    let mut spread = vec![u32::MAX; places];
    let mut next = 0_u32;
    for (.., place) in list {
        if let Some(number) = spread.get_mut(place as usize) {
            *number = next;
        }
        next = next.wrapping_add(GOLDEN);
    }
    spread
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tree::Node;

    fn node(name: &str, zone: &str, created: &str) -> NodeSeen {
        let labels = json!({"topology.kubernetes.io/zone": zone});
        let node = json!({"metadata": {"name": name, "labels": labels, "creationTimestamp": created}});
        NodeSeen::read(&Node::from(node)).unwrap()
    }

    /// The places in the order in which they are taken into use.
    fn order(nodes: &[NodeSeen]) -> Vec<usize> {
        let spread = spread((0..).zip(nodes).collect());
        let mut places: Vec<usize> = (0..nodes.len()).collect();
        places.sort_by_key(|place| spread[*place]);
        places
    }

    #[test]
    fn the_first_of_them_stand_at_even_distances() {
        for count in [120, 500, 610, 987, 1_000, 5_000] {
            let nodes: Vec<_> =
                (0..count).map(|index| node(&format!("n{index:04}"), "a", "2026-01-01T00:00:00Z")).collect();
            let order = order(&nodes);
            for first in [5, 8, 13, 30] {
                let mut taken = order[..first].to_vec();
                taken.sort_unstable();
                let gaps = taken.iter().zip(taken.iter().cycle().skip(1)).map(|(a, b)| (b + count - a - 1) % count + 1);
                let widest = gaps.max().unwrap();
                assert!(widest * first <= 3 * count, "{first} of {count}: {widest} without one");
            }
        }
    }

    /// As `nodeTree.list` has it.
    #[test]
    fn zones_take_turns_and_in_a_zone_the_oldest_comes_first() {
        let nodes = [
            node("d", "b", "2026-01-01T00:00:09Z"),
            node("c", "a", "2026-01-01T00:00:09Z"),
            node("b", "a", "2026-01-01T00:00:01Z"),
            node("a", "b", "2026-01-01T00:00:05Z"),
            node("e", "a", "2026-01-01T00:00:09Z"),
        ];
        let spread = spread((0..).zip(&nodes).collect());
        let mut list: Vec<_> = (0..nodes.len()).collect();
        list.sort_by_key(|place| (0..5).position(|rank: u32| rank.wrapping_mul(GOLDEN) == spread[*place]));
        assert_eq!(list.iter().map(|place| &*nodes[*place].name).collect::<Vec<_>>(), ["b", "a", "c", "d", "e"]);
    }
}
