//! The planner alone, on 5,000 nodes with 150,000 pods. `cargo bench --bench packing`
//!
//! The goal is a plan within 1 ms at the 99th percentile, so that and other percentiles are printed first.

// A benchmark that cannot be set up has nothing to say, and it says it on stdout.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use jiff::Timestamp;
use serde_json::{Value, json};
use supercargo::packing::{
    Ended, Karpenter, Kind, Ledger, Lifetimes, NodeSeen, Options, Plan, PodSeen, Snapshot, Store, Uid, plan,
};
use supercargo::policy::profile::Neighbours;
use supercargo::tree::Node;
use supercargo::workload::Pod;

const NODES: usize = 5_000;
const PODS_A_NODE: usize = 30;

const OPTIONS: Options<'_> = Options {
    namespace: "scans",
    profiles: "scan",
    group: Some("night"),
    neighbours: Neighbours::Any,
    max_per_node: 0,
    karpenter: Karpenter::Auto(None),
    volumes: &[],
};

fn main() {
    // `cargo test --benches` passes --test: then once is enough.
    if std::env::args().any(|argument| argument == "--bench") {
        percentiles();
    }
    divan::main();
}

struct Cluster {
    store: Store,
    lifetimes: Lifetimes,
    template: PodSeen,
}

impl Cluster {
    fn new() -> Cluster {
        let mut cluster = Cluster { store: Store::default(), lifetimes: Lifetimes::default(), template: neighbour() };
        for _ in 0..20 {
            let tree = Node::from(scan(&json!({})));
            let kind = Kind::of(&Pod::new("", &tree), "scan", Some("night"));
            cluster.lifetimes.learn(Ended { kind, seconds: 240, at: 0 });
        }
        for index in 0..NODES {
            cluster.store.apply_node(node(index));
            // One in five is unused; the others have room for none to ten scans.
            let pods = if index.is_multiple_of(5) { 0 } else { PODS_A_NODE + index * 7 % 10 };
            for pod in 0..pods {
                cluster.put(index, pod);
            }
        }
        cluster
    }

    /// A pod on a node: every third a scan.
    fn put(&mut self, node: usize, pod: usize) {
        let profiles = pod.is_multiple_of(3).then(|| "scan".into());
        let seen = PodSeen {
            uid: Uid::from(&*format!("{node}-{pod}")),
            node: Some(name(node).into()),
            part: if profiles.is_some() { supercargo::packing::Part::Scan } else { supercargo::packing::Part::Other },
            profiles,
            ..self.template.clone()
        };
        self.store.apply_pod(seen, &self.lifetimes);
    }

    fn plan(&self, snapshot: &Snapshot, ledger: &Ledger, pod: &Node<'_>) -> Plan {
        plan(&Pod::new("", pod), snapshot, ledger, &self.lifetimes, &OPTIONS, Timestamp::UNIX_EPOCH)
    }
}

fn name(index: usize) -> String {
    format!("ip-10-{}-{}-7.eu-central-1.compute.internal", index / 256, index % 256)
}

fn node(index: usize) -> NodeSeen {
    let mut labels = serde_json::Map::new();
    for label in 0..22 {
        labels.insert(format!("topology.example.com/label-{label}"), json!("value"));
    }
    labels.insert("kubernetes.io/hostname".into(), json!(name(index)));
    labels.insert("pool".into(), json!(if index % 100 == 3 { "scan" } else { "rest" }));
    let node = json!({
        "metadata": {"name": name(index), "labels": labels},
        "status": {
            "allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "58"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    NodeSeen::read(&Node::from(node)).expect("a node")
}

fn neighbour() -> PodSeen {
    let pod = json!({
        "metadata": {"uid": "1"},
        "spec": {"containers": [{"resources": {"requests": {"cpu": "95m", "memory": "300Mi"}}}]},
    });
    PodSeen::read(&Node::from(pod), &[]).expect("a pod")
}

fn scan(extra: &Value) -> Value {
    let mut pod = json!({
        "metadata": {"generateName": "scan-"},
        "spec": {"containers": [{"image": "scan:1", "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}}}]},
    });
    json_patch::merge(&mut pod, extra);
    pod
}

/// A pod that only a hundredth of the nodes are open to: all labels are looked at.
fn pooled() -> Value {
    let terms = json!([{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["scan"]}]}]);
    let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
    scan(
        &json!({"spec": {"nodeSelector": {"topology.example.com/label-7": "value"}, "affinity": {"nodeAffinity": required}}}),
    )
}

fn percentiles() {
    let mut cluster = Cluster::new();
    let snapshot = cluster.store.snapshot(Timestamp::UNIX_EPOCH);
    let ledger = Ledger::default();
    for (what, pod) in [("any node", scan(&json!({}))), ("a pool of 50", pooled())] {
        let pod = Node::from(pod);
        let mut times: Vec<Duration> = (0..5_000)
            .map(|_| {
                let begun = Instant::now();
                black_box(cluster.plan(&snapshot, &ledger, black_box(&pod)));
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 1000];
        println!("plan, {what}: p50 {:?}, p90 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(900), at(990), at(999));
    }
    for burst in [100, 200, 400, 800] {
        let begun = Instant::now();
        self::burst(&cluster, &snapshot, burst);
        println!("burst of {burst}: {:?}, {:?} a plan", begun.elapsed(), begun.elapsed() / burst);
    }
    let (nodes, pods) = cluster.store.bytes();
    println!("{} bytes a node, {} bytes a pod", nodes / NODES, pods / cluster.store.pods());
}

/// So many plans, each of which sees what the ones before reserved.
fn burst(cluster: &Cluster, snapshot: &Snapshot, pods: u32) -> Ledger {
    let mut ledger = Ledger::default();
    for index in 0..pods {
        let pod = Node::from(scan(&json!({"metadata": {"generateName": format!("scan-{index}-")}})));
        if let Plan::Ladder(ladder) = cluster.plan(snapshot, &ledger, &pod) {
            ledger.reserve(ladder.reservation, Timestamp::UNIX_EPOCH);
        }
    }
    assert_eq!(ledger.len(), pods as usize);
    ledger
}

#[divan::bench]
fn plan_5000_nodes(bencher: Bencher<'_, '_>) {
    let mut cluster = Cluster::new();
    let (snapshot, pod) = (cluster.store.snapshot(Timestamp::UNIX_EPOCH), Node::from(scan(&json!({}))));
    bencher.bench_local(|| cluster.plan(&snapshot, &Ledger::default(), black_box(&pod)));
}

#[divan::bench]
fn plan_5000_nodes_pool_of_50(bencher: Bencher<'_, '_>) {
    let mut cluster = Cluster::new();
    let (snapshot, pod) = (cluster.store.snapshot(Timestamp::UNIX_EPOCH), Node::from(pooled()));
    bencher.bench_local(|| cluster.plan(&snapshot, &Ledger::default(), black_box(&pod)));
}

/// What one watch event and the view after it cost: a pod comes, and one goes.
#[divan::bench]
fn event_and_snapshot(bencher: Bencher<'_, '_>) {
    let mut cluster = Cluster::new();
    let mut kept = cluster.store.snapshot(Timestamp::UNIX_EPOCH);
    let mut index = 0;
    bencher.bench_local(|| {
        index = (index + 13) % NODES;
        cluster.put(index, 0);
        kept = cluster.store.snapshot(Timestamp::UNIX_EPOCH);
    });
}

/// What a node that comes or goes costs: all are put in order anew.
#[divan::bench]
fn node_and_snapshot(bencher: Bencher<'_, '_>) {
    let mut cluster = Cluster::new();
    let (name, mut is_there) = (name(NODES), false);
    let mut kept = cluster.store.snapshot(Timestamp::UNIX_EPOCH);
    bencher.bench_local(|| {
        if is_there {
            cluster.store.remove_node(&name);
        } else {
            cluster.store.apply_node(node(NODES));
        }
        is_there = !is_there;
        kept = cluster.store.snapshot(Timestamp::UNIX_EPOCH);
    });
}
