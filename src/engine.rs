//! The one orchestrator: what a request gets, and whether it may pass.
//!
//! Pure, synchronous and deterministic: policies, facts and the time come in as arguments. The order of judgement is the
//! same at every door: API defaults, LimitRanges, profiles, rules, exemptions, ratchet, action.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::facts::Namespace;
use crate::fields::Problems;
use crate::finding::{Action, Digester, Eased, Finding, Verdict};
use crate::fingerprint;
use crate::mutators::{self, Author, Combined};
use crate::packing::{Packed, Reservation, View};
use crate::patch::{Editor, Patch};
use crate::policy::selector::any_glob;
use crate::policy::{Known, PolicySet};
use crate::review::{Body, Operation, Request};
use crate::rules;
use crate::tree::{Node, ReadError};
use crate::workload::{self, Pod, Workload};

mod answer;
mod controllers;
mod invariants;
mod judge;

pub(crate) use answer::ALLOW;
pub use controllers::account;
pub use judge::Stage;

/// What holds whatever the policies say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces that are never touched, by name; `*` stands for any run of characters.
    pub excluded_namespaces: Vec<String>,
    /// Usernames whose pods count as made by a controller, beside those of Kubernetes' own controllers; see [`account`].
    pub controllers: Vec<String>,
}

/// No pod runs with more, and equipping a hostile one would fill the memory: such a pod is judged as it is.
const MOST_CONTAINERS: usize = 1_000;

/// Namespaces that a cluster needs to come back: a refusal there could keep the cluster, or us, from starting.
/// manifests/install/webhooks.yaml leaves out the same ones.
pub const EXCLUDED_NAMESPACES: [&str; 12] = [
    "kube-*",
    "supercargo",
    "calico-apiserver",
    "calico-system",
    "cert-manager",
    "cilium",
    "cilium-secrets",
    "karpenter",
    "longhorn-system",
    "openebs",
    "rook-ceph",
    "tigera-operator",
];

/// A name or a pattern for [`Settings::excluded_namespaces`], as it may be typed: "" leaves out none.
pub fn excluded_namespace(text: &str) -> Result<String, String> {
    let mut problems = Problems::default();
    if !text.is_empty() {
        problems.namespace_pattern("", text);
    }
    problems.accept(text)
}

impl Default for Settings {
    fn default() -> Self {
        Settings { excluded_namespaces: EXCLUDED_NAMESPACES.map(str::to_owned).to_vec(), controllers: Vec::new() }
    }
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
    /// The nodes and what runs on them; `None` where they cannot be seen, and pods are packed without.
    pub packing: Option<View<'f>>,
}

/// Decides; holds nothing that a request could change.
#[derive(Clone, Default)]
pub struct Engine {
    settings: Settings,
    digester: Digester,
    fingerprints: Option<fingerprint::Key>,
}

/// A decision.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Kind, namespace and name of the object, for messages about findings: "Deployment shop/web".
    pub object: String,
    /// The same for the exemptions that are proposed.
    pub known: Known,
    /// What to add to the object; empty when nothing.
    pub patch: Patch,
    /// What was found, and what each finding leads to.
    pub verdicts: Vec<Verdict>,
    /// What the author should know besides, at most 120 characters each.
    pub warnings: Vec<String>,
    /// The mutators that added something.
    pub mutators: Vec<&'static str>,
    /// Why a patch that was made is not sent, for the log and a metric.
    pub held_back: Option<String>,
    /// How the pod was packed, if a profile says so.
    pub packed: Option<Packed>,
    /// What the pod was planned to take of a node, to be committed to the ledger; none for a dry run.
    pub reservation: Option<Reservation>,
}

/// The request cannot be judged, through no fault of a policy: the door answers with an HTTP error.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// An object in the envelope cannot be read.
    #[error("the object in the review is {0}")]
    Object(#[from] ReadError),
}

impl Engine {
    /// An engine with its own key for digests.
    pub fn new(settings: Settings) -> Self {
        Engine { settings, digester: Digester::default(), fingerprints: None }
    }

    /// The same engine, which marks secrets with this key; with `None` they carry no mark.
    #[must_use]
    pub fn with_fingerprints(mut self, key: Option<fingerprint::Key>) -> Self {
        self.fingerprints = key;
        self
    }

    /// Whether the request can be let pass without looking at the object or its namespace: no policy can want it.
    pub fn passes_unseen(&self, request: &Request<'_>, policies: &PolicySet) -> bool {
        let Some(kind) = workload::kind(&request.group, &request.kind) else { return true };
        !matches!(request.operation, Operation::Create | Operation::Update)
            || self.leaves_out(&request.namespace)
            || ((kind.pod.is_none() || policies.profiles().is_empty())
                && !policies.guards().iter().any(|guard| guard.concerns(kind.name, &request.namespace)))
    }

    /// Whether nothing in this namespace is judged, whatever the policies say.
    pub fn leaves_out(&self, namespace: &str) -> bool {
        !namespace.is_empty() && any_glob(&self.settings.excluded_namespaces, namespace)
    }

    /// What a pod gets at CREATE: the patch, never a refusal.
    pub fn mutate(&self, request: &Request<'_>, facts: Facts<'_>) -> Result<Outcome, Fault> {
        let is_pod = request.kind == "Pod" && request.group.is_empty() && request.sub_resource.is_empty();
        if !is_pod || request.operation != Operation::Create || self.passes_unseen(request, facts.policies) {
            return Ok(Outcome::default());
        }
        match request.object.tree() {
            Ok(Some(tree)) => Ok(stow(&tree, request, facts, self.author(&request.username))),
            Ok(None) => Ok(Outcome::default()),
            // What judges it says so.
            Err(error) if error.is_too_large() => Ok(Outcome::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the object may pass, as it would be stored.
    pub fn validate(&self, request: &Request<'_>, facts: Facts<'_>) -> Result<Outcome, Fault> {
        if self.passes_unseen(request, facts.policies) {
            return Ok(Outcome::default());
        }
        let Some(kind) = workload::kind(&request.group, &request.kind) else { return Ok(Outcome::default()) };
        let tree = match request.object.tree() {
            Ok(Some(tree)) => tree,
            Ok(None) => return Ok(Outcome::default()),
            Err(error) if error.is_too_large() => return Ok(self.unread(kind, request, facts)),
            Err(error) => return Err(error.into()),
        };
        let workload = Workload::new(kind, &tree);
        if workload.is_being_deleted() || workload.pod().is_some_and(|pod| workload.is_pod() && pod.is_mirror()) {
            return Ok(Outcome::default());
        }
        let old = match request.old_object.tree() {
            Err(error) if error.is_too_large() => {
                let mut outcome = self.judge(&workload, None, request, facts, Stage::Stored);
                ease(&mut outcome.verdicts, |_| true);
                return Ok(outcome);
            }
            old => old?,
        };
        if request.operation == Operation::Update
            && old.as_ref().is_some_and(|old| workload.differs_in_bookkeeping_only(old))
        {
            return Ok(Outcome::default());
        }
        let old = old.as_deref().filter(|_| request.operation == Operation::Update);
        let old = old.map(|old| Workload::new(kind, old));
        let mut outcome = self.judge(&workload, old.as_ref(), request, facts, Stage::Stored);
        if let Some(old) = old {
            let before = self.judge(&old, None, request, facts, Stage::Stored);
            self.ratchet(&mut outcome.verdicts, &before.verdicts);
        }
        Ok(outcome)
    }

    /// Offline: what the cluster will say to an object that has not been sent yet. A pod is mutated first, as it would be, and
    /// an object of a kind that no webhook sees is searched for secrets.
    pub fn check(&self, request: &Request<'_>, facts: Facts<'_>) -> Result<Outcome, Fault> {
        if self.leaves_out(&request.namespace) {
            return Ok(Outcome::default());
        }
        let Some(tree) = request.object.tree()? else { return Ok(Outcome::default()) };
        match workload::kind(&request.group, &request.kind) {
            None => Ok(self.judge(&Workload::other(&tree), None, request, facts, Stage::Sent)),
            Some(kind) => Ok(self.judge(&Workload::new(kind, &tree), None, request, facts, Stage::Sent)),
        }
    }

    /// An object of more values than are read. Policies that go by labels do not know it.
    fn unread(&self, kind: &'static workload::Kind, request: &Request<'_>, facts: Facts<'_>) -> Outcome {
        let named = serde_json::json!({
            "kind": request.kind,
            "metadata": {"name": request.name, "namespace": request.namespace}
        });
        self.judge(&Workload::new(kind, &Node::from(&named)), None, request, facts, Stage::Unread)
    }

    /// Findings that the old object had are only warned about: what was there before must stay changeable.
    fn ratchet(&self, verdicts: &mut [Verdict], before: &[Verdict]) {
        let identities = |verdict: &'_ Verdict| self.digester.identities(&verdict.finding).into_owned();
        let known: HashSet<_> = before.iter().flat_map(identities).collect();
        // Of secrets in an old object that was not read to its end nobody can say that they are new.
        let in_part = before.iter().any(|verdict| verdict.finding.rule == rules::TOO_LARGE);
        ease(verdicts, |finding| {
            (in_part && rules::finds_secrets(finding.rule))
                || self.digester.identities(finding).iter().all(|identity| known.contains(identity))
        });
    }

    fn author(&self, username: &str) -> Author {
        if controllers::is_trusted(username, &self.settings.controllers) { Author::Controller } else { Author::Person }
    }

    fn judge(
        &self,
        workload: &Workload<'_>,
        before: Option<&Workload<'_>>,
        request: &Request<'_>,
        facts: Facts<'_>,
        stage: Stage,
    ) -> Outcome {
        let judged = judge::Judged {
            workload,
            before,
            author: self.author(&request.username),
            facts,
            stage,
            digester: &self.digester,
            fingerprints: self.fingerprints.as_ref(),
        };
        let (verdicts, warnings) = judged.verdicts();
        if verdicts.is_empty() {
            // Nobody asks what it is called.
            return Outcome { warnings, ..Outcome::default() };
        }
        let known = Known {
            // Whether another kind lives in a namespace is not known.
            namespace: match (workload.kind.name, workload.namespace()) {
                ("", "") => "*".to_owned(),
                _ => facts.namespace.name.clone(),
            },
            kind: workload.object.str("kind").unwrap_or(workload.kind.name).to_owned(),
            name: workload.name().to_owned(),
        };
        Outcome { object: describe(request, workload), known, verdicts, warnings, ..Outcome::default() }
    }
}

/// "Deployment shop/web".
fn describe(request: &Request<'_>, workload: &Workload<'_>) -> String {
    let name = if request.name.is_empty() { workload.name() } else { &request.name };
    let name = if name.is_empty() { "(no name)" } else { name };
    match &*request.namespace {
        "" => format!("{} {name}", request.kind),
        namespace => format!("{} {namespace}/{name}", request.kind),
    }
}

/// The profiles that a pod gets, if any.
fn profiles_of<'p>(pod: &Pod<'_>, facts: &Facts<'p>) -> Option<Combined<'p>> {
    let profiles = facts.policies.profiles().iter();
    Combined::of(profiles.filter(|profile| profile.serves(facts.namespace) && profile.matches(pod)).collect())
}

/// Makes the patch for a pod, and checks it: a wrong one would refuse the pod even under `failurePolicy: Ignore`.
fn stow(tree: &Node<'_>, request: &Request<'_>, facts: Facts<'_>, author: Author) -> Outcome {
    let workload = Workload::new(&workload::POD, tree);
    let mut outcome = Outcome::default();
    let pod = Pod::new("", tree);
    if pod.is_mirror() || workload.is_being_deleted() {
        return outcome;
    }
    if pod.containers().nth(MOST_CONTAINERS).is_some() {
        return outcome;
    }
    let Some(profiles) = profiles_of(&pod, &facts) else { return outcome };
    let mut editor = Editor::new(tree);
    let checked = mutators::stow(&profiles, facts.namespace, author, "", facts.packing, &mut editor)
        .map_err(|error| error.to_string())
        .and_then(|stowed| {
            #[cfg(feature = "sabotage")]
            sabotage(&pod, &mut editor);
            invariants::kept(&pod, &Pod::new("", editor.tree()), &facts.namespace.limit_ranges)?;
            Ok(stowed)
        });
    match checked {
        Ok(stowed) => {
            outcome.patch = editor.into_patch();
            outcome.mutators = stowed.mutators;
            outcome.warnings = stowed.warnings;
            outcome.packed = stowed.packed;
            outcome.reservation = stowed.reservation.filter(|_| !request.dry_run);
        }
        Err(reason) => {
            outcome.warnings.push(not_applied(&profiles, &reason));
            outcome.held_back = Some(reason);
        }
    }
    outcome
}

fn not_applied(profiles: &Combined<'_>, reason: &str) -> String {
    let names: Vec<_> = profiles.each().iter().map(|profile| profile.name.as_str()).collect();
    format!("profile {} was not applied: {reason}", names.join(", "))
}

/// A mutator that is wrong on purpose, to see its patch held back, and one that panics.
#[cfg(feature = "sabotage")]
#[allow(clippy::panic)]
fn sabotage(pod: &Pod<'_>, editor: &mut Editor<'_>) {
    use crate::tree::Path;
    match pod.annotation("sabotage.supercargo.dev/mutator") {
        Some("wrong") => {
            let limits = serde_json::json!({"name": "sabotage", "mountPath": "/sabotage"});
            // A mount without its volume: the API server would refuse the pod for it.
            let _ = editor.append(&Path::at("/spec/containers").index(0).key("volumeMounts"), limits);
        }
        // As a failed slice would: with text of the object in its message.
        Some("panic") => panic!("sabotaged: {}", pod.annotation("sabotage.supercargo.dev/say").unwrap_or_default()),
        _ => {}
    }
}

/// Warns of what would be refused and may have been there before.
fn ease(verdicts: &mut [Verdict], was_there: impl Fn(&Finding) -> bool) {
    for verdict in verdicts.iter_mut().filter(|verdict| verdict.action == Action::Deny) {
        if was_there(&verdict.finding) {
            verdict.action = Action::Warn;
            verdict.eased = Some(Eased::Ratchet);
        }
    }
}

/// A request as a door makes it that has only the object: CREATE, by nobody in particular.
pub fn create_request<'a>(object: Node<'a>, default_namespace: &str) -> Request<'a> {
    let text = |keys: &[&str]| object.path(keys).and_then(Node::as_str).unwrap_or_default().to_owned();
    let api_version = text(&["apiVersion"]);
    let group = api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
    let namespace = text(&["metadata", "namespace"]);
    Request {
        uid: Cow::Borrowed(""),
        group: Cow::Owned(group),
        kind: Cow::Owned(text(&["kind"])),
        sub_resource: Cow::Borrowed(""),
        name: Cow::Owned(text(&["metadata", "name"])),
        namespace: Cow::Owned(if namespace.is_empty() { default_namespace.to_owned() } else { namespace }),
        operation: Operation::Create,
        username: Cow::Borrowed(""),
        dry_run: false,
        object: Body::Tree(object),
        old_object: Body::Absent,
    }
}
