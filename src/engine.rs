//! The one orchestrator: what a request gets, and whether it may pass.
//!
//! Pure, synchronous and deterministic: policies, facts and the time come in as arguments. The order of judgement is the
//! same at every door: API defaults, LimitRanges, profiles, rules, exemptions, ratchet, action.

use crate::facts::Namespace;
use crate::finding::{Action, Digester, Verdict};
use crate::policy::PolicySet;
use crate::review::{Request, Response};
use crate::tree::ReadError;

/// What holds whatever the policies say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces that are never touched, by name; `*` stands for any run of characters.
    pub excluded_namespaces: Vec<String>,
}

/// What is known when a request is judged.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    /// The request's namespace.
    pub namespace: &'f Namespace,
    /// The policies in force.
    pub policies: &'f PolicySet,
    /// Decides which exemptions have expired.
    pub now: jiff::Timestamp,
}

/// Decides; holds nothing that a request could change.
#[derive(Clone)]
pub struct Engine {
    settings: Settings,
    digester: Digester,
}

/// A decision.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What to add to the object; empty when nothing.
    pub patch: json_patch::Patch,
    /// What was found, and what each finding leads to.
    pub verdicts: Vec<Verdict>,
    /// What the author should know besides, at most 120 characters each.
    pub warnings: Vec<String>,
    /// The mutators that added something.
    pub mutators: Vec<&'static str>,
    /// Why a patch that was made is not sent, for the log and a metric.
    pub held_back: Option<String>,
}

/// The request cannot be judged, through no fault of a policy: the door answers with an HTTP error.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// An object in the envelope cannot be read.
    #[error("the object in the review is {0}")]
    Object(#[from] ReadError),
}

impl Outcome {
    /// Whether the object may pass.
    pub fn allowed(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.action != Action::Deny)
    }

    /// The answer to the API server.
    pub fn response(&self) -> Response {
        Response::default()
    }
}

impl Engine {
    /// An engine with its own key for digests.
    pub fn new(settings: Settings) -> Self {
        Engine { settings, digester: Digester::default() }
    }

    /// Whether the request can be let pass without looking at the object: no policy wants it.
    pub fn passes_unseen(&self, _request: &Request<'_>, _policies: &PolicySet) -> bool {
        false
    }

    /// What a pod gets at CREATE: the patch, never a refusal.
    pub fn mutate(&self, _request: &Request<'_>, _facts: Facts<'_>) -> Result<Outcome, Fault> {
        Ok(Outcome::default())
    }

    /// Whether the object may pass, as it would be stored.
    pub fn validate(&self, _request: &Request<'_>, _facts: Facts<'_>) -> Result<Outcome, Fault> {
        Ok(Outcome::default())
    }

    /// Offline: what the cluster will say to an object that has not been sent yet. A pod is mutated first, as it would be.
    pub fn check(&self, request: &Request<'_>, facts: Facts<'_>) -> Result<Outcome, Fault> {
        self.validate(request, facts)
    }
}
