//! placement, and what is said of packing without a view of the cluster.

use serde_json::{Value, json};

use crate::support::*;

const TERMS: &str = "/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution";

fn pack() -> World {
    World::new(&[r"
kind: PodProfile
metadata: {name: scan}
spec:
  match: {podSelector: {matchLabels: {app.kubernetes.io/component: scan}}}
  placement: {mode: Pack, groupBy: [batchjobs-group, jobs-group]}
"])
}

#[track_caller]
fn terms(world: &World, pod: &Value) -> Value {
    let answer = world.mutate(&Review::create(pod.clone()).by(JOB_CONTROLLER));
    answer.applied_to(pod).pointer(TERMS).cloned().unwrap_or(Value::Null)
}

fn term(selector: Value) -> Value {
    json!({"weight": 100, "podAffinityTerm": {"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}})
}

/// "groupBy: the first label that the pod has; pods with the same value belong together"
#[test]
fn the_first_group_label_that_a_pod_has_counts() {
    let labelled = |labels: Value| with(scan_pod(), "/metadata/labels", labels);
    let scan = "app.kubernetes.io/component";
    let both = labelled(json!({scan: "scan", "jobs-group": "b", "batchjobs-group": "a"}));
    assert_eq!(terms(&pack(), &both), json!([term(json!({"matchLabels": {"batchjobs-group": "a"}}))]));
    let second = labelled(json!({scan: "scan", "jobs-group": "b"}));
    assert_eq!(terms(&pack(), &second), json!([term(json!({"matchLabels": {"jobs-group": "b"}}))]));
    // An empty value is a value.
    let empty = labelled(json!({scan: "scan", "jobs-group": "b", "batchjobs-group": ""}));
    assert_eq!(terms(&pack(), &empty), json!([term(json!({"matchLabels": {"batchjobs-group": ""}}))]));
    // No group: all pods of the profile.
    let none = labelled(json!({scan: "scan"}));
    assert_eq!(terms(&pack(), &none), json!([term(json!({"matchLabels": {scan: "scan"}}))]));
}

/// "Never a required term."
#[test]
fn nothing_is_ever_required() {
    let answer = pack().mutate(&Review::create(scan_pod()).by(JOB_CONTROLLER));
    assert!(!answer.patch.to_string().contains("required"), "{}", answer.patch);
}

/// "When the author's own preferred hostname podAffinity selects the group ..., no ladder: his term packs, and warning
/// `redundant-affinity` says he can drop it."
#[test]
fn an_authors_own_term_packs() {
    for (group, selector) in [
        ("batchjobs-group", json!({"matchLabels": {"batchjobs-group": "nightly"}})),
        ("jobs-group", json!({"matchLabels": {"jobs-group": "nightly"}})),
        (
            "jobs-group",
            json!({"matchExpressions": [{"key": "jobs-group", "operator": "In", "values": ["x", "nightly"]}]}),
        ),
        ("jobs-group", json!({"matchExpressions": [{"key": "jobs-group", "operator": "Exists"}]})),
    ] {
        let own = json!([term(selector.clone())]);
        let pod =
            with(scan_pod(), "/metadata/labels", json!({"app.kubernetes.io/component": "scan", group: "nightly"}));
        let pod = with(pod, TERMS, own.clone());
        let answer = pack().mutate(&Review::create(pod.clone()).by(JOB_CONTROLLER));
        assert_eq!(answer.applied_to(&pod).pointer(TERMS), Some(&own), "{selector}");
        assert_eq!(answer.warnings().len(), 1, "{selector}");
        assert!(answer.warnings()[0].starts_with(&format!("redundant-affinity: the preferred podAffinity on {group}")));
    }
}

/// A term that draws to other pods, or to another topology, does not pack: ours comes after it.
#[test]
fn a_term_that_does_not_pack_is_kept_and_ours_follows() {
    let other_group = term(json!({"matchLabels": {"batchjobs-group": "weekly"}}));
    let zone = json!({"weight": 100, "podAffinityTerm": {"labelSelector": {"matchLabels": {"batchjobs-group": "nightly"}}, "topologyKey": "topology.kubernetes.io/zone"}});
    let not_in =
        term(json!({"matchExpressions": [{"key": "batchjobs-group", "operator": "NotIn", "values": ["nightly"]}]}));
    for own in [other_group, zone, not_in] {
        let pod = with(scan_pod(), TERMS, json!([own]));
        let terms = terms(&pack(), &pod);
        assert_eq!(terms[0], own);
        assert_eq!(terms[1], term(json!({"matchLabels": {"batchjobs-group": "nightly"}})));
    }
}

/// "Never overwrite what the author wrote": who keeps his pods apart is not packed.
#[test]
fn pods_that_the_author_keeps_apart_are_not_packed() {
    let apart = json!({"labelSelector": {"matchLabels": {"batchjobs-group": "nightly"}}, "topologyKey": "kubernetes.io/hostname"});
    let required = with(
        scan_pod(),
        "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution",
        json!([apart]),
    );
    let preferred = with(
        scan_pod(),
        "/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution",
        json!([{"weight": 1, "podAffinityTerm": apart}]),
    );
    let spread = with(
        scan_pod(),
        "/spec/topologySpreadConstraints",
        json!([{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"batchjobs-group": "nightly"}}}]),
    );
    for pod in [required, preferred, spread] {
        assert_eq!(terms(&pack(), &pod), Value::Null);
    }
    // Apart from others is not apart from one's own.
    let others =
        json!({"labelSelector": {"matchLabels": {"app": "database"}}, "topologyKey": "kubernetes.io/hostname"});
    let pod = with(
        scan_pod(),
        "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution",
        json!([others]),
    );
    assert_eq!(terms(&pack(), &pod).as_array().unwrap().len(), 1);
}

/// "topologySpreadConstraints (Spread): added only for a topologyKey that has none"
#[test]
fn spread_adds_what_is_missing() {
    let world = World::new(&[r"
kind: PodProfile
spec:
  match: {podSelector: {matchLabels: {app.kubernetes.io/component: scan}}}
  placement: {mode: Spread, spread: {topologyKeys: [topology.kubernetes.io/zone, kubernetes.io/hostname], by: [batchjobs-group]}}
"]);
    let own = json!({"maxSkew": 5, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"});
    let pod = with(scan_pod(), "/spec/topologySpreadConstraints", json!([own]));
    let review = Review::create(pod);
    let stored = world.mutate(&review).applied_to(&review.object);
    assert_eq!(
        stored["spec"]["topologySpreadConstraints"],
        json!([own, {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"batchjobs-group": "nightly"}}}])
    );
    assert_eq!(stored.pointer(TERMS), None);
    assert_eq!(world.mutate(&Review { object: stored, ..review }).patch, json!([]));
}

/// toleration, nodeSelector key: "kept"
#[test]
fn tolerations_and_node_labels_that_are_there_are_kept() {
    let world = World::new(&[r#"
kind: PodProfile
spec:
  match: {}
  placement:
    nodeSelector: {pool: scans, arch: arm64}
    tolerations: [{key: scans, value: "true", effect: NoSchedule}, {operator: Exists, effect: NoExecute}]
"#]);
    let pod = with(scan_pod(), "/spec/nodeSelector/pool", json!("mine"));
    // Another operator's spelling of the same toleration.
    let pod = with(
        pod,
        "/spec/tolerations/-",
        json!({"key": "scans", "operator": "Equal", "value": "true", "effect": "NoSchedule"}),
    );
    let stored = world.mutate(&Review::create(pod.clone()).by(JOB_CONTROLLER)).applied_to(&pod);
    assert_eq!(stored["spec"]["nodeSelector"], json!({"pool": "mine", "arch": "arm64"}));
    let own = pod["spec"]["tolerations"].as_array().unwrap();
    assert_eq!(stored["spec"]["tolerations"].as_array().unwrap()[..own.len()], own[..]);
    assert_eq!(stored["spec"]["tolerations"][own.len()], json!({"operator": "Exists", "effect": "NoExecute"}));
    assert_eq!(stored["spec"]["tolerations"].as_array().unwrap().len(), own.len() + 1);
}

/// "runToCompletion: karpenter.sh/do-not-disrupt, cluster-autoscaler safe-to-evict=false"
#[test]
fn autoscalers_are_asked_to_wait() {
    let world = World::new(&["kind: PodProfile\nspec: {match: {}, placement: {runToCompletion: true}}"]);
    let stored = world.mutate(&Review::create(scan_pod())).applied_to(&scan_pod());
    assert_eq!(stored["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"], "true");
    assert_eq!(stored["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"], "false");
    assert_eq!(stored["spec"].get("affinity"), None);
}
