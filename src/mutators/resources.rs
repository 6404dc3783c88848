//! Requests and limits for containers that have none.
//!
//! What the author wrote stays, and so does what a LimitRange gives: it has spoken before us, or will speak after us for a
//! container that another webhook has just added. Amounts are clamped so that no request is above its limit, and so that
//! the pod stays within what a LimitRange lets a pod have in all (fit.rs).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Stowing;
use crate::patch::EditError;
use crate::policy::profile::{Amount, Amounts, ResourceDefaults};
use crate::quantity::{Quantity, QuantityError, parse};
use crate::tree::Node;
use crate::workload::limit_range::given;
use crate::workload::resources::{POD_LEVEL, SIDES, is_huge_pages, is_pod_level, may_overcommit, quantity, text};
use crate::workload::{Container, LimitRange, Pod, Role};

mod fit;

/// The text of an amount, and what it means.
type Meant<'m> = (Cow<'m, str>, Quantity);

/// What a container lacks of one resource, and will be given.
#[derive(Clone, Debug)]
struct Gap<'t, 'p> {
    container: Container<'t>,
    resource: &'p str,
    request: Option<Meant<'t>>,
    limit: Option<Meant<'t>>,
}

pub(super) fn apply(stowing: &mut Stowing<'_, '_>) -> Result<(), EditError> {
    let mut additions = Vec::new();
    let mut warnings = Vec::new();
    let (profile, ranges) = (stowing.profile, &stowing.namespace.limit_ranges);
    {
        let pod = stowing.pod();
        let mut gaps = gaps(&pod, &profile.spec.resources, ranges);
        fit::fit(&pod, &mut gaps, ranges, &mut warnings);
        drop_lonely_huge_pages(&mut gaps);
        for gaps in gaps.chunk_by(|a, b| a.container.is(&b.container)) {
            let container = gaps[0].container;
            let (mut limits, mut requests) = (Vec::new(), Vec::new());
            // Of its own: some are the pod's, which is edited now.
            let own = |(text, _): &Meant<'_>| Node::String(Cow::Owned(text.to_string()));
            for gap in gaps {
                limits.extend(gap.limit.as_ref().map(|limit| (gap.resource, own(limit))));
                requests.extend(gap.request.as_ref().map(|request| (gap.resource, own(request))));
            }
            additions.push((container.path(["resources", "limits"]), limits));
            additions.push((container.path(["resources", "requests"]), requests));
        }
    }
    stowing.warnings.extend(warnings);
    additions.into_iter().try_for_each(|(path, members)| stowing.editor.add_members(&path, members))
}

/// The gaps that the profile fills, in the order of the containers.
fn gaps<'t, 'p: 't>(pod: &Pod<'t>, defaults: &'p ResourceDefaults, ranges: &'t [LimitRange]) -> Vec<Gap<'t, 'p>> {
    // With resources on the pod, the API server refuses containers that ask for more than it: leave alone what it bounds.
    let pod_level = pod.has_pod_level_resources();
    let mut gaps = Vec::new();
    for container in pod.containers() {
        let Some(amounts) = amounts(defaults, container.role()) else { continue };
        let mut resources: Vec<&str> =
            amounts.limits.keys().chain(amounts.requests.keys()).map(String::as_str).collect();
        resources.sort_unstable();
        resources.dedup();
        for resource in resources {
            if !(pod_level && is_pod_level(resource)) {
                let [request, limit] = missing(&container, resource, amounts, ranges);
                gaps.push(Gap { container, resource, request, limit });
            }
        }
    }
    gaps.retain(|gap| gap.request.is_some() || gap.limit.is_some());
    gaps
}

fn amounts(defaults: &ResourceDefaults, role: Role) -> Option<&Amounts> {
    match role {
        Role::App => Some(&defaults.containers),
        Role::Init => Some(&defaults.init_containers),
        Role::Sidecar => Some(defaults.sidecars.as_ref().unwrap_or(&defaults.init_containers)),
        Role::Ephemeral => None,
    }
}

/// The request and the limit that `resource` of the container lacks.
fn missing<'m>(
    container: &Container<'m>,
    resource: &str,
    amounts: &'m Amounts,
    ranges: &'m [LimitRange],
) -> [Option<Meant<'m>>; 2] {
    let written = |side| container.resource(side, resource).map(|node| Ok((text(node), quantity(node)?))).transpose();
    // An amount that is there but cannot be read is the API server's to refuse.
    let (Ok(request), Ok(limit)): (Result<_, QuantityError>, _) = (written("requests"), written("limits")) else {
        return [None, None];
    };
    let default = |side: &'m BTreeMap<String, Amount>| -> Option<Meant<'m>> {
        let amount = &side.get(resource)?.0;
        Some((Cow::Borrowed(amount), parse(amount).ok()?))
    };
    let (default_request, default_limit) = (default(&amounts.requests), default(&amounts.limits));
    // A LimitRange with a max has a default limit, and one with any amount at all has a default request (LimitRange::read):
    // what is chosen below can break neither a max nor, being no less than the request, a min.
    let range_request = given(ranges, |range| &range.default_request, resource);
    let range_limit = given(ranges, |range| &range.default, resource);
    if !may_overcommit(resource) {
        if limit.is_some() || range_request.is_some() || range_limit.is_some() {
            return [None, None];
        }
        let both = request.clone().or(default_limit).or(default_request);
        return [both.clone().filter(|_| request.is_none()), both];
    }
    let new_limit = default_limit.filter(|_| limit.is_none() && range_limit.is_none()).map(|default| {
        // A default limit is never below what the author asks for.
        match request.clone().or_else(|| range_request.clone()) {
            Some(request) if request.1 > default.1 => request,
            _ => default,
        }
    });
    let own_limit = limit.clone();
    let limit = limit.or(range_limit).or_else(|| new_limit.clone());
    let new_request = default_request.filter(|_| request.is_none() && range_request.is_none()).map(|default| {
        match (own_limit, limit) {
            // As the API server does before it asks us.
            (Some(limit), _) => limit,
            (None, Some(limit)) if limit.1 < default.1 => limit,
            _ => default,
        }
    });
    [new_request, new_limit]
}

/// Takes huge pages away again from containers without cpu and memory: the API server would refuse them.
fn drop_lonely_huge_pages(gaps: &mut Vec<Gap<'_, '_>>) {
    let is_fed = |gaps: &[Gap<'_, '_>], wanted: &Gap<'_, '_>| {
        POD_LEVEL.iter().any(|resource| {
            SIDES.iter().any(|side| wanted.container.resource(side, resource).is_some())
                || gaps.iter().any(|gap| gap.container.is(&wanted.container) && gap.resource == *resource)
        })
    };
    let lonely: Vec<bool> = gaps.iter().map(|gap| is_huge_pages(gap.resource) && !is_fed(gaps, gap)).collect();
    let mut lonely = lonely.into_iter();
    gaps.retain(|_| !lonely.next().unwrap_or_default());
}
