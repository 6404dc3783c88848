//! One object, one set of policies: which findings there are, and what each leads to.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use super::{Facts, controllers, invariants, not_applied, profiles_of};
use crate::fields::Problems;
use crate::finding::{Action, Digest, Digester, Eased, Finding, Objection, ObjectionTo, Subject, Verdict};
use crate::fingerprint;
use crate::mutators::{self, Author, Combined};
use crate::patch::{EditError, Editor};
use crate::policy::{Guard, Profile};
use crate::rules::{self, Check, Input, Rule, Search, Standing};
use crate::tree::{Node, escape};
use crate::workload::{self, Pod, Workload};

/// The rules that judge where no policy lists them, with their default parameters.
static DEFAULTS: LazyLock<Vec<(&'static Rule, Arc<dyn Check>)>> = LazyLock::new(|| {
    let rules = rules::RULES.iter().filter(|rule| rule.standing != Standing::Listed);
    rules
        .filter_map(|rule| Some((*rule, (rule.compile)(serde_json::json!({}), "", &mut Problems::default())?)))
        .collect()
});

/// How far the object has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has not been sent: what the cluster will add to it is missing.
    Sent,
    /// Everything has been added; this is what will be stored.
    Stored,
    /// The same, of more values than are read: only its kind and its name are there.
    Unread,
}

/// An object and what it is judged by.
pub(super) struct Judged<'j> {
    pub(super) workload: &'j Workload<'j>,
    /// What is stored now, when that changes.
    pub(super) before: Option<&'j Workload<'j>>,
    pub(super) author: Author,
    pub(super) facts: Facts<'j>,
    pub(super) stage: Stage,
    pub(super) digester: &'j Digester,
    pub(super) fingerprints: Option<&'j fingerprint::Key>,
}

/// What applying the profiles to a copy showed.
#[derive(Default)]
struct Projection<'t> {
    /// The copy; `None` when nothing would be added.
    tree: Option<Node<'t>>,
    objections: Vec<Objection>,
    warnings: Vec<String>,
}

impl<'j> Judged<'j> {
    /// Every finding with its action, and warnings besides.
    pub(super) fn verdicts(&self) -> (Vec<Verdict>, Vec<String>) {
        let guards: Vec<&Guard> = self
            .facts
            .policies
            .guards()
            .iter()
            .filter(|guard| guard.judges(self.workload, self.facts.namespace))
            .collect();
        let pod = self.workload.pod();
        let profiles = pod.and_then(|pod| profiles_of(&pod, &self.facts));
        let lost = self.lost_labels();
        if guards.is_empty() && profiles.is_none() && lost.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let mut projection = pod.map(|pod| self.project(&pod, profiles.as_ref())).unwrap_or_default();
        if !lost.is_empty() {
            let known: HashSet<String> = projection.objections.iter().map(|known| known.pointer.clone()).collect();
            projection.objections.extend(lost.into_iter().filter(|objection| !known.contains(&objection.pointer)));
        }
        let projected = match (&projection.tree, self.workload.kind.pod) {
            (Some(tree), Some(at)) => tree.pointer(at).map(|node| Pod::new(at, node)),
            _ => pod,
        };
        let search = Search {
            fingerprints: self.fingerprints,
            password_hashes: guards
                .iter()
                .any(|guard| guard.rules.iter().any(|rule| rule.check.wants_password_hashes())),
            unread: self.stage == Stage::Unread,
        };
        let namespace = self.facts.namespace;
        let input = Input::new(*self.workload, projected, &projection.objections, namespace, self.digester, search);
        let trusted = self.author == Author::Controller;
        let mut verdicts = Verdicts::default();
        for guard in &guards {
            for rule in &guard.rules {
                let cap = if trusted && rule.rule.standing != Standing::Profile {
                    guard.controller_pods
                } else {
                    Action::Deny
                };
                let mut found = Vec::new();
                rule.check.check(&input, &mut found);
                for finding in found {
                    verdicts.add(finding, rule.action, cap, format!("GuardPolicy/{}", guard.name));
                }
            }
        }
        for (rule, check) in DEFAULTS.iter() {
            by_default(rule, check.as_ref(), &guards, trusted, &input, &mut verdicts);
        }
        let mut verdicts = verdicts.list;
        self.exempt(&mut verdicts, trusted);
        (verdicts, projection.warnings)
    }

    /// Applies to a copy what the cluster would add to the pod before it runs.
    fn project<'p>(&self, pod: &Pod<'j>, profiles: Option<&'p Combined<'p>>) -> Projection<'p>
    where
        'j: 'p,
    {
        let ranges = &self.facts.namespace.limit_ranges;
        let complete = self.workload.is_pod() && self.stage == Stage::Stored;
        if pod.containers().nth(super::MOST_CONTAINERS).is_some() {
            let each = profiles.map(Combined::each).unwrap_or_default();
            let objections = each.iter().map(|profile| too_many_containers(pod, profile)).collect();
            return Projection { objections, ..Projection::default() };
        }
        if profiles.is_none() && (complete || ranges.is_empty()) {
            return Projection::default();
        }
        if let Some(profiles) = profiles.filter(|_| complete) {
            return self.project_stored(pod, profiles);
        }
        // A template's pods are made by a controller, and nobody applies them again.
        let author = if self.workload.is_pod() { self.author } else { Author::Controller };
        // An object so malformed that it cannot be edited is judged as it is; the API server refuses it anyway.
        let Ok(mut editor) = self.completed(pod) else { return Projection::default() };
        let Some(profiles) = profiles else { return Projection { tree: editor.into_tree(), ..Projection::default() } };
        let stowed = mutators::stow(profiles, self.facts.namespace, author, pod.at(), None, &mut editor);
        let Ok(mutators::Stowed { objections, mut warnings, .. }) = stowed else { return Projection::default() };
        if let Err(reason) = invariants::kept(pod, &pod_in(&editor, pod.at()), ranges) {
            let Ok(without) = self.completed(pod) else { return Projection::default() };
            // A pod comes to the webhook with what LimitRanges give it.
            match invariants::kept(&pod_in(&without, pod.at()), &pod_in(&editor, pod.at()), ranges) {
                Ok(()) => warnings.push(format!("with the LimitRanges here {reason}: Kubernetes will refuse that")),
                Err(reason) => {
                    // The patch of such a pod will be held back.
                    warnings = vec![not_applied(profiles, &reason)];
                    editor = without;
                }
            }
        }
        Projection { tree: editor.into_tree(), objections, warnings }
    }

    /// Nothing more will be added to a pod at this stage, and a warning about it was given before: only what the profiles have
    /// against it is asked.
    fn project_stored<'p>(&self, pod: &Pod<'j>, profiles: &'p Combined<'p>) -> Projection<'p>
    where
        'j: 'p,
    {
        let mut editor = Editor::new(self.workload.object);
        let objections = mutators::objections(profiles, self.facts.namespace, self.author, &mut editor);
        let Ok(mut objections) = objections else { return Projection::default() };
        if self.before.is_none() {
            objections.extend(missing_labels(pod, profiles.each()));
            objections.extend(missing_volumes(pod, &Pod::new("", editor.tree()), profiles.each()));
        }
        Projection { objections, ..Projection::default() }
    }

    /// The object with what the API server and the LimitRanges give to the pod in it.
    fn completed(&self, pod: &Pod<'j>) -> Result<Editor<'j>, EditError> {
        let mut editor = Editor::new(self.workload.object);
        workload::apply_api_defaults(pod.at(), &mut editor)?;
        workload::apply_limit_ranges(pod.at(), &mut editor, &self.facts.namespace.limit_ranges)?;
        Ok(editor)
    }

    /// Labels that a profile gave to the stored pod and that it would no longer have. The pod keeps them whether or not the
    /// profile still matches: its selector's labels could be taken off first.
    fn lost_labels(&self) -> Vec<Objection> {
        let pods = (self.workload.pod(), self.before.and_then(Workload::pod));
        let (Some(pod), Some(before)) = pods else { return Vec::new() };
        if !self.workload.is_pod() {
            return Vec::new();
        }
        let profiles = self.facts.policies.profiles().iter().filter(|profile| profile.serves(self.facts.namespace));
        let labels = profiles.flat_map(|profile| profile.spec.labels.iter().map(move |label| (profile, label)));
        labels
            .filter(|(_, (key, value))| {
                before.label(key) == Some(value.as_str()) && pod.label(key) != Some(value.as_str())
            })
            .map(|(profile, (key, value))| Objection {
                to: ObjectionTo::Label,
                by: format!("PodProfile/{}", profile.name),
                mild: false,
                pointer: pod.pointer(&format!("/metadata/labels/{}", escape(key))),
                subject: Subject { container: None, key: Some(key.clone()) },
                message: format!("label {key} is {value}, and profile {} keeps it so", profile.name),
                fix: format!("leave {key}={value} as it is: NetworkPolicies select the pod by it"),
            })
            .collect()
    }

    fn exempt(&self, verdicts: &mut [Verdict], trusted: bool) {
        let exemptions: Vec<_> = self
            .facts
            .policies
            .exemptions()
            .iter()
            .filter(|exemption| !exemption.has_expired(self.facts.now))
            .collect();
        if exemptions.is_empty() || verdicts.is_empty() {
            return;
        }
        let workload = self.workload;
        let kind = workload.object.str("kind").unwrap_or(workload.kind.name);
        let known_as = controllers::known_as(workload, workload.name(), kind, trusted);
        for verdict in verdicts {
            let covering =
                exemptions.iter().find(|e| e.covers(&verdict.finding, &self.facts.namespace.name, &known_as));
            if let Some(exemption) = covering {
                verdict.action = Action::Audit;
                verdict.exempted_by = Some(exemption.name.clone());
            }
        }
    }
}

/// The pod at a pointer, as it was edited.
fn pod_in<'t>(editor: &'t Editor<'_>, at: &'static str) -> Pod<'t> {
    Pod::new(at, editor.tree().pointer(at).unwrap_or(&Node::Null))
}

/// Judges by a rule that no policy needs to list, unless one does.
fn by_default(
    rule: &'static Rule,
    check: &dyn Check,
    guards: &[&Guard],
    trusted: bool,
    input: &Input<'_>,
    verdicts: &mut Verdicts,
) {
    let listed = guards.iter().any(|guard| guard.rules.iter().any(|own| own.rule.id == rule.id));
    // The search for secrets is worth its time only where a policy asks for it, and so is saying that it was cut off.
    let searches = guards.iter().any(|guard| guard.rules.iter().any(|own| own.rule.searches));
    if listed || (rule.searches && !searches) {
        return;
    }
    let mut found = Vec::new();
    check.check(input, &mut found);
    let cap = if trusted && rule.standing != Standing::Profile { Action::Warn } else { Action::Deny };
    let by: HashMap<&str, &str> = if found.is_empty() {
        HashMap::new()
    } else {
        input.objections.iter().map(|objection| (&*objection.pointer, &*objection.by)).collect()
    };
    for finding in found {
        let by = by.get(&*finding.pointer).copied().unwrap_or("default").to_owned();
        verdicts.add(finding, rule.default, cap, by);
    }
}

/// Labels of the profiles that a new pod does not have. Only a warning: the webhook that adds them was not asked, or held its
/// patch back, and neither may stop a pod (under the default-deny NetworkPolicy such a pod reaches nothing). Taking a label
/// away is [`Judged::lost_labels`].
fn missing_labels<'p>(pod: &'p Pod<'_>, profiles: &'p [&Profile]) -> impl Iterator<Item = Objection> {
    let labels = profiles.iter().flat_map(|profile| profile.spec.labels.iter().map(move |label| (profile, label)));
    labels.filter(|(_, (key, _))| pod.label(key).is_none()).map(|(profile, (key, value))| Objection {
        to: ObjectionTo::Label,
        by: format!("PodProfile/{}", profile.name),
        mild: true,
        pointer: pod.pointer(&format!("/metadata/labels/{}", escape(key))),
        subject: Subject { container: None, key: Some(key.clone()) },
        message: format!("label {key} is missing, and profile {} wants it to be {value}", profile.name),
        fix: format!("set the label {key}={value}: NetworkPolicies select the pod by it"),
    })
}

/// Volumes of the profiles that a new pod does not have and would get, were it to come again. Only a warning, as above.
fn missing_volumes(pod: &Pod<'_>, stowed: &Pod<'_>, profiles: &[&Profile]) -> Vec<Objection> {
    let volumes = |pod: &Pod<'_>| pod.spec().map_or(0, |spec| spec.items("volumes").len());
    let wanted = stowed.spec().map(|spec| spec.items("volumes")).unwrap_or_default();
    // Volumes are appended: the pod's own come first.
    let missing = wanted
        .iter()
        .skip(volumes(pod))
        .filter_map(|volume| volume.str("name"))
        .filter(|name| pod.volume(name).is_none());
    let by = || profiles.iter().map(|profile| format!("PodProfile/{}", profile.name)).collect::<Vec<_>>().join(", ");
    let objection = |name: &str| Objection {
        to: ObjectionTo::Volume,
        by: by(),
        mild: true,
        pointer: pod.pointer("/spec/volumes"),
        subject: Subject { container: None, key: Some(name.to_owned()) },
        message: format!("volume {name} is missing, and a scan may find nothing where its sources should be"),
        fix: "make the pod again: the webhook that adds the volume was not asked, or held its patch back".to_owned(),
    };
    missing.map(objection).collect()
}

/// Profiles are applied to no such pod, and none of what they keep would hold of it.
fn too_many_containers(pod: &Pod<'_>, profile: &Profile) -> Objection {
    Objection {
        to: ObjectionTo::Volume,
        by: format!("PodProfile/{}", profile.name),
        mild: false,
        pointer: pod.pointer("/spec"),
        subject: Subject::default(),
        message: format!(
            "more than {} containers, and profile {} adds nothing to a pod of so many",
            super::MOST_CONTAINERS,
            profile.name
        ),
        fix: "leave containers out, or split the pod".to_owned(),
    }
}

/// Verdicts so far; the same finding is kept once, with the strongest action.
#[derive(Default)]
struct Verdicts {
    list: Vec<Verdict>,
    by_finding: HashMap<(&'static str, String, Subject, Option<Digest>), usize>,
}

impl Verdicts {
    fn add(&mut self, finding: Finding, action: Action, cap: Action, by: String) {
        let action = action.min(finding.at_most);
        let eased = (cap < action).then_some(Eased::Controller);
        let verdict = Verdict { action: action.min(cap), finding, by, exempted_by: None, eased };
        let finding = &verdict.finding;
        let key = (finding.rule, finding.pointer.clone(), finding.subject.clone(), finding.digest.clone());
        match self.by_finding.entry(key) {
            Entry::Occupied(known) => {
                let known = &mut self.list[*known.get()];
                if known.action < verdict.action {
                    *known = verdict;
                }
            }
            Entry::Vacant(unknown) => {
                unknown.insert(self.list.len());
                self.list.push(verdict);
            }
        }
    }
}
