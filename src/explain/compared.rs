//! Whether the scheduler did what was planned, and what speaks against the nodes that it passed over.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Evidence, Planned, count, metadata, of_kind};
use crate::packing::{Closed, Lifetimes, Needs, NodeSeen, PodSeen, Shut, Store};
use crate::policy::profile::Mode;
use crate::policy::selector::LabelSelector;
use crate::tree::Node;
use crate::workload::{PROFILE_ANNOTATION, Pod};

/// Nobody reads on after these.
const MOST_NODES: usize = 8;

pub(super) fn lines(evidence: &Evidence<'_>, planned: &Planned) -> Vec<String> {
    let bound = evidence.pod.path(&["spec", "nodeName"]).and_then(Node::as_str).filter(|node| !node.is_empty());
    match planned {
        Planned::Nothing => Vec::new(),
        Planned::Nodes(nodes) if nodes.is_empty() => Vec::new(),
        Planned::Mates(selectors) if selectors.is_empty() => Vec::new(),
        Planned::Nodes(nodes) => {
            let names: Vec<&str> = nodes.iter().map(|(node, _)| node.as_str()).collect();
            let place = bound.and_then(|bound| names.iter().position(|node| *node == bound));
            let (first, passed) = match (bound, place) {
                (_, Some(0)) => ("as planned: it is on the first choice".to_owned(), 0),
                (_, Some(place)) => (format!("it is on choice {} of {}", place + 1, names.len()), place),
                (Some(_), None) => ("it is on none of the nodes that were planned".to_owned(), names.len()),
                (None, None) => ("none of the nodes that were planned has taken it".to_owned(), names.len()),
            };
            let mut lines = vec![first];
            lines.extend(against(evidence, &names[..passed], bound.is_some()));
            lines
        }
        Planned::Mates(selectors) => mates(evidence, selectors, bound),
    }
}

fn mates(evidence: &Evidence<'_>, selectors: &[LabelSelector], bound: Option<&str>) -> Vec<String> {
    // By name, as somebody may have given the same documents twice.
    let mates: BTreeMap<&str, &str> = of_kind(evidence, "Pod")
        .filter(|pod| is_mate(evidence.pod, pod, selectors))
        .filter_map(|pod| Some((metadata(pod, "name"), pod.path(&["spec", "nodeName"])?.as_str()?)))
        .filter(|(_, node)| !node.is_empty())
        .collect();
    let mut nodes: BTreeMap<&str, usize> = BTreeMap::new();
    for node in mates.into_values() {
        *nodes.entry(node).or_default() += 1;
    }
    let all: usize = nodes.values().sum();
    let here = bound.and_then(|bound| nodes.remove(bound)).unwrap_or_default();
    if all == 0 {
        return vec!["no pod of its group is on a node now: it is the first, or the others have ended".to_owned()];
    }
    if here > 0 {
        return vec![format!("as planned: {here} of {} of its group that run now are on this node", count(all, "pod"))];
    }
    let mut lines = vec![format!("{} of its group run now, none of them on its node", count(all, "pod"))];
    let mut nodes: Vec<(&str, usize)> = nodes.into_iter().collect();
    nodes.sort_by_key(|(_, pods)| std::cmp::Reverse(*pods));
    let names: Vec<&str> = nodes.into_iter().map(|(node, _)| node).collect();
    lines.extend(against(evidence, &names, bound.is_some()));
    lines
}

fn is_mate(pod: &Node<'_>, other: &Node<'_>, selectors: &[LabelSelector]) -> bool {
    let ended = matches!(other.path(&["status", "phase"]).and_then(Node::as_str), Some("Succeeded" | "Failed"));
    let labels = Pod::new("", other);
    !ended
        && metadata(other, "namespace") == metadata(pod, "namespace")
        && metadata(other, "name") != metadata(pod, "name")
        && selectors.iter().any(|selector| selector.matches(|key| labels.label(key)))
}

/// What speaks against the first of these nodes, as they are now, and how many others there are.
fn against(evidence: &Evidence<'_>, names: &[&str], bound: bool) -> Vec<String> {
    let pod = Pod::new("", evidence.pod);
    let nodes: BTreeMap<String, NodeSeen> =
        of_kind(evidence, "Node").filter_map(NodeSeen::read).map(|node| (node.name.to_string(), node)).collect();
    if nodes.is_empty() {
        return vec!["The nodes are not known, so nothing can be said of them.".to_owned()];
    }
    let mut store = Store::default();
    for node in nodes.values() {
        store.apply_node(node.clone());
    }
    let others = of_kind(evidence, "Pod").filter(|other| {
        (metadata(other, "namespace"), metadata(other, "name"))
            != (metadata(evidence.pod, "namespace"), metadata(evidence.pod, "name"))
    });
    for other in others.filter_map(|other| PodSeen::read(other, &[])).filter(|other| other.node.is_some()) {
        store.apply_pod(other, &Lifetimes::default());
    }
    let snapshot = store.snapshot(evidence.now);
    let needs = needs(evidence, &pod);
    let mut open = false;
    let (shown, others) = names.split_at(names.len().min(MOST_NODES));
    let mut lines: Vec<String> = shown
        .iter()
        .map(|name| match (nodes.get(*name), snapshot.load(name)) {
            (Some(node), Some(load)) => {
                let closed = needs.closed(node, load);
                open |= closed.is_none();
                format!("{name}: {}", closed.map_or("would take it now", words))
            }
            _ => format!("{name}: is gone"),
        })
        .collect();
    if !others.is_empty() {
        lines.push(format!("and {} more", others.len()));
    }
    if open && bound {
        lines.push(
            "What would take it now may have been full then, or was not looked at: the scheduler scores a part of the nodes \
             when more than 100 could take a pod."
                .to_owned(),
        );
    }
    lines
}

/// What it needs of a node, and what its profile asks for.
fn needs(evidence: &Evidence<'_>, pod: &Pod<'_>) -> Needs {
    let needs = Needs::of(pod, &[]);
    let Some(names) = pod.annotation(PROFILE_ANNOTATION) else { return needs };
    let mut packing = evidence.policies.profiles().iter().filter(|profile| {
        profile.spec.placement.mode == Mode::Pack && names.split(',').any(|name| name == profile.name)
    });
    let Some(placement) = packing.next().map(|profile| &profile.spec.placement) else { return needs };
    needs.under(&Arc::from(names), placement.neighbours, placement.max_per_node)
}

fn words(closed: Closed) -> &'static str {
    match closed {
        Closed::Taint => "has a taint that the pod does not tolerate",
        Closed::Affinity => "is not what its nodeSelector or required affinity asks for",
        Closed::Room => "has no room for it now",
        Closed::Port => "has its host port taken",
        Closed::Shut(Shut::Unschedulable) => "is cordoned",
        Closed::Shut(Shut::NotReady) => "is not Ready",
        Closed::Shut(Shut::Pressure) => "is short of memory, disk, process ids or network",
        Closed::Shut(Shut::Leaving) => "is about to be removed",
        Closed::PreferNoSchedule => {
            "has a PreferNoSchedule taint that it does not tolerate, which outweighs every hint"
        }
        Closed::MaxPerNode => "has as many of these pods as the profile allows (maxPerNode)",
        Closed::Neighbours => "runs other things than scans, which the profile does not want (neighbours)",
    }
}
