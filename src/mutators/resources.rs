//! Requests and limits for containers that have none.
//!
//! What the author wrote stays, and so does what a LimitRange gives: it has spoken before us, or will speak after us for a
//! container that another webhook has just added. Amounts are clamped so that no request is above its limit.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Stowing;
use crate::patch::EditError;
use crate::policy::profile::{Amount, Amounts, ResourceDefaults};
use crate::quantity::{Quantity, parse};
use crate::tree::escape;
use crate::workload::resources::{POD_LEVEL, SIDES, quantity, text};
use crate::workload::{Container, LimitRange, Role};

pub(super) fn apply(stowing: &mut Stowing<'_, '_>) -> Result<(), EditError> {
    let mut additions = Vec::new();
    {
        let pod = stowing.pod();
        // With resources on the pod, the API server refuses containers that ask for more than it: leave cpu and memory alone.
        let pod_level = pod.has_pod_level_resources();
        for container in pod.containers() {
            let Some(amounts) = amounts(&stowing.profile.spec.resources, container.role()) else { continue };
            let mut resources: Vec<&String> = amounts.limits.keys().chain(amounts.requests.keys()).collect();
            resources.sort();
            resources.dedup();
            for resource in resources {
                if !(pod_level && POD_LEVEL.contains(&resource.as_str())) {
                    additions.extend(missing(&container, resource, amounts, &stowing.namespace.limit_ranges));
                }
            }
        }
    }
    stowing.add_all(additions)
}

fn amounts(defaults: &ResourceDefaults, role: Role) -> Option<&Amounts> {
    match role {
        Role::App => Some(&defaults.containers),
        Role::Init => Some(&defaults.init_containers),
        Role::Sidecar => Some(defaults.sidecars.as_ref().unwrap_or(&defaults.init_containers)),
        Role::Ephemeral => None,
    }
}

/// The text of an amount, and what it means.
type Meant = (String, Quantity);

/// What `resource` of the container lacks.
fn missing(
    container: &Container<'_>,
    resource: &str,
    amounts: &Amounts,
    ranges: &[LimitRange],
) -> Vec<(String, Value)> {
    let written = |side: &str| {
        let node = container.resource(side, resource)?;
        Some((text(node).into_owned(), quantity(node).ok()?))
    };
    let (request, limit) = (written("requests"), written("limits"));
    // An amount that is there but cannot be read is the API server's to refuse.
    if SIDES.iter().any(|side| container.resource(side, resource).is_some() && written(side).is_none()) {
        return Vec::new();
    }
    let default = |side: &BTreeMap<String, Amount>| -> Option<Meant> {
        let amount = &side.get(resource)?.0;
        Some((amount.clone(), parse(amount).ok()?))
    };
    let range = |map: fn(&LimitRange) -> &BTreeMap<String, String>| {
        ranges.iter().find_map(|range| {
            let amount = map(range).get(resource)?;
            Some((amount.clone(), parse(amount).ok()?))
        })
    };
    // A LimitRange with a max has a default limit, and one with any amount at all has a default request (LimitRange::read):
    // what is chosen below can break neither a max nor, being no less than the request, a min.
    let range_limit = range(|range| &range.default);
    let range_request = range(|range| &range.default_request);

    let mut additions = Vec::new();
    let mut add = |side: &str, text: &str| {
        additions.push((container.pointer(&format!("/resources/{side}/{}", escape(resource))), Value::from(text)));
    };
    let limit = limit.or(range_limit).or_else(|| {
        let mut chosen = default(&amounts.limits)?;
        // A default limit is never below what the author asks for.
        if let Some(request) = request.clone().or_else(|| range_request.clone()).filter(|request| request.1 > chosen.1)
        {
            chosen = request;
        }
        add("limits", &chosen.0);
        Some(chosen)
    });
    if request.is_none()
        && range_request.is_none()
        && let Some(mut chosen) = default(&amounts.requests)
    {
        if let Some(limit) = limit.filter(|limit| limit.1 < chosen.1) {
            chosen = limit;
        }
        add("requests", &chosen.0);
    }
    additions
}
