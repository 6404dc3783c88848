//! A namespace's LimitRanges: what they give to containers, and how much they let a container and a pod ask for.
//!
//! The LimitRanger judges a pod after all webhooks, so a default of ours that is within no bound of it would refuse the pod.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::resources::{self, quantity};
use super::{Container, Pod, Role};
use crate::fields::Problems;
use crate::printable::printable;
use crate::quantity::{Quantity, parse};
use crate::tree::{Node, escape};

/// One entry of a LimitRange, of type Container or Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitRange {
    /// `metadata.name` of the LimitRange.
    pub name: String,
    /// What its bounds are for.
    pub scope: Scope,
    /// Limits for containers without, by resource.
    pub default: BTreeMap<String, String>,
    /// Requests for containers without.
    pub default_request: BTreeMap<String, String>,
    /// The largest limit allowed.
    pub max: BTreeMap<String, String>,
    /// The smallest request allowed.
    pub min: BTreeMap<String, String>,
    /// How many times its request a limit may be.
    pub max_ratio: BTreeMap<String, String>,
}

/// What an entry of a LimitRange bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Each container for itself.
    #[default]
    Container,
    /// The containers of a pod together.
    Pod,
}

/// One of the bounds of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// There is a request, and neither it nor the limit is less.
    Min,
    /// There is a limit, and neither it nor the request is more.
    Max,
    /// There are both, and the limit is not more than so many times the request.
    Ratio,
}

impl LimitRange {
    /// Reads the entries of types Container and Pod of a LimitRange object; claims are not ours.
    ///
    /// A missing default is the max, a missing default request is the default, or else the min: that is how the API server
    /// completes a LimitRange when it is stored, and one from a file may not have been there. Only containers have defaults.
    pub fn read(object: &Node<'_>) -> Vec<LimitRange> {
        let name = object.path(&["metadata", "name"]).and_then(Node::as_str).unwrap_or_default();
        let entries = object.get("spec").map(|spec| spec.items("limits")).unwrap_or_default();
        entries.iter().filter_map(|entry| LimitRange::read_entry(name, entry)).collect()
    }

    fn read_entry(name: &str, entry: &Node<'_>) -> Option<LimitRange> {
        let map = |key| -> BTreeMap<String, String> {
            entry.entries(key).map(|(name, node)| (name.to_owned(), resources::text(node).into_owned())).collect()
        };
        let mut range = LimitRange {
            name: name.to_owned(),
            max: map("max"),
            min: map("min"),
            max_ratio: map("maxLimitRequestRatio"),
            ..LimitRange::default()
        };
        match entry.str("type")? {
            "Container" => {
                range.default = map("default");
                range.default_request = map("defaultRequest");
                complete(&mut range.default, &range.max);
                complete(&mut range.default_request, &range.default);
                complete(&mut range.default_request, &range.min);
            }
            "Pod" => range.scope = Scope::Pod,
            _ => return None,
        }
        Some(range)
    }

    /// Reports what [`read`](Self::read) passes over in a LimitRange object or cannot count with.
    pub fn check(object: &Node<'_>, problems: &mut Problems) {
        let Some(limits) = object.path(&["spec", "limits"]) else {
            return problems.add("/spec", "spec.limits is missing: write a list of entries");
        };
        let Some(entries) = limits.as_array() else {
            return problems.add("/spec/limits", "spec.limits is no list: write `-` before its entry");
        };
        for (index, entry) in entries.iter().enumerate() {
            let (at, field) = (format!("/spec/limits/{index}"), format!("spec.limits[{index}]"));
            // Other types than these may be resources of their own.
            let is_type = |of: &str| matches!(of, "Container" | "Pod" | "PersistentVolumeClaim") || of.contains('/');
            if !entry.str("type").is_some_and(is_type) {
                let words = "write Container, Pod or PersistentVolumeClaim";
                problems.add(&*at, format!("{field}.type is none of a LimitRange: {words}"));
            }
            for side in ["default", "defaultRequest", "max", "maxLimitRequestRatio", "min"] {
                for (resource, _) in entry.entries(side).filter(|(_, amount)| quantity(amount).is_err()) {
                    let words = "is no quantity: write one such as 500m or 1Gi";
                    let what = format!("{field}.{side}.{} {words}", printable(resource));
                    problems.add(format!("{at}/{side}/{}", escape(resource)), what);
                }
            }
        }
    }

    /// The resources that it bounds.
    pub fn bounded(&self) -> Vec<&str> {
        let all = [&self.max, &self.min, &self.max_ratio].into_iter().flat_map(BTreeMap::keys);
        let mut resources: Vec<&str> = all.map(String::as_str).collect();
        resources.sort_unstable();
        resources.dedup();
        resources
    }

    /// The bounds of `resource` that this is not within, as `minConstraint`, `maxConstraint` and
    /// `limitRequestRatioConstraint` of the LimitRanger 1.36 have it.
    pub fn broken(&self, resource: &str, asked: Asked) -> Vec<Bound> {
        let amount = |map: &BTreeMap<String, String>| Some(parse(map.get(resource)?).ok()?.in_millis());
        let Asked { request, limit } = asked;
        let mut broken = Vec::new();
        if let Some(min) = amount(&self.min)
            && (request.is_none_or(|request| request < min) || limit.is_some_and(|limit| limit < min))
        {
            broken.push(Bound::Min);
        }
        if let Some(max) = amount(&self.max)
            && (limit.is_none_or(|limit| limit > max) || request.is_some_and(|request| request > max))
        {
            broken.push(Bound::Max);
        }
        if let Some(most) = amount(&self.max_ratio)
            && asked.ratio_in_millis().is_none_or(|ratio| ratio > as_float(most))
        {
            broken.push(Bound::Ratio);
        }
        broken
    }

    /// "maximum cpu usage per Pod is 1 (LimitRange small)", much as the API server says it.
    pub fn words(&self, resource: &str, bound: Bound) -> String {
        let (what, map) = match bound {
            Bound::Min => ("minimum", &self.min),
            Bound::Max => ("maximum", &self.max),
            Bound::Ratio => ("maximum limit to request ratio of", &self.max_ratio),
        };
        let amount = map.get(resource).map(String::as_str).unwrap_or_default();
        let usage = if bound == Bound::Ratio { "" } else { " usage" };
        format!("{what} {resource}{usage} per {:?} is {amount} (LimitRange {})", self.scope, self.name)
    }
}

fn complete(into: &mut BTreeMap<String, String>, from: &BTreeMap<String, String>) {
    for (resource, amount) in from {
        into.entry(resource.clone()).or_insert_with(|| amount.clone());
    }
}

/// What the first of the LimitRanges that says anything gives a container without: a limit or a request, as text and amount.
pub fn given<'r>(
    ranges: &'r [LimitRange],
    map: fn(&LimitRange) -> &BTreeMap<String, String>,
    resource: &str,
) -> Option<(Cow<'r, str>, Quantity)> {
    ranges.iter().find_map(|range| {
        let amount = map(range).get(resource)?;
        Some((Cow::Borrowed(amount.as_str()), parse(amount).ok()?))
    })
}

/// What is asked for of one resource, in whole thousandths, as the API server stores amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// What the scheduler sets aside.
    pub request: Option<Quantity>,
    /// What may be used at most.
    pub limit: Option<Quantity>,
}

impl Asked {
    /// What a container without anything gets from the LimitRanges.
    pub fn given(ranges: &[LimitRange], resource: &str) -> Asked {
        let given = |map| given(ranges, map, resource).map(|(_, amount)| amount);
        Asked { request: given(|range| &range.default_request), limit: given(|range| &range.default) }
    }

    /// What a container asks for that says this, when the API server has filled in the rest: a limit is a request, too, and
    /// then the LimitRanges speak.
    #[must_use]
    pub fn completed(self, given: Asked) -> Asked {
        let request = self.request.or(self.limit).or(given.request);
        let limit = self.limit.or(given.limit);
        Asked { request: request.map(Quantity::in_millis), limit: limit.map(Quantity::in_millis) }
    }

    /// What stands in a container, where it can be read.
    pub fn written(container: &Container<'_>, resource: &str) -> Asked {
        let written = |side| quantity(container.resource(side, resource)?).ok();
        Asked { request: written("requests"), limit: written("limits") }
    }

    /// What a pod asks for whose containers ask for this, in their order.
    pub fn together(pod: &Pod<'_>, resource: &str, containers: &[(Role, Asked)]) -> Asked {
        let of_the_pod = |side: &str| {
            let amount = pod.resource(side, resource).filter(|_| resources::POD_LEVEL.contains(&resource))?;
            Some(quantity(amount).ok()?.in_millis())
        };
        let sum = |side: fn(&Asked) -> Option<Quantity>| {
            resources::together(containers.iter().map(|(role, asked)| (*role, side(asked))))
        };
        let limit = of_the_pod("limits").or_else(|| sum(|asked| asked.limit));
        Asked { request: of_the_pod("requests").or_else(|| sum(|asked| asked.request)), limit }
    }

    /// The LimitRanger computes with floats: exact numbers would be within a bound that it finds broken.
    fn ratio_in_millis(self) -> Option<f64> {
        let positive = |amount: Option<Quantity>| amount.filter(|amount| *amount > Quantity::ZERO).map(as_float);
        Some(positive(self.limit)? / positive(self.request)? * 1000.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "as the LimitRanger does")]
fn as_float(amount: Quantity) -> f64 {
    amount.millis() as f64
}

/// Every bound that the pod is not within, in words that do not depend on how far.
pub fn broken(pod: &Pod<'_>, ranges: &[LimitRange]) -> Vec<String> {
    let mut broken = Vec::new();
    let containers = || pod.containers().filter(|container| container.role() != Role::Ephemeral);
    for range in ranges {
        for resource in range.bounded() {
            let given = Asked::given(ranges, resource);
            let asked =
                containers().map(|container| (container, Asked::written(&container, resource).completed(given)));
            match range.scope {
                Scope::Container => {
                    for (container, asked) in asked {
                        let bounds = range.broken(resource, asked).into_iter();
                        broken.extend(
                            bounds.map(|bound| {
                                format!("container {}: {}", container.name(), range.words(resource, bound))
                            }),
                        );
                    }
                }
                Scope::Pod => {
                    let asked: Vec<_> = asked.map(|(container, asked)| (container.role(), asked)).collect();
                    let bounds = range.broken(resource, Asked::together(pod, resource, &asked)).into_iter();
                    broken.extend(bounds.map(|bound| range.words(resource, bound)));
                }
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ranges(limits: &serde_json::Value) -> Vec<LimitRange> {
        LimitRange::read(&Node::from(json!({"metadata": {"name": "l"}, "spec": {"limits": limits}})))
    }

    #[track_caller]
    fn says(limits: &serde_json::Value, spec: &serde_json::Value) -> String {
        let tree = Node::from(json!({"spec": spec}));
        broken(&Pod::new("", &tree), &ranges(limits)).join("; ")
    }

    fn cpu(request: &str, limit: &str) -> serde_json::Value {
        let side = |amount: &str| if amount.is_empty() { json!({}) } else { json!({"cpu": amount}) };
        json!({"name": "c", "resources": {"requests": side(request), "limits": side(limit)}})
    }

    #[test]
    fn entries_of_containers_and_pods_are_read() {
        let ranges = ranges(&json!([
            {"type": "Container", "max": {"cpu": 2}},
            {"type": "Pod", "max": {"cpu": "9"}, "default": {"cpu": "1"}},
            {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}},
        ]));
        assert_eq!(ranges.len(), 2);
        assert_eq!((ranges[0].default["cpu"].as_str(), ranges[0].default_request["cpu"].as_str()), ("2", "2"));
        assert_eq!((ranges[1].scope, ranges[1].default.len(), ranges[1].max["cpu"].as_str()), (Scope::Pod, 0, "9"));
    }

    #[test]
    fn a_pod_is_bounded_by_what_its_containers_ask_together() {
        let max = json!([{"type": "Pod", "max": {"cpu": "1"}}]);
        let two = |second: serde_json::Value| json!({"containers": [cpu("", "500m"), second]});
        assert_eq!(says(&max, &two(cpu("", "500m"))), "");
        assert_eq!(says(&max, &two(cpu("", ""))), "", "no limit is no part of the sum");
        let broken = "maximum cpu usage per Pod is 1 (LimitRange l)";
        assert_eq!(says(&max, &two(cpu("", "501m"))), broken);
        assert_eq!(says(&max, &json!({"containers": [cpu("", "")]})), broken, "a limit has to be there");
        // 0.4 m is stored as 1 m.
        assert_eq!(says(&max, &two(cpu("", "500.4m"))), broken);
        // Init containers run one after the other, sidecars beside them.
        let with = |init: serde_json::Value| json!({"containers": [cpu("", "500m")], "initContainers": init});
        assert_eq!(says(&max, &with(json!([cpu("", "1"), cpu("", "1")]))), "");
        let mut sidecar = cpu("", "500m");
        sidecar["restartPolicy"] = json!("Always");
        assert_eq!(says(&max, &with(json!([sidecar, cpu("", "500m")]))), "");
        assert_eq!(says(&max, &with(json!([sidecar, cpu("", "501m")]))), broken);
        // Resources of the pod stand for its containers'.
        let whole =
            json!({"containers": [cpu("", "2")], "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}});
        assert_eq!(says(&max, &whole), "");
    }

    #[test]
    fn minimum_and_ratio() {
        let min = json!([{"type": "Pod", "min": {"cpu": "1"}}]);
        let one = |container: serde_json::Value| json!({"containers": [container]});
        assert_eq!(says(&min, &one(cpu("1", ""))), "");
        let broken = "minimum cpu usage per Pod is 1 (LimitRange l)";
        assert_eq!(says(&min, &one(cpu("", ""))), broken);
        assert_eq!(says(&min, &json!({"containers": [cpu("1", ""), cpu("", "500m")]})), broken, "limits, too");
        let ratio = |most: &str| json!([{"type": "Container", "maxLimitRequestRatio": {"cpu": most}}]);
        assert_eq!(says(&ratio("2"), &one(cpu("500m", "1"))), "");
        let broken = "container c: maximum limit to request ratio of cpu per Container is 2 (LimitRange l)";
        for container in [cpu("499m", "1"), cpu("1", ""), cpu("", ""), cpu("0", "1")] {
            assert_eq!(says(&ratio("2"), &one(container)), broken);
        }
        assert_eq!(says(&ratio("1.5"), &one(cpu("1", "1500m"))), "");
    }

    #[test]
    fn a_container_that_another_webhook_added_will_get_its_defaults() {
        let limits = json!([
            {"type": "Container", "default": {"cpu": "600m"}, "defaultRequest": {"cpu": "100m"}},
            {"type": "Pod", "max": {"cpu": "1"}},
        ]);
        assert_eq!(says(&limits, &json!({"containers": [cpu("", "400m"), cpu("", "")]})), "");
        assert_ne!(says(&limits, &json!({"containers": [cpu("", "500m"), cpu("", "")]})), "");
    }
}
