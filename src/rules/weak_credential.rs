//! `weak-credential`: a password that everybody knows.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Check, Input, Rule, Standing, compile, everything, parameters};
use crate::finding::{Action, Finding};

pub(super) const RULE: Rule = Rule {
    id: "weak-credential",
    summary: "A well-known password such as `changeme` or `guest` written into a manifest",
    looks_at: "the same as embedded-secret",
    sees: everything,
    default: Action::Warn,
    standing: Standing::Listed,
    searches: true,
    why: "Authors mean it as a placeholder, but nothing replaces it after admission: it is the password, and the first one that anybody tries.",
    fix: "Make a real password, put it into a Secret and refer to it with secretKeyRef.",
    bad: "env:\n  - name: DB_PASSWORD\n    value: changeme\n",
    good: "env:\n  - name: DB_PASSWORD\n    valueFrom: {secretKeyRef: {name: db, key: password}}\n",
    catalogue: None,
    parameters: parameters::<WeakCredential>,
    compile: compile::<WeakCredential>,
};

/// No parameters.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WeakCredential {}

impl Check for WeakCredential {
    fn check(&self, input: &Input<'_>, found: &mut Vec<Finding>) {
        let findings = input.searched().findings.iter().map(|found| &found.finding);
        found.extend(findings.filter(|finding| finding.rule == RULE.id).cloned());
    }
}
