//! How long scans run, kept in a ConfigMap so that a restart does not forget it.
//!
//! Learns what the watch of pods tells, publishes it for plans, and writes it down at most once a minute. Every replica sees the
//! same pods end and writes to the same object: what another one wrote is taken over, and of one's own only what is newer is added.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, timeout};

use super::snapshot::Settings;
use crate::packing::{Ended, Lifetimes};

/// The ConfigMap of manifests/install/lifetimes.yaml. It is never created: that right cannot be had for one name only.
const NAME: &str = "supercargo-lifetimes";
const KEY: &str = "lifetimes.json";

/// How often what was learned is published.
const TICK: Duration = Duration::from_secs(1);

/// Who does not answer in this time is asked again later.
const ANSWER: Duration = Duration::from_secs(5);

/// Other replicas that may write between our read and our write.
const ATTEMPTS: usize = 5;

/// What is not written yet, at most; the oldest go first, as they say least.
const NEWS: usize = 10_000;

/// Pods that ended.
pub(super) struct News {
    pub ended: Vec<Ended>,
    /// From the first list of pods, so part of it may be known from before the start.
    pub listed: bool,
}

/// Learns and keeps.
pub(super) struct Keeper {
    api: Api<ConfigMap>,
    news: mpsc::Receiver<News>,
    published: Arc<ArcSwap<Lifetimes>>,
    lifetimes: Lifetimes,
    /// Whether `lifetimes` has changed since it was published.
    changed: bool,
    /// In `lifetimes`, and not in the ConfigMap.
    unwritten: VecDeque<Ended>,
    /// The ConfigMap that `lifetimes` is based on.
    version: Option<String>,
    /// The least time between two writes.
    period: Duration,
}

impl Keeper {
    /// Listens at the other end of `news`, and keeps `published` up to date.
    pub fn new(
        client: Client,
        settings: &Settings,
        news: mpsc::Receiver<News>,
        published: Arc<ArcSwap<Lifetimes>>,
    ) -> Keeper {
        let namespace = settings.namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
        Keeper {
            api: Api::namespaced(client, &namespace),
            news,
            published,
            lifetimes: Lifetimes::default(),
            changed: false,
            unwritten: VecDeque::new(),
            version: None,
            period: settings.keep_every,
        }
    }

    /// Runs for as long as there is somebody who may send news.
    pub async fn run(mut self) {
        // Before anything is learned, so that what had ended before the start is not learned twice.
        self.synchronize().await;
        self.publish();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Instant::now();
        loop {
            tokio::select! {
                news = self.news.recv() => match news {
                    Some(news) => self.learn(news),
                    None => return,
                },
                _ = tick.tick() => {
                    if !self.unwritten.is_empty() && next <= Instant::now() {
                        next = Instant::now() + self.period;
                        self.synchronize().await;
                    }
                    self.publish();
                }
            }
        }
    }

    fn learn(&mut self, news: News) {
        if news.listed {
            if !self.lifetimes.merge(&news.ended) {
                return;
            }
        } else {
            for ended in &news.ended {
                self.lifetimes.learn(*ended);
            }
        }
        self.changed = true;
        self.unwritten.extend(news.ended);
        let many = self.unwritten.len().saturating_sub(NEWS);
        self.unwritten.drain(..many);
    }

    fn publish(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.published.store(Arc::new(self.lifetimes.clone()));
        }
    }

    async fn synchronize(&mut self) {
        match timeout(ANSWER, self.exchange()).await {
            Ok(Ok(())) => {}
            // What was learned stays in use, and is written later.
            Ok(Err(error)) => tracing::warn!("cannot keep lifetimes in ConfigMap {NAME}: {error}"),
            Err(_) => tracing::warn!("cannot keep lifetimes in ConfigMap {NAME}: no answer in {ANSWER:?}"),
        }
    }

    async fn exchange(&mut self) -> kube::Result<()> {
        for _ in 0..ATTEMPTS {
            let mut stored = self.api.get(NAME).await?;
            stored.metadata.managed_fields = None;
            if self.version.is_none() || self.version != stored.metadata.resource_version {
                self.take_over(&stored);
            }
            if self.unwritten.is_empty() {
                return Ok(());
            }
            let text = serde_json::to_string(&self.lifetimes).map_err(kube::Error::SerdeError)?;
            stored.data.get_or_insert_default().insert(KEY.to_owned(), text);
            match self.api.replace(NAME, &PostParams::default(), &stored).await {
                Ok(written) => {
                    self.version = written.metadata.resource_version;
                    self.unwritten.clear();
                    return Ok(());
                }
                // Somebody was faster.
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        tracing::warn!("lifetimes are written by others all the time; trying again later");
        Ok(())
    }

    /// What somebody else has written, with what we have seen since.
    fn take_over(&mut self, stored: &ConfigMap) {
        self.version.clone_from(&stored.metadata.resource_version);
        let Some(text) = stored.data.as_ref().and_then(|data| data.get(KEY)) else { return };
        match Lifetimes::from_json(text, Timestamp::now().as_second()) {
            Ok(mut lifetimes) => {
                lifetimes.merge(self.unwritten.make_contiguous());
                self.lifetimes = lifetimes;
                self.changed = true;
            }
            Err(error) => tracing::warn!("{KEY} in ConfigMap {NAME} cannot be read and will be overwritten: {error}"),
        }
    }
}
