//! Where the server learns what a request's namespace is: files read at the start, or a view of the cluster.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::Outcome;
use crate::facts::Namespace;
use crate::packing::View;

/// Why nothing is known of a namespace.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FactsError {
    /// The API server says so, or it cannot be the name of one.
    #[error("namespace {0} does not exist: create it first, or look at its name")]
    Absent(String),
    /// It was created a moment ago, and the API server did not say more in time.
    #[error("namespace {0} is not known yet, and the API server did not answer in time: try again")]
    Unknown(String),
}

/// Who is asked about namespaces.
#[derive(Clone)]
pub enum Source {
    /// Namespaces that were read at the start.
    Files(Arc<Files>),
    /// What is watched in the cluster.
    #[cfg(feature = "cluster")]
    Cluster {
        /// Namespaces, LimitRanges and claims.
        namespaces: Arc<crate::cluster::facts::View>,
        /// Nodes and pods.
        packing: Arc<crate::cluster::snapshot::Live>,
    },
}

/// Namespace, LimitRange and PersistentVolumeClaim documents.
#[derive(Clone, Debug, Default)]
pub struct Files {
    namespaces: HashMap<String, Arc<Namespace>>,
}

impl Source {
    /// What is known of namespace `name`; "" is what cluster-scoped objects have.
    #[cfg_attr(not(feature = "cluster"), expect(clippy::unused_async, reason = "a cluster may have to be asked"))]
    pub async fn namespace(&self, name: &str) -> Result<Arc<Namespace>, FactsError> {
        match self {
            Source::Files(files) => Ok(files.namespace(name)),
            #[cfg(feature = "cluster")]
            Source::Cluster { namespaces, .. } => {
                namespaces.namespace(name).await.map_err(|missing| FactsError::of(missing, name))
            }
        }
    }

    /// Decides with the view of the nodes, where there is one, and commits what was planned.
    pub fn plan<E>(
        &self,
        now: Timestamp,
        decide: impl FnOnce(Option<View<'_>>) -> Result<Outcome, E>,
    ) -> Result<Outcome, E> {
        #[cfg(feature = "cluster")]
        if let Source::Cluster { packing, .. } = self
            && let Some(turn) = packing.turn()
        {
            let outcome = decide(Some(turn.view(now)))?;
            turn.commit(outcome.reservation.clone(), now);
            return Ok(outcome);
        }
        let _ = now;
        decide(None)
    }
}

#[cfg(feature = "cluster")]
impl FactsError {
    fn of(missing: crate::cluster::facts::Missing, name: &str) -> FactsError {
        use crate::cluster::facts::Missing;
        match missing {
            Missing::Absent => FactsError::Absent(clip(name)),
            Missing::Unanswered => FactsError::Unknown(clip(name)),
        }
    }
}

/// A name as it may be shown to people: no legal one is longer.
#[cfg(feature = "cluster")]
fn clip(name: &str) -> String {
    name.chars().take(63).flat_map(char::escape_default).collect()
}

impl Files {
    /// What was read, by name.
    pub fn new(namespaces: impl IntoIterator<Item = (String, Namespace)>) -> Self {
        Files { namespaces: namespaces.into_iter().map(|(name, namespace)| (name, Arc::new(namespace))).collect() }
    }

    /// What was said of it; of a namespace that no file mentions, its name is all that is known.
    pub fn namespace(&self, name: &str) -> Arc<Namespace> {
        let unknown = || if name.is_empty() { Namespace::default() } else { Namespace::named(name) };
        self.namespaces.get(name).cloned().unwrap_or_else(|| Arc::new(unknown()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_file_mentions_has_a_name_only() {
        let scans = Namespace { claims: Some(Vec::new()), ..Namespace::named("scans") };
        let files = Files::new([("scans".to_owned(), scans.clone())]);
        assert_eq!(*files.namespace("scans"), scans);
        assert_eq!(*files.namespace("other"), Namespace::named("other"));
        assert_eq!(*files.namespace(""), Namespace::default());
    }
}
