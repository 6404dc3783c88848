//! Which profile added what: the engine runs again on the pod as it was sent, and what it adds is looked for on the pod as it is.

use serde_json::Value;

use super::Evidence;
use crate::engine::{Engine, Facts, create_request};
use crate::fields::dotted;
use crate::policy::PolicySet;
use crate::quantity;
use crate::tree::{Node, escape};
use crate::workload::{PLACEMENT_ANNOTATION, PROFILE_ANNOTATION, Pod};

/// Something that stands in a pod and did not before: the pointer of the member, or of the list that it is an item of.
#[derive(Clone, Debug, PartialEq)]
struct Addition {
    pointer: String,
    item: bool,
    value: Value,
}

pub(super) fn lines(evidence: &Evidence<'_>) -> Vec<String> {
    let profiles = Pod::new("", evidence.pod).annotation(PROFILE_ANNOTATION);
    let Some((sent, username)) = evidence.sent else {
        return match profiles {
            Some(names) => vec![format!(
                "by {names}; what, cannot be said, as the template that the pod was made from is not known"
            )],
            None => Vec::new(),
        };
    };
    let all = additions(evidence, sent, username, evidence.policies);
    if all.is_empty() {
        return profiles.map(|names| format!("by {names}, which is not among these policies")).into_iter().collect();
    }
    let alone: Vec<(&str, Vec<Addition>)> = evidence
        .policies
        .profiles()
        .iter()
        .filter_map(|profile| Some((profile, evidence.policies.only(&profile.name)?)))
        .map(|(profile, only)| (profile.name.as_str(), additions(evidence, sent, username, &only)))
        .collect();
    let (there, missing): (Vec<_>, Vec<_>) = all.into_iter().partition(|addition| addition.is_in(evidence.pod));
    let mut lines = Vec::new();
    for (name, own) in &alone {
        let mine: Vec<&Addition> = there.iter().filter(|addition| own.contains(addition)).collect();
        // The first to set a field wins.
        let before = alone.iter().take_while(|(other, _)| other != name);
        let before: Vec<&Addition> = before.flat_map(|(_, additions)| additions).collect();
        for addition in mine.into_iter().filter(|addition| !before.contains(addition)) {
            lines.push(format!("{name}: {}", addition.words(evidence.pod)));
        }
    }
    lines.extend(
        missing
            .iter()
            .map(|addition| format!("not on the pod, though it would be added now: {}", addition.words(sent))),
    );
    lines
}

/// What these policies add to the pod, but for where it should run: that may depend on the nodes.
fn additions(evidence: &Evidence<'_>, sent: &Node<'_>, username: &str, policies: &PolicySet) -> Vec<Addition> {
    let mut request = create_request(sent.clone(), &evidence.namespace.name);
    request.username = username.into();
    let facts = Facts { namespace: evidence.namespace, policies, now: evidence.now, packing: None };
    let Ok(outcome) = Engine::default().mutate(&request, facts) else { return Vec::new() };
    let mut after = sent.clone();
    if outcome.patch.apply(&mut after).is_err() {
        return Vec::new();
    }
    let mut found = Vec::new();
    differences(Some(sent), &after, "", &mut found);
    found.retain(|addition| {
        let annotation = addition.pointer.strip_prefix("/metadata/annotations/");
        !addition.pointer.starts_with("/spec/affinity")
            && annotation.is_none_or(|key| {
                ![PLACEMENT_ANNOTATION, PROFILE_ANNOTATION]
                    .map(|own| escape(own).into_owned())
                    .contains(&key.to_owned())
            })
    });
    found
}

/// Lists are only appended to (patch.rs), so items are the same by their places.
fn differences(before: Option<&Node<'_>>, after: &Node<'_>, at: &str, found: &mut Vec<Addition>) {
    match after {
        Node::Object(map) => {
            for (key, value) in map.iter() {
                differences(before.and_then(|before| before.get(key)), value, &format!("{at}/{}", escape(key)), found);
            }
        }
        Node::Array(items) => {
            let old = before.and_then(Node::as_array).unwrap_or_default();
            for (index, item) in items.iter().enumerate() {
                match old.get(index) {
                    Some(old) => differences(Some(old), item, &format!("{at}/{index}"), found),
                    None => found.push(Addition { pointer: at.to_owned(), item: true, value: item.to_value() }),
                }
            }
        }
        scalar if before.is_none() => {
            found.push(Addition { pointer: at.to_owned(), item: false, value: scalar.to_value() });
        }
        _ => {}
    }
}

impl Addition {
    /// Whether it stands in the pod as it is. Containers keep their places: injectors append theirs, and so do we.
    fn is_in(&self, pod: &Node<'_>) -> bool {
        let Some(there) = pod.pointer(&self.pointer) else { return false };
        if self.item {
            let items = there.as_array().unwrap_or_default();
            return items.iter().any(|item| holds(item, &self.value));
        }
        there.equals(&self.value) || same_amount(there, &self.value)
    }

    fn words(&self, pod: &Node<'_>) -> String {
        let tokens: Vec<String> = crate::tree::tokens(&self.pointer).into_iter().flatten().map(Into::into).collect();
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let text = |key: &str| self.value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let plain = || self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned);
        match tokens.as_slice() {
            ["metadata", "labels", key] => format!("label {key}={}", plain()),
            ["metadata", "annotations", key] => format!("annotation {key}={}", plain()),
            ["spec", "nodeSelector", key] => format!("nodeSelector {key}={}", plain()),
            ["spec", "tolerations"] => format!("toleration {}={}:{}", text("key"), text("value"), text("effect")),
            ["spec", "volumes"] => format!("volume {}", text("name")),
            ["spec", "topologySpreadConstraints"] => format!("spread over {}", text("topologyKey")),
            ["spec", list @ ("containers" | "initContainers"), index, rest @ ..] => {
                let name = pod.pointer(&format!("/spec/{list}/{index}/name")).and_then(Node::as_str).unwrap_or(index);
                match rest {
                    ["resources", side, resource] => format!("container {name}: {side} {resource}={}", plain()),
                    ["volumeMounts"] => format!("container {name}: volume {} at {}", text("name"), text("mountPath")),
                    _ => format!("container {name}: {}", rest.join(".")),
                }
            }
            _ => format!("{} {}", dotted(&self.pointer), self.value),
        }
    }
}

/// Whether `there` has all that `wanted` has; the API server fills in defaults.
fn holds(there: &Node<'_>, wanted: &Value) -> bool {
    match wanted {
        Value::Object(map) => map.iter().all(|(key, value)| there.get(key).is_some_and(|there| holds(there, value))),
        other => there.equals(other),
    }
}

/// "1000m" is stored as "1".
fn same_amount(there: &Node<'_>, wanted: &Value) -> bool {
    let parse = |text: &str| quantity::parse(text).ok();
    there.as_str().and_then(parse).zip(wanted.as_str().and_then(parse)).is_some_and(|(a, b)| a == b)
}
