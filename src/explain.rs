//! What became of a pod: what was planned for it, what the scheduler did, why they differ, and which profile added what.
//!
//! Pure: the documents come in as arguments, and show the cluster as it is now. What a node looked like when the scheduler chose
//! is not known any more, and no sentence here says that it is.

use std::fmt;

use jiff::Timestamp;

use crate::facts::Namespace;
use crate::policy::PolicySet;
use crate::printable::{clip, printable};
use crate::tree::Node;

mod added;
mod compared;
mod planned;
mod scheduled;

pub use planned::Planned;

/// What is known.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'e> {
    /// The pod.
    pub pod: &'e Node<'e>,
    /// The pod as it was sent, and by whom; `None` when that is not known any more.
    pub sent: Option<(&'e Node<'e>, &'e str)>,
    /// Events, nodes and other pods, as far as they are known; others are passed over.
    pub documents: &'e [Node<'e>],
    /// The pod's namespace.
    pub namespace: &'e Namespace,
    /// The policies that the webhook has.
    pub policies: &'e PolicySet,
    /// The time.
    pub now: Timestamp,
}

/// The answer: paragraphs of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// `NAMESPACE/NAME`.
    pub pod: String,
    /// What was planned.
    pub planned: Vec<String>,
    /// What the scheduler did.
    pub scheduled: Vec<String>,
    /// Whether they differ, and why.
    pub compared: Vec<String>,
    /// What it was given, by whom.
    pub added: Vec<String>,
}

/// Explains a pod.
pub fn explain(evidence: &Evidence<'_>) -> Explanation {
    let planned = Planned::read(evidence.pod);
    let text = |keys: &[&str]| evidence.pod.path(keys).and_then(Node::as_str).unwrap_or_default().to_owned();
    Explanation {
        pod: format!("{}/{}", text(&["metadata", "namespace"]), text(&["metadata", "name"])),
        planned: planned.lines(evidence),
        scheduled: scheduled::lines(evidence),
        compared: compared::lines(evidence, &planned),
        added: added::lines(evidence),
    }
}

/// A scheduler's message about a thousand nodes is longer than anybody reads.
const LONGEST_LINE: usize = 1_000;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Pod {}", printable(&self.pod))?;
        for (title, lines) in [
            ("Planned", &self.planned),
            ("Scheduled", &self.scheduled),
            ("Compared", &self.compared),
            ("Added", &self.added),
        ] {
            if lines.is_empty() {
                continue;
            }
            writeln!(f, "\n{title}")?;
            for line in lines {
                writeln!(f, "  {}", printable(&clip(line, LONGEST_LINE)))?;
            }
        }
        Ok(())
    }
}

/// The documents of a kind.
fn of_kind<'e>(evidence: &Evidence<'e>, kind: &'static str) -> impl Iterator<Item = &'e Node<'e>> {
    evidence.documents.iter().filter(move |document| document.str("kind") == Some(kind))
}

/// `metadata.name` and the like.
fn metadata<'n>(object: &'n Node<'_>, key: &str) -> &'n str {
    object.path(&["metadata", key]).and_then(Node::as_str).unwrap_or_default()
}

/// "1 node", "2 nodes".
fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}
