//! A place that the program knows the way to: what a pointer says, without text to take apart.

use std::fmt::Write;
use std::ops::Deref;

use super::Node;

/// One step of the way: the name of a member, or the index of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a map; of letters only, so that it means the same in a tree, in a pointer and in JSON.
    Key(&'static str),
    /// Into a list.
    Index(usize),
}

/// Four to the pod of a CronJob, and five to the limits of a container.
const LONGEST: usize = 10;

/// The steps from an object's root.
#[derive(Clone, Copy)]
pub struct Path {
    steps: [Step; LONGEST],
    len: usize,
}

impl Path {
    /// Starts at a pointer of names; panics when it is longer than any of a pod is.
    #[inline]
    pub fn at(pointer: &'static str) -> Self {
        let mut path = Path { steps: [Step::Index(0); LONGEST], len: 0 };
        if !pointer.is_empty() {
            path.walk(pointer);
        }
        path
    }

    fn walk(&mut self, pointer: &'static str) {
        pointer.split('/').skip(1).for_each(|key| self.push(Step::Key(key)));
    }

    /// One step further, into a map; panics when the path is longer than any into a pod is.
    #[must_use]
    #[inline]
    pub fn key(self, key: &'static str) -> Self {
        self.keys([key])
    }

    /// The same, into maps within each other.
    #[must_use]
    #[inline]
    pub fn keys<const N: usize>(mut self, keys: [&'static str; N]) -> Self {
        for key in keys {
            self.push(Step::Key(key));
        }
        self
    }

    /// The same, into a list.
    #[must_use]
    #[inline]
    pub fn index(mut self, index: usize) -> Self {
        self.push(Step::Index(index));
        self
    }

    #[inline]
    fn push(&mut self, step: Step) {
        debug_assert!(
            !matches!(step, Step::Key(key) if !key.bytes().all(|byte| byte.is_ascii_alphabetic())),
            "{step:?}"
        );
        self.steps[self.len] = step;
        self.len += 1;
    }
}

impl Deref for Path {
    type Target = [Step];

    fn deref(&self) -> &[Step] {
        &self.steps[..self.len]
    }
}

/// Writes steps as a JSON pointer.
pub(crate) fn write_steps(steps: &[Step], out: &mut String) {
    for step in steps {
        out.push('/');
        match step {
            Step::Key(key) => out.push_str(key),
            // Writing to a String cannot fail.
            Step::Index(index) => drop(write!(out, "{index}")),
        }
    }
}

/// The pointer of so many steps.
pub(crate) fn pointer(steps: &[Step]) -> String {
    let mut pointer = String::new();
    write_steps(steps, &mut pointer);
    pointer
}

impl<'a> Node<'a> {
    /// The value at a path, `null`s included.
    pub fn at(&self, path: &[Step]) -> Option<&Node<'a>> {
        path.iter().try_fold(self, |node, step| match (node, step) {
            (Node::Object(map), Step::Key(key)) => map.get(key),
            (Node::Array(items), Step::Index(index)) => items.get(*index),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::KINDS;

    #[test]
    fn the_longest_path_into_a_pod_is_no_longer() {
        for kind in KINDS.iter().filter_map(|kind| kind.pod) {
            let path = Path::at(kind).keys(["spec", "initContainers"]).index(11).keys(["resources", "requests"]);
            let expected = format!("{kind}/spec/initContainers/11/resources/requests");
            assert_eq!(pointer(&path), expected);
        }
    }

    #[test]
    fn a_path_leads_where_its_pointer_leads() {
        let node = Node::read(r#"{"a": [{"b": null}, {"b": 1}], "c": {"d": 2}}"#).unwrap();
        for path in [
            Path::at(""),
            Path::at("/c/d"),
            Path::at("/a").index(1).key("b"),
            Path::at("/a").index(0).key("b"),
            Path::at("/a").index(2),
            Path::at("/a/b"),
            Path::at("/c").index(0),
            Path::at("/x"),
        ] {
            assert!(node.at(&path) == node.pointer(&pointer(&path)));
        }
    }
}
