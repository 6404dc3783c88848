//! `profile-label`: the labels that NetworkPolicies select by are the profile's.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Check, Input, Rule, Standing, compile, parameters, pod_specs};
use crate::finding::{Action, Finding, ObjectionTo};

pub(super) const RULE: Rule = Rule {
    id: "profile-label",
    summary: "A label that differs from what the pod's PodProfile gives it",
    looks_at: "pods that a PodProfile matches, and the templates of such pods; at CREATE and when an UPDATE changes the label",
    sees: pod_specs,
    default: Action::Deny,
    standing: Standing::Profile,
    searches: false,
    why: "NetworkPolicies select pods by these labels: whoever can choose another value chooses what the pod may reach.",
    fix: "Remove the label from the pod or template: the profile adds it. If the pod needs another value, it needs another profile.",
    bad: "metadata:\n  labels:\n    app.kubernetes.io/component: scan\n    network.supercargo.dev/egress: everywhere\n",
    good: "metadata:\n  labels:\n    app.kubernetes.io/component: scan\n",
    catalogue: None,
    parameters: parameters::<ProfileLabel>,
    compile: compile::<ProfileLabel>,
};

/// No parameters.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProfileLabel {}

impl Check for ProfileLabel {
    fn check(&self, input: &Input<'_>, found: &mut Vec<Finding>) {
        for objection in input.objections.iter().filter(|objection| objection.to == ObjectionTo::Label) {
            let key = objection.subject.key.as_deref().unwrap_or_default();
            // One wrong value does not excuse another, nor a missing label a wrong one.
            let value = input.workload.pod().and_then(|pod| pod.label(key));
            let digest = value.map(|value| input.digester.digest(value));
            found.push(Finding { digest, ..objection.finding(RULE.id) });
        }
    }
}
