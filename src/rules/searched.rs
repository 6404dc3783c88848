//! What the search for secrets found: of each sort the first ones in full, and one finding that stands for the others.
//!
//! However many there are, none ends the search and none is forgotten: of those that are not listed the identity is kept, a few bytes instead
//! of a thousand, so that the ratchet knows each of them.

use std::collections::{HashMap, HashSet};

use super::{Search, embedded_secret, weak_credential};
use crate::finding::{Action, Digest, Digester, Finding, Identity, Subject};
use crate::secrets::{self, Certainty, Detection};
use crate::workload::Workload;

/// So many of a sort are listed. Nobody reads more, and an object can be made to hold ten thousand.
const LISTED: usize = 256;

/// What the search found.
pub(super) struct Searched {
    /// Findings of `embedded-secret` and of `weak-credential`, in the order of the document; those that stand for many are last.
    pub(super) findings: Vec<Found>,
    /// How much of the object it has read.
    pub(super) extent: Extent,
}

/// How much of an object was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All that there is to read.
    Whole,
    /// As much as the budget allows.
    Part,
    /// It has more values than are read.
    Nothing,
}

/// A finding, and what a rule's parameters may make of it.
pub(super) struct Found {
    pub(super) finding: Finding,
    pub(super) sort: Sort,
}

/// What a rule or its parameters treat alike. Each sort has a list of its own, so that none takes the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Beyond doubt.
    Certain,
    /// Its own checksum speaks against it, and no name for it.
    Doubtful,
    /// A password's hash: one of the policies asked for it, not necessarily all.
    PasswordHash,
    /// Everybody knows it.
    Weak,
}

const SORTS: [Sort; 4] = [Sort::Certain, Sort::Doubtful, Sort::PasswordHash, Sort::Weak];

impl Sort {
    fn of(detection: &Detection<'_>) -> Sort {
        match detection.certainty {
            Certainty::Weak => Sort::Weak,
            Certainty::Certain if detection.kind.is_password_hash() => Sort::PasswordHash,
            Certainty::Certain if detection.doubtful => Sort::Doubtful,
            Certainty::Certain => Sort::Certain,
        }
    }

    /// The rule that reports it.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Sort::Weak => weak_credential::RULE.id,
            Sort::Certain | Sort::Doubtful | Sort::PasswordHash => embedded_secret::RULE.id,
        }
    }
}

/// Looks for secrets in an object.
pub(super) fn search(workload: &Workload<'_>, search: Search<'_>, digester: &Digester) -> Searched {
    if search.unread {
        return Searched { findings: Vec::new(), extent: Extent::Nothing };
    }
    let options = secrets::Options { password_hashes: search.password_hashes, ..secrets::Options::default() };
    let mut collector = Collector { search, digester, findings: Vec::new(), seen: Default::default() };
    let scanned = secrets::scan(workload, &options, &mut |detection| collector.add(&detection));
    let extent = if scanned.complete { Extent::Whole } else { Extent::Part };
    Searched { extent, findings: collector.finish() }
}

struct Collector<'c> {
    search: Search<'c>,
    digester: &'c Digester,
    findings: Vec<Found>,
    seen: [Seen; SORTS.len()],
}

/// What was found of a sort.
#[derive(Default)]
struct Seen {
    listed: usize,
    /// Where in the findings the first of an identity is.
    first: HashMap<Identity, usize>,
    /// Those that are not listed.
    others: HashSet<Identity>,
}

impl Collector<'_> {
    fn add(&mut self, detection: &Detection<'_>) {
        let sort = Sort::of(detection);
        let subject = Subject {
            container: detection.container.map(str::to_owned),
            key: detection.key().map(std::borrow::Cow::into_owned),
        };
        let digest = self.digester.digest(detection.value.for_digest());
        let identity = self.digester.identity(sort.rule(), &subject, Some(&digest));
        let seen = &mut self.seen[sort as usize];
        let first = seen.first.get(&identity);
        if seen.listed == LISTED {
            if first.is_none() {
                seen.others.insert(identity);
            }
            return;
        }
        let pointer = detection.pointer();
        // The same value under the same name in the same text, once more.
        if first.is_some_and(|&at| self.findings[at].finding.pointer == pointer) {
            return;
        }
        seen.listed += 1;
        seen.first.entry(identity).or_insert(self.findings.len());
        let fingerprint = self.search.fingerprints.map(|key| key.fingerprint(detection.value.for_digest()));
        let finding = Finding {
            rule: sort.rule(),
            pointer,
            subject,
            message: embedded_secret::message(detection),
            fix: detection.fix(),
            digest: Some(digest),
            fingerprint,
            at_most: Action::Deny,
        };
        self.findings.push(Found { finding, sort });
    }

    fn finish(self) -> Vec<Found> {
        let mut findings = self.findings;
        for (sort, seen) in SORTS.into_iter().zip(self.seen).filter(|(_, seen)| !seen.others.is_empty()) {
            let mut others: Vec<Identity> = seen.others.into_iter().collect();
            others.sort_unstable();
            findings.push(Found { finding: others_of(sort, others), sort });
        }
        findings
    }
}

/// The finding for those that are not listed. It has no subject: an Exemption for a key or a container says nothing of them.
fn others_of(sort: Sort, others: Vec<Identity>) -> Finding {
    let what = if sort == Sort::Weak { "well-known passwords" } else { "secrets" };
    Finding {
        rule: sort.rule(),
        pointer: String::new(),
        subject: Subject::default(),
        message: format!("more {what} than are listed: {} besides", others.len()),
        fix: "Mend those that are listed and look again, or split the object.".to_owned(),
        digest: Some(Digest::Many(others.into())),
        fingerprint: None,
        at_most: Action::Deny,
    }
}
