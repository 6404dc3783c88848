//! An editor over a JSON tree that records RFC 6902 operations as it edits.
//!
//! It can add a missing member, with the parents that it needs, and append to a list: there is no operation that removes or
//! replaces, so nothing that the author wrote can be lost through it. Whether an addition is wanted is decided in mutators/.

use json_patch::{AddOperation, Patch, PatchOperation, jsonptr::PointerBuf};
use serde_json::{Map as JsonMap, Value};

use crate::tree::{Map, Node, escape, tokens};

/// A tree being edited, and how it got there.
#[derive(Clone, Debug)]
pub struct Editor<'a> {
    tree: Node<'a>,
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
    /// Starts from `tree`, with nothing recorded.
    pub fn new(tree: Node<'a>) -> Self {
        Editor { tree, operations: Vec::new() }
    }

    /// The tree as edited so far.
    pub fn tree(&self) -> &Node<'a> {
        &self.tree
    }

    /// The edited tree.
    pub fn into_tree(self) -> Node<'a> {
        self.tree
    }

    /// How many operations there are so far.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The operations so far.
    pub fn patch(&self) -> Patch {
        Patch(self.operations.clone())
    }

    /// Adds `value` at `pointer`, where nothing (or `null`) stands; missing parents become maps.
    pub fn add(&mut self, pointer: &str, value: Value) -> Result<(), EditError> {
        let (parent, _) = split(pointer);
        let missing = self.missing_from(parent)?;
        match missing {
            None => {
                if self.tree.pointer(pointer).is_some_and(|node| !matches!(node, Node::Null)) {
                    return Err(EditError::Occupied(pointer.to_owned()));
                }
                self.insert(pointer, value)
            }
            // One operation adds the topmost missing parent with everything below it.
            Some(top) => {
                let below = pointer.get(top.len()..).unwrap_or_default();
                let keys: Vec<String> = tokens(below).into_iter().flatten().map(std::borrow::Cow::into_owned).collect();
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
        match self.tree.pointer_mut(pointer) {
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
        let mut node = &self.tree;
        for token in tokens(pointer).into_iter().flatten() {
            at.push('/');
            at.push_str(&escape(&token));
            node = match node {
                Node::Object(map) => match map.get(&token) {
                    None | Some(Node::Null) => return Ok(Some(at)),
                    Some(node) => node,
                },
                Node::Array(_) => self.tree.pointer(&at).ok_or_else(|| EditError::NotAMap(at.clone()))?,
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
        let Some(Node::Object(map)) = self.tree.pointer_mut(parent) else {
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

    /// Checks with another implementation (the json-patch crate) that the recorded operations lead from `original`
    /// to the edited tree. A patch that does not would refuse the pod, even under `failurePolicy: Ignore`.
    pub fn verify(&self, original: &Node<'_>) -> Result<(), PatchError> {
        let mut value = original.to_value();
        json_patch::patch(&mut value, &self.operations).map_err(|error| PatchError::DoesNotApply(error.to_string()))?;
        if self.tree.equals(&value) { Ok(()) } else { Err(PatchError::Differs) }
    }
}

/// Splits a pointer before its last token: ("/metadata/labels", "/app").
fn split(pointer: &str) -> (&str, &str) {
    pointer.rfind('/').map_or(("", ""), |at| pointer.split_at(at))
}

/// An empty map, for trees that begin with nothing.
impl Default for Editor<'_> {
    fn default() -> Self {
        Editor::new(Node::Object(Map::default()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn editor(text: &'static str) -> (Node<'static>, Editor<'static>) {
        let node = Node::read(text).unwrap();
        (node.clone(), Editor::new(node))
    }

    fn operations(editor: &Editor<'_>) -> Value {
        serde_json::to_value(editor.patch()).unwrap()
    }

    #[test]
    fn missing_parents_come_with_one_operation() {
        let (original, mut editor) = editor(r#"{"metadata": {}}"#);
        editor.add("/metadata/labels/a.b~1c", json!("x")).unwrap();
        editor.add("/spec/affinity/podAffinity", json!({})).unwrap();
        assert_eq!(
            operations(&editor),
            json!([{"op": "add", "path": "/metadata/labels", "value": {"a.b/c": "x"}},
                   {"op": "add", "path": "/spec", "value": {"affinity": {"podAffinity": {}}}}])
        );
        editor.verify(&original).unwrap();
    }

    #[test]
    fn keys_with_slash_and_tilde_are_escaped() {
        let (original, mut editor) = editor(r#"{"metadata": {"labels": {"a": "b"}}}"#);
        editor.add("/metadata/labels/x~1y~0z", json!("1")).unwrap();
        assert_eq!(operations(&editor)[0]["path"], "/metadata/labels/x~1y~0z");
        assert_eq!(editor.tree().pointer("/metadata/labels").unwrap().str("x/y~z"), Some("1"));
        editor.verify(&original).unwrap();
    }

    #[test]
    fn null_counts_as_missing() {
        let (original, mut editor) = editor(r#"{"spec": {"tolerations": null, "affinity": null}}"#);
        editor.append("/spec/tolerations", json!(1)).unwrap();
        editor.append("/spec/tolerations", json!(2)).unwrap();
        editor.add("/spec/affinity/nodeAffinity/x", json!(3)).unwrap();
        assert_eq!(operations(&editor)[1], json!({"op": "add", "path": "/spec/tolerations/-", "value": 2}));
        editor.verify(&original).unwrap();
    }

    #[test]
    fn nothing_is_ever_overwritten() {
        let (_, mut editor) = editor(r#"{"a": {"b": 1}, "list": [{}], "text": "x"}"#);
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
        let (original, mut editor) = editor(r#"{"a": []}"#);
        editor.append("/a", json!(1)).unwrap();
        editor.tree = Node::read(r#"{"a": [2]}"#).unwrap();
        assert_eq!(editor.verify(&original), Err(PatchError::Differs));
        assert!(matches!(editor.verify(&Node::Null), Err(PatchError::DoesNotApply(_))));
    }
}
