//! Patches of additions, and an editor over a JSON tree that records one as it edits.
//!
//! It can add a missing member, with the parents that it needs, and append to a list: there is no operation that removes or
//! replaces, so nothing that the author wrote can be lost through it. Whether an addition is wanted is decided in mutators/.

use std::borrow::Cow;
use std::fmt;

use json_patch::{AddOperation, PatchOperation};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::tree::writer::write_token;
use crate::tree::{Map, Node, ReadError, Step, escape, index, pointer, tokens, write_steps};

/// An RFC 6902 patch that has no operation but "add".
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// The list of operations as it goes over the wire; nothing as long as there is none.
    text: String,
    len: usize,
}

/// A tree being edited, and how it got there.
///
/// There is one way to change the tree: a value is written down with the path that was followed to its place, and put there. So the patch
/// always leads from the original to the edited tree; one that did not would refuse the pod, even under `failurePolicy: Ignore`. (The property
/// tests compare with what the json-patch crate makes of the text.)
#[derive(Clone, Debug)]
pub struct Editor<'a> {
    original: &'a Node<'a>,
    /// Copied with the first edit: a pod that is looked at a second time needs none.
    edited: Option<Node<'a>>,
    patch: Patch,
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

/// The patch cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// One of its operations has no place in the tree.
    #[error("the patch does not apply: nothing can be added at {0}")]
    DoesNotApply(String),
    /// One of its operations is another one.
    #[error("the patch does not apply: {0} is no addition")]
    NoAddition(String),
    /// It cannot be read, or not be written.
    #[error("the patch is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// It has too many values, or too many within each other.
    #[error("the patch is {0}")]
    Unreadable(#[from] ReadError),
}

impl Patch {
    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is added.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The patch as it goes over the wire.
    pub fn as_json(&self) -> &str {
        if self.is_empty() { "[]" } else { &self.text }
    }

    /// The pointers of what is added.
    pub fn paths(&self) -> Result<Vec<String>, PatchError> {
        let patch = Node::read(self.as_json())?;
        let paths = patch.as_array().unwrap_or_default().iter().filter_map(|operation| operation.str("path"));
        Ok(paths.map(str::to_owned).collect())
    }

    /// Does to `tree` what the API server will do.
    pub fn apply(&self, tree: &mut Node<'_>) -> Result<(), PatchError> {
        let operations = Node::read(self.as_json())?.into_owned();
        for operation in operations.as_array().unwrap_or_default() {
            let path = operation.str("path").unwrap_or_default();
            let value = operation.as_object().and_then(|members| members.get("value")).cloned().unwrap_or_default();
            put(tree, path, value).ok_or_else(|| PatchError::DoesNotApply(path.to_owned()))?;
        }
        Ok(())
    }

    /// Writes one more operation down: `value` comes to `parent`, under a name or at the end of a list.
    fn record(&mut self, parent: &[Step], name: Option<&str>, value: &Node<'_>) {
        let text = &mut self.text;
        if self.len == 0 {
            // An operation has a hundred bytes or so, and a pod gets about ten.
            text.reserve(2 << 10);
            text.push('[');
        } else {
            text.pop();
            text.push(',');
        }
        self.len += 1;
        text.push_str("{\"op\":\"add\",\"path\":\"");
        write_steps(parent, text);
        text.push('/');
        match name {
            Some(name) => write_token(name, text),
            None => text.push('-'),
        }
        text.push_str("\",\"value\":");
        value.write(text);
        text.push_str("}]");
    }
}

/// Their number only: values must not reach a log.
impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} operations", self.len)
    }
}

impl Serialize for Patch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.as_json()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl TryFrom<json_patch::Patch> for Patch {
    type Error = PatchError;

    /// Fails where there is anything but additions.
    fn try_from(patch: json_patch::Patch) -> Result<Self, PatchError> {
        let addition = |operation: &PatchOperation| match operation {
            PatchOperation::Add(AddOperation { .. }) => Ok(serde_json::to_string(operation)?),
            other => Err(PatchError::NoAddition(other.to_string())),
        };
        let operations = patch.0.iter().map(addition).collect::<Result<Vec<_>, _>>()?;
        let text = if operations.is_empty() { String::new() } else { format!("[{}]", operations.join(",")) };
        Ok(Patch { text, len: operations.len() })
    }
}

/// Puts `value` at a pointer, as the API server does; `None` where it has no place.
fn put<'a>(tree: &mut Node<'a>, pointer: &str, value: Node<'a>) -> Option<()> {
    if pointer.is_empty() {
        *tree = value;
        return Some(());
    }
    let (parent, last) = pointer.split_at(pointer.rfind('/')?);
    let last = tokens(last)?.next()?;
    match tree.pointer_mut(parent)? {
        Node::Object(map) => map.insert(last.into_owned(), value),
        Node::Array(items) if last == "-" => items.push(value),
        Node::Array(items) => items.insert(index(&last).filter(|index| *index <= items.len())?, value),
        _ => return None,
    }
    Some(())
}

// === impl Editor ===

impl<'a> Editor<'a> {
    /// Starts with `tree`, and nothing recorded.
    pub fn new(tree: &'a Node<'a>) -> Self {
        Editor { original: tree, edited: None, patch: Patch::default() }
    }

    /// The tree as edited so far.
    pub fn tree(&self) -> &Node<'a> {
        self.edited.as_ref().unwrap_or(self.original)
    }

    /// The edited tree; `None` when nothing was changed.
    pub fn into_tree(self) -> Option<Node<'a>> {
        self.edited
    }

    /// The operations so far.
    pub fn patch(&self) -> &Patch {
        &self.patch
    }

    /// The operations.
    pub fn into_patch(self) -> Patch {
        self.patch
    }

    /// Adds members to the map at a path where none of them is (or is `null`); with one operation where there is no map yet.
    pub fn add_members<K, M>(&mut self, at: &[Step], members: M) -> Result<(), EditError>
    where
        K: Into<Cow<'a, str>>,
        M: IntoIterator<Item = (K, Node<'a>), IntoIter: ExactSizeIterator>,
    {
        let members = members.into_iter().map(|(name, value)| (name.into(), value));
        if members.len() == 0 {
            return Ok(());
        }
        let (tree, patch) = self.begin();
        match find(tree, at)? {
            Place::Missing(missing) => missing.make(Node::Object(members.collect()), patch)?,
            Place::There(Node::Object(map)) => {
                for (name, value) in members {
                    if map.position(&name).is_some() {
                        return Err(EditError::Occupied([&pointer(at), "/", &escape(&name)].concat()));
                    }
                    patch.record(at, Some(&name), &value);
                    map.insert(name, value);
                }
            }
            Place::There(_) => return Err(EditError::NotAMap(pointer(at))),
        }
        Ok(())
    }

    /// Appends `value` to the list at a path; a missing (or `null`) list is made.
    pub fn append(&mut self, at: &[Step], value: impl Into<Node<'a>>) -> Result<(), EditError> {
        let (tree, patch) = self.begin();
        match find(tree, at)? {
            Place::Missing(missing) => missing.make(Node::Array([value.into()].into_iter().collect()), patch)?,
            Place::There(Node::Array(items)) => {
                let value = value.into();
                patch.record(at, None, &value);
                items.push(value);
            }
            Place::There(_) => return Err(EditError::NotAList(pointer(at))),
        }
        Ok(())
    }

    fn begin(&mut self) -> (&mut Node<'a>, &mut Patch) {
        (self.edited.get_or_insert_with(|| self.original.clone()), &mut self.patch)
    }
}

/// Where a path leads.
enum Place<'e, 'p, 'a> {
    /// To something that is not `null`.
    There(&'e mut Node<'a>),
    Missing(Missing<'e, 'p, 'a>),
}

/// The topmost part of a path that is missing: `key` of `map`, which stands at `parent`.
struct Missing<'e, 'p, 'a> {
    map: &'e mut Map<'a>,
    parent: &'p [Step],
    key: &'static str,
    below: &'p [Step],
}

fn find<'e, 'p, 'a>(tree: &'e mut Node<'a>, path: &'p [Step]) -> Result<Place<'e, 'p, 'a>, EditError> {
    let mut node = tree;
    for (at, step) in path.iter().enumerate() {
        let not_a_map = |steps: usize| EditError::NotAMap(pointer(&path[..steps]));
        node = match (node, *step) {
            (Node::Object(map), Step::Key(key)) => {
                let Some(position) = map.position(key) else {
                    return Ok(Place::Missing(Missing { map, parent: &path[..at], key, below: &path[at + 1..] }));
                };
                map.value_mut(position).ok_or_else(|| not_a_map(at + 1))?
            }
            // An item can be walked through, never added.
            (Node::Array(items), Step::Index(index)) => items.get_mut(index).ok_or_else(|| not_a_map(at + 1))?,
            _ => return Err(not_a_map(at)),
        };
    }
    Ok(Place::There(node))
}

impl<'a> Missing<'_, '_, 'a> {
    /// One operation adds the topmost key with everything below it.
    fn make(self, value: Node<'a>, patch: &mut Patch) -> Result<(), EditError> {
        let Missing { map, parent, key, below } = self;
        let value = below.iter().rev().try_fold(value, |inner, step| match step {
            Step::Key(key) => Ok(Node::Object([(Cow::Borrowed(*key), inner)].into_iter().collect())),
            Step::Index(_) => Err(EditError::NotAList([&pointer(parent), "/", key].concat())),
        })?;
        patch.record(parent, Some(key), &value);
        map.insert(key, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tree::Path;

    fn text(text: &str) -> Node<'_> {
        Node::String(text.into())
    }

    /// What was recorded, which leads from the original to the edited tree, by the json-patch crate and by us.
    fn operations(editor: &Editor<'_>) -> Value {
        let written = serde_json::to_value(&editor.patch).unwrap();
        let patch: json_patch::Patch = serde_json::from_value(written.clone()).unwrap();
        let mut theirs = editor.original.to_value();
        json_patch::patch(&mut theirs, &patch).unwrap();
        let mut ours = editor.original.clone();
        editor.patch.apply(&mut ours).unwrap();
        assert_eq!((&theirs, &theirs), (&editor.tree().to_value(), &ours.to_value()));
        written
    }

    #[test]
    fn missing_parents_come_with_one_operation() {
        let original = Node::read(r#"{"metadata": {}}"#).unwrap();
        let mut editor = Editor::new(&original);
        editor.add_members(&Path::at("/metadata/labels"), [("a.b/c", text("x"))]).unwrap();
        editor.add_members(&Path::at("/spec/affinity"), [("podAffinity", json!({}).into())]).unwrap();
        assert_eq!(
            operations(&editor),
            json!([{"op": "add", "path": "/metadata/labels", "value": {"a.b/c": "x"}},
                   {"op": "add", "path": "/spec", "value": {"affinity": {"podAffinity": {}}}}])
        );
    }

    #[test]
    fn keys_with_slash_and_tilde_are_escaped() {
        let original = Node::read(r#"{"metadata": {"labels": {"a": "b"}}}"#).unwrap();
        let mut editor = Editor::new(&original);
        editor.add_members(&Path::at("/metadata/labels"), [("x/y~z", text("1"))]).unwrap();
        assert_eq!(operations(&editor)[0]["path"], "/metadata/labels/x~1y~0z");
        assert_eq!(editor.tree().pointer("/metadata/labels").unwrap().str("x/y~z"), Some("1"));
    }

    #[test]
    fn null_counts_as_missing() {
        let original = Node::read(r#"{"spec": {"tolerations": null, "affinity": null}}"#).unwrap();
        let mut editor = Editor::new(&original);
        editor.append(&Path::at("/spec/tolerations"), json!(1)).unwrap();
        editor.append(&Path::at("/spec/tolerations"), json!(2)).unwrap();
        editor.add_members(&Path::at("/spec/affinity/nodeAffinity"), [("x", json!(3).into())]).unwrap();
        assert_eq!(operations(&editor)[1], json!({"op": "add", "path": "/spec/tolerations/-", "value": 2}));
    }

    #[test]
    fn nothing_is_ever_overwritten() {
        let original = Node::read(r#"{"a": {"b": 1}, "list": [{}], "text": "x"}"#).unwrap();
        let mut editor = Editor::new(&original);
        let mut add = |at: Path, key: &'static str| editor.add_members(&at, [(key, json!(2).into())]);
        assert_eq!(add(Path::at("/a"), "b"), Err(EditError::Occupied("/a/b".into())));
        assert_eq!(add(Path::at("/text"), "x"), Err(EditError::NotAMap("/text".into())));
        assert_eq!(add(Path::at("/a/b"), "c"), Err(EditError::NotAMap("/a/b".into())));
        assert_eq!(add(Path::at("/list").index(7), "x"), Err(EditError::NotAMap("/list/7".into())));
        assert_eq!(add(Path::at("/none").index(0), "x"), Err(EditError::NotAList("/none".into())));
        assert_eq!(editor.append(&Path::at("/a"), json!(2)), Err(EditError::NotAList("/a".into())));
        assert!(editor.patch.is_empty());
        editor.add_members(&Path::at("/list").index(0), [("x", json!(2).into())]).unwrap();
    }

    #[test]
    fn members_come_with_one_operation_where_their_map_is_missing() {
        let original = Node::read(r#"{"there": {"a": 1, "b": null}, "text": "x"}"#).unwrap();
        let mut editor = Editor::new(&original);
        let members = |keys: &[&'static str]| keys.iter().map(|key| (*key, json!(2).into())).collect::<Vec<_>>();
        editor.add_members(&Path::at("/new/map"), members(&["x/y", "z"])).unwrap();
        editor.add_members(&Path::at("/there"), members(&["b", "x/y"])).unwrap();
        editor.add_members(&Path::at("/nowhere"), members(&[])).unwrap();
        assert_eq!(
            operations(&editor),
            json!([{"op": "add", "path": "/new", "value": {"map": {"x/y": 2, "z": 2}}},
                   {"op": "add", "path": "/there/b", "value": 2},
                   {"op": "add", "path": "/there/x~1y", "value": 2}])
        );
        assert_eq!(
            editor.add_members(&Path::at("/there"), members(&["a"])),
            Err(EditError::Occupied("/there/a".into()))
        );
        assert_eq!(editor.add_members(&Path::at("/text"), members(&["a"])), Err(EditError::NotAMap("/text".into())));
    }

    #[test]
    fn additions_are_applied_as_the_json_patch_crate_applies_them() {
        let original = json!({"a/b": {"m~n": {}}, "~1": {}, "list": [1, {"x": null}], "text": "x", "null": null});
        for path in [
            "",
            "/new",
            "/text",
            "/null",
            "/",
            "//x",
            "/a~1b/new",
            "/a~1b/m~0n/x~1~0y",
            "/~01/x",
            "/a/b/x",
            "/text/x",
            "/null/x",
            "/nowhere/x",
            "/list/-",
            "/list/0",
            "/list/2",
            "/list/3",
            "/list/00",
            "/list/+1",
            "/list/01",
            "/list/x",
            "/list/",
            "/list/1/y",
            "/list/1/x",
            "/list/-/y",
            "/list/01/y",
            "/list/2/y",
        ] {
            let mut theirs = original.clone();
            let patch = json!([{"op": "add", "path": path, "value": {"v": 1}}]);
            let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
            let applied = json_patch::patch(&mut theirs, &patch).is_ok();
            let patch = Patch::try_from(patch).unwrap();
            let mut ours = Node::from(&original);
            assert_eq!(patch.apply(&mut ours).is_ok(), applied, "{path}");
            assert_eq!(ours.to_value(), theirs, "{path}");
        }
    }

    #[test]
    fn operations_are_written_as_the_json_patch_crate_writes_them() {
        let written = r#"[{"op":"add","path":"/a~1b/-","value":{"c":[1,null,"\u0007é"]}}]"#;
        let theirs: json_patch::Patch = serde_json::from_str(written).unwrap();
        let ours = Patch::try_from(theirs.clone()).unwrap();
        assert_eq!(serde_json::to_string(&ours).unwrap(), serde_json::to_string(&theirs).unwrap());
        assert_eq!(ours.as_json(), serde_json::to_string(&theirs).unwrap());
        assert_eq!(Patch::try_from(json_patch::Patch::default()).unwrap(), Patch::default());
        let removal: json_patch::Patch = serde_json::from_str(r#"[{"op":"remove","path":"/a"}]"#).unwrap();
        assert!(Patch::try_from(removal).unwrap_err().to_string().contains("is no addition"));
    }
}
