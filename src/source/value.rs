//! A file with one value in it that is no Kubernetes object, such as a batch.

use super::{File, Marks, Problem, STDIN, json, split, yaml};
use crate::tree::Node;

impl File {
    /// The one value in `text`, which is [`File::text`], JSON or YAML, and where its parts stand.
    ///
    /// Text that begins as JSON does is JSON, unless the file is called *.yaml or *.yml.
    pub fn value<'t>(&self, text: &'t str) -> Result<(Node<'t>, Marks), Problem> {
        let wrong = |wrong: yaml::Wrong| Problem::new(&self.name, wrong.what).at(wrong.place);
        let mut values = Vec::new();
        if text.trim_start().starts_with(['{', '[']) && !self.is_called_yaml() {
            for value in json::read(text) {
                values.push(value.map_err(wrong)?);
            }
        } else {
            for chunk in split::Chunks::new(text) {
                values.extend(yaml::read(chunk.text, chunk.line).map_err(wrong)?);
            }
        }
        let mut values = values.into_iter();
        let Some(first) = values.next() else { return Err(Problem::new(&self.name, "is empty")) };
        match values.next() {
            None => Ok(first),
            Some((second, marks)) => {
                let problem = Problem::new(&self.name, "holds a second document").at(marks.place(&second, ""));
                Err(problem.help("give one file after the other, or put both into one document"))
            }
        }
    }

    /// Whether this is what was read from stdin.
    pub fn is_stdin(&self) -> bool {
        self.path.is_none() && self.name == STDIN
    }

    fn is_called_yaml(&self) -> bool {
        let extension = self.path.as_ref().and_then(|path| path.extension());
        extension.is_some_and(|extension| extension == "yaml" || extension == "yml")
    }
}
