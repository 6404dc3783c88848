//! "Who needs probes".

use serde_json::{Value, json};

use crate::support::*;

fn judge(rule: &str, object: Value) -> Answer {
    World::new(&[&format!("{{kind: GuardPolicy, spec: {{rules: {{required-probes: {rule}}}}}}}")])
        .validate(&Review::create(object))
}

fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
}

fn found(rule: &str, spec: Value) -> Vec<String> {
    judge(rule, pod(spec)).causes()
}

/// "every app container of a pod or template with restartPolicy Always"
#[test]
fn every_app_container_that_runs_for_long() {
    let both = [
        "required-probes /spec/containers/0/livenessProbe".to_owned(),
        "required-probes /spec/containers/0/readinessProbe".to_owned(),
    ];
    assert_eq!(found("{}", json!({"restartPolicy": "Always", "containers": [{"name": "c"}]})), both);
    // The default is Always; null is what is missing.
    assert_eq!(found("{}", json!({"containers": [{"name": "c"}]})), both);
    assert_eq!(found("{}", json!({"restartPolicy": null, "containers": [{"name": "c"}]})), both);
    for policy in ["OnFailure", "Never"] {
        assert_eq!(found("{}", json!({"restartPolicy": policy, "containers": [{"name": "c"}]})), Vec::<String>::new());
    }
    let second = json!({"containers": [{"name": "a", "livenessProbe": {"exec": {}}, "readinessProbe": {"exec": {}}}, {"name": "b", "livenessProbe": {"exec": {}}}]});
    assert_eq!(found("{}", second), ["required-probes /spec/containers/1/readinessProbe"]);
}

/// "A Job cannot have it, so Jobs need none", whatever stands or does not stand in its template
#[test]
fn jobs_need_none() {
    for spec in
        [json!({"containers": [{"name": "c"}]}), json!({"restartPolicy": "Always", "containers": [{"name": "c"}]})]
    {
        let template = json!({"spec": spec});
        let job =
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}});
        judge("{}", job.clone()).assert_clean();
        let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "j"}, "spec": {"jobTemplate": {"spec": job["spec"]}}});
        judge("{}", cron).assert_clean();
    }
}

/// "sidecars (init containers with restartPolicy Always) may have them; plain init and ephemeral containers cannot"
#[test]
fn init_sidecar_and_ephemeral_containers_need_none() {
    let probe = json!({"exec": {"command": ["true"]}});
    let spec = json!({
        "containers": [{"name": "c", "livenessProbe": probe, "readinessProbe": probe}],
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
        "ephemeralContainers": [{"name": "e"}]});
    assert_eq!(found("{}", spec), Vec::<String>::new());
}

/// "required-probes: {probes: [liveness, readiness], need: All}   # need: All | Any"
#[test]
fn which_probes_and_how_many() {
    let with_probe = |field: &str| json!({"containers": [{"name": "c", field: {"exec": {}}}]});
    assert_eq!(
        found("{probes: [startup]}", with_probe("livenessProbe")),
        ["required-probes /spec/containers/0/startupProbe"]
    );
    assert_eq!(found("{probes: [liveness, readiness], need: Any}", with_probe("readinessProbe")), Vec::<String>::new());
    // None of them is one finding.
    let none = judge("{probes: [liveness, readiness], need: Any}", pod(json!({"containers": [{"name": "c"}]})));
    none.assert_refused(&["required-probes /spec/containers/0/livenessProbe"]);
    assert!(none.message().contains("none of the probes liveness, readiness"), "{}", none.message());
    assert_eq!(
        found("{probes: [liveness], need: Any}", with_probe("readinessProbe")),
        ["required-probes /spec/containers/0/livenessProbe"]
    );
}

/// An empty probe probes nothing.
#[test]
fn an_empty_probe_is_none() {
    for empty in [json!({}), json!(null), json!([]), json!("x")] {
        let spec = json!({"containers": [{"name": "c", "livenessProbe": empty, "readinessProbe": {"exec": {}}}]});
        assert_eq!(found("{}", spec), ["required-probes /spec/containers/0/livenessProbe"]);
    }
}

/// What other webhooks inject has the probes that they give it, and the author of the pod cannot give it others.
#[test]
fn what_is_injected_needs_none() {
    let probe = json!({"exec": {"command": ["true"]}});
    let app = json!({"name": "app", "livenessProbe": probe, "readinessProbe": probe});
    for name in supercargo::workload::INJECTED {
        let injected = json!({"name": name, "image": "i", "readinessProbe": probe});
        assert_eq!(found("{}", json!({"containers": [app, injected]})), Vec::<String>::new(), "{name}");
        let template = with(good_deployment(), "/spec/template/spec/containers/1", injected);
        judge("{}", template).assert_clean();
    }
    // A name is meant whole, and a list of the policy's own replaces ours.
    let like = json!({"containers": [{"name": "istio-proxy-2"}]});
    assert_eq!(found("{}", like).len(), 2);
    let own = "{exceptContainers: [my-proxy]}";
    assert_eq!(found(own, json!({"containers": [{"name": "my-proxy"}]})), Vec::<String>::new());
    assert_eq!(found(own, json!({"containers": [{"name": "istio-proxy"}]})).len(), 2);
    assert_eq!(found("{exceptContainers: []}", json!({"containers": [{"name": "istio-proxy"}]})).len(), 2);
    // Its limits are another matter: who injects it sets them.
    World::built_in()
        .in_namespace("shop")
        .validate(&Review::create(pod(json!({"containers": [{"name": "istio-proxy"}]}))))
        .assert_refused(&[
            "required-limits /spec/containers/0/resources/limits/cpu",
            "required-limits /spec/containers/0/resources/limits/memory",
        ]);
}
