//! Patches of additions, and an editor over a JSON tree that records one as it edits.
//!
//! It can add a missing member, with the parents that it needs, and append to a list: there is no operation that removes or
//! replaces, so nothing that the author wrote can be lost through it. Whether an addition is wanted is decided in mutators/.

use std::borrow::Cow;

use json_patch::{AddOperation, PatchOperation};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::tree::writer::{separate, write_str};
use crate::tree::{Map, Node, escape, index, tokens};

/// An RFC 6902 patch that has no operation but "add".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch(Vec<Addition>);

/// Puts `value` at the pointer `path`, whose last token is `-` for the end of a list.
#[derive(Clone, Debug, PartialEq)]
struct Addition {
    path: String,
    value: Node<'static>,
}

/// A tree being edited, and how it got there.
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

impl Patch {
    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pointers of what is added.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|addition| addition.path.as_str())
    }

    /// The patch as it goes over the wire.
    pub fn to_json(&self) -> String {
        // An operation has a hundred bytes or so.
        let mut text = String::with_capacity(16 + 128 * self.0.len());
        text.push('[');
        for (index, Addition { path, value }) in self.0.iter().enumerate() {
            separate(index, &mut text);
            text.push_str("{\"op\":\"add\",\"path\":");
            write_str(path, &mut text);
            text.push_str(",\"value\":");
            value.write(&mut text);
            text.push('}');
        }
        text.push(']');
        text
    }

    /// Does to `tree` what the API server will do.
    ///
    /// Walks by the pointers as they stand in the patch, and shares no code with [`Editor`]: it is what the editor is checked by.
    /// The property tests check it in turn against the json-patch crate, whose trees take three times as long.
    pub fn apply<'a>(&'a self, tree: &mut Node<'a>) -> Result<(), PatchError> {
        self.0.iter().try_for_each(|addition| {
            let misfit = || PatchError::DoesNotApply(format!("nothing can be added at {}", addition.path));
            addition.apply(tree).ok_or_else(misfit)
        })
    }
}

impl Addition {
    /// `None` where it fits nowhere.
    fn apply<'a>(&'a self, tree: &mut Node<'a>) -> Option<()> {
        let value = match &self.value {
            Node::String(text) => Node::String(Cow::Borrowed(text)),
            other => other.clone(),
        };
        if self.path.is_empty() {
            *tree = value;
            return Some(());
        }
        let (parents, last) = self.path.rsplit_once('/')?;
        let mut parents = parents.split('/');
        parents.next().filter(|root| root.is_empty())?;
        let parent = parents.try_fold(tree, |node, token| match node {
            Node::Object(map) => map.get_mut(&decoded(token)),
            Node::Array(items) => items.get_mut(place(token)?),
            _ => None,
        });
        match parent? {
            Node::Object(map) => map.insert(decoded(last), value),
            Node::Array(items) => {
                let end = items.len();
                let index = if last == "-" { end } else { place(last).filter(|index| *index <= end)? };
                items.insert(index, value);
            }
            _ => return None,
        }
        Some(())
    }
}

/// The member name that a token of a pointer stands for.
fn decoded(token: &str) -> Cow<'_, str> {
    if !token.bytes().any(|byte| byte == b'~') {
        return Cow::Borrowed(token);
    }
    let mut parts = token.split('~');
    let mut name = String::with_capacity(token.len());
    name.push_str(parts.next().unwrap_or_default());
    for part in parts {
        name.push(if part.starts_with('1') { '/' } else { '~' });
        name.push_str(part.get(1..).unwrap_or_default());
    }
    Cow::Owned(name)
}

/// The place in a list that a token of a pointer stands for.
fn place(token: &str) -> Option<usize> {
    let is_plain = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    token.parse().ok().filter(|_| is_plain)
}

impl Serialize for Patch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl Serialize for Addition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut operation = serializer.serialize_struct("Addition", 3)?;
        operation.serialize_field("op", "add")?;
        operation.serialize_field("path", &self.path)?;
        operation.serialize_field("value", &self.value)?;
        operation.end()
    }
}

impl TryFrom<json_patch::Patch> for Patch {
    type Error = PatchError;

    /// Fails where there is anything but additions.
    fn try_from(patch: json_patch::Patch) -> Result<Self, PatchError> {
        let addition = |operation| match operation {
            PatchOperation::Add(AddOperation { path, value }) => {
                Ok(Addition { path: path.to_string(), value: value.into() })
            }
            other => Err(PatchError::DoesNotApply(format!("{other} is no addition"))),
        };
        patch.0.into_iter().map(addition).collect::<Result<_, _>>().map(Patch)
    }
}

impl<'a> Editor<'a> {
    /// Starts from a copy of `tree`, with nothing recorded.
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

    /// Adds `value` at `pointer`, where nothing (or `null`) stands; missing parents become maps.
    pub fn add(&mut self, pointer: &str, value: impl Into<Node<'static>>) -> Result<(), EditError> {
        let tree = self.edited.get_or_insert_with(|| self.original.clone());
        match walk(tree, pointer)? {
            Place::There(_) => Err(EditError::Occupied(pointer.to_owned())),
            Place::Missing(missing) => {
                self.patch.0.push(missing.add(value.into()));
                Ok(())
            }
        }
    }

    /// Adds members to the map at `pointer`, where none of them is (or is `null`); with one operation where there is no map yet.
    pub fn add_members<'k, M>(&mut self, pointer: &str, members: M) -> Result<(), EditError>
    where
        M: IntoIterator<Item = (&'k str, Node<'static>), IntoIter: ExactSizeIterator>,
    {
        let members = members.into_iter();
        if members.len() == 0 {
            return Ok(());
        }
        let tree = self.edited.get_or_insert_with(|| self.original.clone());
        match walk(tree, pointer)? {
            Place::There(Node::Object(map)) => {
                for (key, value) in members {
                    let path = [pointer, "/", &escape(key)].concat();
                    if !is_missing(map, key) {
                        return Err(EditError::Occupied(path));
                    }
                    map.insert(key.to_owned(), value.clone());
                    self.patch.0.push(Addition { path, value });
                }
            }
            Place::There(_) => return Err(EditError::NotAMap(pointer.to_owned())),
            Place::Missing(missing) => {
                let members = members.map(|(key, value)| (Cow::Owned(key.to_owned()), value));
                self.patch.0.push(missing.add(Node::Object(members.collect())));
            }
        }
        Ok(())
    }

    /// Appends `value` to the list at `pointer`; a missing (or `null`) list is made.
    pub fn append(&mut self, pointer: &str, value: impl Into<Node<'static>>) -> Result<(), EditError> {
        let value = value.into();
        let tree = self.edited.get_or_insert_with(|| self.original.clone());
        match walk(tree, pointer)? {
            Place::There(Node::Array(items)) => {
                items.push(value.clone());
                self.patch.0.push(Addition { path: [pointer, "/-"].concat(), value });
            }
            Place::There(_) => return Err(EditError::NotAList(pointer.to_owned())),
            Place::Missing(missing) => self.patch.0.push(missing.add(Node::Array([value].into_iter().collect()))),
        }
        Ok(())
    }

    /// Checks that the recorded operations lead from the original to the edited tree. A patch that does not would refuse the
    /// pod, even under `failurePolicy: Ignore`.
    pub fn verify(&self) -> Result<(), PatchError> {
        let Some(edited) = &self.edited else {
            return if self.patch.is_empty() { Ok(()) } else { Err(PatchError::Differs) };
        };
        let mut patched: Node<'_> = self.original.clone();
        self.patch.apply(&mut patched)?;
        if patched == *edited { Ok(()) } else { Err(PatchError::Differs) }
    }
}

/// Where a pointer leads.
enum Place<'e, 'p, 'a> {
    /// To something that is not `null`.
    There(&'e mut Node<'a>),
    Missing(Missing<'e, 'p, 'a>),
}

/// The topmost part of a pointer that is missing: `key` of `map`.
struct Missing<'e, 'p, 'a> {
    map: &'e mut Map<'a>,
    key: Cow<'p, str>,
    /// The pointer up to the key, and what is left of it.
    at: (&'p str, &'p str),
}

fn walk<'e, 'p, 'a>(tree: &'e mut Node<'a>, pointer: &'p str) -> Result<Place<'e, 'p, 'a>, EditError> {
    let (mut node, mut rest) = (tree, pointer);
    let before = |rest: &str| pointer.split_at(pointer.len() - rest.len());
    let not_a_map = |rest| EditError::NotAMap(before(rest).0.to_owned());
    while let Some((token, below)) = first(rest) {
        node = match node {
            Node::Object(map) => {
                if is_missing(map, &token) {
                    return Ok(Place::Missing(Missing { map, key: token, at: before(below) }));
                }
                map.get_mut(&token).ok_or_else(|| not_a_map(below))?
            }
            // An item can be walked through, never added.
            Node::Array(items) => {
                index(&token).and_then(|index| items.get_mut(index)).ok_or_else(|| not_a_map(below))?
            }
            _ => return Err(not_a_map(rest)),
        };
        rest = below;
    }
    Ok(Place::There(node))
}

/// The first token of a pointer, unescaped, and the pointer below it.
fn first(pointer: &str) -> Option<(Cow<'_, str>, &str)> {
    let token = pointer.strip_prefix('/')?;
    let end = token.bytes().position(|byte| byte == b'/').unwrap_or(token.len());
    let (token, below) = token.split_at(end);
    if token.bytes().any(|byte| byte == b'~') {
        return Some((tokens(pointer)?.next()?, below));
    }
    Some((Cow::Borrowed(token), below))
}

impl Missing<'_, '_, '_> {
    /// One operation adds the key with everything below it.
    fn add(self, value: Node<'static>) -> Addition {
        let (path, below) = self.at;
        let keys: Vec<_> = tokens(below).into_iter().flatten().collect();
        let value = keys
            .into_iter()
            .rev()
            .fold(value, |inner, key| Node::Object([(Cow::Owned(key.into_owned()), inner)].into_iter().collect()));
        self.map.insert(self.key.into_owned(), value.clone());
        Addition { path: path.to_owned(), value }
    }
}

fn is_missing(map: &Map<'_>, key: &str) -> bool {
    matches!(map.get(key), None | Some(Node::Null))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn operations(editor: &Editor<'_>) -> Value {
        serde_json::to_value(&editor.patch).unwrap()
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
        assert!(editor.patch.is_empty());
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
        let patch = Patch(vec![Addition { path: "/0".to_owned(), value: json!(0).into() }]);
        let edited = Some(Node::read("[0, 2, null]").unwrap());
        assert_eq!(Editor { original: &original, edited, patch }.verify(), Err(PatchError::Differs));
    }

    #[test]
    fn members_come_with_one_operation_where_their_map_is_missing() {
        let original = Node::read(r#"{"there": {"a": 1, "b": null}, "text": "x"}"#).unwrap();
        let mut editor = Editor::new(&original);
        let members = |keys: &[&'static str]| keys.iter().map(|key| (*key, json!(2).into())).collect::<Vec<_>>();
        editor.add_members("/new/map", members(&["x/y", "z"])).unwrap();
        editor.add_members("/there", members(&["b", "x/y"])).unwrap();
        editor.add_members("/nowhere", []).unwrap();
        assert_eq!(
            operations(&editor),
            json!([{"op": "add", "path": "/new", "value": {"map": {"x/y": 2, "z": 2}}},
                   {"op": "add", "path": "/there/b", "value": 2},
                   {"op": "add", "path": "/there/x~1y", "value": 2}])
        );
        editor.verify().unwrap();
        assert_eq!(editor.add_members("/there", members(&["a"])), Err(EditError::Occupied("/there/a".into())));
        assert_eq!(editor.add_members("/text", members(&["a"])), Err(EditError::NotAMap("/text".into())));
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
        assert_eq!(ours.to_json(), serde_json::to_string(&theirs).unwrap());
        let removal: json_patch::Patch = serde_json::from_str(r#"[{"op":"remove","path":"/a"}]"#).unwrap();
        assert!(Patch::try_from(removal).unwrap_err().to_string().contains("is no addition"));
    }
}
