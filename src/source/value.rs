//! A file with one value in it that is no Kubernetes object, such as a batch.

use std::borrow::Cow;
use std::collections::HashMap;

use super::yaml::Wrong;
use super::{File, Marks, Place, Problem, STDIN, json, split, yaml};
use crate::tree::Node;

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Value<'t> {
    /// The value.
    pub tree: Node<'t>,
    /// Where its parts stand.
    pub marks: Marks,
    /// Where keys stand that their map had before.
    pub twice: Vec<Place>,
}

impl<'t> Value<'t> {
    /// A value in which no key stands twice.
    pub(super) fn strict(self) -> Result<(Node<'t>, Marks), Wrong> {
        match self.twice.first() {
            Some(place) => {
                let what = "a key stands twice in the same map; kubectl would take the last".into();
                Err(Wrong { place: *place, what })
            }
            None => Ok((self.tree, self.marks)),
        }
    }

    /// With a number behind the second of two keys of the outermost map, so that pointers tell apart what is below them.
    fn numbered(mut self) -> Self {
        let Node::Object(map) = self.tree else { return self };
        let mut seen: HashMap<Cow<'t, str>, usize> = HashMap::new();
        let number = |(key, node): (Cow<'t, str>, Node<'t>)| {
            let times = seen.entry(key.clone()).and_modify(|times| *times += 1).or_insert(1);
            let key = if *times == 1 { key } else { format!("{key} ({times})").into() };
            (key, node)
        };
        self.tree = Node::Object(map.into_iter().map(number).collect());
        self
    }
}

impl File {
    /// The one value in `text`, which is [`File::text`], JSON or YAML.
    ///
    /// Text that begins as JSON does is JSON, unless the file is called *.yaml or *.yml. Where keys stand twice, the second one of the
    /// outermost map is called "key (2)", and others hold what stands last.
    pub fn value<'t>(&self, text: &'t str) -> Result<Value<'t>, Problem> {
        let wrong = |wrong: Wrong| Problem::new(&self.name, wrong.what).at(wrong.place);
        let mut values = Vec::new();
        if text.trim_start().starts_with(['{', '[']) && !self.is_called_yaml() {
            for value in json::read_whole(text) {
                values.push(value.map_err(wrong)?);
            }
        } else {
            for chunk in split::Chunks::new(text) {
                values.extend(yaml::read_whole(chunk.text, chunk.line).map_err(wrong)?);
            }
        }
        let mut values = values.into_iter();
        let Some(first) = values.next() else { return Err(Problem::new(&self.name, "is empty")) };
        match values.next() {
            None if first.twice.is_empty() => Ok(first),
            None => Ok(first.numbered()),
            Some(second) => {
                let place = second.marks.place(&second.tree, "");
                let problem = Problem::new(&self.name, "holds a second document").at(place);
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
