//! Defaults that fit into what LimitRanges of type Pod let a pod have in all.
//!
//! Each default may be fine and their sum too much. Then the limits are lowered, evenly and never below the requests; where
//! that is not enough the pod gets no defaults for the resource, and its author a warning.

use std::borrow::Cow;

use super::{Gap, Meant};
use crate::quantity::{Quantity, parse};
use crate::workload::limit_range::{Asked, Bound, LimitRange, Scope, given};
use crate::workload::resources::{quantity, text};
use crate::workload::{Pod, Role};

pub(super) fn fit<'t>(
    pod: &Pod<'t>,
    gaps: &mut Vec<Gap<'t, '_>>,
    ranges: &'t [LimitRange],
    warnings: &mut Vec<String>,
) {
    let of_pods: Vec<&LimitRange> = ranges.iter().filter(|range| range.scope == Scope::Pod).collect();
    let mut resources: Vec<&str> = of_pods.iter().flat_map(|range| range.bounded()).collect();
    resources.sort_unstable();
    resources.dedup();
    for resource in resources {
        if !gaps.iter().any(|gap| gap.resource == resource) {
            continue;
        }
        let sum = Sum::of(pod, resource, gaps, ranges);
        let [without, with] = [Cap::Nothing, Cap::Default].map(|cap| sum.broken(cap, &of_pods));
        if with.is_empty() {
            continue;
        }
        if let Some(cap) = sum.lowered(&of_pods) {
            sum.lower(cap, gaps);
        } else if let Some((range, bound)) = with.iter().find(|broken| !without.contains(broken)) {
            warnings.push(format!("{resource} defaults left out: {}", of_pods[*range].words(resource, *bound)));
            gaps.retain(|gap| gap.resource != resource);
        }
    }
}

/// How much of the defaults the containers get.
#[derive(Clone, Copy)]
enum Cap {
    /// None.
    Nothing,
    /// Limits of at most so much.
    At(Quantity),
    /// All.
    Default,
}

/// A container's part of what the pod asks for.
struct Part<'t> {
    role: Role,
    written: Asked,
    gap: Option<New<'t>>,
}

/// What a gap is filled with.
struct New<'t> {
    /// Its place in the list of gaps.
    index: usize,
    request: Option<Quantity>,
    limit: Option<Quantity>,
    /// What the limit is not lowered below.
    least: Meant<'t>,
}

impl<'t> New<'t> {
    fn of(index: usize, gap: &Gap<'t, '_>, ranges: &'t [LimitRange]) -> Self {
        let amount = |meant: &Option<Meant<'t>>| meant.as_ref().map(|(_, amount)| *amount);
        let least = least(gap, ranges).unwrap_or_default();
        New { index, request: amount(&gap.request), limit: amount(&gap.limit), least }
    }

    fn lowered(&self, limit: Quantity, cap: Quantity) -> Quantity {
        limit.min(cap).max(self.least.1)
    }
}

/// What the container asks for, or the limit itself where that is not known or the resource comes in pieces.
fn least<'t>(gap: &Gap<'t, '_>, ranges: &'t [LimitRange]) -> Option<Meant<'t>> {
    let request = || {
        let node = gap.container.resource("requests", gap.resource);
        let own = node.and_then(|node| Some((text(node), quantity(node).ok()?)));
        own.or_else(|| given(ranges, |range| &range.default_request, gap.resource)).or_else(|| gap.request.clone())
    };
    let lowers = matches!(gap.resource, "cpu" | "memory" | "ephemeral-storage");
    let request = lowers.then(request).flatten().filter(|(_, amount)| *amount > Quantity::ZERO);
    request.or_else(|| gap.limit.clone())
}

/// All parts.
struct Sum<'s, 't> {
    pod: &'s Pod<'t>,
    resource: &'s str,
    /// What the LimitRanges give to a container.
    given: Asked,
    parts: Vec<Part<'t>>,
}

impl<'s, 't> Sum<'s, 't> {
    fn of(pod: &'s Pod<'t>, resource: &'s str, gaps: &[Gap<'t, '_>], ranges: &'t [LimitRange]) -> Self {
        let containers = pod.containers().filter(|container| container.role() != Role::Ephemeral);
        let mut of_resource = gaps.iter().enumerate().filter(|(_, gap)| gap.resource == resource).peekable();
        let parts = containers
            .map(|container| {
                // Gaps are in the order of the containers.
                let gap = of_resource.next_if(|(_, gap)| gap.container.is(&container));
                let gap = gap.map(|(index, gap)| New::of(index, gap, ranges));
                Part { role: container.role(), written: Asked::written(&container, resource), gap }
            })
            .collect();
        Sum { pod, resource, given: Asked::given(ranges, resource), parts }
    }

    /// The bounds that the pod is not within, each with the place of its LimitRange.
    fn broken(&self, cap: Cap, of_pods: &[&LimitRange]) -> Vec<(usize, Bound)> {
        let asked: Vec<_> = self.parts.iter().map(|part| (part.role, self.asked(part, cap))).collect();
        let asked = Asked::together(self.pod, self.resource, &asked);
        let broken = of_pods.iter().enumerate();
        broken
            .flat_map(|(index, range)| range.broken(self.resource, asked).into_iter().map(move |bound| (index, bound)))
            .collect()
    }

    fn asked(&self, part: &Part<'_>, cap: Cap) -> Asked {
        let Asked { mut request, mut limit } = part.written;
        if let Some(new) = part.gap.as_ref().filter(|_| !matches!(cap, Cap::Nothing)) {
            request = request.or(new.request);
            limit = limit.or(new.limit.map(|limit| match cap {
                Cap::At(most) => new.lowered(limit, most),
                _ => limit,
            }));
        }
        Asked { request, limit }.completed(self.given)
    }

    /// The most steps with which the pod is within all bounds.
    fn lowered(&self, of_pods: &[&LimitRange]) -> Option<u64> {
        // The less the limits are, the better for a maximum and a ratio.
        let broken = |steps| self.broken(Cap::At(self.step(steps).1), of_pods);
        let too_much = |steps| broken(steps).iter().any(|(_, bound)| *bound != Bound::Min);
        let limits = self.parts.iter().filter_map(|part| part.gap.as_ref()?.limit);
        let (mut fits, mut most) = (0, self.steps(limits.max()?));
        if too_much(fits) {
            return None;
        }
        while fits < most {
            let middle = fits + (most - fits).div_ceil(2);
            if too_much(middle) { most = middle - 1 } else { fits = middle }
        }
        broken(fits).is_empty().then_some(fits)
    }

    fn lower(&self, steps: u64, gaps: &mut [Gap<'t, '_>]) {
        let (text, amount) = self.step(steps);
        for new in self.parts.iter().filter_map(|part| part.gap.as_ref()) {
            let Some(gap) = gaps.get_mut(new.index) else { continue };
            let Some(limit) = gap.limit.take() else { continue };
            let lowered = new.lowered(limit.1, amount);
            gap.limit = Some(if lowered == limit.1 {
                limit
            } else if lowered == amount {
                (Cow::Owned(text.clone()), amount)
            } else {
                new.least.clone()
            });
        }
    }

    /// So many steps, as text and amount: millicores, or Mi.
    fn step(&self, steps: u64) -> (String, Quantity) {
        let (unit, larger, many) = if self.resource == "cpu" { ("m", "", 1000) } else { ("Mi", "Gi", 1024) };
        let text =
            if steps.is_multiple_of(many) { format!("{}{larger}", steps / many) } else { format!("{steps}{unit}") };
        let amount = parse(&text).unwrap_or(Quantity::ZERO);
        (text, amount)
    }

    fn steps(&self, amount: Quantity) -> u64 {
        if self.resource == "cpu" { amount.millis() } else { amount.units() >> 20 }
    }
}
