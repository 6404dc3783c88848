//! `supercargo mutate`: what pods will get, and the pods of templates.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::json;

use super::basis::{Basis, FactArguments, PolicyArguments};
use super::render::{self, hide_secrets};
use super::{CLEAN, FAILED, complain, complain_for, template};
use crate::engine::{Facts, Outcome, Settings, create_request};
use crate::output::safe_json;
use crate::printable::printable;
use crate::source::{self, Document, Item, Wanted};
use crate::tree::Node;
use crate::workload::{self, Pod};

/// Show what pods will get, and the pods of templates
///
/// Pods are sent through the same engine as the webhook uses. For a Deployment, Job or another template, what is shown is the
/// pod that its controller will make: templates themselves are never changed. Values that look like secrets
/// are not shown, nor is the copy of the manifest that `kubectl apply` leaves in an annotation.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  supercargo mutate job.yaml
  supercargo mutate --facts namespaces.yaml -o yaml jobs/
  helm template scans ./chart | supercargo mutate -

The built-in profile serves namespaces labelled supercargo.dev/scans=true: give the Namespace document among the input, or
with --facts.")]
pub(super) struct Arguments {
    /// Files, folders, or - for stdin
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// How to print it
    #[arg(long, short, value_enum, default_value = "diff")]
    output: Format,
    /// Print values that look like secrets, and kubectl's copy of the manifest, too
    #[arg(long)]
    show_secrets: bool,
    #[command(flatten)]
    policies: PolicyArguments,
    #[command(flatten)]
    facts: FactArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The pods, one YAML document each
    Yaml,
    /// The pods as a JSON List
    Json,
    /// The JSON patches (RFC 6902)
    Patch,
    /// A unified diff of each pod, before and after
    Diff,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let found = source::find(&arguments.paths);
    let basis = Basis::load(&arguments.policies, arguments.facts, None, &found.files, Settings::default())?;
    found.problems.iter().for_each(|problem| complain_for("mutate", problem));
    let mut failed = !found.problems.is_empty();
    let mut show = Show {
        out: BufWriter::new(io::stdout().lock()),
        format: arguments.output,
        secrets: arguments.show_secrets,
        pods: 0,
    };
    for file in &found.files {
        let text = match file.text() {
            Ok(text) => text,
            Err(problem) => {
                complain_for("mutate", &problem);
                failed = true;
                continue;
            }
        };
        let mut stopped = None;
        file.documents(&text, Wanted::All, &mut |item| match item {
            Item::Document(document) if stopped.is_none() => {
                stopped = show.document(&basis, &file.name, document).err();
            }
            Item::Problem(problem) => {
                complain_for("mutate", &problem);
                failed = true;
            }
            Item::Document(_) | Item::Note(_) => {}
        });
        if let Some(error) = stopped {
            return Err(error);
        }
    }
    show.finish()?;
    if show.pods == 0 && !failed {
        complain("note", "there are no pods and no templates of pods in this input");
    }
    Ok(ExitCode::from(if failed { FAILED } else { CLEAN }))
}

struct Show<W> {
    out: W,
    format: Format,
    secrets: bool,
    pods: usize,
}

impl<W: Write> Show<W> {
    fn document(&mut self, basis: &Basis, file: &str, document: Document<'_>) -> anyhow::Result<()> {
        let Some(kind) = workload::kind(&document.group, &document.kind) else { return Ok(()) };
        let namespace = document.namespace().unwrap_or(&basis.namespace).to_owned();
        let name = document.name().unwrap_or("(no name)");
        let label = format!("{} {namespace}/{name}", kind.name);
        let Some((before, username)) = template::pod(kind, document.tree.into_owned(), &namespace) else {
            return Ok(());
        };
        let mut request = create_request(before.clone(), &namespace);
        request.username = Cow::Borrowed(username);
        let outcome = basis.facts(&namespace, |facts| basis.engine.mutate(&request, facts))?;
        for warning in &outcome.warnings {
            complain("warning", format_args!("{file}: {label}: {warning}"));
        }
        let mut after = before.clone();
        outcome.patch.apply(&mut after).with_context(|| format!("{label}: please report this"))?;
        if outcome.patch.is_empty() && self.format == Format::Diff {
            let why = basis.facts(&namespace, |facts| why_nothing(basis, &before, facts));
            complain("note", format_args!("{file}: {label}: nothing is added{why}"));
        } else {
            self.pod(file, &label, before, after, &outcome)?;
        }
        self.pods += 1;
        Ok(())
    }

    fn pod(
        &mut self,
        file: &str,
        label: &str,
        mut before: Node<'_>,
        mut after: Node<'_>,
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        if !self.secrets {
            hide_secrets(&mut before);
            hide_secrets(&mut after);
        }
        let (file, label) = (printable(file), printable(label));
        match self.format {
            Format::Diff => {
                let diff = render::diff(
                    &before,
                    &after,
                    &format!("{file} {label}: pod as sent"),
                    &format!("{file} {label}: pod as admitted"),
                )?;
                self.out.write_all(diff.as_bytes())?;
            }
            Format::Yaml => write!(self.out, "---\n# {file}: {label}\n{}", render::yaml(&after)?)?,
            Format::Json => self.element(&serde_json::to_string(&after)?)?,
            Format::Patch => {
                let patch =
                    json!({"file": file, "object": label, "mutators": outcome.mutators, "patch": outcome.patch});
                self.element(&patch.to_string())?;
            }
        }
        Ok(())
    }

    fn element(&mut self, json: &str) -> io::Result<()> {
        let start = match (self.pods, self.format) {
            (0, Format::Json) => LIST,
            (0, _) => "[\n",
            _ => ",\n",
        };
        write!(self.out, "{start}{}", safe_json(json))
    }

    fn finish(&mut self) -> io::Result<()> {
        match (self.format, self.pods) {
            (Format::Json, 0) => writeln!(self.out, "{LIST}]}}")?,
            (Format::Json, _) => writeln!(self.out, "\n]}}")?,
            (Format::Patch, 0) => writeln!(self.out, "[]")?,
            (Format::Patch, _) => writeln!(self.out, "\n]")?,
            _ => {}
        }
        self.out.flush()
    }
}

/// Why a pod gets nothing, as the end of a sentence.
fn why_nothing(basis: &Basis, pod: &Node<'_>, facts: Facts<'_>) -> String {
    let name = &facts.namespace.name;
    let profiles = facts.policies.profiles();
    if basis.engine.leaves_out(name) {
        return format!(": namespace {name} is left out, whatever the policies say");
    }
    if profiles.is_empty() {
        return ": there is no PodProfile".to_owned();
    }
    let mut serving = profiles.iter().filter(|profile| profile.serves(facts.namespace)).peekable();
    if serving.peek().is_none() && !basis.knows(name) {
        return format!(
            ": what labels namespace {name} has is not known, and profiles ask for them; give its Namespace with --facts"
        );
    }
    if serving.peek().is_none() {
        return format!(": no PodProfile serves namespace {name}, by its labels");
    }
    if !serving.any(|profile| profile.matches(&Pod::new("", pod))) {
        return ": no PodProfile that serves the namespace matches the pod's labels".to_owned();
    }
    String::new()
}

const LIST: &str = "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n";
