//! A JSON tree that borrows from the text it was read from, and can still be edited.
//!
//! One type serves judging and editing: JSON is most of what a review costs, and a tree of borrowed strings takes half
//! the time of `serde_json::Value`. Knows JSON and JSON pointers (RFC 6901); knows nothing of Kubernetes but the one
//! field that it can leave out while reading, `metadata.managedFields`, which is a third of a Pod review.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{DeserializeSeed, Deserializer};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Number;

mod deserialize;
mod items;
mod path;
mod reader;
pub(crate) mod writer;

pub use items::Arena;
use items::Items;
pub use path::{Path, Step};
pub(crate) use path::{pointer, write_steps};
pub(crate) use reader::{Keep, Reader, Unreadable};

/// One JSON value.
///
/// `Debug` prints the shape only, never a scalar: trees hold what must not reach a log.
#[derive(Clone, Default, PartialEq)]
pub enum Node<'a> {
    /// `null`, and what a missing value reads as.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of up to 64 bits, or a double.
    Number(Number),
    /// A string, borrowed when it needed no unescaping.
    String(Cow<'a, str>),
    /// A list.
    Array(List<'a>),
    /// A map, in the order of the text.
    Object(Map<'a>),
}

/// The items of a list. Copies share them, where they are in an arena, until one is changed.
#[derive(Clone, Default)]
pub struct List<'a>(Items<'a, Node<'a>>);

/// The members of an object in the order of the text; look-ups are linear, as the maps of an API object are small. Copies share them, where
/// they are in an arena, until one is changed.
#[derive(Clone, Default)]
pub struct Map<'a>(Items<'a, Member<'a>>);

type Member<'a> = (Cow<'a, str>, Node<'a>);

/// The text is not JSON, is nested deeper than serde_json reads (128 levels), or has too many values.
#[derive(Debug, thiserror::Error)]
#[error("not readable as JSON: {0}")]
pub struct ReadError(serde_json::Error);

impl ReadError {
    /// Whether it is JSON, of more values than are read.
    pub fn is_too_large(&self) -> bool {
        // A tree takes any JSON: nothing but its own reader has anything against the data.
        self.0.is_data()
    }
}

// === impl Node ===

impl<'a> Node<'a> {
    /// Reads all of `text`.
    pub fn read(text: &'a str) -> Result<Self, ReadError> {
        deserialize::read(text, Keep::All).map_err(ReadError)
    }

    /// Reads an object as the API server sends it, leaving `metadata.managedFields` out.
    pub fn read_unmanaged(text: &'a str) -> Result<Self, ReadError> {
        deserialize::read(text, Keep::Unmanaged).map_err(ReadError)
    }

    /// Reads such an object where it is part of a larger text.
    pub fn deserialize_unmanaged<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize::Reader { keep: Keep::Unmanaged, bench: &deserialize::Bench::default() }.deserialize(deserializer)
    }

    /// The member `key` of an object; `None` when there is none, when it is `null`, or when this is no object.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.as_object()?.get(key).filter(|node| !matches!(node, Node::Null))
    }

    /// Follows member names downwards; `None` as soon as one is missing or `null`.
    pub fn path(&self, keys: &[&str]) -> Option<&Node<'a>> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The string that `key` holds.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The items of the list that `key` holds; empty when there is no such list.
    pub fn items(&self, key: &str) -> &[Node<'a>] {
        self.get(key).and_then(Node::as_array).unwrap_or_default()
    }

    /// The members of the object that `key` holds; empty when there is no such object.
    pub fn entries(&self, key: &str) -> impl Iterator<Item = (&str, &Node<'a>)> {
        self.get(key).and_then(Node::as_object).into_iter().flat_map(Map::iter)
    }

    /// The string, when this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// The list, when this is one.
    pub fn as_array(&self) -> Option<&[Node<'a>]> {
        match self {
            Node::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The map, when this is one.
    pub fn as_object(&self) -> Option<&Map<'a>> {
        match self {
            Node::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The truth value, when this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Node::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The value at an RFC 6901 pointer, `null`s included.
    pub fn pointer(&self, pointer: &str) -> Option<&Node<'a>> {
        // What a pod is asked for that is an object of its own, again and again.
        if pointer.is_empty() {
            return Some(self);
        }
        tokens(pointer)?.try_fold(self, |node, token| match node {
            Node::Object(map) => map.get(&token),
            Node::Array(items) => items.get(index(&token)?),
            _ => None,
        })
    }

    /// The value at an RFC 6901 pointer, to be changed.
    pub fn pointer_mut(&mut self, pointer: &str) -> Option<&mut Node<'a>> {
        tokens(pointer)?.try_fold(self, |node, token| match node {
            Node::Object(map) => map.get_mut(&token),
            Node::Array(items) => items.get_mut(index(&token)?),
            _ => None,
        })
    }

    /// The same tree with every string owned.
    pub fn into_owned(self) -> Node<'static> {
        match self {
            Node::Null => Node::Null,
            Node::Bool(value) => Node::Bool(value),
            Node::Number(number) => Node::Number(number),
            Node::String(text) => Node::String(Cow::Owned(text.into_owned())),
            Node::Array(items) => Node::Array(items.into_iter().map(Node::into_owned).collect()),
            Node::Object(map) => {
                Node::Object(map.into_iter().map(|(k, v)| (Cow::Owned(k.into_owned()), v.into_owned())).collect())
            }
        }
    }

    /// A tree of its own with the same JSON as `value`.
    pub fn copy_of(value: &serde_json::Value) -> Node<'static> {
        use serde_json::Value;
        match value {
            Value::String(text) => Node::String(Cow::Owned(text.clone())),
            Value::Array(items) => Node::Array(items.iter().map(Node::copy_of).collect()),
            Value::Object(map) => {
                Node::Object(map.iter().map(|(key, value)| (Cow::Owned(key.clone()), Node::copy_of(value))).collect())
            }
            scalar => Node::from(scalar).into_owned(),
        }
    }

    /// A `serde_json::Value` copy, for crates that want one.
    pub fn to_value(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(*value),
            Node::Number(number) => Value::Number(number.clone()),
            Node::String(text) => Value::String(text.to_string()),
            Node::Array(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            Node::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.to_owned(), v.to_value())).collect()),
        }
    }

    /// Whether this is the same JSON as `value`; members may come in any order.
    pub fn equals(&self, value: &serde_json::Value) -> bool {
        use serde_json::Value;
        match (self, value) {
            (Node::Null, Value::Null) => true,
            (Node::Bool(a), Value::Bool(b)) => a == b,
            (Node::Number(a), Value::Number(b)) => a == b,
            (Node::String(a), Value::String(b)) => a == b,
            (Node::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b)),
            (Node::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| a.equals(b)))
            }
            _ => false,
        }
    }
}

impl<'a> From<&'a serde_json::Value> for Node<'a> {
    fn from(value: &'a serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Node::Null,
            Value::Bool(value) => Node::Bool(*value),
            Value::Number(number) => Node::Number(number.clone()),
            Value::String(text) => Node::String(Cow::Borrowed(text)),
            Value::Array(items) => Node::Array(items.iter().map(Node::from).collect()),
            Value::Object(map) => {
                Node::Object(map.iter().map(|(key, value)| (Cow::Borrowed(key.as_str()), value.into())).collect())
            }
        }
    }
}

impl From<serde_json::Value> for Node<'_> {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Node::Null,
            Value::Bool(value) => Node::Bool(value),
            Value::Number(number) => Node::Number(number),
            Value::String(text) => Node::String(Cow::Owned(text)),
            Value::Array(items) => Node::Array(items.into_iter().map(Node::from).collect()),
            Value::Object(map) => Node::Object(map.into_iter().map(|(k, v)| (Cow::Owned(k), v.into())).collect()),
        }
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Null => f.write_str("null"),
            Node::Bool(_) => f.write_str("bool"),
            Node::Number(_) => f.write_str("number"),
            Node::String(_) => f.write_str("string"),
            Node::Array(items) => f.debug_list().entries(items.iter()).finish(),
            Node::Object(map) => f.debug_map().entries(map.iter()).finish(),
        }
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Null => serializer.serialize_unit(),
            Node::Bool(value) => serializer.serialize_bool(*value),
            Node::Number(number) => number.serialize(serializer),
            Node::String(text) => serializer.serialize_str(text),
            Node::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Node::Object(map) => {
                let mut object = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map.iter() {
                    object.serialize_entry(key, value)?;
                }
                object.end()
            }
        }
    }
}

// === impl List, Map ===

impl<'a> List<'a> {
    /// The item at `index`, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Node<'a>> {
        self.0.get_mut(index)
    }

    /// Puts an item at the end.
    pub fn push(&mut self, item: Node<'a>) {
        self.0.insert(self.len(), item);
    }

    /// Puts an item in front of the one at `index`, or at the end when there are fewer.
    pub fn insert(&mut self, index: usize, item: Node<'a>) {
        self.0.insert(index.min(self.len()), item);
    }
}

impl<'a> Deref for List<'a> {
    type Target = [Node<'a>];

    fn deref(&self) -> &[Node<'a>] {
        &self.0
    }
}

impl<'a> IntoIterator for List<'a> {
    type Item = Node<'a>;
    type IntoIter = std::vec::IntoIter<Node<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

impl<'a> FromIterator<Node<'a>> for List<'a> {
    fn from_iter<I: IntoIterator<Item = Node<'a>>>(items: I) -> Self {
        List(items.into_iter().collect())
    }
}

impl PartialEq for List<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.is(&other.0) || *self.0 == *other.0
    }
}

impl<'a> Map<'a> {
    /// The value of `key`, `null`s included; the last one when the text had several, as Go's decoder sees it.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.0.iter().rev().find_map(|(k, v)| (k == key).then_some(v))
    }

    /// The value of `key`, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node<'a>> {
        let at = self.0.iter().rposition(|(k, _)| k == key)?;
        self.value_mut(at)
    }

    /// Where `key` is, unless it is `null`.
    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        self.0.iter().rposition(|(k, _)| k == key).filter(|at| !matches!(self.0[*at].1, Node::Null))
    }

    /// The value of the member that is there, to be changed.
    pub(crate) fn value_mut(&mut self, position: usize) -> Option<&mut Node<'a>> {
        self.0.get_mut(position).map(|(_, value)| value)
    }

    /// Adds a member, or replaces the one of this name.
    pub fn insert(&mut self, key: impl Into<Cow<'a, str>>, value: Node<'a>) {
        let key = key.into();
        if let Some(old) = self.get_mut(&key) {
            *old = value;
            return;
        }
        self.0.insert(self.len(), (key, value));
    }

    /// Members in the order of the text.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Node<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for Map<'a> {
    type Item = Member<'a>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

impl<'a> FromIterator<Member<'a>> for Map<'a> {
    fn from_iter<I: IntoIterator<Item = Member<'a>>>(members: I) -> Self {
        Map(members.into_iter().collect())
    }
}

impl PartialEq for Map<'_> {
    /// In any order. The API server writes both objects of an UPDATE in the same order, so one pass is the usual case;
    /// otherwise both are sorted, since looking each key up would be quadratic in what a client may send.
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        let pairs = || self.0.iter().zip(other.0.iter());
        if self.0.is(&other.0) {
            return true;
        }
        if pairs().all(|(a, b)| a.0 == b.0) {
            return pairs().all(|(a, b)| a.1 == b.1);
        }
        let sorted = |map: &Self| {
            let mut members: Vec<usize> = (0..map.len()).collect();
            members.sort_by(|&a, &b| map.0[a].0.cmp(&map.0[b].0));
            members
        };
        sorted(self).into_iter().zip(sorted(other)).all(|(a, b)| self.0[a] == other.0[b])
    }
}

// === pointers ===

/// Escapes one member name for use in an RFC 6901 pointer.
pub fn escape(token: &str) -> Cow<'_, str> {
    let odd = |rest: &str| rest.bytes().position(|byte| matches!(byte, b'~' | b'/'));
    let Some(mut at) = odd(token) else { return Cow::Borrowed(token) };
    let (mut escaped, mut rest) = (String::with_capacity(token.len() + 4), token);
    loop {
        escaped.push_str(&rest[..at]);
        escaped.push_str(if rest.as_bytes()[at] == b'~' { "~0" } else { "~1" });
        rest = &rest[at + 1..];
        match odd(rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    escaped.push_str(rest);
    Cow::Owned(escaped)
}

/// The unescaped tokens of a pointer; `None` when it is neither empty nor begins with `/`.
pub fn tokens(pointer: &str) -> Option<Tokens<'_>> {
    (pointer.is_empty() || pointer.starts_with('/')).then_some(Tokens(pointer))
}

/// The tokens of what is left of a pointer: empty, or from a `/` on.
pub struct Tokens<'p>(&'p str);

impl<'p> Iterator for Tokens<'p> {
    type Item = Cow<'p, str>;

    fn next(&mut self) -> Option<Cow<'p, str>> {
        let rest = self.0.get(1..)?;
        let (token, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        self.0 = rest;
        Some(if token.contains('~') { Cow::Owned(unescape(token)) } else { Cow::Borrowed(token) })
    }
}

fn unescape(token: &str) -> String {
    let mut parts = token.split('~');
    let mut text = String::with_capacity(token.len());
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (tilde, rest) = match part.as_bytes().first() {
            Some(b'1') => ("/", &part[1..]),
            Some(b'0') => ("~", &part[1..]),
            _ => ("~", part),
        };
        text.push_str(tilde);
        text.push_str(rest);
    }
    text
}

/// The index that a token means, written as RFC 6901 wants it: no sign, no leading zero.
pub(crate) fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    if canonical { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::reader::MOST_VALUES;
    use super::*;

    #[test]
    fn strings_are_borrowed_unless_escaped() {
        let node = Node::read(r#"{"plain": "x", "escaped": "a\nb"}"#).unwrap();
        let kind = |key| match node.get(key) {
            Some(Node::String(Cow::Borrowed(_))) => "borrowed",
            Some(Node::String(Cow::Owned(_))) => "owned",
            _ => "other",
        };
        assert_eq!((kind("plain"), kind("escaped")), ("borrowed", "owned"));
    }

    #[test]
    fn only_the_objects_own_managed_fields_are_left_out() {
        let text = r#"{"metadata": {"managedFields": [1], "name": "x"},
                       "spec": {"template": {"metadata": {"managedFields": [2]}}, "managedFields": 3}}"#;
        let arena = Arena::default();
        let node = Reader::new(text, &arena).value(Keep::Unmanaged).unwrap();
        for node in [node, Node::read_unmanaged(text).unwrap()] {
            assert!(node.pointer("/metadata/managedFields").is_none());
            assert!(node.pointer("/spec/template/metadata/managedFields").is_some());
            assert!(node.pointer("/spec/managedFields").is_some());
        }
    }

    #[test]
    fn maps_compare_in_any_order() {
        let one = Node::read(r#"{"a": 1, "b": {"c": 2, "d": 3}}"#).unwrap();
        let two = Node::read(r#"{"b": {"d": 3, "c": 2}, "a": 1}"#).unwrap();
        let three = Node::read(r#"{"b": {"d": 3, "c": 4}, "a": 1}"#).unwrap();
        assert!(one == two && one != three);
        assert!(one.equals(&two.to_value()) && !one.equals(&three.to_value()));
    }

    #[test]
    fn pointers_are_unescaped_and_indices_canonical() {
        let node = Node::read(r#"{"a/b": {"~c": [10, 11]}}"#).unwrap();
        assert!(node.pointer("/a~1b/~0c/1").is_some());
        assert!(node.pointer("/a~1b/~0c/01").is_none());
        assert!(node.pointer("a").is_none());
        assert_eq!(escape("a/b~c"), "a~1b~0c");
    }

    #[test]
    fn nesting_is_bounded() {
        let text = "[".repeat(100_000);
        assert!(Node::read(&text).is_err());
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let most = format!("[{}1]", "1,".repeat(MOST_VALUES - 2));
        assert!(Node::read(&most).is_ok());
        assert!(Node::read(&most.replacen('[', "[1,", 1)).unwrap_err().is_too_large());
        assert!(
            !Node::read("[1,").unwrap_err().is_too_large() && !Node::read(&"[".repeat(200)).unwrap_err().is_too_large()
        );
    }

    #[test]
    fn debug_never_prints_a_value() {
        let node = Node::read(r#"{"password": "hunter-two-9"}"#).unwrap();
        assert_eq!(format!("{node:?}"), r#"{"password": string}"#);
    }
}
