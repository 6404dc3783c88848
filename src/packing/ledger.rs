//! What was planned and is not seen pending yet.
//!
//! Pure: whoever holds it holds the lock around plan and [`Ledger::reserve`], and passes the time in. Entries live three
//! seconds, for then the pod has come into view (and counts there), or it was refused. Of a pod that is not seen nobody says which: it
//! was refused when pods that were planned well after it are seen, or when it comes again after the time that controllers wait and
//! nothing else is overdue, so that it is not the watch that is late.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::load::{Load, Part, Requests, Run};

/// How long an entry lives when the pod is not seen: longer than a watch lags, shorter than it takes to matter.
const LIFE: SignedDuration = SignedDuration::from_secs(3);

/// The pods of a parallel Job share owner and generateName, and come one after the other without a pause; when one is refused the
/// Job's controller makes none for a second, and waits twice as long each time after that.
const PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// The watch brings pods in the order in which they were stored. What was planned so long before a pod that it has brought would have
/// come before it, unless its way to the store took longer.
const OUT_OF_ORDER: SignedDuration = SignedDuration::from_secs(2);

/// The most entries; the oldest go first. A burst of this many in three seconds is more than an API server admits.
const ENTRIES: usize = 4_096;

/// What a plan takes of a node until the pod is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Namespace, owner and generateName of the pod, as a digest.
    pub key: u64,
    /// The node that the first rung names.
    pub node: Arc<str>,
    /// What the pod takes.
    pub requests: Requests,
    /// Its profiles, and when it should end.
    pub run: Arc<Run>,
}

/// The reservations that stand.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The oldest first.
    entries: VecDeque<(Timestamp, Reservation)>,
    /// Their sums, by node.
    held: HashMap<Arc<str>, Load>,
}

impl Ledger {
    /// Commits the reservation of a plan.
    pub fn reserve(&mut self, reservation: Reservation, now: Timestamp) {
        self.expire(now);
        if self.was_refused(reservation.key, now) {
            self.forget(|_, entry| entry.key == reservation.key);
        }
        if self.entries.len() >= ENTRIES {
            self.remove(0);
        }
        let load = self.held.entry(Arc::clone(&reservation.node)).or_default();
        load.add(&reservation.requests, Part::Scan, Some(&reservation.run));
        self.entries.push_back((now, reservation));
    }

    /// A pod with this key, planned for this node, has come into view: it counts there from now on. To be said once for each pod.
    pub fn seen(&mut self, key: u64, planned: &str) {
        let found = self.entries.iter().position(|(_, entry)| entry.key == key && *entry.node == *planned);
        if let Some((seen, _)) = found.and_then(|found| self.remove(found)) {
            self.forget(|at, _| seen.duration_since(at) > OUT_OF_ORDER);
        }
    }

    /// Lets go of what is too old.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.entries.front()
            && !stands(*at, now)
        {
            self.remove(0);
        }
    }

    /// The ledger as a pod with this key finds it at `now`: a copy only when something has expired that nobody let go of, or the pod
    /// was refused before.
    pub(super) fn facing(&self, key: u64, now: Timestamp) -> Cow<'_, Ledger> {
        let stands = self.entries.front().is_none_or(|(at, _)| stands(*at, now));
        let refused = self.was_refused(key, now);
        if stands && !refused {
            return Cow::Borrowed(self);
        }
        let mut ledger = self.clone();
        ledger.expire(now);
        if refused {
            ledger.forget(|_, entry| entry.key == key);
        }
        Cow::Owned(ledger)
    }

    /// Whether a pod that comes with this key is one that was refused, and tried again.
    fn was_refused(&self, key: u64, now: Timestamp) -> bool {
        let mut known = false;
        for (at, entry) in self.entries.iter().filter(|(at, _)| stands(*at, now)) {
            let (same, overdue) = (entry.key == key, now.duration_since(*at) >= PAUSE);
            // There was no pause, or the watch may be late.
            if same != overdue {
                return false;
            }
            known |= same;
        }
        known
    }

    /// What is reserved, by node.
    pub fn held(&self) -> impl Iterator<Item = (&str, &Load)> {
        self.held.iter().map(|(node, load)| (&**node, load))
    }

    /// How many reservations stand.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn remove(&mut self, index: usize) -> Option<(Timestamp, Reservation)> {
        let (at, entry) = self.entries.remove(index)?;
        if let Some(load) = self.held.get_mut(&entry.node) {
            load.remove(&entry.requests, Part::Scan, Some(&entry.run));
            if load.pods == 0 {
                self.held.remove(&entry.node);
            }
        }
        Some((at, entry))
    }

    fn forget(&mut self, which: impl Fn(Timestamp, &Reservation) -> bool) {
        while let Some(index) = self.entries.iter().position(|(at, entry)| which(*at, entry)) {
            self.remove(index);
        }
    }
}

/// Entries from a far future do not stand: the clock was set back. Those of a near one do: who takes the time first does not
/// always get the lock first.
fn stands(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).abs() < LIFE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::load::Amounts;

    fn reservation(key: u64, node: &str) -> Reservation {
        let requests = Requests::plain(Amounts { cpu: 100, memory: 1, storage: 0 });
        Reservation {
            key,
            node: Arc::from(node),
            requests,
            run: Arc::new(Run { profiles: Arc::from("scan"), ends: None }),
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    fn cpu(ledger: &Ledger) -> Vec<(&str, u64)> {
        let mut held: Vec<_> = ledger.held().map(|(node, load)| (node, load.amounts.cpu)).collect();
        held.sort_unstable();
        held
    }

    #[test]
    fn a_plan_counts_until_its_pod_is_seen() {
        let mut ledger = Ledger::default();
        ledger.reserve(reservation(1, "a"), at(0));
        ledger.reserve(reservation(2, "b"), at(10));
        assert_eq!(cpu(&ledger), [("a", 100), ("b", 100)]);
        ledger.seen(2, "a");
        assert_eq!(ledger.len(), 2, "another replica planned that one");
        ledger.seen(1, "a");
        assert_eq!(cpu(&ledger), [("b", 100)]);
        ledger.expire(at(3010));
        assert!(ledger.is_empty() && ledger.held.is_empty());
    }

    #[test]
    fn a_pod_that_is_refused_and_tried_again_books_nothing_twice() {
        let mut ledger = Ledger::default();
        for attempt in [0, 1000, 3000] {
            assert!(ledger.facing(1, at(attempt)).is_empty(), "nor does it stand in its own way");
            ledger.reserve(reservation(1, "a"), at(attempt));
            assert_eq!(cpu(&ledger), [("a", 100)]);
        }
    }

    #[test]
    fn all_that_a_quota_has_refused_goes_when_the_first_of_them_comes_again() {
        let mut ledger = Ledger::default();
        for millis in [0, 20, 21, 40, 1100, 1101] {
            ledger.reserve(reservation(1, "a"), at(millis));
        }
        assert_eq!(cpu(&ledger), [("a", 200)]);
    }

    #[test]
    fn the_pods_of_a_parallel_job_all_count_however_late_the_watch_is() {
        for gap in [20, 600, 999] {
            let mut ledger = Ledger::default();
            (0..4).for_each(|pod| ledger.reserve(reservation(1, "a"), at(pod * gap)));
            assert_eq!(cpu(&ledger), [("a", 400)], "{gap} ms apart");
        }
    }

    #[test]
    fn while_other_pods_are_overdue_it_may_be_the_watch_that_is_late() {
        let mut ledger = Ledger::default();
        for (key, node, millis) in [(1, "a", 0), (2, "b", 100), (1, "a", 1300), (3, "c", 2350)] {
            ledger.reserve(reservation(key, node), at(millis));
        }
        assert_eq!(cpu(&ledger), [("a", 200), ("b", 100), ("c", 100)]);
        ledger.seen(3, "c");
        assert_eq!(cpu(&ledger), [("a", 100)], "the watch has come past the first two: they were refused");
    }

    #[test]
    fn what_was_planned_shortly_before_a_pod_that_is_seen_may_still_come() {
        let mut ledger = Ledger::default();
        (0..3).for_each(|pod| ledger.reserve(reservation(1, "a"), at(pod * 200)));
        ledger.reserve(reservation(2, "b"), at(1900));
        ledger.seen(2, "b");
        assert_eq!(cpu(&ledger), [("a", 300)]);
    }

    #[test]
    fn who_is_late_at_the_lock_takes_nothing_from_who_was_first() {
        let mut ledger = Ledger::default();
        ledger.reserve(reservation(1, "a"), at(101));
        ledger.reserve(reservation(2, "b"), at(100));
        assert_eq!(cpu(&ledger), [("a", 100), ("b", 100)]);
    }

    #[test]
    fn neither_a_flood_nor_a_clock_that_jumps_leaves_anything() {
        let mut ledger = Ledger::default();
        (0..10_000).for_each(|key| ledger.reserve(reservation(key, &format!("n{key}")), at(5000)));
        assert_eq!((ledger.len(), ledger.held.len()), (ENTRIES, ENTRIES));
        ledger.expire(at(1000));
        assert!(ledger.is_empty() && ledger.held.is_empty());
    }
}
