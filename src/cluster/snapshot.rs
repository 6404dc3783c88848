//! What the cluster says about nodes and pods, for packing.
//!
//! Two watches fill a [`Store`]; after each batch of events a [`Snapshot`] of it is published, which costs a pointer for
//! every 64 nodes. Of an object nothing is kept but what packing/seen.rs reads. When the API server was not heard for a while
//! there is no view, and pods are packed without.

use std::cell::OnceCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::{FutureExt, Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;

use super::facts;
use super::karpenter;
use super::ledger::{Book, Turn};
use super::lifetimes::{Keeper, News};
use super::object::Object;
use super::pulse::Pulse;
use crate::packing::{self, Ended, Karpenter, Lifetimes, NodeSeen, PodSeen, Settled, Snapshot, Store};
use crate::policy::profile::Mode;
use crate::policy::{PolicySet, Profile};
use crate::tree::Node;
use crate::workload::{PLACEMENT_ANNOTATION, PROFILE_ANNOTATION, Pod};

/// After so many seconds the API server ends a watch, and it is opened anew where it ended. On an idle cluster that is the
/// only sign of life: bookmarks come once a minute.
const WATCH_SECONDS: u32 = 10;

/// Events that are taken in before the next snapshot is published, if so many are there already.
const BATCH: usize = 1_000;

/// How often plans that were not kept are forgotten, and the metrics told.
const TICK: Duration = Duration::from_secs(1);

/// Batches of ended pods on their way to who learns from them, and pods of the first list: what is more is not learned.
const NEWS: usize = 1_000;
const LISTED_NEWS: usize = 10_000;

/// How the view is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether terms that name nodes may be used; with `Auto` the version is asked for.
    pub karpenter: Karpenter,
    /// For how long the API server may be silent before what is known of nodes and pods is not used any more.
    pub stale_after: Duration,
    /// For how long the start waits for the first view.
    pub patience: Duration,
    /// Where the ConfigMap for lifetimes is; `None` is the client's own namespace.
    pub namespace: Option<String>,
    /// The least time between two writes to it.
    pub keep_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            karpenter: Karpenter::Auto(None),
            stale_after: Duration::from_secs(30),
            patience: Duration::from_secs(20),
            namespace: None,
            keep_every: Duration::from_secs(60),
        }
    }
}

/// What is known for packing.
pub struct Live {
    snapshot: ArcSwap<Snapshot>,
    lifetimes: Arc<ArcSwap<Lifetimes>>,
    book: Book,
    karpenter: Arc<ArcSwap<Karpenter>>,
    nodes: Arc<Pulse>,
    pods: Arc<Pulse>,
    /// Both kinds have been listed, and what was listed is published.
    listed: AtomicBool,
    settings: Settings,
}

/// Figures for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Nodes in the view.
    pub nodes: usize,
    /// Pods that count on a node.
    pub pods: usize,
    /// How long ago the API server was heard on that watch that has been silent for longer.
    pub age: Duration,
    /// Whether pods are packed without the view.
    pub stale: bool,
    /// Plans of this replica whose pods were not seen yet.
    pub reservations: usize,
    /// Kinds of scans of which a duration was seen.
    pub kinds: usize,
}

/// Keeps a [`Live`] up to date.
pub struct Follower {
    live: Arc<Live>,
    client: Client,
    namespaces: Arc<facts::View>,
    policies: Arc<ArcSwap<PolicySet>>,
    store: Store,
    /// Scans that have ended, for who learns from them.
    ended: Vec<Ended>,
    news: mpsc::Sender<News>,
    keeper: Option<Keeper>,
    /// Which kinds have been listed once.
    listed: [bool; 2],
    /// Planned pods that have come into view: their reservations go when the snapshot that has them is published.
    came: Vec<(u64, Arc<str>)>,
    /// Those that have, so that none is taken for another.
    settled: Settled,
}

enum Event {
    Node(watcher::Event<Object<v1::Node>>),
    Pod(watcher::Event<Object<v1::Pod>>),
}

type Events = Pin<Box<dyn Stream<Item = watcher::Result<Event>> + Send>>;

// === impl Live ===

impl Live {
    /// A view that knows nothing yet, and who fills it. Which plans of other replicas are believed is a question of
    /// `policies` and `namespaces`.
    pub fn new(
        client: Client,
        namespaces: Arc<facts::View>,
        policies: Arc<ArcSwap<PolicySet>>,
        settings: Settings,
    ) -> (Arc<Live>, Follower) {
        let live = Arc::new(Live {
            snapshot: ArcSwap::default(),
            lifetimes: Arc::default(),
            book: Book::default(),
            karpenter: Arc::new(ArcSwap::from_pointee(settings.karpenter)),
            nodes: Arc::default(),
            pods: Arc::default(),
            listed: AtomicBool::default(),
            settings,
        });
        let (news, inbox) = mpsc::channel(NEWS);
        let keeper = Keeper::new(client.clone(), &live.settings, inbox, Arc::clone(&live.lifetimes));
        let follower = Follower {
            live: Arc::clone(&live),
            client,
            namespaces,
            policies,
            store: Store::default(),
            ended: Vec::new(),
            news,
            keeper: Some(keeper),
            listed: [false; 2],
            came: Vec::new(),
            settled: Settled::default(),
        };
        (live, follower)
    }

    /// What a request may plan with; `None` when nothing is known, or nothing was heard for too long.
    pub fn turn(&self) -> Option<Turn<'_>> {
        self.is_fresh().then(|| Turn {
            book: &self.book,
            snapshot: &self.snapshot,
            lifetimes: self.lifetimes.load_full(),
            karpenter: **self.karpenter.load(),
            state: OnceCell::new(),
        })
    }

    fn is_fresh(&self) -> bool {
        self.listed.load(Ordering::Acquire) && self.age() < self.settings.stale_after
    }

    fn age(&self) -> Duration {
        self.nodes.age().max(self.pods.age())
    }
}

// === impl Follower ===

impl Follower {
    /// Runs for as long as the program does. Calls `opened` once, when there is a first view or `patience` is over, and `report`
    /// every second.
    pub async fn run(mut self, opened: impl FnOnce() + Send, report: impl Fn(Status) + Send) {
        // Notes that come before somebody waits for them are kept.
        let (first_view, looked) = (Notify::new(), Notify::new());
        let live = Arc::clone(&self.live);
        let client = self.client.clone();
        let version = async {
            match live.settings.karpenter {
                Karpenter::Auto(_) => {
                    karpenter::follow(client, Arc::clone(&live.karpenter), || looked.notify_one()).await;
                }
                Karpenter::Ladder | Karpenter::Affinity => {
                    looked.notify_one();
                    std::future::pending::<()>().await;
                }
            }
        };
        let start = async {
            let both = async {
                first_view.notified().await;
                looked.notified().await;
            };
            if tokio::time::timeout(live.settings.patience, both).await.is_err() {
                tracing::warn!(
                    "no view of the nodes yet, starting without: pods are packed by podAffinity until there is one"
                );
            }
            opened();
            std::future::pending::<()>().await;
        };
        let events = self.events();
        let namespaces = Arc::clone(&self.namespaces);
        let keeper = self.keeper.take();
        let keep = async {
            if let Some(keeper) = keeper {
                keeper.run().await;
            }
        };
        let follow = async {
            // Without them no pod would be known as one that a profile packs.
            namespaces.listed().await;
            self.follow(events, &first_view, &report).await;
        };
        // None of these ends by itself. When one does, the task ends, and with it the process.
        tokio::select! {
            () = follow => {}
            () = version => {}
            () = keep => {}
            () = start => {}
        }
    }

    fn events(&self) -> Events {
        let nodes = watch::<v1::Node>(self.live.nodes.listen(self.client.clone()));
        let pods = watch::<v1::Pod>(self.live.pods.listen(self.client.clone()));
        let nodes = nodes.map(|event| event.map(Event::Node));
        let pods = pods.map(|event| event.map(Event::Pod));
        Box::pin(futures::stream::select(nodes, pods))
    }

    async fn follow(&mut self, mut events: Events, first_view: &Notify, report: &impl Fn(Status)) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.next() => {
                    let Some(event) = event else { return };
                    self.take(event);
                    for _ in 1..BATCH {
                        match events.next().now_or_never() {
                            Some(Some(event)) => self.take(event),
                            Some(None) => return,
                            None => break,
                        }
                    }
                    self.publish();
                    if self.listed == [true; 2] && !self.live.listed.swap(true, Ordering::AcqRel) {
                        first_view.notify_one();
                    }
                }
                _ = tick.tick() => {
                    self.publish();
                    report(self.status());
                }
            }
        }
    }

    fn take(&mut self, event: watcher::Result<Event>) {
        match event {
            // The stream waits longer after each error and then goes on; what is known stays in use until it is stale.
            Err(error) => tracing::warn!("cannot watch nodes and pods for the moment: {error}"),
            Ok(Event::Node(event)) => self.take_node(event),
            Ok(Event::Pod(event)) => self.take_pod(event),
        }
    }

    fn take_node(&mut self, event: watcher::Event<Object<v1::Node>>) {
        match event {
            watcher::Event::Init => self.store.list_nodes(),
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                if let Some(node) = NodeSeen::read(&object.tree) {
                    self.store.apply_node(node);
                }
            }
            watcher::Event::InitDone => {
                self.store.listed_nodes();
                self.live.nodes.beat();
                self.listed[0] = true;
                tracing::info!("listed nodes");
            }
            watcher::Event::Delete(object) => {
                if let Some(name) = object.tree.get("metadata").and_then(|metadata| metadata.str("name")) {
                    self.store.remove_node(name);
                }
            }
        }
    }

    fn take_pod(&mut self, event: watcher::Event<Object<v1::Pod>>) {
        match event {
            watcher::Event::Init => self.store.list_pods(),
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => self.apply_pod(&object.tree),
            watcher::Event::InitDone => {
                self.store.listed_pods();
                self.live.pods.beat();
                let first = !std::mem::replace(&mut self.listed[1], true);
                self.tell(first);
                tracing::info!(counted = self.store.pods(), "listed pods");
            }
            watcher::Event::Delete(object) => {
                if let Some(uid) = object.tree.get("metadata").and_then(|metadata| metadata.str("uid")) {
                    self.store.remove_pod(uid);
                }
            }
        }
    }

    fn apply_pod(&mut self, tree: &Node<'_>) {
        let policies = self.policies.load();
        let pod = Pod::new("", tree);
        // Most pods are none of ours, and matching costs more than reading.
        let is_ours = pod.annotation(PROFILE_ANNOTATION).or(pod.annotation(PLACEMENT_ANNOTATION)).is_some();
        let profile = is_ours.then(|| packed_by(&policies, &self.namespaces, &pod)).flatten();
        let is_plannable = profile.is_some() && packing::is_for_scheduler(&pod);
        let group_by = profile.map(|profile| &*profile.spec.placement.group_by).unwrap_or_default();
        let Some(mut pod) = PodSeen::read(tree, group_by) else { return };
        if !is_plannable {
            // Whoever may create pods can write the annotation; only what we would plan is believed.
            pod.planned = None;
        }
        if let Some(planned) = pod.planned.clone()
            && self.settled.is_first(&pod, Timestamp::now())
        {
            self.came.push((pod.key, planned));
        }
        let lesson = pod.lesson();
        let counted = self.store.apply_pod(pod, &self.live.lifetimes.load());
        // Once for each pod: when it stops counting, and those that had ended before we came.
        if (counted || !self.listed[1])
            && let Some(lesson) = lesson
            && self.ended.len() < LISTED_NEWS
        {
            // By the clock of a node, which may be wrong.
            self.ended.push(Ended { at: lesson.at.min(Timestamp::now().as_second()), ..lesson });
        }
    }

    /// Passes on which scans have ended.
    fn tell(&mut self, listed: bool) {
        if !self.ended.is_empty() {
            // When nobody has time for them, so be it: others will end.
            let _ = self.news.try_send(News { ended: std::mem::take(&mut self.ended), listed });
        }
    }

    fn publish(&mut self) {
        self.live.snapshot.store(Arc::new(self.store.snapshot(Timestamp::now())));
        if self.listed[1] {
            self.tell(false);
        }
        if !self.came.is_empty() {
            let mut ledger = self.live.book.lock();
            for (key, planned) in self.came.drain(..) {
                ledger.seen(key, &planned);
            }
        }
    }

    fn status(&self) -> Status {
        let mut ledger = self.live.book.lock();
        ledger.expire(Timestamp::now());
        Status {
            nodes: self.live.snapshot.load().nodes().count(),
            pods: self.store.pods(),
            age: self.live.age(),
            stale: !self.live.is_fresh(),
            reservations: ledger.len(),
            kinds: self.live.lifetimes.load().len(),
        }
    }
}

/// The profile that packs a pod, if one does.
fn packed_by<'p>(policies: &'p PolicySet, namespaces: &facts::View, pod: &Pod<'_>) -> Option<&'p Profile> {
    let namespace = namespaces.known(pod.metadata()?.str("namespace")?)?;
    let mut profiles = policies.profiles().iter().filter(|profile| profile.serves(&namespace) && profile.matches(pod));
    let placed = profiles.find(|profile| profile.spec.placement.mode != Mode::None);
    placed.filter(|profile| profile.spec.placement.mode == Mode::Pack)
}

fn watch<K>(client: Client) -> impl Stream<Item = watcher::Result<watcher::Event<Object<K>>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + 'static,
    K::Scope: Send,
    Object<K>: DeserializeOwned,
{
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    watcher::watcher(Api::<Object<K>>::all(client), config).default_backoff()
}
