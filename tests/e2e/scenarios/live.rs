//! Packing with a view of the nodes, by the real scheduler.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::install::{Setup, base, certs, install, register, scan_namespace, serve};
use crate::load::{batch, busy_nodes, clear_jobs};
use crate::objects::{Jobs, SOON, get, nodes_used, pods};
use crate::switch::Switch;
use crate::wait::wait_for;
use crate::webhook::{Webhook, program};

const NODES: usize = 20;
const BUSY: usize = 8;
const JOBS: usize = 60;
const SEED: u64 = 3;

/// Any packing that looks at one pod after the other may need a node more than the bound.
const SLACK: usize = 1;

/// A scan's pod names the fullest node that has room for it, and the scheduler follows.
pub async fn a_scan_lands_where_it_was_sent(plane: &ControlPlane) -> Result<()> {
    let namespace = scan_namespace(plane, "live").await?;
    busy_nodes(plane, &namespace, NODES, BUSY, SEED).await?;
    let installed = install(plane, &Setup::default()).await?;
    for index in 0..3 {
        let group = format!("single-{index}");
        let jobs =
            Jobs { namespace: &namespace, group: &group, run_for: Some(Duration::from_secs(900)), ..Jobs::default() };
        jobs.create_changed(plane.admin(), |job| {
            job["spec"]["template"]["metadata"]["annotations"]["supercargo.dev/source"] = "repository".into();
        })
        .await?;
        let used = nodes_used(plane, &namespace, &format!("batchjobs-group={group}"), 1).await?;
        let pod = pods(plane, &namespace, &format!("batchjobs-group={group}")).await?.into_iter().next();
        let pod = pod.context("no pod")?;
        let ladder = ladder(&pod);
        ensure!(ladder.len() == 8, "the ladder is {ladder:?}");
        ensure!(used.contains_key(ladder[0]), "it is on {used:?} and was sent to {ladder:?}");
        ensure!(pod.pointer("/spec/affinity/podAffinity").is_none(), "both: {}", pod["spec"]["affinity"]);
    }
    let ladders = installed.webhook.metric("supercargo_plans_total", &[("outcome", "ladder")]).await?;
    ensure!(ladders >= 3, "{ladders} ladders, say the metrics");
    wait_for("the nodes to be counted", SOON, async || {
        let seen = installed.webhook.metric("supercargo_snapshot_nodes", &[]).await?;
        ensure!(seen == NODES as u64, "{seen} nodes, say the metrics");
        Ok(Some(()))
    })
    .await
}

/// Scans that would rather be on spot nodes, where there are none, still share nodes.
pub async fn packs_in_spite_of_a_preference(plane: &ControlPlane) -> Result<()> {
    const COUNT: usize = 10;
    let namespace = scan_namespace(plane, "spot").await?;
    busy_nodes(plane, &namespace, NODES, BUSY, SEED).await?;
    let _installed = install(plane, &Setup::default()).await?;
    let spot = json!([{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}]);
    let own = json!([{"weight": 1, "preference": {"matchExpressions": spot}}]);
    let run_for = Some(Duration::from_secs(900));
    let jobs = Jobs { namespace: &namespace, group: "spot", count: COUNT, run_for, ..Jobs::default() };
    jobs.create_changed(plane.admin(), |job| {
        let template = &mut job["spec"]["template"];
        template["metadata"]["annotations"]["supercargo.dev/source"] = "repository".into();
        template["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] = own.clone();
    })
    .await?;
    let used = nodes_used(plane, &namespace, "batchjobs-group=spot", COUNT).await?;
    println!("    {COUNT} Jobs that prefer what no node is: on {used:?}");
    ensure!(used.len() <= 3, "on {used:?}");
    for pod in pods(plane, &namespace, "batchjobs-group=spot").await? {
        let terms = &pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
        ensure!(terms[0] == own[0] && terms[1]["preference"] == own[0]["preference"], "{terms}");
        ensure!(terms[1]["weight"] == 100 && !ladder(&pod).is_empty(), "{terms}");
    }
    Ok(())
}

/// On a cluster that is partly busy the ladder wakes hardly more nodes than must be, and fewer than podAffinity; and `supercargo
/// simulate` says so beforehand.
pub async fn fills_the_nodes_in_use(plane: &ControlPlane) -> Result<()> {
    let namespace = scan_namespace(plane, "mixed").await?;
    let nodes = busy_nodes(plane, &namespace, NODES, BUSY, SEED).await?;
    let simulated = simulated(plane).await?;
    let plain = nodes.run(plane, &namespace, "plain", JOBS, SEED).await?;
    clear_jobs(plane, &namespace).await?;
    let affinity = {
        let _installed = install(plane, &Setup { args: &["--karpenter", "affinity"], ..Setup::default() }).await?;
        nodes.run(plane, &namespace, "affinity", JOBS, SEED).await?
    };
    clear_jobs(plane, &namespace).await?;
    let installed = install(plane, &Setup::default()).await?;
    let ladder = nodes.run(plane, &namespace, "ladder", JOBS, SEED).await?;
    println!(
        "    unused nodes woken by {JOBS} Jobs, {BUSY} of {NODES} nodes busy: alone {}, podAffinity {}, ladder {}, bound {}",
        plain.woken, affinity.woken, ladder.woken, ladder.bound
    );
    ensure!(ladder.woken <= ladder.bound + SLACK, "{ladder:?}");
    ensure!(ladder.woken < affinity.woken, "{ladder:?}, and by podAffinity {affinity:?}");
    println!("    the same, simulated: {simulated:?}");
    for (taken, modelled) in [(plain, simulated[0]), (affinity, simulated[1]), (ladder, simulated[3])] {
        ensure!(taken.woken.abs_diff(modelled) <= 1, "{taken:?}, and by the model {modelled}");
    }
    wait_for("no reservation to be left", SOON, async || {
        Ok((installed.webhook.metric("supercargo_reservations", &[]).await? == 0).then_some(()))
    })
    .await
}

/// The nodes that the Jobs would wake, as `supercargo simulate` has it: alone, by podAffinity, with MostAllocated, by the ladder.
async fn simulated(plane: &ControlPlane) -> Result<Vec<usize>> {
    let cluster = plane.kubectl(User::Admin, &["get", "nodes,pods", "-A", "-o", "json"], None).await?.success()?;
    let file = |name: &str, text: &str| {
        let path = plane.folder().join(name);
        std::fs::write(&path, text).map(|()| path)
    };
    let (cluster, batch) = (file("cluster.json", &cluster)?, file("batch.json", &batch(JOBS, SEED).to_string())?);
    let report = async |command: &mut Command| {
        let output = command.arg("--batch").arg(&batch).args(["-o", "json"]).output().await?;
        ensure!(output.status.success(), "simulate: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice::<Value>(&output.stdout)?)
    };
    let report = {
        let file = report(Command::new(program()).arg("simulate").arg(cluster)).await?;
        let kubeconfig = plane.kubeconfig(User::Admin);
        let live =
            report(Command::new(program()).args(["simulate", "--cluster", "--kubeconfig"]).arg(kubeconfig)).await?;
        ensure!(file == live, "simulated from a file {file}, and from the cluster {live}");
        file
    };
    let woken = |way: &Value| way["woken"].as_u64().and_then(|woken| usize::try_from(woken).ok());
    let ways = report["ways"].as_array().context("no ways")?;
    ways.iter().map(|way| woken(way).context("no number")).collect()
}

/// Two replicas that know of each other only by what the pods say wake as many nodes as one does.
pub async fn two_replicas_plan_as_one(plane: &ControlPlane) -> Result<()> {
    let namespace = scan_namespace(plane, "replicas").await?;
    let nodes = busy_nodes(plane, &namespace, NODES, BUSY, SEED).await?;
    let (certs, kubeconfig) = (certs(plane).await?, base(plane).await?);
    let first = serve(plane, &Setup::default(), &certs, &kubeconfig).await?;
    let second = serve(plane, &Setup::default(), &certs, &kubeconfig).await?;
    let switch = Switch::start(&[&first, &second]).await?;
    switch.both_ready().await?;
    register(plane, switch.address, &certs.join("ca.crt"), |_| ()).await?;
    let taken = nodes.run(plane, &namespace, "shared", JOBS, SEED).await?;
    let ladders = async |webhook: &Webhook| webhook.metric("supercargo_plans_total", &[("outcome", "ladder")]).await;
    let planned = [ladders(&first).await?, ladders(&second).await?];
    println!("    two replicas planned {planned:?}: {taken:?}");
    // How many each gets is the API server's choice, which keeps connections.
    let all: u64 = planned.iter().sum();
    ensure!(all >= JOBS as u64, "{all} ladders");
    ensure!(taken.woken <= taken.bound + SLACK, "{taken:?}");
    Ok(())
}

/// A replica that is killed leaves nothing behind that its successor would stumble over, and the successor knows what was learned.
pub async fn a_restart_forgets_nothing(plane: &ControlPlane) -> Result<()> {
    let namespace = scan_namespace(plane, "restart").await?;
    let nodes = busy_nodes(plane, &namespace, NODES, BUSY, SEED).await?;
    let (certs, kubeconfig) = (certs(plane).await?, base(plane).await?);
    let args = ["--namespace", "supercargo"];
    let setup = Setup { args: &args, ..Setup::default() };
    let start = async || {
        let webhook = serve(plane, &setup, &certs, &kubeconfig).await?;
        register(plane, webhook.tls, &certs.join("ca.crt"), |_| ()).await?;
        anyhow::Ok(webhook)
    };
    let webhook = start().await?;
    let short = Jobs { namespace: &namespace, group: "short", count: 6, ..Jobs::default() };
    short
        .create_changed(plane.admin(), |job| {
            job["spec"]["template"]["metadata"]["annotations"]["supercargo.dev/source"] = "repository".into();
        })
        .await?;
    short.succeeded(plane).await?;
    let path = "/api/v1/namespaces/supercargo/configmaps/supercargo-lifetimes";
    wait_for("lifetimes to be written", SOON, async || {
        let map = get(plane, path).await?;
        Ok(map["data"]["lifetimes.json"].as_str().map(|_| ()))
    })
    .await?;
    webhook.process().kill();
    clear_jobs(plane, &namespace).await?;

    let webhook = start().await?;
    let kinds = async || webhook.metric("supercargo_lifetime_kinds", &[]).await;
    wait_for("the successor to know them", SOON, async || Ok((kinds().await? >= 2).then_some(()))).await?;
    let taken = nodes.run(plane, &namespace, "after", JOBS, SEED).await?;
    ensure!(taken.woken <= taken.bound + SLACK, "{taken:?}");
    Ok(())
}

/// The nodes that a pod names, the best first.
fn ladder(pod: &Value) -> Vec<&str> {
    let terms = pod.pointer("/spec/affinity/nodeAffinity/preferredDuringSchedulingIgnoredDuringExecution");
    let terms = terms.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    terms.iter().filter_map(|term| term.pointer("/preference/matchFields/0/values/0")?.as_str()).collect()
}
