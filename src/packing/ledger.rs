//! What was planned and is not seen pending yet.
//!
//! Pure: whoever holds it holds the lock around plan and [`Ledger::reserve`], and passes the time in. Entries live three
//! seconds, for then the pod has come into view (and counts there), or it was refused.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::load::{Load, Part, Requests, Run};

/// How long an entry lives when the pod is not seen: longer than a watch lags, shorter than it takes to matter.
const LIFE: SignedDuration = SignedDuration::from_secs(3);

/// The pods of a parallel Job share owner and generateName, and come at once; a pod that was refused is tried again after a
/// second. An entry that is older than this when the same key comes again was therefore refused, and is replaced.
const RETRIED: SignedDuration = SignedDuration::from_millis(500);

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
        let retried = self
            .entries
            .iter()
            .position(|(at, entry)| entry.key == reservation.key && now.duration_since(*at) > RETRIED);
        if let Some(retried) = retried {
            self.remove(retried);
        }
        if self.entries.len() >= ENTRIES {
            self.remove(0);
        }
        let load = self.held.entry(Arc::clone(&reservation.node)).or_default();
        load.add(&reservation.requests, Part::Scan, Some(&reservation.run));
        self.entries.push_back((now, reservation));
    }

    /// A pod with this key, planned for this node, has come into view: it counts there from now on.
    pub fn seen(&mut self, key: u64, planned: &str) {
        let found = self.entries.iter().position(|(_, entry)| entry.key == key && *entry.node == *planned);
        if let Some(found) = found {
            self.remove(found);
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

    /// The ledger as it is at `now`: a copy only when something has expired that nobody let go of.
    pub(super) fn at(&self, now: Timestamp) -> Cow<'_, Ledger> {
        let stands = self.entries.front().is_none_or(|(at, _)| stands(*at, now));
        if stands {
            return Cow::Borrowed(self);
        }
        let mut ledger = self.clone();
        ledger.expire(now);
        Cow::Owned(ledger)
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

    fn remove(&mut self, index: usize) {
        let Some((_, entry)) = self.entries.remove(index) else { return };
        let Some(load) = self.held.get_mut(&entry.node) else { return };
        load.remove(&entry.requests, Part::Scan, Some(&entry.run));
        if load.pods == 0 {
            self.held.remove(&entry.node);
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
        (0..3).for_each(|attempt| ledger.reserve(reservation(1, "a"), at(attempt * 1000)));
        assert_eq!(cpu(&ledger), [("a", 100)]);
    }

    #[test]
    fn the_pods_of_a_parallel_job_all_count() {
        let mut ledger = Ledger::default();
        (0..20).for_each(|pod| ledger.reserve(reservation(1, "a"), at(pod * 20)));
        assert_eq!(cpu(&ledger), [("a", 2000)]);
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
