//! GuardPolicy: which rules judge which objects, with which action.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::selector::{LabelSelector, NamePatterns};
use crate::facts::Namespace;
use crate::fields::{Problems, read};
use crate::finding::Action;
use crate::rules::{self, Check, Rule};
use crate::tree::escape;
use crate::workload::{KINDS, Workload};

/// `spec` of a GuardPolicy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GuardPolicySpec {
    /// The strongest action that this policy takes now, for a staged roll-out.
    #[serde(default = "deny")]
    pub enforcement: Action,
    /// What it judges; everything when left out.
    #[serde(default, rename = "match")]
    pub matches: GuardMatch,
    /// The strongest action against what a controller made from a template that was judged.
    #[serde(default = "warn")]
    pub controller_pods: Action,
    /// Rule ids, each with `action` (the rule's default when left out) and the rule's own parameters.
    pub rules: BTreeMap<String, Value>,
}

/// What a GuardPolicy judges: all of these must match.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct GuardMatch {
    /// Namespaces by name: nobody can give himself a name.
    pub namespaces: NamePatterns,
    /// Namespaces by label.
    pub namespace_selector: LabelSelector,
    /// Objects by their own labels.
    pub object_selector: LabelSelector,
    /// Kinds; all that the rule looks at when left out.
    pub kinds: Vec<String>,
}

fn deny() -> Action {
    Action::Deny
}

fn warn() -> Action {
    Action::Warn
}

/// A compiled GuardPolicy.
#[derive(Clone)]
pub struct Guard {
    /// `metadata.name`.
    pub name: String,
    /// What it judges.
    pub matches: GuardMatch,
    /// The strongest action against what a controller made.
    pub controller_pods: Action,
    /// Its rules, in the order of their ids.
    pub rules: Vec<GuardRule>,
}

/// One rule of a guard with its parameters.
#[derive(Clone)]
pub struct GuardRule {
    /// The rule's line in the table.
    pub rule: &'static Rule,
    /// What a finding leads to, `enforcement` counted in.
    pub action: Action,
    /// The rule's check with the parameters in it.
    pub check: Arc<dyn Check>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rules: Vec<_> = self.rules.iter().map(|rule| (rule.rule.id, rule.action)).collect();
        f.debug_struct("Guard")
            .field("name", &self.name)
            .field("matches", &self.matches)
            .field("rules", &rules)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// Checks a spec, reporting every mistake at its pointer.
    pub(super) fn compile(name: String, spec: GuardPolicySpec, problems: &mut Problems) -> Guard {
        spec.matches.namespaces.check("/spec/match/namespaces", problems);
        spec.matches.namespace_selector.check("/spec/match/namespaceSelector", problems);
        spec.matches.object_selector.check("/spec/match/objectSelector", problems);
        for (index, kind) in spec.matches.kinds.iter().enumerate() {
            if !KINDS.iter().any(|known| known.name == kind) {
                let known: Vec<_> = KINDS.iter().map(|known| known.name).collect();
                problems.add(
                    format!("/spec/match/kinds/{index}"),
                    format!("{kind:?} is not judged here: write one of {}", known.join(", ")),
                );
            }
        }
        if spec.rules.is_empty() {
            problems.add("/spec/rules", "names no rule: `supercargo explain` lists them");
        }
        let enforcement = spec.enforcement;
        let rules: Vec<GuardRule> =
            spec.rules.into_iter().filter_map(|(id, setting)| rule(&id, setting, enforcement, problems)).collect();
        let kinds: Vec<_> =
            KINDS.iter().filter(|kind| spec.matches.kinds.iter().any(|name| name == kind.name)).collect();
        for GuardRule { rule, .. } in &rules {
            if !kinds.is_empty() && !kinds.iter().any(|kind| (rule.sees)(kind)) {
                let message = format!("looks at none of match.kinds: it is for {}", rule.looks_at);
                problems.add(format!("/spec/rules/{}", rule.id), message);
            }
        }
        Guard { name, matches: spec.matches, controller_pods: spec.controller_pods, rules }
    }

    /// Whether it can judge something of this kind in a namespace of this name.
    pub fn concerns(&self, kind: &str, namespace: &str) -> bool {
        (self.matches.kinds.is_empty() || self.matches.kinds.iter().any(|wanted| wanted == kind))
            && self.matches.namespaces.matches(namespace)
    }

    /// Whether it judges this object.
    pub fn judges(&self, workload: &Workload<'_>, namespace: &Namespace) -> bool {
        let labels = workload.object.path(&["metadata", "labels"]);
        self.concerns(workload.kind.name, &namespace.name)
            && self.matches.namespace_selector.matches(|key| namespace.labels.get(key).map(String::as_str))
            && self.matches.object_selector.matches(|key| labels.and_then(|labels| labels.str(key)))
    }
}

fn rule(id: &str, setting: Value, enforcement: Action, problems: &mut Problems) -> Option<GuardRule> {
    let at = format!("/spec/rules/{}", escape(id));
    let Some(rule) = rules::find(id) else {
        let known: Vec<_> = rules::RULES.iter().map(|rule| rule.id).collect();
        problems.add(at, format!("there is no rule {id:?}: write one of {}", known.join(", ")));
        return None;
    };
    let mut parameters = match setting {
        Value::Null => serde_json::Map::new(),
        Value::Object(map) => map,
        _ => {
            problems.add(at, "is not a map: write {} or {action: Deny, …}");
            return None;
        }
    };
    let action = match parameters.remove("action") {
        None => rule.default,
        Some(action) => read(action, &format!("{at}/action"), problems)?,
    };
    let check = (rule.compile)(Value::Object(parameters), &at, problems)?;
    Some(GuardRule { rule, action: action.min(enforcement), check })
}
