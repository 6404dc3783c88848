//! Recorded arrivals: a CSV file with a row a pod, of our own columns or of a public trace's.

use std::path::Path;

use anyhow::{anyhow, bail};
use csv::{ReaderBuilder, StringRecord, Trim};

use super::jobs::{self, Shape};
use crate::cli::batch::Text;
use crate::cli::complain_of;
use crate::packing::simulate::Job;
use crate::printable::printable;
use crate::quantity::{self, Quantity};
use crate::source::{Place, Problem};

/// Of each pair either; the second one is what the trace openb (clusterdata, gpu-v2023) calls it.
const ARRIVAL: [&str; 2] = ["arrival", "creation_time"];
const CPU: [&str; 2] = ["cpu", "cpu_milli"];
const MEMORY: [&str; 2] = ["memory", "memory_mib"];

/// More than any record spans, nor a clock that counts seconds has reached: these are other units than seconds.
const LONGEST: u64 = 1_000 * 366 * 86_400 * 1000;
/// In thousandths of a core, and in bytes: more than any node has.
const MOST_CPU: u64 = 1_000_000_000;
const MOST_MEMORY: u64 = 1 << 50;

/// More mistakes than this are not printed: it is another file than was meant.
const MOST_PROBLEMS: usize = 20;

/// What part of the record is played; milliseconds from its first arrival.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub from: u64,
    pub length: Option<u64>,
}

/// Pods in the order of their arrival.
pub(super) fn read(path: &Path, window: Window, shape: &Shape) -> anyhow::Result<Vec<Job>> {
    let Text { file, text } = Text::read(path)?;
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text.as_bytes());
    let columns = Columns::read(reader.headers()?).map_err(|message| anyhow!("{}: {message}", path.display()))?;
    let (mut jobs, mut problems) = (Vec::new(), Vec::new());
    for row in reader.records() {
        let read = row.map_err(|error| (None, error.to_string())).and_then(|row| {
            let line = row.position().and_then(|position| u32::try_from(position.line()).ok());
            columns.job(&row, shape).map_err(|message| (line, message))
        });
        match read {
            Ok(job) => jobs.push(job),
            Err((line, message)) => {
                let place = line.map(|line| Place { line, column: 1 });
                problems.push(Problem { file: file.name.clone(), place, message, help: None });
            }
        }
    }
    problems.iter().take(MOST_PROBLEMS).for_each(complain_of);
    match problems.len() {
        0 => {}
        wrong => bail!("{wrong} rows cannot be read; arrivals that are there in part only would give a wrong answer"),
    }
    let Some(begins) = jobs.iter().map(|job| job.arrives).min() else { bail!("{}: has no rows", path.display()) };
    jobs.retain_mut(|job| window.admits(job, begins));
    if jobs.is_empty() {
        bail!("no pod arrives in that time: look at --from and --for");
    }
    jobs.sort_by_key(|job| job.arrives);
    Ok(jobs)
}

impl Window {
    /// Makes the job's time count from the window's beginning, when it is in the window.
    fn admits(self, job: &mut Job, begins: u64) -> bool {
        let Some(arrives) = (job.arrives - begins).checked_sub(self.from) else { return false };
        job.arrives = arrives;
        self.length.is_none_or(|length| arrives < length)
    }
}

/// Where in a row each thing stands.
struct Columns {
    arrival: (&'static str, usize),
    cpu: (&'static str, usize),
    memory: (&'static str, usize),
    duration: Option<usize>,
    /// When it had a node, and when it was gone.
    scheduled: Option<usize>,
    deletion: Option<usize>,
    group: Option<usize>,
    image: Option<usize>,
}

impl Columns {
    fn read(header: &StringRecord) -> Result<Columns, String> {
        let at = |name: &str| header.iter().position(|column| column == name);
        let either = |names: [&'static str; 2]| {
            let found = names.into_iter().find_map(|name| Some((name, at(name)?)));
            found.ok_or_else(|| {
                format!(
                    "has no column {} or {}: the first line names the columns arrival (seconds), duration (seconds), cpu and memory, \
                     and may name group and image",
                    names[0], names[1]
                )
            })
        };
        Ok(Columns {
            arrival: either(ARRIVAL)?,
            cpu: either(CPU)?,
            memory: either(MEMORY)?,
            duration: at("duration"),
            scheduled: at("scheduled_time"),
            deletion: at("deletion_time"),
            group: at("group"),
            image: at("image"),
        })
    }

    /// The pod of a row.
    fn job(&self, row: &StringRecord, shape: &Shape) -> Result<Job, String> {
        let text = |index: Option<usize>| index.and_then(|index| row.get(index)).filter(|text| !text.is_empty());
        let millis = |what: &str, index: Option<usize>| text(index).map(|text| time(what, text)).transpose();
        let need = |(name, index): (&'static str, usize)| text(Some(index)).ok_or_else(|| format!("{name} is empty"));
        let arrives = time(self.arrival.0, need(self.arrival)?)?;
        let runs = match millis("duration", self.duration)? {
            Some(runs) => Some(runs),
            None => millis("deletion_time", self.deletion)?
                .map(|end| {
                    Ok::<_, String>(end.saturating_sub(millis("scheduled_time", self.scheduled)?.unwrap_or(arrives)))
                })
                .transpose()?,
        };
        let cpu = unit(self.cpu, need(self.cpu)?, "m", |cpu| cpu.millis() <= MOST_CPU)?;
        let memory = unit(self.memory, need(self.memory)?, "Mi", |memory| memory.units() <= MOST_MEMORY)?;
        let group = text(self.group).unwrap_or_default();
        let pod = shape.pod(group, "job", text(self.image).unwrap_or("scan"), &cpu, &memory);
        Ok(Job { arrives, runs, ..jobs::job(group, pod) })
    }
}

/// A quantity; one of a trace's column is a number of its unit.
fn unit(
    (column, _): (&str, usize),
    text: &str,
    unit: &str,
    is_sane: impl Fn(Quantity) -> bool,
) -> Result<String, String> {
    let text = if column.contains('_') { format!("{text}{unit}") } else { text.to_owned() };
    if !is_sane(amount(column, &text)?) {
        return Err(format!("{column} {:?} is more than any node has", printable(&text)));
    }
    Ok(text)
}

/// Seconds, as milliseconds.
fn time(what: &str, text: &str) -> Result<u64, String> {
    // A suffix is none of time: "5m" would be five thousandths.
    if text.contains(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E')) {
        return Err(format!("{what} {:?} is no number of seconds", printable(text)));
    }
    let millis = amount(what, text)?.millis();
    if millis > LONGEST {
        return Err(format!("{what} {:?} is more than a thousand years: it counts in seconds", printable(text)));
    }
    Ok(millis)
}

fn amount(what: &str, text: &str) -> Result<Quantity, String> {
    let parsed = quantity::parse(text).map_err(|error| format!("{what} {error}"))?;
    if text.starts_with('-') {
        return Err(format!("{what} {:?} is negative", printable(text)));
    }
    Ok(parsed)
}
