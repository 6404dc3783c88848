//! For people: a refusal looks as rustc's do.

use std::io::{self, Write};

use super::{Judged, Located, Report, Summary};
use crate::engine::ALLOW;
use crate::finding::{Action, Eased};
use crate::printable::{printable, printable_lines};
use crate::source::Problem;

pub(super) struct Text<W> {
    out: W,
    colour: bool,
}

const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const BLUE: &str = "1;34";
const BOLD: &str = "1";

impl<W: Write> Text<W> {
    pub(super) fn new(out: W, colour: bool) -> Self {
        Text { out, colour }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn finding(&mut self, judged: &Judged<'_>, located: &Located) -> io::Result<()> {
        let verdict = &located.verdict;
        let (word, colour) = match verdict.action {
            _ if verdict.exempted_by.is_some() => return Ok(()),
            Action::Deny => ("error", RED),
            Action::Warn => ("warning", YELLOW),
            Action::Audit => return Ok(()),
        };
        let finding = &verdict.finding;
        let head = self.paint(colour, &format!("{word}[{}]", finding.rule));
        let what = self.paint(BOLD, &format!(": {}", printable(&finding.sentence())));
        writeln!(self.out, "{head}{what}")?;
        let (arrow, equals) = (self.paint(BLUE, " -->"), self.paint(BLUE, "  ="));
        let place = located.place;
        let object = judged.object();
        let object = printable(&object);
        writeln!(self.out, "{arrow} {}:{}:{} ({object})", printable(judged.file), place.line, place.column)?;
        writeln!(self.out, "{equals} at: {}", printable(&located.pointer))?;
        if let Some(fingerprint) = &finding.fingerprint {
            writeln!(self.out, "{equals} fingerprint: {fingerprint}")?;
        }
        let fix = printable_lines(&finding.fix).replace('\n', "\n         ");
        writeln!(self.out, "{equals} fix: {fix}")?;
        let eased = match verdict.eased {
            Some(Eased::Ratchet) => ", eased: it was there before",
            Some(Eased::Controller) => ", eased: a controller made it",
            None => "",
        };
        writeln!(self.out, "{equals} policy: {}{eased}\n", printable(&verdict.by))
    }
}

impl<W: Write> Report for Text<W> {
    fn judged(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        for located in &judged.findings {
            self.finding(judged, located)?;
        }
        if let Some(lines) = judged.allowance {
            let head = self.paint(BOLD, ALLOW);
            writeln!(self.out, "{head}\n{}\n", printable_lines(lines))?;
        }
        for warning in judged.warnings {
            // Advice, not a verdict: no rule judged it and no count has it, so it is not called what the last line counts.
            let (head, arrow) = (self.paint(BLUE, "note"), self.paint(BLUE, " -->"));
            writeln!(self.out, "{head}: {}", printable(warning))?;
            let place = judged.place;
            let object = judged.object();
            let object = printable(&object);
            writeln!(self.out, "{arrow} {}:{}:{} ({object})\n", printable(judged.file), place.line, place.column)?;
        }
        Ok(())
    }

    fn problem(&mut self, _: &Problem) -> io::Result<()> {
        // What was found before it stands above it, where both go to the same terminal.
        self.out.flush()
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        let colour = match summary {
            Summary { denied: 1.., .. } | Summary { problems: 1.., .. } => RED,
            Summary { warned: 1.., .. } => YELLOW,
            _ => "1;32",
        };
        let sentence = self.paint(colour, &summary.sentence());
        writeln!(self.out, "{sentence}")?;
        if summary.denied + summary.warned > 0 {
            writeln!(self.out, "Why a rule exists, with good and bad examples: supercargo explain RULE")?;
        }
        self.out.flush()
    }
}
