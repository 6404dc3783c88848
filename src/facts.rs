//! What a request knows of its namespace; whoever holds the request gathers it, and the engine only reads it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fields::Problems;
use crate::printable::printable;
use crate::tree::{Node, escape};
use crate::workload::LimitRange;

/// A namespace as far as it matters for judging what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// Its LimitRanges' entries of types Container and Pod.
    pub limit_ranges: Vec<LimitRange>,
    /// Its PersistentVolumeClaims; `None` when they are not known, and then nothing is said about them.
    pub claims: Option<Vec<Claim>>,
}

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// `metadata.name`.
    pub name: String,
    /// `spec.accessModes`.
    pub access_modes: Vec<String>,
    /// `spec.volumeName`: the PersistentVolume that it is bound to.
    pub volume: Option<String>,
    /// `spec.nodeAffinity.required` of that volume, where it is known: the nodes that can mount it.
    pub node_affinity: Option<Value>,
}

impl Namespace {
    /// A namespace of which nothing is known but its name.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        // The API server gives every namespace this label, and a selector may ask for it.
        let labels = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), name.clone())]);
        Namespace { name, labels, ..Namespace::default() }
    }

    /// Takes over what a Namespace, LimitRange or PersistentVolumeClaim object says; whether it was one of these.
    pub fn learn(&mut self, kind: &str, object: &Node<'_>) -> bool {
        match kind {
            "Namespace" => {
                let labels = object.get("metadata").into_iter().flat_map(|metadata| metadata.entries("labels"));
                self.labels
                    .extend(labels.filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned()))));
            }
            "LimitRange" => self.limit_ranges.extend(LimitRange::read(object)),
            "PersistentVolumeClaim" => self.claims.get_or_insert_default().push(Claim::read(object)),
            _ => return false,
        }
        true
    }

    /// What [`learn`](Self::learn) passes over in such an object although it was meant.
    pub fn oddities(kind: &str, object: &Node<'_>) -> Problems {
        let mut odd = Problems::default();
        match kind {
            "Namespace" => {
                let labels = object.get("metadata").into_iter().flat_map(|metadata| metadata.entries("labels"));
                for (key, _) in labels.filter(|(_, value)| value.as_str().is_none()) {
                    let label = printable(key);
                    let words = format!("label {label} is no text, and so no label: write the value in quotes");
                    odd.add(format!("/metadata/labels/{}", escape(key)), words);
                }
            }
            "LimitRange" => LimitRange::check(object, &mut odd),
            _ => {}
        }
        odd
    }
}

impl Claim {
    /// Reads name and access modes of a PersistentVolumeClaim object.
    pub fn read(object: &Node<'_>) -> Claim {
        let modes = object.get("spec").map(|spec| spec.items("accessModes")).unwrap_or_default();
        Claim {
            name: object.path(&["metadata", "name"]).and_then(Node::as_str).unwrap_or_default().to_owned(),
            access_modes: modes.iter().filter_map(Node::as_str).map(str::to_owned).collect(),
            ..Claim::default()
        }
    }
}
