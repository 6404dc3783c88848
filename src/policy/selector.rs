//! Selecting by label and by name, with the semantics of `metav1.LabelSelector`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fields::Problems;
use crate::tree::Node;

/// A label selector as Kubernetes has it; empty selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels that must have exactly these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions; all must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How its value is compared.
    pub operator: Operator,
    /// What it is compared with; none for Exists and DoesNotExist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is missing.
    NotIn,
    /// It is there.
    Exists,
    /// It is missing.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether it selects something whose labels `label` looks up.
    pub fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.match_labels.iter().all(|(key, value)| label(key) == Some(value.as_str()))
            && self.match_expressions.iter().all(|requirement| {
                let value = label(&requirement.key);
                let listed = value.is_some_and(|value| requirement.values.iter().any(|wanted| wanted == value));
                match requirement.operator {
                    Operator::In => listed,
                    Operator::NotIn => !listed,
                    Operator::Exists => value.is_some(),
                    Operator::DoesNotExist => value.is_none(),
                }
            })
    }

    /// Whether it says anything about the label `key`.
    pub fn mentions(&self, key: &str) -> bool {
        self.match_labels.contains_key(key) || self.match_expressions.iter().any(|requirement| requirement.key == key)
    }

    /// Reads a selector out of an object; `None` when it is no valid one.
    pub fn from_node(node: &Node<'_>) -> Option<LabelSelector> {
        serde_json::from_value(node.to_value()).ok()
    }

    /// Reports what a selector of an operator may not hold.
    pub(super) fn check(&self, at: &str, problems: &mut Problems) {
        for (key, value) in &self.match_labels {
            problems.label_key(&format!("{at}/matchLabels"), key);
            problems.label_value(&format!("{at}/matchLabels"), key, value);
        }
        for (index, requirement) in self.match_expressions.iter().enumerate() {
            let at = format!("{at}/matchExpressions/{index}");
            problems.label_key(&format!("{at}/key"), &requirement.key);
            let wants_values = matches!(requirement.operator, Operator::In | Operator::NotIn);
            if wants_values == requirement.values.is_empty() {
                let what = if wants_values { "needs at least one value" } else { "takes no values" };
                problems.add(format!("{at}/values"), format!("operator {:?} {what}", requirement.operator));
            }
            // It may come to stand in a pod's affinity, where the API server takes no others.
            for value in &requirement.values {
                problems.label_value(&at, "values", value);
            }
        }
    }
}

/// Names with `*` for any run of characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NamePatterns {
    /// Names that are meant; `*` stands for any run of characters.
    pub include: Vec<String>,
    /// Names that are not, whatever `include` says.
    pub exclude: Vec<String>,
}

impl Default for NamePatterns {
    fn default() -> Self {
        NamePatterns { include: vec!["*".to_owned()], exclude: Vec::new() }
    }
}

impl NamePatterns {
    /// Reports what leaves out more than anybody means: all namespaces.
    pub(super) fn check(&self, at: &str, problems: &mut Problems) {
        for (list, patterns) in [("include", &self.include), ("exclude", &self.exclude)] {
            for (index, pattern) in patterns.iter().enumerate() {
                problems.namespace_pattern(&format!("{at}/{list}/{index}"), pattern);
            }
        }
        if self.include.is_empty() {
            problems.add(
                format!("{at}/include"),
                "is empty, so that nothing is judged: name namespaces, or leave it out for all of them",
            );
        } else if self.include.iter().all(|pattern| any_glob(&self.exclude, pattern)) {
            problems.add(
                format!("{at}/exclude"),
                "takes back all that include names, so that nothing is judged: exclude fewer namespaces",
            );
        }
    }

    /// Whether `name` is meant.
    pub fn matches(&self, name: &str) -> bool {
        any_glob(&self.include, name) && !any_glob(&self.exclude, name)
    }
}

/// Whether one of the patterns matches all of `name`.
pub fn any_glob(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| glob(pattern, name))
}

/// Whether `pattern`, in which `*` stands for any run of characters, matches all of `name`.
///
/// Backtracks to the last star only, so it takes at most the product of both lengths.
pub fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if pattern.get(p) == Some(&name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, n) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("kube-*", "kube-system", true),
            ("kube-*", "my-kube-system", false),
            ("*-kube", "my-kube", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("shop", "shop2", false),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn selectors_mean_what_kubernetes_says() {
        let labels = BTreeMap::from([("app", "web"), ("tier", "front")]);
        let selects = |yaml: serde_json::Value| {
            let selector: LabelSelector = serde_json::from_value(yaml).unwrap();
            selector.matches(|key| labels.get(key).copied())
        };
        assert!(selects(json!({})));
        assert!(selects(json!({"matchLabels": {"app": "web"}})));
        assert!(!selects(json!({"matchLabels": {"app": "db"}})));
        let expression = |key: &str, operator: &str, values: &[&str]| {
            selects(json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}))
        };
        assert!(expression("app", "In", &["db", "web"]));
        assert!(!expression("nope", "In", &["web"]));
        assert!(expression("nope", "NotIn", &["web"]));
        assert!(!expression("app", "NotIn", &["web"]));
        assert!(expression("app", "Exists", &[]) && !expression("app", "DoesNotExist", &[]));
    }
}
