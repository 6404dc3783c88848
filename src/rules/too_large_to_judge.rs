//! `too-large-to-judge`: what could not be looked at to its end is said, never passed over.

use schemars::JsonSchema;
use serde::Deserialize;

use super::searched::Extent;
use super::{Check, Input, Rule, Standing, compile, everything, parameters};
use crate::finding::{Action, Finding, Subject};

pub(super) const RULE: Rule = Rule {
    id: "too-large-to-judge",
    summary: "An object too large to be read, or to be searched for secrets, within an admission request",
    looks_at: "everything that embedded-secret and weak-credential look at",
    sees: everything,
    default: Action::Warn,
    standing: Standing::Always,
    searches: true,
    why: "The search stops at a fixed number of bytes, and an object of more than 500,000 values is not read, so that none can hold up the API server; what lies behind was not seen.",
    fix: "Split the object, or put large files into an image or a volume.",
    bad: "# a ConfigMap with several megabytes of text\n",
    good: "# the same text in a volume\n",
    catalogue: None,
    parameters: parameters::<TooLargeToJudge>,
    compile: compile::<TooLargeToJudge>,
};

/// No parameters.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TooLargeToJudge {}

impl Check for TooLargeToJudge {
    fn check(&self, input: &Input<'_>, found: &mut Vec<Finding>) {
        let message = match input.searched().extent {
            Extent::Whole => return,
            Extent::Part => "too large to be searched for secrets to its end",
            Extent::Nothing => "more than 500,000 values, which nothing was judged of",
        };
        found.push(Finding {
            rule: RULE.id,
            pointer: String::new(),
            subject: Subject::default(),
            message: message.to_owned(),
            fix: "split the object, or put large files into an image or a volume".to_owned(),
            digest: None,
            fingerprint: None,
            at_most: Action::Deny,
        });
    }
}
