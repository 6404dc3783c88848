//! What the API server fills in before a pod runs: its own defaults, then the namespace's LimitRanges.
//!
//! Templates do not get these when they are stored, only the pods made from them do. So a template is judged on a copy to
//! which they have been applied. They are edits like a mutator's, but their patch is never sent.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Pod, Role, resources};
use crate::patch::{EditError, Editor};
use crate::tree::{Node, escape};

/// One LimitRange's entries of type Container; the other types set no defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitRange {
    /// Limits for containers without, by resource.
    pub default: BTreeMap<String, String>,
    /// Requests for containers without.
    pub default_request: BTreeMap<String, String>,
    /// The largest limit allowed.
    pub max: BTreeMap<String, String>,
    /// The smallest request allowed.
    pub min: BTreeMap<String, String>,
}

impl LimitRange {
    /// Reads the entries of type Container of a LimitRange object, one for each.
    ///
    /// A missing default is the max, a missing default request is the default, or else the min: that is how the API server
    /// completes a LimitRange when it is stored, and one from a file may not have been there.
    pub fn read(object: &Node<'_>) -> Vec<LimitRange> {
        let entries = object.get("spec").map(|spec| spec.items("limits")).unwrap_or_default();
        let containers = entries.iter().filter(|entry| entry.str("type") == Some("Container"));
        containers
            .map(|entry| {
                let map = |key| -> BTreeMap<String, String> {
                    entry
                        .entries(key)
                        .map(|(name, node)| (name.to_owned(), resources::text(node).into_owned()))
                        .collect()
                };
                let mut range = LimitRange {
                    default: map("default"),
                    default_request: map("defaultRequest"),
                    max: map("max"),
                    min: map("min"),
                };
                let complete = |into: &mut BTreeMap<String, String>, from: &BTreeMap<String, String>| {
                    for (resource, amount) in from {
                        into.entry(resource.clone()).or_insert_with(|| amount.clone());
                    }
                };
                complete(&mut range.default, &range.max);
                complete(&mut range.default_request, &range.default);
                complete(&mut range.default_request, &range.min);
                range
            })
            .collect()
    }
}

/// Containers name a handful of resources. Whoever sends a hundred thousand is refused by the API server, but comes here
/// first, and looking each up in a list would take minutes.
const RESOURCES: usize = 64;

/// Fills in what every pod gets: `restartPolicy`, and requests equal to limits where only limits are set.
pub fn apply_api_defaults(at: &'static str, editor: &mut Editor<'_>) -> Result<(), EditError> {
    let mut additions = Vec::new();
    {
        let Some(pod) = editor.tree().pointer(at).map(|node| Pod::new(at, node)) else { return Ok(()) };
        let Some(spec) = pod.spec() else { return Ok(()) };
        if spec.get("restartPolicy").is_none() {
            additions.push((pod.pointer("/spec/restartPolicy"), Value::from("Always")));
        }
        let containers = pod.containers().map(|container| (container.pointer("/resources"), container.node()));
        for (pointer, owner) in containers.chain([(pod.pointer("/spec/resources"), spec)]) {
            let Some(resources) = owner.get("resources") else { continue };
            for (name, limit) in resources.entries("limits").take(RESOURCES) {
                if resources.path(&["requests", name]).is_none() {
                    additions.push((format!("{pointer}/requests/{}", escape(name)), limit.to_value()));
                }
            }
        }
    }
    additions.into_iter().try_for_each(|(pointer, value)| editor.add(&pointer, value))
}

/// Fills in what the LimitRanges of the namespace give to containers, as the LimitRanger does: all containers but
/// ephemeral ones, the first LimitRange that has an amount wins.
pub fn apply_limit_ranges(at: &'static str, editor: &mut Editor<'_>, ranges: &[LimitRange]) -> Result<(), EditError> {
    for range in ranges {
        let mut additions = Vec::new();
        {
            let Some(pod) = editor.tree().pointer(at).map(|node| Pod::new(at, node)) else { return Ok(()) };
            for container in pod.containers().filter(|container| container.role() != Role::Ephemeral) {
                for (side, amounts) in [("limits", &range.default), ("requests", &range.default_request)] {
                    for (resource, amount) in amounts {
                        if container.resource(side, resource).is_none() {
                            let pointer = container.pointer(&format!("/resources/{side}/{}", escape(resource)));
                            additions.push((pointer, Value::from(amount.as_str())));
                        }
                    }
                }
            }
        }
        additions.into_iter().try_for_each(|(pointer, value)| editor.add(&pointer, value))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &'static str, ranges: &[LimitRange]) -> Value {
        let pod = Node::read(text).unwrap();
        let mut editor = Editor::new(&pod);
        apply_api_defaults("", &mut editor).unwrap();
        apply_limit_ranges("", &mut editor, ranges).unwrap();
        editor.tree().to_value()
    }

    #[test]
    fn limits_alone_make_requests_and_restart_policy_is_always() {
        let pod = edited(r#"{"spec": {"containers": [{"resources": {"limits": {"cpu": "2"}}}]}}"#, &[]);
        assert_eq!(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"], "2");
        assert_eq!(pod["spec"]["restartPolicy"], "Always");
    }

    #[test]
    fn a_limit_range_with_max_alone_gives_limits_and_requests() {
        let object = Node::read(
            r#"{"spec": {"limits": [{"type": "Container", "max": {"cpu": 2}}, {"type": "Pod", "max": {"cpu": "9"}}]}}"#,
        );
        let ranges = LimitRange::read(&object.unwrap());
        assert_eq!(ranges.len(), 1);
        let pod = edited(
            r#"{"spec": {"containers": [{}], "initContainers": [{"resources": {"limits": {"cpu": "1"}}}], "ephemeralContainers": [{}]}}"#,
            &ranges,
        );
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            serde_json::json!({"limits": {"cpu": "2"}, "requests": {"cpu": "2"}})
        );
        assert_eq!(pod["spec"]["initContainers"][0]["resources"]["limits"]["cpu"], "1");
        assert_eq!(pod["spec"]["ephemeralContainers"][0], serde_json::json!({}));
    }
}
