//! Requests and limits as the scheduler and the validation of the API server read them.

use std::borrow::Cow;

use super::Pod;
use crate::quantity::{Quantity, QuantityError, parse};
use crate::tree::Node;

/// "requests" and "limits", as fields are called.
pub const SIDES: [&str; 2] = ["requests", "limits"];

/// What pod-level resources can bound; the rest stays with the containers.
pub const POD_LEVEL: [&str; 2] = ["cpu", "memory"];

/// A quantity as it may stand in an object: text, or a bare number in YAML.
pub fn quantity(node: &Node<'_>) -> Result<Quantity, QuantityError> {
    parse(&text(node))
}

/// The text of a quantity.
pub fn text<'n>(node: &'n Node<'_>) -> Cow<'n, str> {
    match node {
        Node::String(text) => Cow::Borrowed(text),
        Node::Number(number) => Cow::Owned(number.to_string()),
        _ => Cow::Borrowed(""),
    }
}

/// Whether a quantity is there, readable, and more than nothing: a limit of "0" bounds nothing.
pub fn is_set(node: Option<&Node<'_>>) -> bool {
    node.is_some_and(|node| quantity(node).is_ok_and(|quantity| quantity > Quantity::ZERO))
}

/// The sum over the containers that run side by side (app containers and sidecars), when all that state it can be read.
pub fn sum_of_running(pod: &Pod<'_>, side: &str, resource: &str) -> Quantity {
    let running =
        pod.containers().filter(|container| matches!(container.role(), super::Role::App | super::Role::Sidecar));
    running
        .filter_map(|container| quantity(container.resource(side, resource)?).ok())
        .fold(Quantity::ZERO, Quantity::plus)
}
