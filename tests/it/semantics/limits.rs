//! "Who needs limits".

use serde_json::{Value, json};

use crate::support::*;

fn found(rule: &str, spec: Value) -> Vec<String> {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
    World::new(&[&format!("{{kind: GuardPolicy, spec: {{rules: {{required-limits: {rule}}}}}}}")])
        .validate(&Review::create(pod))
        .causes()
}

fn pointers(list: &str, index: usize, resources: &[&str]) -> Vec<String> {
    resources
        .iter()
        .map(|resource| format!("required-limits /spec/{list}/{index}/resources/limits/{resource}"))
        .collect()
}

const NONE: Vec<String> = Vec::new();

/// "every container and init container of every kind ...; ephemeral containers cannot have any"
#[test]
fn every_container_but_ephemeral_ones() {
    let limited = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
    let spec = json!({
        "containers": [{"name": "a", "resources": limited}, {"name": "b"}],
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
        "ephemeralContainers": [{"name": "e"}]});
    let mut expected = [
        pointers("containers", 1, &["cpu", "memory"]),
        pointers("initContainers", 0, &["cpu", "memory"]),
        pointers("initContainers", 1, &["cpu", "memory"]),
    ]
    .concat();
    expected.sort();
    assert_eq!(found("{}", spec), expected);
}

/// "or the pod itself (`spec.resources`)", resource by resource
#[test]
fn limits_on_the_pod_count_for_all_its_containers() {
    let containers = json!([{"name": "a"}, {"name": "b", "resources": {"limits": {"cpu": "1"}}}]);
    let with_limits = |limits: Value| json!({"containers": containers, "resources": {"limits": limits}});
    assert_eq!(found("{}", with_limits(json!({"cpu": "1", "memory": "1Gi"}))), NONE);
    assert_eq!(found("{}", with_limits(json!({"memory": "1Gi"}))), pointers("containers", 0, &["cpu"]));
    assert_eq!(found("{}", with_limits(json!({"cpu": "0", "memory": "1Gi"}))), pointers("containers", 0, &["cpu"]));
    // Requests on the pod bound nothing, and ephemeral storage cannot be set there.
    let requests = json!({"containers": [{"name": "a"}], "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}});
    assert_eq!(found("{}", requests), pointers("containers", 0, &["cpu", "memory"]));
    let storage = json!({"containers": [{"name": "a"}], "resources": {"limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}}});
    assert_eq!(found("{ephemeralStorage: true}", storage), pointers("containers", 0, &["ephemeral-storage"]));
}

/// A limit of "0", of nothing, or of something unreadable bounds nothing; a bare number is a quantity.
#[test]
fn what_counts_as_a_limit() {
    for (limit, counts) in [
        (json!("500m"), true),
        (json!(2), true),
        (json!(0.5), true),
        (json!("1e3"), true),
        (json!("0.5Gi"), true),
        (json!("0"), false),
        (json!(0), false),
        (json!("0m"), false),
        (json!(""), false),
        (json!(null), false),
        (json!("much"), false),
        (json!(["1"]), false),
        (json!({}), false),
        (json!(true), false),
        (json!("-1"), false),
    ] {
        let spec = json!({"containers": [{"name": "a", "resources": {"limits": {"cpu": limit}}}]});
        assert_eq!(found("{memory: false}", spec).is_empty(), counts, "{limit}");
    }
    for resources in [json!(null), json!([]), json!("x"), json!({"limits": null}), json!({"limits": []})] {
        let spec = json!({"containers": [{"name": "a", "resources": resources}]});
        assert_eq!(found("{memory: false}", spec), pointers("containers", 0, &["cpu"]));
    }
}

/// "required-limits: {cpu: true, memory: true, ephemeralStorage: false}"
#[test]
fn which_limits() {
    let spec = || json!({"containers": [{"name": "a"}]});
    assert_eq!(found("{}", spec()), pointers("containers", 0, &["cpu", "memory"]));
    assert_eq!(found("{cpu: false}", spec()), pointers("containers", 0, &["memory"]));
    assert_eq!(
        found("{ephemeralStorage: true}", spec()),
        pointers("containers", 0, &["cpu", "ephemeral-storage", "memory"])
    );
}

/// A limit that is there and bounds nothing is not called missing.
#[test]
fn what_is_wrong_with_a_limit_is_said() {
    for (limit, said) in [
        (json!("abc"), "the cpu limit is no quantity"),
        (json!("1K"), "the cpu limit is no quantity"),
        (json!("0"), "the cpu limit is 0, which bounds nothing"),
        // As which the API server reads it.
        (json!(null), "the cpu limit is 0, which bounds nothing"),
    ] {
        let deployment = with(good_deployment(), "/spec/template/spec/containers/0/resources/limits/cpu", limit);
        let answer = World::built_in().in_namespace("shop").validate(&Review::create(deployment));
        answer.assert_refused(&["required-limits /spec/template/spec/containers/0/resources/limits/cpu"]);
        assert!(answer.message().contains(&format!("container app: {said}")), "{}", answer.message());
    }
    let nameless = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"restartPolicy": "Never", "containers": [{}]}});
    let answer = World::built_in().in_namespace("shop").validate(&Review::create(nameless));
    assert!(answer.message().contains("] container without a name: no cpu limit"), "{}", answer.message());
}
