//! Loads for packing: services that fill some of the nodes, Jobs of many sizes, how many unused nodes they took, and how few it could
//! have been. The same seed gives the same load.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use supercargo::packing::Amounts;
use supercargo::packing::bound::{Room, unused_nodes};
use tokio::time::{Instant, sleep_until};

use crate::controlplane::ControlPlane;
use crate::objects::{Jobs, SOON, nodes, nodes_used, object, set};
use crate::wait::wait_for;

/// Milli-cores and MiB of a node; small ones, so that few Jobs fill them.
const NODE: (u64, u64) = (4_000, 16_384);
const PODS: u32 = 110;

/// Who packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nobody but the scheduler.
    Plain,
    /// The author, by a preferred podAffinity of the Jobs to their group.
    Affinity,
    /// The webhook, if the namespace is one for scans.
    Ladder,
}

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
    /// How many pods sit on a rung of their ladder, on another node, and have none.
    pub pods: Sitting,
}

/// Where pods ended up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sitting {
    on_a_rung: usize,
    elsewhere: usize,
    without_a_ladder: usize,
}

impl Sitting {
    async fn of(pods: &Api<Pod>, selector: &str) -> Result<Sitting> {
        let mut sitting = Sitting::default();
        for pod in pods.list(&ListParams::default().labels(selector)).await?.items {
            let spec = pod.spec.context("a pod without spec")?;
            let affinity = spec.affinity.and_then(|affinity| affinity.node_affinity);
            let terms = affinity.and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution);
            let terms = terms.unwrap_or_default();
            let mut fields = terms.iter().filter_map(|term| term.preference.match_fields.as_ref()).flatten().peekable();
            let count = if fields.peek().is_none() {
                &mut sitting.without_a_ladder
            } else if fields.any(|field| field.values.as_deref() == spec.node_name.as_ref().map(std::slice::from_ref)) {
                &mut sitting.on_a_rung
            } else {
                &mut sitting.elsewhere
            };
            *count += 1;
        }
        Ok(sitting)
    }
}

impl std::fmt::Display for Sitting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Sitting { on_a_rung, elsewhere, without_a_ladder } = self;
        write!(f, "{on_a_rung} on a rung, {elsewhere} elsewhere, {without_a_ladder} without a ladder")
    }
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

/// Makes nodes; a service each takes 35 to 75 % of the first `busy`.
pub async fn busy_nodes(plane: &ControlPlane, namespace: &str, count: usize, busy: usize, seed: u64) -> Result<Nodes> {
    nodes_with_services(plane, namespace, count, busy, 1, seed).await
}

/// The same, but so many services share what one would take.
pub async fn nodes_with_services(
    plane: &ControlPlane,
    namespace: &str,
    count: usize,
    busy: usize,
    services: u64,
    seed: u64,
) -> Result<Nodes> {
    let names = nodes(plane, "node", count, &format!("{}m", NODE.0), &format!("{}Mi", NODE.1), PODS).await?;
    let (mut random, mut loaded) = (Random::new(seed), Vec::new());
    for name in names.into_iter().take(busy) {
        let mut share = |all: u64| all * random.between(35, 75) / 100 / services * services;
        loaded.push((name, (share(NODE.0), share(NODE.1))));
    }
    let pods: Api<Pod> = Api::namespaced(plane.admin(), namespace);
    for service in 0..services {
        try_join_all(loaded.iter().map(|(node, (cpu, memory))| {
            let amounts = json!({"cpu": format!("{}m", cpu / services), "memory": format!("{}Mi", memory / services)});
            let container = json!({"name": "app", "image": "registry.example/app:1", "resources": {"requests": amounts, "limits": amounts}});
            let pod = json!({"metadata": {"name": format!("service-{service}-{node}")}, "spec": {"nodeName": node, "restartPolicy": "Never", "containers": [container]}});
            let pods = &pods;
            async move { anyhow::Ok(pods.create(&PostParams::default(), &object(pod)?).await?) }
        }))
        .await?;
    }
    let free = |(cpu, memory): (u64, u64)| (NODE.0 - cpu, NODE.1 - memory);
    let busy: Vec<_> = loaded.into_iter().map(|(name, taken)| (name, free(taken))).collect();
    Ok(Nodes { unused: count - busy.len(), busy })
}

/// Milli-cores and MiB of each of so many Jobs.
fn sizes(count: usize, seed: u64) -> Vec<(u64, u64)> {
    let mut random = Random::new(seed + 1_000);
    (0..count).map(|_| (random.between(4, 20) * 50, random.between(8, 32) * 64)).collect()
}

/// The same Jobs as a file for `supercargo simulate --batch`.
pub fn batch(count: usize, seed: u64) -> Value {
    let job = |(index, (cpu, memory)): (usize, (u64, u64))| json!({"jobName": format!("job-{index}"), "image": "registry.example/scan:1", "requestCpu": format!("{cpu}m"), "requestMem": format!("{memory}Mi")});
    let jobs: Vec<Value> = sizes(count, seed).into_iter().enumerate().map(job).collect();
    json!({"simulated": jobs})
}

impl Nodes {
    /// Creates Jobs of many sizes, all at once, and waits until they are bound.
    pub async fn run(
        &self,
        plane: &ControlPlane,
        namespace: &str,
        group: &str,
        count: usize,
        seed: u64,
    ) -> Result<Taken> {
        self.run_as(plane, namespace, group, count, seed, Way::Ladder).await
    }

    /// The same, packed so.
    pub async fn run_as(
        &self,
        plane: &ControlPlane,
        namespace: &str,
        group: &str,
        count: usize,
        seed: u64,
        way: Way,
    ) -> Result<Taken> {
        let sizes = sizes(count, seed);
        // They outlive the count, so that none makes room for another.
        let jobs = Jobs { namespace, group, count, run_for: Some(Duration::from_secs(900)), ..Jobs::default() };
        jobs.create_changed(plane.admin(), |job| write(job, group, sizes[index(job)], way)).await?;
        let selector = format!("batchjobs-group={group}");
        let used = nodes_used(plane, namespace, &selector, count).await?;
        let pods = Sitting::of(&Api::namespaced(plane.admin(), namespace), &selector).await?;
        let busy: BTreeSet<&str> = self.busy.iter().map(|(name, _)| name.as_str()).collect();
        let woken = used.keys().filter(|name| !busy.contains(name.as_str())).count();
        Ok(Taken { woken, bound: self.bound(&sizes)?, pods })
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

/// Which of the Jobs it is, by its name.
fn index(job: &Value) -> usize {
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    name.rsplit('-').next().and_then(|index| index.parse().ok()).unwrap_or_default()
}

fn write(job: &mut Value, group: &str, (cpu, memory): (u64, u64), way: Way) {
    let amounts = json!({"cpu": format!("{cpu}m"), "memory": format!("{memory}Mi")});
    let template = &mut job["spec"]["template"];
    set(template, "/spec/containers/0/resources", json!({"requests": amounts, "limits": amounts}));
    template["metadata"]["annotations"]["supercargo.dev/source"] = json!("repository");
    if way == Way::Affinity {
        let selector = json!({"matchLabels": {"batchjobs-group": group}});
        let term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": selector});
        let preferred = "/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution";
        set(template, preferred, json!([{"weight": 100, "podAffinityTerm": term}]));
    }
}

/// Takes the services of a namespace and all nodes away.
pub async fn delete_nodes(plane: &ControlPlane, namespace: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(plane.admin(), namespace);
    let nodes: Api<Node> = Api::all(plane.admin());
    let all = ListParams::default();
    wait_for("the services to be gone", SOON, async || {
        pods.delete_collection(&DeleteParams::default().grace_period(0), &all).await?;
        Ok(pods.list(&all).await?.items.is_empty().then_some(()))
    })
    .await?;
    nodes.delete_collection(&DeleteParams::default(), &all).await?;
    Ok(())
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

const CHURN_JOBS: usize = 240;
const CHURN_SECONDS: u64 = 70;

/// One Job of the churn.
struct Short {
    size: (u64, u64),
    /// When it is created, after the start.
    at: Duration,
    runs: Duration,
    image: String,
}

/// Where a normal distribution has the middles of its twelve twelfths: kinds whose medians are log-normal, and the same for all seeds.
const TWELFTHS: [f64; 12] = [-1.73, -1.15, -0.81, -0.55, -0.32, -0.10, 0.10, 0.32, 0.55, 0.81, 1.15, 1.73];

/// Jobs over a minute; each of a kind that says how long they run, give or take a quarter; 8 seconds in the median, 2 to 40 in all.
fn shorts(seed: u64) -> Vec<Short> {
    let medians = TWELFTHS.map(|normal| 8.0 * (0.8 * normal).exp());
    let mut random = Random::new(seed + 2_000);
    let mut shorts: Vec<Short> = sizes(CHURN_JOBS, seed)
        .into_iter()
        .map(|size| {
            let kind = usize::try_from(random.between(0, 11)).unwrap_or_default();
            let seconds = medians[kind] * milli(random.between(800, 1_250));
            Short {
                size,
                at: Duration::from_millis(random.between(0, CHURN_SECONDS * 1_000)),
                runs: Duration::from_secs_f64(seconds.clamp(1.0, 60.0)),
                image: format!("registry.example/kind-{kind}:1"),
            }
        })
        .collect();
    shorts.sort_by_key(|short| short.at);
    shorts
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn milli(number: u64) -> f64 {
    number as f64 / 1e3
}

impl Nodes {
    /// Creates the Jobs of the churn when each is due, and watches until all have ended. All is counted by what the pods took, so
    /// that delays of the control plane count neither for nor against.
    pub async fn churn(
        &self,
        plane: &ControlPlane,
        namespace: &str,
        group: &str,
        seed: u64,
        way: Way,
    ) -> Result<NodeSeconds> {
        let shorts = shorts(seed);
        let api: Api<Job> = Api::namespaced(plane.admin(), namespace);
        let began = Instant::now();
        let create = async {
            for (index, short) in shorts.iter().enumerate() {
                sleep_until(began + short.at).await;
                let jobs = Jobs { namespace, group, run_for: Some(short.runs), ..Jobs::default() };
                let mut job = jobs.job(index);
                write(&mut job, group, short.size, way);
                set(&mut job, "/spec/template/spec/containers/0/image", json!(short.image));
                api.create(&PostParams::default(), &object(job)?).await?;
            }
            anyhow::Ok(())
        };
        let (created, watched) = tokio::join!(create, watch(plane, namespace, shorts.len()));
        created?;
        watched
    }
}

/// What a churn took, and what it could not have done without.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeSeconds {
    /// Nodes that ran a Job, over time.
    used: f64,
    /// Nodes that would do if pods were fluid: as many at each moment as hold the sum of what runs, parts of nodes too.
    fluid: f64,
    /// The same in whole nodes at each moment: whoever packs, a node is in use or it is not.
    whole: f64,
}

impl NodeSeconds {
    /// What was used, over both bounds.
    pub fn ratios(&self) -> (f64, f64) {
        (self.used / self.fluid, self.used / self.whole)
    }
}

/// Looks at the pods until so many have ended.
async fn watch(plane: &ControlPlane, namespace: &str, count: usize) -> Result<NodeSeconds> {
    let pods: Api<Pod> = Api::namespaced(plane.admin(), namespace);
    let (mut sums, mut last) = (NodeSeconds::default(), Instant::now());
    let end = last + 6 * SOON;
    loop {
        let (mut used, mut ended) = (BTreeSet::new(), 0);
        let (mut cpu, mut memory) = (0.0, 0.0);
        for pod in pods.list(&ListParams::default().labels("batchjobs-group")).await?.items {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
            let spec = pod.spec.as_ref().context("a pod without spec")?;
            if matches!(phase, "Succeeded" | "Failed") {
                ended += 1;
            } else if let Some(node) = &spec.node_name {
                used.insert(node.clone());
                let requests = spec.containers[0].resources.as_ref().and_then(|resources| resources.requests.as_ref());
                let amount = |key: &str, unit: &str| -> f64 {
                    let text = requests.and_then(|requests| requests.get(key)).map_or("0", |amount| &amount.0);
                    text.trim_end_matches(unit).parse().unwrap_or(0.0)
                };
                // Quantities come back as they were written, or shorter: 1000m is 1, 1024Mi is 1Gi.
                let (written_cpu, written_memory) = (amount("cpu", "m"), amount("memory", "Mi"));
                cpu += if written_cpu < 10.0 { written_cpu * 1e3 } else { written_cpu };
                memory += if written_memory < 10.0 { gibi(requests) } else { written_memory };
            }
        }
        let now = Instant::now();
        let passed = now.duration_since(last).as_secs_f64();
        last = now;
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let in_use = used.len() as f64;
        let fluid = f64::max(cpu / milli(NODE.0 * 1_000), memory / milli(NODE.1 * 1_000));
        sums.used += passed * in_use;
        sums.fluid += passed * fluid;
        sums.whole += passed * fluid.ceil();
        if ended >= count {
            return Ok(sums);
        }
        ensure!(now < end, "{ended} of {count} have ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn gibi(requests: Option<&BTreeMap<String, Quantity>>) -> f64 {
    let text = requests.and_then(|requests| requests.get("memory")).map_or("0", |amount| &amount.0);
    text.trim_end_matches("Gi").parse::<f64>().unwrap_or(0.0) * 1_024.0
}
