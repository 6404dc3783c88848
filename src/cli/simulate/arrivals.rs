//! Recorded arrivals: a CSV file with a row a pod, of our own columns or of a public trace's.

use std::path::Path;

use anyhow::{anyhow, bail};
use csv::{ReaderBuilder, StringRecord, Trim};

use super::Shape;
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

/// More mistakes than this are not printed: it is another file than was meant.
const MOST_PROBLEMS: usize = 20;

/// What part of the record is played; milliseconds.
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
            columns.job(&row, window, shape).map_err(|message| (line, message))
        });
        match read {
            Ok(job) => jobs.extend(job),
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
    if jobs.is_empty() {
        bail!("no pod arrives in that time: look at --from and --for");
    }
    jobs.sort_by_key(|job| job.arrives);
    Ok(jobs)
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

    /// The pod of a row; `None` when it does not arrive in the window.
    fn job(&self, row: &StringRecord, window: Window, shape: &Shape) -> Result<Option<Job>, String> {
        let text = |index: Option<usize>| index.and_then(|index| row.get(index)).filter(|text| !text.is_empty());
        let millis = |what: &str, index: Option<usize>| {
            text(index).map(|text| amount(what, text).map(Quantity::millis)).transpose()
        };
        let need = |(name, index): (&'static str, usize)| text(Some(index)).ok_or_else(|| format!("{name} is empty"));
        let arrives = amount(self.arrival.0, need(self.arrival)?)?.millis();
        let runs = match millis("duration", self.duration)? {
            Some(runs) => Some(runs),
            None => millis("deletion_time", self.deletion)?
                .map(|end| {
                    Ok::<_, String>(end.saturating_sub(millis("scheduled_time", self.scheduled)?.unwrap_or(arrives)))
                })
                .transpose()?,
        };
        let cpu = unit(self.cpu, need(self.cpu)?, "m")?;
        let memory = unit(self.memory, need(self.memory)?, "Mi")?;
        let Some(arrives) = arrives.checked_sub(window.from) else { return Ok(None) };
        if window.length.is_some_and(|length| arrives >= length) {
            return Ok(None);
        }
        let group = text(self.group).unwrap_or_default();
        let pod = shape.pod(group, "job", text(self.image).unwrap_or("scan"), &cpu, &memory);
        Ok(Some(Job { pod, group: group.to_owned(), arrives, runs }))
    }
}

/// A quantity; one of a trace's column is a number of its unit.
fn unit((column, _): (&str, usize), text: &str, unit: &str) -> Result<String, String> {
    let text = if column.contains('_') { format!("{text}{unit}") } else { text.to_owned() };
    amount(column, &text)?;
    Ok(text)
}

fn amount(what: &str, text: &str) -> Result<Quantity, String> {
    let parsed = quantity::parse(text).map_err(|error| format!("{what} {error}"))?;
    if text.starts_with('-') {
        return Err(format!("{what} {:?} is negative", printable(text)));
    }
    Ok(parsed)
}
