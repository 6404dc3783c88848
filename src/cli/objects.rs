//! Nodes and pods in files: what of them cannot be read is said, as an answer without it would be wrong.

use crate::fields::dotted;
use crate::packing::unreadable;
use crate::printable::printable;
use crate::source::{Document, File, Problem};

/// Whether this is the Node of Kubernetes; others have objects of this kind, too.
pub(super) fn is_node(document: &Document<'_>) -> bool {
    document.group.is_empty() && document.kind == "Node"
}

/// Whether this is a Pod.
pub(super) fn is_pod(document: &Document<'_>) -> bool {
    document.group.is_empty() && document.kind == "Pod"
}

/// What of a Node or Pod cannot be read; nothing of other documents.
pub(super) fn problems(file: &File, document: &Document<'_>) -> Vec<Problem> {
    let unreadable = match document {
        node if is_node(node) => unreadable::of_node(&node.tree),
        pod if is_pod(pod) => unreadable::of_pod(&pod.tree),
        _ => return Vec::new(),
    };
    let name = match (document.namespace(), document.name()) {
        (Some(namespace), Some(name)) => format!(" {namespace}/{name}"),
        (None, Some(name)) => format!(" {name}"),
        (_, None) => String::new(),
    };
    let problem = |(at, message): (String, String)| Problem {
        file: file.name.clone(),
        place: Some(document.place(&at)),
        message: format!("{}{}: {} {message}", document.kind, printable(&name), printable(&dotted(&at))),
        help: None,
    };
    unreadable.into_iter().map(problem).collect()
}
