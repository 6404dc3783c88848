//! A patch of ours, applied to a tree in the order of its text, and shown: as YAML, as a diff.

use json_patch::{Patch, PatchOperation};
use similar::TextDiff;

use crate::secrets;
use crate::tree::{Node, tokens};

/// Applies additions, the only operations that mutators make; `None` when one does not fit.
pub(super) fn apply(tree: &mut Node<'static>, patch: &Patch) -> Option<()> {
    for operation in &patch.0 {
        let PatchOperation::Add(add) = operation else { return None };
        let pointer = add.path.as_str();
        let value = Node::from(add.value.clone());
        let Some(at) = pointer.rfind('/') else {
            *tree = value;
            continue;
        };
        let (parent, key) = pointer.split_at(at);
        let key = tokens(key)?.next()?.into_owned();
        match tree.pointer_mut(parent)? {
            Node::Object(map) => map.insert(key, value),
            Node::Array(items) if key == "-" => items.push(value),
            Node::Array(items) => {
                let index = key.parse().ok().filter(|&index: &usize| index <= items.len())?;
                items.insert(index, value);
            }
            _ => return None,
        }
    }
    Some(())
}

/// The object as YAML.
pub(super) fn yaml(tree: &Node<'_>) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(tree)?)
}

/// What a patch changes, as a unified diff of YAML; empty when nothing.
pub(super) fn diff(before: &Node<'_>, after: &Node<'_>, from: &str, to: &str) -> anyhow::Result<String> {
    let (before, after) = (yaml(before)?, yaml(after)?);
    Ok(TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).header(from, to).to_string())
}

/// Puts words in the place of every value in a pod that looks like a secret.
pub(super) fn hide_secrets(tree: &mut Node<'static>) {
    let mut pointers = Vec::new();
    let options = secrets::Options { password_hashes: true, ..secrets::Options::default() };
    secrets::scan_any(tree, &options, &mut |detection| pointers.push(detection.pointer));
    for pointer in pointers {
        if let Some(node) = tree.pointer_mut(&pointer) {
            *node = Node::String("(looks like a secret: not shown)".into());
        }
    }
}
