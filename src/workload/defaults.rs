//! What the API server fills in before a pod runs: its own defaults, then the namespace's LimitRanges.
//!
//! Templates do not get these when they are stored, only the pods made from them do. So a template is judged on a copy to
//! which they have been applied. They are edits like a mutator's, but their patch is never sent.

use serde_json::Value;

use super::{LimitRange, Pod, Role};
use crate::patch::{EditError, Editor};

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
            additions.push((pod.path(["spec"]), ("restartPolicy".to_owned(), Value::from("Always"))));
        }
        let containers =
            pod.containers().map(|container| (container.path(["resources", "requests"]), container.node()));
        for (requests, owner) in containers.chain([(pod.path(["spec", "resources", "requests"]), spec)]) {
            let Some(resources) = owner.get("resources") else { continue };
            for (name, limit) in resources.entries("limits").take(RESOURCES) {
                if resources.path(&["requests", name]).is_none() {
                    additions.push((requests, (name.to_owned(), limit.to_value())));
                }
            }
        }
    }
    additions.into_iter().try_for_each(|(path, (key, value))| editor.add_members(&path, [(key, value.into())]))
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
                            let amount = Value::from(amount.as_str());
                            additions.push((container.path(["resources", side]), (resource.clone(), amount)));
                        }
                    }
                }
            }
        }
        additions.into_iter().try_for_each(|(path, (key, value))| editor.add_members(&path, [(key, value.into())]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

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
