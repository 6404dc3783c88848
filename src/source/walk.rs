//! From the paths that were typed to the files to read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{File, Problem, STDIN, helm, read};

/// The files, and what stood in the way.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// In the order typed; within a folder by name.
    pub files: Vec<File>,
    /// Paths that cannot be read, charts that have to be rendered first.
    pub problems: Vec<Problem>,
}

/// Looks `paths` up: files as they are, folders with all *.yaml, *.yml and *.json below them, `-` as stdin.
///
/// In folders, names that begin with a dot are passed over, as are linked folders, so that no file is met twice (a mounted
/// ConfigMap is such a folder). A Helm chart is reported and only its `crds` are read.
pub fn find(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for path in paths {
        let name = path.to_string_lossy().into_owned();
        if name == "-" {
            match read(std::io::stdin().lock(), STDIN) {
                Ok(text) => {
                    found.files.push(File { name: STDIN.to_owned(), path: None, text: Some(text), found: false });
                }
                Err(problem) => found.problems.push(problem),
            }
            continue;
        }
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => found.folder(path),
            Ok(_) => found.files.push(File { name, path: Some(path.clone()), text: None, found: false }),
            Err(error) => found.problems.push(Problem::new(&name, format!("cannot be read: {error}"))),
        }
    }
    found
}

impl Found {
    fn folder(&mut self, folder: &Path) {
        // Its own stack: folders may be nested deeper than a thread's.
        let mut open = vec![folder.to_owned()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(self.entries(&path).into_iter().rev());
            } else {
                let name = path.to_string_lossy();
                let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
                self.files.push(File { name, path: Some(path), text: None, found: true });
            }
        }
    }

    /// What is to be read in a folder, sorted.
    fn entries(&mut self, folder: &Path) -> BTreeSet<PathBuf> {
        let name = folder.to_string_lossy().into_owned();
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.problems.push(Problem::new(&name, format!("cannot be read: {error}")));
                return BTreeSet::new();
            }
        };
        let is_chart = folder.join("Chart.yaml").is_file();
        if is_chart {
            self.problems.push(helm::chart(&name));
        }
        let mut wanted = BTreeSet::new();
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.path(), entry.file_name(), entry.file_type()?))) {
                Ok((_, name, _)) if name.as_encoded_bytes().starts_with(b".") => {}
                Ok((_, name, _)) if is_chart && name != "crds" => {}
                Ok((path, _, kind)) if kind.is_dir() => {
                    wanted.insert(path);
                }
                Ok((path, _, kind)) if is_manifest(&path) && (kind.is_file() || path.is_file()) => {
                    wanted.insert(path);
                }
                Ok((path, _, kind)) if is_manifest(&path) && kind.is_symlink() && !path.exists() => {
                    let problem = Problem::new(&path.to_string_lossy(), "is a link that leads to no file");
                    self.problems.push(problem);
                }
                Ok(_) => {}
                Err(error) => self.problems.push(Problem::new(&name, format!("cannot be read: {error}"))),
            }
        }
        wanted
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}
