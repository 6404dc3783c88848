//! The file of a batch: `{"GROUP": [{"jobName", "image", "requestMem", "requestCpu", …}, …], …}`, read strictly.
//!
//! Every mistake is reported at once, each with a JSON pointer; whoever read the text knows line and column.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::fields::{Problems, is_plain_folder, nearest};
use crate::packing::{Amounts, NodeSeen};
use crate::quantity::{self, Quantity};
use crate::tree::{Map, Node, escape};
use crate::workload::resources;

/// What a file asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// In the order of the file.
    pub groups: Vec<Group>,
}

/// Jobs that belong together: their pods are to share nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// As it is written; any text.
    pub name: String,
    /// In the order of the file.
    pub jobs: Vec<Job>,
}

/// One job, as it is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// The JSON pointer to it in the file.
    pub at: String,
    /// A DNS label.
    pub name: String,
    /// The image of its one container.
    pub image: String,
    /// A quantity of bytes.
    pub request_memory: String,
    /// A quantity of cores.
    pub request_cpu: String,
    /// A quantity of bytes, at least the request.
    pub limit_memory: Option<String>,
    /// A quantity of cores, at least the request.
    pub limit_cpu: Option<String>,
    /// Instead of the image's entrypoint.
    pub command: Vec<String>,
    /// Instead of the image's arguments.
    pub args: Vec<String>,
    /// As a container has it: `{"name", "value"}` or `{"name", "valueFrom"}`.
    pub env: Vec<Value>,
    /// The folder with the sources, for the profile that mounts them.
    pub source: Option<String>,
    /// Pods at once.
    pub parallelism: Option<u32>,
    /// Pods that have to succeed.
    pub completions: Option<u32>,
    /// The name of a PriorityClass.
    pub priority_class: Option<String>,
    /// Where it runs; `None` is wherever the whole batch runs.
    pub namespace: Option<String>,
}

const FIELDS: [&str; 14] = [
    "jobName",
    "image",
    "requestMem",
    "requestCpu",
    "limitMem",
    "limitCpu",
    "command",
    "args",
    "env",
    "source",
    "parallelism",
    "completions",
    "priorityClass",
    "namespace",
];

/// What a file should look like, for messages.
const SHAPE: &str =
    r#"{"GROUP": [{"jobName": "job1", "image": "scanner:1", "requestMem": "500Mi", "requestCpu": "200m"}]}"#;

/// A container runtime alone takes several MiB, so a smaller request is a forgotten unit ("500" for "500Mi", or "500m").
const LEAST_MEMORY: &str = "1Mi";
/// More than the largest machines have (32 TiB, 1,920 cores): a wrong unit.
const MOST_MEMORY: &str = "64Ti";
const LEAST_CPU: &str = "1m";
const MOST_CPU: &str = "4096";
/// As many as the Job controller allows.
const MOST_PODS: u64 = 100_000;
/// A reference of a registry is far shorter.
const LONGEST_IMAGE: usize = 512;

/// Where a variable's value may come from.
const ENV_SOURCES: [&str; 5] = ["secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef", "fileKeyRef"];

/// Reads a file; the batch holds what could be read, and is whole only when there are no problems.
pub fn read(tree: &Node<'_>) -> (Batch, Problems) {
    let mut reader = Reader::default();
    let batch = reader.batch(tree);
    (batch, reader.problems)
}

/// The jobs whose name another one of their namespace has, when those that name no namespace run in this one; `None` is a namespace
/// that is not known yet, and taken for one that no job names.
pub fn same_names(batch: &Batch, namespace: Option<&str>) -> Problems {
    let mut problems = Problems::default();
    let mut names: HashMap<(Option<&str>, &str), (&str, &Job)> = HashMap::new();
    let jobs = batch.groups.iter().flat_map(|group| group.jobs.iter().map(move |job| (&*group.name, job)));
    // What has no name was reported when it was read.
    for (group, job) in jobs.filter(|(_, job)| !job.name.is_empty()) {
        let key = (job.namespace.as_deref().or(namespace), &*job.name);
        let Some((other_group, other)) = names.insert(key, (group, job)) else { continue };
        let where_else = match namespace {
            Some(namespace) if job.namespace != other.namespace => {
                format!("; those that name no namespace are in {namespace:?}")
            }
            _ => String::new(),
        };
        let message = format!(
            "{:?} stands twice: group {other_group:?} has it already, and Jobs of one namespace need different names{where_else}",
            job.name
        );
        problems.add(format!("{}/jobName", job.at), message);
    }
    problems
}

/// What is wrong with a folder of sources.
pub fn wrong_source(source: &str) -> Option<&'static str> {
    let wrong = "is no plain relative path: write folder/below without '..', '.', empty parts or ':'";
    (!is_plain_folder(source)).then_some(wrong)
}

/// The jobs whose requests no node holds, however empty; none when no nodes are known.
pub fn too_large(batch: &Batch, nodes: &[NodeSeen]) -> Problems {
    let mut problems = Problems::default();
    let largest = |of: fn(&Amounts) -> u64| nodes.iter().map(|node| of(&node.allocatable)).max().unwrap_or_default();
    let (most_cpu, most_memory) = (largest(|room| room.cpu), largest(|room| room.memory));
    if nodes.is_empty() {
        return problems;
    }
    for job in batch.groups.iter().flat_map(|group| &group.jobs) {
        let (Ok(cpu), Ok(memory)) = (quantity::parse(&job.request_cpu), quantity::parse(&job.request_memory)) else {
            continue;
        };
        let (cpu, memory) = (cpu.millis(), memory.units());
        let fits = |room: &Amounts| cpu <= room.cpu && memory <= room.memory;
        if nodes.iter().any(|node| fits(&node.allocatable)) {
            continue;
        }
        let mib = most_memory / (1 << 20);
        let mut whole = true;
        if cpu > most_cpu {
            whole = false;
            let message = format!("no node holds so much: the largest has {most_cpu}m for pods");
            problems.add(format!("{}/requestCpu", job.at), message);
        }
        if memory > most_memory {
            whole = false;
            let message = format!("no node holds so much: the largest has {mib}Mi for pods");
            problems.add(format!("{}/requestMem", job.at), message);
        }
        if whole {
            let message = "no node holds requestCpu and requestMem together: nodes with so much cpu have less memory";
            problems.add(job.at.clone(), message);
        }
    }
    problems
}

#[derive(Default)]
struct Reader {
    problems: Problems,
}

impl Reader {
    fn batch(&mut self, tree: &Node<'_>) -> Batch {
        let mut batch = Batch::default();
        let Node::Object(groups) = tree else {
            self.problems.add("", format!("is no batch, which is lists of jobs by group: {SHAPE}"));
            return batch;
        };
        if groups.is_empty() {
            self.problems.add("", format!("holds no group: write {SHAPE}"));
        }
        for (name, node) in groups.iter() {
            let at = format!("/{}", escape(name));
            if name.trim().is_empty() {
                self.problems.add(&*at, "a group needs a name");
            }
            let Node::Array(items) = node else {
                self.problems.add(&*at, format!("a group is a list of jobs, and this is {}", kind(node)));
                continue;
            };
            if items.is_empty() {
                self.problems.add(&*at, "the group is empty: give it a job, or leave it out");
            }
            let jobs = items.iter().enumerate();
            let jobs = jobs.filter_map(|(index, node)| self.job(format!("{at}/{index}"), node)).collect();
            batch.groups.push(Group { name: name.to_owned(), jobs });
        }
        batch
    }

    fn job(&mut self, at: String, node: &Node<'_>) -> Option<Job> {
        let Node::Object(fields) = node else {
            self.problems.add(at, format!("a job is a map, and this is {}", kind(node)));
            return None;
        };
        for (key, _) in fields.iter().filter(|(key, _)| !FIELDS.contains(key)) {
            let help = match nearest(key, FIELDS.into_iter()) {
                Some(name) => format!("did you mean {name}?"),
                None => format!("a job has {}", FIELDS.join(", ")),
            };
            self.problems.add(format!("{at}/{}", escape(key)), format!("unknown field {key:?}: {help}"));
        }
        let job = Job {
            name: self.needed(&at, fields, "jobName", "\"job1\""),
            image: self.needed(&at, fields, "image", "\"registry.example.com/scanner:1.4.2\""),
            request_memory: self.amount(&at, fields, "requestMem").unwrap_or_default(),
            request_cpu: self.amount(&at, fields, "requestCpu").unwrap_or_default(),
            limit_memory: self.amount(&at, fields, "limitMem"),
            limit_cpu: self.amount(&at, fields, "limitCpu"),
            command: self.texts(&at, fields, "command"),
            args: self.texts(&at, fields, "args"),
            env: self.env(&at, fields),
            source: self.text(&at, fields, "source"),
            parallelism: self.count(&at, fields, "parallelism"),
            completions: self.count(&at, fields, "completions"),
            priority_class: self.text(&at, fields, "priorityClass"),
            namespace: self.text(&at, fields, "namespace"),
            at,
        };
        self.names(&job);
        self.amounts(&job);
        Some(job)
    }

    /// What has to be written the way the API server wants it.
    fn names(&mut self, job: &Job) {
        let field = |name: &str| format!("{}/{name}", job.at);
        if !job.name.is_empty() {
            self.problems.part_name(&field("jobName"), &job.name);
        }
        if !job.image.is_empty()
            && let Some(wrong) = wrong_image(&job.image)
        {
            self.problems.add(field("image"), format!("is no image: {wrong}"));
        }
        if let Some(namespace) = &job.namespace {
            self.problems.part_name(&field("namespace"), namespace);
        }
        if let Some(class) = &job.priority_class {
            self.problems.object_name(&field("priorityClass"), class);
        }
        if let Some(wrong) = job.source.as_deref().and_then(wrong_source) {
            self.problems.add(field("source"), wrong);
        }
    }

    fn amounts(&mut self, job: &Job) {
        let memory = (LEAST_MEMORY, MOST_MEMORY, "memory is counted in bytes: write 500Mi, 2Gi");
        let cpu = (LEAST_CPU, MOST_CPU, "cpu is counted in cores: write 200m for a fifth of one, or 2");
        for (request_field, request, limit_field, limit, (least, most, help)) in [
            ("requestMem", &job.request_memory, "limitMem", &job.limit_memory, memory),
            ("requestCpu", &job.request_cpu, "limitCpu", &job.limit_cpu, cpu),
        ] {
            // What is no quantity was reported when it was read.
            let parsed = |text: &str| quantity::parse(text).ok();
            let requested = parsed(request);
            let limited = limit.as_deref().and_then(parsed);
            let written = [(request_field, requested), (limit_field, limited)];
            for (field, amount) in written.into_iter().filter_map(|(field, amount)| Some((field, amount?))) {
                let at = format!("{}/{field}", job.at);
                if amount <= Quantity::ZERO {
                    self.problems.add(at, format!("is not more than nothing: {help}"));
                } else if parsed(least).is_some_and(|least| amount < least) {
                    self.problems.add(at, format!("is less than {least}: {help}"));
                } else if parsed(most).is_some_and(|most| amount > most) {
                    self.problems.add(at, format!("is more than {most}, and no machine has that: {help}"));
                }
            }
            if limited.zip(requested).is_some_and(|(limit, request)| limit < request) {
                let message = format!("is below {request_field}: write at least {request:?}, or leave it out");
                self.problems.add(format!("{}/{limit_field}", job.at), message);
            }
        }
    }

    /// A text that is not empty.
    fn text(&mut self, at: &str, fields: &Map<'_>, key: &str) -> Option<String> {
        let at = format!("{at}/{key}");
        match fields.get(key)? {
            Node::String(text) if text.trim().is_empty() => {
                self.problems.add(at, "is empty: write a text, or leave it out");
                None
            }
            Node::String(text) => Some(text.clone().into_owned()),
            other => {
                self.problems.add(at, format!("is {}: write a text in quotes", kind(other)));
                None
            }
        }
    }

    /// The same, of a field that every job has; empty when it was reported.
    fn needed(&mut self, at: &str, fields: &Map<'_>, key: &str, example: &str) -> String {
        if fields.get(key).is_none() {
            self.problems.add(at, format!("{key} is missing: write \"{key}\": {example}"));
        }
        self.text(at, fields, key).unwrap_or_default()
    }

    /// A quantity: text, or a bare number.
    fn amount(&mut self, at: &str, fields: &Map<'_>, key: &str) -> Option<String> {
        let Some(node) = fields.get(key) else {
            if key.starts_with("request") {
                let example = if key.ends_with("Mem") { "500Mi" } else { "200m" };
                self.problems.add(at, format!("{key} is missing: write \"{key}\": {example:?}"));
            }
            return None;
        };
        let at = format!("{at}/{key}");
        if !matches!(node, Node::String(_) | Node::Number(_)) {
            self.problems.add(at, format!("is {}: write an amount such as \"500Mi\" or \"200m\"", kind(node)));
            return None;
        }
        match resources::quantity(node) {
            Ok(_) => Some(resources::text(node).into_owned()),
            Err(error) => {
                self.problems.add(at, error.to_string());
                None
            }
        }
    }

    fn count(&mut self, at: &str, fields: &Map<'_>, key: &str) -> Option<u32> {
        let node = fields.get(key)?;
        let number = match node {
            Node::Number(number) => number.as_u64(),
            _ => None,
        };
        let count = number.filter(|count| (1..=MOST_PODS).contains(count)).and_then(|count| u32::try_from(count).ok());
        if count.is_none() {
            let found = if number.is_some() { "is out of bounds" } else { "is no whole number" };
            self.problems.add(format!("{at}/{key}"), format!("{found}: write one from 1 to {MOST_PODS}"));
        }
        count
    }

    fn texts(&mut self, at: &str, fields: &Map<'_>, key: &str) -> Vec<String> {
        let at = format!("{at}/{key}");
        match fields.get(key) {
            None => Vec::new(),
            Some(Node::Array(items)) => {
                let mut texts = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    match item.as_str() {
                        Some(text) => texts.push(text.to_owned()),
                        None => self
                            .problems
                            .add(format!("{at}/{index}"), format!("is {}: write a text in quotes", kind(item))),
                    }
                }
                texts
            }
            Some(other) => {
                self.problems
                    .add(at, format!("is {}: write a list of texts, such as [\"scan\", \"/src\"]", kind(other)));
                Vec::new()
            }
        }
    }

    /// A map of texts, or a list as a container has it.
    fn env(&mut self, at: &str, fields: &Map<'_>) -> Vec<Value> {
        let at = format!("{at}/env");
        let mut env: Vec<Value> = Vec::new();
        match fields.get("env") {
            None => {}
            Some(Node::Object(map)) => {
                for (name, value) in map.iter() {
                    self.variable(format!("{at}/{}", escape(name)), name);
                    match value.as_str() {
                        Some(text) => env.push(json!({"name": name, "value": text})),
                        None => self.problems.add(
                            format!("{at}/{}", escape(name)),
                            format!("is {}: write a text in quotes; for valueFrom write env as a list", kind(value)),
                        ),
                    }
                }
            }
            Some(Node::Array(items)) => {
                let mut names = HashSet::new();
                for (index, item) in items.iter().enumerate() {
                    let at = format!("{at}/{index}");
                    let Some(name) = item.str("name") else {
                        self.problems.add(at, "needs a name: write {\"name\": \"LEVEL\", \"value\": \"deep\"}");
                        continue;
                    };
                    if !names.insert(name) {
                        self.problems.add(format!("{at}/name"), format!("{name:?} stands twice: leave one out"));
                    }
                    self.variable(format!("{at}/name"), name);
                    env.extend(self.listed_variable(at, item));
                }
            }
            Some(other) => self.problems.add(at, format!("is {}: write a map of names and texts", kind(other))),
        }
        env
    }

    /// An item of a list as a container has it.
    fn listed_variable(&mut self, at: String, item: &Node<'_>) -> Option<Value> {
        let known = |key: &str| matches!(key, "name" | "value" | "valueFrom");
        let unknown = item.as_object().into_iter().flat_map(Map::iter).find(|(key, _)| !known(key));
        let (at, message) = match (unknown, item.get("value"), item.get("valueFrom")) {
            (Some((key, _)), ..) => {
                let message = format!("unknown field {key:?}: a variable has name, value or valueFrom");
                (format!("{at}/{}", escape(key)), message)
            }
            (None, Some(Node::String(_)), None) => return Some(item.to_value()),
            (None, None, Some(from)) if is_env_source(from) => return Some(item.to_value()),
            (None, Some(_), None) => (format!("{at}/value"), "is no text: write it in quotes".to_owned()),
            (None, None, Some(_)) => {
                let example = r#"{"secretKeyRef": {"name": "scanner", "key": "token"}}"#;
                let message = format!("is no map with one of {}: write {example}", ENV_SOURCES.join(", "));
                (format!("{at}/valueFrom"), message)
            }
            (None, Some(_), Some(_)) | (None, None, None) => (at, "needs either value or valueFrom".to_owned()),
        };
        self.problems.add(at, message);
        None
    }

    fn variable(&mut self, at: String, name: &str) {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b'=') {
            self.problems.add(at, format!("{name:?} is no name of a variable: write letters, digits and '_'"));
        }
    }
}

/// Whether this is a map with one source in it, which is a map again.
fn is_env_source(node: &Node<'_>) -> bool {
    let sources = node.as_object().into_iter().flat_map(Map::iter).filter(|(_, source)| !matches!(source, Node::Null));
    let is_known = |(key, source): (&str, &Node<'_>)| ENV_SOURCES.contains(&key) && source.as_object().is_some();
    matches!(sources.map(is_known).collect::<Vec<_>>()[..], [true])
}

/// What stands there instead, for messages; no text of the file is shown, as it may be a secret.
fn kind(node: &Node<'_>) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Bool(_) => "true or false",
        Node::Number(_) => "a number",
        Node::String(_) => "a text",
        Node::Array(_) => "a list",
        Node::Object(_) => "a map",
    }
}

/// What is wrong with an image's name. The kubelet would say `InvalidImageName` when the pod is on a node already.
fn wrong_image(image: &str) -> Option<&'static str> {
    if image.len() > LONGEST_IMAGE {
        return Some("it is longer than 512 characters");
    }
    if image.chars().any(|c| c.is_whitespace() || !c.is_ascii_graphic()) {
        return Some("it holds white space or other characters than ASCII; write registry/name:tag");
    }
    let (named, digest) = image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
    if digest.is_some_and(|digest| !digest.contains(':')) {
        return Some("what stands behind '@' is no digest; write name@sha256:…");
    }
    // A colon before the last slash is a port's.
    let slash = named.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match named.get(slash..).unwrap_or_default().split_once(':') {
        Some((last, tag)) => (named.get(..slash + last.len()).unwrap_or_default(), Some(tag)),
        None => (named, None),
    };
    let in_tag = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if tag.is_some_and(|tag| tag.is_empty() || tag.len() > 128 || !tag.bytes().all(in_tag)) {
        return Some("its tag is not up to 128 letters, digits, '_', '-' and '.'");
    }
    let mut parts = name.split('/');
    let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    if name.contains('/') && parts.clone().next().is_some_and(is_host) {
        parts.next();
    }
    let in_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.');
    for part in parts {
        if part.bytes().any(|b| b.is_ascii_uppercase()) {
            return Some("its name holds capital letters, which only a tag may");
        }
        if part.is_empty() || !part.bytes().all(in_part) || part.starts_with(['.', '-', '_']) {
            return Some("write registry/name:tag, the name of lower-case letters, digits, '_', '-', '.' and '/'");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(String, String)> {
        read(&Node::read(text).unwrap()).1.list()
    }

    /// One group with one job, with more fields.
    fn with(more: &str) -> String {
        format!(
            r#"{{"g": [{{"jobName": "a", "image": "scan:1", "requestMem": "500Mi", "requestCpu": "200m"{more}}}]}}"#
        )
    }

    #[test]
    fn a_job_is_read_with_all_that_it_may_have() {
        let text = with(
            r#", "limitMem": "1Gi", "limitCpu": 2, "command": ["scan"], "args": ["/src"], "env": {"LEVEL": "deep"},
                "source": "team/repository", "parallelism": 2, "completions": 4, "priorityClass": "low", "namespace": "scans""#,
        );
        let (batch, problems) = read(&Node::read(&text).unwrap());
        assert_eq!(problems.list(), []);
        let job = &batch.groups[0].jobs[0];
        assert_eq!((job.at.as_str(), job.name.as_str(), job.limit_cpu.as_deref()), ("/g/0", "a", Some("2")));
        assert_eq!((job.parallelism, job.completions), (Some(2), Some(4)));
        assert_eq!(job.env, [json!({"name": "LEVEL", "value": "deep"})]);
        let env = r#"[{"name": "LEVEL", "value": "deep"}, {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "scanner", "key": "token"}}}]"#;
        let text = with(&format!(r#", "env": {env}"#));
        let (batch, problems) = read(&Node::read(&text).unwrap());
        assert_eq!(problems.list(), []);
        assert_eq!(json!(batch.groups[0].jobs[0].env), serde_json::from_str::<Value>(env).unwrap());
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        for (text, at, words) in [
            ("[]", "", "lists of jobs by group"),
            ("{}", "", "holds no group"),
            (r#"{"g": []}"#, "/g", "empty"),
            (r#"{"g": {}}"#, "/g", "a list of jobs, and this is a map"),
            (r#"{" ": []}"#, "/ ", "needs a name"),
            (&with(r#", "request_cpu": "1""#), "/g/0/request_cpu", "did you mean requestCpu?"),
            (&with(r#", "zzzzzzzzzzzzzzzzzzzzzzzz": 1"#), "/g/0/zzzzzzzzzzzzzzzzzzzzzzzz", "a job has jobName,"),
            (&with(r#", "parallelism": 0"#), "/g/0/parallelism", "from 1 to 100000"),
            (&with(r#", "completions": "4""#), "/g/0/completions", "no whole number"),
            (&with(r#", "args": "scan""#), "/g/0/args", "a list of texts"),
            (&with(r#", "command": [1]"#), "/g/0/command/0", "is a number"),
            (&with(r#", "env": {"A": 1}"#), "/g/0/env/A", "is a number"),
            (&with(r#", "env": [{"value": "x"}]"#), "/g/0/env/0", "needs a name"),
            (&with(r#", "env": [{"name": "x"}]"#), "/g/0/env/0", "either value or valueFrom"),
            (&with(r#", "env": [{"name": "x", "vale": "x"}]"#), "/g/0/env/0/vale", "unknown field"),
            (&with(r#", "env": [{"name": "x", "value": 1}]"#), "/g/0/env/0/value", "no text"),
            (
                &with(r#", "env": [{"name": "x", "value": ""}, {"name": "x", "value": "2"}]"#),
                "/g/0/env/1/name",
                "\"x\" stands twice",
            ),
            (&with(r#", "env": {"ü": "x"}"#), "/g/0/env/ü", "no name of a variable"),
            (&with(r#", "env": [{"name": "x", "valueFrom": "zz"}]"#), "/g/0/env/0/valueFrom", "secretKeyRef"),
            (&with(r#", "env": [{"name": "x", "valueFrom": {}}]"#), "/g/0/env/0/valueFrom", "secretKeyRef"),
            (
                &with(r#", "env": [{"name": "x", "valueFrom": {"secretRef": {}}}]"#),
                "/g/0/env/0/valueFrom",
                "secretKeyRef",
            ),
            (
                &with(r#", "env": [{"name": "x", "valueFrom": {"fieldRef": {}, "secretKeyRef": {}}}]"#),
                "/g/0/env/0/valueFrom",
                "secretKeyRef",
            ),
            (&with(r#", "limitMem": "100Mi""#), "/g/0/limitMem", "below requestMem"),
            (&with(r#", "limitCpu": "2 cores""#), "/g/0/limitCpu", "not a quantity"),
            (&with(r#", "limitCpu": "5000""#), "/g/0/limitCpu", "no machine has that"),
            (&with(r#", "source": "../other""#), "/g/0/source", "plain relative path"),
            (&with(r#", "namespace": "Scans""#), "/g/0/namespace", "no valid name"),
        ] {
            let found = problems(text);
            assert!(found.iter().any(|(p, message)| p == at && message.contains(words)), "{text}: {found:?}");
        }
    }

    #[test]
    fn amounts_that_mean_something_else_are_refused() {
        let job = |memory: &str, cpu: &str| {
            let text = format!(
                r#"{{"g": [{{"jobName": "a", "image": "scan:1", "requestMem": {memory}, "requestCpu": {cpu}}}]}}"#
            );
            problems(&text).into_iter().map(|(_, message)| message).collect::<Vec<_>>().join("; ")
        };
        for (memory, cpu, words) in [
            ("\"0\"", "\"1\"", "not more than nothing"),
            ("\"500m\"", "\"1\"", "less than 1Mi"),
            ("500", "\"1\"", "less than 1Mi"),
            ("\"500MB\"", "\"1\"", "not a quantity"),
            ("\"1Gi\"", "\"-1\"", "not more than nothing"),
            ("\"1Gi\"", "\"512Mi\"", "no machine has that"),
            ("\"1Ei\"", "\"1\"", "no machine has that"),
            ("\"1Gi\"", "true", "is true or false"),
        ] {
            let found = job(memory, cpu);
            assert!(found.contains(words), "{memory} {cpu}: {found}");
        }
        assert_eq!(job("\"1Gi\"", "0.5"), "");
    }

    #[test]
    fn names_are_unique_in_their_namespace() {
        let job = |name: &str, more: &str| {
            format!(r#"{{"jobName": "{name}", "image": "scan:1", "requestMem": "1Gi", "requestCpu": "1"{more}}}"#)
        };
        let elsewhere = r#", "namespace": "other""#;
        let text = format!(r#"{{"a": [{}], "b": [{}, {}]}}"#, job("x", ""), job("x", elsewhere), job("x", ""));
        let (batch, problems_of_each) = read(&Node::read(&text).unwrap());
        assert_eq!(problems_of_each.list(), []);
        let twice = |namespace| same_names(&batch, namespace).list();
        let found = twice(None);
        assert_eq!((found.len(), &*found[0].0), (1, "/b/1/jobName"), "{found:?}");
        assert!(found[0].1.ends_with("group \"a\" has it already, and Jobs of one namespace need different names"));
        assert_eq!(twice(Some("scans")), found);
        // Both ways of naming it.
        let found = twice(Some("other"));
        assert_eq!(found.iter().map(|(at, _)| &**at).collect::<Vec<_>>(), ["/b/0/jobName", "/b/1/jobName"]);
        assert!(found[0].1.ends_with("; those that name no namespace are in \"other\""), "{found:?}");
        for name in ["Job", "a_b", "-a", "a.b", &"a".repeat(64)] {
            assert_eq!(problems(&format!(r#"{{"g": [{}]}}"#, job(name, ""))).len(), 1, "{name}");
        }
        assert_eq!(problems(&format!(r#"{{"g": [{}]}}"#, job(&"a".repeat(63), ""))), []);
    }

    #[test]
    fn images_are_what_a_kubelet_can_read() {
        for image in [
            "scan",
            "scan:1.4.2-RC1",
            "localhost:5000/team/scan",
            "Registry.example.com:443/a/b_c:x",
            "scan@sha256:0123456789abcdef",
        ] {
            assert_eq!(wrong_image(image), None, "{image}");
        }
        for image in ["Scan", "team/Scan:1", "scan:", "scan 1", "scan:1:2", "a//b", "/scan", "scan@latest", "scän"] {
            assert!(wrong_image(image).is_some(), "{image}");
        }
    }

    #[test]
    fn what_no_node_holds_is_named() {
        let node = |name: &str, cpu: &str, memory: &str| {
            let node = json!({"metadata": {"name": name}, "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}}});
            NodeSeen::read(&Node::from(node)).unwrap()
        };
        let nodes = [node("wide", "16", "8Gi"), node("deep", "4", "64Gi")];
        let large = |cpu: &str, memory: &str| {
            let text = format!(
                r#"{{"g": [{{"jobName": "a", "image": "scan:1", "requestMem": "{memory}", "requestCpu": "{cpu}"}}]}}"#
            );
            too_large(&read(&Node::read(&text).unwrap()).0, &nodes).list()
        };
        assert_eq!(large("16", "8Gi"), []);
        assert_eq!(large("17", "1Gi")[0].0, "/g/0/requestCpu");
        assert!(large("1", "65Gi")[0].1.contains("65536Mi"), "{:?}", large("1", "65Gi"));
        assert_eq!(large("16", "64Gi")[0].0, "/g/0");
        assert_eq!(too_large(&Batch::default(), &[]).list(), []);
    }
}
