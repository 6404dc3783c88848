//! An object before and after its patch, shown: as YAML, as a diff.

use std::collections::HashSet;
use std::mem;

use aho_corasick::AhoCorasick;
use similar::TextDiff;

use crate::secrets;
use crate::tree::Node;

/// The object as YAML.
pub(super) fn yaml(tree: &Node<'_>) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(tree)?)
}

/// What a patch changes, as a unified diff of YAML; empty when nothing.
pub(super) fn diff(before: &Node<'_>, after: &Node<'_>, from: &str, to: &str) -> anyhow::Result<String> {
    let (before, after) = (yaml(before)?, yaml(after)?);
    Ok(TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).header(from, to).to_string())
}

/// In the place of a secret.
const HIDDEN: &str = "(looks like a secret: not shown)";

/// What the search for what to hide may cost, see [`secrets::BUDGET`]: nobody's API server waits here, so it may take two seconds.
const THOROUGH: usize = 1 << 30;

/// Puts words in the place of every value in a pod that looks like a secret, and of kubectl's copy of the manifest, which holds them again.
pub(super) fn hide_secrets(tree: &mut Node<'_>) {
    hide_within(tree, THOROUGH);
}

fn hide_within(tree: &mut Node<'_>, budget: usize) {
    let (mut pointers, mut values) = (HashSet::new(), HashSet::new());
    // A policy may count hashes as secrets, too; hiding one too many does no harm.
    let options = secrets::Options { password_hashes: true, budget, ..secrets::Options::default() };
    let scanned = secrets::scan_any(tree, &options, &mut |detection| {
        pointers.insert(detection.pointer());
        values.insert(detection.value.for_digest().to_owned());
    });
    // The same value may stand where nothing gives it away: behind a flag, in a command. Shorter ones are words.
    let again = AhoCorasick::new(values.iter().filter(|value| value.len() >= 8));
    let again = |text: &str| again.as_ref().map_or(true, |again| again.is_match(text));
    for pointer in pointers {
        if let Some(node) = tree.pointer_mut(&pointer) {
            *node = Node::String(HIDDEN.into());
        }
    }
    *tree = noted(mem::take(tree), "", &|key, node| match node {
        Node::String(_) if key == secrets::LAST_APPLIED => Some("(a copy of the manifest: not shown)"),
        Node::String(text) if again(text) => Some(HIDDEN),
        // What was not searched is not known to be none.
        Node::String(_) | Node::Number(_) if !scanned.complete => Some("(too large to be searched: not shown)"),
        _ => None,
    });
}

/// The tree with words in the place of what `words` has some for, by the key that it stands under.
fn noted<'a>(node: Node<'a>, key: &str, words: &dyn Fn(&str, &Node<'_>) -> Option<&'static str>) -> Node<'a> {
    if let Some(words) = words(key, &node) {
        return Node::String(words.into());
    }
    match node {
        Node::Array(items) => Node::Array(items.into_iter().map(|item| noted(item, key, words)).collect()),
        Node::Object(map) => {
            let members = map.into_iter().map(|(key, member)| {
                let member = noted(member, &key, words);
                (key, member)
            });
            Node::Object(members.collect())
        }
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_hidden_wherever_it_stands() {
        let value = concat!("Xk29fj", "Qz81LmPq");
        let env = json!([{"name": "DB_PASSWORD", "value": value}, {"name": "APP_PASSWORD", "value": "app"}]);
        let object = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [
            {"name": "app", "env": env, "args": ["login", value, format!("db:{value}@host"), "application"]}]}});
        let mut tree = Node::from(&object);
        hide_secrets(&mut tree);
        let text = yaml(&tree).unwrap();
        assert!(!text.contains(value) && text.contains("application") && text.contains("name: app"), "{text}");
    }

    #[test]
    fn what_was_not_searched_is_not_shown() {
        let value = concat!("Xk29fj", "Qz81LmPq");
        let mut env = vec![json!({"name": "PASSWORD", "value": "changeme"}); 400];
        env.push(json!({"name": "DB_PASSWORD", "value": value}));
        env.push(json!({"name": "LEVEL", "value": "info"}));
        let object = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "env": env}]}});
        for (budget, shown) in [(THOROUGH, true), (10_000, false)] {
            let mut tree = Node::from(&object);
            hide_within(&mut tree, budget);
            let text = yaml(&tree).unwrap();
            assert!(!text.contains(value) && !text.contains("changeme"), "{text}");
            assert_eq!(text.contains("info"), shown, "{text}");
        }
    }
}
