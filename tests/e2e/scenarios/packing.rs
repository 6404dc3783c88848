//! Packing, counted: how many nodes the same Jobs take without and with the webhook.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::controlplane::ControlPlane;
use crate::install::{Setup, install, scan_namespace};
use crate::load::clear_jobs;
use crate::objects::{Jobs, nodes, nodes_used, set};

const JOBS: usize = 30;
const NODES: usize = 20;

/// How a Job says which group it belongs to.
#[derive(Clone, Copy)]
enum Chart {
    /// By a label alone.
    Plain,
    /// By label `batchjobs-group`, and a preferred podAffinity of its own on it.
    BatchjobsGroup,
    /// By label `jobs-group`, and a preferred podAffinity of its own on it.
    JobsGroup,
}

/// 30 Jobs of one group on 20 nodes: the plain ones use far fewer nodes, and those that pack by hand no more than before.
pub async fn packs_jobs_of_a_group(plane: &ControlPlane) -> Result<()> {
    let namespace = scan_namespace(plane, "packing").await?;
    nodes(plane, "node", NODES, "4", "16Gi", 110).await?;
    let charts = [
        ("plain, with a group label", Chart::Plain),
        ("own podAffinity on batchjobs-group", Chart::BatchjobsGroup),
        ("own podAffinity on jobs-group", Chart::JobsGroup),
    ];
    let mut without = Vec::new();
    for (index, (_, chart)) in charts.iter().enumerate() {
        without.push(used(plane, &namespace, &format!("without-{index}"), *chart).await?);
    }
    let installed = install(plane, &Setup::default()).await?;
    let mut with = Vec::new();
    for (index, (_, chart)) in charts.iter().enumerate() {
        with.push(used(plane, &namespace, &format!("with-{index}"), *chart).await?);
    }
    println!("    nodes used by {JOBS} Jobs on {NODES} nodes:  without  with");
    for ((name, _), (without, with)) in charts.iter().zip(without.iter().zip(&with)) {
        println!("      {name:<36} {without:>8} {with:>5}");
    }
    // What spreads is the plain Job; a chart that packs by hand needs no help, and must not be hindered.
    let spread = without[0];
    for ((name, _), (without, with)) in charts.iter().zip(without.iter().zip(&with)) {
        ensure!(with * 2 <= spread, "{name}: {with} nodes with the webhook, {spread} when nobody packs");
        ensure!(*with <= without + 1, "{name}: {with} nodes with the webhook, {without} without");
    }
    let placed = installed.webhook.metric("supercargo_mutations_total", &[("mutator", "placement")]).await?;
    ensure!(placed >= 30, "{placed} pods were placed, say the metrics");
    Ok(())
}

/// Creates the Jobs, counts the nodes that their pods are bound to, and takes both away again.
async fn used(plane: &ControlPlane, namespace: &str, group: &str, chart: Chart) -> Result<usize> {
    let label = match chart {
        Chart::Plain | Chart::BatchjobsGroup => "batchjobs-group",
        Chart::JobsGroup => "jobs-group",
    };
    // They outlive the count, so that none makes room for another.
    let run_for = Some(Duration::from_secs(600));
    let jobs = Jobs { namespace, group, count: JOBS, run_for, ..Jobs::default() };
    jobs.create_changed(plane.admin(), |job| write_as(chart, group, job)).await?;
    let used = nodes_used(plane, namespace, &format!("{label}={group}"), JOBS).await?.len();
    clear_jobs(plane, namespace).await?;
    Ok(used)
}

fn write_as(chart: Chart, group: &str, job: &mut Value) {
    let template = &mut job["spec"]["template"];
    template["metadata"]["annotations"]["supercargo.dev/source"] = json!("repository");
    let selector = match chart {
        Chart::Plain => return,
        Chart::BatchjobsGroup => json!({"matchLabels": {"batchjobs-group": group}}),
        Chart::JobsGroup => {
            template["metadata"]["labels"] = json!({"app.kubernetes.io/component": "scan", "jobs-group": group});
            json!({"matchExpressions": [{"key": "jobs-group", "operator": "In", "values": [group]}]})
        }
    };
    let term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": selector});
    let preferred = "/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution";
    set(template, preferred, json!([{"weight": 100, "podAffinityTerm": term}]));
}
