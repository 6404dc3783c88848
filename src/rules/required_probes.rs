//! `required-probes`: what runs for long says whether it lives and whether it is ready.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Check, Input, MOST_FINDINGS, Rule, Standing, compile, parameters, pod_specs};
use crate::fields::Problems;
use crate::finding::{Action, Finding, Subject};
use crate::workload::{Container, INJECTED, PROBES, Pod};

pub(super) const RULE: Rule = Rule {
    id: "required-probes",
    summary: "A long-running container without liveness or readiness probe",
    looks_at: "app containers of pods and templates with restartPolicy Always; never Jobs, init, sidecar or ephemeral containers, nor the proxies of `exceptContainers`",
    sees: pod_specs,
    default: Action::Deny,
    standing: Standing::Listed,
    searches: false,
    why: "Without a readiness probe traffic reaches a container before it can answer; without a liveness probe one that hangs is never restarted.",
    fix: "Add livenessProbe and readinessProbe to the container, each with httpGet, tcpSocket, grpc or exec.",
    bad: "containers:\n  - name: app\n    image: registry.example.com/app:1.0\n    ports: [{containerPort: 8080}]\n",
    good: "containers:\n  - name: app\n    image: registry.example.com/app:1.0\n    ports: [{containerPort: 8080}]\n    livenessProbe: {httpGet: {path: /healthz, port: 8080}}\n    readinessProbe: {httpGet: {path: /readyz, port: 8080}}\n",
    catalogue: None,
    parameters: parameters::<RequiredProbes>,
    compile: compile::<RequiredProbes>,
};

/// Which probes are required.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct RequiredProbes {
    /// The probes that are looked for.
    probes: Vec<Probe>,
    /// Whether all of them must be there, or any one.
    need: Need,
    /// Containers that need none, by their whole names: what other webhooks inject, and the author of the pod cannot mend. A list of your own
    /// replaces this one.
    except_containers: Vec<String>,
}

/// A probe.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Probe {
    Liveness,
    Readiness,
    Startup,
}

/// How many of the probes must be there.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Need {
    All,
    Any,
}

impl Default for RequiredProbes {
    fn default() -> Self {
        RequiredProbes {
            probes: vec![Probe::Liveness, Probe::Readiness],
            need: Need::All,
            except_containers: INJECTED.map(str::to_owned).to_vec(),
        }
    }
}

impl Probe {
    /// Its word and its field.
    fn names(self) -> (&'static str, &'static str) {
        let [liveness, readiness, startup] = PROBES;
        match self {
            Probe::Liveness => liveness,
            Probe::Readiness => readiness,
            Probe::Startup => startup,
        }
    }
}

impl Check for RequiredProbes {
    fn doubt(&self, at: &str, problems: &mut Problems) {
        if self.probes.is_empty() {
            problems.add(
                format!("{at}/probes"),
                "is empty, so that no probe is required: write some of liveness, readiness, startup, or leave the rule out",
            );
        }
        for (index, probe) in self.probes.iter().enumerate() {
            if self.probes[..index].contains(probe) {
                problems
                    .add(format!("{at}/probes/{index}"), format!("{} is there twice: leave it out", probe.names().0));
            }
        }
        for (index, name) in self.except_containers.iter().enumerate() {
            problems.part_name(&format!("{at}/exceptContainers/{index}"), name);
        }
    }

    fn check(&self, input: &Input<'_>, found: &mut Vec<Finding>) {
        // A Job without restartPolicy would count as Always, which the API server refuses in a Job.
        if matches!(input.workload.kind.name, "Job" | "CronJob") {
            return;
        }
        let Some(pod) = input.pod.filter(Pod::restarts_always) else { return };
        let excepted = |container: &Container<'_>| self.except_containers.iter().any(|name| name == container.name());
        for container in pod.app_containers().filter(|container| !excepted(container)) {
            if found.len() >= MOST_FINDINGS {
                return;
            }
            let missing: Vec<_> = self
                .probes
                .iter()
                .map(|probe| probe.names())
                .filter(|(_, field)| container.probe(field).is_none())
                .collect();
            if self.need == Need::Any && missing.len() < self.probes.len() {
                continue;
            }
            let mut add = |word: &str, field: &str, message: String, fix: String| {
                found.push(Finding {
                    rule: RULE.id,
                    pointer: container.pointer(&format!("/{field}")),
                    subject: Subject { container: Some(container.name().to_owned()), key: Some(word.to_owned()) },
                    message,
                    fix,
                    digest: None,
                    fingerprint: None,
                    at_most: Action::Deny,
                });
            };
            match (self.need, missing.as_slice()) {
                (Need::Any, [(word, field), _, ..]) => {
                    let words: Vec<_> = missing.iter().map(|(word, _)| *word).collect();
                    let message = format!("none of the probes {}", words.join(", "));
                    add(
                        word,
                        field,
                        message,
                        format!("add one of them, for example {field}: {{httpGet: {{path: /healthz, port: 8080}}}}"),
                    );
                }
                _ => {
                    for (word, field) in &missing {
                        let message = format!("no {word} probe");
                        add(
                            word,
                            field,
                            message,
                            format!(
                                "add {field} to it, for example {field}: {{httpGet: {{path: /{}, port: 8080}}}}",
                                if *word == "readiness" { "readyz" } else { "healthz" }
                            ),
                        );
                    }
                }
            }
        }
    }
}
