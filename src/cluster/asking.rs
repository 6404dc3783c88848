//! Asking the API server for a namespace that no watch has brought yet.
//!
//! The name is a client's word: what is no name is not asked for. A name is asked for once at a time, whoever waits for it, and few at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1;
use kube::{Api, Client};
use tokio::sync::{OnceCell, Semaphore};

use crate::fields::is_dns_label;

/// A tenth of the shortest timeout that we register with: whoever waits for this has time left to be judged.
const LIVE: Duration = Duration::from_millis(200);

/// Questions at the same time. Namespaces are made one by one, and this is a load that clients put on the API server.
const PLACES: usize = 16;

type Labels = BTreeMap<String, String>;

/// What is being asked, each with an answer to come.
type Names = HashMap<String, Arc<OnceCell<Result<Labels, Missing>>>>;

/// Why nothing is known of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// There is none of this name.
    Absent,
    /// The API server did not say, or not in time.
    Unanswered,
}

/// Whom to ask, and what is being asked.
pub(super) struct Asking {
    client: Client,
    places: Semaphore,
    names: Mutex<Names>,
}

/// Somebody who waits for an answer. The last one to leave takes the answer along: the watch will bring it, or has just taken it away.
struct Waiting<'a> {
    asking: &'a Asking,
    name: &'a str,
    answer: Arc<OnceCell<Result<Labels, Missing>>>,
}

impl Asking {
    pub fn new(client: Client) -> Asking {
        Asking { client, places: Semaphore::new(PLACES), names: Mutex::default() }
    }

    /// The labels of a namespace.
    pub async fn labels(&self, name: &str) -> Result<Labels, Missing> {
        if !is_dns_label(name) {
            return Err(Missing::Absent);
        }
        let waiting = self.wait(name);
        // When the one that asks gives up, another one asks.
        let answer = tokio::time::timeout(LIVE, waiting.answer.get_or_init(|| self.ask(name))).await;
        answer.map_or(Err(Missing::Unanswered), Clone::clone)
    }

    async fn ask(&self, name: &str) -> Result<Labels, Missing> {
        // Never closed.
        let _place = self.places.acquire().await.map_err(|_| Missing::Unanswered)?;
        match Api::<v1::Namespace>::all(self.client.clone()).get_metadata_opt(name).await {
            Ok(found) => Ok(found.ok_or(Missing::Absent)?.metadata.labels.unwrap_or_default()),
            Err(error) => {
                tracing::warn!("cannot ask for a namespace that is not known yet: {error}");
                Err(Missing::Unanswered)
            }
        }
    }

    fn wait<'a>(&'a self, name: &'a str) -> Waiting<'a> {
        let answer = Arc::clone(self.names().entry(name.to_owned()).or_default());
        Waiting { asking: self, name, answer }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // Nothing in here can panic half-way through a change.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut names = self.asking.names();
        // This one and the table's; others are made under the same lock.
        if Arc::strong_count(&self.answer) == 2 {
            names.remove(self.name);
        }
    }
}
