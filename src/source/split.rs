//! Cuts a YAML file into documents the way kubectl does: at lines that begin with `---`, before any parsing.
//!
//! So one document that cannot be read does not take the others with it.

/// A document's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk<'t> {
    /// Which document of the file, from 0; empty ones count, comments in front of the first `---` do not.
    pub(super) index: usize,
    /// The text between two separators.
    pub(super) text: &'t str,
    /// The line of the file on which `text` begins, from 1.
    pub(super) line: u32,
    /// Something other than a comment stands behind the `---` in front of it; kubectl stops there.
    pub(super) crowded: bool,
}

/// The documents of a file, one after the other.
pub(super) struct Chunks<'t> {
    rest: Option<&'t str>,
    index: usize,
    line: u32,
    crowded: bool,
}

impl<'t> Chunks<'t> {
    /// Over all of `text`.
    pub(super) fn new(text: &'t str) -> Self {
        Chunks { rest: Some(text), index: 0, line: 1, crowded: false }
    }
}

impl<'t> Iterator for Chunks<'t> {
    type Item = Chunk<'t>;

    fn next(&mut self) -> Option<Chunk<'t>> {
        loop {
            let rest = self.rest?;
            let first = self.line == 1;
            let mut chunk = Chunk { index: self.index, text: rest, line: self.line, crowded: self.crowded };
            let separator = memchr::memmem::find_iter(rest.as_bytes(), "---")
                .find(|&at| at == 0 || rest.as_bytes().get(at - 1) == Some(&b'\n'));
            match separator {
                None => self.rest = None,
                Some(at) => {
                    let (text, below) = rest.split_at(at);
                    let (separator, below) = below.split_once('\n').unwrap_or((below, ""));
                    let behind = separator.get(3..).unwrap_or_default().trim();
                    chunk.text = text;
                    self.crowded = !behind.is_empty() && !behind.starts_with('#');
                    self.line += lines(text) + 1;
                    self.rest = Some(below);
                }
            }
            if first && chunk.index == 0 && separator.is_some() && is_blank(chunk.text) {
                continue;
            }
            self.index += 1;
            return Some(chunk);
        }
    }
}

fn lines(text: &str) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', text.as_bytes()).count()).unwrap_or(u32::MAX)
}

/// Whether there is nothing but blank lines, comments and directives.
fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line.starts_with('%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(usize, u32, &str, bool)> {
        Chunks::new(text).map(|chunk| (chunk.index, chunk.line, chunk.text, chunk.crowded)).collect()
    }

    #[test]
    fn documents_are_counted_as_a_person_would() {
        assert_eq!(
            cut("# head\n---\na: 1\n---\n---\nb: 2\n"),
            vec![(0, 3, "a: 1\n", false), (1, 5, "", false), (2, 6, "b: 2\n", false)]
        );
        assert_eq!(
            cut("a: 1\n---\r\nb: ---\n --- x\n--- # c\n"),
            vec![(0, 1, "a: 1\n", false), (1, 3, "b: ---\n --- x\n", false), (2, 6, "", false)]
        );
    }

    #[test]
    fn what_kubectl_stops_at_is_marked() {
        assert_eq!(cut("---\na: 1\n--- {}\nb: 2"), vec![(0, 2, "a: 1\n", false), (1, 4, "b: 2", true)]);
    }
}
