//! From what is seen of the cluster to what is said of the jobs: one line a change, counts, and a summary.
//!
//! The order in which Jobs, pods and warnings come does not matter, and seeing something twice says nothing new: watches begin
//! again after a lost connection, and know nothing of each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::Value;

use super::jobs::{Key, Planned};
use super::seen::{Cause, Ended, JobSeen, Phase, PodSeen, Reason, WarningSeen};
use crate::packing::bound::{Room, unused_nodes};
use crate::packing::{Amounts, NodeSeen};

/// Something that a person wants to know of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Since the start.
    pub at: Duration,
    /// The group as it stands in the file.
    pub group: String,
    /// The job's name.
    pub job: String,
    /// What happened to it; may hold text from the cluster, and several lines of it.
    pub text: String,
}

/// How many jobs are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub jobs: usize,
    /// Ended well.
    pub succeeded: usize,
    /// Ended otherwise, or taken away by somebody.
    pub failed: usize,
    /// Not admitted: the Job, or its pods.
    pub refused: usize,
    /// With a pod that runs.
    pub running: usize,
    /// Not yet, or not any more.
    pub waiting: usize,
    /// That could not be made, as the cluster did not answer.
    pub unmade: usize,
    /// That were to be watched, and are not there.
    pub missing: usize,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How many groups there were.
    pub groups: usize,
    /// How the jobs ended.
    pub counts: Counts,
    /// From the start to now.
    pub took: Duration,
    /// Different nodes that pods of the run were on.
    pub nodes: usize,
    /// The most of them at once.
    pub most_nodes: usize,
    /// No way of packing could do with fewer, when most were needed; `None` when the nodes are not known.
    pub bound: Option<usize>,
    /// The sum, over the nodes, of the time in which one of the pods was on it.
    pub node_seconds: f64,
    /// The same, if at every moment the pods had been on as few nodes as the lower bound says.
    pub bound_seconds: Option<f64>,
}

/// An event has the time of the controller's clock, a pod that of the API server's. What is held back for longer has a newer event:
/// the controller tries again after 1, 2, 4, 8, … seconds.
const CLOCKS_DIFFER: i64 = 5;

/// The state of a run.
#[derive(Debug)]
pub struct Progress {
    jobs: BTreeMap<Key, Job>,
    groups: usize,
    /// How many have not ended.
    open: usize,
    rooms: BTreeMap<String, Room>,
    lines: Vec<Line>,
    now: Duration,
    /// Whether pods or nodes have changed since the numbers below were made.
    changed: bool,
    in_use: BTreeSet<String>,
    bound: Option<usize>,
    used: BTreeSet<String>,
    most_nodes: usize,
    most_bound: Option<usize>,
    node_seconds: f64,
    bound_seconds: f64,
}

#[derive(Debug, Default)]
struct Job {
    group: String,
    uid: String,
    made: Made,
    ended: Option<Ended>,
    /// As many pods have to succeed.
    completions: u64,
    pods: HashMap<String, PodSeen>,
    /// When the last of its pods was made, be it there or not any more.
    last_pod: Option<i64>,
    /// The last one of each uid: events may be about Jobs that were called the same, and come before the uid is known.
    warnings: HashMap<String, WarningSeen>,
    /// What a pod of it failed of last.
    failure: Option<String>,
    /// What it last waited for, while it waits.
    held: Option<Reason>,
    said: State,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Made {
    #[default]
    NotYet,
    /// It is sent again until it is taken.
    Waits(Reason),
    Yes,
    Refused(String),
    Unknown(String),
    Missing,
    Gone,
}

/// How far a job is, as it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Planned,
    Waiting,
    Held(Cause),
    Running,
    Succeeded,
    Failed,
    Refused,
    Unmade,
    Missing,
    Gone,
}

impl State {
    /// Whether nothing more is expected of it.
    fn is_final(&self) -> bool {
        match self {
            State::Planned | State::Waiting | State::Running => false,
            State::Held(cause) => cause.is_final(),
            State::Succeeded | State::Failed | State::Refused | State::Unmade | State::Missing | State::Gone => true,
        }
    }
}

impl Job {
    fn state(&self) -> State {
        match (&self.made, &self.ended) {
            (Made::Refused(_), _) => return State::Refused,
            (_, Some(Ended::Complete)) => return State::Succeeded,
            (_, Some(Ended::Failed(..))) => return State::Failed,
            (Made::Gone, None) => return State::Gone,
            (Made::Unknown(_), None) => return State::Unmade,
            (Made::Missing, None) => return State::Missing,
            _ => {}
        }
        if self.pods.values().any(|pod| pod.phase == Phase::Running) {
            return State::Running;
        }
        match self.held_by() {
            Some(reason) => State::Held(reason.cause),
            // The Job's own status follows that of its last pod.
            None if self.pods.values().any(|pod| pod.phase == Phase::Succeeded) => State::Running,
            None if self.made == Made::NotYet => State::Planned,
            None => State::Waiting,
        }
    }

    /// What keeps it from running: what one of its pods waits for, or why it has none.
    fn held_by(&self) -> Option<&Reason> {
        if let Made::Waits(reason) = &self.made {
            return Some(reason);
        }
        let mut waiting = self.pods.values().filter_map(|pod| match &pod.phase {
            Phase::Pending(reason) => Some(reason.as_ref()),
            _ => None,
        });
        match waiting.next() {
            Some(first) => first.or_else(|| waiting.flatten().next()),
            None => self.warning().map(|warning| &warning.reason),
        }
    }

    /// Why its next pod cannot be made. An event stays for an hour, whatever has come of it: a pod that was made later says that it
    /// is over.
    fn warning(&self) -> Option<&WarningSeen> {
        let succeeded = self.pods.values().filter(|pod| pod.phase == Phase::Succeeded).count();
        // It needs no more pods, and its status will say so.
        if u64::try_from(succeeded).is_ok_and(|succeeded| succeeded >= self.completions) {
            return None;
        }
        let warning = self.warnings.get(&self.uid)?;
        let is_over = self.last_pod.is_some_and(|made| warning.at.saturating_sub(made) <= CLOCKS_DIFFER);
        (!is_over).then_some(warning)
    }

    fn nodes(&self) -> BTreeSet<&str> {
        let running = self.pods.values().filter(|pod| pod.phase == Phase::Running);
        running.filter_map(|pod| pod.node.as_deref()).collect()
    }

    fn words(&self, state: &State) -> String {
        match (state, &self.made, &self.ended) {
            (State::Refused, Made::Refused(message), _) => format!("refused: {message}"),
            (State::Unmade, Made::Unknown(message), _) => format!("could not be made: {message}"),
            (State::Held(cause), ..) => {
                let message = self.held_by().map(|reason| reason.message.as_str()).unwrap_or_default();
                format!("{}: {message}", cause.words())
            }
            (State::Running, ..) => match self.nodes().into_iter().collect::<Vec<_>>().as_slice() {
                [] => "running".to_owned(),
                [node] => format!("running on {node}"),
                nodes => format!("running on {} nodes", nodes.len()),
            },
            (State::Failed, _, Some(Ended::Failed(reason, message))) => {
                let held = || self.held.as_ref().map(|held| format!("{}: {}", held.cause.words(), held.message));
                let end = if message.is_empty() { reason.clone() } else { format!("{reason}: {message}") };
                match self.failure.clone().or_else(held) {
                    Some(why) => format!("failed: {why} ({end})"),
                    None => format!("failed: {end}"),
                }
            }
            (State::Missing, ..) => "is not there: it has ended and was removed, or was never made".to_owned(),
            (State::Gone, ..) => "was taken away before it had ended".to_owned(),
            (State::Succeeded, ..) => "succeeded".to_owned(),
            // Both may come again: a pod was evicted, and its successor waits.
            _ => "waits for its pod".to_owned(),
        }
    }
}

impl Progress {
    /// Of these Jobs, none of which is made yet. Their keys have namespaces.
    pub fn new(planned: &[Planned]) -> Progress {
        let groups: BTreeSet<&str> = planned.iter().map(|planned| planned.group.as_str()).collect();
        let groups = groups.len();
        let job = |planned: &Planned| {
            // Without a number one is enough, however many run at once.
            let completions = planned.object.pointer("/spec/completions").and_then(Value::as_u64).unwrap_or(1);
            (planned.key.clone(), Job { group: planned.group.clone(), completions, ..Job::default() })
        };
        let jobs: BTreeMap<Key, Job> = planned.iter().map(job).collect();
        Progress {
            open: jobs.len(),
            jobs,
            groups,
            rooms: BTreeMap::new(),
            lines: Vec::new(),
            now: Duration::ZERO,
            changed: false,
            in_use: BTreeSet::new(),
            bound: None,
            used: BTreeSet::new(),
            most_nodes: 0,
            most_bound: None,
            node_seconds: 0.0,
            bound_seconds: 0.0,
        }
    }

    /// So much time has passed since the start: what is on nodes has been there until now.
    pub fn tick(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.now).as_secs_f64();
        self.now = now;
        self.node_seconds += passed * number(self.in_use.len());
        self.bound_seconds += passed * number(self.bound.unwrap_or_default());
        if std::mem::take(&mut self.changed) {
            self.count_nodes();
        }
    }

    /// The API server took a Job, and gave it this uid.
    pub fn made(&mut self, key: &Key, uid: &str) {
        self.update(key, |job| {
            uid.clone_into(&mut job.uid);
            job.made = Made::Yes;
        });
    }

    /// The API server does not take a Job yet: a quota of Jobs is used up.
    pub fn waits(&mut self, key: &Key, message: &str) {
        let reason = Reason { cause: Cause::Quota, message: message.to_owned() };
        self.update(key, |job| job.made = Made::Waits(reason));
    }

    /// The API server did not take a Job.
    pub fn refused(&mut self, key: &Key, message: &str) {
        self.update(key, |job| job.made = Made::Refused(message.to_owned()));
    }

    /// Nobody knows whether the API server took a Job.
    pub fn unmade(&mut self, key: &Key, message: &str) {
        self.update(key, |job| job.made = Made::Unknown(message.to_owned()));
    }

    /// A Job that was to be watched is not there.
    pub fn missing(&mut self, key: &Key) {
        self.update(key, |job| job.made = Made::Missing);
    }

    /// A Job is there, or has changed.
    pub fn job(&mut self, seen: JobSeen) {
        self.update(&seen.key, |job| {
            job.uid = seen.uid;
            job.made = Made::Yes;
            job.ended = seen.ended;
        });
    }

    /// A Job is not there any more.
    pub fn job_gone(&mut self, key: &Key) {
        self.update(key, |job| job.made = Made::Gone);
    }

    /// A pod is there, or has changed.
    pub fn pod(&mut self, seen: PodSeen) {
        self.changed = true;
        let key = seen.job.clone();
        self.update(&key, |job| {
            if let Phase::Failed(why) = &seen.phase {
                job.failure = Some(why.clone());
            }
            job.last_pod = job.last_pod.max(Some(seen.made));
            job.pods.insert(seen.name.clone(), seen);
        });
    }

    /// A pod is not there any more.
    pub fn pod_gone(&mut self, job: &Key, pod: &str) {
        self.changed = true;
        self.update(job, |job| {
            job.pods.remove(pod);
        });
    }

    /// An event says why a Job has no pods.
    pub fn warning(&mut self, seen: WarningSeen) {
        let key = seen.job.clone();
        self.update(&key, |job| {
            if job.warnings.get(&seen.uid).is_none_or(|warning| warning.at <= seen.at) {
                job.warnings.insert(seen.uid.clone(), seen);
            }
        });
    }

    /// A node is there, or has changed.
    pub fn node(&mut self, seen: &NodeSeen) {
        self.changed = true;
        // All of it, not what others leave: they may end, and then fewer nodes would do.
        self.rooms.insert(seen.name.to_string(), Room { amounts: seen.allocatable, pods: seen.pods });
    }

    /// A node is not there any more.
    pub fn node_gone(&mut self, name: &str) {
        self.changed = true;
        self.rooms.remove(name);
    }

    /// What is to be said since this was asked last.
    pub fn lines(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }

    /// Whether nothing more is expected: every job has ended, or waits for what will not come.
    pub fn has_ended(&self) -> bool {
        self.open == 0
    }

    /// Whether every Job was made or refused, so that nothing would be left to make.
    pub fn all_made(&self) -> bool {
        self.jobs.values().all(|job| !matches!(job.made, Made::NotYet | Made::Waits(_) | Made::Unknown(_)))
    }

    /// How many Jobs are in the cluster, as far as is known, and have not ended.
    pub fn unended(&self) -> usize {
        let there = |job: &&Job| matches!(job.made, Made::Yes | Made::Unknown(_)) && job.ended.is_none();
        self.jobs.values().filter(there).count()
    }

    /// How many jobs are how far.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { jobs: self.jobs.len(), ..Counts::default() };
        for job in self.jobs.values() {
            *match &job.said {
                State::Succeeded => &mut counts.succeeded,
                State::Failed | State::Gone => &mut counts.failed,
                State::Refused => &mut counts.refused,
                State::Held(cause) if cause.is_final() => &mut counts.refused,
                State::Running => &mut counts.running,
                State::Unmade => &mut counts.unmade,
                State::Missing => &mut counts.missing,
                State::Planned | State::Waiting | State::Held(_) => &mut counts.waiting,
            } += 1;
        }
        counts
    }

    /// How many nodes the pods are on, and the lower bound of that, where the nodes are known.
    pub fn nodes(&self) -> (usize, Option<usize>) {
        (self.in_use.len(), self.bound)
    }

    /// What came of it so far.
    pub fn summary(&self) -> Summary {
        Summary {
            groups: self.groups,
            counts: self.counts(),
            took: self.now,
            nodes: self.used.len(),
            most_nodes: self.most_nodes,
            bound: self.most_bound,
            node_seconds: self.node_seconds,
            bound_seconds: self.most_bound.map(|_| self.bound_seconds),
        }
    }

    fn update(&mut self, key: &Key, change: impl FnOnce(&mut Job)) {
        // Another program may use our label.
        let Some(job) = self.jobs.get_mut(key) else { return };
        let was_made = job.made == Made::Yes;
        change(job);
        let is_new = job.made == Made::Yes && !was_made;
        let state = job.state();
        match &state {
            // It got further: what held it back is over.
            State::Running => job.held = None,
            State::Held(_) => job.held = job.held_by().cloned(),
            _ => {}
        }
        if state == job.said {
            return;
        }
        match (job.said.is_final(), state.is_final()) {
            (false, true) => self.open -= 1,
            (true, false) => self.open += 1,
            _ => {}
        }
        let text = if is_new && state == State::Waiting { "made".to_owned() } else { job.words(&state) };
        job.said = state;
        self.lines.push(Line { at: self.now, group: job.group.clone(), job: key.name.clone(), text });
    }

    fn count_nodes(&mut self) {
        let on_nodes: Vec<&PodSeen> =
            self.jobs.values().flat_map(|job| job.pods.values()).filter(|pod| pod.is_on_a_node()).collect();
        self.in_use = on_nodes.iter().filter_map(|pod| pod.node.clone()).collect();
        self.used.extend(self.in_use.iter().cloned());
        self.most_nodes = self.most_nodes.max(self.in_use.len());
        self.bound = (!self.rooms.is_empty()).then(|| {
            let demand: Vec<Amounts> = on_nodes.iter().map(|pod| pod.takes).collect();
            let rooms: Vec<Room> = self.rooms.values().copied().collect();
            // A node may have gone before its pods: they are on as many nodes as they are on.
            unused_nodes(&demand, &[], &rooms).unwrap_or(usize::MAX).min(self.in_use.len())
        });
        self.most_bound = self.most_bound.max(self.bound);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a cluster has fewer nodes than 52 bits count")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tree::Node;

    fn progress(names: &[&str]) -> Progress {
        let planned = |name: &&str| Planned { key: key(name), group: "g".to_owned(), object: Value::Null };
        Progress::new(&names.iter().map(planned).collect::<Vec<_>>())
    }

    fn key(name: &str) -> Key {
        Key { namespace: "scans".to_owned(), name: name.to_owned() }
    }

    fn pod(job: &str, node: Option<&str>, phase: Phase) -> PodSeen {
        let takes = Amounts { cpu: 1000, memory: 1 << 30, storage: 0 };
        PodSeen { job: key(job), name: format!("{job}-x"), node: node.map(str::to_owned), phase, takes, made: 100 }
    }

    /// The second pod of a job, made at a later time.
    fn next_pod(job: &str, phase: Phase, made: i64) -> PodSeen {
        PodSeen { name: format!("{job}-y"), made, ..pod(job, Some("n2"), phase) }
    }

    fn held(cause: Cause, message: &str) -> Phase {
        Phase::Pending(Some(Reason { cause, message: message.to_owned() }))
    }

    fn ended(job: &str, ended: Ended) -> JobSeen {
        JobSeen { key: key(job), uid: "u".to_owned(), ended: Some(ended) }
    }

    fn failed(reason: &str) -> Ended {
        Ended::Failed(reason.to_owned(), String::new())
    }

    fn warning(job: &str, uid: &str, cause: Cause) -> WarningSeen {
        let reason = Reason { cause, message: "words".to_owned() };
        WarningSeen { job: key(job), uid: uid.to_owned(), reason, at: 50 }
    }

    fn warning_at(at: i64, job: &str, cause: Cause) -> WarningSeen {
        WarningSeen { at, ..warning(job, "u", cause) }
    }

    fn node(name: &str, cpu: &str) -> NodeSeen {
        let room = json!({"cpu": cpu, "memory": "64Gi", "pods": "110"});
        NodeSeen::read(&Node::from(json!({"metadata": {"name": name}, "status": {"allocatable": room}}))).unwrap()
    }

    fn said(progress: &mut Progress) -> Vec<String> {
        progress.lines().into_iter().map(|line| format!("{}: {}", line.job, line.text)).collect()
    }

    #[test]
    fn a_job_is_said_once_a_change() {
        let mut progress = progress(&["a"]);
        progress.made(&key("a"), "u");
        progress.job(JobSeen { key: key("a"), uid: "u".to_owned(), ended: None });
        progress.pod(pod("a", None, Phase::Pending(None)));
        progress.pod(pod("a", None, held(Cause::Unschedulable, "0/3 nodes")));
        progress.pod(pod("a", None, held(Cause::Unschedulable, "0/4 nodes")));
        progress.pod(pod("a", Some("n1"), Phase::Running));
        progress.pod(pod("a", Some("n1"), Phase::Running));
        progress.pod(pod("a", Some("n1"), Phase::Succeeded));
        progress.job(ended("a", Ended::Complete));
        progress.job_gone(&key("a"));
        progress.pod_gone(&key("a"), "a-x");
        assert_eq!(
            said(&mut progress),
            ["a: made", "a: no node takes it: 0/3 nodes", "a: running on n1", "a: succeeded"]
        );
        assert!(progress.has_ended());
        assert_eq!(progress.counts(), Counts { jobs: 1, succeeded: 1, ..Counts::default() });
        assert_eq!(progress.unended(), 0);
    }

    #[test]
    fn a_failure_has_its_reason() {
        let mut progress = progress(&["code", "late", "gone", "not"]);
        progress.pod(pod("code", Some("n1"), Phase::Failed("exit code 3".to_owned())));
        progress.job(ended("code", failed("BackoffLimitExceeded")));
        progress.pod(pod("late", None, held(Cause::Image, "not found")));
        progress.pod_gone(&key("late"), "late-x");
        progress.job(ended("late", failed("DeadlineExceeded")));
        progress.made(&key("gone"), "u");
        progress.job_gone(&key("gone"));
        progress.refused(&key("not"), "denied the request");
        let said = said(&mut progress);
        assert!(said.contains(&"code: failed: exit code 3 (BackoffLimitExceeded)".to_owned()), "{said:?}");
        assert!(said.contains(&"late: failed: its image cannot be pulled: not found (DeadlineExceeded)".to_owned()));
        assert!(said.contains(&"gone: was taken away before it had ended".to_owned()));
        assert!(said.contains(&"not: refused: denied the request".to_owned()));
        assert_eq!(progress.counts(), Counts { jobs: 4, failed: 3, refused: 1, ..Counts::default() });
        assert!(progress.has_ended());
    }

    #[test]
    fn a_refused_pod_ends_the_wait_and_a_full_quota_does_not() {
        let mut progress = progress(&["a", "b"]);
        for name in ["a", "b"] {
            progress.made(&key(name), "u");
        }
        // Of an older Job of the same name.
        progress.warning(warning("a", "old", Cause::Policy));
        assert_eq!(progress.counts().refused, 0);
        progress.warning(warning("a", "u", Cause::Policy));
        progress.warning(warning("a", "old", Cause::Quota));
        progress.warning(warning("b", "u", Cause::Quota));
        assert_eq!(progress.unended(), 2);
        assert_eq!(progress.counts(), Counts { jobs: 2, refused: 1, waiting: 1, ..Counts::default() });
        assert!(!progress.has_ended());
        progress.pod(pod("b", Some("n1"), Phase::Running));
        progress.job(ended("b", Ended::Complete));
        assert!(progress.has_ended());
        // The policy was mended.
        progress.pod(pod("a", Some("n1"), Phase::Running));
        assert!(!progress.has_ended());
    }

    #[test]
    fn an_event_may_come_before_its_job() {
        let mut progress = progress(&["a"]);
        progress.warning(warning("a", "u", Cause::Policy));
        progress.warning(warning("a", "old", Cause::Quota));
        assert!(!progress.has_ended());
        progress.made(&key("a"), "u");
        assert_eq!(said(&mut progress), ["a: its pod is refused: words"]);
        assert!(progress.has_ended());
    }

    #[test]
    fn a_warning_from_before_its_pod_does_not_hide_a_success() {
        let mut progress = progress(&["a", "b"]);
        for name in ["a", "b"] {
            progress.made(&key(name), "u");
        }
        // Refused at first; then the policy was mended.
        progress.warning(warning("a", "u", Cause::Policy));
        progress.pod(pod("a", Some("n1"), Phase::Running));
        progress.pod(pod("a", Some("n1"), Phase::Succeeded));
        // By clocks that differ a little, and by those that say nothing.
        progress.warning(warning_at(104, "b", Cause::Policy));
        progress.pod(pod("b", Some("n1"), Phase::Running));
        progress.pod(PodSeen { made: i64::MAX, ..pod("b", Some("n1"), Phase::Succeeded) });
        assert_eq!(progress.counts(), Counts { jobs: 2, running: 2, ..Counts::default() });
        assert!(!progress.has_ended());
        progress.job(ended("a", Ended::Complete));
        progress.job(ended("b", Ended::Complete));
        assert_eq!(progress.counts(), Counts { jobs: 2, succeeded: 2, ..Counts::default() });
        assert_eq!(
            said(&mut progress),
            [
                "a: made",
                "b: made",
                "a: its pod is refused: words",
                "a: running on n1",
                "b: its pod is refused: words",
                "b: running on n1",
                "a: succeeded",
                "b: succeeded"
            ]
        );
    }

    #[test]
    fn a_retry_that_is_not_there_yet_is_not_held_by_an_old_warning_and_is_by_a_new_one() {
        let mut progress = progress(&["a"]);
        progress.made(&key("a"), "u");
        progress.warning(warning("a", "u", Cause::Quota));
        progress.pod(pod("a", Some("n1"), Phase::Running));
        progress.pod(pod("a", Some("n1"), Phase::Failed("exit code 1".to_owned())));
        progress.warning(warning_at(110, "a", Cause::Quota));
        // Listed again, in whatever order.
        progress.warning(warning("a", "u", Cause::Policy));
        progress.pod(next_pod("a", Phase::Running, 120));
        let held = "a: the quota is used up: words";
        assert_eq!(
            said(&mut progress),
            ["a: made", held, "a: running on n1", "a: waits for its pod", held, "a: running on n2"]
        );
    }

    #[test]
    fn what_needs_no_more_pods_is_not_held_by_those_that_it_did_not_get() {
        let two = json!({"spec": {"completions": 2, "parallelism": 2}});
        // One that succeeds is enough.
        let queue = json!({"spec": {"parallelism": 2}});
        let planned =
            |(name, object): (&str, &Value)| Planned { key: key(name), group: "g".to_owned(), object: object.clone() };
        let mut progress = Progress::new(&[("two", &two), ("queue", &queue)].map(planned));
        for name in ["two", "queue"] {
            progress.made(&key(name), "u");
            progress.pod(pod(name, Some("n1"), Phase::Running));
            progress.warning(warning_at(120, name, Cause::Policy));
            assert!(!progress.has_ended());
            progress.pod(pod(name, Some("n1"), Phase::Succeeded));
        }
        assert_eq!(progress.counts(), Counts { jobs: 2, refused: 1, running: 1, ..Counts::default() });
        assert!(said(&mut progress).contains(&"two: its pod is refused: words".to_owned()));
        progress.pod(next_pod("two", Phase::Succeeded, 110));
        assert_eq!(progress.counts(), Counts { jobs: 2, running: 2, ..Counts::default() });
    }

    #[test]
    fn a_job_that_a_quota_keeps_out_is_said_and_waited_for() {
        let mut progress = progress(&["a"]);
        progress.waits(&key("a"), "exceeded quota");
        assert!(!progress.has_ended() && !progress.all_made());
        assert_eq!((progress.unended(), progress.counts().waiting), (0, 1));
        progress.made(&key("a"), "u");
        assert_eq!(said(&mut progress), ["a: the quota is used up: exceeded quota", "a: made"]);
        assert!(progress.all_made());
    }

    #[test]
    fn a_job_that_is_not_there_is_no_failure_and_no_success() {
        let mut progress = progress(&["a", "b"]);
        assert!(!progress.all_made());
        progress.missing(&key("a"));
        progress.made(&key("b"), "u");
        assert!(progress.all_made() && !progress.has_ended());
        progress.job(ended("b", Ended::Complete));
        assert_eq!(progress.counts(), Counts { jobs: 2, succeeded: 1, missing: 1, ..Counts::default() });
        assert!(progress.has_ended());
        assert_eq!(
            said(&mut progress),
            ["a: is not there: it has ended and was removed, or was never made", "b: made", "b: succeeded"]
        );
    }

    #[test]
    fn what_others_made_is_passed_over() {
        let mut progress = progress(&["a"]);
        progress.job(ended("other", Ended::Complete));
        progress.pod(pod("other", Some("n1"), Phase::Running));
        progress.tick(Duration::from_secs(1));
        assert_eq!((said(&mut progress).len(), progress.nodes()), (0, (0, None)));
    }

    #[test]
    fn node_minutes_are_counted_against_the_bound() {
        let mut progress = progress(&["a", "b"]);
        for name in ["n1", "n2", "n3"] {
            progress.node(&node(name, "4"));
        }
        progress.pod(pod("a", Some("n1"), Phase::Running));
        progress.pod(pod("b", Some("n2"), Phase::Running));
        progress.tick(Duration::from_secs(10));
        assert_eq!(progress.nodes(), (2, Some(1)));
        progress.pod(pod("a", Some("n1"), Phase::Succeeded));
        progress.tick(Duration::from_secs(40));
        assert_eq!(progress.nodes(), (1, Some(1)));
        progress.pod_gone(&key("b"), "b-x");
        progress.tick(Duration::from_secs(50));
        progress.tick(Duration::from_secs(90));
        let summary = progress.summary();
        assert_eq!((summary.nodes, summary.most_nodes, summary.bound), (2, 2, Some(1)));
        assert_eq!((summary.node_seconds, summary.bound_seconds), (70.0, Some(40.0)));
        assert_eq!(summary.took, Duration::from_secs(90));
    }

    #[test]
    fn a_node_that_went_before_its_pods_does_not_raise_the_bound() {
        let mut progress = progress(&["a"]);
        progress.node(&node("small", "500m"));
        progress.pod(pod("a", Some("gone"), Phase::Running));
        progress.tick(Duration::from_secs(1));
        assert_eq!(progress.nodes(), (1, Some(1)));
    }
}
