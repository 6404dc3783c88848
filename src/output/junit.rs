//! `JUnit` XML: a test case for each document, which fails when the document is refused.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Judged, Report, Summary, count};
use crate::finding::Action;
use crate::printable::{printable, printable_lines};
use crate::source::Problem;

/// The cases are kept until the end: their number stands in front of them.
pub(super) struct Junit<W> {
    out: W,
    cases: String,
    failed: usize,
}

impl<W: Write> Junit<W> {
    pub(super) fn new(out: W) -> Self {
        Junit { out, cases: String::new(), failed: 0 }
    }
}

fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // XML has no way to write most control characters; after this there are none.
    for c in printable_lines(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

impl<W: Write> Report for Junit<W> {
    fn judged(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        let (mut refused, mut warned) = (String::new(), String::new());
        let mut refusals = 0;
        for located in &judged.findings {
            let verdict = &located.verdict;
            let text = format!(
                "{}:{}:{}: [{}] {}\n  fix: {}\n  policy: {}\n",
                printable(judged.file),
                located.place.line,
                located.place.column,
                verdict.finding.rule,
                printable(&verdict.finding.marked_sentence()),
                verdict.finding.fix.replace('\n', "\n       "),
                printable(&verdict.by),
            );
            match verdict.action {
                _ if verdict.exempted_by.is_some() => {}
                Action::Deny => {
                    refusals += 1;
                    refused.push_str(&xml(&text));
                }
                Action::Warn => warned.push_str(&xml(&text)),
                Action::Audit => {}
            }
        }
        for warning in judged.warnings {
            warned.push_str(&xml(&format!("{}\n", printable(warning))));
        }
        let (name, file) = (xml(&printable(&judged.object())), xml(&printable(judged.file)));
        // Writing to a String cannot fail.
        let _ = write!(
            self.cases,
            "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{}\"",
            judged.place.line
        );
        if refused.is_empty() && warned.is_empty() {
            self.cases.push_str("/>\n");
            return Ok(());
        }
        self.cases.push_str(">\n");
        if !refused.is_empty() {
            self.failed += 1;
            let message = count(refusals, "finding");
            let _ = writeln!(self.cases, "      <failure message=\"{message}\" type=\"refused\">{refused}</failure>");
        }
        if !warned.is_empty() {
            let _ = writeln!(self.cases, "      <system-out>{warned}</system-out>");
        }
        self.cases.push_str("    </testcase>\n");
        Ok(())
    }

    fn problem(&mut self, problem: &Problem) -> io::Result<()> {
        let file = xml(&printable(&problem.file));
        let line = problem.place.map(|place| format!(" line=\"{}\"", place.line)).unwrap_or_default();
        let message = xml(&printable(&problem.message));
        let help = xml(problem.help.as_deref().unwrap_or_default());
        let _ = writeln!(
            self.cases,
            "    <testcase name=\"could be judged\" classname=\"{file}\" file=\"{file}\"{line}>\n      <error message=\"{message}\" type=\"could-not-judge\">{help}</error>\n    </testcase>"
        );
        Ok(())
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        let (tests, errors) = (summary.documents + summary.problems, summary.problems);
        let counts = format!("tests=\"{tests}\" failures=\"{}\" errors=\"{errors}\"", self.failed);
        writeln!(self.out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(self.out, "<testsuites {counts}>\n  <testsuite name=\"supercargo check\" {counts}>")?;
        self.out.write_all(self.cases.as_bytes())?;
        writeln!(self.out, "  </testsuite>\n</testsuites>")?;
        self.out.flush()
    }
}
