//! Files, folders and stdin -> documents with line and column.
//!
//! Reads YAML the way kubectl does (split.rs, scalar.rs, yaml.rs) and JSON; unrolls lists; goes on after what it cannot read.
//! Judges nothing. A text from a file never gets into an error here: it may be a secret.

use std::borrow::Cow;
use std::fs::File as Handle;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::tree::Node;

mod helm;
mod json;
mod marks;
mod namespaces;
mod policies;
mod scalar;
mod split;
mod value;
mod walk;
mod yaml;

pub use marks::{Marks, Place};
pub use namespaces::Namespaces;
pub use policies::{Loaded, policies};
pub use value::Value;
pub use walk::{Found, find};

/// The largest file that is read. A tree takes about ten times its text, and manifests beyond this are dumps.
const LARGEST: u64 = 64 * 1024 * 1024;

/// How lists may be nested in lists.
const LISTS: usize = 8;

/// The name under which stdin's findings are reported.
pub const STDIN: &str = "stdin";

/// A file to read, or stdin.
#[derive(Clone, Debug)]
pub struct File {
    /// As it was typed, or as it was found below what was typed.
    pub name: String,
    /// `None` is stdin.
    path: Option<PathBuf>,
    /// What stdin held: it can be read once only.
    text: Option<String>,
    /// Found in a folder: other YAML may lie there, too.
    found: bool,
}

/// An object as it stands in a file.
#[derive(Clone, Debug)]
pub struct Document<'t> {
    /// Which document of the file, from 0. Counted are the parts between lines of `---`, empty ones too, as kubectl cuts them;
    /// comments in front of the first `---` are none. In a JSON file: which value.
    pub index: usize,
    /// Where in the document the object stands: "" or, in a list, "/items/3".
    pub at: String,
    /// `apiVersion` without its version: "" for core.
    pub group: String,
    /// `kind`.
    pub kind: String,
    /// The object.
    pub tree: Node<'t>,
    /// Where its values stand in the file.
    pub marks: Marks,
}

/// Something that could not be judged, or was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Where in it.
    pub place: Option<Place>,
    /// What is wrong; of the file's text only names.
    pub message: String,
    /// What to do or to type.
    pub help: Option<String>,
}

/// What a file gives.
#[derive(Clone, Debug)]
pub enum Item<'t> {
    /// An object.
    Document(Document<'t>),
    /// What cannot be judged: the exit code will be 2.
    Problem(Problem),
    /// What is no Kubernetes object and need not be one.
    Note(Problem),
}

/// Which documents somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// Those that may be facts of a namespace (see [`Namespaces`]); others may come, too. Spares parsing the rest.
    Facts,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place {
            Some(place) => write!(f, "{}:{}:{}: {}", self.file, place.line, place.column, self.message)?,
            None => write!(f, "{}: {}", self.file, self.message)?,
        }
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
    }
}

impl Problem {
    fn new(file: &str, message: impl Into<String>) -> Self {
        Problem { file: file.to_owned(), place: None, message: message.into(), help: None }
    }

    fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Document<'_> {
    /// Where a pointer into the object points to in the file.
    pub fn place(&self, pointer: &str) -> Place {
        self.marks.place(&self.tree, pointer)
    }

    /// `metadata.namespace` as it is written.
    pub fn namespace(&self) -> Option<&str> {
        self.tree.path(&["metadata", "namespace"]).and_then(Node::as_str)
    }

    /// `metadata.name`, or `metadata.generateName`.
    pub fn name(&self) -> Option<&str> {
        let metadata = self.tree.get("metadata")?;
        metadata.str("name").or_else(|| metadata.str("generateName"))
    }
}

impl File {
    /// The text of the file.
    pub fn text(&self) -> Result<Cow<'_, str>, Problem> {
        if let Some(text) = &self.text {
            return Ok(Cow::Borrowed(text));
        }
        let Some(path) = &self.path else { return stdin().map(Cow::Owned) };
        let unreadable = |error: &std::io::Error| Problem::new(&self.name, format!("cannot be read: {error}"));
        let handle = Handle::open(path).map_err(|error| unreadable(&error))?;
        read(handle, &self.name).map(Cow::Owned)
    }

    /// Calls `each` with what is in `text`, which is [`File::text`]; one at a time, as a tree is ten times its text.
    pub fn documents<'t>(&self, text: &'t str, wanted: Wanted, each: &mut dyn FnMut(Item<'t>)) {
        if wanted == Wanted::Facts && !namespaces::mentioned(text) {
            return;
        }
        if let Some(problem) = helm::unrendered(self, text) {
            return each(Item::Problem(problem));
        }
        let mut out = Unroll { file: self, each, unrendered: false };
        // kubectl takes what begins like this for JSON. A file of `{{ … }}` or of YAML in braces does, too.
        if text.trim_start().starts_with(['{', '[']) {
            let mut first = true;
            let wrong = json::read(text).enumerate().find_map(|(index, value)| {
                let (node, marks) = match value {
                    Ok(value) => value,
                    Err(wrong) => return Some(wrong),
                };
                first = false;
                out.document(index, node, marks);
                None
            });
            match wrong {
                None => return,
                Some(wrong) if !first || out.is_json() => {
                    return match helm::unparsable(self, text) {
                        Some(problem) => out.problem(problem),
                        None => out.wrong(&wrong, text),
                    };
                }
                Some(_) => {}
            }
        }
        for chunk in split::Chunks::new(text) {
            if out.unrendered {
                return;
            }
            if wanted == Wanted::Facts && !namespaces::mentioned(chunk.text) {
                continue;
            }
            if chunk.crowded {
                let place = Place { line: chunk.line.saturating_sub(1), column: 4 };
                out.problem(
                    Problem::new(&self.name, "kubectl does not read a document that begins on the line of its `---`")
                        .at(place)
                        .help("put what stands behind `---` on a line of its own"),
                );
                continue;
            }
            match yaml::read(chunk.text, chunk.line) {
                Ok(None) => {}
                Ok(Some((node, marks))) => out.document(chunk.index, node, marks),
                Err(wrong) => {
                    if let Some(problem) = helm::unparsable(self, text) {
                        return out.problem(problem);
                    }
                    out.wrong(&wrong, text);
                }
            }
        }
    }
}

/// Takes lists apart and sorts out what is no Kubernetes object.
struct Unroll<'f, 'e, 't> {
    file: &'f File,
    each: &'e mut dyn FnMut(Item<'t>),
    /// It turned out to be a Helm template: what follows is one, too.
    unrendered: bool,
}

impl<'t> Unroll<'_, '_, 't> {
    fn is_json(&self) -> bool {
        self.file.path.as_ref().is_some_and(|path| path.extension().is_some_and(|extension| extension == "json"))
    }

    fn problem(&mut self, problem: Problem) {
        (self.each)(Item::Problem(problem));
    }

    fn wrong(&mut self, wrong: &yaml::Wrong, text: &str) {
        let mut problem = Problem::new(&self.file.name, wrong.what.clone()).at(wrong.place);
        if text.lines().nth((wrong.place.line as usize).saturating_sub(1)).is_some_and(|line| line.starts_with('\t')) {
            problem = problem.help("indent with spaces: YAML allows no tabs");
        }
        self.problem(problem);
    }

    fn document(&mut self, index: usize, node: Node<'t>, marks: Marks) {
        self.object(index, String::new(), node, marks, ("", ""), LISTS);
    }

    /// `of` is the apiVersion and kind that a list gives to items that do not say.
    fn object(&mut self, index: usize, at: String, mut tree: Node<'t>, marks: Marks, of: (&str, &str), lists: usize) {
        if self.unrendered {
            return;
        }
        if let Node::Object(map) = &mut tree {
            for (key, given) in [("apiVersion", of.0), ("kind", of.1)] {
                if !given.is_empty() && map.get(key).and_then(Node::as_str).is_none_or(str::is_empty) {
                    map.insert(key, Node::String(given.to_owned().into()));
                }
            }
        }
        let said = |key| tree.str(key).filter(|text| !text.is_empty()).map(str::to_owned);
        let (api_version, kind) = match (said("apiVersion"), said("kind")) {
            (Some(api_version), Some(kind)) => (api_version, kind),
            (api_version, kind) => return self.no_object(api_version.is_none() && kind.is_none(), &tree, &marks),
        };
        if let Some(of_kind) =
            kind.strip_suffix("List").filter(|_| tree.get("items").is_some_and(|i| i.as_array().is_some()))
        {
            if lists == 0 {
                let problem = Problem::new(&self.file.name, "lists are nested too deep").at(marks.place);
                return self.problem(problem);
            }
            let of_version = if of_kind.is_empty() { "" } else { &api_version };
            return self.list(index, &at, tree, marks, (of_version, of_kind), lists - 1);
        }
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
        if let Some(problem) = helm::quoted(self.file, &group, &kind, &tree, &marks) {
            self.unrendered = true;
            return self.problem(problem);
        }
        (self.each)(Item::Document(Document { index, at, group, kind, tree, marks }));
    }

    fn list(&mut self, index: usize, at: &str, tree: Node<'t>, marks: Marks, of: (&str, &str), lists: usize) {
        let Node::Object(map) = tree else { return };
        for ((key, node), marks) in map.into_iter().zip(marks.into_below()) {
            let Node::Array(items) = node else { continue };
            if key == "items" {
                for (position, (item, marks)) in items.into_iter().zip(marks.into_below()).enumerate() {
                    self.object(index, format!("{at}/items/{position}"), item, marks, of, lists);
                }
                return;
            }
        }
    }

    fn no_object(&mut self, nothing_said: bool, tree: &Node<'t>, marks: &Marks) {
        let name = self.file.path.as_deref().and_then(Path::file_name).map(std::ffi::OsStr::to_string_lossy);
        let name = name.unwrap_or_default();
        let known =
            ["kustomization.", "Kustomization", "Chart.", "values."].iter().any(|start| name.starts_with(start));
        let message = "is no Kubernetes object: apiVersion or kind is missing";
        let problem = Problem::new(&self.file.name, message).at(marks.place);
        if known || (self.file.found && (nothing_said || tree.as_object().is_none())) {
            return (self.each)(Item::Note(problem));
        }
        (self.each)(Item::Problem(
            problem.help("every manifest begins with both, e.g. `apiVersion: apps/v1` and `kind: Deployment`"),
        ));
    }
}

fn stdin() -> Result<String, Problem> {
    read(std::io::stdin().lock(), STDIN)
}

fn read(from: impl Read, name: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::new(name, format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Problem::new(name, "is larger than 64 MiB").help("split it into several files"));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let last = before.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(last).trim_start_matches('\u{feff}').chars().count() + 1;
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let place = Place { line: number(line), column: number(column) };
        Problem::new(name, "is not UTF-8 text").at(place).help("save it as UTF-8, without UTF-16 or Latin-1")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}
