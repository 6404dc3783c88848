//! `supercargo simulate`: how many nodes a set of jobs would take.

use serde_json::{Value, json};

use super::{folder, run};

/// What `kubectl get nodes,pods -A -o json` prints: twenty nodes, eight of which run something that takes half.
fn cluster() -> String {
    let node = |index| {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{index}")}, "status": {
            "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"}, "conditions": [{"type": "Ready", "status": "True"}]}})
    };
    let pod = |index| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "uid": format!("{index}")},
            "spec": {"nodeName": format!("n{index}"), "containers": [{"resources": {"requests": {"cpu": "2", "memory": "8Gi"}}}]},
            "status": {"phase": "Running"}})
    };
    let items: Vec<Value> = (0..20).map(node).chain((0..8).map(pod)).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[test]
fn it_says_how_many_nodes_each_way_takes() {
    let here = folder(&[]);
    let json = run(here.path(), &["simulate", "-", "--pods", "60", "--cpu", "500m", "-o", "json"], &cluster());
    assert_eq!(json.code, 0, "{}", json.err);
    let report: Value = serde_json::from_str(&json.out).unwrap();
    // 30 cores, of which 16 find room on nodes in use.
    assert_eq!((&report["bound"], &report["jobs"], &report["nodes"]), (&json!(4), &json!(60), &json!(20)));
    let woken = |way: usize| report["ways"][way]["woken"].as_u64().unwrap();
    assert_eq!((woken(0), woken(3)), (12, 4), "{report}");

    let text = run(here.path(), &["simulate", "-", "--pods", "60"], &cluster());
    assert!(text.out.contains("60 jobs on 20 nodes with 8 pods"), "{}", text.out);
    assert!(text.out.contains("MostAllocated does as well here"), "{}", text.out);
}

#[test]
fn jobs_may_come_from_a_batch() {
    let batch = r#"{"night": [{"jobName": "a", "image": "scan", "requestMem": "500Mi", "requestCpu": "200m"}]}"#;
    let here = folder(&[
        ("batch.json", batch),
        ("cluster.json", &cluster()),
        ("bad.json", r#"{"night": [{"jobName": "a"}]}"#),
    ]);
    let good = run(here.path(), &["simulate", "cluster.json", "--batch", "batch.json", "-o", "json"], "");
    assert_eq!(serde_json::from_str::<Value>(&good.out).unwrap()["ways"][3]["woken"], 0, "{}", good.err);
    let bad = run(here.path(), &["simulate", "cluster.json", "--batch", "bad.json"], "");
    assert_eq!(bad.code, 2);
    assert!(bad.err.contains("bad.json:1:12: night[0]: image is missing"), "{}", bad.err);
    let absurd = run(here.path(), &["simulate", "cluster.json", "--pods", "1", "--cpu", "lots"], "");
    assert!(absurd.code == 2 && absurd.err.contains("\"lots\" is not a quantity"), "{}", absurd.err);
    let nothing = run(here.path(), &["simulate", "batch.json", "--pods", "1"], "");
    assert_eq!(nothing.code, 2, "{}", nothing.err);
}
