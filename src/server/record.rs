//! What is written down of a request: one line in the log, and the counters.
//!
//! Names what was asked and what was decided; never an object, nor who asked.

use std::time::Duration;

use tracing::Span;

use super::fault::Fault;
use super::metrics::{Metrics, Review, kind_label};
use super::webhook::Door;
use crate::engine::Outcome;
use crate::finding::Action;
use crate::printable::printable;
use crate::review::Request;

/// The longest name that Kubernetes allows; what is longer came from somebody else.
const LONGEST_NAME: usize = 253;

/// A request that never got as far as being judged.
#[cold]
pub(super) fn unread(fault: &Fault) {
    tracing::warn!(fault = %fault.word(), "no review: {}", printable(&fault.to_string()));
}

/// What is said while a request is judged bears its uid, for those who asked for more; the line at the end says the rest.
pub(super) fn span(door: Door, request: &Request<'_>) -> Span {
    tracing::debug_span!("review", webhook = %door.word(), uid = clip(&request.uid))
}

/// A request that was judged, or that could not be.
pub(super) fn decided<T>(
    metrics: &Metrics,
    door: Door,
    request: Option<&Request<'_>>,
    decided: &Result<(Outcome, T), Fault>,
    took: Duration,
) {
    if let Err(Fault::Panicked) = decided {
        metrics.panics.inc();
    }
    let Some(request) = request else {
        if let Err(fault) = decided {
            unread(fault);
        }
        return;
    };
    let decision = match decided {
        Ok((outcome, _)) => {
            metrics.decided(outcome);
            if let Some(reason) = &outcome.held_back {
                tracing::error!(
                    uid = clip(&request.uid),
                    "a wrong patch was held back, please report it: {}",
                    printable(reason)
                );
            }
            word(outcome)
        }
        Err(_) => "fault",
    };
    let kind = kind_label(&request.kind);
    let review = Review { webhook: door.word(), operation: request.operation, kind, decision };
    metrics.reviewed(review, took);

    // The strings go in as `&str`, which both formats escape: they are the client's words.
    macro_rules! line {
        ($level:ident, $($more:tt)*) => {
            tracing::$level!(
                webhook = %door.word(),
                uid = clip(&request.uid),
                kind = clip(&request.kind),
                namespace = clip(&request.namespace),
                name = clip(&request.name),
                operation = %request.operation.word(),
                dry_run = request.dry_run,
                decision = %decision,
                microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                $($more)*
            )
        };
    }
    match decided {
        Ok(_) => line!(info, "review"),
        Err(fault) if fault.is_ours() => {
            line!(error, fault = %fault.word(), "review: {}", printable(&fault.to_string()));
        }
        Err(fault) => line!(warn, fault = %fault.word(), "review: {}", printable(&fault.to_string())),
    }
}

/// The decision as one word of a closed set.
fn word(outcome: &Outcome) -> &'static str {
    let warns = || outcome.verdicts.iter().any(|verdict| verdict.action == Action::Warn);
    if !outcome.allowed() {
        "denied"
    } else if !outcome.patch.is_empty() {
        "mutated"
    } else if !outcome.warnings.is_empty() || warns() {
        "warned"
    } else {
        "allowed"
    }
}

/// Borrows, where [`crate::printable::clip`] copies.
fn clip(text: &str) -> &str {
    let end = (0..=LONGEST_NAME.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(clip("short"), "short");
        assert_eq!(clip(&"ä".repeat(200)).len(), 252);
    }

    #[test]
    fn the_strongest_word_wins() {
        assert_eq!(word(&Outcome::default()), "allowed");
        let warned = Outcome { warnings: vec!["careful".into()], ..Outcome::default() };
        assert_eq!(word(&warned), "warned");
    }
}
