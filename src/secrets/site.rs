//! A place in an object: its pointer, and what a person calls it.
//!
//! Built on the stack while walking, so that a clean object costs no allocation. Knows nothing of secrets.

use crate::tree;

use super::Surface;

/// The way from the object's root, as a chain of steps on the stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(super) const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    pub(super) fn key<'b>(&'b self, key: &'b str) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    pub(super) fn index<'b>(&'b self, index: usize) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// RFC 6901.
    pub(super) fn pointer(&self) -> String {
        let mut text = self.parent.map(Path::pointer).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Key(key) => {
                text.push('/');
                text.push_str(&tree::escape(key));
            }
            Step::Index(index) => {
                text.push('/');
                text.push_str(&index.to_string());
            }
        }
        text
    }

    /// `spec.users[0].password`.
    fn dotted(&self) -> String {
        let mut text = self.parent.map(Path::dotted).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Step::Index(index) => {
                text.push('[');
                text.push_str(&index.to_string());
                text.push(']');
            }
        }
        text
    }
}

/// Where a string stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    pub(super) path: &'a Path<'a>,
    pub(super) surface: Surface,
    pub(super) container: Option<&'a str>,
    /// Env name, flag, data key, header, annotation or label key, field.
    pub(super) key: Option<&'a str>,
    /// The field around it that a person would name: "command", "livenessProbe", a volume's name.
    pub(super) within: &'a str,
    /// Which item of `within` it is.
    pub(super) item: usize,
}

impl Site<'_> {
    /// What a person calls it. `line` counts from 1 and is given for texts of several lines; `inner` is the name beside the value.
    pub(super) fn say(&self, line: Option<usize>, inner: Option<&str>) -> String {
        let key = self.key.unwrap_or_default();
        let named = |what: &str| match inner {
            Some(inner) => format!("{inner} in {what} {key}"),
            None => format!("{what} {key}"),
        };
        match self.surface {
            Surface::Env => named("env"),
            Surface::Argument | Surface::Lifecycle | Surface::Probe => match (inner.or(self.key), self.within) {
                (Some(key), within) if key.starts_with('-') => format!("argument {key} of {within}"),
                (Some(key), within) if self.surface == Surface::Probe && inner.is_none() => {
                    format!("header {key} of {within}")
                }
                (Some(key), within) => format!("{key} in item {} of {within}", self.item + 1),
                (None, within) => format!("item {} of {within}", self.item + 1),
            },
            Surface::ConfigMapData => match (line, inner) {
                (Some(line), _) => format!("line {line} of key {key}"),
                (None, _) => named("key"),
            },
            Surface::Annotation => named("annotation"),
            Surface::Label => named("label"),
            Surface::Image => "the image reference".to_owned(),
            Surface::Volume => match inner.or(self.key) {
                Some(key) => format!("{key} of volume {}", self.within),
                None => format!("volume {}", self.within),
            },
            Surface::Other => format!("field {}", self.path.dotted()),
        }
    }
}
