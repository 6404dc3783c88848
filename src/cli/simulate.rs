//! `supercargo simulate`: how many nodes a set of jobs would take.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::{Value, json};

use self::cluster::Cluster;
use self::jobs::Shape;
use super::batch::seconds;
use super::progress::Progress;
use super::{CLEAN, complain};
use crate::output::safe_json;
use crate::packing::simulate::{self, Bar, Job, Report, Scoring, Setting};
use crate::packing::{Lifetimes, NodeSeen};
use crate::quantity::{self, Quantity};

mod arrivals;
mod cluster;
mod jobs;
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

Of a Job with completions the next pod comes when one of it ends, which takes --duration.

Arrivals are a CSV file whose first line names its columns: arrival and duration (seconds), cpu and memory (500m, 1Gi), and, if you have
them, group and image. The record begins with its first arrival, whatever the clock. The columns creation_time, scheduled_time,
deletion_time, cpu_milli and memory_mib of the public trace openb are understood, too; other columns are left out.

Nodes and pods that appear twice count once; one that cannot be read is an error.")]
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
    /// What a node costs an hour, in whatever you pay with; for this it must be known how long the jobs run
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
    /// Whether it is known of every job how long it runs.
    timed: bool,
    /// See [`simulate::fluid`]; where jobs wait it is no bound.
    fluid: Option<u64>,
    /// Of a node, an hour.
    price: Option<Quantity>,
    ways: Vec<Way>,
    moment: bool,
    /// What else should be known.
    notes: Vec<String>,
}

struct Way {
    name: &'static str,
    report: Report,
    bars: Vec<Bar>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let shape = Shape::read(arguments)?;
    let (jobs, notes) = jobs::read(arguments, &shape)?;
    let cluster = Cluster::of(arguments)?;
    let simulated = simulate(&cluster, &jobs, notes, &shape, arguments);
    let mut out = io::stdout().lock();
    match arguments.output {
        Format::Text => text::print(&mut out, &simulated)?,
        Format::Json => writeln!(out, "{}", safe_json(&format!("{:#}", simulated.document())))?,
        Format::Svg => {
            simulated.notes.iter().for_each(|note| complain("note", note));
            out.write_all(svg::draw(&simulated).as_bytes())?;
        }
    }
    out.flush()?;
    Ok(ExitCode::from(CLEAN))
}

fn simulate(
    cluster: &Cluster,
    jobs: &[Job],
    mut notes: Vec<String>,
    shape: &Shape,
    arguments: &Arguments,
) -> Simulated {
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
        let placed = report.places.iter().zip(&report.starts);
        // What comes later may be where something was that has ended.
        let shown: Vec<_> =
            placed.map(|(place, start)| place.clone().filter(|_| recorded || *start == Some(0))).collect();
        Way { name, bars: simulate::bars(nodes, pods, jobs, &shown), report }
    });
    let ways: Vec<Way> = ways.collect();
    progress.clear();
    let timed = jobs.iter().all(|job| job.runs.is_some());
    let waits = ways.iter().any(|way| way.report.pending + way.report.waited > 0);
    if timed && waits {
        notes.push(
            "Some jobs wait for a node, or find none: node-hours are of those that run, and no bound of them can be named."
                .to_owned(),
        );
    }
    notes.extend(karpenter(nodes));
    Simulated {
        jobs: jobs.len(),
        nodes: nodes.len(),
        pods: pods.len(),
        bound: if recorded { None } else { simulate::bound(nodes, pods, jobs) },
        timed,
        fluid: if waits { None } else { simulate::fluid(nodes, pods, jobs) },
        price: arguments.price,
        ways,
        moment: !recorded,
        notes,
    }
}

/// What `serve` might do otherwise on these nodes.
fn karpenter(nodes: &[NodeSeen]) -> Option<String> {
    let made = nodes.iter().filter(|node| node.is_karpenters()).count();
    (made > 0).then(|| {
        format!(
            "Karpenter made {made} of these nodes: where it is older than 1.5, or its version cannot be read, `serve --karpenter auto` \
             packs by podAffinity."
        )
    })
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

    /// What so much node-time costs, to the nearest hundredth.
    fn cost(&self, millis: u64) -> Option<String> {
        let billionths = self.price?.nanos().saturating_mul(millis.into()) / 3_600_000;
        let hundredths = billionths.saturating_add(5_000_000) / 10_000_000;
        Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
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
                "waited": report.waited, "nodes": bars, "timeline": timeline,
            });
            if self.timed {
                document["nodeHours"] = json!(hours(report.woken_millis));
                document["cost"] = json!(self.cost(report.woken_millis));
            }
            document
        };
        let ways: Vec<Value> = self.ways.iter().map(way).collect();
        json!({
            "nodes": self.nodes, "jobs": self.jobs, "bound": self.bound, "boundNodeHours": self.fluid.map(hours), "ways": ways,
            "notes": self.notes,
        })
    }
}

/// Node-hours as people write them.
fn hours(millis: u64) -> String {
    let hundredths = millis / 36_000;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// "0.192".
fn price(typed: &str) -> Result<Quantity, String> {
    let plain = typed.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let parsed = quantity::parse(typed).ok().filter(|_| plain);
    parsed.ok_or_else(|| "write a number such as 0.192".to_owned())
}
