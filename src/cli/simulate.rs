//! `supercargo simulate`: how many nodes a set of jobs would take.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

use self::arrivals::Window;
use super::basis::{PolicyArguments, load_policies};
use super::batch::{Text, seconds};
use super::progress::Progress;
use super::{CLEAN, complain_of};
use crate::output::safe_json;
use crate::packing::simulate::{self, Bar, Job, Report, Scoring, Setting};
use crate::packing::{Lifetimes, NodeSeen, PodSeen};
use crate::policy::profile::{Neighbours, Placement};
use crate::quantity::{self, Quantity};
use crate::source::{self, Item, Wanted};
use crate::tree::Node;

mod arrivals;
mod svg;
mod text;

/// Show how many nodes a set of jobs would take
///
/// Reads the nodes and pods of a cluster, and lets a model of kube-scheduler place the jobs on them: alone, with podAffinity, set
/// to MostAllocated, and with the planner of the webhook. Nothing is changed anywhere.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kubectl get nodes,pods -A -o json | supercargo simulate - --pods 60 --cpu 500m --memory 1Gi
  supercargo simulate --cluster --pods 60 --profile scan
  supercargo simulate cluster.json --batch batch.json -o svg > nodes.svg
  supercargo simulate cluster.json --arrivals day.csv --from 24h --for 24h --price 0.192

A batch is {\"GROUP\": [{\"jobName\": \"job1\", \"image\": \"scan\", \"requestMem\": \"500Mi\", \"requestCpu\": \"200m\"}]}.

Arrivals are a CSV file whose first line names its columns: arrival and duration (seconds), cpu and memory (500m, 1Gi), and, if you have
them, group and image. The columns creation_time, scheduled_time, deletion_time, cpu_milli and memory_mib of the public trace openb are
understood, too; other columns are left out.")]
pub(super) struct Arguments {
    /// Nodes and pods: files, folders, or - for stdin
    #[arg(value_name = "PATH")]
    #[cfg_attr(feature = "cluster", arg(required_unless_present = "cluster"))]
    #[cfg_attr(not(feature = "cluster"), arg(required = true))]
    paths: Vec<PathBuf>,
    /// The nodes and pods of a cluster, instead: in a pod its own, elsewhere that of the kubeconfig
    #[cfg(feature = "cluster")]
    #[arg(long, conflicts_with = "paths")]
    cluster: bool,
    /// Which cluster, and as whom, instead of what KUBECONFIG says
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "FILE", requires = "cluster")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    jobs: JobArguments,
    /// What a node costs an hour, in whatever you pay with
    #[arg(long, value_name = "PRICE", value_parser = price)]
    price: Option<Quantity>,
    /// Place the jobs as this PodProfile says: its neighbours, maxPerNode, nodeSelector, tolerations and default requests
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Where the profile is [default: the built-in set]
    #[arg(long, value_name = "FILE-OR-DIR", requires = "profile")]
    policies: Option<PathBuf>,
    /// Fill only nodes that run nothing else but scans
    #[arg(long, conflicts_with = "profile")]
    scans_only: bool,
    /// How to print it
    #[arg(long, short, value_enum, default_value = "text")]
    output: Format,
}

/// Which jobs there are.
#[derive(clap::Args)]
#[group(skip)]
struct JobArguments {
    /// Jobs from a file: lists of them by group
    #[arg(long, value_name = "FILE", conflicts_with = "pods", required_unless_present_any = ["pods", "arrivals"])]
    batch: Option<PathBuf>,
    /// So many equal jobs
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pods: Option<u32>,
    /// The cpu that each requests [default: the profile's, or 500m]
    #[arg(long, requires = "pods")]
    cpu: Option<String>,
    /// The memory that each requests [default: the profile's, or 1Gi]
    #[arg(long, requires = "pods")]
    memory: Option<String>,
    /// How long each runs; without it nodes are counted, but no hours
    #[arg(long, value_name = "DURATION", value_parser = seconds, conflicts_with = "arrivals")]
    duration: Option<u32>,
    /// Jobs as they were recorded: a CSV file with a row a pod
    #[arg(long, value_name = "FILE", conflicts_with_all = ["batch", "pods"])]
    arrivals: Option<PathBuf>,
    /// Leave out what arrives earlier than this after the record's beginning
    #[arg(long, value_name = "DURATION", value_parser = seconds, requires = "arrivals")]
    from: Option<u32>,
    /// Leave out what arrives after so long
    #[arg(long = "for", value_name = "DURATION", value_parser = seconds, requires = "arrivals")]
    length: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table, and the nodes as bars or over time
    Text,
    /// One JSON document
    Json,
    /// A picture
    Svg,
}

/// What the jobs are placed with, as it is printed.
const WAYS: [(&str, simulate::Way, Scoring); 4] = [
    ("scheduler alone", simulate::Way::Plain, Scoring::LeastAllocated),
    ("podAffinity", simulate::Way::Affinity, Scoring::LeastAllocated),
    ("MostAllocated", simulate::Way::Plain, Scoring::MostAllocated),
    ("supercargo", simulate::Way::Ladder, Scoring::LeastAllocated),
];

/// Pods that are admitted before the scheduler has placed the first: about what a controller creates at once.
const LEAD: usize = 20;

/// What came of all ways.
struct Simulated {
    jobs: usize,
    nodes: usize,
    pods: usize,
    /// See [`simulate::bound`]; of jobs that arrive one after the other nobody needs it.
    bound: Option<usize>,
    /// See [`simulate::fluid`].
    fluid: Option<u64>,
    /// Of a node, an hour.
    price: Option<Quantity>,
    ways: Vec<Way>,
    moment: bool,
}

struct Way {
    name: &'static str,
    report: Report,
    bars: Vec<Bar>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let shape = Shape::read(arguments)?;
    let jobs = jobs(&arguments.jobs, &shape)?;
    let cluster = Cluster::of(arguments)?;
    let simulated = simulate(&cluster, &jobs, &shape, arguments);
    let mut out = io::stdout().lock();
    match arguments.output {
        Format::Text => text::print(&mut out, &simulated)?,
        Format::Json => writeln!(out, "{}", safe_json(&format!("{:#}", simulated.document())))?,
        Format::Svg => out.write_all(svg::draw(&simulated).as_bytes())?,
    }
    out.flush()?;
    Ok(ExitCode::from(CLEAN))
}

fn simulate(cluster: &Cluster, jobs: &[Job], shape: &Shape, arguments: &Arguments) -> Simulated {
    let Cluster { nodes, pods } = cluster;
    let recorded = arguments.jobs.arrivals.is_some();
    let mut progress = Progress::before_results(WAYS.len() * jobs.len(), "placements");
    let ways = (0..).zip(WAYS).map(|(index, (name, way, scoring))| {
        let setting = Setting {
            way,
            scoring,
            neighbours: shape.placement.neighbours,
            max_per_node: shape.placement.max_per_node,
            lead: LEAD,
            learn: true,
        };
        let mut arrived = |arrived| progress.at(index * jobs.len() + arrived);
        let report = simulate::run(nodes, pods, jobs, &Lifetimes::default(), setting, &mut arrived);
        let bars = simulate::bars(nodes, pods, jobs, &report.places);
        Way { name, report, bars }
    });
    let ways = ways.collect();
    progress.clear();
    Simulated {
        jobs: jobs.len(),
        nodes: nodes.len(),
        pods: pods.len(),
        bound: if recorded { None } else { simulate::bound(nodes, pods, jobs) },
        fluid: simulate::fluid(nodes, pods, jobs),
        price: arguments.price,
        ways,
        moment: !recorded,
    }
}

impl Simulated {
    /// Whether all jobs come at once, so that a picture of that moment says it all.
    fn is_moment(&self) -> bool {
        self.moment
    }

    fn way(&self, name: &str) -> Option<&Way> {
        self.ways.iter().find(|way| way.name == name)
    }

    /// The less the better, by what matters first.
    fn score(&self, way: &Way) -> (usize, u64, usize, usize) {
        let report = &way.report;
        let hours = if self.moment { 0 } else { report.woken_millis };
        (report.pending, hours, report.woken, report.used)
    }

    /// What so much node-time costs.
    fn cost(&self, millis: u64) -> Option<String> {
        let hourly = u128::from(self.price?.millis());
        let thousandths = u64::try_from(hourly * u128::from(millis) / 3_600_000).unwrap_or(u64::MAX);
        Some(format!("{}.{:02}", thousandths / 1000, thousandths % 1000 / 10))
    }

    /// The most nodes that were awake at once, any way.
    fn highest(&self) -> usize {
        let timelines = self.ways.iter().flat_map(|way| &way.report.timeline);
        timelines.map(|(_, nodes)| *nodes).max().unwrap_or_default()
    }

    /// When the last node fell asleep, in milliseconds.
    fn end(&self) -> u64 {
        let timelines = self.ways.iter().filter_map(|way| way.report.timeline.last());
        timelines.map(|(at, _)| *at).max().unwrap_or_default()
    }

    fn document(&self) -> Value {
        let hours = |millis: u64| self.fluid.map(|_| hours(millis));
        let way = |way: &Way| {
            let report = &way.report;
            let bars: Vec<Value> = way
                .bars
                .iter()
                .map(|bar| json!({"name": &*bar.node, "before": bar.before, "jobs": bar.jobs}))
                .collect();
            let timeline: Vec<Value> =
                report.timeline.iter().map(|(at, nodes)| json!({"millis": at, "awake": nodes})).collect();
            let mut document = json!({
                "way": way.name, "used": report.used, "woken": report.woken, "pending": report.pending,
                "nodes": bars, "timeline": timeline,
            });
            if let Some(hours) = hours(report.woken_millis) {
                document["nodeHours"] = json!(hours);
                document["cost"] = json!(self.cost(report.woken_millis));
            }
            document
        };
        let ways: Vec<Value> = self.ways.iter().map(way).collect();
        json!({
            "nodes": self.nodes, "jobs": self.jobs, "bound": self.bound, "boundNodeHours": self.fluid.and_then(hours), "ways": ways,
        })
    }
}

/// Node-hours as people write them.
fn hours(millis: u64) -> String {
    let hundredths = millis / 36_000;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// What the files say.
#[derive(Default)]
struct Cluster {
    nodes: Vec<NodeSeen>,
    pods: Vec<PodSeen>,
}

impl Cluster {
    fn of(arguments: &Arguments) -> anyhow::Result<Cluster> {
        #[cfg(feature = "cluster")]
        if arguments.cluster {
            return Cluster::ask(arguments.kubeconfig.as_deref());
        }
        Cluster::read(&arguments.paths)
    }

    #[cfg(feature = "cluster")]
    fn ask(kubeconfig: Option<&Path>) -> anyhow::Result<Cluster> {
        use crate::cluster::{ask, inventory};

        let (nodes, pods) = ask(kubeconfig, async |client| inventory::take(&client).await)?;
        if nodes.is_empty() {
            bail!("the cluster has no nodes");
        }
        Ok(Cluster { nodes, pods })
    }

    fn read(paths: &[PathBuf]) -> anyhow::Result<Cluster> {
        let found = source::find(paths);
        found.problems.iter().for_each(complain_of);
        let mut failed = !found.problems.is_empty();
        let mut cluster = Cluster::default();
        for file in &found.files {
            let text = file.text().map_err(|problem| anyhow!("{problem}"))?;
            file.documents(&text, Wanted::All, &mut |item| match item {
                Item::Document(document) => match document.kind.as_str() {
                    "Node" => cluster.nodes.extend(NodeSeen::read(&document.tree)),
                    "Pod" => cluster.pods.extend(PodSeen::read(&document.tree, &[]).filter(|pod| pod.node.is_some())),
                    _ => {}
                },
                Item::Problem(problem) => {
                    complain_of(&problem);
                    failed = true;
                }
                Item::Note(_) => {}
            });
        }
        if failed {
            bail!("a cluster that can be read in part only would give a wrong answer");
        }
        if cluster.nodes.is_empty() {
            bail!("there are no nodes in this input: give it what `kubectl get nodes,pods -A -o json` prints");
        }
        Ok(cluster)
    }
}

/// What all jobs have in common.
struct Shape {
    placement: Placement,
    cpu: String,
    memory: String,
}

impl Shape {
    fn read(arguments: &Arguments) -> anyhow::Result<Shape> {
        let mut shape = Shape { placement: Placement::default(), cpu: "500m".to_owned(), memory: "1Gi".to_owned() };
        if arguments.scans_only {
            shape.placement.neighbours = Neighbours::ScansOnly;
        }
        if let Some(name) = &arguments.profile {
            let set = load_policies(&PolicyArguments::at(arguments.policies.clone()))?;
            let Some(profile) = set.profiles().iter().find(|profile| profile.name == *name) else {
                let names: Vec<&str> = set.profiles().iter().map(|profile| &*profile.name).collect();
                bail!("there is no PodProfile {name:?}; there are: {}", names.join(", "));
            };
            shape.placement = profile.spec.placement.clone();
            let requests = &profile.spec.resources.containers.requests;
            for (resource, to) in [("cpu", &mut shape.cpu), ("memory", &mut shape.memory)] {
                if let Some(amount) = requests.get(resource) {
                    to.clone_from(&amount.0);
                }
            }
        }
        for (typed, to) in [(&arguments.jobs.cpu, &mut shape.cpu), (&arguments.jobs.memory, &mut shape.memory)] {
            if let Some(amount) = typed {
                quantity::parse(amount)?;
                to.clone_from(amount);
            }
        }
        Ok(shape)
    }

    /// A pod as it would be admitted.
    fn pod(&self, group: &str, name: &str, image: &str, cpu: &str, memory: &str) -> Node<'static> {
        let mut spec = json!({
            "containers": [{"image": image, "resources": {"requests": {"cpu": cpu, "memory": memory}}}],
        });
        if !self.placement.node_selector.is_empty() {
            spec["nodeSelector"] = json!(self.placement.node_selector);
        }
        if !self.placement.tolerations.is_empty() {
            spec["tolerations"] = json!(self.placement.tolerations);
        }
        Node::from(json!({"metadata": {"generateName": format!("{name}-"), "namespace": group}, "spec": spec}))
    }
}

fn jobs(arguments: &JobArguments, shape: &Shape) -> anyhow::Result<Vec<Job>> {
    let millis = |seconds: u32| 1000 * u64::from(seconds);
    if let Some(path) = &arguments.arrivals {
        let window = Window { from: arguments.from.map_or(0, millis), length: arguments.length.map(millis) };
        return arrivals::read(path, window, shape);
    }
    let mut jobs = match &arguments.batch {
        Some(path) => batch_jobs(path, shape)?,
        None => (0..arguments.pods.unwrap_or(1))
            .map(|index| job("", shape.pod("", &format!("job-{index}"), "scan", &shape.cpu, &shape.memory)))
            .collect(),
    };
    let runs = arguments.duration.map(millis);
    for job in &mut jobs {
        job.runs = runs;
    }
    Ok(jobs)
}

fn batch_jobs(path: &Path, shape: &Shape) -> anyhow::Result<Vec<Job>> {
    let batch = Text::read(path)?.batch(&[], None)?;
    let jobs = batch.groups.iter().flat_map(|group| group.jobs.iter().map(move |job| (&group.name, job)));
    let jobs = jobs.flat_map(|(group, wanted)| {
        // As many pods as there are at once.
        let pods = wanted.parallelism.unwrap_or(1).min(wanted.completions.unwrap_or(u32::MAX));
        let pod = shape.pod(group, &wanted.name, &wanted.image, &wanted.request_cpu, &wanted.request_memory);
        (0..pods).map(move |_| job(group, pod.clone()))
    });
    Ok(jobs.collect())
}

fn job(group: &str, pod: Node<'static>) -> Job {
    Job { pod, group: group.to_owned(), arrives: 0, runs: None }
}

/// "0.192".
fn price(typed: &str) -> Result<Quantity, String> {
    let parsed = quantity::parse(typed).ok().filter(|_| !typed.starts_with('-'));
    parsed.ok_or_else(|| "write a number such as 0.192".to_owned())
}
