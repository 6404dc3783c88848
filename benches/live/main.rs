//! `serve --cluster` on a large cluster: memory, CPU, and how far it lags behind, with an API server of the test's own.
//!
//! `cargo bench --bench live` takes about two minutes and 2 GB, most of it for that API server: 5,000 nodes, 150,000 pods, 1,000 pod events a
//! second. With `-- --quick`, and under `cargo test`, it takes a few seconds on a hundredth of that.

#![allow(clippy::print_stdout, reason = "the report is what this program is for")]
#![allow(clippy::unwrap_used, reason = "the API server is a test's")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

#[path = "../../tests/it/live/api.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod api;
#[path = "../server/load.rs"]
#[allow(dead_code, reason = "as above")]
mod load;
#[path = "../reviews.rs"]
#[allow(dead_code, reason = "as above")]
mod reviews;
#[path = "../server/target.rs"]
#[allow(dead_code, reason = "as above")]
mod target;

use api::Api;
use load::{Message, Pace};
use target::{Harbour, Target, free_address};

/// How much there is, and for how long.
struct Scale {
    nodes: usize,
    pods: usize,
    events: usize,
    lasting: Duration,
}

const FULL: Scale = Scale { nodes: 5_000, pods: 150_000, events: 1_000, lasting: Duration::from_secs(30) };
const QUICK: Scale = Scale { nodes: 50, pods: 1_500, events: 200, lasting: Duration::from_secs(1) };

const JOB_CONTROLLER: &str = "system:serviceaccount:kube-system:job-controller";

/// Reviews a second beside the events.
const REVIEWS: f64 = 50.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    // Only `cargo bench` says `--bench`.
    let scale = if has("--quick") || !has("--bench") { &QUICK } else { &FULL };

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let api = Api::new(Duration::from_secs(1));
    fill(&api, scale);
    let address = runtime.block_on(api.serve());
    println!("{} nodes, {} pods of {} bytes", scale.nodes, scale.pods, pod(1, 0, "Running", scale).to_string().len());

    let harbour = Harbour::new()?;
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, kubeconfig_for(address).to_string())?;
    let http = free_address()?;
    let more = ["--cluster".as_ref(), "--kubeconfig".as_ref(), kubeconfig.as_os_str()];
    let began = Instant::now();
    let target = harbour.serve(http, more)?;
    until("a first view", || Ok(metric(http, "supercargo_snapshot_stale").is_ok_and(|stale| stale == 0.0)))?;
    until("all pods", || Ok(counted(http)? == scale.pods))?;
    println!("first view after {:.1} s and {:.2} s of CPU", began.elapsed().as_secs_f64(), target.cpu()? / 1e3);
    println!("RSS {:.0} MB, at its highest {:.0} MB", target.memory("VmRSS")?, target.memory("VmHWM")?);

    let seconds = |target: &Target| -> Result<f64> { Ok(target.cpu()? / 1e3) };
    let before = seconds(&target)?;
    thread::sleep(scale.lasting / 3);
    let idle = (seconds(&target)? - before) / (scale.lasting / 3).as_secs_f64();
    println!("idle: {:.1} % of a core", idle * 100.0);

    report("reviews alone", &reviewed(&target, scale)?);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let events = scope.spawn(|| churn(&api, scale, http, &stop));
        let reviewed = reviewed(&target, scale);
        stop.store(true, Ordering::Relaxed);
        let (sent, lag) = events.join().map_err(|_| anyhow::anyhow!("the events' thread panicked"))??;
        let reviewed = reviewed?;
        report("reviews with events", &reviewed);
        println!("{:.0} events a second, the last one counted after {lag:.1} s", sent / reviewed.seconds);
        anyhow::Ok(())
    })?;
    println!("RSS {:.0} MB, at its highest {:.0} MB", target.memory("VmRSS")?, target.memory("VmHWM")?);
    let ladders = metric(http, r#"supercargo_plans_total{outcome="ladder",reason=""}"#)?;
    let others = metric(http, r#"supercargo_plans_total{outcome="affinity",reason="no-view"}"#).unwrap_or(0.0);
    println!("{ladders} ladders, {others} without a view");
    ensure!(ladders > 0.0 && others == 0.0, "pods were planned without a view");
    Ok(())
}

/// What reviews took, and the CPU meanwhile.
struct Reviewed {
    seconds: f64,
    cpu: f64,
    latencies: Vec<f64>,
}

/// Scan pods at an open pace.
fn reviewed(target: &Target, scale: &Scale) -> Result<Reviewed> {
    let messages: Vec<_> = (0..200)
        .map(|index| {
            let mut pod = reviews::scan_pod();
            pod["metadata"]["generateName"] = json!(format!("scan-{index}-"));
            Arc::new(Message::post("/mutate", &reviews::review(&pod, JOB_CONTROLLER)))
        })
        .collect();
    let (timed, cpu) =
        load::run(&target.client, &messages, 4, Pace::Open(REVIEWS), scale.lasting, || Ok(target.cpu()? / 1e3))?;
    let mut latencies = timed.small;
    latencies.sort_by(f64::total_cmp);
    Ok(Reviewed { seconds: timed.seconds, cpu, latencies })
}

fn report(what: &str, reviewed: &Reviewed) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = |share: f64| {
        let index = (reviewed.latencies.len() as f64 * share) as usize;
        reviewed.latencies.get(index).copied().unwrap_or_default()
    };
    println!(
        "{what}: {} reviews, p50 {:.2} ms, p99 {:.2} ms, {:.1} % of a core",
        reviewed.latencies.len(),
        at(0.5),
        at(0.99),
        reviewed.cpu / reviewed.seconds * 100.0
    );
}

/// Pods end, go, come, are bound and run, at a steady pace; returns how many events there were, and after how long the last one was
/// counted: the metrics are told once a second.
fn churn(api: &Api, scale: &Scale, http: SocketAddr, stop: &AtomicBool) -> Result<(f64, f64)> {
    let (began, mut sent, mut number) = (Instant::now(), 0_usize, 0_usize);
    while !stop.load(Ordering::Relaxed) {
        let due = began.elapsed().as_millis() as usize * scale.events / 1_000;
        if sent >= due {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let (old, life) = (number % scale.pods, number / scale.pods);
        number += 1;
        api.put("pods", pod(old, life, "Succeeded", scale));
        api.delete("pods", &namespace(old), &name(old, life));
        for phase in ["", "Pending", "Running"] {
            api.put("pods", pod(old, life + 1, phase, scale));
        }
        sent += 5;
    }
    api.put("pods", pod(scale.pods, 0, "Running", scale));
    let last = Instant::now();
    until("the last pod", || Ok(counted(http)? == scale.pods + 1))?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok((sent as f64, last.elapsed().as_secs_f64()))
}

fn fill(api: &Api, scale: &Scale) {
    let labels = json!({"supercargo.dev/scans": "true"});
    let metadata = json!({"name": "scans", "labels": labels});
    api.put(
        "namespaces",
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}),
    );
    for index in 0..scale.nodes {
        api.put("nodes", node(index));
    }
    for index in 0..scale.pods {
        api.put("pods", pod(index, 0, "Running", scale));
    }
}

fn node_name(index: usize) -> String {
    format!("ip-10-{}-{}-{}.eu-central-1.compute.internal", index / 65_536, index / 256 % 256, index % 256)
}

fn node(index: usize) -> Value {
    let name = node_name(index);
    let zone = ["a", "b", "c"][index % 3];
    let images: Vec<_> = (0..30)
        .map(|image| json!({"names": [format!("registry.example.com/image-{image}@sha256:{image:064x}")], "sizeBytes": 100_000_000 + image}))
        .collect();
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"name": name, "uid": format!("00000000-0000-0000-0001-{index:012x}"), "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": format!("eu-central-1{zone}"), "topology.kubernetes.io/region": "eu-central-1",
            "node.kubernetes.io/instance-type": "m6i.4xlarge", "eks.amazonaws.com/nodegroup": "general",
        }},
        "spec": {"providerID": format!("aws:///eu-central-1{zone}/i-{index:017x}")},
        "status": {
            "allocatable": {"cpu": "15890m", "memory": "60Gi", "pods": "234", "ephemeral-storage": "95Gi"},
            "capacity": {"cpu": "16", "memory": "64Gi", "pods": "234", "ephemeral-storage": "100Gi"},
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "DiskPressure", "status": "False"},
                {"type": "PIDPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
            "images": images,
        },
    })
}

fn namespace(index: usize) -> String {
    if index.is_multiple_of(10) { "scans".to_owned() } else { format!("team-{}", index % 40) }
}

fn name(index: usize, life: usize) -> String {
    format!("pod-{index}-{life}")
}

/// A tenth are scans. A new pod comes without a node.
fn pod(index: usize, life: usize, phase: &str, scale: &Scale) -> Value {
    let mut pod = reviews::scan_pod();
    let metadata = &mut pod["metadata"];
    metadata["name"] = json!(name(index, life));
    metadata["namespace"] = json!(namespace(index));
    metadata["uid"] = json!(format!("00000000-0000-{life:04x}-0002-{index:012x}"));
    metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    if index.is_multiple_of(10) {
        metadata["annotations"]["supercargo.dev/profile"] = json!("scan");
    } else {
        metadata["labels"] = json!({"app.kubernetes.io/name": format!("web-{}", index % 997)});
    }
    pod["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}});
    if !phase.is_empty() {
        pod["spec"]["nodeName"] = json!(node_name(index % scale.nodes));
        pod["status"] = json!({"phase": phase, "startTime": "2026-01-01T00:00:00Z", "podIP": "10.1.2.3", "qosClass": "Burstable",
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}]});
    }
    if phase == "Succeeded" {
        let end = json!({"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:04:00Z"}});
        pod["status"]["containerStatuses"] = json!([{"name": "scan", "state": end}]);
    }
    pod
}

fn kubeconfig_for(address: SocketAddr) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "bench", "user": {}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    })
}

fn counted(http: SocketAddr) -> Result<usize> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    Ok(metric(http, "supercargo_snapshot_pods")? as usize)
}

fn metric(address: SocketAddr, name: &str) -> Result<f64> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: x\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("no metric {name}"))?.parse()?)
}

fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(300);
    while !holds()? {
        ensure!(Instant::now() < end, "never came: {what}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
