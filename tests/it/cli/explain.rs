//! `supercargo explain pod`, on documents as `kubectl get -o json` prints them.

use serde_json::{Value, json};

use super::{Run, folder, run};
use crate::support::{scan_pod, with};

const POD: &str = "scans/scan-web-shop-x7k2p";

/// A Job whose template is that of [`scan_pod`], as its author wrote it.
fn job() -> Value {
    let pod = scan_pod();
    let mut labels = pod["metadata"]["labels"].clone();
    labels.as_object_mut().unwrap().remove("batch.kubernetes.io/job-name");
    let template = json!({
        "metadata": {"labels": labels, "annotations": pod["metadata"]["annotations"]},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "scan", "image": "registry.example.com/scanner:4.2.1"}]},
    });
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "scan-web-shop", "namespace": "scans"}, "spec": {"template": template}})
}

/// The pod of it, as the built-in profile equipped it, without placement.
fn equipped() -> Value {
    let mut pod = with(scan_pod(), "/metadata/name", json!("scan-web-shop-x7k2p"));
    pod["metadata"]["namespace"] = json!("scans");
    pod["metadata"]["creationTimestamp"] = json!("2026-11-21T10:00:00Z");
    pod["metadata"]["labels"]["network.supercargo.dev/egress"] = json!("results-only");
    pod["metadata"]["annotations"]["supercargo.dev/profile"] = json!("scan");
    // As the API server would write it.
    pod["spec"]["containers"][0]["resources"] =
        json!({"limits": {"cpu": "1000m", "memory": "1Gi"}, "requests": {"cpu": "250m", "memory": "512Mi"}});
    pod["spec"]["volumes"].as_array_mut().unwrap().push(json!({"name": "supercargo-source",
        "persistentVolumeClaim": {"claimName": "scan-source"}}));
    let mount = json!({"name": "supercargo-source", "mountPath": "/src", "readOnly": true, "subPath": "scans/web-shop",
        "recursiveReadOnly": "Disabled"});
    pod["spec"]["containers"][0]["volumeMounts"].as_array_mut().unwrap().push(mount);
    pod
}

fn bound(mut pod: Value, node: &str) -> Value {
    pod["spec"]["nodeName"] = json!(node);
    pod["status"]["phase"] = json!("Running");
    pod["status"]["conditions"] =
        json!([{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-21T10:00:03Z"}]);
    pod
}

fn towards(mut pod: Value, nodes: &[(&str, u32)]) -> Value {
    let term = |(name, weight): &(&str, u32)| {
        let field = json!({"key": "metadata.name", "operator": "In", "values": [name]});
        json!({"weight": weight, "preference": {"matchFields": [field]}})
    };
    pod["metadata"]["annotations"]["supercargo.dev/placement"] = json!(nodes[0].0);
    let terms: Vec<Value> = nodes.iter().map(term).collect();
    pod["spec"]["affinity"] = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}});
    pod
}

fn with_mates(mut pod: Value) -> Value {
    pod["metadata"]["annotations"]["supercargo.dev/placement"] = json!("podAffinity");
    let selector = json!({"matchLabels": {"batchjobs-group": "nightly"}});
    let term = json!({"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"});
    let terms = json!([{"weight": 100, "podAffinityTerm": term}]);
    pod["spec"]["affinity"] = json!({"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}});
    pod
}

fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {
        "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"}, "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn other(name: &str, node: &str, cpu: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "scans", "uid": name,
        "labels": {"batchjobs-group": "nightly"}}, "status": {"phase": "Running"},
        "spec": {"nodeName": node, "containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]}})
}

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "scans", "labels": {"supercargo.dev/scans": "true"}}})
}

#[track_caller]
fn explain(documents: Vec<Value>) -> Run {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
    run(folder(&[]).path(), &["explain", "pod", POD, "--from", "-"], &list.to_string())
}

const ADDED: &str = "
Added
  scan: label network.supercargo.dev/egress=results-only
  scan: container scan: limits cpu=1
  scan: container scan: limits memory=1Gi
  scan: container scan: requests cpu=250m
  scan: container scan: requests memory=512Mi
  scan: container scan: volume supercargo-source at /src
  scan: volume supercargo-source
";

/// A ladder on many nodes: those of equal weight share a line, and what speaks against the first few is enough.
#[test]
fn a_pod_beside_a_long_ladder() {
    let names: Vec<String> = (0..30).map(|index| format!("gone-{index}")).collect();
    let rungs: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 7)).collect();
    let pod = bound(towards(equipped(), &rungs), "n5");
    let explained = explain(vec![pod, job(), namespace(), node("n5")]);
    let [first, last] = ["gone-0, gone-1, ", ", gone-29  weight 7\n"];
    assert!(explained.out.contains(first) && explained.out.contains(last), "{}", explained.out);
    assert!(explained.out.contains("  gone-7: is gone\n  and 22 more\n"), "{}", explained.out);
    assert!(!explained.out.contains("gone-8: "), "{}", explained.out);
}

#[test]
fn a_pod_on_another_node_than_planned() {
    let pod = bound(towards(equipped(), &[("full", 100), ("cordoned", 50), ("gone", 25), ("free", 25)]), "n5");
    let mut cordoned = node("cordoned");
    cordoned["spec"]["unschedulable"] = json!(true);
    let nodes = [node("full"), cordoned, node("free"), node("n5")];
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "scans"}, "reason": "FailedScheduling",
        "count": 3, "message": "0/5 nodes are available\n", "involvedObject": {"kind": "Pod", "namespace": "scans", "name": "scan-web-shop-x7k2p"}});
    let elsewhere = with(event.clone(), "/involvedObject/name", json!("another"));
    let documents = [pod, job(), namespace(), event, elsewhere, other("o", "full", "3900m")];
    let explained = explain(documents.into_iter().chain(nodes).collect());
    assert_eq!((explained.code, explained.err.as_str()), (0, ""));
    let expected = "\
Pod scans/scan-web-shop-x7k2p

Planned
  to share one of these nodes, the best first (preferred, never required):
  full  weight 100
  cordoned  weight 50
  gone, free  weight 25

Scheduled
  on n5, 3 s after it was made
  FailedScheduling (3 times): 0/5 nodes are available

Compared
  it is on none of the nodes that were planned
  full: has no room for it now
  cordoned: is cordoned
  gone: is gone
  free: would take it now
  What would take it now may have been full then, or was not looked at: the scheduler scores a part of the nodes when more than 100 could take a pod.
";
    // The two annotations of runToCompletion are not on this pod.
    let missing = "  not on the pod, though it would be added now: annotation karpenter.sh/do-not-disrupt=true\n  \
        not on the pod, though it would be added now: annotation cluster-autoscaler.kubernetes.io/safe-to-evict=false\n";
    assert_eq!(explained.out, format!("{expected}{ADDED}{missing}"));
}

#[test]
fn a_pod_where_it_was_planned() {
    let documents = |node: &str| {
        let pod = bound(towards(equipped(), &[("full", 100), ("n2", 50)]), node);
        vec![
            pod,
            job(),
            namespace(),
            other("o", "full", "3900m"),
            super::explain::node("full"),
            super::explain::node("n2"),
        ]
    };
    assert!(explain(documents("full")).out.contains("\nCompared\n  as planned: it is on the first choice\n\n"));
    let second = explain(documents("n2")).out;
    assert!(second.contains("\nCompared\n  it is on choice 2 of 2\n  full: has no room for it now\n\n"), "{second}");
}

#[test]
fn a_pod_that_follows_its_mates() {
    let pod = |node: &str| bound(with_mates(equipped()), node);
    let mates = |node: &str| vec![other("m1", node, "100m"), other("m1", node, "100m"), other("m2", node, "3800m")];
    let nodes = || vec![node("n1"), node("n2"), namespace(), job()];
    let near = explain([vec![pod("n1")], mates("n1"), nodes()].concat()).out;
    assert!(
        near.contains("  to share a node with pods with batchjobs-group=nightly (preferred podAffinity)\n"),
        "{near}"
    );
    assert!(near.contains("  as planned: 2 of 2 pods of its group that run now are on this node\n"), "{near}");
    let far = explain([vec![pod("n1")], mates("n2"), nodes()].concat()).out;
    assert!(
        far.contains("  2 pods of its group run now, none of them on its node\n  n2: has no room for it now\n"),
        "{far}"
    );
    let alone = explain([vec![pod("n1")], nodes()].concat()).out;
    assert!(alone.contains("no pod of its group is on a node now"), "{alone}");
}

#[test]
fn a_pod_that_waits() {
    let mut pod = towards(equipped(), &[("full", 100)]);
    let condition =
        json!({"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu."});
    pod["status"] = json!({"phase": "Pending", "conditions": [condition]});
    let out = explain(vec![pod, job(), namespace(), node("full"), other("o", "full", "3900m")]).out;
    for part in [
        "  on no node yet: 0/1 nodes are available: 1 Insufficient cpu.\n",
        "  none of the nodes that were planned has taken it\n  full: has no room for it now\n",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn a_pod_for_which_nothing_was_planned() {
    let plain = || {
        let mut pod = bound(scan_pod(), "n1");
        pod["metadata"]["name"] = json!("scan-web-shop-x7k2p");
        pod["metadata"]["namespace"] = json!("scans");
        pod
    };
    let away = explain(vec![plain(), job(), namespace()]).out;
    assert!(away.contains("  PodProfile scan matches it and added nothing: the webhook was away"), "{away}");
    assert!(away.contains("  not on the pod, though it would be added now: volume supercargo-source\n"), "{away}");
    let closed = explain(vec![plain(), job()]).out;
    let lacks = "  PodProfile scan does not serve namespace scans: it lacks supercargo.dev/scans=true.\n";
    assert!(closed.contains(lacks) && !closed.contains("Added"), "{closed}");
    let mut unlabelled = job();
    unlabelled["spec"]["template"]["metadata"]["labels"] = json!({"batchjobs-group": "nightly"});
    let unmatched = explain(vec![plain(), unlabelled, namespace()]).out;
    let lacks = "  PodProfile scan does not match the pod: its template lacks app.kubernetes.io/component=scan.\n";
    assert!(unmatched.contains(lacks), "{unmatched}");
    let orphan = explain(vec![with_mates(equipped()), namespace()]).out;
    assert!(orphan.contains("  by scan; what, cannot be said"), "{orphan}");
}

#[test]
fn an_author_who_keeps_his_pods_apart() {
    let anti = json!({"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"batchjobs-group": "nightly"}}}]});
    let job = with(job(), "/spec/template/spec/affinity", json!({"podAntiAffinity": anti}));
    let out = explain(vec![bound(equipped(), "n1"), job, namespace()]).out;
    assert!(out.contains("\nPlanned\n  nothing\n  Its author keeps such pods apart"), "{out}");
    let out = explain(vec![bound(equipped(), "n1"), super::explain::job(), namespace()]).out;
    assert!(out.contains("\nPlanned\n  nothing\n  Every node was closed to it"), "{out}");
}

#[test]
fn profiles_are_told_apart() {
    let pool =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/samples/scan-pool/profile.yaml"))
            .unwrap();
    let here = folder(&[("p/pool.yaml", &pool), ("p/scan.yaml", crate::support::BUILT_IN[1])]);
    let mut pod =
        with(bound(with_mates(equipped()), "n1"), "/spec/nodeSelector", json!({"supercargo.dev/pool": "scans"}));
    pod["metadata"]["annotations"]["supercargo.dev/profile"] = json!("scan-pool,scan");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [pod, job(), namespace()]}).to_string();
    let out = run(here.path(), &["explain", "pod", POD, "--from", "-", "--policies", "p"], &list).out;
    for part in [
        "  scan-pool: nodeSelector supercargo.dev/pool=scans\n",
        "  scan: volume supercargo-source\n",
        "  not on the pod, though it would be added now: toleration supercargo.dev/scans=true:NoSchedule\n",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn what_is_not_there_is_said() {
    let none = explain(vec![namespace()]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("there is no pod scans/scan-web-shop-x7k2p in this input"), "{}", none.err);
    let text = with(equipped(), "/metadata/annotations/supercargo.dev~1placement", json!("n1\u{1b}[31m"));
    let hostile = explain(vec![bound(towards(text, &[("n1\u{1b}[31m", 1)]), "n1"), job(), namespace()]);
    assert!(hostile.code == 0 && !hostile.out.contains('\u{1b}'), "{}", hostile.out);
}

#[test]
fn a_pod_with_the_annotation_and_none_of_the_terms() {
    for (said, mut pod) in [("n1", towards(equipped(), &[("n1", 100)])), ("podAffinity", with_mates(equipped()))] {
        pod["spec"].as_object_mut().unwrap().remove("affinity");
        let explained = explain(vec![pod, job(), namespace(), node("n1")]);
        let line = format!(
            "\nPlanned\n  nothing that counts: annotation supercargo.dev/placement says {said}, and the pod has no such term\n\nScheduled"
        );
        assert!(explained.out.contains(&line) && !explained.out.contains("Compared"), "{}", explained.out);
    }
}

#[test]
fn other_pods_count_without_a_uid_and_are_not_read_in_part() {
    let documents = |cpu: &str| {
        let mut other = other("o", "n1", cpu);
        other["metadata"].as_object_mut().unwrap().remove("uid");
        vec![bound(towards(equipped(), &[("n1", 100)]), "n2"), job(), namespace(), node("n1"), node("n2"), other]
    };
    let full = explain(documents("3900m"));
    assert!(full.out.contains("n1: has no room for it now"), "{}", full.out);
    let wrong = explain(documents("most"));
    assert_eq!(wrong.code, 2, "{}", wrong.out);
    let says = "Pod scans/o: spec.containers[0].resources.requests.cpu \"most\" is not a quantity";
    assert!(wrong.err.contains(says) && wrong.err.contains("in part only"), "{}", wrong.err);
}
