//! "request, limit: kept, per resource name; LimitRanges have spoken before us", and "A profile's default is clamped: a
//! request never above an existing limit, a default limit never below an existing request."

use serde_json::{Value, json};

use crate::support::*;

const PROFILE: &str = "
kind: PodProfile
spec:
  match: {}
  resources:
    containers:     {requests: {cpu: 250m, memory: 512Mi}, limits: {cpu: '1', memory: 1Gi}}
    initContainers: {requests: {cpu: 100m}, limits: {cpu: 500m}}
";

/// What becomes of an app container's resources.
#[track_caller]
fn app(ranges: &[&str], resources: Value) -> Value {
    let mut world = World::new(&[PROFILE]);
    for range in ranges {
        world = world.knows(&format!("{{kind: LimitRange, spec: {{limits: [{range}]}}}}"));
    }
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "resources": resources}]}});
    let answer = world.mutate(&Review::create(pod.clone()));
    assert_eq!(answer.held_back, None);
    let stored = answer.applied_to(&pod);
    let again = world.mutate(&Review::create(stored.clone()));
    assert_eq!(again.patch, json!([]), "a second time");
    stored["spec"]["containers"][0]["resources"].clone()
}

/// "request, limit: kept, per resource name"
#[test]
fn gaps_are_filled_per_resource() {
    let full = json!({"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}});
    for empty in [json!(null), json!({}), json!({"limits": {}, "requests": null}), json!({"limits": {"cpu": null}})] {
        assert_eq!(app(&[], empty), full);
    }
    assert_eq!(
        app(
            &[],
            json!({"limits": {"cpu": "4", "nvidia.com/gpu": 1}, "requests": {"cpu": "3"}, "claims": [{"name": "x"}]})
        ),
        json!({"limits": {"cpu": "4", "nvidia.com/gpu": 1, "memory": "1Gi"}, "requests": {"cpu": "3", "memory": "512Mi"}, "claims": [{"name": "x"}]})
    );
}

/// "a request never above an existing limit"
#[test]
fn a_request_is_never_above_an_existing_limit() {
    let resources = app(&[], json!({"limits": {"cpu": "100m", "memory": 1_048_576}}));
    assert_eq!(resources["requests"], json!({"cpu": "100m", "memory": "1048576"}));
    // Rancher's "0" (kyverno#1396).
    assert_eq!(app(&[], json!({"limits": {"cpu": "0"}}))["requests"]["cpu"], "0");
}

/// "a default limit never below an existing request"
#[test]
fn a_limit_is_never_below_an_existing_request() {
    let resources = app(&[], json!({"requests": {"cpu": 3, "memory": "2Gi"}}));
    assert_eq!(resources["limits"], json!({"cpu": "3", "memory": "2Gi"}));
    assert_eq!(app(&[], json!({"requests": {"cpu": "1000m"}}))["limits"]["cpu"], "1");
}

/// What cannot be read is the API server's to refuse: nothing is put beside it.
#[test]
fn an_unreadable_amount_is_left_alone() {
    for bad in [json!("lots"), json!(""), json!([1]), json!(true)] {
        let resources = app(&[], json!({"requests": {"cpu": bad}}));
        assert_eq!(resources["requests"], json!({"cpu": bad, "memory": "512Mi"}));
        assert_eq!(resources["limits"], json!({"memory": "1Gi"}));
    }
}

/// Another webhook's container comes after the LimitRanger has run, and it runs again after us: what it will give is not ours.
#[test]
fn what_a_limit_range_will_give_is_left_to_it() {
    assert_eq!(
        app(&["{type: Container, default: {cpu: 2}, defaultRequest: {cpu: 2}}"], json!({})),
        json!({"requests": {"memory": "512Mi"}, "limits": {"memory": "1Gi"}})
    );
    // A max is a default.
    assert_eq!(app(&["{type: Container, max: {cpu: 100m, memory: 64Mi}}"], json!({})), json!({}));
    // Only a default request: our limit is not below it.
    assert_eq!(app(&["{type: Container, defaultRequest: {cpu: 2}}"], json!({}))["limits"]["cpu"], "2");
    assert_eq!(app(&["{type: Container, min: {cpu: 3}}"], json!({}))["limits"]["cpu"], "3");
    assert_eq!(app(&["{type: Container, defaultRequest: {cpu: 10m}}"], json!({}))["limits"]["cpu"], "1");
    // Several, each with its part; Pod and PersistentVolumeClaim entries are none of the containers'.
    let several = [
        "{type: Container, default: {cpu: 2}}",
        "{type: Pod, max: {memory: 1Mi}}, {type: Container, default: {memory: 5Gi}}",
    ];
    assert_eq!(app(&several, json!({})), json!({}));
}

/// Each role has its own amounts; sidecars take the init containers' unless they have their own, ephemeral ones none.
#[test]
fn each_role_has_its_own() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
        "containers": [{"name": "a"}], "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}], "ephemeralContainers": [{"name": "e"}]}});
    let limits = |world: &World| {
        let stored = world.mutate(&Review::create(pod.clone())).applied_to(&pod);
        let of = |at: &str| {
            stored.pointer(at).and_then(|c| c.pointer("/resources/limits/cpu")).cloned().unwrap_or(Value::Null)
        };
        [
            of("/spec/containers/0"),
            of("/spec/initContainers/0"),
            of("/spec/initContainers/1"),
            of("/spec/ephemeralContainers/0"),
        ]
    };
    assert_eq!(limits(&World::new(&[PROFILE])), [json!("1"), json!("500m"), json!("500m"), json!(null)]);
    let sidecars = format!("{PROFILE}    sidecars: {{limits: {{cpu: 50m}}}}\n");
    assert_eq!(limits(&World::new(&[&sidecars])), [json!("1"), json!("500m"), json!("50m"), json!(null)]);
}

/// The clamps of two profiles together: one says the request, the other the limit.
#[test]
fn two_profiles_together_still_keep_request_below_limit() {
    let world = World::new(&[
        "{kind: PodProfile, spec: {order: 1, match: {}, resources: {containers: {limits: {cpu: 100m}}}}}",
        "{kind: PodProfile, spec: {order: 2, match: {}, resources: {containers: {requests: {cpu: 2}}}}}",
    ]);
    let stored = world.mutate(&Review::create(scan_pod())).applied_to(&scan_pod());
    assert_eq!(
        stored["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "100m"}, "requests": {"cpu": "100m"}})
    );
}
