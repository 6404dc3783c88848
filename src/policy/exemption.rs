//! Exemption: who may break which rule, where, why, until when.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::any_glob;
use crate::fields::Problems;
use crate::finding::Finding;
use crate::fingerprint::Fingerprint;
use crate::rules;
use crate::workload::KINDS;

mod draft;

pub use draft::Known;

/// `spec` of an Exemption.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExemptionSpec {
    /// Who answers for it.
    pub owner: String,
    /// Why it is needed, and what will end it.
    pub reason: String,
    /// The last day on which it holds, as YYYY-MM-DD, in UTC.
    pub expires: String,
    /// The rules that may be broken, by id; no wildcard.
    pub rules: Vec<String>,
    /// Where they may be broken.
    #[serde(rename = "match")]
    pub matches: ExemptionMatch,
}

/// Where an Exemption holds: all of these must match, and an empty one matches everything.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ExemptionMatch {
    /// Namespaces, with `*` for any run of characters.
    pub namespaces: Vec<String>,
    /// Kinds; a pod that a controller made also counts as its owner's kind.
    pub kinds: Vec<String>,
    /// Names, with `*`; a pod that a controller made also has its owner's name.
    pub names: Vec<String>,
    /// Containers, with `*`.
    pub containers: Vec<String>,
    /// The finding's key: a variable, flag, data key, probe, resource, label or volume, with `*`.
    pub keys: Vec<String>,
    /// Secrets, each by the 16 hex digits that a refusal shows; only where the installation has a fingerprint key.
    pub fingerprints: Vec<String>,
}

/// A compiled Exemption.
#[derive(Clone, Debug)]
pub struct Exemption {
    /// `metadata.name`.
    pub name: String,
    /// What was written.
    pub spec: ExemptionSpec,
    expires: Date,
}

impl Exemption {
    /// Checks a spec, reporting every mistake at its pointer.
    pub(super) fn compile(name: String, spec: ExemptionSpec, problems: &mut Problems) -> Option<Exemption> {
        for (field, text) in [("owner", &spec.owner), ("reason", &spec.reason)] {
            if text.trim().is_empty() {
                problems.add(format!("/spec/{field}"), "is empty: an exemption names who answers for it and why");
            }
        }
        if spec.rules.is_empty() {
            problems.add("/spec/rules", "names no rule: write the ids of the rules that may be broken");
        }
        for (index, id) in spec.rules.iter().enumerate() {
            if rules::find(id).is_none() {
                let known: Vec<_> = rules::RULES.iter().map(|rule| rule.id).collect();
                problems.add(
                    format!("/spec/rules/{index}"),
                    format!("there is no rule {id:?}: write one of {}", known.join(", ")),
                );
            }
        }
        if spec.matches.namespaces.is_empty() {
            problems.add("/spec/match/namespaces", "is missing: name the namespaces, or write [\"*\"] for all of them");
        }
        // Outside of the cluster every kind is searched for secrets; the other rules look at workloads only.
        let searches = spec.rules.iter().filter_map(|id| rules::find(id)).any(|rule| rule.searches);
        for (index, kind) in spec.matches.kinds.iter().enumerate() {
            if !searches && !KINDS.iter().any(|known| known.name == kind) {
                let known: Vec<_> = KINDS.iter().map(|known| known.name).collect();
                problems.add(
                    format!("/spec/match/kinds/{index}"),
                    format!("{kind:?} is not judged by these rules: write one of {}", known.join(", ")),
                );
            }
        }
        for (index, text) in spec.matches.fingerprints.iter().enumerate() {
            if !Fingerprint::is_one(text) {
                problems.add(
                    format!("/spec/match/fingerprints/{index}"),
                    format!("{text:?} is no fingerprint: write the 16 hex digits that a refusal shows, in quotes"),
                );
            }
        }
        if !spec.matches.fingerprints.is_empty() {
            for (index, id) in spec.rules.iter().enumerate().filter(|(_, id)| !rules::finds_secrets(id)) {
                problems.add(
                    format!("/spec/rules/{index}"),
                    format!("findings of {id} have no fingerprint: leave it out, or match.fingerprints"),
                );
            }
        }
        match spec.expires.parse::<Date>() {
            Ok(expires) if spec.expires.len() == 10 => Some(Exemption { name, spec, expires }),
            _ => {
                problems.add(
                    "/spec/expires",
                    format!("{:?} is no date: write YYYY-MM-DD, the last day on which it holds", spec.expires),
                );
                None
            }
        }
    }

    /// Whether it has run out: it holds to the end of its last day, UTC.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now.to_zoned(TimeZone::UTC).date() > self.expires
    }

    /// Whether it lets `finding` pass in an object known by any of these (kind, name) pairs.
    pub fn covers(&self, finding: &Finding, namespace: &str, known_as: &[(String, String)]) -> bool {
        let matches = &self.spec.matches;
        let any = |patterns: &[String], text: Option<&str>| {
            patterns.is_empty() || text.is_some_and(|text| any_glob(patterns, text))
        };
        self.spec.rules.iter().any(|id| id == finding.rule)
            && any(&matches.namespaces, Some(namespace))
            && any(&matches.containers, finding.subject.container.as_deref())
            && any(&matches.keys, finding.subject.key.as_deref())
            && (matches.fingerprints.is_empty()
                || finding
                    .fingerprint
                    .as_ref()
                    .is_some_and(|own| matches.fingerprints.iter().any(|f| f == own.as_str())))
            && known_as.iter().any(|(kind, name)| {
                (matches.kinds.is_empty() || matches.kinds.contains(kind)) && any(&matches.names, Some(name))
            })
    }
}
