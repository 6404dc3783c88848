//! What the offline commands judge on: the engine, the policies, the facts of namespaces, and the time.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;

use super::{Problem, complain, complain_of};
use crate::engine::{Engine, Facts, Settings};
use crate::facts::Namespace;
use crate::fingerprint::{Key, LONGEST_KEY};
use crate::policy::{PolicySet, VolumeTypes};
use crate::source::{self, Namespaces};

/// Which policies judge.
#[derive(clap::Args, Debug)]
pub(super) struct PolicyArguments {
    /// A file or folder with GuardPolicy, PodProfile and Exemption documents [default: the built-in set]
    #[arg(long, value_name = "FILE-OR-DIR")]
    pub(super) policies: Option<PathBuf>,
    /// Judge by the policy of this name only
    #[arg(long, value_name = "NAME")]
    pub(super) policy: Option<String>,
    #[command(flatten)]
    pub(super) volume_types: VolumeTypeArguments,
}

impl PolicyArguments {
    /// All policies in this file or folder.
    pub(super) fn at(policies: Option<PathBuf>) -> Self {
        PolicyArguments { policies, policy: None, volume_types: VolumeTypeArguments::default() }
    }
}

/// What profiles may do.
#[derive(clap::Args, Debug, Default)]
pub(super) struct VolumeTypeArguments {
    /// Let profiles add volumes of this type, too: it may give pods what their namespace does not have; may be given more than once
    #[arg(
        long = "allow-volume-type",
        value_name = "TYPE",
        value_delimiter = ',',
        value_parser = clap::builder::PossibleValuesParser::new(VolumeTypes::GRANTABLE)
    )]
    granted: Vec<String>,
}

impl VolumeTypeArguments {
    /// The types that profiles may add.
    pub(super) fn types(&self) -> VolumeTypes {
        VolumeTypes::granting(self.granted.iter().cloned())
    }
}

/// What is known of the cluster.
#[derive(clap::Args, Debug)]
pub(super) struct FactArguments {
    /// Namespace, LimitRange, NetworkPolicy and PersistentVolumeClaim documents that the cluster has; give it more than
    /// once for more files or folders
    #[arg(long, value_name = "PATH")]
    pub(super) facts: Vec<PathBuf>,
    /// The namespace of objects that name none
    #[arg(long, short, value_name = "NAMESPACE", default_value = "default")]
    pub(super) namespace: String,
}

/// Whether findings of secrets are marked.
#[derive(clap::Args, Debug)]
pub(super) struct FingerprintArguments {
    /// Show a fingerprint of each secret that is found: its HMAC with the key in this file (32 random bytes or more)
    #[arg(long, value_name = "FILE")]
    pub(super) fingerprint_key: Option<PathBuf>,
}

impl FingerprintArguments {
    /// The key, where one was named.
    pub(super) fn key(&self) -> anyhow::Result<Option<Key>> {
        self.fingerprint_key.as_deref().map(fingerprint_key).transpose()
    }
}

/// The key in this file.
pub(super) fn fingerprint_key(path: &Path) -> anyhow::Result<Key> {
    let shown = path.display();
    let mut bytes = Vec::new();
    // A device or a wrong file may have no end; two more than a key may have are its line break.
    let read = File::open(path).and_then(|file| file.take(LONGEST_KEY as u64 + 3).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read the fingerprint key {shown} (`{MAKE_KEY} {shown}` makes one)"))?;
    Key::new(&bytes).map_err(|error| anyhow!("the fingerprint key {shown} {error}; `{MAKE_KEY} {shown}` makes one"))
}

/// Said where an exemption by fingerprint cannot hold.
pub(super) const NO_KEY: &str = "exemptions by fingerprint hold only with --fingerprint-key, and there is none";

/// Said where no object is refused for want of a policy, which may be a slip.
pub(super) const NO_GUARD: &str =
    "no GuardPolicy is in force: nothing is refused but what stands in the way of a PodProfile";

/// Said where policies ask for nothing at all.
pub(super) const IDLE: &str = "there are Exemptions and no policy to be exempt from: put them beside the GuardPolicies (a copy of manifests/policies, or your own), or leave --policies out";

/// Said where --facts leads to nothing.
pub(super) const NO_FACTS: &str =
    "--facts names no Namespace, LimitRange, NetworkPolicy or PersistentVolumeClaim: nothing is learned from it";

/// A command that makes a key, but for the file's name.
const MAKE_KEY: &str = "openssl rand -hex 32 >";

/// Everything that a judgement needs besides the object.
pub(super) struct Basis {
    pub(super) engine: Engine,
    policies: PolicySet,
    namespaces: Namespaces,
    /// The namespace of objects that name none.
    pub(super) namespace: String,
    now: Timestamp,
}

impl Basis {
    /// Reads policies and facts; `files` are what will be judged, and may hold facts, too.
    pub(super) fn load(
        policies: &PolicyArguments,
        facts: FactArguments,
        fingerprints: Option<Key>,
        files: &[source::File],
        settings: Settings,
    ) -> anyhow::Result<Basis> {
        let set = load_policies(policies)?;
        anyhow::ensure!(!set.is_idle(), "{IDLE}");
        if fingerprints.is_none() && set.needs_fingerprints() {
            complain("note", NO_KEY);
        }
        let mut namespaces = load_facts(&facts.facts, &facts.namespace)?;
        // What cannot be read of these is said when they are judged.
        let odd = namespaces.learn_all(files, &facts.namespace, &mut |_: Problem| {});
        for problem in &odd {
            complain("warning", problem);
        }
        let namespace = facts.namespace;
        let engine = Engine::new(settings).with_fingerprints(fingerprints);
        // Taken once, so that a long run judges all objects by the same day.
        Ok(Basis { engine, policies: set, namespaces, namespace, now: Timestamp::now() })
    }

    /// Whether more than the name of a namespace is known.
    pub(super) fn knows(&self, namespace: &str) -> bool {
        self.namespaces.know(namespace)
    }

    /// Says so where nothing can be refused.
    pub(super) fn warn_without_guards(&self) {
        if self.policies.guards().is_empty() {
            complain("warning", NO_GUARD);
        }
    }

    /// Calls `judge` with the facts of a namespace.
    pub(super) fn facts<T>(&self, namespace: &str, judge: impl FnOnce(Facts<'_>) -> T) -> T {
        let namespace: &Namespace = &self.namespaces.get(namespace);
        judge(Facts { namespace, policies: &self.policies, now: self.now, packing: None })
    }
}

/// What is said of namespaces in these files and folders; else says what cannot be read and fails.
pub(super) fn load_facts(paths: &[PathBuf], default: &str) -> anyhow::Result<Namespaces> {
    let given = source::find(paths);
    let mut problems = given.problems;
    let mut namespaces = Namespaces::default();
    let odd = namespaces.learn_all(&given.files, default, &mut |problem| problems.push(problem));
    problems.extend(odd);
    if problems.is_empty() {
        if !paths.is_empty() && namespaces.is_empty() {
            complain("warning", NO_FACTS);
        }
        return Ok(namespaces);
    }
    problems.iter().for_each(complain_of);
    bail!("the facts cannot be used; correct what is named above, or leave --facts out")
}

/// Policies that compile; else says what is wrong with each and fails.
pub(super) fn load_policies(arguments: &PolicyArguments) -> anyhow::Result<PolicySet> {
    let mut loaded = source::policies(arguments.policies.as_deref(), &arguments.volume_types.types());
    let compiled = loaded.problems.is_empty();
    if let Some(name) = &arguments.policy {
        loaded.keep(name);
    }
    if loaded.problems.is_empty() {
        return Ok(loaded.set);
    }
    loaded.problems.iter().for_each(complain_of);
    match &arguments.policies {
        Some(path) if !compiled => {
            let path = path.display();
            bail!("the policies in {path} cannot be used; `supercargo policies schema` prints what they may hold")
        }
        Some(path) => bail!("`supercargo policies list --policies {}` shows them", path.display()),
        None => bail!("`supercargo policies list` shows the built-in ones"),
    }
}
