//! Policies from files, or the built-in set; errors with file, line and field path.

use std::path::{Path, PathBuf};

use super::{Document, File, Item, Marks, Problem, Wanted, find};
use crate::policy::{self, PolicySet, VolumeTypes};
use crate::tree::Node;

/// The files of manifests/policies, compiled in.
const BUILT_IN: [(&str, &str); 2] = [
    ("(built in) baseline.yaml", include_str!("../../manifests/policies/baseline.yaml")),
    ("(built in) scan.yaml", include_str!("../../manifests/policies/scan.yaml")),
];

/// Policies as they were read and compiled.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What compiled.
    pub set: PolicySet,
    /// What did not, and what could not be read.
    pub problems: Vec<Problem>,
    /// Every document that was read, whether it compiled or not.
    pub documents: Vec<Written>,
}

/// A policy as somebody wrote it.
#[derive(Debug)]
pub struct Written {
    /// The file it stands in.
    pub file: String,
    /// GuardPolicy, PodProfile or Exemption.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// The whole object.
    pub tree: Node<'static>,
    marks: Marks,
}

/// Reads and compiles the policies in a file or folder, or the built-in set, whose profiles may add volumes of these types.
pub fn policies(path: Option<&Path>, types: &VolumeTypes) -> Loaded {
    let mut loaded = Loaded::default();
    match path {
        None => {
            for (name, text) in BUILT_IN {
                let file = File { name: name.to_owned(), path: None, text: None, found: false };
                loaded.read(&file, text);
            }
        }
        Some(path) => {
            let found = find(&[PathBuf::from(path)]);
            loaded.problems = found.problems;
            for file in &found.files {
                match file.text() {
                    Ok(text) => loaded.read(file, &text),
                    Err(problem) => loaded.problems.push(problem),
                }
            }
            if loaded.documents.is_empty() && loaded.problems.is_empty() {
                let problem = Problem::new(&path.to_string_lossy(), "holds no policy")
                    .help("name a file or folder with GuardPolicy or PodProfile documents; without --policies the built-in set is used");
                loaded.problems.push(problem);
            }
        }
    }
    loaded.compile(types);
    loaded
}

impl Loaded {
    fn read(&mut self, file: &File, text: &str) {
        file.documents(text, Wanted::All, &mut |item| match item {
            Item::Document(document) if document.group == "kustomize.config.k8s.io" => {}
            Item::Document(document) => self.documents.push(Written::new(&file.name, document)),
            Item::Problem(problem) => self.problems.push(problem),
            Item::Note(_) => {}
        });
    }

    /// Keeps the policy of this name only; that there is none is a problem.
    pub fn keep(&mut self, name: &str) {
        if let Some(set) = self.set.only(name) {
            self.set = set;
        } else if self.problems.is_empty() {
            let judging = self.documents.iter().filter(|written| written.kind != "Exemption");
            let names: Vec<&str> = judging.map(|written| &*written.name).collect();
            let message = format!("is no GuardPolicy and no PodProfile; there are: {}", names.join(", "));
            self.problems.push(Problem::new(&format!("--policy {name}"), message));
        }
    }

    fn compile(&mut self, types: &VolumeTypes) {
        let documents: Vec<_> = self.documents.iter().map(|written| policy::Document { tree: &written.tree }).collect();
        let (set, errors) = PolicySet::compile(&documents, types);
        self.set = set;
        for error in errors {
            let message = format!("{}: {}: {}", error.policy, error.field, error.message);
            self.problems.push(match self.documents.get(error.document) {
                Some(written) => {
                    Problem::new(&written.file, message).at(written.marks.place(&written.tree, &error.pointer))
                }
                None => Problem::new("policies", message),
            });
        }
    }
}

impl Written {
    fn new(file: &str, document: Document<'_>) -> Self {
        Written {
            file: file.to_owned(),
            name: document.name().unwrap_or_default().to_owned(),
            kind: document.kind,
            tree: document.tree.into_owned(),
            marks: document.marks,
        }
    }
}
