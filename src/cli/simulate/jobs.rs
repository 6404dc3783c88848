//! Which jobs there are: of a batch, equal ones, or recorded ones.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use serde_json::json;

use super::arrivals::{self, Window};
use super::{Arguments, JobArguments};
use crate::cli::basis::{PolicyArguments, load_policies};
use crate::cli::batch::Text;
use crate::output::count;
use crate::packing::simulate::Job;
use crate::policy::profile::{Neighbours, Placement};
use crate::quantity;
use crate::tree::Node;

/// What all jobs have in common.
pub(super) struct Shape {
    pub placement: Placement,
    cpu: String,
    memory: String,
}

impl Shape {
    pub fn read(arguments: &Arguments) -> anyhow::Result<Shape> {
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
                if quantity::parse(amount)?.is_negative() {
                    bail!("{amount:?} is negative");
                }
                to.clone_from(amount);
            }
        }
        Ok(shape)
    }

    /// A pod as it would be admitted.
    pub fn pod(&self, group: &str, name: &str, image: &str, cpu: &str, memory: &str) -> Node<'static> {
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

/// The jobs, and what should be known of them.
pub(super) fn read(arguments: &Arguments, shape: &Shape) -> anyhow::Result<(Vec<Job>, Vec<String>)> {
    let millis = |seconds: u32| 1000 * u64::from(seconds);
    let JobArguments { batch, pods, duration, arrivals, from, length, .. } = &arguments.jobs;
    let mut notes = Vec::new();
    if let Some(path) = arrivals {
        let window = Window { from: from.map_or(0, millis), length: length.map(millis) };
        let jobs = arrivals::read(path, window, shape)?;
        let endless = jobs.iter().filter(|job| job.runs.is_none()).count();
        if endless > 0 {
            let cost = if arguments.price.is_some() { ", and nothing to pay for" } else { "" };
            let all = jobs.len();
            notes.push(format!("Pods without a duration: {endless} of {all}. There are no node-hours{cost}."));
        }
        return Ok((jobs, notes));
    }
    if arguments.price.is_some() && duration.is_none() {
        notes.push("--price needs --duration: without it there are no node-hours to pay for.".to_owned());
    }
    let equal = |index| job("", shape.pod("", &format!("job-{index}"), "scan", &shape.cpu, &shape.memory));
    let mut jobs: Vec<Job> = match batch {
        Some(path) => batch_jobs(path, shape)?,
        None => (0..pods.unwrap_or(1)).map(equal).collect(),
    };
    if duration.is_none() {
        let all = jobs.len();
        jobs.retain(|job| !job.follows);
        if jobs.len() < all {
            let later = count(all - jobs.len(), "pod");
            notes.push(format!("{later} of Jobs with completions would follow others: without --duration none ends."));
        }
    }
    for job in &mut jobs {
        job.runs = duration.map(millis);
    }
    Ok((jobs, notes))
}

/// A pod for each completion: as many as run at once, and behind all of them those that follow.
fn batch_jobs(path: &Path, shape: &Shape) -> anyhow::Result<Vec<Job>> {
    let batch = Text::read(path)?.batch(&[], None)?;
    let jobs = batch.groups.iter().flat_map(|group| group.jobs.iter().map(move |job| (&group.name, job)));
    let (mut first, mut following) = (Vec::new(), Vec::new());
    for (series, (group, wanted)) in jobs.enumerate() {
        let at_once = wanted.parallelism.unwrap_or(1).min(wanted.completions.unwrap_or(u32::MAX));
        let later = wanted.completions.unwrap_or_default().saturating_sub(at_once);
        let pod = shape.pod(group, &wanted.name, &wanted.image, &wanted.request_cpu, &wanted.request_memory);
        let job = Job { series, ..job(group, pod) };
        following.extend((0..later).map(|_| Job { follows: true, ..job.clone() }));
        first.extend((0..at_once).map(|_| job.clone()));
    }
    first.append(&mut following);
    Ok(first)
}

pub(super) fn job(group: &str, pod: Node<'static>) -> Job {
    Job { pod: Arc::new(pod), group: group.to_owned(), arrives: 0, runs: None, series: 0, follows: false }
}
