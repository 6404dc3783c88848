//! `supercargo batch`: lists of jobs by group, printed as Jobs, or run in a cluster and watched.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use serde_json::json;

use super::{CLEAN, complain, complain_of, objects, render};
use crate::batch::{self, Batch, Options, Planned};
use crate::fields::{Problems, dotted};
use crate::output::safe_json;
use crate::packing::NodeSeen;
use crate::printable::printable;
use crate::source::{self, File, Item, Problem, Wanted};
use crate::tree::Node;

#[cfg(feature = "cluster")]
mod watch;

/// Run lists of jobs, each group packed onto few nodes, and watch them to their end
///
/// Each key of the file is a group: its pods get a label of their own, by which PodProfile `scan` packs them; without the webhook
/// they run, too, where the scheduler puts them. With -o the Jobs are printed, and no cluster is asked.
///
/// A job has jobName, image, requestMem and requestCpu, and may have limitMem (default: the request), limitCpu (default: the
/// request, at least 1), command, args, env, source, parallelism, completions, priorityClass and namespace.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  supercargo batch batch.json
  supercargo batch batch.json --timeout 30m --cleanup
  supercargo batch batch.json -o yaml | supercargo check -

The file: {\"GROUP\": [{\"jobName\": \"job1\", \"image\": \"scanner:1\", \"requestMem\": \"500Mi\", \"requestCpu\": \"200m\"}]}

Exit codes: 0 all jobs succeeded, 1 some failed or were refused, 2 could not do it, or stopped before the end.")]
pub(super) struct Arguments {
    /// Jobs by group, in JSON or YAML; - for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the Jobs instead of running them
    #[arg(long, short, value_enum)]
    output: Option<Format>,
    /// Node documents of the cluster that the Jobs are printed for (`kubectl get nodes -o json`): refuse what none of them holds
    #[arg(long, value_name = "PATH", requires = "output")]
    nodes: Option<PathBuf>,
    /// The namespace of jobs that name none [default: the kubeconfig's; with -o none is written]
    #[arg(long, short, value_name = "NAMESPACE", value_parser = label)]
    namespace: Option<String>,
    /// The folder with the sources (annotation supercargo.dev/source) of jobs that name none
    #[arg(long, value_name = "FOLDER", value_parser = folder)]
    source: Option<String>,
    /// The run's id, which makes its groups different from those of other runs; give the one of a run that was left to watch it
    /// again [default: eight random characters]
    #[arg(long, value_name = "ID", value_parser = id)]
    run: Option<String>,
    /// How many pods of a job may fail before it has failed; those that spot interruptions or drains end do not count
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(0..=1000))]
    retries: u32,
    /// How long a job may take, waiting for a node included
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = seconds)]
    deadline: u32,
    /// How long Jobs that have ended are kept
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = keep)]
    keep: u32,
    /// The user id of the containers; 0 for images that need root, where the namespace admits it
    #[arg(long, value_name = "UID", default_value = "10001", value_parser = clap::value_parser!(u32).range(..=LARGEST))]
    run_as_user: u32,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    watch: watch::Arguments,
}

/// Of the 32 bits that a user id and `ttlSecondsAfterFinished` have one is the sign.
const LARGEST: i64 = i32::MAX as i64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A document a Job
    Yaml,
    /// A List
    Json,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let text = Text::read(&arguments.file)?;
    let nodes = arguments.nodes.as_deref().map(nodes).transpose()?;
    let batch = text.batch(nodes.as_deref().unwrap_or_default(), arguments.namespace.as_deref())?;
    let options = Options {
        run: arguments.run.map_or_else(random_id, Ok)?,
        namespace: arguments.namespace,
        source: arguments.source,
        retries: arguments.retries,
        deadline: arguments.deadline,
        keep: arguments.keep,
        user: arguments.run_as_user,
    };
    match arguments.output {
        Some(format) => {
            print(format, &batch::plan(&batch, &options))?;
            Ok(ExitCode::from(CLEAN))
        }
        #[cfg(feature = "cluster")]
        None => watch::run(&text, &batch, options, &arguments.watch),
        #[cfg(not(feature = "cluster"))]
        None => bail!("this build knows no clusters: print the Jobs with `-o yaml`, and give them to kubectl"),
    }
}

fn print(format: Format, planned: &[Planned]) -> anyhow::Result<()> {
    let mut out = String::new();
    match format {
        Format::Yaml => {
            for planned in planned {
                // Writing to a String cannot fail.
                let _ = write!(out, "---\n{}", render::yaml(&Node::from(&planned.object))?);
            }
        }
        Format::Json => {
            let items: Vec<_> = planned.iter().map(|planned| &planned.object).collect();
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            let _ = writeln!(out, "{}", safe_json(&serde_json::to_string_pretty(&list)?));
        }
    }
    io::stdout().lock().write_all(out.as_bytes())?;
    Ok(())
}

/// The file, as it was read.
pub(super) struct Text {
    pub(super) file: File,
    pub(super) text: String,
}

impl Text {
    pub(super) fn read(path: &Path) -> anyhow::Result<Text> {
        let found = source::find(&[path.to_owned()]);
        if let Some(problem) = found.problems.first() {
            bail!("{problem}");
        }
        if path.is_dir() {
            bail!("{} is a folder: name one file of jobs", path.display());
        }
        let file = found.files.into_iter().next().with_context(|| format!("cannot read {}", path.display()))?;
        let text = file.text().map_err(|problem| anyhow!("{problem}"))?.into_owned();
        Ok(Text { file, text })
    }

    /// What the file asks for; else says all that is wrong with it, and fails. Jobs that name no namespace run in this one.
    pub(super) fn batch(&self, nodes: &[NodeSeen], namespace: Option<&str>) -> anyhow::Result<Batch> {
        let value = self.file.value(&self.text).map_err(|problem| anyhow!("{problem}"))?;
        let (batch, problems) = batch::read(&value.tree);
        let more = [batch::same_names(&batch, namespace), batch::too_large(&batch, nodes)];
        self.judge(&value, [problems].into_iter().chain(more))?;
        Ok(batch)
    }

    /// The same of what only the cluster says, of a batch that is right otherwise.
    #[cfg(feature = "cluster")]
    fn judge_again(&self, problems: impl IntoIterator<Item = Problems>) -> anyhow::Result<()> {
        let value = self.file.value(&self.text).map_err(|problem| anyhow!("{problem}"))?;
        self.judge(&value, problems)
    }

    fn judge(&self, value: &source::Value<'_>, problems: impl IntoIterator<Item = Problems>) -> anyhow::Result<()> {
        let problem =
            |place, message| Problem { file: self.file.name.clone(), place: Some(place), message, help: None };
        let twice = value.twice.iter().map(|place| {
            let message =
                "a key stands twice in the same map: leave one out, put both into one, or call one differently";
            problem(*place, message.to_owned())
        });
        let others = problems.into_iter().flat_map(Problems::list).map(|(pointer, message)| {
            let field = dotted(&pointer);
            let field = if field.is_empty() { String::new() } else { format!("{}: ", printable(&field)) };
            problem(value.marks.place(&value.tree, &pointer), format!("{field}{message}"))
        });
        let mut problems: Vec<Problem> = twice.chain(others).collect();
        problems.sort_by_key(|problem| problem.place.map(|place| (place.line, place.column)));
        // Of a key that stands twice.
        problems.dedup();
        problems.iter().for_each(complain_of);
        match problems.len() {
            0 => Ok(()),
            1 => bail!("nothing was done; correct what is named above"),
            wrong => bail!("nothing was done; correct the {wrong} places named above"),
        }
    }
}

/// The nodes in these files.
fn nodes(path: &Path) -> anyhow::Result<Vec<NodeSeen>> {
    let found = source::find(&[path.to_owned()]);
    let mut problems = found.problems;
    let mut nodes = Vec::new();
    for file in &found.files {
        let text = match file.text() {
            Ok(text) => text,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        file.documents(&text, Wanted::All, &mut |item| match item {
            Item::Document(document) if objects::is_node(&document) => {
                problems.extend(objects::problems(file, &document));
                nodes.extend(NodeSeen::read(&document.tree));
            }
            Item::Problem(problem) => problems.push(problem),
            Item::Document(_) | Item::Note(_) => {}
        });
    }
    problems.iter().for_each(complain_of);
    if !problems.is_empty() {
        bail!("the nodes cannot be used; correct what is named above, or leave --nodes out");
    }
    if nodes.is_empty() {
        complain("note", format_args!("{} holds no nodes: sizes are not checked", path.display()));
    }
    Ok(nodes)
}

/// A run's id when none was given: 40 bits, so that two runs hardly ever have the same.
fn random_id() -> anyhow::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let random: [u8; 8] = ring::rand::generate(&ring::rand::SystemRandom::new())
        .map_err(|_| anyhow!("the system gives no random numbers; name the run with --run"))?
        .expose();
    Ok(random.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32))).map(|letter| char::from(*letter)).collect())
}

fn id(typed: &str) -> Result<String, String> {
    let legal = typed.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if typed.is_empty() || typed.len() > 20 || !legal {
        return Err("write up to 20 lower-case letters and digits".to_owned());
    }
    Ok(typed.to_owned())
}

fn label(typed: &str) -> Result<String, String> {
    let mut problems = Problems::default();
    problems.part_name("", typed);
    problems.accept(typed)
}

fn folder(typed: &str) -> Result<String, String> {
    batch::wrong_source(typed).map_or_else(|| Ok(typed.to_owned()), |wrong| Err(wrong.to_owned()))
}

fn keep(typed: &str) -> Result<u32, String> {
    let kept = seconds(typed)?;
    if i64::from(kept) > LARGEST {
        return Err("is longer than a Job can be kept: write at most 596523h".to_owned());
    }
    Ok(kept)
}

/// "90s", "10m", "1h30m" in seconds.
pub(super) fn seconds(typed: &str) -> Result<u32, String> {
    let parsed = typed.parse::<jiff::SignedDuration>().ok().and_then(|duration| u32::try_from(duration.as_secs()).ok());
    parsed.filter(|seconds| *seconds > 0).ok_or_else(|| "write an amount of time such as 90s, 10m or 1h30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ids_are_read() {
        assert_eq!((seconds("90s"), seconds("1h30m"), seconds("10m")), (Ok(90), Ok(5400), Ok(600)));
        assert!(["", "0s", "-1m", "10", "0.5s", "soon"].iter().all(|typed| seconds(typed).is_err()));
        assert_eq!(keep("596523h"), Ok(2_147_482_800));
        assert!(keep("596524h").is_err() && keep("soon").is_err());
        assert!(id("r1").is_ok() && id(&random_id().unwrap()).is_ok());
        assert!(["", "R1", "a-b", "abcdefghijklmnopqrstu"].iter().all(|typed| id(typed).is_err()));
        assert_ne!(random_id().unwrap(), random_id().unwrap());
    }
}
