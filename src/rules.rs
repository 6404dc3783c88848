//! The table of rules, sorted by id: one line here, one file each below.
//!
//! A rule looks at one workload and says what is wrong. What its findings lead to is decided by policies (policy/guard.rs),
//! exemptions and the ratchet (engine/judge.rs).

use std::cell::OnceCell;
use std::sync::Arc;

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::facts::Namespace;
use crate::fields::{Problems, read};
use crate::finding::{Action, Digester, Finding, Objection};
use crate::fingerprint;
use crate::workload::{Kind, Pod, Workload};

use searched::Searched;

mod embedded_secret;
mod profile_label;
mod profile_volume;
mod required_limits;
mod required_probes;
mod reserved_annotation;
mod searched;
mod too_large_to_judge;
mod weak_credential;

/// Every rule, sorted by id.
pub const RULES: &[&Rule] = &[
    &embedded_secret::RULE,
    &profile_label::RULE,
    &profile_volume::RULE,
    &required_limits::RULE,
    &required_probes::RULE,
    &reserved_annotation::RULE,
    &too_large_to_judge::RULE,
    &weak_credential::RULE,
];

/// A rule as a person reads about it, and what it takes to judge by it.
pub struct Rule {
    /// Stable kebab-case id; the key in a GuardPolicy.
    pub id: &'static str,
    /// One line: what is refused.
    pub summary: &'static str,
    /// The objects that it looks at, in words.
    pub looks_at: &'static str,
    /// Whether it looks at objects of this kind.
    pub sees: fn(&Kind) -> bool,
    /// The action when a policy names none.
    pub default: Action,
    /// Where it judges.
    pub standing: Standing,
    /// Whether it needs the object searched for secrets.
    pub searches: bool,
    /// Why it exists: what went wrong where it did not.
    pub why: &'static str,
    /// How to mend what it finds.
    pub fix: &'static str,
    /// YAML that it refuses.
    pub bad: &'static str,
    /// The same, mended.
    pub good: &'static str,
    /// What it knows by name, where that is a table of its own.
    pub catalogue: Option<fn() -> Catalogue>,
    /// The schema of its parameters (beside `action`).
    pub parameters: fn() -> Schema,
    /// Reads parameters that stand at a pointer of a policy into a check; reports what is wrong with them.
    pub compile: fn(Value, &str, &mut Problems) -> Option<Arc<dyn Check>>,
}

/// What a rule knows by name.
pub struct Catalogue {
    /// What the lines are: "formats of tokens that it knows".
    pub of: &'static str,
    /// Id and description, sorted by description.
    pub lines: Vec<(&'static str, String)>,
}

/// Where a rule judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Where a policy lists it.
    Listed,
    /// Everywhere, by its defaults where no policy lists it: it guards what Supercargo itself writes and promises.
    Always,
    /// The same for what a profile wants; it judges with full force what a controller made, too.
    Profile,
}

/// More findings than these are not looked for: the object is refused already, and a hostile one would fill the memory.
const MOST_FINDINGS: usize = 1_000;

/// A rule with its parameters.
pub trait Check: Send + Sync {
    /// Adds what it finds.
    fn check(&self, input: &Input<'_>, found: &mut Vec<Finding>);

    /// Reports what its parameters, which stand at a pointer of a policy, may not be although they have the right types: what
    /// could never find anything.
    fn doubt(&self, _at: &str, _problems: &mut Problems) {}

    /// Whether hashes of passwords are to be looked for.
    fn wants_password_hashes(&self) -> bool {
        false
    }
}

/// How secrets are looked for, once for all policies that judge an object, and how they are marked.
#[derive(Clone, Copy, Default)]
pub struct Search<'t> {
    /// Makes fingerprints, where the installation has a key.
    pub fingerprints: Option<&'t fingerprint::Key>,
    /// Whether any of the policies asks for hashes of passwords.
    pub password_hashes: bool,
    /// Whether the object has more values than are read, and only its name stands here.
    pub unread: bool,
}

/// What a rule may look at.
pub struct Input<'t> {
    /// The object as it was sent.
    pub workload: Workload<'t>,
    /// Its pod as it will run: with the API server's defaults, the namespace's LimitRanges and the profiles applied.
    pub pod: Option<Pod<'t>>,
    /// What the profiles could not add because the author wrote something else.
    pub objections: &'t [Objection],
    /// The namespace.
    pub namespace: &'t Namespace,
    /// Makes the digests that tell one value from another.
    pub digester: &'t Digester,
    search: Search<'t>,
    searched: OnceCell<Searched>,
}

impl<'t> Input<'t> {
    /// Puts together what rules may look at.
    pub fn new(
        workload: Workload<'t>,
        pod: Option<Pod<'t>>,
        objections: &'t [Objection],
        namespace: &'t Namespace,
        digester: &'t Digester,
        search: Search<'t>,
    ) -> Self {
        Input { workload, pod, objections, namespace, digester, search, searched: OnceCell::new() }
    }

    /// The secrets in the object as it was sent; looked for once, however many rules ask.
    fn searched(&self) -> &Searched {
        self.searched.get_or_init(|| searched::search(&self.workload, self.search, self.digester))
    }
}

/// The rule of this id.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id).copied()
}

/// The rule that says of an object that it was not judged to its end.
pub const TOO_LARGE: &str = too_large_to_judge::RULE.id;

/// Whether the findings of this rule are about the value of a secret.
pub fn finds_secrets(id: &str) -> bool {
    [embedded_secret::RULE.id, weak_credential::RULE.id].contains(&id)
}

/// [`Rule::compile`] for a rule whose parameters are a plain struct.
fn compile<P: Check + DeserializeOwned + 'static>(
    value: Value,
    at: &str,
    problems: &mut Problems,
) -> Option<Arc<dyn Check>> {
    let parameters = read::<P>(value, at, problems)?;
    parameters.doubt(at, problems);
    Some(Arc::new(parameters))
}

/// [`Rule::parameters`] for a rule whose parameters are a plain struct.
fn parameters<P: JsonSchema>() -> Schema {
    schemars::schema_for!(P)
}

/// For [`Rule::sees`]: everything with a pod spec in it.
fn pod_specs(kind: &Kind) -> bool {
    kind.pod.is_some()
}

/// For [`Rule::sees`]: everything.
fn everything(_: &Kind) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_defaults_compile() {
        assert!(RULES.windows(2).all(|pair| pair[0].id < pair[1].id));
        for rule in RULES {
            let mut problems = Problems::default();
            assert!((rule.compile)(serde_json::json!({}), "", &mut problems).is_some(), "{}", rule.id);
        }
    }
}
