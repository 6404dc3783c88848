//! Which requests and limits a profile may give. What the API server refuses in one container (validateResourceRequirements, 1.36),
//! a profile would put into every container that has none.

use super::Amounts;
use crate::fields::Problems;
use crate::quantity::{self, Quantity};
use crate::tree::escape;
use crate::workload::resources::{POD_LEVEL, SIDES};

/// How a resource is counted.
#[derive(Clone, Copy)]
enum Counting {
    /// In thousandths; of these and the next two, containers may ask for less than they may use.
    Cores,
    /// In whole ones.
    Bytes,
    /// In any amount.
    Shared,
    /// In pages of this size.
    Pages(Quantity),
    /// In pieces.
    Pieces,
}

/// Reports every mistake in the requests and limits that stand at a pointer.
pub(super) fn check(at: &str, amounts: &Amounts, problems: &mut Problems) {
    for (side, map) in SIDES.into_iter().zip([&amounts.requests, &amounts.limits]) {
        for (resource, amount) in map {
            let at = format!("{at}/{side}/{}", escape(resource));
            problems.quantity(&at, &amount.0);
            if let Some(counting) = counting(&at, resource, problems) {
                check_amount(&at, side, counting, &amount.0, problems);
            }
        }
    }
    for (resource, request) in &amounts.requests {
        check_request(at, resource, &request.0, amounts.limits.get(resource).map(|limit| &*limit.0), problems);
    }
    let both = || SIDES.into_iter().zip([&amounts.requests, &amounts.limits]);
    let has =
        |wanted: fn(&str) -> bool| both().find_map(|(side, map)| Some((side, map.keys().find(|key| wanted(key))?)));
    if let Some((side, pages)) = has(|resource| resource.starts_with("hugepages-"))
        && has(|resource| POD_LEVEL.contains(&resource)).is_none()
    {
        problems.add(
            format!("{at}/{side}/{}", escape(pages)),
            "stands without cpu and memory, and Kubernetes gives nobody huge pages alone: add one of them",
        );
    }
}

/// How a resource of this name is counted; `None` when there can be none, which is reported.
fn counting(at: &str, resource: &str, problems: &mut Problems) -> Option<Counting> {
    if resource == "cpu" {
        return Some(Counting::Cores);
    }
    if POD_LEVEL.contains(&resource) || resource == "ephemeral-storage" {
        return Some(Counting::Bytes);
    }
    if let Some(size) = resource.strip_prefix("hugepages-") {
        return match quantity::parse(size) {
            Ok(size) if size > Quantity::ZERO && size.is_multiple_of(Quantity::ONE) => Some(Counting::Pages(size)),
            _ => {
                problems.add(at, format!("{size:?} is no size of a page: write one such as hugepages-2Mi"));
                None
            }
        };
    }
    if !resource.contains('/') || resource.starts_with("requests.") {
        problems.add(at, format!("there is no resource {resource:?}: write cpu, memory, ephemeral-storage, or one with a domain such as nvidia.com/gpu"));
        return None;
    }
    problems.label_key(at, resource);
    // Kubernetes' own are not counted in pieces, whoever counts them.
    Some(if resource.contains("kubernetes.io/") { Counting::Shared } else { Counting::Pieces })
}

fn check_amount(at: &str, side: &str, counting: Counting, text: &str, problems: &mut Problems) {
    let Ok(amount) = quantity::parse(text) else { return };
    let wrong = match counting {
        Counting::Cores | Counting::Bytes if side == "limits" && amount == Quantity::ZERO => {
            format!("a limit of {text} bounds nothing: write an amount, or leave it out")
        }
        _ if fits(counting, amount) => return,
        Counting::Shared => return,
        Counting::Cores => {
            format!("{text} is no whole number of thousandths of a core: write one such as 250m")
        }
        Counting::Bytes => format!("{text} is no whole number of bytes: write one such as 512Mi"),
        Counting::Pieces => format!("{text} is no whole number, and these are counted in pieces: write one such as 1"),
        Counting::Pages(page) => format!("{text} cannot be had in pages of {page} bytes: write a multiple of them"),
    };
    problems.add(at, wrong);
}

/// Whether so much can be counted out.
fn fits(counting: Counting, amount: Quantity) -> bool {
    match counting {
        Counting::Shared => true,
        Counting::Cores => amount.in_millis() == amount,
        Counting::Bytes | Counting::Pieces => amount.is_multiple_of(Quantity::ONE),
        Counting::Pages(size) => amount.is_multiple_of(size),
    }
}

fn check_request(at: &str, resource: &str, request: &str, limit: Option<&str>, problems: &mut Problems) {
    let at = format!("{at}/requests/{}", escape(resource));
    let counting = counting(&at, resource, &mut Problems::default());
    let countable = matches!(counting, Some(Counting::Pages(_) | Counting::Pieces));
    let Some(limit) = limit else {
        // An amount that cannot be is complained of where it stands, and not to be written twice.
        let can_be = |counting| quantity::parse(request).is_ok_and(|amount| fits(counting, amount));
        if countable && counting.is_some_and(can_be) {
            problems.add(at, format!("needs a limit of the same amount: write limits: {{{resource}: {request}}}, too"));
        }
        return;
    };
    let (Ok(requested), Ok(limited)) = (quantity::parse(request), quantity::parse(limit)) else { return };
    if countable && requested != limited {
        problems.add(at, format!("{request} is not the limit of {limit}: of {resource} both must be the same"));
    } else if requested > limited {
        problems
            .add(at, format!("{request} is more than the limit of {limit}: a pod cannot request more than its limit"));
    }
}
