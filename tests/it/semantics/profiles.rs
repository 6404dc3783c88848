//! PodProfile: several of them, and rule profile-label.

use serde_json::json;

use crate::support::*;

const EGRESS: &str = "/metadata/labels/network.supercargo.dev~1egress";

fn label_finding() -> Vec<&'static str> {
    vec!["profile-label /metadata/labels/network.supercargo.dev~1egress"]
}

/// "order: lower first, then by name; the first to set a field wins"
#[test]
fn the_first_profile_to_set_a_field_wins() {
    let profile = |name: &str, order: i32, labels: &str, cpu: &str| {
        format!(
            "{{kind: PodProfile, metadata: {{name: {name}}}, spec: {{order: {order}, match: {{}}, labels: {labels}, \
            resources: {{containers: {{limits: {{cpu: {cpu}}}}}}}}}}}"
        )
    };
    let world = World::new(&[
        &profile("late", 20, "{x.io/a: late, x.io/late: '1'}", "3"),
        &profile("b-same", 10, "{x.io/a: b, x.io/b: '1'}", "2"),
        &profile("a-same", 10, "{x.io/a: a}", "1"),
    ]);
    let stored = world.mutate(&Review::create(scan_pod())).applied_to(&scan_pod());
    assert_eq!(stored["metadata"]["labels"]["x.io/a"], "a");
    assert_eq!(stored["metadata"]["labels"]["x.io/b"], "1");
    assert_eq!(stored["metadata"]["labels"]["x.io/late"], "1");
    assert_eq!(stored["spec"]["containers"][0]["resources"]["limits"]["cpu"], "1");
    // "names the profiles applied, so that a person sees who changed the pod"
    assert_eq!(stored["metadata"]["annotations"]["supercargo.dev/profile"], "a-same,b-same,late");
}

/// A profile that packs all its pods packs those that *it* selects, also when another profile comes before it.
#[test]
fn packing_without_a_group_uses_the_packing_profiles_own_selector() {
    let world = World::new(&[
        "{kind: PodProfile, metadata: {name: first}, spec: {order: 1, match: {}, labels: {x.io/a: b}}}",
        "{kind: PodProfile, metadata: {name: second}, spec: {order: 2, match: {podSelector: {matchLabels: {app.kubernetes.io/component: scan}}}, placement: {mode: Pack}}}",
    ]);
    let stored = world.mutate(&Review::create(scan_pod())).applied_to(&scan_pod());
    let term = &stored["spec"]["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(
        term["podAffinityTerm"]["labelSelector"],
        json!({"matchLabels": {"app.kubernetes.io/component": "scan"}})
    );
}

/// Two profiles that mean different volumes by one name: no container gets the wrong files, and nobody is left guessing.
#[test]
fn profiles_that_use_one_volume_name_for_two_things_are_found_out() {
    let profile = |name: &str, claim: &str, path: &str| {
        format!(
            "{{kind: PodProfile, metadata: {{name: {name}}}, spec: {{match: {{}}, \
            volumes: [{{name: src, persistentVolumeClaim: {{claimName: {claim}}}}}], volumeMounts: [{{volume: src, mountPath: {path}}}]}}}}"
        )
    };
    let world = World::new(&[&profile("a", "one", "/a"), &profile("b", "two", "/b")]);
    let (stored, answer) = world.admit(&Review::create(scan_pod()));
    let mounts = stored["spec"]["containers"][0]["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().all(|mount| mount["mountPath"] != "/b"), "{mounts:?}");
    answer.assert_refused(&["profile-volume /spec/volumes"]);
    assert!(answer.message().contains("profile b adds a volume src"), "{}", answer.message());
    // The same volume twice is one volume.
    let world = World::new(&[&profile("a", "one", "/a"), &profile("b", "one", "/b")]);
    let (stored, answer) = world.admit(&Review::create(scan_pod()));
    answer.assert_clean();
    assert_eq!(stored["spec"]["volumes"].as_array().unwrap().len(), 2);
    assert_eq!(stored["spec"]["containers"][0]["volumeMounts"].as_array().unwrap().len(), 3);
}

/// "a label that differs from the profile's is refused by `profile-label`, at CREATE ..."
#[test]
fn another_value_of_a_profiles_label_is_refused() {
    let pod = with(scan_pod(), EGRESS, json!("everywhere"));
    let (stored, answer) = World::built_in().admit(&Review::create(pod));
    assert_eq!(stored["metadata"]["labels"]["network.supercargo.dev/egress"], "everywhere", "kept, and refused");
    answer.assert_refused(&label_finding());
}

/// The mutating webhook was not asked, or held its patch back: "a wrong patch [...] an empty patch, a warning", and no refusal.
#[test]
fn a_pod_that_was_never_labelled_is_only_warned_about() {
    let answer = World::built_in().validate(&Review::create(scan_pod()).by(JOB_CONTROLLER));
    assert!(answer.causes().iter().all(|cause| !cause.starts_with("profile-label")), "{:?}", answer.causes());
    assert!(answer.warnings().iter().any(|warning| warning.contains("profile-label")), "{:?}", answer.warnings());
}

/// "... and when a later UPDATE changes it"
#[test]
fn a_profiles_label_stays_when_the_pod_is_changed() {
    let world = World::built_in();
    let (stored, answer) = world.admit(&Review::create(scan_pod()).by(JOB_CONTROLLER));
    answer.assert_clean();
    world
        .validate(&Review::update(stored.clone(), with(stored.clone(), EGRESS, json!("everywhere"))))
        .assert_refused(&label_finding());
    world.validate(&Review::update(stored.clone(), without(stored.clone(), EGRESS))).assert_refused(&label_finding());
    world.validate(&Review::update(stored.clone(), with(stored, "/metadata/labels/note", json!("x")))).assert_clean();
}

/// The profile's selector does not have to match any more: taking its label off, in the same step or before, opens nothing.
#[test]
fn a_pod_that_stops_being_a_scan_keeps_the_label() {
    let world = World::built_in();
    let (stored, _) = world.admit(&Review::create(scan_pod()).by(JOB_CONTROLLER));
    let no_scan = without(stored.clone(), "/metadata/labels/app.kubernetes.io~1component");
    world
        .validate(&Review::update(stored.clone(), with(no_scan.clone(), EGRESS, json!("everywhere"))))
        .assert_refused(&label_finding());
    world.validate(&Review::update(stored, no_scan.clone())).assert_clean();
    world
        .validate(&Review::update(no_scan.clone(), with(no_scan.clone(), EGRESS, json!("everywhere"))))
        .assert_refused(&label_finding());
    world.validate(&Review::update(no_scan.clone(), without(no_scan, EGRESS))).assert_refused(&label_finding());
}

/// A pod that came in while the webhook was away has no label: it may get the right one, and no other.
#[test]
fn a_missing_label_does_not_excuse_a_wrong_one() {
    let world = World::built_in();
    let (stored, _) = world.admit(&Review::create(scan_pod()).by(JOB_CONTROLLER));
    let unlabelled = without(stored.clone(), EGRESS);
    world.validate(&Review::update(unlabelled.clone(), stored)).assert_clean();
    world
        .validate(&Review::update(unlabelled.clone(), with(unlabelled.clone(), EGRESS, json!("everywhere"))))
        .assert_refused(&label_finding());
    // Nor one wrong value another. What is wrong already may stay: other changes pass.
    let wrong = with(unlabelled, EGRESS, json!("somewhere"));
    world
        .validate(&Review::update(wrong.clone(), with(wrong.clone(), EGRESS, json!("everywhere"))))
        .assert_refused(&label_finding());
    world
        .validate(&Review::update(wrong.clone(), with(wrong, "/metadata/labels/note", json!("x"))))
        .assert_warned(&label_finding());
}

/// "profile rules with full force" also for what a controller made; a template that would make such pods is refused first.
#[test]
fn a_template_with_a_wrong_label_is_refused_and_its_pods_too() {
    let world = World::built_in();
    let pod = with(scan_pod(), EGRESS, json!("everywhere"));
    world
        .validate(&Review::create(pod.clone()).by(JOB_CONTROLLER))
        .assert_refused(&["profile-label /metadata/labels/network.supercargo.dev~1egress"]);
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
        "spec": {"template": {"metadata": pod["metadata"], "spec": pod["spec"]}}});
    world
        .validate(&Review::create(job))
        .assert_refused(&["profile-label /spec/template/metadata/labels/network.supercargo.dev~1egress"]);
}

/// label, annotation: "kept"; the profile fills in around it.
#[test]
fn labels_and_annotations_that_are_there_are_kept() {
    let world = World::new(&[
        "kind: PodProfile\nspec: {match: {}, labels: {x.io/a: '1'}, annotations: {x.io/b: '2', x.io/c: '3'}}",
    ]);
    let pod = with(scan_pod(), "/metadata/annotations/x.io~1b", json!("mine"));
    let pod = with(pod, "/metadata/labels/x.io~1a", json!("1"));
    let (stored, answer) = world.admit(&Review::create(pod));
    answer.assert_clean();
    assert_eq!(stored["metadata"]["annotations"]["x.io/b"], "mine");
    assert_eq!(stored["metadata"]["annotations"]["x.io/c"], "3");
}

/// reserved-annotation: "templates that carry `supercargo.dev/placement` or `/profile`": Warn.
#[test]
fn a_template_that_says_it_was_placed_is_warned_about() {
    let world = World::built_in().in_namespace("shop");
    let annotated = with(
        good_deployment(),
        "/spec/template/metadata/annotations",
        json!({"supercargo.dev/placement": "x", "supercargo.dev/profile": "y"}),
    );
    world.validate(&Review::create(annotated)).assert_warned(&[
        "reserved-annotation /spec/template/metadata/annotations/supercargo.dev~1placement",
        "reserved-annotation /spec/template/metadata/annotations/supercargo.dev~1profile",
    ]);
    // On the object itself it means nothing, and a pod has it from us.
    let outside = with(good_deployment(), "/metadata/annotations", json!({"supercargo.dev/profile": "y"}));
    world.validate(&Review::create(outside)).assert_clean();
}
