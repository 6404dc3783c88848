//! "UPDATE refuses only findings that the old object did not have (ratchet); the others become warnings."

use serde_json::json;

use crate::support::*;

const CONTAINERS: &str = "/spec/template/spec/containers";

fn world() -> World {
    World::built_in().in_namespace("shop")
}

/// "the others become warnings"
#[test]
fn an_old_bad_deployment_can_be_scaled_labelled_and_restarted() {
    let old = bad_deployment();
    let scaled = with(old.clone(), "/spec/replicas", json!(5));
    let labelled = with(old.clone(), "/metadata/labels/team", json!("shop"));
    let restarted =
        with(old.clone(), "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt", json!("now"));
    let image = with(old.clone(), &format!("{CONTAINERS}/0/image"), json!("registry.example.com/web:2.0"));
    for new in [scaled, labelled, restarted, image] {
        let answer = world().validate(&Review::update(old.clone(), new));
        answer.assert_warned(&BAD);
        assert!(
            answer.warnings().iter().all(|warning| warning.contains("(it was there before)")),
            "{:?}",
            answer.warnings()
        );
    }
}

/// "refuses only findings that the old object did not have"
#[test]
fn making_it_worse_is_refused_and_only_that() {
    let old = with(good_deployment(), &format!("{CONTAINERS}/0/livenessProbe"), json!(null));
    let new = without(old.clone(), &format!("{CONTAINERS}/0/resources/limits/memory"));
    let answer = world().validate(&Review::update(old, new));
    answer.assert_refused(&["required-limits /spec/template/spec/containers/0/resources/limits/memory"]);
    assert_eq!(answer.warned(), ["required-probes /spec/template/spec/containers/0/livenessProbe"]);
}

/// "inserting a container shifts no identity"
#[test]
fn inserting_a_container_shifts_no_identity() {
    let old = bad_deployment();
    let mut new = old.clone();
    let good = good_deployment().pointer(&format!("{CONTAINERS}/0")).unwrap().clone();
    new.pointer_mut(CONTAINERS).unwrap().as_array_mut().unwrap().insert(0, with(good, "/name", json!("first")));
    let answer = world().validate(&Review::update(old.clone(), new));
    assert!(answer.allowed(), "{}", answer.message());
    assert_eq!(answer.warned().len(), 4);
    // A second bad container is new.
    let mut new = old.clone();
    new.pointer_mut(CONTAINERS).unwrap().as_array_mut().unwrap().insert(0, json!({"name": "second"}));
    assert_eq!(world().validate(&Review::update(old, new)).causes().len(), 4);
}

/// "A finding's identity is rule, container name, key": another name is another container.
#[test]
fn swapping_and_renaming_containers() {
    let mut both = bad_deployment();
    let good = good_deployment().pointer(&format!("{CONTAINERS}/0")).unwrap().clone();
    both.pointer_mut(CONTAINERS).unwrap().as_array_mut().unwrap().push(with(good, "/name", json!("good")));
    // In another order they are the same.
    let mut swapped = both.clone();
    swapped.pointer_mut(CONTAINERS).unwrap().as_array_mut().unwrap().swap(0, 1);
    assert!(world().validate(&Review::update(both.clone(), swapped)).allowed());
    // With their names exchanged, the one that was good is bad now.
    let exchanged = with(
        with(both.clone(), &format!("{CONTAINERS}/0/name"), json!("good")),
        &format!("{CONTAINERS}/1/name"),
        json!("app"),
    );
    assert_eq!(world().validate(&Review::update(both, exchanged)).causes().len(), 4);
    let renamed = with(bad_deployment(), &format!("{CONTAINERS}/0/name"), json!("renamed"));
    assert_eq!(world().validate(&Review::update(bad_deployment(), renamed)).causes().len(), 4);
}

/// A limit that is taken from one resource is no excuse for the other.
#[test]
fn each_resource_and_probe_is_a_finding_of_its_own() {
    let old = without(good_deployment(), &format!("{CONTAINERS}/0/resources/limits/cpu"));
    let new = with(old.clone(), &format!("{CONTAINERS}/0/resources/limits"), json!({"cpu": "1"}));
    world()
        .validate(&Review::update(old, new))
        .assert_refused(&["required-limits /spec/template/spec/containers/0/resources/limits/memory"]);
}

/// "An expired exemption ratchets too."
#[test]
fn an_expired_exemption_refuses_new_objects_only() {
    let exemption = "{kind: Exemption, metadata: {name: old}, spec: {owner: t, reason: r, expires: '2026-11-01', rules: [required-probes, required-limits], match: {namespaces: ['*']}}}";
    let policies = [BUILT_IN[0], exemption];
    let before = World::new(&policies).in_namespace("shop").at("2026-11-01T23:59:59Z");
    let after = World::new(&policies).in_namespace("shop").at("2026-11-02T00:00:00Z");
    let create = Review::create(bad_deployment());
    let answer = before.validate(&create);
    assert!(answer.allowed());
    assert_eq!(answer.audited(), BAD);
    after.validate(&create).assert_refused(&BAD);
    after
        .validate(&Review::update(bad_deployment(), with(bad_deployment(), "/spec/replicas", json!(2))))
        .assert_warned(&BAD);
}

/// A claim that does not exist yet (only ever a warning) does not excuse a folder that is not allowed, though both are about
/// the same volume.
#[test]
fn a_mild_finding_does_not_excuse_a_grave_one() {
    let world = World::built_in()
        .knows("{kind: PersistentVolumeClaim, metadata: {name: other}, spec: {accessModes: [ReadWriteMany]}}");
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
        "spec": {"template": {"metadata": scan_pod()["metadata"], "spec": scan_pod()["spec"]}}});
    let answer = world.validate(&Review::create(job.clone()));
    answer.assert_warned(&["profile-volume /spec/template/spec/volumes"]);
    let escaped = with(job.clone(), "/spec/template/metadata/annotations/supercargo.dev~1source", json!("../billing"));
    world
        .validate(&Review::update(job, escaped))
        .assert_refused(&["profile-volume /spec/template/metadata/annotations/supercargo.dev~1source"]);
}

/// The pod under a CronJob, a ReplicaSet, a PodTemplate: every path ratchets.
#[test]
fn every_kind_ratchets() {
    for kind in supercargo::workload::KINDS.iter().filter(|kind| kind.pod.is_some_and(|at| !at.is_empty())) {
        let at = kind.pod.unwrap();
        let api_version = if kind.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", kind.group) };
        let old = json!({"apiVersion": api_version, "kind": kind.name, "metadata": {"name": "x"}});
        let old = with(old, &format!("{at}/spec/containers"), json!([{"name": "app"}]));
        let created = world().validate(&Review::create(old.clone()));
        let expected = if kind.group == "batch" { 2 } else { 4 };
        assert_eq!(created.causes().len(), expected, "{}", kind.name);
        assert!(
            created.causes().iter().all(|cause| cause.contains(&format!(" {at}/spec/containers/0/"))),
            "{:?}",
            created.causes()
        );
        let new = with(old.clone(), &format!("{at}/spec/containers/0/image"), json!("x:2"));
        let changed = world().validate(&Review::update(old, new));
        assert!(changed.allowed(), "{}", kind.name);
        assert_eq!(changed.warned().len(), expected, "{}", kind.name);
    }
}

/// Annotations are judged, too: one that comes with nothing else is no bookkeeping.
#[test]
fn a_secret_that_comes_as_an_annotation_alone_is_refused() {
    let old = good_deployment();
    let secret = json!(concat!("ghp_", "k3Jd8sLq0ZxW7vBn2Mf6Rt4YhPc9Ua", "0wrong"));
    let new = with(old.clone(), "/metadata/annotations/x.io~1api-token", secret);
    world()
        .validate(&Review::update(old.clone(), new))
        .assert_refused(&["embedded-secret /metadata/annotations/x.io~1api-token"]);
    let label = with(old.clone(), "/metadata/labels/password", json!(concat!("Zr0pWx", "2Lk9qT7")));
    world().validate(&Review::update(old, label)).assert_refused(&["embedded-secret /metadata/labels/password"]);
}
