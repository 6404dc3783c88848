//! `supercargo explain pod`: what became of a pod, from a cluster or from files.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use jiff::Timestamp;

use crate::cli::basis::{PolicyArguments, load_policies};
use crate::cli::{CLEAN, complain_of, objects, template};
use crate::explain::{Evidence, explain};
use crate::facts::Namespace;
use crate::source::{self, Item, Wanted};
use crate::tree::Node;
use crate::workload;

/// What was planned for a pod, what the scheduler did, why they differ, and which profile added what
///
/// Asks the cluster for the pod, its events, its owner, the nodes that were planned and what runs on them; what may not be seen is left
/// out, and said. All of that is as it is now: what a node looked like when the scheduler chose is not known any more. Give it the
/// policies that the webhook has.
#[derive(clap::Args)]
#[group(id = "one-pod")]
#[command(after_help = "\
Examples:
  supercargo explain pod scans/scan-payments-api-x7k2p
  kubectl get pods,events,nodes,jobs,namespaces -A -o json | supercargo explain pod scans/scan-payments-api-x7k2p --from -

Exit codes: 0 explained, 2 there is no such pod, or it cannot be seen.")]
pub(super) struct Arguments {
    /// The pod's namespace and name
    #[arg(value_name = "NAMESPACE/NAME", value_parser = target)]
    pod: (String, String),
    /// Read documents from these files, folders or - for stdin, and ask no cluster; may be given more than once
    #[arg(long, value_name = "PATH")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    policies: PolicyArguments,
    /// Which cluster, and as whom, instead of what KUBECONFIG or the pod's service account say
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    kubeconfig: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let policies = load_policies(&arguments.policies)?;
    let (namespace, name) = &arguments.pod;
    let documents = if arguments.from.is_empty() { ask(arguments)? } else { read(&arguments.from)? };
    let find = |kind: &str, name: &str| {
        documents.iter().find(|document| {
            let text = |key| document.path(&["metadata", key]).and_then(Node::as_str);
            document.str("kind") == Some(kind)
                && text("name") == Some(name)
                && (kind == "Namespace" || text("namespace") == Some(namespace))
        })
    };
    let Some(pod) = find("Pod", name) else { bail!("there is no pod {namespace}/{name} in this input") };
    let mut facts = Namespace::named(namespace);
    if let Some(document) = find("Namespace", namespace) {
        facts.learn("Namespace", document);
    }
    let sent = owner(pod).and_then(|(kind, name)| {
        let document = find(kind, name)?;
        let group = document.str("apiVersion")?.split_once('/').map_or("", |(group, _)| group);
        template::pod(workload::kind(group, kind)?, document.clone(), namespace)
    });
    let evidence = Evidence {
        pod,
        sent: sent.as_ref().map(|(sent, username)| (sent, *username)),
        documents: &documents,
        namespace: &facts,
        policies: &policies,
        now: Timestamp::now(),
    };
    write!(io::stdout().lock(), "{}", explain(&evidence))?;
    Ok(ExitCode::from(CLEAN))
}

/// Kind and name of the controller that made the pod.
fn owner<'p>(pod: &'p Node<'_>) -> Option<(&'p str, &'p str)> {
    let owners = pod.get("metadata")?.items("ownerReferences");
    let owner = owners.iter().find(|owner| owner.get("controller").and_then(Node::as_bool) == Some(true))?;
    Some((owner.str("kind")?, owner.str("name")?))
}

fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Node<'static>>> {
    let found = source::find(paths);
    let mut problems = found.problems;
    let mut documents = Vec::new();
    for file in &found.files {
        match file.text() {
            Ok(text) => file.documents(&text, Wanted::All, &mut |item| match item {
                Item::Document(document) => {
                    problems.extend(objects::problems(file, &document));
                    documents.push(document.tree.into_owned());
                }
                Item::Problem(problem) => problems.push(problem),
                Item::Note(_) => {}
            }),
            Err(problem) => problems.push(problem),
        }
    }
    problems.iter().for_each(complain_of);
    if problems.is_empty() {
        return Ok(documents);
    }
    bail!("a cluster that can be read in part only would give a wrong answer");
}

#[cfg(feature = "cluster")]
fn ask(arguments: &Arguments) -> anyhow::Result<Vec<Node<'static>>> {
    use crate::cluster::{self, explain};

    let (namespace, name) = &arguments.pod;
    let kubeconfig = arguments.kubeconfig.as_deref();
    let seen = cluster::ask(kubeconfig, async |client| explain::documents(&client, namespace, name).await)?;
    for note in seen.notes {
        crate::cli::complain("note", note);
    }
    Ok(seen.documents)
}

#[cfg(not(feature = "cluster"))]
fn ask(_: &Arguments) -> anyhow::Result<Vec<Node<'static>>> {
    bail!(
        "this build knows no clusters: give it with --from what `kubectl get pods,events,nodes,jobs,namespaces -A -o json` prints"
    )
}

fn target(typed: &str) -> Result<(String, String), String> {
    match typed.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write NAMESPACE/NAME".to_owned()),
    }
}
