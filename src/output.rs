//! What was judged -> text for a terminal, or a format that another program reads.
//!
//! Knows verdicts and places; knows neither how documents are read nor how they are judged. Text from objects is escaped on
//! the way out, and the lines of the file are never printed: they may hold the secret that a finding is about.

use std::io::{self, Write};

use crate::finding::{Action, Verdict};
use crate::source::{Place, Problem};

mod github;
mod json;
mod junit;
mod sarif;
mod text;

/// The formats of `supercargo check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON document: findings, what could not be judged, and a summary.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// `JUnit` XML, a test case for each document.
    Junit,
    /// Annotations of GitHub Actions.
    Github,
}

/// An object with what was found in it.
#[derive(Clone, Debug)]
pub struct Judged<'j> {
    /// The file it stands in.
    pub file: &'j str,
    /// Which document of the file, from 0.
    pub document: usize,
    /// `kind`.
    pub kind: &'j str,
    /// `metadata.namespace`, or the one that it would get.
    pub namespace: Option<&'j str>,
    /// `metadata.name` or `metadata.generateName`.
    pub name: Option<&'j str>,
    /// Where the object begins.
    pub place: Place,
    /// What was found, in the order of the file.
    pub findings: Vec<Located>,
    /// What the author should know besides.
    pub warnings: &'j [String],
    /// See [`Outcome::allowance`](crate::engine::Outcome::allowance).
    pub allowance: Option<&'j str>,
}

/// A verdict with its place in the file.
#[derive(Clone, Debug)]
pub struct Located {
    /// Where to look.
    pub place: Place,
    /// The finding's pointer from the top of the document; it differs from the finding's own in a list.
    pub pointer: String,
    /// The finding and what it leads to.
    pub verdict: Verdict,
}

/// How much there was of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Files read.
    pub files: usize,
    /// Objects judged.
    pub documents: usize,
    /// Findings that refuse their object.
    pub denied: usize,
    /// Findings that warn.
    pub warned: usize,
    /// Findings that only count.
    pub audited: usize,
    /// Findings that an Exemption lets pass.
    pub exempted: usize,
    /// Objects left out because their namespace is.
    pub skipped: usize,
    /// Documents and files that could not be judged.
    pub problems: usize,
}

/// Takes results as they come and writes them down.
pub trait Report {
    /// An object was judged.
    fn judged(&mut self, judged: &Judged<'_>) -> io::Result<()>;
    /// Something could not be judged. People read that on stderr, whatever the format; this is for programs.
    fn problem(&mut self, problem: &Problem) -> io::Result<()>;
    /// There is no more.
    fn finish(&mut self, summary: &Summary) -> io::Result<()>;
}

/// A report in this format, to `out`.
pub fn report<'w>(format: Format, out: impl Write + 'w, colour: bool) -> Box<dyn Report + 'w> {
    match format {
        Format::Text => Box::new(text::Text::new(out, colour)),
        Format::Json => Box::new(json::Json::new(out)),
        Format::Sarif => Box::new(sarif::Sarif::new(out)),
        Format::Junit => Box::new(junit::Junit::new(out)),
        Format::Github => Box::new(github::Github::new(out)),
    }
}

impl Summary {
    /// Counts what an object's findings lead to.
    pub fn count(&mut self, findings: &[Located]) {
        self.documents += 1;
        for located in findings {
            match (&located.verdict.exempted_by, located.verdict.action) {
                (Some(_), _) => self.exempted += 1,
                (None, Action::Audit) => self.audited += 1,
                (None, Action::Warn) => self.warned += 1,
                (None, Action::Deny) => self.denied += 1,
            }
        }
    }

    /// "2 errors, 1 warning in 14 documents of 9 files".
    pub fn sentence(&self) -> String {
        let mut parts = vec![count(self.denied, "error"), count(self.warned, "warning")];
        if self.audited > 0 {
            parts.push(format!("{} audited", self.audited));
        }
        if self.exempted > 0 {
            parts.push(format!("{} exempted", self.exempted));
        }
        if self.problems > 0 {
            parts.push(format!("{} could not be judged", self.problems));
        }
        let (documents, files) = (count(self.documents, "document"), count(self.files, "file"));
        let skipped = match self.skipped {
            0 => String::new(),
            skipped => format!("; {skipped} not judged, for their namespace (--exclude-namespaces)"),
        };
        format!("{} in {documents} of {files}{skipped}", parts.join(", "))
    }
}

impl Judged<'_> {
    /// "Deployment shop/web".
    pub fn object(&self) -> String {
        let name = self.name.unwrap_or("(no name)");
        match self.namespace {
            Some(namespace) => format!("{} {namespace}/{name}", self.kind),
            None => format!("{} {name}", self.kind),
        }
    }
}

/// "1 error", "2 errors".
pub fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

/// JSON without characters that a terminal obeys or that hide text: serde_json escapes only the first 32.
pub fn safe_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let mut buffer = [0; 4];
        let one = &*c.encode_utf8(&mut buffer);
        if c == '\u{7f}' || (!c.is_ascii() && crate::printable::printable(one) != one) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}
