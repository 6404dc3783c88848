//! What operators write: GuardPolicy, PodProfile, Exemption.

use crate::tree::Node;

/// The policies in force, compiled.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {}

/// A document that a policy set is compiled from.
#[derive(Clone, Copy, Debug)]
pub struct Document<'d> {
    /// The whole object.
    pub tree: &'d Node<'d>,
}

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct PolicyError {
    /// Which of the documents, counted from 0.
    pub document: usize,
    /// Kind and name, as far as they could be read: "GuardPolicy/baseline".
    pub policy: String,
    /// The field as a person writes it: "spec.rules.required-limits.cpu".
    pub field: String,
    /// The same as an RFC 6901 pointer.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl PolicySet {
    /// Compiles documents; those that do not compile are left out and reported. Other kinds than ours are errors, too.
    pub fn compile(_documents: &[Document<'_>]) -> (PolicySet, Vec<PolicyError>) {
        (PolicySet::default(), Vec::new())
    }
}
