//! Which planned pods have come into view, so that each settles one reservation, however often it changes.
//!
//! Pure: the time comes in as an argument. Pods of a parallel Job have one key, so a second change of one would otherwise settle what was
//! planned for another.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::seen::{PodSeen, Uid};
use super::snapshot::{PROMISE, PROMISES};

/// The planned pods of the last half minute. Of what is older every reservation is long gone.
#[derive(Debug, Default)]
pub struct Settled {
    /// By the time at which they are forgotten.
    pods: BTreeSet<(i64, Uid)>,
}

impl Settled {
    /// Whether this is the first time that the pod is seen, and it is young enough to have a reservation.
    pub fn is_first(&mut self, pod: &PodSeen, now: Timestamp) -> bool {
        let now = now.as_second();
        while self.pods.first().is_some_and(|(until, _)| *until <= now) {
            self.pods.pop_first();
        }
        let until = pod.created.saturating_add(PROMISE);
        // Of a far future are those of a clock that is wrong; whoever may create pods can write plans.
        let counts = until > now && until <= now + 2 * PROMISE && self.pods.len() < PROMISES;
        counts && self.pods.insert((until, pod.uid))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tree::Node;

    #[test]
    fn each_pod_settles_once_and_only_while_it_is_young() {
        let pod = |uid: usize| {
            let metadata = json!({"uid": format!("u{uid}"), "creationTimestamp": "1970-01-01T00:01:00Z"});
            PodSeen::read(&Node::from(json!({"metadata": metadata})), &[]).unwrap()
        };
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut settled = Settled::default();
        assert!(settled.is_first(&pod(1), at(60)));
        assert!(!settled.is_first(&pod(1), at(61)) && settled.is_first(&pod(2), at(61)));
        assert!(!settled.is_first(&pod(1), at(90)) && settled.pods.is_empty(), "it is too old, and forgotten");
        assert!(!settled.is_first(&pod(3), at(90)) && !settled.is_first(&pod(3), at(0)));
        assert_eq!((0..5_000).filter(|uid| settled.is_first(&pod(*uid), at(60))).count(), PROMISES);
    }
}
