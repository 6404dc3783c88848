//! `supercargo review`: one AdmissionReview in, its answer out; from the engine here, or from a running webhook.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use base64::Engine as _;
use clap::ValueEnum;

use super::basis::{Basis, FactArguments, FingerprintArguments, PolicyArguments};
use super::render::{self, hide_secrets};
use super::{CLEAN, FAILED, REFUSED, complain, complain_for, envelope, template};
use crate::engine::{self, Settings};
use crate::output::safe_json;
use crate::patch::Patch;
use crate::printable::{printable, printable_lines};
use crate::review;
use crate::source::{self, Document, Item, Wanted};
use crate::tree::{Arena, Node};
use crate::workload;

/// Answer one AdmissionReview, here or by asking a running webhook
///
/// The input is an AdmissionReview, or an object, which is then wrapped into one as the API server would send it at CREATE;
/// several documents are several reviews. Without --mutate and --validate a new Pod goes through both, in the API server's
/// order, and everything else through validation.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  supercargo review deployment.yaml
  supercargo review --mutate -o text pod.yaml
  supercargo review --pods --server https://localhost:8443 --ca dev/ca.crt job.yaml

Exit codes: 0 allowed, 1 refused, 2 could not ask or judge.")]
pub(super) struct Arguments {
    /// A file, or - for stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Ask what would be added to it
    #[arg(long, conflicts_with = "validate")]
    mutate: bool,
    /// Ask whether it may pass
    #[arg(long)]
    validate: bool,
    /// Ask about the pods of a template, too, as its controller will send them
    #[arg(long, conflicts_with_all = ["mutate", "validate"])]
    pods: bool,
    /// How to print the answer
    #[arg(long, short, value_enum, default_value = "json")]
    output: Format,
    /// A service account whose pods count as made by a controller, as `serve --controller` takes it
    #[arg(long = "controller", value_name = "ACCOUNT,…", value_delimiter = ',', value_parser = engine::account)]
    controllers: Vec<String>,
    #[cfg(feature = "server")]
    #[command(flatten)]
    webhook: WebhookArguments,
    #[command(flatten)]
    policies: PolicyArguments,
    #[command(flatten)]
    facts: FactArguments,
    #[command(flatten)]
    fingerprints: FingerprintArguments,
}

/// Where a webhook runs.
#[cfg(feature = "server")]
#[derive(clap::Args)]
struct WebhookArguments {
    /// Ask the webhook there, over HTTPS as the API server does, e.g. https://localhost:8443
    #[arg(long, value_name = "URL", requires = "ca", conflicts_with_all = ["policies", "policy", "facts", "fingerprint_key", "controllers"])]
    server: Option<String>,
    /// The CA certificate that its certificate is signed by
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    /// Our certificate, for a webhook with --client-ca
    #[arg(long, value_name = "FILE", requires = "key", requires = "server")]
    cert: Option<PathBuf>,
    /// The key of --cert
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The AdmissionReview with the answer
    Json,
    /// For people: the refusal, what is added as a diff, the warnings
    Text,
}

/// Who answers.
enum Door {
    Here(Box<Basis>),
    #[cfg(feature = "server")]
    There(super::ask::Webhook),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    Mutate,
    Validate,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let asked = match (arguments.mutate, arguments.validate) {
        (true, _) => Some(Question::Mutate),
        (_, true) => Some(Question::Validate),
        _ => None,
    };
    let found = source::find(&[arguments.file]);
    found.problems.iter().for_each(|problem| complain_for("review", problem));
    let namespace = arguments.facts.namespace.clone();
    #[cfg(feature = "server")]
    let there = arguments.webhook.open()?;
    #[cfg(not(feature = "server"))]
    let there = None;
    let door = if let Some(door) = there {
        door
    } else {
        let key = arguments.fingerprints.key()?;
        let settings = Settings { controllers: arguments.controllers, ..Settings::default() };
        let basis = Basis::load(&arguments.policies, arguments.facts, key, &found.files, settings)?;
        basis.warn_without_guards();
        Door::Here(Box::new(basis))
    };
    let mut talk = Talk {
        door,
        asked,
        pods: arguments.pods,
        namespace,
        format: arguments.output,
        refused: false,
        failed: !found.problems.is_empty(),
        reviews: 0,
    };
    for file in &found.files {
        match file.text() {
            Ok(text) => {
                let mut stopped = None;
                file.documents(&text, Wanted::All, &mut |item| match item {
                    Item::Document(document) if stopped.is_none() => {
                        stopped = talk.document(&file.name, document).err();
                    }
                    Item::Problem(problem) => {
                        complain_for("review", &problem);
                        talk.failed = true;
                    }
                    Item::Document(_) | Item::Note(_) => {}
                });
                if let Some(error) = stopped {
                    return Err(error.into());
                }
            }
            Err(problem) => {
                complain_for("review", &problem);
                talk.failed = true;
            }
        }
    }
    if talk.reviews == 0 && !talk.failed {
        anyhow::bail!("there is no object in this input; give an AdmissionReview or a manifest");
    }
    Ok(ExitCode::from(match (talk.failed, talk.refused) {
        (true, _) => FAILED,
        (_, true) => REFUSED,
        _ => CLEAN,
    }))
}

#[cfg(feature = "server")]
impl WebhookArguments {
    fn open(&self) -> anyhow::Result<Option<Door>> {
        let (Some(server), Some(ca)) = (&self.server, &self.ca) else { return Ok(None) };
        let client = self.cert.as_deref().zip(self.key.as_deref());
        Ok(Some(Door::There(super::ask::Webhook::new(server, ca, client)?)))
    }
}

struct Talk {
    door: Door,
    asked: Option<Question>,
    pods: bool,
    namespace: String,
    format: Format,
    refused: bool,
    failed: bool,
    reviews: usize,
}

impl Talk {
    /// Asks what is to be asked about one document. Only an output that cannot be written ends it all.
    fn document(&mut self, file: &str, document: Document<'_>) -> io::Result<()> {
        self.reviews += 1;
        let label = label(&document);
        let Document { group, kind, tree, .. } = document;
        let tree = tree.into_owned();
        if kind == "AdmissionReview" {
            return self.review(file, &label, tree).map(|_| ());
        }
        let namespace =
            tree.path(&["metadata", "namespace"]).and_then(Node::as_str).unwrap_or(&self.namespace).to_owned();
        let made = workload::kind(&group, &kind).filter(|kind| self.pods && kind.name != "Pod");
        let made = made.and_then(|kind| template::pod(kind, tree.clone(), &namespace));
        let passed =
            self.review(file, &label, envelope::around(tree, &group, &kind, &self.namespace, envelope::PERSON))?;
        if let Some((pod, username)) = made.filter(|_| passed) {
            let review = envelope::around(pod, "", "Pod", &namespace, username);
            self.review(file, &format!("Pod of {label}"), review)?;
        }
        Ok(())
    }

    /// Asks about one review; whether everybody let it pass.
    fn review(&mut self, file: &str, label: &str, mut review: Node<'static>) -> io::Result<bool> {
        let is_new_pod = review.path(&["request", "kind", "kind"]).and_then(Node::as_str) == Some("Pod")
            && review.path(&["request", "operation"]).and_then(Node::as_str) == Some("CREATE")
            && review.path(&["request", "subResource"]).is_none();
        let questions: &[Question] = match self.asked {
            Some(Question::Mutate) => &[Question::Mutate],
            None if is_new_pod => &[Question::Mutate, Question::Validate],
            _ => &[Question::Validate],
        };
        for &question in questions {
            match self.question(label, &mut review, question) {
                Ok(true) => {}
                Ok(false) => {
                    self.refused = true;
                    return Ok(false);
                }
                Err(error) if super::is_broken(&error) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => {
                    complain("error", format_args!("{file}: {label}: {}", super::causes(&error)));
                    self.failed = true;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether the answer lets the object pass; what it adds is added to the review.
    fn question(&self, label: &str, review: &mut Node<'static>, question: Question) -> anyhow::Result<bool> {
        let text = serde_json::to_string(review)?;
        let answer = match &self.door {
            Door::Here(basis) => here(basis, &text, question)?,
            #[cfg(feature = "server")]
            Door::There(webhook) => webhook.ask(question.path(), text)?,
        };
        let answer = Node::read(&answer).context("the answer is no JSON")?;
        let response = answer.get("response").context("the answer has no response")?;
        let asked = review.path(&["request", "uid"]);
        if response.get("uid") != asked {
            anyhow::bail!("the answer is for another question: its uid differs");
        }
        let before = review.path(&["request", "object"]).cloned().unwrap_or_default();
        let mut after = before.clone();
        let patch = response.str("patch").map(decode).transpose()?;
        if let Some(patch) = &patch {
            patch.apply(&mut after)?;
        }
        let mut out = io::stdout().lock();
        match self.format {
            Format::Json => writeln!(out, "{}", safe_json(&serde_json::to_string_pretty(&answer)?))?,
            Format::Text => show(&mut out, label, question, response, &before, &after)?,
        }
        if let Some(object) = review.pointer_mut("/request/object") {
            *object = after.into_owned();
        }
        Ok(response.get("allowed").and_then(Node::as_bool).unwrap_or(false))
    }
}

#[cfg(feature = "server")]
impl Question {
    fn path(self) -> &'static str {
        match self {
            Question::Mutate => "mutate",
            Question::Validate => "validate",
        }
    }
}

fn here(basis: &Basis, text: &str, question: Question) -> anyhow::Result<String> {
    let arena = Arena::for_text(text.len());
    let request = review::read(text.as_bytes(), &arena)?;
    let outcome = basis.facts(&request.namespace, |facts| match question {
        Question::Mutate => basis.engine.mutate(&request, facts),
        Question::Validate => basis.engine.validate(&request, facts),
    })?;
    Ok(String::from_utf8(outcome.response().encode(&request.uid))?)
}

fn decode(patch: &str) -> anyhow::Result<Patch> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(patch).context("the patch is not base64 text")?;
    let patch: json_patch::Patch = serde_json::from_slice(&bytes).context("the patch is no JSON patch")?;
    Ok(Patch::try_from(patch)?)
}

/// What a person calls the object: of a review the one that is in it.
fn label(document: &Document<'_>) -> String {
    let request = document.tree.get("request").filter(|_| document.kind == "AdmissionReview");
    let (kind, name) = match request {
        None => (Some(&*document.kind), document.name()),
        Some(request) => {
            let text = |keys: &[&str]| request.path(keys).and_then(Node::as_str).filter(|text| !text.is_empty());
            let own =
                || text(&["object", "metadata", "name"]).or_else(|| text(&["object", "metadata", "generateName"]));
            (text(&["kind", "kind"]), text(&["name"]).or_else(own))
        }
    };
    format!("{} {}", kind.unwrap_or("object"), name.unwrap_or("(no name)"))
}

/// An answer for people.
fn show(
    out: &mut impl Write,
    label: &str,
    question: Question,
    response: &Node<'_>,
    before: &Node<'_>,
    after: &Node<'_>,
) -> anyhow::Result<()> {
    let label = printable(label);
    let allowed = response.get("allowed").and_then(Node::as_bool).unwrap_or(false);
    match question {
        _ if !allowed => {
            // Ours begins with the object; another webhook's may not.
            match response.path(&["status", "message"]).and_then(Node::as_str) {
                Some(message) if message.starts_with(label.split(' ').next().unwrap_or_default()) => {
                    writeln!(out, "{}", printable_lines(message))?;
                }
                message => {
                    let reason = printable_lines(message.unwrap_or("no reason is given"));
                    writeln!(out, "{label} is refused: {reason}")?;
                }
            }
        }
        Question::Validate => writeln!(out, "{label}: allowed")?,
        Question::Mutate if response.get("patch").is_none() => writeln!(out, "{label}: nothing is added")?,
        Question::Mutate => {
            let (mut before, mut after) = (before.clone(), after.clone());
            hide_secrets(&mut before);
            hide_secrets(&mut after);
            let diff = render::diff(&before, &after, &format!("{label} as sent"), &format!("{label} as admitted"))?;
            out.write_all(diff.as_bytes())?;
        }
    }
    for warning in response.items("warnings").iter().filter_map(Node::as_str) {
        writeln!(out, "Warning: {}", printable(warning))?;
    }
    Ok(())
}
