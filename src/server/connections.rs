//! Which connections are open and what each is doing.
//!
//! Owns the limits: how many in all and from one peer, and who has to go when a newcomer finds no room. A connection that has
//! been quiet for a while gives way, a busy one never does, so that a flood of idle or half-open ones, or of bodies that stop
//! half-way, cannot lock others out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::metrics::{Held, Metrics};

/// How many, and how long each part of a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one IP address.
    pub per_peer: usize,
    /// From the TCP connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From a request's first byte to the end of its head.
    pub header: Duration,
    /// Between two requests. Go clients close idle connections after 90 s: whoever closes first must not be us, as a
    /// request that is under way at that moment fails.
    pub idle: Duration,
    /// A connection that has been quiet for this long gives way when there is no room.
    pub quiet: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 2048,
            // An API server asks from one address, over as many connections as it has requests in flight (600 by default).
            per_peer: 1024,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            quiet: Duration::from_secs(1),
        }
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// TLS is being set up.
    Handshake,
    /// Nothing.
    Idle,
    /// The head of a request has begun to arrive.
    Head,
    /// More of a request's body has to come.
    Body,
    /// A request is being answered.
    Work,
}

/// One connection, as others see it.
pub(super) struct Activity {
    peer: IpAddr,
    epoch: Instant,
    /// Milliseconds since `epoch` when it began to do what it does, times eight, plus what that is.
    doing: AtomicU64,
    give_way: Notify,
}

/// All of them.
pub(super) struct Connections {
    pub limits: Limits,
    metrics: Arc<Metrics>,
    epoch: Instant,
    table: Mutex<Table>,
    none: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Arc<Activity>>,
    peers: HashMap<IpAddr, usize>,
}

/// A place in the table for as long as this lives.
pub(super) struct Slot {
    number: u64,
    pub activity: Arc<Activity>,
    connections: Arc<Connections>,
    _open: Held,
}

impl Activity {
    /// It begins to do something else.
    pub fn begin(&self, doing: Doing) {
        let millis = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX >> 3);
        self.doing.store(millis << 3 | doing as u64, Ordering::Relaxed);
    }

    /// What it does.
    pub fn doing(&self) -> Doing {
        match self.doing.load(Ordering::Relaxed) & 7 {
            0 => Doing::Handshake,
            1 => Doing::Idle,
            2 => Doing::Head,
            3 => Doing::Body,
            _ => Doing::Work,
        }
    }

    /// For how long it has been doing it.
    fn lasts(&self) -> Duration {
        let since = Duration::from_millis(self.doing.load(Ordering::Relaxed) >> 3);
        self.epoch.elapsed().saturating_sub(since)
    }

    /// Whether it has been doing it for longer than it may.
    pub fn overdue(&self, limits: &Limits) -> bool {
        match self.doing() {
            Doing::Handshake => self.lasts() > limits.handshake,
            Doing::Idle => self.lasts() > limits.idle,
            Doing::Head => self.lasts() > limits.header,
            // The request has its own deadline, and its body another.
            Doing::Body | Doing::Work => false,
        }
    }

    /// Resolves when somebody else needs the place.
    pub async fn must_give_way(&self) {
        self.give_way.notified().await;
    }
}

impl Connections {
    pub fn new(limits: Limits, metrics: Arc<Metrics>) -> Arc<Self> {
        let (table, none) = (Mutex::default(), Notify::new());
        Arc::new(Connections { limits, metrics, epoch: Instant::now(), table, none })
    }

    /// A place for a new connection, if need be that of a quiet one.
    pub fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let peer = peer.to_canonical();
        let mut table = self.table();
        if table.peers.get(&peer).is_some_and(|count| *count >= self.limits.per_peer) {
            self.make_room(&mut table, "peer", |activity| activity.peer == peer)?;
        }
        if table.open.len() >= self.limits.connections {
            self.make_room(&mut table, "total", |_| true)?;
        }
        let number = table.next;
        table.next += 1;
        *table.peers.entry(peer).or_default() += 1;
        let (doing, give_way) = (AtomicU64::new(0), Notify::new());
        let activity = Arc::new(Activity { peer, epoch: self.epoch, doing, give_way });
        activity.begin(Doing::Handshake);
        table.open.insert(number, Arc::clone(&activity));
        let open = Held::new(&self.metrics.connections_open, 1);
        Some(Slot { number, activity, connections: Arc::clone(self), _open: open })
    }

    /// Sends a quiet one away, as what it holds is needed.
    pub fn relieve(&self) {
        self.make_room(&mut self.table(), "files", |_| true);
    }

    /// Sends the one away that has been quiet for longest. Going through the table costs microseconds, and only when it is full.
    fn make_room(&self, table: &mut Table, limit: &'static str, among: impl Fn(&Activity) -> bool) -> Option<()> {
        self.metrics.refused(limit);
        let quiet = table.open.iter().filter(|(_, activity)| among(activity) && activity.doing() != Doing::Work);
        let (number, longest) =
            quiet.map(|(number, activity)| (*number, activity.lasts())).max_by_key(|(_, lasts)| *lasts)?;
        if longest < self.limits.quiet {
            return None;
        }
        table.remove(number)?.give_way.notify_one();
        Some(())
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.table().open.len()
    }

    /// Resolves when none is open.
    pub async fn closed(&self) {
        loop {
            let none = self.none.notified();
            if self.count() == 0 {
                return;
            }
            none.await;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here can panic half-way through a change.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn remove(&mut self, number: u64) -> Option<Arc<Activity>> {
        let activity = self.open.remove(&number)?;
        if let Some(count) = self.peers.get_mut(&activity.peer) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&activity.peer);
            }
        }
        Some(activity)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        table.remove(self.number);
        if table.open.is_empty() {
            self.connections.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(quiet: Duration) -> Arc<Connections> {
        let limits = Limits { connections: 3, per_peer: 2, quiet, ..Limits::default() };
        Connections::new(limits, Arc::default())
    }

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn places_are_limited_in_all_and_by_peer_and_come_back() {
        let connections = connections(Duration::from_secs(60));
        let first = connections.admit(peer(1)).unwrap();
        let _second = connections.admit(peer(1)).unwrap();
        assert!(connections.admit(peer(1)).is_none());
        let third = connections.admit(peer(2)).unwrap();
        assert!(connections.admit(peer(3)).is_none());
        drop((first, third));
        assert!(connections.admit("::ffff:127.0.0.1".parse().unwrap()).is_some());
        assert_eq!(connections.count(), 1);
    }

    #[test]
    fn the_quiet_give_way_and_the_busy_do_not() {
        let connections = connections(Duration::ZERO);
        let busy = connections.admit(peer(1)).unwrap();
        busy.activity.begin(Doing::Work);
        let idle = connections.admit(peer(1)).unwrap();
        idle.activity.begin(Doing::Idle);

        let newcomer = connections.admit(peer(1)).unwrap();
        assert_eq!(connections.count(), 2);
        newcomer.activity.begin(Doing::Work);
        assert!(connections.admit(peer(1)).is_none());
        // Its body stands still.
        newcomer.activity.begin(Doing::Body);
        let next = connections.admit(peer(1)).unwrap();
        next.activity.begin(Doing::Work);
        drop(newcomer);
        // The place was given away once: its former holder must not free it a second time.
        drop(idle);
        assert_eq!(connections.count(), 2);
    }

    #[tokio::test]
    async fn a_quiet_one_gives_its_file_descriptor_back() {
        let connections = connections(Duration::ZERO);
        let busy = connections.admit(peer(1)).unwrap();
        busy.activity.begin(Doing::Work);
        let idle = connections.admit(peer(2)).unwrap();
        connections.relieve();
        idle.activity.must_give_way().await;
        connections.relieve();
        assert_eq!(connections.count(), 1);
    }

    #[tokio::test]
    async fn closed_waits_for_the_last_one() {
        let connections = connections(Duration::ZERO);
        let slot = connections.admit(peer(1)).unwrap();
        let waiting = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.closed().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(slot);
        waiting.await.unwrap();
    }

    #[test]
    fn work_is_never_overdue() {
        let connections = Connections::new(
            Limits { header: Duration::ZERO, idle: Duration::ZERO, handshake: Duration::ZERO, ..Limits::default() },
            Arc::default(),
        );
        let slot = connections.admit(peer(1)).unwrap();
        std::thread::sleep(Duration::from_millis(3));
        assert!(slot.activity.overdue(&connections.limits));
        slot.activity.begin(Doing::Work);
        std::thread::sleep(Duration::from_millis(3));
        assert!(!slot.activity.overdue(&connections.limits));
    }
}
