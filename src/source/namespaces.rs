//! What documents tell of namespaces: facts for judging what is in them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Document, File, Item, Problem, Wanted};
use crate::facts::Namespace;
use crate::fields::Problems;

/// Kinds whose documents are facts.
const KINDS: [&str; 4] = ["Namespace", "LimitRange", "NetworkPolicy", "PersistentVolumeClaim"];

/// The namespaces that the documents speak of.
#[derive(Clone, Debug, Default)]
pub struct Namespaces(BTreeMap<String, Namespace>);

impl Namespaces {
    /// Learns from every file; what cannot be read is handed to `problem`, and what is read and counts for nothing is returned. An object may
    /// stand in front of its Namespace, so this goes before judging.
    #[must_use]
    pub fn learn_all(&mut self, files: &[File], default: &str, problem: &mut dyn FnMut(Problem)) -> Vec<Problem> {
        let mut odd = Vec::new();
        for file in files {
            match file.text() {
                Ok(text) => file.documents(&text, Wanted::Facts, &mut |item| match item {
                    Item::Document(document) => {
                        for (at, message) in self.learn(&document, default).list() {
                            let place = Some(document.marks.place(&document.tree, &at));
                            odd.push(Problem { file: file.name.clone(), place, message, help: None });
                        }
                    }
                    Item::Problem(found) => problem(found),
                    Item::Note(_) => {}
                }),
                Err(found) => problem(found),
            }
        }
        odd
    }

    /// Takes over what a document says of its namespace, which is `default` when it names none. Returns what in it counts for nothing.
    fn learn(&mut self, document: &Document<'_>, default: &str) -> Problems {
        if !matches!(&*document.group, "" | "networking.k8s.io") || !KINDS.contains(&&*document.kind) {
            return Problems::default();
        }
        let name = match &*document.kind {
            "Namespace" => document.name(),
            _ => Some(document.namespace().unwrap_or(default)),
        };
        let Some(name) = name else { return Problems::default() };
        let namespace = self.0.entry(name.to_owned()).or_insert_with(|| Namespace::named(name));
        namespace.learn(&document.kind, &document.tree);
        Namespace::oddities(&document.kind, &document.tree)
    }

    /// What is known of a namespace; its name alone, when nothing is.
    pub fn get(&self, name: &str) -> Cow<'_, Namespace> {
        self.0.get(name).map_or_else(|| Cow::Owned(Namespace::named(name)), Cow::Borrowed)
    }

    /// Whether anything was said of a namespace.
    pub fn know(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether nothing was said of any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, by name.
    pub fn into_inner(self) -> BTreeMap<String, Namespace> {
        self.0
    }
}

/// Whether a text can hold a fact: a cheap look that spares parsing most files twice.
pub(super) fn mentioned(text: &str) -> bool {
    let bytes = text.as_bytes();
    KINDS.iter().any(|kind| {
        memchr::memmem::find_iter(bytes, kind).any(|at| {
            // `kind: Namespace`, `"Namespace"`, and not `ClusterNamespaceX` or a word in a sentence.
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(at + kind.len());
            matches!(before, Some(b' ' | b'"' | b'\'' | b'\t'))
                && !matches!(after, Some(b) if b.is_ascii_alphanumeric())
                || after == Some(&b'L')
        })
    })
}
