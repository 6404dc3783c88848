//! The lock around plan and commit: two pods that come at once must not be planned onto the same free place.
//!
//! It is taken when a plan asks for the state, and kept until the decision is committed or given up; nothing waits in
//! between. Decides nothing (packing/ does), and knows no clock.

use std::cell::OnceCell;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::packing::{Karpenter, Ledger, Lifetimes, Reservation, Snapshot, State, View};

/// What was planned by this replica and is not seen yet.
#[derive(Default)]
pub(super) struct Book(Mutex<Ledger>);

impl Book {
    pub fn lock(&self) -> MutexGuard<'_, Ledger> {
        // An entry that a panic left half-done expires as the others do.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one request plans with.
pub struct Turn<'l> {
    pub(super) book: &'l Book,
    pub(super) snapshot: &'l ArcSwap<Snapshot>,
    pub(super) lifetimes: Arc<Lifetimes>,
    pub(super) karpenter: Karpenter,
    pub(super) state: OnceCell<Locked<'l>>,
}

/// The ledger, and the snapshot of that moment: whatever leaves the ledger is in a snapshot that was published before.
pub(super) struct Locked<'l> {
    ledger: MutexGuard<'l, Ledger>,
    snapshot: Arc<Snapshot>,
}

impl<'l> Turn<'l> {
    /// The view for the engine.
    pub fn view(&self, now: Timestamp) -> View<'_> {
        View { state: self, lifetimes: &self.lifetimes, karpenter: self.karpenter, now }
    }

    /// Ends the turn, and takes what was planned into the ledger.
    pub fn commit(self, reservation: Option<Reservation>, now: Timestamp) {
        let Some(reservation) = reservation else { return };
        let locked = self.state.into_inner();
        let mut ledger = locked.map_or_else(|| self.book.lock(), |locked| locked.ledger);
        ledger.reserve(reservation, now);
    }

    fn lock(&self) -> Locked<'l> {
        // In this order, see `Locked`.
        let ledger = self.book.lock();
        Locked { ledger, snapshot: self.snapshot.load_full() }
    }
}

impl State for Turn<'_> {
    fn get(&self) -> (&Snapshot, &Ledger) {
        let locked = self.state.get_or_init(|| self.lock());
        (&locked.snapshot, &locked.ledger)
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("karpenter", &self.karpenter).finish_non_exhaustive()
    }
}
