//! `supercargo policies`: check them, list them, say what they may hold.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::basis::{PolicyArguments, VolumeTypeArguments, load_policies};
use super::{CLEAN, FAILED, REFUSED, complain, complain_of, schema};
use crate::fields::nearest;
use crate::output::count;
use crate::policy::selector::LabelSelector;
use crate::policy::{Guard, KINDS, PolicySet, Profile, VolumeTypes};
use crate::printable::printable;
use crate::source;

/// Check, list and describe policies
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say whether policies compile; each mistake with file, line and field
    #[command(after_help = "\
Example:
  supercargo policies check policies/

Exit codes: 0 all compile, 1 some do not, 2 they cannot be read.")]
    Check {
        /// A file or folder
        #[arg(value_name = "PATH")]
        path: PathBuf,
        #[command(flatten)]
        volume_types: VolumeTypeArguments,
    },
    /// Each policy: what it matches, its rules and their actions; profiles; exemptions
    #[command(after_help = "Example:\n  supercargo policies list --policies policies/")]
    List {
        #[command(flatten)]
        policies: PolicyArguments,
    },
    /// The JSON Schema of a kind, for editors and CI
    #[command(after_help = "Example:\n  supercargo policies schema GuardPolicy > guardpolicy.schema.json")]
    Schema {
        /// GuardPolicy, PodProfile or Exemption; all of them when left out
        kind: Option<String>,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Check { path, volume_types } => check(&path, &volume_types.types()),
        Command::List { policies } => {
            let set = load_policies(&policies)?;
            let mut out = io::stdout().lock();
            list(&mut out, &set)?;
            out.flush()?;
            Ok(ExitCode::from(CLEAN))
        }
        Command::Schema { kind } => print_schema(kind.as_deref()),
    }
}

fn check(path: &Path, types: &VolumeTypes) -> anyhow::Result<ExitCode> {
    let loaded = source::policies(Some(path), types);
    loaded.problems.iter().for_each(complain_of);
    if loaded.documents.is_empty() {
        return Ok(ExitCode::from(FAILED));
    }
    if !loaded.problems.is_empty() {
        return Ok(ExitCode::from(REFUSED));
    }
    let set = &loaded.set;
    writeln!(
        io::stdout().lock(),
        "{}, {}, {}: all compile",
        match set.guards().len() {
            1 => "1 GuardPolicy".to_owned(),
            number => format!("{number} GuardPolicies"),
        },
        count(set.profiles().len(), "PodProfile"),
        count(set.exemptions().len(), "Exemption"),
    )?;
    Ok(ExitCode::from(CLEAN))
}

fn list(out: &mut impl Write, set: &PolicySet) -> io::Result<()> {
    for guard in set.guards() {
        self::guard(out, guard)?;
    }
    for profile in set.profiles() {
        self::profile(out, profile)?;
    }
    for exemption in set.exemptions() {
        let spec = &exemption.spec;
        writeln!(out, "Exemption/{}", printable(&exemption.name))?;
        writeln!(out, "  rules       {}", spec.rules.join(", "))?;
        let matches = &spec.matches;
        for (what, names) in [
            ("namespaces", &matches.namespaces),
            ("kinds", &matches.kinds),
            ("names", &matches.names),
            ("containers", &matches.containers),
            ("keys", &matches.keys),
            ("values", &matches.fingerprints),
        ] {
            if !names.is_empty() {
                writeln!(out, "  {what:11} {}", printable(&names.join(", ")))?;
            }
        }
        let expired = if exemption.has_expired(jiff::Timestamp::now()) { " (expired)" } else { "" };
        writeln!(out, "  until       {}{expired}", printable(&spec.expires))?;
        writeln!(out, "  owner       {}: {}\n", printable(&spec.owner), printable(&spec.reason))?;
    }
    Ok(())
}

fn guard(out: &mut impl Write, guard: &Guard) -> io::Result<()> {
    let matches = &guard.matches;
    writeln!(out, "GuardPolicy/{}", printable(&guard.name))?;
    let mut namespaces = matches.namespaces.include.join(", ");
    if namespaces.is_empty() {
        namespaces.push('*');
    }
    if !matches.namespaces.exclude.is_empty() {
        namespaces = format!("{namespaces} but {}", matches.namespaces.exclude.join(", "));
    }
    writeln!(out, "  namespaces  {}", printable(&namespaces))?;
    selector(out, "ns labels", &matches.namespace_selector)?;
    selector(out, "labels", &matches.object_selector)?;
    if !matches.kinds.is_empty() {
        writeln!(out, "  kinds       {}", printable(&matches.kinds.join(", ")))?;
    }
    writeln!(out, "  made by controllers: at most {:?}", guard.controller_pods)?;
    writeln!(out, "  rules")?;
    for rule in &guard.rules {
        writeln!(out, "    {:5} {}", format!("{:?}", rule.action), rule.rule.id)?;
    }
    writeln!(out)
}

fn profile(out: &mut impl Write, profile: &Profile) -> io::Result<()> {
    let spec = &profile.spec;
    writeln!(out, "PodProfile/{} (order {})", printable(&profile.name), spec.order)?;
    selector(out, "ns labels", &spec.matches.namespace_selector)?;
    selector(out, "pod labels", &spec.matches.pod_selector)?;
    writeln!(out, "  placement   {:?}", spec.placement.mode)?;
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
    };
    for (what, map) in [("adds labels", &spec.labels), ("annotations", &spec.annotations)] {
        if !map.is_empty() {
            writeln!(out, "  {what:11} {}", printable(&pairs(map)))?;
        }
    }
    for mount in &spec.volume_mounts {
        let containers = mount.containers.join(", ");
        writeln!(
            out,
            "  mounts      {}",
            printable(&format!("{} at {} in {containers}", mount.volume, mount.mount_path))
        )?;
    }
    writeln!(out)
}

fn selector(out: &mut impl Write, what: &str, selector: &LabelSelector) -> io::Result<()> {
    if selector.is_empty() {
        return Ok(());
    }
    let mut parts: Vec<String> = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    parts.extend(selector.match_expressions.iter().map(|requirement| {
        let values = requirement.values.join(", ");
        let values = if values.is_empty() { values } else { format!(" ({values})") };
        format!("{} {:?}{values}", requirement.key, requirement.operator)
    }));
    writeln!(out, "  {what:11} {}", printable(&parts.join(", ")))
}

fn print_schema(kind: Option<&str>) -> anyhow::Result<ExitCode> {
    let schema = match kind {
        Some(kind) => {
            let Some(schema) = schema::of_kind(kind) else {
                let hint =
                    nearest(kind, KINDS.into_iter()).map_or_else(String::new, |name| format!("; did you mean {name}?"));
                complain("error", format_args!("there is no kind {kind:?}: type one of {}{hint}", KINDS.join(", ")));
                return Ok(ExitCode::from(FAILED));
            };
            schema
        }
        None => KINDS.into_iter().filter_map(|kind| Some((kind.to_owned(), schema::of_kind(kind)?))).collect(),
    };
    writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(&schema)?)?;
    Ok(ExitCode::from(CLEAN))
}
