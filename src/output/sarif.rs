//! SARIF 2.1.0: what code scanning reads. The rules in it are the rule table.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Judged, Located, Report, Summary, safe_json};
use crate::finding::Action;
use crate::printable::printable;
use crate::rules::RULES;
use crate::source::Problem;

/// Results are written as they come; the rest of the run stands behind them.
pub(super) struct Sarif<W> {
    out: W,
    begun: bool,
    problems: Vec<Value>,
}

impl<W: Write> Sarif<W> {
    pub(super) fn new(out: W) -> Self {
        Sarif { out, begun: false, problems: Vec::new() }
    }

    fn result(&mut self, value: &Value) -> io::Result<()> {
        let start = if self.begun { ",\n" } else { START };
        self.begun = true;
        write!(self.out, "{start}{}", safe_json(&value.to_string()))
    }
}

const START: &str = "{\"$schema\": \"https://json.schemastore.org/sarif-2.1.0.json\", \"version\": \"2.1.0\", \"runs\": [{\"columnKind\": \"unicodeCodePoints\", \"results\": [\n";

fn level(action: Action) -> &'static str {
    match action {
        Action::Deny => "error",
        Action::Warn => "warning",
        Action::Audit => "note",
    }
}

/// A path as a relative URI reference.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    // "a:b" would be taken for a scheme.
    if path.split('/').next().is_some_and(|first| first.contains(':')) {
        uri.push_str("./");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~+@:=,()".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

fn location(file: &str, place: Option<crate::source::Place>) -> Value {
    let mut physical = json!({"artifactLocation": {"uri": uri(file)}});
    if let Some(place) = place {
        physical["region"] = json!({"startLine": place.line.max(1), "startColumn": place.column.max(1)});
    }
    json!({"physicalLocation": physical})
}

fn result(judged: &Judged<'_>, located: &Located) -> Value {
    let verdict = &located.verdict;
    let finding = &verdict.finding;
    let mut at = location(judged.file, Some(located.place));
    at["logicalLocations"] = json!([{
        "name": judged.name.unwrap_or_default(),
        "fullyQualifiedName": format!("{}{}", judged.object(), located.pointer),
        "kind": "object",
    }]);
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(verdict.action),
        "message": {"text": format!("{}: {}. Fix: {}", printable(&judged.object()), printable(&finding.sentence()), finding.fix)},
        "locations": [at],
        "properties": {"policy": verdict.by, "document": judged.document, "pointer": located.pointer},
    });
    // Not `fingerprints`: those tell one result from another, and the same secret can stand in many places.
    if let Some(fingerprint) = &finding.fingerprint {
        result["partialFingerprints"] = json!({"supercargo.dev/secret/v1": fingerprint.as_str()});
    }
    if let Some(index) = RULES.iter().position(|rule| rule.id == finding.rule) {
        result["ruleIndex"] = json!(index);
    }
    if let Some(exemption) = &verdict.exempted_by {
        result["suppressions"] = json!([{"kind": "external", "justification": format!("Exemption/{exemption}")}]);
    }
    result
}

fn driver() -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": {"text": rule.summary},
                "fullDescription": {"text": rule.why},
                "help": {"text": rule.fix},
                "defaultConfiguration": {"level": level(rule.default)},
            })
        })
        .collect();
    json!({"driver": {"name": "supercargo", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules}})
}

impl<W: Write> Report for Sarif<W> {
    fn judged(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        judged.findings.iter().try_for_each(|located| self.result(&result(judged, located)))
    }

    fn problem(&mut self, problem: &Problem) -> io::Result<()> {
        let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        self.problems.push(json!({
            "level": "error",
            "message": {"text": format!("{}{help}", problem.message)},
            "locations": [location(&problem.file, problem.place)],
        }));
        Ok(())
    }

    fn finish(&mut self, _: &Summary) -> io::Result<()> {
        if !self.begun {
            self.out.write_all(START.as_bytes())?;
        }
        let invocation = json!([{
            "executionSuccessful": self.problems.is_empty(),
            "toolExecutionNotifications": self.problems,
        }]);
        let tail = format!("\n], \"tool\": {},\n\"invocations\": {invocation}}}]}}", driver());
        writeln!(self.out, "{}", safe_json(&tail))?;
        self.out.flush()
    }
}
