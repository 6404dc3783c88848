//! Workflow commands of GitHub Actions: annotations beside the lines of a pull request.

use std::io::{self, Write};

use super::{Judged, Report, Summary};
use crate::finding::Action;
use crate::printable::{printable, printable_lines};
use crate::source::Problem;

pub(super) struct Github<W>(W);

impl<W: Write> Github<W> {
    pub(super) fn new(out: W) -> Self {
        Github(out)
    }
}

/// The text behind `::`: a line break would end the command.
fn data(text: &str) -> String {
    printable_lines(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property: colons and commas would end it.
fn property(text: &str) -> String {
    data(&printable(text)).replace(':', "%3A").replace(',', "%2C")
}

impl<W: Write> Report for Github<W> {
    fn judged(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        let object = judged.object();
        let object = printable(&object);
        for located in &judged.findings {
            let verdict = &located.verdict;
            let command = match verdict.action {
                _ if verdict.exempted_by.is_some() => continue,
                Action::Deny => "error",
                Action::Warn => "warning",
                Action::Audit => continue,
            };
            writeln!(
                self.0,
                "::{command} file={},line={},col={},title={}::{}",
                property(judged.file),
                located.place.line,
                located.place.column,
                property(verdict.finding.rule),
                data(&format!(
                    "{object}: {}\nfix: {}",
                    printable(&verdict.finding.marked_sentence()),
                    verdict.finding.fix
                )),
            )?;
        }
        for warning in judged.warnings {
            let (file, line) = (property(judged.file), judged.place.line);
            writeln!(self.0, "::notice file={file},line={line}::{}", data(&format!("{object}: {warning}")))?;
        }
        Ok(())
    }

    fn problem(&mut self, problem: &Problem) -> io::Result<()> {
        let mut place = format!("file={}", property(&problem.file));
        if let Some(at) = problem.place {
            place = format!("{place},line={},col={}", at.line, at.column);
        }
        let help = problem.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        writeln!(self.0, "::error {place},title=could not be judged::{}", data(&format!("{}{help}", problem.message)))
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        writeln!(self.0, "{}", summary.sentence())?;
        self.0.flush()
    }
}
