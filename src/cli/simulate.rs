//! `supercargo simulate`: how many nodes a set of jobs would take.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::json;

use super::batch::Text;
use super::{CLEAN, complain_of};
use crate::packing::simulate::{Job, Report, Scoring, Setting, Way, bound, run as simulate};
use crate::packing::{Lifetimes, NodeSeen, PodSeen};
use crate::policy::profile::Neighbours;
use crate::quantity;
use crate::source::{self, Item, Wanted};
use crate::tree::Node;

/// Show how many nodes a set of jobs would take
///
/// Reads the nodes and pods of a cluster, and lets a model of kube-scheduler place the jobs on them: alone, with podAffinity, set
/// to MostAllocated, and with the planner of the webhook. Nothing is asked of a cluster, and nothing is sent to one.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kubectl get nodes,pods -A -o json | supercargo simulate - --pods 60 --cpu 500m --memory 1Gi
  supercargo simulate cluster.json --batch batch.json -o json

A batch is {\"GROUP\": [{\"jobName\": \"job1\", \"image\": \"scan\", \"requestMem\": \"500Mi\", \"requestCpu\": \"200m\"}]}.")]
pub(super) struct Arguments {
    /// Nodes and pods: files, folders, or - for stdin
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Jobs from a file: lists of them by group
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pods", "cpu", "memory"], required_unless_present = "pods")]
    batch: Option<PathBuf>,
    /// So many equal jobs
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pods: Option<u32>,
    /// The cpu that each requests
    #[arg(long, default_value = "500m")]
    cpu: String,
    /// The memory that each requests
    #[arg(long, default_value = "1Gi")]
    memory: String,
    /// Fill only nodes that run nothing else but scans
    #[arg(long)]
    scans_only: bool,
    /// How to print it
    #[arg(long, short, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table
    Text,
    /// One JSON document
    Json,
}

/// What the jobs are placed with, as it is printed.
const WAYS: [(&str, Way, Scoring); 4] = [
    ("scheduler alone", Way::Plain, Scoring::LeastAllocated),
    ("podAffinity", Way::Affinity, Scoring::LeastAllocated),
    ("MostAllocated", Way::Plain, Scoring::MostAllocated),
    ("supercargo", Way::Ladder, Scoring::LeastAllocated),
];

/// Pods that are admitted before the scheduler has placed the first: about what a controller creates at once.
const LEAD: usize = 20;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::read(&arguments.paths)?;
    let jobs = match (&arguments.batch, arguments.pods) {
        (Some(batch), _) => batch_jobs(batch)?,
        (None, pods) => (0..pods.unwrap_or(1))
            .map(|index| job("", &format!("job-{index}"), "scan", &arguments.cpu, &arguments.memory))
            .collect::<anyhow::Result<_>>()?,
    };
    let neighbours = if arguments.scans_only { Neighbours::ScansOnly } else { Neighbours::Any };
    let reports = WAYS.map(|(name, way, scoring)| {
        let setting = Setting { way, scoring, neighbours, lead: LEAD };
        (name, simulate(&cluster.nodes, &cluster.pods, &jobs, &Lifetimes::default(), setting))
    });
    let bound = bound(&cluster.nodes, &cluster.pods, &jobs);
    let mut out = io::stdout().lock();
    match arguments.output {
        Format::Text => print(&mut out, &cluster, &jobs, bound, &reports)?,
        Format::Json => {
            let ways: Vec<_> = reports
                .iter()
                .map(|(name, report)| {
                    json!({"way": name, "used": report.used, "woken": report.woken, "pending": report.pending})
                })
                .collect();
            let document = json!({"nodes": cluster.nodes.len(), "jobs": jobs.len(), "bound": bound, "ways": ways});
            writeln!(out, "{document:#}")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::from(CLEAN))
}

fn print(
    out: &mut impl Write,
    cluster: &Cluster,
    jobs: &[Job],
    bound: Option<usize>,
    reports: &[(&str, Report)],
) -> io::Result<()> {
    writeln!(out, "{} jobs on {} nodes with {} pods\n", jobs.len(), cluster.nodes.len(), cluster.pods.len())?;
    writeln!(out, "{:16} {:>10} {:>12} {:>8}", "", "nodes used", "newly woken", "pending")?;
    for (name, report) in reports {
        writeln!(out, "{name:16} {:>10} {:>12} {:>8}", report.used, report.woken, report.pending)?;
    }
    match bound {
        Some(bound) => writeln!(out, "{:16} {:>10} {bound:>12}", "no way does with", "")?,
        None => writeln!(out, "\nThe nodes do not hold all the jobs at once, however they are placed.")?,
    }
    let score = |wanted: &str| {
        let found = reports.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, report)| (report.pending, report.woken, report.used))
    };
    if score("podAffinity") <= score("supercargo") {
        writeln!(out, "\npodAffinity does as well here: a view of the nodes is not needed for these jobs.")?;
    } else if score("MostAllocated") <= score("supercargo") {
        writeln!(out, "\nA scheduler set to MostAllocated does as well here, for all pods and without the webhook.")?;
    }
    Ok(())
}

/// What the files say.
#[derive(Default)]
struct Cluster {
    nodes: Vec<NodeSeen>,
    pods: Vec<PodSeen>,
}

impl Cluster {
    fn read(paths: &[PathBuf]) -> anyhow::Result<Cluster> {
        let found = source::find(paths);
        found.problems.iter().for_each(complain_of);
        let mut failed = !found.problems.is_empty();
        let mut cluster = Cluster::default();
        for file in &found.files {
            let text = file.text().map_err(|problem| anyhow::anyhow!("{problem}"))?;
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

fn batch_jobs(path: &Path) -> anyhow::Result<Vec<Job>> {
    let batch = Text::read(path)?.batch(&[])?;
    let jobs = batch.groups.iter().flat_map(|group| group.jobs.iter().map(move |job| (&group.name, job)));
    let jobs = jobs.flat_map(|(group, wanted)| {
        // As many pods as there are at once.
        let pods = wanted.parallelism.unwrap_or(1).min(wanted.completions.unwrap_or(u32::MAX));
        (0..pods).map(move |_| job(group, &wanted.name, &wanted.image, &wanted.request_cpu, &wanted.request_memory))
    });
    jobs.collect()
}

fn job(group: &str, name: &str, image: &str, cpu: &str, memory: &str) -> anyhow::Result<Job> {
    for amount in [cpu, memory] {
        quantity::parse(amount).with_context(|| format!("job {name:?}"))?;
    }
    let pod = json!({
        "metadata": {"generateName": format!("{name}-"), "namespace": group},
        "spec": {"containers": [{"image": image, "resources": {"requests": {"cpu": cpu, "memory": memory}}}]},
    });
    Ok(Job { pod: Node::from(pod), group: group.to_owned(), arrives: 0, runs: None })
}
