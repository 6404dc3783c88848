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

/// Two waves of three jobs, five minutes each, an hour apart; a trace's columns say the same as our own.
#[test]
fn recorded_arrivals_are_played() {
    let own = "arrival,duration,cpu,memory,group\n\
               3600,300,1,1Gi,b\n0,300,1,1Gi,a\n0,300,1,1Gi,a\n0,300,1,1Gi,a\n3600,300,1,1Gi,b\n3600.5,300,1,1Gi,b\n";
    let trace = "name,cpu_milli,memory_mib,num_gpu,creation_time,deletion_time,scheduled_time\n\
                 p0,1000,1024,0,0,300,0\np1,1000,1024,0,0,300,\np2,1000,1024,0,0,300,0\n\
                 p3,1000,1024,1,3600,3900,3600\np4,1000,1024,0,3600,3900,3600\np5,1000,1024,0,3600.5,3901,3601\n";
    let nodes: Vec<Value> = (0..3)
        .map(|index| {
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{index}")}, "status": {
                "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True"}]}})
        })
        .collect();
    let nodes = json!({"apiVersion": "v1", "kind": "List", "items": nodes}).to_string();
    let here = folder(&[("own.csv", own), ("trace.csv", trace), ("nodes.json", &nodes)]);
    let simulated = |more: &[&str]| {
        let run = run(here.path(), &[&["simulate", "nodes.json", "-o", "json", "--price", "2"], more].concat(), "");
        assert_eq!(run.code, 0, "{}", run.err);
        serde_json::from_str::<Value>(&run.out).unwrap()
    };
    let whole = simulated(&["--arrivals", "own.csv"]);
    // Alone, each of a wave has its own node: 6 × 5 minutes. Together: a node for 5 minutes, twice, and a little.
    assert_eq!((&whole["jobs"], &whole["ways"][0]["nodeHours"]), (&json!(6), &json!("0.50")));
    assert_eq!(
        (&whole["ways"][3]["nodeHours"], &whole["ways"][3]["cost"]),
        (&json!("0.16"), &json!("0.33")),
        "{whole:#}"
    );
    assert_eq!(whole["boundNodeHours"], "0.12");
    let of_trace = simulated(&["--arrivals", "trace.csv"]);
    assert_eq!(of_trace["ways"][3]["nodeHours"], whole["ways"][3]["nodeHours"], "{of_trace:#}");
    let second = simulated(&["--arrivals", "own.csv", "--from", "30m", "--for", "1h"]);
    assert_eq!((&second["jobs"], &second["ways"][0]["nodeHours"]), (&json!(3), &json!("0.25")), "{second:#}");

    let text = run(here.path(), &["simulate", "nodes.json", "--arrivals", "own.csv", "--price", "2"], "");
    for part in ["node-hours       cost\n", "nodes awake for the jobs, 0 to 3, over 1.08 h\n", "nor with"] {
        assert!(text.out.contains(part), "{part}: {}", text.out);
    }
    assert!(text.out.lines().any(|line| line.starts_with("supercargo") && line.contains('▃')), "{}", text.out);
}

#[test]
fn rows_that_cannot_be_read_are_named() {
    let here = folder(&[
        ("nodes.json", &cluster()),
        ("bad.csv", "arrival,duration,cpu,memory\n0,60,lots,1Gi\n-5,60,1,1Gi\n1,60,1,1Gi\n2,60,1\n"),
        ("none.csv", "name,when\na,1\n"),
    ]);
    let bad = run(here.path(), &["simulate", "nodes.json", "--arrivals", "bad.csv"], "");
    assert_eq!(bad.code, 2);
    for part in ["bad.csv:2:1: cpu \"lots\" is not a quantity", "bad.csv:3:1: arrival \"-5\" is negative", "3 rows"] {
        assert!(bad.err.contains(part), "{part}: {}", bad.err);
    }
    let none = run(here.path(), &["simulate", "nodes.json", "--arrivals", "none.csv"], "");
    assert!(none.code == 2 && none.err.contains("has no column arrival or creation_time"), "{}", none.err);
}

#[test]
fn nodes_are_drawn_in_the_terminal_and_as_a_picture() {
    let here = folder(&[("cluster.json", &cluster())]);
    let arguments = ["simulate", "cluster.json", "--pods", "20", "--cpu", "1"];
    let text = run(here.path(), &arguments, "");
    // Half of n0 is taken before, and two cores of jobs fill it; as podAffinity has it, it stays as it was.
    let half = format!("{}{}", "░".repeat(14), "█".repeat(14));
    let stays = format!("{}{}", "░".repeat(14), "·".repeat(14));
    assert!(text.out.contains(&format!("n0                   {stays} {half}\n")), "{}", text.out);
    let svg = run(here.path(), &[&arguments[..], &["-o", "svg"]].concat(), "").out;
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert_eq!((svg.matches("<title>").count(), svg.matches("<text ").count()), (80, 4), "{svg}");
}

#[test]
fn a_profile_says_how_the_jobs_are_placed() {
    let here = folder(&[("cluster.json", &cluster())]);
    let profile = "apiVersion: supercargo.dev/v1alpha1\nkind: PodProfile\nmetadata: {name: heavy}\nspec: {match: {}, placement: \
                   {mode: Pack, nodeSelector: {pool: scans}}, resources: {containers: {requests: {cpu: '2'}}}}\n";
    std::fs::write(here.path().join("heavy.yaml"), profile).unwrap();
    let arguments = ["simulate", "cluster.json", "--pods", "4", "-o", "json", "--policies", "heavy.yaml", "--profile"];
    let none = run(here.path(), &[&arguments[..], &["heavy"]].concat(), "");
    // No node has the label.
    assert_eq!(serde_json::from_str::<Value>(&none.out).unwrap()["ways"][3]["pending"], 4, "{}", none.err);
    let unknown = run(here.path(), &[&arguments[..], &["light"]].concat(), "");
    assert!(unknown.code == 2 && unknown.err.contains("there are: heavy"), "{}", unknown.err);
}
