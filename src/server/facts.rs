//! Where the server learns what a request's namespace is: files read at the start, or a view of the cluster.

use std::collections::HashMap;
use std::sync::Arc;

use crate::facts::Namespace;
use crate::tree::Node;

/// Why nothing is known of a namespace.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FactsError {
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
    Cluster(Arc<crate::cluster::facts::View>),
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
            Source::Cluster(view) => view.namespace(name).await.ok_or_else(|| FactsError::Unknown(clip(name))),
        }
    }
}

/// A name as it may be shown to people: no legal one is longer.
#[cfg(feature = "cluster")]
fn clip(name: &str) -> String {
    name.chars().take(63).flat_map(char::escape_default).collect()
}

impl Files {
    /// Takes over what a document says; whether it was a Namespace, LimitRange or PersistentVolumeClaim.
    pub fn learn(&mut self, document: &Node<'_>) -> bool {
        let kind = document.str("kind").unwrap_or_default();
        let at = if kind == "Namespace" { "name" } else { "namespace" };
        let name = document.path(&["metadata", at]).and_then(Node::as_str).unwrap_or("default");
        let mut namespace = self.namespaces.get(name).map_or_else(|| Namespace::named(name), |known| (**known).clone());
        let learned = namespace.learn(kind, document);
        if learned {
            self.namespaces.insert(name.to_owned(), Arc::new(namespace));
        }
        learned
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
    fn files_are_gathered_by_namespace() {
        let mut files = Files::default();
        for document in [
            r#"{"kind":"LimitRange","metadata":{"name":"l","namespace":"scans"},"spec":{"limits":[{"type":"Container"}]}}"#,
            r#"{"kind":"Namespace","metadata":{"name":"scans","labels":{"a":"b"}}}"#,
            r#"{"kind":"PersistentVolumeClaim","metadata":{"name":"c","namespace":"scans"}}"#,
        ] {
            assert!(files.learn(&Node::read(document).unwrap()));
        }
        assert!(!files.learn(&Node::read(r#"{"kind":"Pod","metadata":{"namespace":"pods"}}"#).unwrap()));

        let scans = files.namespace("scans");
        assert_eq!(scans.labels["a"], "b");
        assert_eq!(scans.limit_ranges.len(), 1);
        assert_eq!(scans.claims.as_ref().unwrap()[0].name, "c");
        assert_eq!(*files.namespace("other"), Namespace::named("other"));
        assert_eq!(*files.namespace(""), Namespace::default());
    }
}
