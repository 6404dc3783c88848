//! How long scans of each kind run, learned from those that ended.
//!
//! A small histogram a kind, in steps of about the square root of two; old observations fade. Knows no clock: times come in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names::Hasher;
use crate::workload::{BATCH_GROUP_ANNOTATION, Pod};

/// A duration falls into the first step that is not shorter: 1, 2, 3, 4, 6, 8, 12, … seconds, up to three days.
const STEPS: [u32; 36] = {
    let mut steps = [1; 36];
    let mut index = 1;
    while index < steps.len() {
        let octave = index.div_ceil(2);
        steps[index] = if index % 2 == 1 { 1 << octave } else { 3 << (octave - 1) };
        index += 1;
    }
    steps
};

/// With fewer, the next broader kind is asked; five put the median of a histogram within one step of the truth mostly.
const ENOUGH: u32 = 5;

/// Four of five have to lie within so many steps of the median, a factor of 2.8 either way. With a wilder kind nodes chosen by the
/// median are worse than those chosen by fit (simulated, five parts of a public trace as a single kind: up to 20 % more node-hours).
const NEAR: usize = 3;

/// Past this many, all counts are halved, so that a scanner that has become faster is believed after a few hundred runs.
const FULL: u32 = 512;

/// Kinds that are remembered; at about 100 bytes each as JSON they fit into a ConfigMap (1 MiB) many times over.
const KINDS: usize = 2_000;

/// What scans have in common that take about as long: profiles and images, and more narrowly the group, too. Both are digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    narrow: u64,
    broad: u64,
}

/// A pod that ran to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its kind.
    pub kind: Kind,
    /// How long it ran.
    pub seconds: u32,
    /// When it ended, in seconds since 1970.
    pub at: i64,
}

impl Kind {
    /// The kind of a pod that `profiles` match, in a group. Versions of images do not count, or each upgrade would forget all.
    pub fn of(pod: &Pod<'_>, profiles: &str, group: Option<&str>) -> Kind {
        let mut hasher = Hasher::default();
        hasher.part(profiles);
        for container in pod.app_containers() {
            hasher.part(unversioned(container.node().str("image").unwrap_or_default()));
        }
        let broad = hasher.finish();
        // The label of a batch's group is another one in every run; nothing that was learned by it would be found again.
        let batch = pod.annotation(BATCH_GROUP_ANNOTATION).filter(|group| !group.is_empty());
        if let Some(group) = batch.or(group) {
            hasher.part(group);
        }
        Kind { narrow: hasher.finish(), broad }
    }

    fn digests(self) -> impl Iterator<Item = u64> {
        std::iter::once(self.narrow).chain((self.broad != self.narrow).then_some(self.broad))
    }
}

/// The image without tag and digest.
fn unversioned(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// The histograms of all kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lifetimes {
    kinds: BTreeMap<u64, Sketch>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sketch {
    /// How many ended within each step; steps at the end that are zero are left out.
    counts: Vec<u16>,
    /// When the last one ended, in seconds since 1970: what was not seen for longest is forgotten first.
    last: i64,
}

impl Lifetimes {
    /// Reads what was written before `now` (seconds since 1970); of more kinds than are remembered those that were seen last.
    pub fn from_json(text: &str, now: i64) -> serde_json::Result<Lifetimes> {
        let mut lifetimes: Lifetimes = serde_json::from_str(text)?;
        for sketch in lifetimes.kinds.values_mut() {
            sketch.counts.truncate(STEPS.len());
            // By a clock that was wrong. Nothing would ever be newer.
            sketch.last = sketch.last.min(now);
        }
        while lifetimes.kinds.len() > KINDS {
            lifetimes.forget_one();
        }
        Ok(lifetimes)
    }

    /// A pod ended.
    pub fn learn(&mut self, ended: Ended) {
        for digest in ended.kind.digests() {
            self.count(digest, ended);
        }
    }

    /// Learns those of `ended` that ended after the last one of their kind that is known: the others were learned already, by
    /// whoever wrote this down. Returns whether there was anything to learn.
    pub fn merge(&mut self, ended: &[Ended]) -> bool {
        let both = ended.iter().flat_map(|ended| ended.kind.digests().map(|digest| (digest, *ended)));
        let is_new = |(digest, ended): &(u64, Ended)| self.kinds.get(digest).is_none_or(|kind| kind.last < ended.at);
        let new: Vec<_> = both.filter(is_new).collect();
        let any = !new.is_empty();
        for (digest, ended) in new {
            self.count(digest, ended);
        }
        any
    }

    fn count(&mut self, digest: u64, ended: Ended) {
        if !self.kinds.contains_key(&digest) && self.kinds.len() >= KINDS {
            self.forget_one();
        }
        self.kinds.entry(digest).or_default().count(ended.seconds, ended.at);
    }

    fn forget_one(&mut self) {
        let oldest = self.kinds.iter().min_by_key(|(digest, sketch)| (sketch.last, **digest));
        if let Some(oldest) = oldest.map(|(digest, _)| *digest) {
            self.kinds.remove(&oldest);
        }
    }

    /// How many seconds a pod of this kind runs, if it is as most are: the median. `None` when too few were seen.
    pub fn predict(&self, kind: Kind) -> Option<u32> {
        [kind.narrow, kind.broad].iter().find_map(|digest| self.kinds.get(digest)?.median())
    }

    /// How many kinds are known.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether nothing was learned yet.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

impl Sketch {
    fn count(&mut self, seconds: u32, at: i64) {
        let step = STEPS.partition_point(|step| *step < seconds).min(STEPS.len() - 1);
        if self.counts.len() <= step {
            self.counts.resize(step + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(step) {
            *count = count.saturating_add(1);
        }
        if self.total() > FULL {
            self.counts.iter_mut().for_each(|count| *count /= 2);
        }
        self.last = self.last.max(at);
    }

    fn total(&self) -> u32 {
        self.counts.iter().map(|count| u32::from(*count)).sum()
    }

    /// The median; `None` when too few were seen, or when they are so different that it says nothing of the next one.
    fn median(&self) -> Option<u32> {
        let total = self.total();
        if total < ENOUGH {
            return None;
        }
        let mut below = 0;
        let half = self.counts.iter().position(|count| {
            below += u32::from(*count);
            below * 2 >= total
        })?;
        let near = self.counts.iter().skip(half.saturating_sub(NEAR)).take(half.min(NEAR) + 1 + NEAR);
        let near: u32 = near.map(|count| u32::from(*count)).sum();
        // A sketch that was read from a file may have more steps than there are.
        STEPS.get(half).copied().filter(|_| near * 5 >= total * 4)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tree::Node;

    fn kind(image: &str, group: &str) -> Kind {
        let tree = Node::from(json!({"spec": {"containers": [{"image": image}]}}));
        Kind::of(&Pod::new("", &tree), "scan", Some(group))
    }

    fn ended(image: &str, group: &str, seconds: u32, at: i64) -> Ended {
        Ended { kind: kind(image, group), seconds, at }
    }

    #[test]
    fn a_batchs_group_is_the_same_kind_in_every_run() {
        let run = |label: &str, group: &str| {
            let metadata = json!({"annotations": {BATCH_GROUP_ANNOTATION: group}});
            let tree = Node::from(json!({"metadata": metadata, "spec": {"containers": [{"image": "scan:1"}]}}));
            Kind::of(&Pod::new("", &tree), "scan", Some(label))
        };
        assert_eq!(run("night-r1", "night"), run("night-r2", "night"));
        assert_ne!(run("night-r1", "night"), run("night-r1", "day"));
        // What ConfigMaps hold of others is found as before.
        assert_eq!(run("a", ""), kind("scan:1", "a"));
        assert_eq!(kind("scan:1", "a").narrow, crate::packing::names::digest(&["scan", "scan", "a"]));
    }

    #[test]
    fn the_steps_are_half_octaves() {
        assert_eq!(STEPS[..8], [1, 2, 3, 4, 6, 8, 12, 16]);
        assert!(STEPS.is_sorted());
        assert_eq!(STEPS[35], 1 << 18);
    }

    #[test]
    fn a_kind_is_known_by_its_image_before_its_group_is() {
        let mut lifetimes = Lifetimes::default();
        for seconds in [50, 60, 60, 63, 900] {
            assert_eq!(lifetimes.predict(kind("r.io:5000/scan:2", "a")), None);
            lifetimes.learn(ended("r.io:5000/scan:1", "a", seconds, 0));
        }
        assert_eq!(lifetimes.predict(kind("r.io:5000/scan@sha256:0", "b")), Some(64));
        assert_eq!(lifetimes.predict(kind("r.io:5000/other", "a")), None);
        for _ in 0..5 {
            lifetimes.learn(ended("r.io:5000/scan:1", "b", 5, 0));
        }
        assert_eq!(lifetimes.predict(kind("r.io:5000/scan:1", "b")), Some(6));
        assert_eq!(lifetimes.predict(kind("r.io:5000/scan:1", "a")), Some(64));
    }

    #[test]
    fn nothing_is_said_of_a_kind_whose_runs_are_all_different() {
        let mut lifetimes = Lifetimes::default();
        for seconds in (0..12).map(|octave| 1 << octave) {
            lifetimes.learn(ended("scan", "wild", seconds, 0));
            lifetimes.learn(ended("other", "tame", 50 + seconds / 64, 0));
        }
        assert_eq!(lifetimes.predict(kind("scan", "wild")), None);
        assert_eq!(lifetimes.predict(kind("other", "tame")), Some(64));
    }

    #[test]
    fn a_scanner_that_has_become_faster_is_believed() {
        let mut lifetimes = Lifetimes::default();
        (0..600).for_each(|at| lifetimes.learn(ended("scan", "a", 1000, at)));
        (0..600).for_each(|at| lifetimes.learn(ended("scan", "a", 10, at)));
        assert_eq!(lifetimes.predict(kind("scan", "a")), Some(12));
    }

    #[test]
    fn groups_come_and_go_without_a_leak_and_survive_a_restart() {
        let mut lifetimes = Lifetimes::default();
        for group in 0..10_000_u32 {
            (0..5).for_each(|_| lifetimes.learn(ended("scan", &group.to_string(), 60, i64::from(group))));
        }
        assert_eq!(lifetimes.len(), KINDS);
        assert_eq!(lifetimes.predict(kind("scan", "9999")), Some(64));
        let text = serde_json::to_string(&lifetimes).unwrap();
        assert!(text.len() < 500_000, "{}", text.len());
        assert_eq!(Lifetimes::from_json(&text, i64::MAX).unwrap(), lifetimes);
    }

    #[test]
    fn two_replicas_that_saw_the_same_count_it_once_and_lose_nothing() {
        let seen: Vec<_> = (0..40).map(|at| ended("scan", if at % 2 == 0 { "a" } else { "b" }, 60, at / 2)).collect();
        let mut all = Lifetimes::default();
        for ended in &seen {
            all.learn(*ended);
        }
        // One writes after 10 s, the other has seen everything since the start.
        let mut written = Lifetimes::default();
        written.merge(&seen[..20]);
        assert_ne!(written, all);
        written.merge(&seen);
        assert_eq!(written, all);
        assert!(!written.merge(&seen), "nothing is new");
        // A kind that only the other one knows stays.
        written.merge(&[ended("new", "a", 5, 3)]);
        assert_eq!(written.len(), all.len() + 2);
    }

    #[test]
    fn what_was_written_by_a_wrong_clock_or_hand_does_no_harm() {
        let kinds: BTreeMap<u64, _> =
            (0..3_000).map(|kind| (kind, json!({"counts": vec![9; 99], "last": i64::MAX}))).collect();
        let text = json!(kinds).to_string();
        let mut lifetimes = Lifetimes::from_json(&text, 100).unwrap();
        assert_eq!(lifetimes.len(), KINDS);
        assert!(lifetimes.kinds.values().all(|sketch| sketch.counts.len() == STEPS.len()));
        let before = lifetimes.clone();
        lifetimes.merge(&[Ended { kind: Kind { narrow: 2_999, broad: 2_999 }, seconds: 7, at: 101 }]);
        assert_ne!(lifetimes, before);
        assert!(Lifetimes::from_json("[]", 0).is_err() && Lifetimes::from_json("{}", 0).unwrap().is_empty());
    }
}
