//! An editor over a JSON tree that records RFC 6902 operations as it edits.
//!
//! It can add a missing member, with the parents that it needs, and append to a list: there is no operation that removes or
//! replaces, so nothing that the author wrote can be lost through it. Whether an addition is wanted is decided in mutators/.

use std::borrow::Cow;
use std::collections::BTreeMap;

use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{AddOperation, Patch, PatchOperation};
use serde_json::{Map as JsonMap, Value};

use crate::tree::{Node, escape, tokens};

/// A tree being edited, and how it got there.
#[derive(Clone, Debug)]
pub struct Editor<'a> {
    original: &'a Node<'a>,
    /// Copied with the first edit: a pod that is looked at a second time needs none.
    edited: Option<Node<'a>>,
    operations: Vec<PatchOperation>,
}

/// The edit cannot be made without destroying something; a mutator that gets one is wrong, or the object is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Something stands there already.
    #[error("{0} is there already")]
    Occupied(String),
    /// A parent is neither a map nor missing.
    #[error("{0} is not a map")]
    NotAMap(String),
    /// The value is neither a list nor missing.
    #[error("{0} is not a list")]
    NotAList(String),
}

/// The recorded patch does not lead from the original to the edited tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// One of the operations does not apply.
    #[error("the patch does not apply: {0}")]
    DoesNotApply(String),
    /// They apply, to something else.
    #[error("the patched object differs from the edited one")]
    Differs,
}

impl<'a> Editor<'a> {
    /// Starts from a copy of `tree`, with nothing recorded.
    pub fn new(tree: &'a Node<'a>) -> Self {
        Editor { original: tree, edited: None, operations: Vec::new() }
    }

    /// The tree as edited so far.
    pub fn tree(&self) -> &Node<'a> {
        self.edited.as_ref().unwrap_or(self.original)
    }

    fn tree_mut(&mut self) -> &mut Node<'a> {
        self.edited.get_or_insert_with(|| self.original.clone())
    }

    /// The edited tree; `None` when nothing was changed.
    pub fn into_tree(self) -> Option<Node<'a>> {
        self.edited
    }

    /// How many operations there are so far.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The operations.
    pub fn into_patch(self) -> Patch {
        Patch(self.operations)
    }

    /// Adds `value` at `pointer`, where nothing (or `null`) stands; missing parents become maps.
    pub fn add(&mut self, pointer: &str, value: Value) -> Result<(), EditError> {
        let (parent, _) = split(pointer);
        let missing = self.missing_from(parent)?;
        match missing {
            None => {
                if self.tree().pointer(pointer).is_some_and(|node| !matches!(node, Node::Null)) {
                    return Err(EditError::Occupied(pointer.to_owned()));
                }
                self.insert(pointer, value)
            }
            // One operation adds the topmost missing parent with everything below it.
            Some(top) => {
                let below = pointer.get(top.len()..).unwrap_or_default();
                let keys: Vec<String> = tokens(below).into_iter().flatten().map(Cow::into_owned).collect();
                let nested = keys.into_iter().rev().fold(value, |inner, key| {
                    let mut map = JsonMap::new();
                    map.insert(key, inner);
                    Value::Object(map)
                });
                self.insert(&top, nested)
            }
        }
    }

    /// Appends `value` to the list at `pointer`; a missing (or `null`) list is made.
    pub fn append(&mut self, pointer: &str, value: Value) -> Result<(), EditError> {
        match self.tree_mut().pointer_mut(pointer) {
            None | Some(Node::Null) => self.add(pointer, Value::Array(vec![value])),
            Some(Node::Array(items)) => {
                items.push(Node::from(value.clone()));
                self.record(format!("{pointer}/-"), value);
                Ok(())
            }
            Some(_) => Err(EditError::NotAList(pointer.to_owned())),
        }
    }

    /// The topmost parent on the way to `pointer` that is missing or `null`.
    fn missing_from(&self, pointer: &str) -> Result<Option<String>, EditError> {
        let mut at = String::new();
        let mut node = self.tree();
        for token in tokens(pointer).into_iter().flatten() {
            at.push('/');
            at.push_str(&escape(&token));
            node = match node {
                Node::Object(map) => match map.get(&token) {
                    None | Some(Node::Null) => return Ok(Some(at)),
                    Some(node) => node,
                },
                Node::Array(_) => self.tree().pointer(&at).ok_or_else(|| EditError::NotAMap(at.clone()))?,
                _ => return Err(EditError::NotAMap(at)),
            };
        }
        match node {
            Node::Object(_) => Ok(None),
            _ => Err(EditError::NotAMap(pointer.to_owned())),
        }
    }

    fn insert(&mut self, pointer: &str, value: Value) -> Result<(), EditError> {
        let (parent, key) = split(pointer);
        let Some(Node::Object(map)) = self.tree_mut().pointer_mut(parent) else {
            return Err(EditError::NotAMap(parent.to_owned()));
        };
        let key = tokens(key).into_iter().flatten().next().unwrap_or_default().into_owned();
        map.insert(key, Node::from(value.clone()));
        self.record(pointer.to_owned(), value);
        Ok(())
    }

    fn record(&mut self, pointer: String, value: Value) {
        // Every pointer here was walked, so it parses.
        if let Ok(path) = PointerBuf::parse(pointer) {
            self.operations.push(PatchOperation::Add(AddOperation { path, value }));
        }
    }

    /// Checks with another implementation (the json-patch crate) that the recorded operations lead from the original to the
    /// edited tree. A patch that does not would refuse the pod, even under `failurePolicy: Ignore`.
    ///
    /// What no operation touches is not handed to that crate, whose trees cost more than all else together (a `String` each
    /// scalar): `null` stands in for it, and the two trees are compared there as they are.
    pub fn verify(&self) -> Result<(), PatchError> {
        let mut touched = Touched::default();
        for operation in &self.operations {
            touched.at(operation.path());
        }
        let mut patched = touched.sketch(self.original);
        json_patch::patch(&mut patched, &self.operations)
            .map_err(|error| PatchError::DoesNotApply(error.to_string()))?;
        if touched.leads(self.original, &patched, self.tree()) { Ok(()) } else { Err(PatchError::Differs) }
    }
}

/// Where the operations of a patch go, as a tree.
#[derive(Default)]
struct Touched {
    /// An operation ends here.
    itself: bool,
    below: BTreeMap<String, Touched>,
}

impl Touched {
    fn at(&mut self, path: &Pointer) {
        let place =
            path.tokens().fold(self, |place, token| place.below.entry(token.decoded().into_owned()).or_default());
        place.itself = true;
    }

    fn below(&self, key: &str) -> Option<&Touched> {
        self.below.get(key)
    }

    /// The part of `node` that the operations see; `null` for the rest.
    fn sketch(&self, node: &Node<'_>) -> Value {
        let of = |key: &str, node| self.below(key).map_or(Value::Null, |touched| touched.sketch(node));
        match node {
            Node::Object(map) => map.iter().map(|(key, node)| (key.to_owned(), of(key, node))).collect(),
            Node::Array(items) => items.iter().enumerate().map(|(index, item)| of(&index.to_string(), item)).collect(),
            scalar => scalar.to_value(),
        }
    }

    /// Whether `edited` is what the operations make of `original`, given what they made of its sketch.
    fn leads(&self, original: &Node<'_>, patched: &Value, edited: &Node<'_>) -> bool {
        // One that ends here put the whole value in place.
        if self.itself {
            return edited.equals(patched);
        }
        let same = |key: &str, original: Option<&Node<'_>>, patched: &Value, edited: &Node<'_>| match (
            original,
            self.below(key),
        ) {
            (Some(original), Some(touched)) => touched.leads(original, patched, edited),
            (Some(original), None) => original == edited,
            (None, _) => edited.equals(patched),
        };
        match (original, patched, edited) {
            (Node::Object(original), Value::Object(patched), Node::Object(edited)) => {
                patched.len() == edited.len()
                    && patched.iter().all(|(key, patched)| {
                        edited.get(key).is_some_and(|edited| same(key, original.get(key), patched, edited))
                    })
            }
            (Node::Array(original), Value::Array(patched), Node::Array(edited)) => {
                // An operation on an index would move the items behind it; the editor makes none.
                let moved = self.below.iter().any(|(key, touched)| touched.itself && key != "-");
                let mut items = patched.iter().zip(edited).enumerate();
                !moved
                    && patched.len() == edited.len()
                    && items.all(|(index, (patched, edited))| {
                        same(&index.to_string(), original.get(index), patched, edited)
                    })
            }
            _ => edited.equals(patched),
        }
    }
}

/// Splits a pointer before its last token: ("/metadata/labels", "/app").
fn split(pointer: &str) -> (&str, &str) {
    pointer.rfind('/').map_or(("", ""), |at| pointer.split_at(at))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operations(editor: &Editor<'_>) -> Value {
        serde_json::to_value(&editor.operations).unwrap()
    }

    #[test]
    fn missing_parents_come_with_one_operation() {
        let original = Node::read(r#"{"metadata": {}}"#).unwrap();
        let mut editor = Editor::new(&original);
        editor.add("/metadata/labels/a.b~1c", json!("x")).unwrap();
        editor.add("/spec/affinity/podAffinity", json!({})).unwrap();
        assert_eq!(
            operations(&editor),
            json!([{"op": "add", "path": "/metadata/labels", "value": {"a.b/c": "x"}},
                   {"op": "add", "path": "/spec", "value": {"affinity": {"podAffinity": {}}}}])
        );
        editor.verify().unwrap();
    }

    #[test]
    fn keys_with_slash_and_tilde_are_escaped() {
        let original = Node::read(r#"{"metadata": {"labels": {"a": "b"}}}"#).unwrap();
        let mut editor = Editor::new(&original);
        editor.add("/metadata/labels/x~1y~0z", json!("1")).unwrap();
        assert_eq!(operations(&editor)[0]["path"], "/metadata/labels/x~1y~0z");
        assert_eq!(editor.tree().pointer("/metadata/labels").unwrap().str("x/y~z"), Some("1"));
        editor.verify().unwrap();
    }

    #[test]
    fn null_counts_as_missing() {
        let original = Node::read(r#"{"spec": {"tolerations": null, "affinity": null}}"#).unwrap();
        let mut editor = Editor::new(&original);
        editor.append("/spec/tolerations", json!(1)).unwrap();
        editor.append("/spec/tolerations", json!(2)).unwrap();
        editor.add("/spec/affinity/nodeAffinity/x", json!(3)).unwrap();
        assert_eq!(operations(&editor)[1], json!({"op": "add", "path": "/spec/tolerations/-", "value": 2}));
        editor.verify().unwrap();
    }

    #[test]
    fn nothing_is_ever_overwritten() {
        let original = Node::read(r#"{"a": {"b": 1}, "list": [{}], "text": "x"}"#).unwrap();
        let mut editor = Editor::new(&original);
        assert_eq!(editor.add("/a/b", json!(2)), Err(EditError::Occupied("/a/b".into())));
        assert_eq!(editor.add("/text/x", json!(2)), Err(EditError::NotAMap("/text".into())));
        assert_eq!(editor.add("/a/b/c", json!(2)), Err(EditError::NotAMap("/a/b".into())));
        assert_eq!(editor.append("/a", json!(2)), Err(EditError::NotAList("/a".into())));
        assert_eq!(editor.add("/list/7/x", json!(2)), Err(EditError::NotAMap("/list/7".into())));
        assert!(editor.is_empty());
        editor.add("/list/0/x", json!(2)).unwrap();
    }

    #[test]
    fn a_patch_that_leads_elsewhere_is_found_out() {
        let original = Node::read(r#"{"a": [], "b": {"c": [1, {"d": 2}]}, "e": 3}"#).unwrap();
        let mut editor = Editor::new(&original);
        editor.append("/a", json!(1)).unwrap();
        editor.add("/b/x", json!(1)).unwrap();
        editor.verify().unwrap();
        let edited = [
            // at the place of an operation, beside one, above one, and where no operation goes
            r#"{"a": [2], "b": {"c": [1, {"d": 2}], "x": 1}, "e": 3}"#,
            r#"{"a": [1], "b": {"c": [1, {"d": 3}], "x": 1}, "e": 3}"#,
            r#"{"a": [1, 1], "b": {"c": [1, {"d": 2}], "x": 1}, "e": 3}"#,
            r#"{"a": [1], "b": {"c": [1, {"d": 2}], "x": 1, "y": null}, "e": 3}"#,
            r#"{"a": [1], "b": {"c": null, "x": 1}, "e": 3}"#,
            r#"{"a": [1], "b": 1, "e": 3}"#,
            r#"{"a": [1], "b": {"c": [1, {"d": 2}], "x": 1}}"#,
            r#"{"a": [1], "b": {"c": [1, {"d": 2}], "x": 1}, "e": null}"#,
        ];
        for text in edited {
            editor.edited = Some(Node::read(text).unwrap());
            assert_eq!(editor.verify(), Err(PatchError::Differs), "{text}");
        }
        editor.original = &Node::Null;
        assert!(matches!(editor.verify(), Err(PatchError::DoesNotApply(_))));
    }

    #[test]
    fn an_item_that_is_moved_is_found_out() {
        let original = Node::read("[1, 2]").unwrap();
        let path = PointerBuf::parse("/0").unwrap();
        let operations = vec![PatchOperation::Add(AddOperation { path, value: json!(0) })];
        let edited = Some(Node::read("[0, 2, null]").unwrap());
        assert_eq!(Editor { original: &original, edited, operations }.verify(), Err(PatchError::Differs));
    }
}
