//! What operators write: GuardPolicy, PodProfile, Exemption, as plain types, and how they are compiled.
//!
//! Strict: an unknown field, a wrong type, a bad selector or an impossible quantity is an error that names the field and says
//! what would be right. Knows neither files nor the cluster; documents come in as trees.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tree::{Node, escape};

mod exemption;
mod guard;
pub mod profile;
pub mod selector;

use crate::fields::{self, Problems};
pub use exemption::{Exemption, ExemptionMatch, ExemptionSpec, Known};
pub use guard::{Guard, GuardMatch, GuardPolicySpec, GuardRule};
pub use profile::{PodProfileSpec, Profile, VolumeTypes};

/// `apiVersion` of the three kinds.
pub const API_VERSION: &str = "supercargo.dev/v1alpha1";

/// The three kinds.
pub const KINDS: [&str; 3] = ["Exemption", "GuardPolicy", "PodProfile"];

/// What `metadata` may hold: what people write, and what `kubectl get -o yaml` prints beside it. No namespace: our kinds are the
/// cluster's.
pub const METADATA: [&str; 14] = [
    "name",
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The policies in force, compiled.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    guards: Vec<Guard>,
    profiles: Vec<Profile>,
    exemptions: Vec<Exemption>,
}

/// A document that a policy set is compiled from.
#[derive(Clone, Copy, Debug)]
pub struct Document<'d> {
    /// The whole object.
    pub tree: &'d Node<'d>,
}

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{policy}: {}{message}", if field.is_empty() { String::new() } else { format!("{field}: ") })]
pub struct PolicyError {
    /// Which of the documents, counted from 0.
    pub document: usize,
    /// Kind and name, as far as they could be read: "GuardPolicy/baseline".
    pub policy: String,
    /// The field as a person writes it: "spec.rules.required-limits.cpu".
    pub field: String,
    /// The same as an RFC 6901 pointer.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// The members that every one of our objects has.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Object {
    /// `supercargo.dev/v1alpha1`
    pub api_version: String,
    /// GuardPolicy, PodProfile or Exemption.
    pub kind: String,
    /// Name, labels, annotations: as everywhere in Kubernetes.
    pub metadata: serde_json::Map<String, Value>,
    /// What the kind says.
    pub spec: Value,
    /// Written by the cluster, read by nobody here.
    #[serde(default)]
    pub status: Option<Value>,
}

impl PolicySet {
    /// Compiles documents, whose profiles may add volumes of these types; those that do not compile are left out and reported. Other
    /// kinds than ours are errors, too.
    pub fn compile(documents: &[Document<'_>], types: &VolumeTypes) -> (PolicySet, Vec<PolicyError>) {
        let mut set = PolicySet::default();
        let mut errors = Vec::new();
        for (index, document) in documents.iter().enumerate() {
            let mut problems = Problems::default();
            let kind = document.tree.str("kind").unwrap_or("object");
            let name = document.tree.path(&["metadata", "name"]).and_then(Node::as_str).unwrap_or("(no name)");
            let policy = format!("{kind}/{name}");
            set.add(document.tree, types, &mut problems);
            errors.extend(problems.list().into_iter().map(|(pointer, message)| PolicyError {
                document: index,
                policy: policy.clone(),
                field: fields::dotted(&pointer),
                pointer,
                message,
            }));
        }
        set.profiles.sort_by(|a, b| (a.spec.order, &a.name).cmp(&(b.spec.order, &b.name)));
        set.refuse_circles(documents, &mut errors);
        (set, errors)
    }

    /// Takes out profiles that select pods by a label which a profile adds: whether they match would depend on how often the
    /// webhook has been asked already.
    fn refuse_circles(&mut self, documents: &[Document<'_>], errors: &mut Vec<PolicyError>) {
        let added: BTreeMap<String, String> = self
            .profiles
            .iter()
            .flat_map(|profile| profile.spec.labels.keys().map(|key| (key.clone(), profile.name.clone())))
            .collect();
        self.profiles.retain(|profile| {
            let selector = &profile.spec.matches.pod_selector;
            let Some((key, by)) = added.iter().find(|(key, _)| selector.mentions(key)) else { return true };
            let document = documents.iter().position(|document| {
                document.tree.str("kind") == Some("PodProfile")
                    && document.tree.path(&["metadata", "name"]).and_then(Node::as_str) == Some(&profile.name)
            });
            errors.push(PolicyError {
                document: document.unwrap_or_default(),
                policy: format!("PodProfile/{}", profile.name),
                field: "spec.match.podSelector".to_owned(),
                pointer: "/spec/match/podSelector".to_owned(),
                message: format!(
                    "selects by label {key}, which PodProfile/{by} adds: select by labels that the pods' authors write"
                ),
            });
            false
        });
    }

    /// Adds one object when it is without fault.
    fn add(&mut self, tree: &Node<'_>, types: &VolumeTypes, problems: &mut Problems) {
        // First, as of another kind all else would be wrong as well.
        if let Some(kind) = tree.str("kind").filter(|kind| !KINDS.contains(kind)) {
            problems.add("/kind", format!("{kind:?} is none of our kinds: write one of {}", KINDS.join(", ")));
            return;
        }
        let Some(object) = fields::read::<Object>(tree.to_value(), "", problems) else { return };
        if object.api_version != API_VERSION {
            problems.add("/apiVersion", format!("{:?} is not known here: write {API_VERSION}", object.api_version));
            return;
        }
        let name = match object.metadata.get("name") {
            Some(Value::String(name)) => name.clone(),
            None | Some(Value::Null) => {
                problems.add("/metadata/name", "is missing: give the policy a name");
                return;
            }
            Some(_) => {
                problems.add("/metadata/name", "is no text: write the name in quotes");
                return;
            }
        };
        problems.object_name("/metadata/name", &name);
        check_metadata(&object.metadata, problems);
        if self.has(&object.kind, &name) {
            problems.add("/metadata/name", format!("there are two objects {}/{name}: rename one of them", object.kind));
            return;
        }
        match object.kind.as_str() {
            "GuardPolicy" => {
                let Some(spec) = fields::read(object.spec, "/spec", problems) else { return };
                let guard = Guard::compile(name, spec, problems);
                if problems.is_empty() {
                    self.guards.push(guard);
                }
            }
            "PodProfile" => {
                let Some(spec) = fields::read(object.spec, "/spec", problems) else { return };
                let profile = Profile::compile(name, spec, types, problems);
                if problems.is_empty() {
                    self.profiles.push(profile);
                }
            }
            "Exemption" => {
                let Some(spec) = fields::read(object.spec, "/spec", problems) else { return };
                let exemption = Exemption::compile(name, spec, problems);
                if problems.is_empty() {
                    self.exemptions.extend(exemption);
                }
            }
            _ => {}
        }
    }

    fn has(&self, kind: &str, name: &str) -> bool {
        match kind {
            "GuardPolicy" => self.guards.iter().any(|guard| guard.name == name),
            "PodProfile" => self.profiles.iter().any(|profile| profile.name == name),
            "Exemption" => self.exemptions.iter().any(|exemption| exemption.name == name),
            _ => false,
        }
    }

    /// Only the policy of this name, and all exemptions: to try one policy by itself. `None` when there is none.
    pub fn only(&self, name: &str) -> Option<PolicySet> {
        let guards: Vec<Guard> = self.guards.iter().filter(|guard| guard.name == name).cloned().collect();
        let profiles: Vec<Profile> = self.profiles.iter().filter(|profile| profile.name == name).cloned().collect();
        if guards.is_empty() && profiles.is_empty() {
            return None;
        }
        Some(PolicySet { guards, profiles, exemptions: self.exemptions.clone() })
    }

    /// Whether there is neither a guard nor a profile: exemptions alone ask for nothing.
    pub fn is_idle(&self) -> bool {
        self.guards.is_empty() && self.profiles.is_empty()
    }

    /// The guards, in the order in which they were read.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// The profiles, by order and name.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// Whether an exemption means secrets by their fingerprints, and so holds only where there is a key.
    pub fn needs_fingerprints(&self) -> bool {
        self.exemptions.iter().any(|exemption| !exemption.spec.matches.fingerprints.is_empty())
    }

    /// The exemptions, in the order in which they were read.
    pub fn exemptions(&self) -> &[Exemption] {
        &self.exemptions
    }
}

fn check_metadata(metadata: &serde_json::Map<String, Value>, problems: &mut Problems) {
    for (key, value) in metadata.iter().filter(|(_, value)| !value.is_null()) {
        let at = format!("/metadata/{}", escape(key));
        match key.as_str() {
            "namespace" => problems.add(at, "our kinds are the cluster's and have no namespace: leave it out"),
            "labels" | "annotations" => {
                fields::read::<BTreeMap<String, String>>(value.clone(), &at, problems);
            }
            key if METADATA.contains(&key) => {}
            key => {
                problems.add(at, format!("unknown field `{key}`, expected one of `name`, `labels`, `annotations`"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(value: Value) -> Vec<(String, String)> {
        let tree = Node::from(value);
        let (_, errors) = PolicySet::compile(&[Document { tree: &tree }], &VolumeTypes::default());
        errors.into_iter().map(|error| (error.field, error.message)).collect()
    }

    fn guard(spec: impl Into<Value>) -> Value {
        json!({"apiVersion": API_VERSION, "kind": "GuardPolicy", "metadata": {"name": "g"}, "spec": spec.into()})
    }

    fn profile(spec: impl Into<Value>) -> Value {
        json!({"apiVersion": API_VERSION, "kind": "PodProfile", "metadata": {"name": "p"}, "spec": spec.into()})
    }

    #[track_caller]
    fn assert_error(value: Value, field: &str, words: &str) {
        let errors = errors(value);
        assert!(errors.iter().any(|(f, m)| f == field && m.contains(words)), "wanted {field}: {words}, got {errors:?}");
    }

    #[test]
    fn mistakes_name_their_field() {
        assert_error(
            guard(json!({"rules": {"required-limits": {"cpus": true}}})),
            "spec.rules.required-limits.cpus",
            "expected one of",
        );
        assert_error(
            guard(json!({"rules": {"required-limits": {"cpu": "yes"}}})),
            "spec.rules.required-limits.cpu",
            "boolean",
        );
        assert_error(guard(json!({"rules": {"no-such": {}}})), "spec.rules.no-such", "required-limits");
        assert_error(guard(json!({"rule": {}})), "spec.rule", "expected one of");
        assert_error(
            guard(json!({"rules": {"required-limits": {"action": "Block"}}})),
            "spec.rules.required-limits.action",
            "Deny",
        );
        assert_error(
            guard(json!({"rules": {"required-limits": {}}, "match": {"kinds": ["Deploy"]}})),
            "spec.match.kinds[0]",
            "Deployment",
        );
        let selector = json!({"matchExpressions": [{"key": "a", "operator": "In"}]});
        assert_error(
            guard(json!({"rules": {"required-limits": {}}, "match": {"objectSelector": selector}})),
            "spec.match.objectSelector.matchExpressions[0].values",
            "at least one",
        );
        assert_error(
            json!({"apiVersion": API_VERSION, "kind": "Guard", "metadata": {"name": "x"}, "spec": {}}),
            "kind",
            "GuardPolicy",
        );
        assert_error(
            json!({"apiVersion": "v1", "kind": "GuardPolicy", "metadata": {"name": "x"}, "spec": {}}),
            "apiVersion",
            API_VERSION,
        );
        // Of another kind everything else would be wrong as well.
        assert_error(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {}}), "kind", "GuardPolicy");
    }

    #[test]
    fn profiles_may_not_do_everything() {
        assert_error(profile(json!({"match": {}, "labels": {"team": "x"}})), "spec.labels.team", "domain");
        assert_error(
            profile(json!({"match": {}, "labels": {"batch.kubernetes.io/job-name": "x"}})),
            "spec.labels.batch.kubernetes.io/job-name",
            "controllers",
        );
        assert_error(
            profile(json!({"match": {}, "volumes": [{"name": "v", "hostPath": {"path": "/"}}]})),
            "spec.volumes[0].hostPath",
            "persistentVolumeClaim",
        );
        let amounts = json!({"containers": {"requests": {"cpu": "2"}, "limits": {"cpu": "1", "memory": "1GB"}}});
        assert_error(
            profile(json!({"match": {}, "resources": amounts})),
            "spec.resources.containers.limits.memory",
            "not a quantity",
        );
        assert_error(
            profile(json!({"match": {}, "resources": amounts})),
            "spec.resources.containers.requests.cpu",
            "more than the limit",
        );
        assert_error(
            profile(json!({"match": {}, "volumeMounts": [{"volume": "v", "mountPath": "src"}]})),
            "spec.volumeMounts[0].mountPath",
            "absolute",
        );
    }

    #[test]
    fn exemptions_end_with_their_last_day() {
        let value = json!({"apiVersion": API_VERSION, "kind": "Exemption", "metadata": {"name": "e"}, "spec": {
            "owner": "team", "reason": "soon", "expires": "2027-03-31", "rules": ["required-probes"], "match": {"namespaces": ["billing"]}}});
        let tree = Node::from(value);
        let (set, errors) = PolicySet::compile(&[Document { tree: &tree }], &VolumeTypes::default());
        assert_eq!(errors, []);
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        assert!(!set.exemptions()[0].has_expired(at("2027-03-31T23:59:59Z")));
        assert!(set.exemptions()[0].has_expired(at("2027-04-01T00:00:00Z")));
    }
}
