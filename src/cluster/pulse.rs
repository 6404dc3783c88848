//! Whether a watch is alive: when the API server was last heard on it.
//!
//! kube's watcher keeps bookmarks to itself, and says nothing when it opens a watch anew; so what is listened to is the client
//! that it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use kube::Client;
use tokio::time::Instant;

/// The last heartbeat.
pub(super) struct Pulse {
    start: Instant,
    /// In milliseconds after `start`.
    last: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse { start: Instant::now(), last: AtomicU64::default() }
    }
}

impl Pulse {
    /// The same client, whose answers are heartbeats: the head of one that succeeds, and every piece of its body.
    pub fn listen(self: &Arc<Self>, client: Client) -> Client {
        let pulse = Arc::clone(self);
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request| {
            let (client, pulse) = (client.clone(), Arc::clone(&pulse));
            async move {
                let response = client.send(request).await?;
                let heard = response.status().is_success().then_some(pulse);
                let beat = move || heard.as_deref().into_iter().for_each(Pulse::beat);
                beat();
                Ok::<_, kube::Error>(response.map(|body| {
                    body.map_frame(move |frame| {
                        beat();
                        frame
                    })
                }))
            }
        });
        Client::new(service, namespace)
    }

    fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// How long ago the last one was, or the start.
    pub fn age(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}
