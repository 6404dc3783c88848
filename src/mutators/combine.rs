//! Several profiles that match one pod, made into one: the first to set a field wins.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::policy::Profile;
use crate::policy::profile::{Amounts, Mode, Placement};

/// `None` when there is no profile; borrowed when there is one, as nearly always.
pub(super) fn combine<'p>(profiles: &[&'p Profile]) -> Option<Cow<'p, Profile>> {
    let (first, rest) = profiles.split_first()?;
    if rest.is_empty() {
        return Some(Cow::Borrowed(first));
    }
    let mut combined = Profile::clone(first);
    for next in rest {
        combined.name = format!("{}+{}", combined.name, next.name);
        let (spec, next) = (&mut combined.spec, &next.spec);
        fill(&mut spec.labels, &next.labels);
        fill(&mut spec.annotations, &next.annotations);
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
        let taken: Vec<_> = spec.volumes.iter().map(|volume| volume.get("name").cloned()).collect();
        spec.volumes
            .extend(next.volumes.iter().filter(|volume| !taken.contains(&volume.get("name").cloned())).cloned());
        spec.volume_mounts.extend(next.volume_mounts.iter().cloned());
    }
    Some(Cow::Owned(combined))
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
