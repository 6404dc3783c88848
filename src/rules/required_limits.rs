//! `required-limits`: every container says how much it may use.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Check, Input, MOST_FINDINGS, Rule, Standing, compile, parameters, pod_specs};
use crate::fields::Problems;
use crate::finding::{Action, Finding, Subject};
use crate::quantity::Quantity;
use crate::tree::Node;
use crate::workload::{Role, resources};

pub(super) const RULE: Rule = Rule {
    id: "required-limits",
    summary: "A container without a cpu or memory limit",
    looks_at: "all containers and init containers of every kind with a pod spec; ephemeral containers cannot have limits",
    sees: pod_specs,
    default: Action::Deny,
    standing: Standing::Listed,
    searches: false,
    why: "Without a limit one container can take the whole node's memory or processor, and its neighbours are killed or starved for it.",
    fix: "Set resources.limits on the container, or spec.resources.limits for the whole pod; a LimitRange or a PodProfile may also fill them in.",
    bad: "containers:\n  - name: app\n    image: registry.example.com/app:1.0\n",
    good: "containers:\n  - name: app\n    image: registry.example.com/app:1.0\n    resources:\n      requests: {cpu: 100m, memory: 128Mi}\n      limits: {cpu: 500m, memory: 256Mi}\n",
    catalogue: None,
    parameters: parameters::<RequiredLimits>,
    compile: compile::<RequiredLimits>,
};

/// Which limits are required.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct RequiredLimits {
    /// A limit for cpu.
    cpu: bool,
    /// A limit for memory.
    memory: bool,
    /// A limit for ephemeral-storage.
    ephemeral_storage: bool,
}

impl Default for RequiredLimits {
    fn default() -> Self {
        RequiredLimits { cpu: true, memory: true, ephemeral_storage: false }
    }
}

/// What is wrong with a limit.
enum Trouble {
    Missing,
    Unreadable,
    Nothing,
}

fn trouble(limit: Option<&Node<'_>>) -> Option<Trouble> {
    let Some(limit) = limit else { return Some(Trouble::Missing) };
    match resources::quantity(limit) {
        Ok(quantity) if quantity > Quantity::ZERO => None,
        Ok(_) => Some(Trouble::Nothing),
        Err(_) => Some(Trouble::Unreadable),
    }
}

impl Check for RequiredLimits {
    fn doubt(&self, at: &str, problems: &mut Problems) {
        if !(self.cpu || self.memory || self.ephemeral_storage) {
            problems.add(at, "requires no limit: set cpu, memory or ephemeralStorage to true, or leave the rule out");
        }
    }

    fn check(&self, input: &Input<'_>, found: &mut Vec<Finding>) {
        let Some(pod) = input.pod else { return };
        let wanted = [
            (self.cpu, "cpu", "500m"),
            (self.memory, "memory", "256Mi"),
            (self.ephemeral_storage, "ephemeral-storage", "1Gi"),
        ];
        // A limit on the pod bounds its containers together; only cpu and memory can be set there.
        let on_the_pod = |resource: &str| {
            resources::POD_LEVEL.contains(&resource) && resources::is_set(pod.resource("limits", resource))
        };
        let wanted = wanted.map(|(wanted, resource, example)| (wanted && !on_the_pod(resource), resource, example));
        for container in pod.containers().filter(|container| container.role() != Role::Ephemeral) {
            if found.len() >= MOST_FINDINGS {
                return;
            }
            for (_, resource, example) in wanted.into_iter().filter(|(wanted, ..)| *wanted) {
                let Some(trouble) = trouble(container.resource("limits", resource)) else { continue };
                found.push(Finding {
                    rule: RULE.id,
                    pointer: container.pointer(&format!("/resources/limits/{resource}")),
                    subject: Subject { container: Some(container.name().to_owned()), key: Some(resource.to_owned()) },
                    message: match trouble {
                        Trouble::Missing => format!("no {resource} limit"),
                        Trouble::Unreadable => format!("the {resource} limit is no quantity"),
                        Trouble::Nothing => format!("the {resource} limit is 0, which bounds nothing"),
                    },
                    fix: format!("set resources.limits.{resource} on it, for example {resource}: {example}"),
                    digest: None,
                    fingerprint: None,
                    at_most: Action::Deny,
                });
            }
        }
    }
}
