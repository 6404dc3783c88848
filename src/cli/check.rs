//! `supercargo check`: the engine over files.

use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::basis::{Basis, FactArguments, FingerprintArguments, PolicyArguments};
use super::progress::Progress;
use super::{CLEAN, FAILED, Problem, REFUSED, colours, complain, complain_of};
use crate::engine::{EXCLUDED_NAMESPACES, Settings, create_request, excluded_namespace};
use crate::output::{self, Format, Judged, Located, Report, Summary};
use crate::review::Body;
use crate::source::{self, Document, File, Item, Wanted};
use crate::workload;

/// Judge manifests before they are sent: files, folders (*.yaml, *.yml, *.json) and stdin (-)
///
/// Says what the cluster will say: the same engine, the same policies. Namespace, LimitRange, NetworkPolicy and
/// PersistentVolumeClaim documents among the input are facts for the others. A document that cannot be read does not stop
/// the rest. Secrets in kinds that the webhook never sees are found, too.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  supercargo check deploy/
  kustomize build overlays/prod | supercargo check -
  supercargo check -o sarif deploy/ > supercargo.sarif
  supercargo check --facts cluster/namespaces.yaml --policies policies/ deploy/

Exit codes: 0 clean, 1 refused, 2 could not judge all of it.")]
pub(super) struct Arguments {
    /// Files, folders, or - for stdin
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// How to print what was found
    #[arg(long, short, value_enum, default_value = "text")]
    output: Format,
    /// What makes the exit code 1
    #[arg(long, value_enum, default_value = "deny", value_name = "ACTION")]
    fail_on: FailOn,
    /// Namespaces that are left out, as `serve` leaves them out; '' for none
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = excluded_namespace, default_values = EXCLUDED_NAMESPACES)]
    exclude_namespaces: Vec<String>,
    #[command(flatten)]
    policies: PolicyArguments,
    #[command(flatten)]
    facts: FactArguments,
    #[command(flatten)]
    fingerprints: FingerprintArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// An object that would be refused
    Deny,
    /// A warning, too
    Warn,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let found = source::find(&arguments.paths);
    let settings = Settings { excluded_namespaces: arguments.exclude_namespaces, ..Settings::default() };
    let key = arguments.fingerprints.key()?;
    let basis = Basis::load(&arguments.policies, arguments.facts, key, &found.files, settings)?;
    basis.warn_without_guards();
    let stdout = io::stdout();
    let colour = colours(&stdout);
    let mut check = Check {
        basis,
        report: output::report(arguments.output, BufWriter::with_capacity(1 << 16, stdout.lock()), colour),
        summary: Summary::default(),
        progress: Progress::new(found.files.len(), "files"),
        failed: None,
    };
    for problem in &found.problems {
        check.problem(problem)?;
    }
    for (done, file) in found.files.iter().enumerate() {
        check.file(file)?;
        check.progress.at(done + 1);
    }
    check.progress.clear();
    if check.summary.files == 0 && check.summary.problems == 0 {
        complain("note", "no *.yaml, *.yml or *.json file was found");
    }
    let Summary { documents, skipped, problems, .. } = check.summary;
    if check.summary.files > 0 && documents + skipped + problems == 0 {
        complain("warning", "there is no object in this input: did what should have written it fail?");
    }
    check.report.finish(&check.summary)?;
    let refused = check.summary.denied > 0 || (arguments.fail_on == FailOn::Warn && check.summary.warned > 0);
    Ok(ExitCode::from(match check.summary.problems {
        0 if refused => REFUSED,
        0 => CLEAN,
        _ => FAILED,
    }))
}

struct Check<'w> {
    basis: Basis,
    report: Box<dyn Report + 'w>,
    summary: Summary,
    progress: Progress,
    /// Why the report could not be written, when it could not.
    failed: Option<io::Error>,
}

impl Check<'_> {
    fn file(&mut self, file: &File) -> io::Result<()> {
        self.summary.files += 1;
        let text = match file.text() {
            Ok(text) => text,
            Err(problem) => return self.problem(&problem),
        };
        file.documents(&text, Wanted::All, &mut |item| {
            if self.failed.is_some() {
                return;
            }
            let written = match item {
                Item::Document(document) => self.document(&file.name, document),
                Item::Problem(problem) => self.problem(&problem),
                Item::Note(note) => {
                    self.progress.clear();
                    complain("note", format_args!("{note}; skipped"));
                    Ok(())
                }
            };
            self.failed = written.err();
        });
        self.failed.take().map_or(Ok(()), Err)
    }

    fn document(&mut self, file: &str, document: Document<'_>) -> io::Result<()> {
        let Document { index, at, group, kind, tree, marks } = document;
        let request = create_request(tree, &self.basis.namespace);
        let engine = &self.basis.engine;
        if engine.leaves_out(&request.namespace) {
            self.summary.skipped += 1;
            return Ok(());
        }
        let outcome = match self.basis.facts(&request.namespace, |facts| engine.check(&request, facts)) {
            Ok(outcome) => outcome,
            Err(fault) => {
                let problem = Problem { file: file.to_owned(), place: None, message: fault.to_string(), help: None };
                return self.problem(&problem);
            }
        };
        let allowance = outcome.allowance();
        let Body::Tree(tree) = &request.object else { return Ok(()) };
        let mut findings: Vec<Located> = outcome
            .verdicts
            .into_iter()
            .map(|verdict| Located {
                place: marks.place(tree, &verdict.finding.pointer),
                pointer: format!("{at}{}", verdict.finding.pointer),
                verdict,
            })
            .collect();
        findings.sort_by_key(|located| (located.place.line, located.place.column));
        self.summary.count(&findings);
        // Of other kinds it is not known whether they live in a namespace.
        let written = tree.path(&["metadata", "namespace"]).is_some();
        let namespaced = written || workload::kind(&group, &kind).is_some();
        let name = tree.get("metadata").and_then(|m| m.str("name").or_else(|| m.str("generateName")));
        self.report.judged(&Judged {
            file,
            document: index,
            kind: &kind,
            namespace: namespaced.then_some(&request.namespace),
            name,
            place: marks.place(tree, ""),
            findings,
            warnings: &outcome.warnings,
            allowance: allowance.as_deref(),
        })
    }

    fn problem(&mut self, problem: &Problem) -> io::Result<()> {
        self.summary.problems += 1;
        self.progress.clear();
        self.report.problem(problem)?;
        complain_of(problem);
        Ok(())
    }
}
