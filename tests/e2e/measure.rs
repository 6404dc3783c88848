//! The evidence for packing: the cases of docs/packing.md on the real scheduler, as rows of its tables.
//!
//! Takes the better part of an hour and judges nothing: `make packing`. `SUPERCARGO_SEEDS` says how many seeds.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::controlplane::{ControlPlane, Options};
use crate::install::{Installed, Setup, base, certs, install, manifest, policies, register, scan_namespace, serve};
use crate::load::{Nodes, Taken, Way, busy_nodes, clear_jobs, delete_nodes, nodes_with_services};
use crate::objects::namespace;
use crate::switch::Switch;

const STATIC_NODES: usize = 20;
const STATIC_JOBS: usize = 60;
const BUSY: usize = 8;
const SCALE_JOBS: usize = 400;
const BURST: usize = 300;

fn seeds() -> std::ops::RangeInclusive<u64> {
    let last = std::env::var("SUPERCARGO_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(5);
    1..=last
}

/// A namespace that nobody equips, and one for scans.
struct Ground<'p> {
    plane: &'p ControlPlane,
    plain: String,
    scans: String,
}

impl<'p> Ground<'p> {
    async fn new(plane: &'p ControlPlane) -> Result<Ground<'p>> {
        let (plain, scans) = (namespace(plane, "plain", &[]).await?, scan_namespace(plane, "measured").await?);
        Ok(Ground { plane, plain, scans })
    }

    async fn run(&self, nodes: &Nodes, way: Way, count: usize, seed: u64) -> Result<Taken> {
        let namespace = if way == Way::Ladder { &self.scans } else { &self.plain };
        let taken = nodes.run_as(self.plane, namespace, &format!("seed-{seed}"), count, seed, way).await?;
        clear_jobs(self.plane, namespace).await?;
        if way == Way::Ladder {
            println!("    seed {seed}: {} nodes; {}", taken.woken, taken.pods);
        }
        Ok(taken)
    }
}

/// Prints a row: the values of all seeds, and their sum.
fn row(name: &str, values: &[usize]) {
    let all: Vec<String> = values.iter().map(ToString::to_string).collect();
    println!("    | {name} | {} | {} |", all.join(" "), values.iter().sum::<usize>());
}

/// Nodes woken on a cluster of which `busy` nodes carry services, for each way and seed.
async fn woken(ground: &Ground<'_>, busy: usize, ways: &[(&str, Way)]) -> Result<()> {
    let mut table: Vec<Vec<usize>> = vec![Vec::new(); ways.len()];
    let mut bounds = Vec::new();
    for seed in seeds() {
        let nodes = busy_nodes(ground.plane, &ground.plain, STATIC_NODES, busy, seed).await?;
        for (index, (_, way)) in ways.iter().enumerate() {
            let taken = ground.run(&nodes, *way, STATIC_JOBS, seed).await?;
            table[index].push(taken.woken);
            if index == 0 {
                bounds.push(taken.bound);
            }
        }
        delete_nodes(ground.plane, &ground.plain).await?;
    }
    for ((name, _), values) in ways.iter().zip(&table) {
        row(name, values);
    }
    row("bound", &bounds);
    Ok(())
}

const WAYS: [(&str, Way); 3] =
    [("scheduler alone", Way::Plain), ("podAffinity", Way::Affinity), ("ladder", Way::Ladder)];

/// 60 Jobs on 20 empty nodes.
pub async fn empty(plane: &ControlPlane) -> Result<()> {
    let ground = Ground::new(plane).await?;
    let _installed = install(plane, &Setup::default()).await?;
    woken(&ground, 0, &WAYS).await
}

/// 60 Jobs on 20 nodes of which 8 carry services; once more with a profile that leaves those alone.
pub async fn mixed(plane: &ControlPlane) -> Result<()> {
    let ground = Ground::new(plane).await?;
    let installed = install(plane, &Setup::default()).await?;
    woken(&ground, BUSY, &WAYS).await?;
    drop(installed);
    let folder =
        policies(plane, &[("scan.yaml", scan_profile(|placement| placement["neighbours"] = json!("ScansOnly"))?)])?;
    let _installed = install(plane, &Setup { policies: Some(&folder), ..Setup::default() }).await?;
    woken(&ground, BUSY, &[("ladder, ScansOnly", Way::Ladder)]).await
}

/// The built-in profile, placed in another way.
fn scan_profile(change: impl FnOnce(&mut Value)) -> Result<Value> {
    let mut profile: Value = serde_saphyr::from_str(&manifest("manifests/policies/scan.yaml", &[])?)?;
    change(&mut profile["spec"]["placement"]);
    Ok(profile)
}

/// 400 Jobs on so many empty nodes.
pub async fn scale(plane: &ControlPlane, count: usize) -> Result<()> {
    let ground = Ground::new(plane).await?;
    let _installed = install(plane, &Setup::default()).await?;
    let nodes = busy_nodes(plane, &ground.plain, count, 0, 0).await?;
    for (name, way) in &WAYS[1..] {
        let (mut used, mut bounds) = (Vec::new(), Vec::new());
        for seed in seeds() {
            let taken = ground.run(&nodes, *way, SCALE_JOBS, seed).await?;
            used.push(taken.woken);
            bounds.push(taken.bound);
        }
        row(&format!("{count} nodes, {name}"), &used);
        row(&format!("{count} nodes, bound"), &bounds);
    }
    delete_nodes(plane, &ground.plain).await
}

/// CPU of the scheduler for a pod, on 1,000 nodes that run five services each.
pub async fn cpu(plane: &ControlPlane) -> Result<()> {
    let ground = Ground::new(plane).await?;
    let nodes = nodes_with_services(plane, &ground.plain, 1_000, 1_000, 5, 1).await?;
    // The pods are the same three times, volume and all, but for how they are placed.
    let folder = policies(plane, &[("scan.yaml", scan_profile(|placement| placement["mode"] = json!("None"))?)])?;
    let mut table = [const { Vec::new() }; WAYS.len()];
    // In turn, as the machine's clock changes within minutes.
    for seed in seeds() {
        for ((_, way), row) in WAYS.iter().zip(&mut table) {
            let policies = (*way != Way::Ladder).then_some(&*folder);
            let _installed = install(plane, &Setup { policies, ..Setup::default() }).await?;
            let before = plane.scheduler_cpu()?;
            nodes.run_as(plane, &ground.scans, &format!("seed-{seed}"), SCALE_JOBS, seed, *way).await?;
            #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
            row.push((plane.scheduler_cpu()? - before) * 1e3 / SCALE_JOBS as f64);
            clear_jobs(plane, &ground.scans).await?;
        }
    }
    for ((name, _), row) in WAYS.iter().zip(&table) {
        let each = row.iter().zip(&table[0]).map(|(cpu, alone)| format!("{cpu:.1} ({:.2})", cpu / alone));
        let each: Vec<_> = each.collect();
        println!("    ms of CPU of the scheduler for a pod (over alone), {name}: {}", each.join(", "));
    }
    delete_nodes(plane, &ground.plain).await
}

/// 300 Jobs at once on 100 nodes, through one replica and through three.
pub async fn replicas(plane: &ControlPlane) -> Result<()> {
    let ground = Ground::new(plane).await?;
    let nodes = busy_nodes(plane, &ground.plain, 100, 0, 0).await?;
    let measure = async |name: &str| {
        let (mut used, mut bounds) = (Vec::new(), Vec::new());
        for seed in seeds() {
            let taken = ground.run(&nodes, Way::Ladder, BURST, seed).await?;
            used.push(taken.woken);
            bounds.push(taken.bound);
        }
        row(name, &used);
        row("bound", &bounds);
        anyhow::Ok(())
    };
    let installed: Installed = install(plane, &Setup::default()).await?;
    measure("one replica").await?;
    drop(installed);
    let (certs, kubeconfig) = (certs(plane).await?, base(plane).await?);
    let mut webhooks = Vec::new();
    for _ in 0..3 {
        webhooks.push(serve(plane, &Setup::default(), &certs, &kubeconfig).await?);
    }
    let switch = Switch::start(&webhooks.iter().collect::<Vec<_>>()).await?;
    switch.both_ready().await?;
    register(plane, switch.address, &certs.join("ca.crt"), |_| ()).await?;
    measure("three replicas").await
}

/// The honest rival: a scheduler that packs by itself, without and with the ladder.
pub async fn most_allocated(_: &ControlPlane) -> Result<()> {
    let plane = ControlPlane::start(&Options { most_allocated: true, ..Options::default() }).await?;
    let ground = Ground::new(&plane).await?;
    let _installed = install(&plane, &Setup::default()).await?;
    let ways = [("MostAllocated", Way::Plain), ("MostAllocated and ladder", Way::Ladder)];
    println!("    empty");
    woken(&ground, 0, &ways).await?;
    println!("    mixed");
    woken(&ground, BUSY, &ways).await?;
    for count in [200, 500, 1000] {
        let nodes = busy_nodes(&plane, &ground.plain, count, 0, 0).await?;
        for (name, way) in ways {
            let mut used = Vec::new();
            for seed in seeds() {
                used.push(ground.run(&nodes, way, SCALE_JOBS, seed).await?.woken);
            }
            row(&format!("{count} nodes, {name}"), &used);
        }
        delete_nodes(&plane, &ground.plain).await?;
    }
    Ok(())
}

/// 240 Jobs in 70 seconds on 30 nodes, durations log-normal about 8 s: node-seconds over the fewest in whole nodes (and in parts of nodes).
pub async fn churn(plane: &ControlPlane) -> Result<()> {
    let ground = Ground::new(plane).await?;
    let nodes = busy_nodes(plane, &ground.plain, 30, 0, 0).await?;
    let _installed = install(plane, &Setup::default()).await?;
    // What the ladder knows of lifetimes it learns in the seeds before; the first one is to learn by.
    let all = std::iter::once(0).chain(seeds());
    for seed in all {
        let mut line = Vec::new();
        for (name, way) in &WAYS {
            let namespace = if *way == Way::Ladder { &ground.scans } else { &ground.plain };
            let began = Instant::now();
            let taken = nodes.churn(plane, namespace, &format!("churn-{seed}"), seed, *way).await;
            let (fluid, whole) = taken.with_context(|| format!("{name}, after {:?}", began.elapsed()))?.ratios();
            line.push(format!("{name} {whole:.2} ({fluid:.2})"));
            clear_jobs(plane, namespace).await?;
        }
        let note = if seed == 0 { " (to learn by)" } else { "" };
        println!("    node-seconds over the bound in whole nodes (in parts), seed {seed}{note}: {}", line.join(", "));
    }
    Ok(())
}

/// A measurement that takes longer than this hangs.
pub const MEASUREMENT: Duration = Duration::from_secs(3_600);
