//! "Pods that a controller makes are judged by the profile rules with full force, and by all others at most with
//! `controllerPods` (Warn by default)".

use serde_json::{Value, json};
use supercargo::engine::{Engine, Settings};

use crate::support::*;

const POD_BAD: [&str; 4] = [
    "required-limits /spec/containers/0/resources/limits/cpu",
    "required-limits /spec/containers/0/resources/limits/memory",
    "required-probes /spec/containers/0/livenessProbe",
    "required-probes /spec/containers/0/readinessProbe",
];

fn shop() -> World {
    World::built_in().in_namespace("shop")
}

/// A pod as the ReplicaSet controller makes it from a bad template.
fn bad_pod() -> Value {
    yaml(
        r"
apiVersion: v1
kind: Pod
metadata:
  generateName: web-5d4f8c7b9-
  labels: {app: web, pod-template-hash: 5d4f8c7b9}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-5d4f8c7b9, uid: u-1, controller: true}]
spec:
  restartPolicy: Always
  containers: [{name: app, image: registry.example.com/web:1.0}]
",
    )
}

/// "a Deployment older than the policy must come back when a node dies at night"
#[test]
fn the_pods_of_an_old_deployment_come_back() {
    let answer = shop().validate(&Review::create(bad_pod()).by(REPLICASET_CONTROLLER));
    answer.assert_warned(&POD_BAD);
    for account in ["daemon-set-controller", "statefulset-controller", "job-controller", "replication-controller"] {
        let user = format!("system:serviceaccount:kube-system:{account}");
        assert!(shop().validate(&Review::create(bad_pod()).by(&user)).allowed(), "{account}");
    }
    assert!(shop().validate(&Review::create(bad_pod()).by("system:kube-controller-manager")).allowed());
}

/// The ReplicaSets and Jobs in between are made by controllers, too.
#[test]
fn what_stands_between_a_template_and_its_pods_comes_back() {
    let replica_set = with(bad_deployment(), "/kind", json!("ReplicaSet"));
    let review = Review::create(replica_set).by("system:serviceaccount:kube-system:deployment-controller");
    shop().validate(&review).assert_warned(&BAD);
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j-29403000"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}}});
    let review = Review::create(job).by("system:serviceaccount:kube-system:cronjob-controller");
    assert_eq!(shop().validate(&review).warned().len(), 2);
}

/// "A controller is believed by `userInfo.username` ..., never by ownerReferences, which anyone can forge"
#[test]
fn a_forged_owner_gains_nothing() {
    for user in [
        "ann@example.com",
        "system:serviceaccount:shop:replicaset-controller",
        "replicaset-controller",
        "system:serviceaccount:kube-system:default",
    ] {
        shop().validate(&Review::create(bad_pod()).by(user)).assert_refused(&POD_BAD);
    }
}

/// "at most with `controllerPods`"
#[test]
fn controller_pods_is_what_the_policy_says() {
    let guard = |action: &str| {
        World::new(&[&format!("{{kind: GuardPolicy, spec: {{controllerPods: {action}, rules: {{required-limits: {{}}, required-probes: {{action: Audit}}}}}}}}")])
            .validate(&Review::create(bad_pod()).by(REPLICASET_CONTROLLER))
    };
    guard("Deny").assert_refused(&POD_BAD[..2]);
    let audit = guard("Audit");
    assert_eq!((audit.allowed(), audit.warnings().len(), audit.audited().len()), (true, 0, 4));
    // A cap makes nothing stronger.
    let warn = guard("Warn");
    assert_eq!((warn.warned().len(), warn.audited().len()), (2, 2));
}

/// "judged by the profile rules with full force", whether a policy lists them or not
#[test]
fn profile_rules_do_not_ask_who_made_the_pod() {
    let pod = without(scan_pod(), "/metadata/annotations/supercargo.dev~1source");
    let pod = with(pod, "/metadata/labels/network.supercargo.dev~1egress", json!("everywhere"));
    for policies in [&BUILT_IN[..], &BUILT_IN[1..]] {
        let (_, answer) = World::new(policies).admit(&Review::create(pod.clone()).by(JOB_CONTROLLER));
        answer.assert_refused(&[
            "profile-label /metadata/labels/network.supercargo.dev~1egress",
            "profile-volume /metadata/annotations/supercargo.dev~1source",
        ]);
    }
}

/// "Exemptions for pods match the owner's name (template hash cut off)."
#[test]
fn an_exemption_covers_the_pods_of_what_it_names() {
    let exemption = |kind: &str, name: &str| {
        World::new(&[
            "{kind: GuardPolicy, metadata: {name: strict}, spec: {controllerPods: Deny, rules: {required-limits: {}}}}",
            &format!(
                "{{kind: Exemption, metadata: {{name: e}}, spec: {{owner: t, reason: r, expires: '2027-01-01', rules: [required-limits], match: {{namespaces: ['*'], kinds: [{kind}], names: [{name}]}}}}}}"
            ),
        ])
    };
    let by_controller = Review::create(bad_pod()).by(REPLICASET_CONTROLLER);
    for (kind, name) in [("Deployment", "web"), ("ReplicaSet", "web-5d4f8c7b9"), ("Pod", "web-*")] {
        assert!(exemption(kind, name).validate(&by_controller).allowed(), "{kind} {name}");
    }
    for (kind, name) in [("Deployment", "we"), ("StatefulSet", "web"), ("Deployment", "web-5d4f8c7b9")] {
        assert!(!exemption(kind, name).validate(&by_controller).allowed(), "{kind} {name}");
    }
    // Nobody else's word counts for who the owner is.
    assert!(!exemption("Deployment", "web").validate(&Review::create(bad_pod())).allowed());

    let job_pod = |owner: &str| {
        let pod = with(bad_pod(), "/spec/restartPolicy", json!("Never"));
        let owner = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": owner, "uid": "u", "controller": true}]);
        Review::create(with(pod, "/metadata/ownerReferences", owner)).by(JOB_CONTROLLER)
    };
    assert!(exemption("CronJob", "nightly").validate(&job_pod("nightly-29403000")).allowed());
    assert!(exemption("Job", "nightly-*").validate(&job_pod("nightly-29403000")).allowed());
    // A Job that somebody called scan-2 is not the CronJob scan's, nor a ReplicaSet team-web the Deployment team's.
    assert!(!exemption("CronJob", "scan").validate(&job_pod("scan-2")).allowed());
    let own =
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "team-web", "uid": "u", "controller": true}]);
    let own = Review::create(with(bad_pod(), "/metadata/ownerReferences", own)).by(REPLICASET_CONTROLLER);
    assert!(!exemption("Deployment", "team").validate(&own).allowed());
}

const OPERATOR: &str = "system:serviceaccount:cnpg-system:cnpg-manager";

/// A pod as an operator makes it from an object of its own kind.
fn database() -> Value {
    let owner = json!([{"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "db", "uid": "u", "controller": true}]);
    with(with(bad_pod(), "/metadata/ownerReferences", owner), "/metadata/name", json!("db-1"))
}

/// "a Deployment older than the policy must come back when a node dies at night": so must a database of an operator.
#[test]
fn an_operator_that_is_named_counts_as_a_controller() {
    let named = || {
        let mut world = shop();
        world.engine = Engine::new(Settings { controllers: vec![OPERATOR.to_owned()], ..Settings::default() });
        world
    };
    shop().validate(&Review::create(database()).by(OPERATOR)).assert_refused(&POD_BAD);
    named().validate(&Review::create(database()).by(OPERATOR)).assert_warned(&POD_BAD);
    // Kubernetes' own are believed as before, and nobody else by a name that looks alike.
    named().validate(&Review::create(bad_pod()).by(REPLICASET_CONTROLLER)).assert_warned(&POD_BAD);
    for user in [
        "ann@example.com",
        "cnpg-manager",
        "system:serviceaccount:shop:cnpg-manager",
        "system:serviceaccount:cnpg-system:cnpg-manager-2",
        "system:serviceaccount:cnpg-system:default",
        "system:serviceaccounts:cnpg-system",
    ] {
        named().validate(&Review::create(database()).by(user)).assert_refused(&POD_BAD);
    }
    // The profile rules do not ask who made the pod, whoever that is.
    let mut scans = World::built_in();
    scans.engine = named().engine;
    let pod = with(scan_pod(), "/metadata/labels/network.supercargo.dev~1egress", json!("everywhere"));
    let (_, answer) = scans.admit(&Review::create(pod).by(OPERATOR));
    answer.assert_refused(&["profile-label /metadata/labels/network.supercargo.dev~1egress"]);
}

/// "Exemptions for pods match the owner's name", when it is a controller that says who the owner is.
#[test]
fn an_exemption_knows_the_pods_of_a_named_operator_by_their_owner() {
    let world = |controllers: Vec<String>| {
        let mut world = World::new(&[
            "{kind: GuardPolicy, metadata: {name: strict}, spec: {controllerPods: Deny, rules: {required-limits: {}}}}",
            "{kind: Exemption, metadata: {name: e}, spec: {owner: t, reason: r, expires: '2027-01-01', rules: [required-limits], match: {namespaces: ['*'], names: [db]}}}",
        ]);
        world.engine = Engine::new(Settings { controllers, ..Settings::default() });
        world
    };
    let review = Review::create(database()).by(OPERATOR);
    assert!(world(vec![OPERATOR.to_owned()]).validate(&review).allowed());
    assert!(!world(Vec::new()).validate(&review).allowed());
}
