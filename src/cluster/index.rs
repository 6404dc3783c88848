//! Namespaces, LimitRanges and claims by namespace, and volumes, as they come from watches that know nothing of each other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::facts::{Claim, Namespace};
use crate::workload::LimitRange;

/// Objects of one kind, by namespace and name.
pub(super) type Table<T> = HashMap<String, BTreeMap<String, T>>;

/// What is known, and the views made from it that are still true.
#[derive(Default)]
pub(super) struct Index {
    labels: Table<BTreeMap<String, String>>,
    limit_ranges: Table<Vec<LimitRange>>,
    /// `None` until they were listed once.
    claims: Option<Table<Claim>>,
    volumes: Table<Affinity>,
    made: HashMap<String, Arc<Namespace>>,
}

/// One kind of what is watched: what is kept of an object, and where.
pub(super) trait Kept: Sized + Send + 'static {
    /// Whether an object may matter to every namespace, and not to its own alone.
    const EVERYWHERE: bool = false;

    fn table(index: &mut Index) -> &mut Table<Self>;
}

impl Kept for BTreeMap<String, String> {
    fn table(index: &mut Index) -> &mut Table<Self> {
        &mut index.labels
    }
}

impl Kept for Vec<LimitRange> {
    fn table(index: &mut Index) -> &mut Table<Self> {
        &mut index.limit_ranges
    }
}

impl Kept for Claim {
    fn table(index: &mut Index) -> &mut Table<Self> {
        index.claims.get_or_insert_default()
    }
}

/// `spec.nodeAffinity.required` of a PersistentVolume that has one.
pub(super) struct Affinity(pub Option<Value>);

impl Kept for Affinity {
    const EVERYWHERE: bool = true;

    fn table(index: &mut Index) -> &mut Table<Self> {
        &mut index.volumes
    }
}

/// What is kept of one object.
pub(super) struct Entry<T> {
    /// A Namespace is in itself, a PersistentVolume in none.
    pub namespace: String,
    pub name: String,
    pub kept: T,
}

impl Index {
    /// A view of a namespace that exists.
    pub fn namespace(&mut self, name: &str) -> Option<Arc<Namespace>> {
        if let Some(made) = self.made.get(name) {
            return Some(Arc::clone(made));
        }
        let labels = self.labels.get(name)?.values().next()?.clone();
        let made = Arc::new(self.make(name, labels));
        self.made.insert(name.to_owned(), Arc::clone(&made));
        Some(made)
    }

    /// The same without making anything.
    pub fn made(&self, name: &str) -> Option<Arc<Namespace>> {
        self.made.get(name).cloned()
    }

    /// A view with labels that came from elsewhere.
    pub fn make(&self, name: &str, labels: BTreeMap<String, String>) -> Namespace {
        let mut namespace = Namespace::named(name);
        namespace.labels.extend(labels);
        namespace.limit_ranges =
            self.limit_ranges.get(name).into_iter().flat_map(BTreeMap::values).flatten().cloned().collect();
        namespace.claims = self.claims.as_ref().map(|claims| {
            claims.get(name).into_iter().flat_map(BTreeMap::values).map(|claim| self.bound(claim)).collect()
        });
        namespace
    }

    /// A claim, with what is known of its volume.
    fn bound(&self, claim: &Claim) -> Claim {
        let volume = claim.volume.as_ref().and_then(|volume| self.volumes.get("")?.get(volume));
        Claim { node_affinity: volume.and_then(|affinity| affinity.0.clone()), ..claim.clone() }
    }

    /// Views in which an object of the namespace may be are made anew.
    fn outdate<T: Kept>(&mut self, namespace: &str) {
        if T::EVERYWHERE {
            self.made.clear();
        } else {
            self.made.remove(namespace);
        }
    }

    /// An object is new or has changed.
    pub fn put<T: Kept>(&mut self, entry: Entry<T>) {
        self.outdate::<T>(&entry.namespace);
        T::table(self).entry(entry.namespace).or_default().insert(entry.name, entry.kept);
    }

    /// An object is gone.
    pub fn remove<T: Kept>(&mut self, entry: &Entry<T>) {
        self.outdate::<T>(&entry.namespace);
        let table = T::table(self);
        if let Some(objects) = table.get_mut(&entry.namespace) {
            objects.remove(&entry.name);
            if objects.is_empty() {
                table.remove(&entry.namespace);
            }
        }
    }

    /// These are all objects of the kind: what was known and is not among them went while nobody watched.
    pub fn replace<T: Kept>(&mut self, entries: Vec<Entry<T>>) {
        let mut table = Table::new();
        for Entry { namespace, name, kept } in entries {
            table.entry(namespace).or_default().insert(name, kept);
        }
        *T::table(self) = table;
        self.made.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(name: &str, label: &str) -> Entry<BTreeMap<String, String>> {
        let kept = BTreeMap::from([("team".to_owned(), label.to_owned())]);
        Entry { namespace: name.to_owned(), name: name.to_owned(), kept }
    }

    fn claim(namespace: &str, name: &str) -> Entry<Claim> {
        let kept = Claim {
            name: name.to_owned(),
            access_modes: vec!["ReadWriteMany".to_owned()],
            volume: Some("disk".to_owned()),
            ..Claim::default()
        };
        Entry { namespace: namespace.to_owned(), name: name.to_owned(), kept }
    }

    #[test]
    fn a_view_follows_what_it_was_made_of() {
        let mut index = Index::default();
        index.put(namespace("scans", "a"));
        let first = index.namespace("scans").unwrap();
        assert_eq!((first.labels["team"].as_str(), &first.claims), ("a", &None));
        assert_eq!(first.labels["kubernetes.io/metadata.name"], "scans");
        assert!(Arc::ptr_eq(&first, &index.namespace("scans").unwrap()), "made once");

        index.replace(vec![claim("scans", "source"), claim("other", "source")]);
        index.put(Entry { namespace: "scans".into(), name: "l".into(), kept: vec![LimitRange::default()] });
        let second = index.namespace("scans").unwrap();
        assert_eq!((second.claims.as_ref().unwrap().len(), second.limit_ranges.len()), (1, 1));
        index.put(Entry { namespace: String::new(), name: "disk".into(), kept: Affinity(Some(Value::from("zone b"))) });
        let third = index.namespace("scans").unwrap();
        assert_eq!(third.claims.as_ref().unwrap()[0].node_affinity, Some(Value::from("zone b")));
        index.remove(&claim("scans", "source"));
        assert_eq!(index.namespace("scans").unwrap().claims, Some(vec![]));
    }

    #[test]
    fn a_new_list_leaves_no_ghosts() {
        let mut index = Index::default();
        index.put(namespace("old", "a"));
        index.put(namespace("kept", "a"));
        assert!(index.namespace("old").is_some());
        index.replace(vec![namespace("kept", "b")]);
        assert!(index.namespace("old").is_none());
        assert_eq!(index.namespace("kept").unwrap().labels["team"], "b");
        index.remove(&namespace("kept", "b"));
        assert!(index.namespace("kept").is_none());
    }
}
