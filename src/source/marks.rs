//! Where in a text each value of a tree stands.

use crate::tree::{Node, tokens};

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// The place of a value, and of the values in it; the same shape as the tree it belongs to.
///
/// A member of a map stands where its key does: that is what an editor should jump to.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    pub(super) place: Place,
    pub(super) below: Vec<Marks>,
}

impl Marks {
    /// The place of the value at an RFC 6901 pointer into `tree`; of the nearest parent that exists when it does not, and of the last
    /// one when a key stands twice, as [`Map::get`](crate::tree::Map::get).
    pub fn place(&self, tree: &Node<'_>, pointer: &str) -> Place {
        let (mut marks, mut node) = (self, tree);
        for token in tokens(pointer).into_iter().flatten() {
            let found = match node {
                Node::Object(map) => {
                    map.iter().enumerate().filter(|(_, (key, _))| *key == token).map(|(i, (_, n))| (i, n)).last()
                }
                Node::Array(items) => token.parse().ok().and_then(|index: usize| Some((index, items.get(index)?))),
                _ => None,
            };
            let Some((index, below)) = found else { break };
            let Some(mark) = marks.below.get(index) else { break };
            (marks, node) = (mark, below);
        }
        marks.place
    }

    /// The marks of a list's items, in order.
    pub(super) fn into_below(self) -> Vec<Marks> {
        self.below
    }
}
