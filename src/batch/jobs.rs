//! The Jobs that a batch becomes.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::file::{Batch, Job};
use crate::quantity;
use crate::workload::BATCH_GROUP_ANNOTATION;

/// The label by which the Jobs and pods of one run are found again.
pub const RUN_LABEL: &str = "supercargo.dev/batch";

/// What PodProfile `scan` groups by.
const GROUP_LABEL: &str = "batchjobs-group";

/// A label's value has at most this many characters.
const LONGEST_VALUE: usize = 63;

/// A container that says nothing may use this many spare cores: cpu can be taken back, memory cannot.
const CPU_LIMIT: &str = "1";

/// What is the same for all Jobs of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The run's id, of lower-case letters and digits: makes the groups of this run different from those of others.
    pub run: String,
    /// The namespace of jobs that name none; `None` leaves it to whoever sends them.
    pub namespace: Option<String>,
    /// The folder with the sources of jobs that name none.
    pub source: Option<String>,
    /// Pods that may fail, disruptions not counted (`backoffLimit`).
    pub retries: u32,
    /// Seconds after which a Job is ended, waiting included (`activeDeadlineSeconds`).
    pub deadline: u32,
    /// Seconds for which a Job that has ended is kept (`ttlSecondsAfterFinished`).
    pub keep: u32,
    /// The user id of the containers; 0 is root, which namespaces with level `restricted` do not admit.
    pub user: u32,
}

/// A Job's namespace and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Empty when it is not known yet.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// A Job to be made.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Where.
    pub key: Key,
    /// The group as it stands in the file.
    pub group: String,
    /// The whole object, `batch/v1` Job.
    pub object: Value,
}

/// The Jobs of a batch, in the order of the file.
///
/// Each group has a label value of its own, legal whatever the group is called, and different in every run.
pub fn plan(batch: &Batch, options: &Options) -> Vec<Planned> {
    let mut taken = HashSet::new();
    let mut planned = Vec::new();
    for group in &batch.groups {
        let label = label(&group.name, &options.run, &mut taken);
        planned.extend(group.jobs.iter().map(|job| {
            let namespace = job.namespace.clone().or_else(|| options.namespace.clone());
            Planned {
                object: object(job, namespace.as_deref(), (&group.name, &label), options),
                key: Key { namespace: namespace.unwrap_or_default(), name: job.name.clone() },
                group: group.name.clone(),
            }
        }));
    }
    planned
}

/// A label value of the group's own: what is not allowed becomes '-', and the run's id stands behind.
fn label(group: &str, run: &str, taken: &mut HashSet<String>) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let stem: String = group.chars().map(legal).collect();
    let is_end = |c: char| !c.is_ascii_alphanumeric();
    let stem = stem.trim_matches(is_end);
    let mut number = 1;
    loop {
        let ending = if number == 1 { format!("-{run}") } else { format!("-{number}-{run}") };
        // All characters are ASCII by now.
        let cut = stem.get(..LONGEST_VALUE - ending.len()).unwrap_or(stem).trim_end_matches(is_end);
        let value = if cut.is_empty() { format!("group{ending}") } else { format!("{cut}{ending}") };
        if taken.insert(value.clone()) {
            return value;
        }
        number += 1;
    }
}

fn object(job: &Job, namespace: Option<&str>, (group, label): (&str, &str), options: &Options) -> Value {
    let labels = json!({
        "app.kubernetes.io/component": "scan",
        "app.kubernetes.io/managed-by": "supercargo",
        GROUP_LABEL: label,
        RUN_LABEL: options.run,
    });
    let mut metadata = json!({"name": job.name, "labels": labels});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    let mut template = json!({"labels": labels, "annotations": {BATCH_GROUP_ANNOTATION: group}});
    if let Some(source) = job.source.as_ref().or(options.source.as_ref()) {
        template["annotations"]["supercargo.dev/source"] = json!(source);
    }
    let mut spec = json!({
        "activeDeadlineSeconds": options.deadline,
        "backoffLimit": options.retries,
        // A spot interruption, a drain or a preemption is nobody's failure: the pod is made again and counts for nothing.
        "podFailurePolicy": {"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        ]},
        "template": {"metadata": template, "spec": pod(job, options)},
        "ttlSecondsAfterFinished": options.keep,
    });
    for (field, count) in [("parallelism", job.parallelism), ("completions", job.completions)] {
        if let Some(count) = count {
            spec[field] = json!(count);
        }
    }
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
}

/// The pod's spec: level `restricted` of Pod Security admits it, unless it runs as root.
fn pod(job: &Job, options: &Options) -> Value {
    let limit_cpu = job.limit_cpu.as_deref().unwrap_or_else(|| larger(&job.request_cpu, CPU_LIMIT));
    let limit_memory = job.limit_memory.as_deref().unwrap_or(&job.request_memory);
    let mut container = Map::from_iter([
        ("name".to_owned(), json!("main")),
        ("image".to_owned(), json!(job.image)),
        (
            "resources".to_owned(),
            json!({
                "requests": {"cpu": job.request_cpu, "memory": job.request_memory},
                "limits": {"cpu": limit_cpu, "memory": limit_memory},
            }),
        ),
        ("securityContext".to_owned(), json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})),
    ]);
    for (field, texts) in [("command", &job.command), ("args", &job.args)] {
        if !texts.is_empty() {
            container.insert(field.to_owned(), json!(texts));
        }
    }
    if !job.env.is_empty() {
        container.insert("env".to_owned(), json!(job.env));
    }
    let mut security = json!({"runAsUser": options.user, "seccompProfile": {"type": "RuntimeDefault"}});
    if options.user != 0 {
        security["runAsNonRoot"] = json!(true);
    }
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "containers": [container],
        // What podFailurePolicy asks for; a failed pod is replaced, and its log stays.
        "restartPolicy": "Never",
        "securityContext": security,
    });
    if let Some(class) = &job.priority_class {
        spec["priorityClassName"] = json!(class);
    }
    spec
}

/// The larger of two quantities, as written.
fn larger<'q>(one: &'q str, other: &'q str) -> &'q str {
    match (quantity::parse(one), quantity::parse(other)) {
        (Ok(a), Ok(b)) if a < b => other,
        _ => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Group;
    use crate::packing::Kind;
    use crate::tree::Node;
    use crate::workload::Pod;

    fn options() -> Options {
        let run = "r1".to_owned();
        Options { run, namespace: None, source: None, retries: 1, deadline: 3600, keep: 600, user: 10001 }
    }

    fn job(name: &str) -> Job {
        let (request_memory, request_cpu) = ("500Mi".to_owned(), "200m".to_owned());
        Job { name: name.to_owned(), image: "scan:1".to_owned(), request_memory, request_cpu, ..Job::default() }
    }

    #[test]
    fn a_group_gets_a_legal_label_of_its_own() {
        let mut taken = HashSet::new();
        let mut label = |group: &str| super::label(group, "r1", &mut taken);
        assert_eq!(label("nightly"), "nightly-r1");
        assert_eq!(label("pull request #4711"), "pull-request--4711-r1");
        assert_eq!(label("pull request /4711"), "pull-request--4711-2-r1");
        assert_eq!(label("ü"), "group-r1");
        assert_eq!(label("…"), "group-2-r1");
        let long = label(&"x".repeat(100));
        assert_eq!((long.len(), long.ends_with("x-r1")), (63, true));
    }

    #[test]
    fn what_is_not_written_has_a_default() {
        let batch = Batch { groups: vec![Group { name: "g".to_owned(), jobs: vec![job("a")] }] };
        let planned = plan(&batch, &options());
        let object = &planned[0].object;
        assert_eq!(object["metadata"].get("namespace"), None);
        let spec = &object["spec"];
        assert_eq!((&spec["backoffLimit"], &spec["activeDeadlineSeconds"]), (&json!(1), &json!(3600)));
        assert_eq!(spec.get("parallelism"), None);
        let container = &spec["template"]["spec"]["containers"][0];
        assert_eq!(container["resources"]["limits"], json!({"cpu": "1", "memory": "500Mi"}));
        assert_eq!(spec["template"]["metadata"]["labels"]["batchjobs-group"], "g-r1");
        assert_eq!(spec["template"]["metadata"]["annotations"], json!({"supercargo.dev/batch-group": "g"}));
    }

    #[test]
    fn how_long_a_group_takes_is_known_in_its_next_run() {
        let kind = |run: &str, group: &str| {
            let batch = Batch { groups: vec![Group { name: group.to_owned(), jobs: vec![job("a")] }] };
            let object = plan(&batch, &Options { run: run.to_owned(), ..options() }).remove(0).object;
            let pod = Node::from(&object["spec"]["template"]);
            let pod = Pod::new("", &pod);
            Kind::of(&pod, "scan", pod.label(GROUP_LABEL))
        };
        assert_eq!(kind("r1", "pull request #7"), kind("r2", "pull request #7"));
        assert_ne!(kind("r1", "pull request #7"), kind("r1", "pull request #8"));
    }

    #[test]
    fn what_is_written_stands_in_the_job() {
        let all = Job {
            request_cpu: "1500m".to_owned(),
            limit_memory: Some("1Gi".to_owned()),
            args: vec!["scan".to_owned()],
            env: vec![json!({"name": "LEVEL", "value": "deep"})],
            parallelism: Some(2),
            completions: Some(4),
            priority_class: Some("low".to_owned()),
            namespace: Some("other".to_owned()),
            ..job("a")
        };
        let batch = Batch { groups: vec![Group { name: "g".to_owned(), jobs: vec![all] }] };
        let source = Some("shared".to_owned());
        let namespace = Some("scans".to_owned());
        let planned = plan(&batch, &Options { source, namespace, user: 0, ..options() });
        let spec = &planned[0].object["spec"];
        assert_eq!(planned[0].key.namespace, "other");
        assert_eq!((&spec["parallelism"], &spec["completions"]), (&json!(2), &json!(4)));
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["containers"][0]["resources"]["limits"], json!({"cpu": "1500m", "memory": "1Gi"}));
        assert_eq!(pod["priorityClassName"], "low");
        assert_eq!(pod["securityContext"].get("runAsNonRoot"), None);
        assert_eq!(spec["template"]["metadata"]["annotations"]["supercargo.dev/source"], "shared");
    }
}
