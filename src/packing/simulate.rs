//! How many nodes a set of jobs would take: the planner of the webhook against a model of kube-scheduler.
//!
//! Deterministic: time is counted in the jobs' own milliseconds, and chance is in the jobs that come in. What the model of the
//! scheduler leaves out is said in `scheduler.rs`.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::bound::{Room, unused_nodes};
use super::fit::{Needs, Term};
use super::{Ended, Karpenter, Ledger, Lifetimes, NodeSeen, Options, Plan, PodSeen, Requests, Store, Uid, plan};
use crate::policy::profile::Neighbours;
use crate::tree::Node;
use crate::workload::Pod;

mod bars;
mod fluid;
mod queue;
mod scheduler;

pub use bars::{Bar, bars};
pub use fluid::fluid;
use queue::Queue;
pub use scheduler::Scoring;
use scheduler::{Asking, Berth, Scheduler};

/// What draws the pods of a group together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing: the scheduler alone.
    Plain,
    /// Preferred podAffinity to the group on `kubernetes.io/hostname`.
    Affinity,
    /// The first rung of the ladder only.
    Hint,
    /// The ladder.
    Ladder,
}

/// How a simulation is run.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// What draws pods together.
    pub way: Way,
    /// What the scheduler is set to.
    pub scoring: Scoring,
    /// Whether nodes that run other things may be filled.
    pub neighbours: Neighbours,
    /// The most of the jobs on one node; 0 is no limit.
    pub max_per_node: u32,
    /// How many pods are admitted before the scheduler has placed the first of them.
    pub lead: usize,
    /// Whether the planner learns how long jobs run from those that end.
    pub learn: bool,
}

/// A pod that comes, and how long it runs.
#[derive(Clone, Debug)]
pub struct Job {
    /// As it is admitted; those of a Job share it.
    pub pod: Arc<Node<'static>>,
    /// Its group: pods that podAffinity would draw together.
    pub group: String,
    /// Milliseconds from the beginning; of one that follows nobody knows.
    pub arrives: u64,
    /// Milliseconds from its start to its end; `None`: longer than the simulation.
    pub runs: Option<u64>,
    /// Pods of one Job have the same number.
    pub series: usize,
    /// It is made when a pod of its series ends.
    pub follows: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Nodes that ran any of the jobs.
    pub used: usize,
    /// Those of them that ran nothing but fixtures before.
    pub woken: usize,
    /// Jobs that found no node, with those that would have followed them.
    pub pending: usize,
    /// Jobs that found a node later than they came.
    pub waited: usize,
    /// For how many milliseconds nodes ran any of the jobs, added up over the nodes.
    pub node_millis: u64,
    /// The same of the nodes that ran nothing but fixtures before: those that are there for the jobs.
    pub woken_millis: u64,
    /// How many of these ran jobs from a time on, in milliseconds.
    pub timeline: Vec<(u64, usize)>,
    /// The node of each job, in the order in which the jobs were given.
    pub places: Vec<Option<Arc<str>>>,
    /// When each found it, in milliseconds.
    pub starts: Vec<Option<u64>>,
}

/// Runs jobs, which are in the order of their arrival with those that follow others behind, on nodes that run `running` already;
/// `arrived` hears how many have come.
pub fn run(
    nodes: &[NodeSeen],
    running: &[PodSeen],
    jobs: &[Job],
    lifetimes: &Lifetimes,
    setting: Setting,
    arrived: &mut dyn FnMut(usize),
) -> Report {
    let mut simulation = Simulation::new(nodes, running, jobs, lifetimes, setting);
    let mut coming = jobs.iter().enumerate().take_while(|(_, job)| !job.follows).peekable();
    while let Some((index, job)) = coming.next() {
        simulation.end_until(job.arrives);
        arrived(index);
        simulation.admit(index, job.arrives);
        let last = coming.peek().is_none_or(|(_, next)| next.arrives > job.arrives);
        simulation.schedule(if last { 0 } else { setting.lead }, job.arrives);
    }
    simulation.end_until(u64::MAX);
    simulation.report()
}

/// The fewest unused nodes that hold all jobs at once but those that follow others; `None` when there are too few.
pub fn bound(nodes: &[NodeSeen], running: &[PodSeen], jobs: &[Job]) -> Option<usize> {
    let berths = berths(nodes, running);
    let room = |berth: &Berth| Room {
        amounts: berth.node.allocatable.less(&berth.load.amounts),
        pods: berth.node.pods.saturating_sub(berth.load.pods),
    };
    let (used, unused): (Vec<_>, Vec<_>) = berths.iter().partition(|berth| berth.load.is_used());
    let at_once = jobs.iter().filter(|job| !job.follows);
    let demand: Vec<_> = at_once.map(|job| Requests::of(&Pod::new("", &job.pod)).amounts).collect();
    let rooms = |berths: Vec<&Berth>| berths.into_iter().map(room).collect::<Vec<_>>();
    unused_nodes(&demand, &rooms(used), &rooms(unused))
}

fn berths(nodes: &[NodeSeen], running: &[PodSeen]) -> Vec<Berth> {
    let mut berths = scheduler::in_zones(nodes);
    let places: HashMap<Arc<str>, usize> =
        berths.iter().enumerate().map(|(place, berth)| (Arc::clone(&berth.node.name), place)).collect();
    for pod in running.iter().filter(|pod| !pod.ended) {
        if let Some(berth) = pod.node.as_ref().and_then(|node| berths.get_mut(*places.get(node)?)) {
            berth.add(pod, None);
        }
    }
    berths
}

/// A job as it goes.
struct Course {
    seen: PodSeen,
    asking: Asking,
    /// In milliseconds, as the next.
    came: u64,
    start: Option<u64>,
    place: Option<usize>,
}

struct Simulation<'s> {
    berths: Vec<Berth>,
    /// Whether each ran anything but fixtures in the beginning.
    used_before: Vec<bool>,
    /// How many of the jobs each runs, and since when.
    busy: Vec<(usize, u64)>,
    ever: HashSet<usize>,
    report: Report,
    /// Nodes that run jobs and were unused before.
    awake: usize,
    /// Of the jobs that have come.
    courses: Vec<Option<Course>>,
    jobs: &'s [Job],
    /// Jobs that follow others, by series.
    followers: HashMap<usize, VecDeque<usize>>,
    queue: Queue,
    /// When jobs end, the next one on top.
    ends: BinaryHeap<Reverse<(u64, usize)>>,
    scheduler: Scheduler,
    store: Store,
    ledger: Ledger,
    lifetimes: Cow<'s, Lifetimes>,
    setting: Setting,
}

impl<'s> Simulation<'s> {
    fn new(
        nodes: &[NodeSeen],
        running: &[PodSeen],
        jobs: &'s [Job],
        lifetimes: &'s Lifetimes,
        setting: Setting,
    ) -> Self {
        let mut store = Store::default();
        for node in nodes {
            store.apply_node(node.clone());
        }
        for pod in running {
            store.apply_pod(pod.clone(), lifetimes);
        }
        let mut followers: HashMap<usize, VecDeque<usize>> = HashMap::new();
        for (index, job) in jobs.iter().enumerate().filter(|(_, job)| job.follows) {
            followers.entry(job.series).or_default().push_back(index);
        }
        let berths = berths(nodes, running);
        Simulation {
            used_before: berths.iter().map(|berth| berth.load.is_used()).collect(),
            busy: vec![(0, 0); berths.len()],
            ever: HashSet::new(),
            report: Report::default(),
            awake: 0,
            courses: jobs.iter().map(|_| None).collect(),
            jobs,
            followers,
            queue: Queue::default(),
            ends: BinaryHeap::new(),
            scheduler: Scheduler::new(setting.scoring),
            store,
            ledger: Ledger::default(),
            lifetimes: Cow::Borrowed(lifetimes),
            setting,
            berths,
        }
    }

    /// Plans a pod, and stores it.
    fn admit(&mut self, index: usize, at: u64) {
        let Some(job) = self.jobs.get(index) else { return };
        let pod = Pod::new("", &job.pod);
        let options = Options {
            namespace: "scans",
            profiles: "scan",
            group: Some(&job.group),
            neighbours: self.setting.neighbours,
            max_per_node: self.setting.max_per_node,
            karpenter: Karpenter::Ladder,
            volumes: &[],
        };
        let (now, seconds) = (time(at), i64::try_from(at / 1000).unwrap_or(i64::MAX));
        let mut terms: Vec<Value> = Vec::new();
        let mut planned = None;
        if matches!(self.setting.way, Way::Hint | Way::Ladder) {
            let snapshot = self.store.snapshot(now);
            if let Plan::Ladder(ladder) = plan(&pod, &snapshot, &self.ledger, &self.lifetimes, &options, now) {
                planned = Some(Arc::clone(&ladder.reservation.node));
                let rungs = if self.setting.way == Way::Hint { 1 } else { ladder.terms.len() };
                terms.extend(ladder.terms.into_iter().take(rungs));
                // Its pod is seen at once: as if the watch did not lag.
                let key = ladder.reservation.key;
                self.ledger.reserve(ladder.reservation, now);
                self.ledger.seen(key, planned.as_deref().unwrap_or_default());
            }
        }
        let needs = Needs::of(&pod, &[]);
        let seen = PodSeen {
            uid: Uid::from(&*format!("job-{index}")),
            key: 0,
            node: None,
            planned,
            created: seconds,
            started: None,
            ended: false,
            requests: needs.requests.clone(),
            part: super::Part::Scan,
            profiles: Some(Arc::from(options.profiles)),
            kind: Some(super::Kind::of(&pod, options.profiles, options.group)),
            ran: None,
        };
        self.store.apply_pod(seen.clone(), &self.lifetimes);
        let asking = Asking {
            needs,
            terms: terms.into_iter().map(Node::from).filter_map(|term| weighted(&term)).collect(),
            group: (self.setting.way == Way::Affinity).then(|| job.group.clone()),
        };
        self.queue.push(index, &asking.needs);
        if let Some(course) = self.courses.get_mut(index) {
            *course = Some(Course { seen, asking, came: at, start: None, place: None });
        }
    }

    /// Lets the scheduler place pods until no more than `lead` are left that it has not tried.
    fn schedule(&mut self, lead: usize, at: u64) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.serve(lead, |index| self.place(index, at));
        self.queue = queue;
    }

    fn place(&mut self, index: usize, at: u64) -> bool {
        let (Some(Some(course)), Some(job)) = (self.courses.get_mut(index), self.jobs.get(index)) else { return false };
        let Some(place) = self.scheduler.place(&self.berths, &course.asking) else { return false };
        let (Some(berth), Some(busy)) = (self.berths.get_mut(place), self.busy.get_mut(place)) else { return false };
        (course.place, course.start) = (Some(place), Some(at));
        course.seen.node = Some(Arc::clone(&berth.node.name));
        course.seen.started = i64::try_from(at / 1000).ok();
        berth.add(&course.seen, course.asking.group.as_deref());
        self.store.apply_pod(course.seen.clone(), &self.lifetimes);
        let wakes = busy.0 == 0;
        if wakes {
            busy.1 = at;
        }
        busy.0 += 1;
        self.ever.insert(place);
        if wakes && self.was_unused(place) {
            self.awake += 1;
            self.mark(at);
        }
        if let Some(runs) = job.runs {
            self.ends.push(Reverse((at.saturating_add(runs), index)));
        }
        true
    }

    fn was_unused(&self, place: usize) -> bool {
        self.used_before.get(place) == Some(&false)
    }

    /// Writes down how many nodes are awake.
    fn mark(&mut self, at: u64) {
        self.report.timeline.pop_if(|last| last.0 == at);
        self.report.timeline.push((at, self.awake));
    }

    /// Lets time go on.
    fn end_until(&mut self, time: u64) {
        while let Some(Reverse((at, ended))) = self.ends.peek().copied().filter(|Reverse((at, _))| *at <= time) {
            self.ends.pop();
            self.end(ended, at);
            let series = self.jobs.get(ended).and_then(|job| self.followers.get_mut(&job.series));
            if let Some(next) = series.and_then(VecDeque::pop_front) {
                self.admit(next, at);
            }
            self.schedule(0, at);
        }
    }

    fn end(&mut self, index: usize, at: u64) {
        let Some(Some(course)) = self.courses.get_mut(index) else { return };
        let Some(place) = course.place else { return };
        let (Some(berth), Some(busy)) = (self.berths.get_mut(place), self.busy.get_mut(place)) else { return };
        berth.remove(&course.seen, course.asking.group.as_deref());
        self.queue.reopen(|needs| needs.refused(&berth.node, &berth.load).is_none());
        busy.0 -= 1;
        let slept = (busy.0 == 0).then(|| at - busy.1);
        let seen = PodSeen { ended: true, ..course.seen.clone() };
        if let (true, Some(kind), Some(runs)) =
            (self.setting.learn, seen.kind, self.jobs.get(index).and_then(|job| job.runs))
        {
            let seconds = |millis: u64| u32::try_from(millis / 1000).unwrap_or(u32::MAX);
            self.lifetimes.to_mut().learn(Ended { kind, seconds: seconds(runs), at: i64::from(seconds(at)) });
        }
        self.store.apply_pod(seen, &self.lifetimes);
        if let Some(millis) = slept {
            self.report.node_millis = self.report.node_millis.saturating_add(millis);
            if self.was_unused(place) {
                self.report.woken_millis = self.report.woken_millis.saturating_add(millis);
                self.awake -= 1;
                self.mark(at);
            }
        }
    }

    fn report(mut self) -> Report {
        let name = |course: &Course| Some(Arc::clone(&self.berths.get(course.place?)?.node.name));
        let courses = || self.courses.iter().map(Option::as_ref);
        self.report.places = courses().map(|course| course.and_then(name)).collect();
        self.report.starts = courses().map(|course| course?.start).collect();
        let waited = courses().flatten().filter(|course| course.start.is_some_and(|start| start > course.came));
        self.report.waited = waited.count();
        self.report.used = self.ever.len();
        self.report.woken = self.ever.iter().filter(|place| self.was_unused(**place)).count();
        self.report.pending = self.queue.len() + self.followers.values().map(VecDeque::len).sum::<usize>();
        self.report
    }
}

fn weighted(term: &Node<'_>) -> Option<(u64, Term)> {
    let Some(Node::Number(weight)) = term.get("weight") else { return None };
    Some((weight.as_u64()?, Term::read(term.get("preference")?)))
}

fn time(millis: u64) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(millis).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
// Durations and ratios of a test are no amounts.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
mod tests;
