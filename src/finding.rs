//! What a rule says and what becomes of it: findings, verdicts, actions. Knows no rule and no policy.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;

/// What a finding leads to, from the mildest to the strongest; the words of ValidatingAdmissionPolicy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Action {
    /// Recorded in audit annotations and metrics; the author sees nothing.
    Audit,
    /// The author sees a warning.
    Warn,
    /// The object is refused.
    Deny,
}

impl Action {
    /// The word for metrics and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Action::Audit => "audit",
            Action::Warn => "warn",
            Action::Deny => "deny",
        }
    }
}

/// What in the object a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The container's name.
    pub container: Option<String>,
    /// The probe, resource, variable, flag, data key, label or volume.
    pub key: Option<String>,
}

/// What tells an old secret from a new one; never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Digest {
    /// A keyed digest of one value.
    Value(u64),
    /// Of a finding that stands for many: the identity of each, sorted.
    Many(Arc<[Identity]>),
}

/// What makes two findings of an old and a new object the same, as a keyed digest of rule, subject and value: no pointer, as inserting a
/// container shifts those.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(u64);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// Makes digests with a key that lives as long as the process.
#[derive(Clone, Default)]
pub struct Digester(RandomState);

impl Digester {
    /// The digest of `value`.
    pub fn digest(&self, value: &str) -> Digest {
        Digest::Value(self.0.hash_one(value))
    }

    /// What a finding of this rule about this subject is the same by.
    pub fn identity(&self, rule: &str, subject: &Subject, digest: Option<&Digest>) -> Identity {
        Identity(self.0.hash_one((rule, subject, digest)))
    }

    /// The identity of each finding that this one stands for: its own, or those of many.
    pub fn identities<'f>(&self, finding: &'f Finding) -> Cow<'f, [Identity]> {
        match &finding.digest {
            Some(Digest::Many(identities)) => Cow::Borrowed(identities),
            digest => Cow::Owned(vec![self.identity(finding.rule, &finding.subject, digest.as_ref())]),
        }
    }
}

/// One complaint of one rule.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule's stable kebab-case id.
    pub rule: &'static str,
    /// Where, as an RFC 6901 pointer into the object that was sent; it may name a member that is missing.
    pub pointer: String,
    /// What it is about.
    pub subject: Subject,
    /// What is wrong, as a phrase without the container's name and without a full stop; never any part of a secret's value.
    pub message: String,
    /// How to mend it, as a sentence or a few lines to paste.
    pub fix: String,
    /// Tells two values under the same key apart.
    pub digest: Option<Digest>,
    /// The same for people and exemptions, of a secret where the installation has a key.
    pub fingerprint: Option<Fingerprint>,
    /// The strongest action that it may lead to, whatever a policy says.
    pub at_most: Action,
}

impl Finding {
    /// "container app: no memory limit", or the message alone when no container is meant.
    pub fn sentence(&self) -> String {
        match &self.subject.container {
            Some(container) if container.is_empty() => format!("container without a name: {}", self.message),
            Some(container) => format!("container {container}: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// The sentence with the fingerprint, where there is one.
    pub fn marked_sentence(&self) -> String {
        match &self.fingerprint {
            Some(fingerprint) => format!("{}, fingerprint {fingerprint}", self.sentence()),
            None => self.sentence(),
        }
    }
}

/// A finding with what policies, exemptions and the ratchet leave of it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The complaint.
    pub finding: Finding,
    /// What it leads to now.
    pub action: Action,
    /// The policy or profile that asks for it, e.g. "GuardPolicy/baseline".
    pub by: String,
    /// The Exemption that lets it pass; then `action` is `Audit`.
    pub exempted_by: Option<String>,
    /// Why the action is milder than the policy's: the old object had it, or a controller made the object.
    pub eased: Option<Eased>,
}

/// Why a verdict is milder than its policy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eased {
    /// The object had this finding before the change.
    Ratchet,
    /// A controller made the object from a template that was judged.
    Controller,
}

/// What a profile could not add, because the author wrote something else there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// What it is about.
    pub to: ObjectionTo,
    /// The profiles that ask for it, e.g. "PodProfile/scan".
    pub by: String,
    /// Whether it only ever warns.
    pub mild: bool,
    /// See [`Finding::pointer`].
    pub pointer: String,
    /// See [`Finding::subject`].
    pub subject: Subject,
    /// See [`Finding::message`].
    pub message: String,
    /// See [`Finding::fix`].
    pub fix: String,
}

/// What an objection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectionTo {
    /// A label: rule `profile-label`.
    Label,
    /// A volume, a mount or the annotation that names its folder: rule `profile-volume`.
    Volume,
}

impl Objection {
    /// The finding of the rule that reports it.
    pub fn finding(&self, rule: &'static str) -> Finding {
        Finding {
            rule,
            pointer: self.pointer.clone(),
            subject: self.subject.clone(),
            message: self.message.clone(),
            fix: self.fix.clone(),
            digest: None,
            fingerprint: None,
            at_most: if self.mild { Action::Warn } else { Action::Deny },
        }
    }
}
