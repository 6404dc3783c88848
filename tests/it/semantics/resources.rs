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
    for empty in [json!(null), json!({}), json!({"limits": {}, "requests": null})] {
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

/// The API server reads `null` as zero, and so it is written when it comes here.
#[test]
fn an_amount_that_is_null_is_nothing() {
    for nothing in [json!(null), json!("0")] {
        let resources = app(&[], json!({"limits": {"cpu": nothing}, "requests": {"memory": nothing}}));
        let expected =
            json!({"limits": {"cpu": nothing, "memory": "1Gi"}, "requests": {"cpu": "0", "memory": nothing}});
        assert_eq!(resources, expected);
    }
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

/// What becomes of a pod in a namespace with a LimitRange called `bounds`, in the cluster and offline.
#[track_caller]
fn bounded(profile: &str, limits: &str, spec: &Value) -> (Value, Vec<String>) {
    let range = format!("{{kind: LimitRange, metadata: {{name: bounds}}, spec: {{limits: [{limits}]}}}}");
    let world = World::new(&[profile]).knows(&range);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
    let answer = world.mutate(&Review::create(pod.clone()));
    assert_eq!(answer.held_back, None);
    let stored = answer.applied_to(&pod);
    assert_eq!(world.mutate(&Review::create(stored.clone())).patch, json!([]), "a second time");
    let warnings: Vec<String> = answer.warnings().into_iter().map(str::to_owned).collect();
    assert_eq!(world.check(&pod).warnings(), warnings, "offline");
    (stored["spec"].clone(), warnings)
}

fn limits(spec: &Value, resource: &str) -> Vec<Value> {
    let containers =
        ["initContainers", "containers"].iter().flat_map(|list| spec[list].as_array().into_iter().flatten());
    containers.map(|container| container["resources"]["limits"][resource].clone()).collect()
}

fn containers(of: &[Value]) -> Value {
    let named =
        of.iter().enumerate().map(|(index, resources)| json!({"name": format!("c{index}"), "resources": resources}));
    json!({"containers": named.collect::<Vec<_>>()})
}

/// A LimitRange of type Pod bounds the sum: the default limits are lowered until it fits, evenly, and not below the requests.
#[test]
fn defaults_fit_into_what_a_pod_may_have() {
    let max = "{type: Pod, max: {cpu: 1, memory: 2560Mi}}";
    let author = json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}});
    let (spec, warnings) = bounded(PROFILE, max, &containers(&[author.clone(), json!({})]));
    assert_eq!(limits(&spec, "cpu"), ["500m", "500m"]);
    assert_eq!(spec["containers"][1]["resources"]["requests"], json!({"cpu": "250m", "memory": "512Mi"}));
    assert_eq!((limits(&spec, "memory"), warnings.len()), (vec![json!("1Gi"), json!("1Gi")], 0));

    // 2560Mi for three: evenly, in whole Mi.
    let (spec, warnings) = bounded(PROFILE, max, &containers(&[json!({}), json!({}), json!({})]));
    assert_eq!(limits(&spec, "memory"), ["853Mi", "853Mi", "853Mi"]);
    assert_eq!((limits(&spec, "cpu"), warnings.len()), (vec![json!("333m"); 3], 0));
    // An init container runs alone, a sidecar beside all others.
    let mut init = containers(&[json!({})]);
    init["initContainers"] = json!([{"name": "i"}, {"name": "s", "restartPolicy": "Always"}, {"name": "j"}]);
    let (spec, _) = bounded(PROFILE, max, &init);
    assert_eq!(limits(&spec, "cpu"), ["500m", "500m", "500m", "500m"]);

    // The requests are not touched: where they are too much nothing is added, and the author is told why.
    let (spec, warnings) = bounded(PROFILE, "{type: Pod, max: {cpu: 700m}}", &containers(&[author, json!({})]));
    assert_eq!(
        spec["containers"][1]["resources"],
        json!({"requests": {"memory": "512Mi"}, "limits": {"memory": "1Gi"}})
    );
    assert_eq!(warnings, ["cpu defaults left out: maximum cpu usage per Pod is 700m (LimitRange bounds)"]);

    // What is no pod that the LimitRange admits without us is left to the API server, unless a lower limit helps.
    let (spec, warnings) = bounded(PROFILE, "{type: Pod, max: {cpu: 100m}}", &containers(&[json!({})]));
    assert_eq!((limits(&spec, "cpu"), warnings.len()), (vec![json!("1")], 0));
}

/// The other bounds of a pod: the limits together may be no more than so many times the requests, and no less than the minimum.
#[test]
fn defaults_keep_a_pods_ratio_and_minimum() {
    let author = json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}});
    let (spec, warnings) =
        bounded(PROFILE, "{type: Pod, maxLimitRequestRatio: {cpu: 1}}", &containers(&[author.clone(), json!({})]));
    assert_eq!((limits(&spec, "cpu"), warnings.len()), (vec![json!("1"), json!("250m")], 0));
    let (spec, _) =
        bounded(PROFILE, "{type: Pod, maxLimitRequestRatio: {cpu: '1.2'}}", &containers(&[author, json!({})]));
    assert_eq!(limits(&spec, "cpu"), ["1", "500m"]);

    // Only an init container gets a limit, which then is the limit of the pod.
    let profile = "{kind: PodProfile, spec: {match: {}, resources: {initContainers: {limits: {cpu: 100m}}}}}";
    let mut spec = containers(&[json!({"requests": {"cpu": "1"}})]);
    spec["initContainers"] = json!([{"name": "i"}]);
    let (spec, warnings) = bounded(profile, "{type: Pod, min: {cpu: 500m}}", &spec);
    assert_eq!(limits(&spec, "cpu"), [Value::Null, Value::Null]);
    assert_eq!(warnings, ["cpu defaults left out: minimum cpu usage per Pod is 500m (LimitRange bounds)"]);
}

/// Of huge pages and extended resources a container requests what it may use: the API server takes nothing else.
#[test]
fn what_cannot_be_overcommitted_is_requested_as_it_is_limited() {
    let gpus = World::new(&[
        "{kind: PodProfile, spec: {order: 1, match: {}, resources: {containers: {limits: {nvidia.com/gpu: 2}}}}}",
        "{kind: PodProfile, spec: {order: 2, match: {}, resources: {containers: {requests: {nvidia.com/gpu: 1}, limits: {nvidia.com/gpu: 1}}}}}",
    ]);
    let both = json!({"requests": {"nvidia.com/gpu": "2"}, "limits": {"nvidia.com/gpu": "2"}});
    for own in [json!({}), both.clone(), json!({"requests": {"nvidia.com/gpu": "2"}})] {
        let pod = with(scan_pod(), "/spec/containers/0/resources", own);
        let stored = gpus.mutate(&Review::create(pod.clone())).applied_to(&pod);
        assert_eq!(stored["spec"]["containers"][0]["resources"], both);
    }

    let pages = World::new(&[
        "{kind: PodProfile, spec: {match: {}, resources: {containers: {limits: {hugepages-2Mi: 4Mi, memory: 1Gi}}}}}",
    ]);
    let resources = |world: &World, pod: &Value| {
        world.mutate(&Review::create(pod.clone())).applied_to(pod)["spec"]["containers"][0]["resources"].clone()
    };
    assert_eq!(resources(&pages, &scan_pod())["limits"], json!({"hugepages-2Mi": "4Mi", "memory": "1Gi"}));
    // They are the pod's where it has resources, and nobody's without cpu and memory.
    let whole = with(scan_pod(), "/spec/resources", json!({"limits": {"memory": "2Gi"}}));
    assert_eq!(resources(&pages, &whole), json!({}));
    let profile =
        "{kind: PodProfile, spec: {match: {}, resources: {containers: {limits: {hugepages-2Mi: 4Mi, memory: 1Gi}}}}}";
    let author = json!({"limits": {"memory": "500Mi"}});
    let (spec, _) = bounded(profile, "{type: Pod, max: {memory: 512Mi}}", &containers(&[author, json!({})]));
    assert_eq!(limits(&spec, "hugepages-2Mi"), [json!("4Mi"), Value::Null]);
    assert_eq!(spec["containers"][1]["resources"], json!({}));
}

/// A limit is a request, too, where there is none: the API server wrote it before it asked.
#[test]
fn a_request_is_the_limit_that_the_author_set() {
    assert_eq!(app(&[], json!({"limits": {"cpu": "4"}}))["requests"]["cpu"], "4");
}
