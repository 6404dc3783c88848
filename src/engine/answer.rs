//! A decision, put into words: the one place where an answer to the API server is made.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Outcome;
use crate::finding::{Action, Eased, Verdict};
use crate::printable::{clip, printable, printable_lines};
use crate::review::{Cause, Refusal, Response};
use crate::rules;

/// The API server cuts a warning at 256 bytes once all of them together pass 4,096; 120 characters is what it asks for.
const WARNING_LENGTH: usize = 120;

/// More warnings than this are not read.
const WARNINGS: usize = 8;

/// A manifest that a person wrote has fewer findings than this, and all of them are named. The rest is counted: an object
/// made to have a hundred thousand would make an answer larger than itself.
const FINDINGS: usize = 100;

/// Stands in front of the lines to add.
pub(crate) const ALLOW: &str = "Not a secret? Who approves exemptions fills in owner, reason and expires, and puts this beside the GuardPolicies (--policies):";

impl Outcome {
    /// Whether the object may pass.
    pub fn allowed(&self) -> bool {
        !self.with(Action::Deny).any(|_| true)
    }

    fn with(&self, action: Action) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(move |verdict| verdict.action == action)
    }

    /// The lines to add for secrets that are refused and are none: Exemptions that somebody has to sign.
    pub fn allowance(&self) -> Option<String> {
        let secrets = self.with(Action::Deny).map(|verdict| &verdict.finding);
        self.known.draft(secrets.filter(|finding| rules::finds_secrets(finding.rule)).take(FINDINGS))
    }

    /// The answer to the API server.
    pub fn response(&self) -> Response<'_> {
        Response {
            refusal: (!self.allowed()).then(|| self.refusal()),
            patch: (!self.patch.is_empty()).then(|| self.patch.as_json()),
            warnings: self.wire_warnings(),
            audit_annotations: self.audit_annotations(),
        }
    }

    fn refusal(&self) -> Refusal {
        let denied: Vec<&Verdict> = self.with(Action::Deny).collect();
        let findings = if denied.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", denied.len()) };
        let mut message = format!("{} is refused, {findings}:", printable(&self.object));
        for verdict in denied.iter().take(FINDINGS) {
            let finding = &verdict.finding;
            // Writing to a String cannot fail.
            let _ = write!(
                message,
                "\n  [{}] {}\n      at  {}\n      fix {}",
                finding.rule,
                printable(&finding.marked_sentence()),
                printable(&finding.pointer),
                printable_lines(&finding.fix).replace('\n', "\n          "),
            );
        }
        if denied.len() > FINDINGS {
            let _ = write!(message, "\n  … and {} more", denied.len() - FINDINGS);
        }
        if let Some(lines) = self.allowance() {
            let _ = write!(message, "\n{ALLOW}\n{lines}");
        }
        let mut rules: Vec<&str> = denied.iter().map(|verdict| verdict.finding.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        let explain: Vec<String> = rules.iter().map(|rule| format!("supercargo explain {rule}")).collect();
        let _ = write!(message, "\nWhy: {}", explain.join("; "));
        Refusal { message, causes: denied.into_iter().take(FINDINGS).map(cause).collect() }
    }

    fn wire_warnings(&self) -> Vec<String> {
        let say = |verdict: &Verdict| {
            let why = match verdict.eased {
                Some(Eased::Ratchet) => " (it was there before)",
                _ => "",
            };
            format!("[{}] {}{why}", verdict.finding.rule, verdict.finding.sentence())
        };
        // That there may be more than is said comes first, or it would be among what is not said.
        let (first, others): (Vec<_>, Vec<_>) =
            self.with(Action::Warn).partition(|verdict| verdict.finding.rule == rules::TOO_LARGE);
        let count = self.warnings.len() + first.len() + others.len();
        let texts = first.into_iter().map(say).chain(self.warnings.iter().cloned()).chain(others.into_iter().map(say));
        let mut warnings: Vec<String> = texts.take(WARNINGS).collect();
        if count > WARNINGS {
            let more = count - (WARNINGS - 1);
            warnings.truncate(WARNINGS - 1);
            warnings.push(format!("… and {more} more: `supercargo check` lists them all"));
        }
        warnings.iter().map(|warning| clip(&printable(warning), WARNING_LENGTH).into_owned()).collect()
    }

    /// What the audit log should hold: exemptions used and findings that only count. One annotation each, as the API server
    /// keeps the values apart by key only.
    fn audit_annotations(&self) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::new();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut note = |key: &str, text: String| {
            let count = counts.entry(key.to_owned()).or_default();
            *count += 1;
            if *count > FINDINGS {
                return;
            }
            let entry: &mut String = annotations.entry(key.to_owned()).or_default();
            if !entry.is_empty() {
                entry.push_str("; ");
            }
            entry.push_str(&printable(&text));
        };
        for verdict in &self.verdicts {
            let (rule, by) = (verdict.finding.rule, &verdict.by);
            match (&verdict.exempted_by, verdict.action) {
                (Some(exemption), _) => {
                    note(
                        "exempted",
                        format!("{rule} of {by} by Exemption/{exemption}: {}", verdict.finding.marked_sentence()),
                    );
                }
                (None, Action::Audit) => {
                    note("audited", format!("{rule} of {by}: {}", verdict.finding.marked_sentence()));
                }
                (None, Action::Warn) => {
                    note("warned", format!("{rule} of {by}: {}", verdict.finding.marked_sentence()));
                }
                (None, Action::Deny) => {
                    note("denied", format!("{rule} of {by}: {}", verdict.finding.marked_sentence()));
                }
            }
        }
        if let Some(reason) = &self.held_back {
            note("patch-held-back", reason.clone());
        }
        for (key, count) in counts.into_iter().filter(|(_, count)| *count > FINDINGS) {
            if let Some(entry) = annotations.get_mut(&key) {
                let _ = write!(entry, "; … and {} more", count - FINDINGS);
            }
        }
        annotations
    }
}

fn cause(verdict: &Verdict) -> Cause {
    let finding = &verdict.finding;
    Cause {
        reason: finding.rule.to_owned(),
        message: format!("{}; {}", printable(&finding.marked_sentence()), printable_lines(&finding.fix)),
        field: printable(&finding.pointer).into_owned(),
    }
}
