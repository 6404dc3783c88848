//! One JSON document, written as results come: a long run holds no list of findings. What could not be judged comes after them.

use std::io::{self, Write};

use serde::Serialize;

use super::{Judged, Report, Summary, safe_json};
use crate::fingerprint::Fingerprint;
use crate::source::Problem;

pub(super) struct Json<W> {
    out: W,
    begun: bool,
    /// Each as JSON.
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Unjudged<'e> {
    file: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    message: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'e str>,
}

#[derive(Serialize)]
struct Entry<'e> {
    rule: &'e str,
    action: &'e str,
    file: &'e str,
    document: usize,
    line: u32,
    column: u32,
    kind: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'e str>,
    pointer: &'e str,
    message: &'e str,
    fix: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'e str>,
    policy: &'e str,
}

impl<W: Write> Json<W> {
    pub(super) fn new(out: W) -> Self {
        Json { out, begun: false, problems: Vec::new() }
    }

    fn begin(&mut self) -> io::Result<()> {
        let start = if self.begun { ",\n    " } else { "{\n  \"findings\": [\n    " };
        self.begun = true;
        self.out.write_all(start.as_bytes())
    }
}

impl<W: Write> Report for Json<W> {
    fn judged(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        for located in &judged.findings {
            let finding = &located.verdict.finding;
            let entry = Entry {
                rule: finding.rule,
                action: located.verdict.action.word(),
                file: judged.file,
                document: judged.document,
                line: located.place.line,
                column: located.place.column,
                kind: judged.kind,
                namespace: judged.namespace,
                name: judged.name,
                container: finding.subject.container.as_deref(),
                key: finding.subject.key.as_deref(),
                pointer: &located.pointer,
                message: &finding.message,
                fix: &finding.fix,
                fingerprint: finding.fingerprint.as_ref().map(Fingerprint::as_str),
                policy: &located.verdict.by,
            };
            self.begin()?;
            self.out.write_all(safe_json(&serde_json::to_string(&entry)?).as_bytes())?;
        }
        Ok(())
    }

    fn problem(&mut self, problem: &Problem) -> io::Result<()> {
        let Problem { file, place, message, help } = problem;
        let (line, column) = place.map(|place| (place.line, place.column)).unzip();
        let unjudged = Unjudged { file, line, column, message, help: help.as_deref() };
        self.problems.push(safe_json(&serde_json::to_string(&unjudged)?));
        Ok(())
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        let end = if self.begun { "\n  ],\n" } else { "{\n  \"findings\": [],\n" };
        let problems = match self.problems.join(",\n    ") {
            none if none.is_empty() => "[]".to_owned(),
            some => format!("[\n    {some}\n  ]"),
        };
        let summary = serde_json::to_string(summary)?;
        writeln!(self.out, "{end}  \"problems\": {problems},\n  \"summary\": {summary}\n}}")?;
        self.out.flush()
    }
}
