//! Several profiles that match one pod, made into one: the first to set a field wins.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::finding::{Objection, ObjectionTo, Subject};
use crate::policy::Profile;
use crate::policy::profile::{Amounts, Mode, Placement, PodProfileSpec};

/// `None` when there is no profile; borrowed when there is one, as nearly always. Where two profiles cannot both have their
/// way without the pod reading other files than one of them means, there is an objection.
pub(super) fn combine<'p>(profiles: &[&'p Profile]) -> Option<(Cow<'p, Profile>, Vec<Objection>)> {
    let (first, rest) = profiles.split_first()?;
    let mut objections = Vec::new();
    if rest.is_empty() {
        return Some((Cow::Borrowed(first), objections));
    }
    let mut combined = Profile::clone(first);
    for next in rest {
        combined.name = format!("{}+{}", combined.name, next.name);
        volumes(&mut combined.spec, next, &mut objections);
        let (spec, next) = (&mut combined.spec, &next.spec);
        fill(&mut spec.labels, &next.labels);
        fill(&mut spec.annotations, &next.annotations);
        // A placement without a group falls back on the selector of its own profile.
        if spec.placement.mode == Mode::None && next.placement.mode != Mode::None {
            spec.matches = next.matches.clone();
        }
        place(&mut spec.placement, &next.placement);
        amounts(&mut spec.resources.containers, &next.resources.containers);
        // Sidecars take the init containers' amounts where a profile has none of their own: settle that per profile.
        if spec.resources.sidecars.is_some() || next.resources.sidecars.is_some() {
            let mut sidecars =
                spec.resources.sidecars.clone().unwrap_or_else(|| spec.resources.init_containers.clone());
            amounts(&mut sidecars, next.resources.sidecars.as_ref().unwrap_or(&next.resources.init_containers));
            spec.resources.sidecars = Some(sidecars);
        }
        amounts(&mut spec.resources.init_containers, &next.resources.init_containers);
    }
    Some((Cow::Owned(combined), objections))
}

/// Adds the volumes and mounts of `next`. A volume whose name means another one already is left out with its mounts, or
/// they would show the files of the first.
fn volumes(into: &mut PodProfileSpec, next: &Profile, objections: &mut Vec<Objection>) {
    let mut other = Vec::new();
    for volume in &next.spec.volumes {
        let name = name(volume);
        match into.volumes.iter().find(|taken| self::name(taken) == name) {
            None => into.volumes.push(volume.clone()),
            Some(taken) if taken == volume => {}
            Some(_) => {
                other.push(name);
                objections.push(Objection {
                    to: ObjectionTo::Volume,
                    by: format!("PodProfile/{}", next.name),
                    mild: false,
                    pointer: "/spec/volumes".to_owned(),
                    subject: Subject { container: None, key: Some(name.to_owned()) },
                    message: format!("profile {} adds a volume {name}, and so does another profile with another source", next.name),
                    fix: format!("ask who writes the profiles to give one of the volumes another name than {name}, or change the pod's labels so that only one of the profiles matches it"),
                });
            }
        }
    }
    into.volume_mounts
        .extend(next.spec.volume_mounts.iter().filter(|mount| !other.contains(&mount.volume.as_str())).cloned());
}

fn name(volume: &Map<String, Value>) -> &str {
    volume.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn fill<V: Clone>(into: &mut BTreeMap<String, V>, from: &BTreeMap<String, V>) {
    for (key, value) in from {
        into.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

fn amounts(into: &mut Amounts, from: &Amounts) {
    fill(&mut into.requests, &from.requests);
    fill(&mut into.limits, &from.limits);
}

fn place(into: &mut Placement, from: &Placement) {
    if into.mode == Mode::None {
        let settled = into.clone();
        *into = Placement { node_selector: settled.node_selector, tolerations: settled.tolerations, ..from.clone() };
        into.run_to_completion |= settled.run_to_completion;
    }
    fill(&mut into.node_selector, &from.node_selector);
    let new: Vec<_> =
        from.tolerations.iter().filter(|toleration| !into.tolerations.contains(toleration)).cloned().collect();
    into.tolerations.extend(new);
    into.run_to_completion |= from.run_to_completion;
}
