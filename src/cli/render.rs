//! An object before and after its patch, shown: as YAML, as a diff.

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

/// Puts words in the place of every value in a pod that looks like a secret.
pub(super) fn hide_secrets(tree: &mut Node<'_>) {
    let mut pointers = Vec::new();
    // A policy may count hashes as secrets, too; hiding one too many does no harm.
    let options = secrets::Options { password_hashes: true, ..secrets::Options::default() };
    secrets::scan_any(tree, &options, &mut |detection| pointers.push(detection.pointer));
    for pointer in pointers {
        if let Some(node) = tree.pointer_mut(&pointer) {
            *node = Node::String("(looks like a secret: not shown)".into());
        }
    }
}
