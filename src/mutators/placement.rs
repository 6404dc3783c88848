//! Where a pod should run: packed with its mates, or spread; the nodes it needs; left alone until it has ended.
//!
//! With a view of the cluster, packing is a ladder of preferred node terms; which nodes those are is decided in packing/.
//! Without, it is a preferred podAffinity to pods of the same group on the same node. Never both: when the mates sit elsewhere,
//! the scheduler follows them and not the ladder.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{Stowing, map, text};
use crate::facts::Namespace;
use crate::packing::{self, BY_AFFINITY, NodeSelector, Options, Packed, Plan, Reason};
use crate::patch::EditError;
use crate::policy::profile::{Mode, Profile, Toleration};
use crate::policy::selector::LabelSelector;
use crate::tree::Node;
use crate::workload::{LONGEST_NAME, PLACEMENT_ANNOTATION, Pod};

const HOSTNAME: &str = "kubernetes.io/hostname";

const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

const NODE_TERMS: [&str; 4] = ["spec", "affinity", "nodeAffinity", PREFERRED];

const POD_TERMS: [&str; 4] = ["spec", "affinity", "podAffinity", PREFERRED];

/// Autoscalers that would move a running pod to empty its node ask these first.
const RUN_TO_COMPLETION: [(&str, &str); 2] =
    [("karpenter.sh/do-not-disrupt", "true"), ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")];

pub(super) fn apply(stowing: &mut Stowing<'_, '_>) -> Result<(), EditError> {
    let profile = stowing.profile;
    node_selector(stowing, profile)?;
    tolerations(stowing, profile)?;
    if profile.spec.placement.run_to_completion {
        stowing.annotate(RUN_TO_COMPLETION)?;
    }
    // Once written, placement stays: on reinvocation the pod carries our own term.
    if stowing.pod().annotation(PLACEMENT_ANNOTATION).is_some() {
        return Ok(());
    }
    match profile.spec.placement.mode {
        Mode::Pack => {
            stowing.packed = Some(pack(stowing, profile)?);
            Ok(())
        }
        Mode::Spread => spread(stowing, profile),
        Mode::None => Ok(()),
    }
}

fn node_selector<'t>(stowing: &mut Stowing<'_, 't>, profile: &'t Profile) -> Result<(), EditError> {
    let own = stowing.pod().spec().is_some_and(|spec| spec.entries("nodeSelector").next().is_some());
    // The kubelet of a node that was chosen already refuses a pod that asks for another.
    let is_bound = stowing.pod().spec().is_some_and(|spec| spec.str("nodeName").is_some_and(|name| !name.is_empty()));
    // Server-side apply replaces this map as a whole, so it is treated like such a list.
    if is_bound || own && stowing.author == super::Author::Person {
        return Ok(());
    }
    let spec = stowing.pod().spec();
    let wanted = profile.spec.placement.node_selector.iter();
    let missing = wanted.filter(|(key, _)| spec.and_then(|spec| spec.path(&["nodeSelector", key])).is_none());
    let missing: Vec<_> = missing.map(|(key, value)| (key.as_str(), text(value))).collect();
    let path = stowing.path(["spec", "nodeSelector"]);
    stowing.editor.add_members(&path, missing)
}

fn tolerations<'t>(stowing: &mut Stowing<'_, 't>, profile: &'t Profile) -> Result<(), EditError> {
    let path = stowing.path(["spec", "tolerations"]);
    let allowed = stowing.author == super::Author::Controller || {
        let list = stowing.editor.tree().at(&path).and_then(Node::as_array).unwrap_or_default();
        list.iter().all(is_default_toleration)
    };
    if !allowed {
        return Ok(());
    }
    for toleration in &profile.spec.placement.tolerations {
        let list = stowing.editor.tree().at(&path).and_then(Node::as_array).unwrap_or_default();
        if !list.iter().any(|own| is_same(own, toleration)) {
            stowing.editor.append(&path, serde_json::to_value(toleration).unwrap_or_default())?;
        }
    }
    Ok(())
}

/// One of the two that the DefaultTolerationSeconds plugin gives every pod before a webhook sees it: not the author's.
fn is_default_toleration(node: &Node<'_>) -> bool {
    let key = node.str("key").unwrap_or_default();
    matches!(key, "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable")
        && node.str("effect") == Some("NoExecute")
        && node.get("tolerationSeconds").is_some_and(|seconds| seconds.equals(&json!(300)))
}

fn is_same(own: &Node<'_>, wanted: &Toleration) -> bool {
    let operator = |text: Option<&str>| text.unwrap_or("Equal").to_owned();
    let wanted = serde_json::to_value(wanted).unwrap_or_default();
    let field = |key: &str| wanted.get(key).and_then(Value::as_str);
    operator(own.str("operator")) == operator(field("operator"))
        && ["key", "value", "effect"]
            .iter()
            .all(|key| own.str(key).unwrap_or_default() == field(key).unwrap_or_default())
}

fn pack<'t>(stowing: &mut Stowing<'_, 't>, profile: &'t Profile) -> Result<Packed, EditError> {
    let (redundant, against) = {
        let pod = stowing.pod();
        let group = group(&pod, &profile.spec.placement.group_by);
        (group.and_then(|(key, _)| own_term(&pod, key)), keeps_apart(&pod))
    };
    if against {
        return Ok(Packed::Nothing(Reason::Apart));
    }
    if let Some(key) = redundant {
        stowing.warnings.push(format!(
            "redundant-affinity: the preferred podAffinity on {key} can go, profile {} packs these pods",
            profile.name
        ));
        return Ok(Packed::Nothing(Reason::Author));
    }
    let reason = match plan(stowing, profile) {
        Plan::Ladder(ladder) => {
            // Without its annotation, another call would place the pod once more.
            if !stowing.has_room(PLACEMENT_ANNOTATION, LONGEST_NAME) {
                return Ok(Packed::Nothing(Reason::Annotations));
            }
            let path = stowing.path(NODE_TERMS);
            for term in ladder.terms {
                stowing.editor.append(&path, term)?;
            }
            stowing.annotate([(PLACEMENT_ANNOTATION, ladder.reservation.node.to_string())])?;
            stowing.reservation = Some(ladder.reservation);
            return Ok(Packed::Ladder);
        }
        Plan::Nothing => return Ok(Packed::Nothing(Reason::Closed)),
        Plan::Affinity(reason) => reason,
    };
    let Some(term) = packing_term(&stowing.pod(), profile) else { return Ok(Packed::Nothing(Reason::Group)) };
    let path = stowing.path(POD_TERMS);
    if !stowing.may_append(&path) {
        return Ok(Packed::Nothing(Reason::Author));
    }
    if !stowing.has_room(PLACEMENT_ANNOTATION, BY_AFFINITY.len()) {
        return Ok(Packed::Nothing(Reason::Annotations));
    }
    stowing.editor.append(&path, term)?;
    stowing.annotate([(PLACEMENT_ANNOTATION, BY_AFFINITY)])?;
    Ok(Packed::Affinity(reason))
}

/// By podAffinity also when there is nothing to plan with, or nowhere to write the terms.
fn plan(stowing: &Stowing<'_, '_>, profile: &Profile) -> Plan {
    let Some(view) = stowing.packing else { return Plan::Affinity(Reason::NoView) };
    let pod = stowing.pod();
    if !stowing.may_append(&stowing.path(NODE_TERMS)) || follows_mates(&pod) {
        return Plan::Affinity(Reason::Author);
    }
    let placement = &profile.spec.placement;
    let options = Options {
        namespace: &stowing.namespace.name,
        profiles: &super::names(profile),
        group: group(&pod, &placement.group_by).map(|(_, value)| value),
        neighbours: placement.neighbours,
        max_per_node: placement.max_per_node,
        karpenter: view.karpenter,
        volumes: &volumes(&pod, stowing.namespace),
    };
    let (snapshot, ledger) = view.state.get();
    packing::plan(&pod, snapshot, ledger, view.lifetimes, &options, view.now)
}

/// The node affinities of the volumes that the pod claims, as far as they are known.
fn volumes(pod: &Pod<'_>, namespace: &Namespace) -> Vec<NodeSelector> {
    let claims = namespace.claims.as_deref().unwrap_or_default();
    let listed = pod.spec().map(|spec| spec.items("volumes")).unwrap_or_default().iter();
    let names = listed.filter_map(|volume| volume.get("persistentVolumeClaim")?.str("claimName"));
    let claimed = names.filter_map(|name| claims.iter().find(|claim| claim.name == name));
    let affinities = claimed.filter_map(|claim| claim.node_affinity.clone());
    affinities.map(|affinity| NodeSelector::read(&Node::from(affinity))).collect()
}

/// The term that packs a pod; `None` when nothing says which pods belong together.
fn packing_term<'p>(pod: &Pod<'_>, profile: &'p Profile) -> Option<Node<'p>> {
    let selector = match group(pod, &profile.spec.placement.group_by) {
        Some((key, value)) => by_label(key, value),
        // No group: all pods of the profile belong together.
        None if !profile.spec.matches.pod_selector.is_empty() => {
            serde_json::to_value(&profile.spec.matches.pod_selector).ok()?.into()
        }
        None => return None,
    };
    let term = map([("labelSelector", selector), ("topologyKey", Node::String(Cow::Borrowed(HOSTNAME)))]);
    Some(map([("podAffinityTerm", term), ("weight", Node::Number(100.into()))]))
}

/// A selector of one label.
fn by_label<'k>(key: &'k str, value: &str) -> Node<'k> {
    let labels = [(Cow::Borrowed(key), Node::String(Cow::Owned(value.to_owned())))];
    map([("matchLabels", Node::Object(labels.into_iter().collect()))])
}

/// The first of the labels that the pod has.
fn group<'t, 'k>(pod: &Pod<'t>, keys: &'k [String]) -> Option<(&'k str, &'t str)> {
    keys.iter().find_map(|key| Some((key.as_str(), pod.label(key)?)))
}

/// The group's label, when the author's own preferred terms already draw the pod to its mates on a node.
fn own_term<'k>(pod: &Pod<'_>, key: &'k str) -> Option<&'k str> {
    let terms = pod.spec()?.path(&["affinity", "podAffinity"])?.items(PREFERRED);
    let packs =
        terms.iter().filter_map(|term| term.get("podAffinityTerm")).any(|term| selects_itself(pod, term, Some(key)));
    packs.then_some(key)
}

/// Whether the author draws pods like this one to each other's nodes.
fn follows_mates(pod: &Pod<'_>) -> bool {
    let Some(affinity) = pod.spec().and_then(|spec| spec.path(&["affinity", "podAffinity"])) else { return false };
    terms(affinity).any(|term| selects_itself(pod, term, None))
}

/// The terms of a podAffinity or podAntiAffinity, required and preferred ones.
fn terms<'n, 't>(affinity: &'n Node<'t>) -> impl Iterator<Item = &'n Node<'t>> {
    let required = affinity.items("requiredDuringSchedulingIgnoredDuringExecution").iter();
    let preferred = affinity.items(PREFERRED).iter();
    required.chain(preferred.filter_map(|term| term.get("podAffinityTerm")))
}

/// Whether the author keeps pods like this one on different nodes: by anti-affinity, or by spreading them over nodes.
fn keeps_apart(pod: &Pod<'_>) -> bool {
    let Some(spec) = pod.spec() else { return false };
    if spec.items("topologySpreadConstraints").iter().any(|constraint| selects_itself(pod, constraint, None)) {
        return true;
    }
    let Some(anti) = spec.path(&["affinity", "podAntiAffinity"]) else { return false };
    terms(anti).any(|term| selects_itself(pod, term, None))
}

/// Whether a pod affinity term (or spread constraint) on the node's name selects pods with this pod's labels, by label `key` where one is given.
fn selects_itself(pod: &Pod<'_>, term: &Node<'_>, key: Option<&str>) -> bool {
    let Some(selector) = term.get("labelSelector").and_then(LabelSelector::from_node) else { return false };
    term.str("topologyKey") == Some(HOSTNAME)
        && key.is_none_or(|key| selector.mentions(key))
        && selector.matches(|key| pod.label(key))
}

fn spread(stowing: &mut Stowing<'_, '_>, profile: &Profile) -> Result<(), EditError> {
    let spread = &profile.spec.placement.spread;
    let path = stowing.path(["spec", "topologySpreadConstraints"]);
    let constraints: Vec<Value> = {
        let pod = stowing.pod();
        let selector = match group(&pod, &spread.by) {
            Some((key, value)) => by_label(key, value),
            None => serde_json::to_value(&profile.spec.matches.pod_selector).unwrap_or_default().into(),
        };
        let own = pod.spec().map(|spec| spec.items("topologySpreadConstraints")).unwrap_or_default();
        let keys = spread.topology_keys.iter().filter(|key| !own.iter().any(|own| own.str("topologyKey") == Some(key)));
        keys.map(|key| json!({"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector})).collect()
    };
    // Merged by topologyKey when a manifest is applied again, so it may be appended to, whoever wrote it.
    constraints.into_iter().try_for_each(|constraint| stowing.editor.append(&path, constraint))
}
