//! `profile-volume`: the volumes that a profile adds are where it says.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Check, Input, Rule, Standing, compile, parameters, pod_specs};
use crate::finding::{Action, Finding, ObjectionTo};

pub(super) const RULE: Rule = Rule {
    id: "profile-volume",
    summary: "A volume, mount or block device that stands in the way of the pod's PodProfile, or a source annotation that is missing or not allowed",
    looks_at: "pods that a PodProfile matches, and the templates of such pods",
    sees: pod_specs,
    default: Action::Deny,
    standing: Standing::Profile,
    searches: false,
    why: "A scan that finds another volume at the path of its sources reports on the wrong files, and a source path with `..` in it reads another team's.",
    fix: "Mount your own volume at another path, under another name, and say in the profile's annotation which folder the pod needs.",
    bad: "metadata:\n  annotations: {supercargo.dev/source: ../billing}\n",
    good: "metadata:\n  annotations: {supercargo.dev/source: web-shop}\n",
    catalogue: None,
    parameters: parameters::<ProfileVolume>,
    compile: compile::<ProfileVolume>,
};

/// No parameters.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProfileVolume {}

impl Check for ProfileVolume {
    fn check(&self, input: &Input<'_>, found: &mut Vec<Finding>) {
        for objection in input.objections.iter().filter(|objection| objection.to == ObjectionTo::Volume) {
            // A claim that is not there yet does not excuse a folder that is not allowed, though both are about one volume.
            let digest = Some(input.digester.digest(&objection.message));
            found.push(Finding { digest, ..objection.finding(RULE.id) });
        }
    }
}
