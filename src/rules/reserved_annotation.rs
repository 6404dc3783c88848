//! `reserved-annotation`: what Supercargo writes into pods does not come from templates.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Check, Input, Rule, Standing, compile, parameters};
use crate::finding::{Action, Finding, Subject};
use crate::tree::escape;
use crate::workload::{PLACEMENT_ANNOTATION, PROFILE_ANNOTATION};

pub(super) const RULE: Rule = Rule {
    id: "reserved-annotation",
    summary: "A template that carries an annotation which Supercargo writes into pods",
    looks_at: "templates of pods (not pods themselves, where Supercargo has written it)",
    sees: |kind| kind.pod.is_some_and(|at| !at.is_empty()),
    default: Action::Warn,
    standing: Standing::Always,
    searches: false,
    why: "A pod that brings supercargo.dev/placement counts as placed already and is not packed; supercargo.dev/profile would name profiles that never touched it. Usually a running pod's YAML was copied.",
    fix: "Remove the annotation from the template.",
    bad: "spec:\n  template:\n    metadata:\n      annotations: {supercargo.dev/profile: scan}\n",
    good: "spec:\n  template:\n    metadata: {}\n",
    catalogue: None,
    parameters: parameters::<ReservedAnnotation>,
    compile: compile::<ReservedAnnotation>,
};

/// No parameters.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReservedAnnotation {}

impl Check for ReservedAnnotation {
    fn check(&self, input: &Input<'_>, found: &mut Vec<Finding>) {
        // The template as it was sent: the pod that will run has these annotations from us.
        let Some(template) = input.workload.pod().filter(|_| !input.workload.is_pod()) else { return };
        for key in [PLACEMENT_ANNOTATION, PROFILE_ANNOTATION] {
            if template.annotation(key).is_some() {
                found.push(Finding {
                    rule: RULE.id,
                    pointer: template.pointer(&format!("/metadata/annotations/{}", escape(key))),
                    subject: Subject { container: None, key: Some(key.to_owned()) },
                    message: format!("annotation {key} is written by Supercargo and means nothing in a template"),
                    fix: format!("remove {key} from the template's annotations"),
                    digest: None,
                    fingerprint: None,
                    at_most: Action::Deny,
                });
            }
        }
    }
}
