//! The table of mutators: one kind of addition each, in a fixed order. Applying them twice changes nothing the second time.
//!
//! They edit a tree through patch.rs, so they can only add. Where the author wrote something else in the place of an
//! addition, they leave it and object; what an objection leads to is decided by rules and policies.

use std::borrow::Cow;

use crate::facts::Namespace;
use crate::finding::Objection;
use crate::packing::{Packed, Reservation, View};
use crate::patch::{EditError, Editor};
use crate::policy::Profile;
use crate::tree::{Node, Path, Step};
use crate::workload::{MOST_ANNOTATION_BYTES, PROFILE_ANNOTATION, Pod};

mod combine;
mod labels;
mod placement;
mod resources;
mod volumes;

/// A mutator's name in metrics and messages, and what it does.
type Mutator = (&'static str, Apply);
type Apply = fn(&mut Stowing<'_, '_>) -> Result<(), EditError>;

/// Every mutator, in the order in which they run: later ones see what earlier ones added.
const MUTATORS: [Mutator; 4] = [
    ("labels", labels::apply),
    ("resources", resources::apply),
    ("volumes", volumes::apply),
    ("placement", placement::apply),
];

/// The names of all of them.
pub fn all() -> [&'static str; MUTATORS.len()] {
    MUTATORS.map(|(name, _)| name)
}

/// Those that object, in the same order: they look at nothing that the others add.
const OBJECTING: [Apply; 2] = [labels::apply, volumes::apply];

/// The profiles that match a pod, made into one.
#[derive(Clone, Debug)]
pub struct Combined<'p> {
    each: Vec<&'p Profile>,
    profile: Cow<'p, Profile>,
    /// What they have against each other.
    objections: Vec<Objection>,
}

/// One pod being equipped: what the mutators read, and what they write.
struct Stowing<'s, 't> {
    /// What it gets; the tree borrows from it.
    profile: &'t Profile,
    /// The pod's namespace.
    namespace: &'t Namespace,
    /// Where in the object the pod stands.
    at: &'static str,
    /// Whether a list that the author wrote may be appended to.
    author: Author,
    /// The nodes, where they can be seen.
    packing: Option<View<'s>>,
    editor: &'s mut Editor<'t>,
    objections: Vec<Objection>,
    warnings: Vec<String>,
    packed: Option<Packed>,
    reservation: Option<Reservation>,
}

/// Who wrote the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A controller, from a template that stays as it is.
    Controller,
    /// Somebody who may send the same manifest again.
    Person,
}

/// What became of a pod.
#[derive(Clone, Debug, Default)]
pub struct Stowed {
    /// The mutators that added something.
    pub mutators: Vec<&'static str>,
    /// What could not be added.
    pub objections: Vec<Objection>,
    /// What the author should know.
    pub warnings: Vec<String>,
    /// How it was packed, if it should be.
    pub packed: Option<Packed>,
    /// What the pod was planned to take of a node.
    pub reservation: Option<Reservation>,
}

impl<'p> Combined<'p> {
    /// Of profiles that match, the first comes first; `None` when there are none.
    pub fn of(each: Vec<&'p Profile>) -> Option<Self> {
        let (profile, objections) = combine::combine(&each)?;
        Some(Combined { each, profile, objections })
    }

    /// As they were before.
    pub fn each(&self) -> &[&'p Profile] {
        &self.each
    }

    /// What they have against each other at a pod at this pointer.
    fn objections(&self, at: &str) -> Vec<Objection> {
        let at_pod =
            |objection: &Objection| Objection { pointer: [at, &objection.pointer].concat(), ..objection.clone() };
        self.objections.iter().map(at_pod).collect()
    }
}

/// Gives the pod at pointer `at` of the editor's tree what the profiles that match it say. Without a view of the nodes, pods are packed by
/// podAffinity.
pub fn stow<'e>(
    profiles: &'e Combined<'e>,
    namespace: &'e Namespace,
    author: Author,
    at: &'static str,
    packing: Option<View<'_>>,
    editor: &mut Editor<'e>,
) -> Result<Stowed, EditError> {
    let objections = profiles.objections(at);
    let profile = &*profiles.profile;
    let mut stowing = Stowing { at, packing, objections, ..Stowing::new(profile, namespace, author, editor) };
    let mut touched = Vec::new();
    for (name, apply) in MUTATORS {
        let before = stowing.editor.patch().len();
        apply(&mut stowing)?;
        if stowing.editor.patch().len() > before {
            touched.push(name);
        }
    }
    if !touched.is_empty() {
        stowing.annotate([(PROFILE_ANNOTATION, names(profile))])?;
    }
    let Stowing { objections, warnings, packed, reservation, .. } = stowing;
    Ok(Stowed { mutators: touched, objections, warnings, packed, reservation })
}

/// What the profiles have against a pod that is stored as it is: no more is done than finding that out takes.
pub fn objections<'e>(
    profiles: &'e Combined<'e>,
    namespace: &'e Namespace,
    author: Author,
    editor: &mut Editor<'e>,
) -> Result<Vec<Objection>, EditError> {
    let objections = profiles.objections("");
    let mut stowing = Stowing { objections, ..Stowing::new(&profiles.profile, namespace, author, editor) };
    for apply in OBJECTING {
        apply(&mut stowing)?;
    }
    Ok(stowing.objections)
}

/// The names of the profiles that `profile` was made of, with commas between.
fn names(profile: &Profile) -> Cow<'_, str> {
    if profile.name.contains('+') { Cow::Owned(profile.name.replace('+', ",")) } else { Cow::Borrowed(&profile.name) }
}

impl<'s, 't> Stowing<'s, 't> {
    /// Of a pod that is an object of its own, without a view of the nodes.
    fn new(profile: &'t Profile, namespace: &'t Namespace, author: Author, editor: &'s mut Editor<'t>) -> Self {
        Stowing {
            profile,
            namespace,
            at: "",
            author,
            packing: None,
            editor,
            objections: Vec::new(),
            warnings: Vec::new(),
            packed: None,
            reservation: None,
        }
    }
}

impl<'t> Stowing<'_, 't> {
    /// The pod as edited so far.
    fn pod(&self) -> Pod<'_> {
        Pod::new(self.at, self.editor.tree().pointer(self.at).unwrap_or(&Node::Null))
    }

    /// The path of something in the pod.
    #[inline]
    fn path<const N: usize>(&self, keys: [&'static str; N]) -> Path {
        Path::at(self.at).keys(keys)
    }

    /// Adds annotations, but for those of which the pod has the key, or no room for them.
    fn annotate<V: Into<Cow<'t, str>>>(
        &mut self,
        annotations: impl IntoIterator<Item = (&'t str, V)>,
    ) -> Result<(), EditError> {
        let mut bytes = self.pod().annotation_bytes();
        let mut additions = Vec::new();
        for (key, value) in annotations {
            let value = value.into();
            if self.pod().annotation(key).is_none() && self.fits(bytes, key, value.len()) {
                bytes += key.len() + value.len();
                additions.push((key, Node::String(value)));
            }
        }
        self.editor.add_members(&self.path(["metadata", "annotations"]), additions)
    }

    /// Whether the pod can take an annotation with a value of so many bytes; where it cannot, the author is told.
    fn has_room(&mut self, key: &str, value: usize) -> bool {
        self.fits(self.pod().annotation_bytes(), key, value)
    }

    /// The same beside annotations of so many bytes.
    fn fits(&mut self, bytes: usize, key: &str, value: usize) -> bool {
        let fits = bytes + key.len() + value <= MOST_ANNOTATION_BYTES;
        if !fits {
            let warning =
                format!("annotation {key} left out: a pod has room for {MOST_ANNOTATION_BYTES} bytes of them");
            self.warnings.push(warning);
        }
        fits
    }

    /// Whether the list at `path`, one that `kubectl apply` replaces as a whole, may be appended to.
    ///
    /// Applying the author's list again would take our entry out of it, which the API server refuses for a pod (422). A list
    /// that is merged by key (volumes, mounts, spread constraints) does not have this trouble.
    fn may_append(&self, path: &[Step]) -> bool {
        self.author == Author::Controller
            || self.editor.tree().at(path).and_then(Node::as_array).is_none_or(<[_]>::is_empty)
    }

    /// "PodProfile/scan", for findings.
    fn by(&self) -> String {
        format!("PodProfile/{}", self.profile.name)
    }

    /// Adds an objection of this profile.
    #[cold]
    fn object(&mut self, objection: Objection) {
        self.objections.push(Objection { by: self.by(), ..objection });
    }
}

/// A string that stands elsewhere.
fn text(text: &str) -> Node<'_> {
    Node::String(Cow::Borrowed(text))
}

/// A map with keys that are known here, sorted as serde_json sorts them.
fn map<'t>(members: impl IntoIterator<Item = (&'static str, Node<'t>)>) -> Node<'t> {
    Node::Object(members.into_iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect())
}

/// Text from a profile with `{namespace}` filled in.
fn fill_in<'p>(text: &'p str, namespace: &Namespace) -> Cow<'p, str> {
    if text.contains("{namespace}") {
        Cow::Owned(text.replace("{namespace}", &namespace.name))
    } else {
        Cow::Borrowed(text)
    }
}
