//! What the cluster says about namespaces: labels, LimitRanges, PersistentVolumeClaims and their volumes.
//!
//! Four watches fill an index; a namespace that was created a moment ago is asked for. Nothing is written to the cluster.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};

use super::asking::Asking;
pub use super::asking::Missing;
use super::index::{Affinity, Entry, Index, Kept};
use super::pulse::Pulse;
use crate::facts::{Claim, Namespace};
use crate::tree::Node;
use crate::workload::LimitRange;

/// What is known of the cluster's namespaces, and whom to ask about the others.
pub struct View {
    asking: Asking,
    index: RwLock<Index>,
    listed: watch::Sender<bool>,
    watches: Watches,
}

/// What is watched.
struct Watches {
    namespaces: Watched,
    limit_ranges: Watched,
    claims: Watched,
    volumes: Watched,
}

/// A kind of objects that is watched.
struct Watched {
    /// What the API server calls them.
    what: &'static str,
    pulse: Arc<Pulse>,
    /// Told when they were listed. Notes that come before somebody waits for them are kept.
    listed: Notify,
}

impl View {
    /// A view, and the task that keeps it true; it calls `opened` when namespaces and LimitRanges have been listed once. Namespaces that are not
    /// there yet are asked for with `asking`, by whoever wants to know; all else is done with `client`, by the task.
    pub fn follow(
        asking: Client,
        client: Client,
        opened: impl FnOnce() + Send + 'static,
    ) -> (Arc<View>, impl Future<Output = ()> + Send + 'static) {
        let asking = Asking::new(asking);
        let watches = Watches {
            namespaces: Watched::new("namespaces"),
            limit_ranges: Watched::new("limitranges"),
            claims: Watched::new("persistentvolumeclaims"),
            volumes: Watched::new("persistentvolumes"),
        };
        let view = Arc::new(View { asking, index: RwLock::default(), listed: watch::Sender::default(), watches });
        let task = {
            let view = Arc::clone(&view);
            async move {
                let Watches { namespaces, limit_ranges, claims, volumes } = &view.watches;
                let first_lists = async {
                    namespaces.listed.notified().await;
                    limit_ranges.listed.notified().await;
                    // Claims and volumes are not waited for: as long as they are unknown nothing is said about them.
                    view.listed.send_replace(true);
                    opened();
                    std::future::pending::<()>().await;
                };
                // None of these ends by itself. When one does, the task ends, and with it the process.
                tokio::select! {
                    () = view.keep(namespaces, Api::all(namespaces.client(&client)), read_namespace) => {}
                    () = view.keep(limit_ranges, Api::all(limit_ranges.client(&client)), read_limit_range) => {}
                    () = view.keep(claims, Api::all(claims.client(&client)), read_claim) => {}
                    () = view.keep(volumes, Api::all(volumes.client(&client)), read_volume) => {}
                    () = first_lists => {}
                }
            }
        };
        (view, task)
    }

    /// What is known of a namespace; asks the API server when that is nothing.
    pub async fn namespace(&self, name: &str) -> Result<Arc<Namespace>, Missing> {
        if name.is_empty() {
            return Ok(Arc::default());
        }
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        // In a box, as every review would carry the room for it along, nearly always for nothing.
        let labels = Box::pin(self.asking.labels(name)).await?;
        Ok(Arc::new(self.read().make(name, labels)))
    }

    /// What is known of a namespace, without asking anybody.
    pub(super) fn known(&self, name: &str) -> Option<Arc<Namespace>> {
        let made = self.read().made(name);
        made.or_else(|| self.write().namespace(name))
    }

    /// Waits until namespaces and LimitRanges have been listed once.
    pub(super) async fn listed(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }

    /// How long ago the API server was heard on each of the watches.
    pub fn ages(&self) -> [(&'static str, Duration); 4] {
        let Watches { namespaces, limit_ranges, claims, volumes } = &self.watches;
        [namespaces, limit_ranges, claims, volumes].map(|watched| (watched.what, watched.pulse.age()))
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        // Changes are single assignments: a panic leaves nothing half-done.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one kind up to date for as long as the stream lasts, and tells when it was listed for the first time.
    async fn keep<K, T>(&self, watched: &Watched, api: Api<K>, read: fn(&K) -> Option<Entry<T>>)
    where
        K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        T: Kept,
    {
        let what = watched.what;
        let events = watcher::watcher(api, watcher::Config::default()).default_backoff();
        pin_mut!(events);
        let mut list = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => list.clear(),
                Ok(watcher::Event::InitApply(object)) => list.extend(read(&object)),
                Ok(watcher::Event::InitDone) => {
                    tracing::info!(objects = list.len(), "listed {what}");
                    self.write().replace(std::mem::take(&mut list));
                    watched.pulse.beat();
                    watched.listed.notify_one();
                }
                Ok(watcher::Event::Apply(object)) => {
                    if let Some(entry) = read(&object) {
                        self.write().put(entry);
                    }
                }
                Ok(watcher::Event::Delete(object)) => {
                    if let Some(entry) = read(&object) {
                        self.write().remove(&entry);
                    }
                }
                // The stream waits longer after each error and then goes on; what is known stays in use.
                Err(error) => tracing::warn!("cannot watch {what} for the moment: {error}"),
            }
        }
    }
}

impl Watched {
    fn new(what: &'static str) -> Watched {
        Watched { what, pulse: Arc::default(), listed: Notify::new() }
    }

    /// A client whose watch is listened to.
    fn client(&self, client: &Client) -> Client {
        self.pulse.listen(client.clone())
    }
}

fn read_namespace(object: &PartialObjectMeta<v1::Namespace>) -> Option<Entry<BTreeMap<String, String>>> {
    let name = object.metadata.name.clone()?;
    Some(Entry { namespace: name.clone(), name, kept: object.labels().clone() })
}

fn read_limit_range(object: &v1::LimitRange) -> Option<Entry<Vec<LimitRange>>> {
    // By way of text, so that it is read by the same code as those in files; they are few.
    let text = serde_json::to_string(object).ok()?;
    let kept = LimitRange::read(&Node::read(&text).ok()?);
    Some(Entry { namespace: object.namespace()?, name: object.name_any(), kept })
}

fn read_claim(object: &v1::PersistentVolumeClaim) -> Option<Entry<Claim>> {
    let (namespace, name) = (object.namespace()?, object.name_any());
    let spec = object.spec.as_ref();
    let access_modes = spec.and_then(|spec| spec.access_modes.clone()).unwrap_or_default();
    let volume = spec.and_then(|spec| spec.volume_name.clone());
    let kept = Claim { name: name.clone(), access_modes, volume, node_affinity: None };
    Some(Entry { namespace, name, kept })
}

fn read_volume(object: &v1::PersistentVolume) -> Option<Entry<Affinity>> {
    let required = object.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref()?.required.as_ref());
    // A selector always becomes JSON.
    let affinity = required.and_then(|required| serde_json::to_value(required).ok());
    Some(Entry { namespace: String::new(), name: object.metadata.name.clone()?, kept: Affinity(affinity) })
}
