//! What was planned: read from the annotation and the terms that the pod carries; where there is nothing, why.

use super::Evidence;
use crate::engine::{Engine, Facts, create_request};
use crate::packing::BY_AFFINITY;
use crate::patch::Patch;
use crate::policy::Profile;
use crate::policy::profile::Mode;
use crate::policy::selector::LabelSelector;
use crate::tree::{Node, escape};
use crate::workload::{PLACEMENT_ANNOTATION, PROFILE_ANNOTATION, Pod};

const HOSTNAME: &str = "kubernetes.io/hostname";

/// What was planned for a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Planned {
    /// To share one of these nodes, the best first, each with the weight of its term.
    Nodes(Vec<(String, i64)>),
    /// To share a node with pods that one of these selects.
    Mates(Vec<LabelSelector>),
    /// Nothing.
    Nothing,
}

impl Planned {
    /// Reads a pod.
    pub fn read(object: &Node<'_>) -> Planned {
        let pod = Pod::new("", object);
        let preferred = |affinity: &str| {
            let affinity = pod.spec().and_then(|spec| spec.path(&["affinity", affinity]));
            affinity.map(|a| a.items("preferredDuringSchedulingIgnoredDuringExecution")).unwrap_or_default()
        };
        match pod.annotation(PLACEMENT_ANNOTATION) {
            None => Planned::Nothing,
            Some(BY_AFFINITY) => Planned::Mates(
                preferred("podAffinity")
                    .iter()
                    .filter_map(|term| term.get("podAffinityTerm"))
                    .filter(|term| term.str("topologyKey") == Some(HOSTNAME))
                    .filter_map(|term| LabelSelector::from_node(term.get("labelSelector")?))
                    .collect(),
            ),
            Some(_) => {
                let mut nodes: Vec<_> = preferred("nodeAffinity").iter().filter_map(rung).collect();
                nodes.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
                Planned::Nodes(nodes)
            }
        }
    }

    /// The nodes that it names.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        let nodes = if let Planned::Nodes(nodes) = self { nodes.as_slice() } else { &[] };
        nodes.iter().map(|(node, _)| node.as_str())
    }

    pub(super) fn lines(&self, evidence: &Evidence<'_>) -> Vec<String> {
        match self {
            Planned::Nodes(nodes) if nodes.is_empty() => gone(evidence),
            Planned::Mates(selectors) if selectors.is_empty() => gone(evidence),
            Planned::Nodes(nodes) => {
                let mut lines =
                    vec!["to share one of these nodes, the best first (preferred, never required):".to_owned()];
                lines.extend(nodes.chunk_by(|(_, one), (_, next)| one == next).map(|nodes| {
                    let names: Vec<&str> = nodes.iter().map(|(node, _)| node.as_str()).collect();
                    format!("{}  weight {}", names.join(", "), nodes[0].1)
                }));
                lines
            }
            Planned::Mates(selectors) => {
                let to = selectors.iter().map(words).collect::<Vec<_>>().join(", or ");
                vec![
                    format!("to share a node with pods with {to} (preferred podAffinity)"),
                    "No nodes are named: the webhook had no view of them, or could not use it for this pod.".to_owned(),
                ]
            }
            Planned::Nothing => why_nothing(evidence),
        }
    }
}

/// The annotation is there, and no term of what it speaks of: whoever copied or changed the pod left them out.
fn gone(evidence: &Evidence<'_>) -> Vec<String> {
    let said = Pod::new("", evidence.pod).annotation(PLACEMENT_ANNOTATION).unwrap_or_default();
    vec![format!("nothing that counts: annotation {PLACEMENT_ANNOTATION} says {said}, and the pod has no such term")]
}

/// One preferred node term of ours: a single node by name.
fn rung(term: &Node<'_>) -> Option<(String, i64)> {
    let [field] = term.get("preference")?.items("matchFields") else { return None };
    let [name] = field.items("values") else { return None };
    let weight = match term.get("weight") {
        Some(Node::Number(weight)) => weight.as_i64().unwrap_or_default(),
        _ => 0,
    };
    (field.str("key") == Some("metadata.name")).then(|| Some((name.as_str()?.to_owned(), weight)))?
}

/// "batchjobs-group=night".
fn words(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
    let keys = selector.match_expressions.iter().map(|requirement| requirement.key.clone());
    let all: Vec<String> = labels.chain(keys).collect();
    if all.is_empty() { "any labels".to_owned() } else { all.join(" and ") }
}

fn why_nothing(evidence: &Evidence<'_>) -> Vec<String> {
    let mut lines = vec!["nothing".to_owned()];
    let pod = Pod::new("", evidence.pod);
    let profiles = evidence.policies.profiles();
    // Labels that controllers add to the pod may change what matches.
    let sent = evidence.sent.map_or(pod, |(sent, _)| Pod::new("", sent));
    let (matching, others): (Vec<&Profile>, Vec<&Profile>) =
        profiles.iter().partition(|profile| profile.serves(evidence.namespace) && profile.matches(&sent));
    if matching.is_empty() {
        lines.extend(others.iter().map(|profile| mismatch(profile, evidence, &sent)));
        if others.is_empty() {
            lines.push("There is no PodProfile.".to_owned());
        }
        return lines;
    }
    let names = matching.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ");
    if pod.annotation(PROFILE_ANNOTATION).is_none() {
        lines.push(format!(
            "PodProfile {names} matches it and added nothing: the webhook was away when the pod was made (failurePolicy Ignore), or came later."
        ));
    } else if matching.iter().all(|profile| profile.spec.placement.mode != Mode::Pack) {
        lines.push(format!("PodProfile {names} does not pack (placement.mode)."));
    } else {
        lines.extend(unpacked(evidence, &pod, &names));
    }
    lines
}

fn mismatch(profile: &Profile, evidence: &Evidence<'_>, sent: &Pod<'_>) -> String {
    let missing = |selector: &LabelSelector, label: &dyn Fn(&str) -> Option<String>| {
        let lacks = selector.match_labels.iter().filter(|(key, value)| label(key).as_ref() != Some(*value));
        let lacks: Vec<String> = lacks.map(|(key, value)| format!("{key}={value}")).collect();
        if lacks.is_empty() { "what its expressions ask for".to_owned() } else { lacks.join(", ") }
    };
    let name = &profile.name;
    if !profile.serves(evidence.namespace) {
        let labels = &evidence.namespace.labels;
        let lacks = missing(&profile.spec.matches.namespace_selector, &|key| labels.get(key).cloned());
        return format!("PodProfile {name} does not serve namespace {}: it lacks {lacks}.", evidence.namespace.name);
    }
    let lacks = missing(&profile.spec.matches.pod_selector, &|key| sent.label(key).map(str::to_owned));
    format!("PodProfile {name} does not match the pod: its template lacks {lacks}.")
}

/// A pod that a packing profile equipped, and did not pack.
fn unpacked(evidence: &Evidence<'_>, pod: &Pod<'_>, names: &str) -> Vec<String> {
    let scheduler = pod.spec().and_then(|spec| spec.str("schedulerName")).unwrap_or("default-scheduler");
    if scheduler != "default-scheduler" {
        return vec![format!("It is placed by scheduler {scheduler}.")];
    }
    let Some((sent, username)) = evidence.sent else {
        return vec![format!(
            "PodProfile {names} left its placement to the author's own terms, or every node was closed to it."
        )];
    };
    let mut request = create_request(sent.clone(), &evidence.namespace.name);
    request.username = username.into();
    let facts = Facts { namespace: evidence.namespace, policies: evidence.policies, now: evidence.now, packing: None };
    let Ok(outcome) = Engine::default().mutate(&request, facts) else { return Vec::new() };
    if outcome.mutators.contains(&"placement") && outcome.warnings.is_empty() && packs(&outcome.patch) {
        return vec![
            "Every node was closed to it: full, tainted, or about to go. One that does not exist yet cannot be named."
                .to_owned(),
        ];
    }
    if outcome.warnings.is_empty() {
        return vec!["Its author keeps such pods apart, or wrote terms that cannot be added to.".to_owned()];
    }
    outcome.warnings
}

/// Whether the patch has a term that packs.
fn packs(patch: &Patch) -> bool {
    let key = escape(PLACEMENT_ANNOTATION);
    patch.paths().is_ok_and(|paths| paths.iter().any(|path| path.contains(&*key)))
}
