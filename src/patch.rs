//! An editor over a JSON tree that records RFC 6902 operations as it edits.
//!
//! It can add a missing member, with the parents that it needs, and append to a list: there is no operation that removes or
//! replaces, so nothing that the author wrote can be lost through it. Whether an addition is wanted is decided in mutators/.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use serde_json::{Map as JsonMap, Value};

use crate::tree::{Node, index, tokens};

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
        let Some(top) = self.missing_from(pointer)? else { return Err(EditError::Occupied(pointer.to_owned())) };
        // One operation adds the topmost missing parent with everything below it.
        let below = pointer.get(top.len()..).unwrap_or_default();
        let keys: Vec<_> = tokens(below).into_iter().flatten().collect();
        let value = keys.into_iter().rev().fold(value, |inner, key| {
            let mut map = JsonMap::new();
            map.insert(key.into_owned(), inner);
            Value::Object(map)
        });
        self.insert(top, value)
    }

    /// Appends `value` to the list at `pointer`; a missing (or `null`) list is made.
    pub fn append(&mut self, pointer: &str, value: Value) -> Result<(), EditError> {
        match self.tree_mut().pointer_mut(pointer) {
            None | Some(Node::Null) => self.add(pointer, Value::Array(vec![value])),
            Some(Node::Array(items)) => {
                items.push(Node::copy_of(&value));
                self.record(format!("{pointer}/-"), value);
                Ok(())
            }
            Some(_) => Err(EditError::NotAList(pointer.to_owned())),
        }
    }

    /// The first part of `pointer` at which nothing, or `null`, stands; `None` when something stands at its end.
    fn missing_from<'p>(&self, pointer: &'p str) -> Result<Option<&'p str>, EditError> {
        let mut node = self.tree();
        let mut end = 0;
        for token in tokens(pointer).into_iter().flatten() {
            let rest = pointer.as_bytes().get(end + 1..).unwrap_or_default();
            let above = end;
            end += 1 + memchr::memchr(b'/', rest).unwrap_or(rest.len());
            let not_a_map = |end| EditError::NotAMap(pointer.get(..end).unwrap_or(pointer).to_owned());
            node = match node {
                Node::Object(map) => match map.get(&token) {
                    None | Some(Node::Null) => return Ok(pointer.get(..end)),
                    Some(node) => node,
                },
                // An item can be walked through, never added.
                Node::Array(items) => index(&token).and_then(|index| items.get(index)).ok_or_else(|| not_a_map(end))?,
                _ => return Err(not_a_map(above)),
            };
        }
        Ok(None)
    }

    fn insert(&mut self, pointer: &str, value: Value) -> Result<(), EditError> {
        let (parent, key) = split(pointer);
        let Some(Node::Object(map)) = self.tree_mut().pointer_mut(parent) else {
            return Err(EditError::NotAMap(parent.to_owned()));
        };
        let key = tokens(key).into_iter().flatten().next().unwrap_or_default().into_owned();
        map.insert(key, Node::copy_of(&value));
        self.record(pointer.to_owned(), value);
        Ok(())
    }

    fn record(&mut self, pointer: String, value: Value) {
        // Every pointer here was walked, so it parses.
        if let Ok(path) = PointerBuf::parse(pointer) {
            self.operations.push(PatchOperation::Add(AddOperation { path, value }));
        }
    }

    /// Checks that the recorded operations lead from the original to the edited tree. A patch that does not would refuse the
    /// pod, even under `failurePolicy: Ignore`.
    pub fn verify(&self) -> Result<(), PatchError> {
        let Some(edited) = &self.edited else {
            return if self.operations.is_empty() { Ok(()) } else { Err(PatchError::Differs) };
        };
        let mut patched: Node<'_> = self.original.clone();
        apply(&mut patched, &self.operations)?;
        if patched == *edited { Ok(()) } else { Err(PatchError::Differs) }
    }
}

/// Does to `tree` what the API server will do with additions, the only operations that mutators make.
///
/// Walks by the pointers as they stand in the patch, and shares no code with [`Editor`]: it is what the editor is checked by.
/// The property tests check it in turn against the json-patch crate, whose trees take three times as long.
pub fn apply<'a>(tree: &mut Node<'a>, operations: &'a [PatchOperation]) -> Result<(), PatchError> {
    for operation in operations {
        let PatchOperation::Add(AddOperation { path, value }) = operation else {
            return Err(PatchError::DoesNotApply(format!("{operation} is no addition")));
        };
        let misfit = || PatchError::DoesNotApply(format!("nothing can be added at {path}"));
        let value = Node::from(value);
        let Some((parent, last)) = path.split_back() else {
            *tree = value;
            continue;
        };
        let parent = parent.tokens().try_fold(&mut *tree, |node, token| match node {
            Node::Object(map) => map.get_mut(&token.decoded()),
            Node::Array(items) => items.get_mut(token.to_index().ok()?.for_len(usize::MAX).ok()?),
            _ => None,
        });
        match parent.ok_or_else(misfit)? {
            Node::Object(map) => map.insert(last.decoded().into_owned(), value),
            Node::Array(items) => {
                let index = last.to_index().ok().and_then(|index| index.for_len_incl(items.len()).ok());
                items.insert(index.ok_or_else(misfit)?, value);
            }
            _ => return Err(misfit()),
        }
    }
    Ok(())
}

/// Splits a pointer before its last token: ("/metadata/labels", "/app").
fn split(pointer: &str) -> (&str, &str) {
    memchr::memrchr(b'/', pointer.as_bytes()).map_or(("", ""), |at| pointer.split_at(at))
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
