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

fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn node(name: &str, allocatable: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {
        "allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]}})
}

/// Of four cores.
fn usual(name: &str) -> Value {
    node(name, json!({"cpu": "4", "memory": "16Gi", "pods": "110"}))
}

/// Of one core, on node `n0`, without a uid.
fn pod(name: &str, status: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "status": status,
        "spec": {"nodeName": "n0", "containers": [{"resources": {"requests": {"cpu": "1"}}}]}})
}

/// What is printed as JSON, and on stderr.
#[track_caller]
fn simulated(files: &[(&str, &str)], arguments: &[&str]) -> (Value, String) {
    let here = folder(files);
    let run = run(here.path(), &[&["simulate", "-o", "json"], arguments].concat(), "");
    assert_eq!(run.code, 0, "{}", run.err);
    (serde_json::from_str(&run.out).unwrap(), run.err)
}

#[test]
fn what_cannot_be_read_of_a_node_or_a_pod_is_an_error() {
    let changed = |mut object: Value, at: &str, to: Value| {
        *object.pointer_mut(at).unwrap() = to;
        object
    };
    let running = pod("p", json!({"phase": "Running"}));
    for (object, says) in [
        (changed(usual("a"), "/metadata", json!(null)), "Node: metadata has no name"),
        (
            changed(usual("a"), "/status/allocatable/cpu", json!("abc")),
            "Node a: status.allocatable.cpu \"abc\" is not a quantity",
        ),
        (
            changed(running.clone(), "/spec/containers/0/resources/requests/cpu", json!("-1")),
            "Pod shop/p: spec.containers[0].resources.requests.cpu -1 is negative",
        ),
        (changed(running, "/metadata", json!({"namespace": "shop"})), "Pod: metadata has neither name nor uid"),
    ] {
        let here = folder(&[("c.json", &list(&[usual("n0"), object]))]);
        let simulated = run(here.path(), &["simulate", "c.json", "--pods", "1"], "");
        assert_eq!(simulated.code, 2, "{says}: {}", simulated.out);
        let found = simulated.err.starts_with("error: c.json:1:") && simulated.err.contains(says);
        assert!(found && simulated.err.contains("in part only"), "{says}: {}", simulated.err);
    }
    let of_longhorn = json!({"apiVersion": "longhorn.io/v1beta2", "kind": "Node", "metadata": {"name": "n9"}});
    let (report, _) = simulated(&[("c.json", &list(&[usual("n0"), of_longhorn]))], &["c.json", "--pods", "1"]);
    assert_eq!(report["nodes"], 1);
}

#[test]
fn pods_count_once_and_only_where_they_take_room() {
    let pods: Vec<Value> = ["a", "b", "c", "d"].map(|name| pod(name, json!({"phase": "Running"}))).to_vec();
    let nodes = ["n0", "n1", "n2", "n3"].map(usual);
    let all = list(&[&nodes[..], &pods[..]].concat());
    let simulate = |files: &[(&str, &str)]| {
        let here = folder(files);
        run(here.path(), &["simulate", ".", "--pods", "1"], "")
    };
    let alone = simulate(&[("all.json", &all)]);
    assert!(alone.out.contains("1 job on 4 nodes with 4 pods"), "{}", alone.out);
    // n0 is full, so another one is woken.
    assert!(alone.out.contains("no way does with                       1"), "{}", alone.out);
    let twice = simulate(&[("all.json", &all), ("nodes.json", &list(&nodes)), ("pods.json", &list(&pods))]);
    assert_eq!((twice.out, twice.err.as_str()), (alone.out, ""));

    let ended = pod("a", json!({"phase": "Succeeded"}));
    let mut elsewhere = pod("e", json!({"phase": "Running"}));
    elsewhere["spec"]["nodeName"] = json!("gone");
    let later = simulate(&[("all.json", &all), ("later.json", &list(&[ended, elsewhere]))]);
    assert!(later.out.contains("1 job on 4 nodes with 3 pods"), "{}", later.out);
    assert_eq!(
        later.err,
        "note: nodes and pods that are given more than once, and not the same: 1; of each the last counts\n"
    );
}

#[test]
fn a_price_is_exact_and_is_not_passed_over() {
    let nodes = list(&["n0", "n1"].map(usual));
    let files = [
        ("c.json", nodes.as_str()),
        ("some.csv", "arrival,duration,cpu,memory\n0,,1,1Gi\n5,100,1,1Gi\n"),
        ("none.csv", "arrival,cpu,memory\n0,1,1Gi\n"),
    ];
    let (hours, _) =
        simulated(&files, &["c.json", "--pods", "5", "--cpu", "1", "--duration", "100h", "--price", "0.0063"]);
    assert_eq!((&hours["ways"][3]["nodeHours"], &hours["ways"][3]["cost"]), (&json!("200.00"), &json!("1.26")));
    assert_eq!(hours["notes"], json!([]));
    let (endless, _) = simulated(&files, &["c.json", "--pods", "5", "--price", "1"]);
    assert!(endless["notes"][0].as_str().unwrap().starts_with("--price needs --duration"), "{endless:#}");
    for (csv, says) in [
        ("some.csv", "Pods without a duration: 1 of 2. There are no node-hours, and nothing to pay for."),
        ("none.csv", "Pods without a duration: 1 of 1. There are no node-hours, and nothing to pay for."),
    ] {
        let (report, _) = simulated(&files, &["c.json", "--arrivals", csv, "--price", "1"]);
        assert_eq!(report["notes"], json!([says]));
        assert_eq!(report["ways"][0].get("nodeHours"), None);
    }
    let here = folder(&files);
    let svg = run(here.path(), &["simulate", "c.json", "--pods", "5", "--price", "1", "-o", "svg"], "");
    assert!(svg.err.starts_with("note: --price needs --duration"), "{}", svg.err);
    for absurd in ["100Gi", "1m", "-1", "."] {
        let price = format!("--price={absurd}");
        let refused = run(here.path(), &["simulate", "c.json", "--pods", "5", &price], "");
        assert!(refused.code == 2 && refused.err.contains("write a number such as 0.192"), "{}", refused.err);
    }
}

#[test]
fn a_record_begins_with_its_first_arrival() {
    let csv = |from: u64| {
        let rows = (0..6).map(|row| format!("{},600,1,1Gi\n", from + 3600 * row));
        format!("arrival,duration,cpu,memory\n{}", rows.collect::<String>())
    };
    let nodes = list(&["n0", "n1"].map(usual));
    let (zero, epoch) = (csv(0), csv(1_732_233_600));
    let files = [("c.json", nodes.as_str()), ("zero.csv", zero.as_str()), ("epoch.csv", epoch.as_str())];
    for window in [&[][..], &["--from", "90m", "--for", "2h"]] {
        let of = |csv| simulated(&files, &[&["c.json", "--arrivals", csv], window].concat()).0;
        assert_eq!(of("epoch.csv"), of("zero.csv"));
        assert_eq!(of("epoch.csv")["jobs"], if window.is_empty() { 6 } else { 2 });
    }
    let late = run(folder(&files).path(), &["simulate", "c.json", "--arrivals", "epoch.csv", "--from", "6h"], "");
    assert!(late.code == 2 && late.err.contains("no pod arrives in that time"), "{}", late.err);
}

#[test]
fn numbers_that_cannot_be_meant_are_refused() {
    let csv = "arrival,duration,cpu,memory\n0,5,1,1Gi\n0,18446744073709551,1,1Gi\n1732233600000,5,1,1Gi\n0,5m,1,1Gi\n\
               0,5,1e30,1Gi\n0,5,1,99999999999E\n";
    let here = folder(&[("c.json", &list(&[usual("n0")])), ("absurd.csv", csv), ("empty.csv", "arrival,cpu,memory\n")]);
    let refused = run(here.path(), &["simulate", "c.json", "--arrivals", "absurd.csv"], "");
    assert_eq!(refused.code, 2);
    for says in [
        "absurd.csv:3:1: duration \"18446744073709551\" is more than a thousand years: it counts in seconds",
        "absurd.csv:4:1: arrival \"1732233600000\" is more than a thousand years: it counts in seconds",
        "absurd.csv:5:1: duration \"5m\" is no number of seconds",
        "absurd.csv:6:1: cpu \"1e30\" is more than any node has",
        "absurd.csv:7:1: memory \"99999999999E\" is more than any node has",
        "5 rows",
    ] {
        assert!(refused.err.contains(says), "{says}: {}", refused.err);
    }
    let empty = run(here.path(), &["simulate", "c.json", "--arrivals", "empty.csv"], "");
    assert!(empty.code == 2 && empty.err.contains("empty.csv: has no rows"), "{}", empty.err);
    let negative = run(here.path(), &["simulate", "c.json", "--pods", "1", "--cpu=-1"], "");
    assert!(negative.code == 2 && negative.err.contains("\"-1\" is negative"), "{}", negative.err);
}

#[test]
fn completions_beyond_the_first_pods_are_run_one_after_the_other() {
    let batch = r#"{"g": [{"jobName": "a", "image": "x:1", "requestMem": "1Gi", "requestCpu": "1", "parallelism": 2, "completions": 20}]}"#;
    let nodes = list(&["n0", "n1"].map(usual));
    let files = [("c.json", nodes.as_str()), ("batch.json", batch)];
    let (report, _) = simulated(&files, &["c.json", "--batch", "batch.json", "--duration", "1h"]);
    assert_eq!((&report["jobs"], &report["ways"][3]["nodeHours"]), (&json!(20), &json!("10.00")), "{report:#}");
    assert_eq!((&report["boundNodeHours"], &report["bound"]), (&json!("5.00"), &json!(1)));
    // Two of four cores; what follows them runs where they did.
    assert_eq!(report["ways"][1]["nodes"][0]["jobs"], json!({"g": 500}), "{report:#}");
    let (moment, _) = simulated(&files, &["c.json", "--batch", "batch.json"]);
    assert_eq!(moment["jobs"], 2);
    let says = "18 pods of Jobs with completions would follow others: without --duration none ends.";
    assert_eq!(moment["notes"], json!([says]));
}

#[test]
fn where_jobs_wait_no_bound_of_node_hours_is_named() {
    let nodes = list(&[usual("n0")]);
    let files = [("c.json", nodes.as_str())];
    let (fits, _) = simulated(&files, &["c.json", "--pods", "4", "--cpu", "1", "--duration", "1h"]);
    assert_eq!((&fits["boundNodeHours"], &fits["notes"]), (&json!("1.00"), &json!([])));
    let (waits, _) = simulated(&files, &["c.json", "--pods", "5", "--cpu", "1", "--duration", "1h"]);
    let way = &waits["ways"][0];
    assert_eq!((&way["pending"], &way["waited"], &way["nodeHours"]), (&json!(0), &json!(1), &json!("2.00")));
    assert_eq!(waits["boundNodeHours"], json!(null));
    assert!(waits["notes"][0].as_str().unwrap().starts_with("Some jobs wait for a node"), "{waits:#}");
    let text = run(folder(&files).path(), &["simulate", "c.json", "--pods", "1", "--cpu", "5", "--duration", "1h"], "");
    assert!(text.out.contains("node-hours") && !text.out.contains("nor with"), "{}", text.out);
    assert!(text.out.contains("Some jobs wait for a node"), "{}", text.out);
}

#[test]
fn what_karpenter_may_change_is_said() {
    let mut made = usual("n1");
    made["metadata"]["labels"] = json!({"karpenter.sh/nodepool": "default"});
    let here = folder(&[("c.json", &list(&[usual("n0"), made]))]);
    let text = run(here.path(), &["simulate", "c.json", "--pods", "1"], "");
    assert!(text.out.contains("\nKarpenter made 1 of these nodes: "), "{}", text.out);
    let (without, _) = simulated(&[("c.json", &list(&[usual("n0")]))], &["c.json", "--pods", "1"]);
    assert_eq!(without["notes"], json!([]));
}

#[test]
fn long_names_of_nodes_stay_different() {
    let nodes = ["x7k2", "p9q8"].map(|end| usual(&format!("gke-main-default-pool-1a2b3c4d-{end}")));
    let text =
        run(folder(&[("c.json", &list(&nodes))]).path(), &["simulate", "c.json", "--pods", "8", "--cpu", "1"], "");
    assert!(
        text.out.contains("\ngke-main-d…3c4d-x7k2 ") && text.out.contains("\ngke-main-d…3c4d-p9q8 "),
        "{}",
        text.out
    );
}
