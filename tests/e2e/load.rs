//! Loads for packing: services that fill some of the nodes, Jobs of many sizes, how many unused nodes they took, and how few it could
//! have been. The same seed gives the same load.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use supercargo::packing::Amounts;
use supercargo::packing::bound::{Room, unused_nodes};

use crate::controlplane::ControlPlane;
use crate::objects::{Jobs, SOON, nodes, nodes_used, object, set};
use crate::wait::wait_for;

/// Milli-cores and MiB of a node; small ones, so that few Jobs fill them.
const NODE: (u64, u64) = (4_000, 16_384);
const PODS: u32 = 110;

/// Nodes of which some run services.
pub struct Nodes {
    /// Names of the nodes that run a service, and what is free there.
    busy: Vec<(String, (u64, u64))>,
    unused: usize,
}

/// What Jobs took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Nodes that ran nothing before.
    pub woken: usize,
    /// The fewest that could have been woken.
    pub bound: usize,
}

/// A generator of Lehmer's: good enough for sizes, and the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed * 7_919 + 1)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        low + self.0 % (high - low + 1)
    }
}

/// Makes nodes; services take 35 to 75 % of the first `busy`.
pub async fn busy_nodes(plane: &ControlPlane, namespace: &str, count: usize, busy: usize, seed: u64) -> Result<Nodes> {
    let names = nodes(plane, "node", count, &format!("{}m", NODE.0), &format!("{}Mi", NODE.1), PODS).await?;
    let (mut random, mut loaded) = (Random::new(seed), Vec::new());
    for name in names.into_iter().take(busy) {
        let mut share = |all: u64| all * random.between(35, 75) / 100;
        loaded.push((name, (share(NODE.0), share(NODE.1))));
    }
    let pods: Api<Pod> = Api::namespaced(plane.admin(), namespace);
    try_join_all(loaded.iter().map(|(node, (cpu, memory))| {
        let amounts = json!({"cpu": format!("{cpu}m"), "memory": format!("{memory}Mi")});
        let container = json!({"name": "app", "image": "registry.example/app:1", "resources": {"requests": amounts, "limits": amounts}});
        let pod = json!({"metadata": {"name": format!("service-{node}")}, "spec": {"nodeName": node, "containers": [container]}});
        let pods = &pods;
        async move { anyhow::Ok(pods.create(&PostParams::default(), &object(pod)?).await?) }
    }))
    .await?;
    let free = |(cpu, memory): (u64, u64)| (NODE.0 - cpu, NODE.1 - memory);
    let busy: Vec<_> = loaded.into_iter().map(|(name, taken)| (name, free(taken))).collect();
    Ok(Nodes { unused: count - busy.len(), busy })
}

/// Milli-cores and MiB of each of so many Jobs.
fn sizes(count: usize, seed: u64) -> Vec<(u64, u64)> {
    let mut random = Random::new(seed + 1_000);
    (0..count).map(|_| (random.between(4, 20) * 50, random.between(8, 32) * 64)).collect()
}

impl Nodes {
    /// Creates Jobs of many sizes, all at once, and waits until they run; `change` is done to each before.
    pub async fn run(
        &self,
        plane: &ControlPlane,
        namespace: &str,
        group: &str,
        count: usize,
        seed: u64,
    ) -> Result<Taken> {
        let sizes = sizes(count, seed);
        // They outlive the count, so that none makes room for another.
        let jobs = Jobs { namespace, group, count, run_for: Some(Duration::from_secs(900)), ..Jobs::default() };
        jobs.create_changed(plane.admin(), |job| write_size(job, &sizes)).await?;
        let used = nodes_used(plane, namespace, &format!("batchjobs-group={group}"), count).await?;
        let busy: BTreeSet<&str> = self.busy.iter().map(|(name, _)| name.as_str()).collect();
        let woken = used.keys().filter(|name| !busy.contains(name.as_str())).count();
        Ok(Taken { woken, bound: self.bound(&sizes)? })
    }

    fn bound(&self, sizes: &[(u64, u64)]) -> Result<usize> {
        let amounts = |(cpu, memory): (u64, u64)| Amounts { cpu, memory: memory << 20, storage: 0 };
        let pods: Vec<_> = sizes.iter().map(|size| amounts(*size)).collect();
        let in_use: Vec<_> =
            self.busy.iter().map(|(_, free)| Room { amounts: amounts(*free), pods: PODS - 1 }).collect();
        let storage = u64::from(PODS) << 30;
        let unused = Room { amounts: Amounts { storage, ..amounts(NODE) }, pods: PODS };
        unused_nodes(&pods, &in_use, &vec![unused; self.unused]).context("the nodes cannot hold the Jobs")
    }
}

fn write_size(job: &mut Value, sizes: &[(u64, u64)]) {
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    let index: usize = name.rsplit('-').next().and_then(|index| index.parse().ok()).unwrap_or_default();
    let (cpu, memory) = sizes[index];
    let amounts = json!({"cpu": format!("{cpu}m"), "memory": format!("{memory}Mi")});
    let template = &mut job["spec"]["template"];
    set(template, "/spec/containers/0/resources", json!({"requests": amounts, "limits": amounts}));
    template["metadata"]["annotations"]["supercargo.dev/source"] = json!("repository");
}

/// Takes the Jobs of a namespace away, and returns when their pods are gone.
pub async fn clear_jobs(plane: &ControlPlane, namespace: &str) -> Result<()> {
    let jobs: Api<Job> = Api::namespaced(plane.admin(), namespace);
    let pods: Api<Pod> = Api::namespaced(plane.admin(), namespace);
    let (all, scans) = (ListParams::default(), ListParams::default().labels("batchjobs-group"));
    jobs.delete_collection(&DeleteParams::background(), &all).await?;
    wait_for("the Jobs and their pods to be gone", SOON, async || {
        pods.delete_collection(&DeleteParams::default().grace_period(0), &scans).await?;
        let left = jobs.list(&all).await?.items.len() + pods.list(&scans).await?.items.len();
        ensure!(left == 0, "{left} are there");
        Ok(Some(()))
    })
    .await
}
