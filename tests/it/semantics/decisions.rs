//! Decisions: what is judged, what is let pass.

use serde_json::{Value, json};
use supercargo::review;
use supercargo::tree::Arena;

use crate::support::*;

fn shop() -> World {
    World::built_in().in_namespace("shop")
}

fn running_pod() -> Value {
    let pod = good_deployment()["spec"]["template"].clone();
    let pod = with(pod, "/apiVersion", json!("v1"));
    with(with(pod, "/kind", json!("Pod")), "/metadata/name", json!("web-1"))
}

/// "a template is judged after API defaults, the namespace's LimitRanges and the profiles that will apply to its pods have been
/// applied to a copy, so a scan Job without limits passes when its profile fills them in"
#[test]
fn a_scan_job_without_limits_passes() {
    let job = yaml(
        r"
apiVersion: batch/v1
kind: Job
metadata: {name: scan-web-shop}
spec:
  template:
    metadata:
      labels: {app.kubernetes.io/component: scan, batchjobs-group: nightly}
      annotations: {supercargo.dev/source: web-shop}
    spec:
      restartPolicy: Never
      initContainers: [{name: fetch, image: f}]
      containers: [{name: scan, image: s}]
",
    );
    World::built_in().validate(&Review::create(job.clone())).assert_clean();
    World::built_in().check(&job).assert_clean();
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": {"schedule": "@daily", "jobTemplate": {"spec": job["spec"]}}});
    World::built_in().validate(&Review::create(cron)).assert_clean();
    // Without the profile nobody fills them in.
    assert_eq!(shop().validate(&Review::create(job)).causes().len(), 4);
}

/// "... the namespace's LimitRanges ..."
#[test]
fn a_template_is_judged_with_the_limit_ranges_of_its_namespace() {
    let bare = without(good_deployment(), "/spec/template/spec/containers/0/resources");
    assert_eq!(shop().validate(&Review::create(bare.clone())).causes().len(), 2);
    let range = |limits: &str| format!("{{kind: LimitRange, spec: {{limits: [{limits}]}}}}");
    shop()
        .knows(&range("{type: Container, default: {cpu: 1, memory: 1Gi}}"))
        .validate(&Review::create(bare.clone()))
        .assert_clean();
    shop()
        .knows(&range("{type: Container, max: {cpu: 1, memory: 1Gi}}"))
        .validate(&Review::create(bare.clone()))
        .assert_clean();
    shop()
        .knows(&range("{type: Container, defaultRequest: {cpu: 1}, min: {memory: 1Mi}}"))
        .validate(&Review::create(bare.clone()))
        .assert_refused(&[
            "required-limits /spec/template/spec/containers/0/resources/limits/cpu",
            "required-limits /spec/template/spec/containers/0/resources/limits/memory",
        ]);
    // Several LimitRanges complete each other; those of other types say nothing of containers.
    shop()
        .knows(&range("{type: Container, default: {cpu: 1}}, {type: Pod, max: {memory: 1Gi}}"))
        .knows(&range("{type: Container, default: {memory: 1Gi}}"))
        .validate(&Review::create(bare.clone()))
        .assert_clean();
    // Rancher's default of "0" bounds nothing.
    let zero = shop().knows(&range("{type: Container, default: {cpu: '0', memory: '0'}}"));
    assert_eq!(zero.validate(&Review::create(bare)).causes().len(), 2);
}

/// What a LimitRange alone does to a template's pods is not laid on the profile, which their patch will hold all the same.
#[test]
fn a_limit_range_that_breaks_a_template_is_named_as_such() {
    let container = json!({"name": "a", "image": "a", "resources": {"requests": {"memory": "2Gi"}}});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "scan"}, "spec": {"template": {
        "metadata": {"labels": {"app.kubernetes.io/component": "scan"}, "annotations": {"supercargo.dev/source": "web-shop"}},
        "spec": {"restartPolicy": "Never", "containers": [container]}}}});
    World::built_in().check(&job).assert_clean();
    for bound in ["default: {memory: 512Mi}", "max: {memory: 700Mi}"] {
        let range = format!("{{kind: LimitRange, spec: {{limits: [{{type: Container, {bound}}}]}}}}");
        let answer = World::built_in().knows(&range).validate(&Review::create(job.clone()));
        assert!(answer.causes().is_empty(), "{bound}: {:?}", answer.causes());
        let warning = "with the LimitRanges here container a would request more memory than its limit: Kubernetes will refuse that";
        assert_eq!(answer.warnings(), [warning], "{bound}");
    }
}

/// A pod that is stored is complete: LimitRanges were applied before it came, and are not applied again in its favour.
#[test]
fn a_pod_is_judged_as_it_would_be_stored() {
    let pod = without(running_pod(), "/spec/containers/0/resources");
    let world = shop().knows("{kind: LimitRange, spec: {limits: [{type: Container, default: {cpu: 1, memory: 1Gi}}]}}");
    assert_eq!(world.validate(&Review::create(pod.clone())).causes().len(), 2);
    // Offline it has not been sent yet.
    world.check(&pod).assert_clean();
}

/// "a template is judged ...": one without metadata, without spec, or not there at all is the API server's to refuse.
#[test]
fn templates_with_nothing_in_them() {
    for template in
        [json!(null), json!({}), json!({"metadata": null, "spec": null}), json!({"spec": {"containers": null}})]
    {
        let object = with(good_deployment(), "/spec/template", template);
        shop().validate(&Review::create(object.clone())).assert_clean();
        World::built_in().check(&object).assert_clean();
    }
    let without_spec = without(good_deployment(), "/spec");
    shop().validate(&Review::create(without_spec)).assert_clean();
}

/// "Always allow when `deletionTimestamp` is set"
#[test]
fn what_is_being_deleted_is_let_go() {
    let leaving = with(bad_deployment(), "/metadata/deletionTimestamp", json!("2026-11-21T10:00:00Z"));
    shop().validate(&Review::update(good_deployment(), leaving)).assert_clean();
}

/// "or when nothing but metadata other than labels and annotations, or status, differs: a refusal there blocks finalizers and
/// strands Jobs"
#[test]
fn bookkeeping_passes_without_a_word() {
    let old = with(bad_deployment(), "/metadata/finalizers", json!(["batch.kubernetes.io/job-tracking"]));
    let unfinalized = without(old.clone(), "/metadata/finalizers");
    let owned = with(old.clone(), "/metadata/ownerReferences", json!([{"kind": "X"}]));
    let reported = with(old.clone(), "/status", json!({"readyReplicas": 1}));
    let generation = with(old.clone(), "/metadata/generation", json!(7));
    for new in [unfinalized, owned, reported, generation] {
        shop().validate(&Review::update(old.clone(), new)).assert_clean();
    }
    // Labels and annotations are looked at: the ratchet decides.
    let labelled = with(old.clone(), "/metadata/labels/a", json!("b"));
    assert_eq!(shop().validate(&Review::update(old, labelled)).warned(), BAD);
}

/// DELETE and CONNECT are not registered; nothing is decided if they come.
#[test]
fn other_operations_pass() {
    for operation in ["DELETE", "CONNECT"] {
        let review = Review { operation, ..Review::create(bad_deployment()) };
        shop().validate(&review).assert_clean();
        shop().mutate(&review).assert_clean();
    }
}

/// "`pods/ephemeralcontainers` and `pods/resize` are judged: both bypass a webhook that sees only `pods`"
#[test]
fn resize_and_ephemeral_containers_are_judged() {
    let pod = running_pod();
    let unlimited = without(pod.clone(), "/spec/containers/0/resources/limits/memory");
    shop()
        .validate(&Review::update(pod.clone(), unlimited).through("resize"))
        .assert_refused(&["required-limits /spec/containers/0/resources/limits/memory"]);
    let smaller = with(pod.clone(), "/spec/containers/0/resources/limits/cpu", json!("100m"));
    shop().validate(&Review::update(pod.clone(), smaller).through("resize")).assert_clean();
    // An ephemeral container can have neither limits nor probes.
    let debugged = with(pod.clone(), "/spec/ephemeralContainers", json!([{"name": "debugger", "image": "busybox"}]));
    shop().validate(&Review::update(pod, debugged).through("ephemeralcontainers")).assert_clean();
}

/// "Dry run does everything but side effects"
#[test]
fn dry_run_decides_the_same() {
    let review = Review { dry_run: true, ..Review::create(bad_deployment()) };
    shop().validate(&review).assert_refused(&BAD);
    let pod = Review { dry_run: true, ..Review::create(scan_pod()) };
    let (real, dry) = (World::built_in().mutate(&Review::create(scan_pod())), World::built_in().mutate(&pod));
    assert_eq!(real.patch, dry.patch);
}

/// "Left out by `kubernetes.io/metadata.name` ..., in the selectors and again in the server: kube-*, our own namespace, and
/// what a cluster needs to come back"
#[test]
fn the_systems_namespaces_are_never_touched() {
    for name in ["kube-system", "kube-public", "supercargo", "karpenter", "cert-manager", "cilium"] {
        let world = World::built_in().in_namespace(name);
        let bytes = Review::create(bad_deployment()).bytes(name);
        assert!(
            world.engine.passes_unseen(&review::read(&bytes, &Arena::default()).unwrap(), &world.policies),
            "{name}"
        );
        world.validate(&Review::create(bad_deployment())).assert_clean();
        world.check(&bad_deployment()).assert_clean();
    }
    // Labels do not help: a namespace cannot call itself the system's, nor hide a scan there.
    let mut world = World::built_in().in_namespace("kube-system");
    world.namespace.labels.insert("supercargo.dev/scans".to_owned(), "true".to_owned());
    assert_eq!(world.mutate(&Review::create(scan_pod())).patch, json!([]));
    let mut world = shop();
    world.namespace.labels.insert("kubernetes.io/metadata.name".to_owned(), "kube-system".to_owned());
    world.validate(&Review::create(bad_deployment())).assert_refused(&BAD);
    // A name that only begins alike is nobody's.
    World::built_in().in_namespace("supercargo-tests").validate(&Review::create(bad_deployment())).assert_refused(&BAD);
}

/// "workload: an object with a pod spec in it, or a ConfigMap": other kinds pass unseen, also under a kind's name of
/// another group.
#[test]
fn other_kinds_pass_unseen() {
    for (group, kind) in
        [("v1", "Secret"), ("v1", "Service"), ("apps.example.com/v1", "Deployment"), ("autoscaling/v1", "Scale")]
    {
        let object = with(with(bad_deployment(), "/apiVersion", json!(group)), "/kind", json!(kind));
        let bytes = Review::create(object.clone()).bytes("shop");
        let world = shop();
        assert!(
            world.engine.passes_unseen(&review::read(&bytes, &Arena::default()).unwrap(), &world.policies),
            "{group} {kind}"
        );
        world.validate(&Review::create(object)).assert_clean();
    }
}

/// all kinds that carry a pod spec, at their own place.
#[test]
fn every_kind_with_a_pod_in_it_is_judged() {
    for kind in supercargo::workload::KINDS {
        let Some(at) = kind.pod else { continue };
        let api_version = if kind.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", kind.group) };
        let object = json!({"apiVersion": api_version, "kind": kind.name, "metadata": {"name": "x"}});
        let object = with(object, &format!("{at}/spec/containers"), json!([{"name": "app"}]));
        let causes = shop().validate(&Review::create(object)).causes();
        assert!(
            causes.contains(&format!("required-limits {at}/spec/containers/0/resources/limits/cpu")),
            "{} {causes:?}",
            kind.name
        );
    }
}

/// An UPDATE whose old object is missing is judged as if everything were new; one without an object is nothing to judge.
#[test]
fn odd_envelopes() {
    let review = Review { operation: "UPDATE", ..Review::create(bad_deployment()) };
    shop().validate(&review).assert_refused(&BAD);
    let mut review = Review::create(bad_deployment());
    let bytes = String::from_utf8(review.bytes("shop")).unwrap();
    review.object = Value::Null;
    let object = bytes.replace(&bad_deployment().to_string(), "null");
    let arena = Arena::default();
    let request = review::read(object.as_bytes(), &arena).unwrap();
    let world = shop();
    let facts = supercargo::engine::Facts {
        namespace: &world.namespace,
        policies: &world.policies,
        now: world.now,
        packing: None,
    };
    assert!(world.engine.validate(&request, facts).unwrap().allowed());
    assert!(world.engine.mutate(&request, facts).unwrap().patch.is_empty());
}

/// "memory stays within its budget": what a hostile pod makes us collect is bounded, and it is refused all the same.
#[test]
fn a_pod_of_a_hundred_thousand_containers_is_refused_with_few_findings() {
    let mut pod = scan_pod();
    pod["spec"]["containers"] = json!(vec![json!({}); 100_000]);
    let world = World::built_in();
    assert_eq!(world.mutate(&Review::create(pod.clone())).patch, json!([]));
    let answer = world.validate(&Review::create(pod));
    let found = answer.outcome.verdicts.len();
    assert!(!answer.outcome.allowed() && found < 5_000, "{found}");
}

/// The same of a ConfigMap: the first secrets are named, the others are counted, and all of them are looked for.
#[test]
fn a_config_map_of_three_thousand_secrets_is_refused_with_few_findings() {
    let data: serde_json::Map<_, _> =
        (0..3_000).map(|n| (format!("DB{n}_PASSWORD"), json!(format!("Xy7{n}Kq9Zw")))).collect();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "many", "namespace": "shop"}, "data": data});
    let answer = World::built_in().validate(&Review::create(map));
    let found = &answer.outcome.verdicts;
    assert!(!answer.outcome.allowed());
    assert_eq!(found.len(), 257);
    assert_eq!(found[256].finding.message, "more secrets than are listed: 2744 besides");
    assert_eq!(answer.causes().len(), 100);
}
