//! What must still hold of a pod after it was edited, or the API server would refuse it.

use std::collections::HashSet;
use std::fmt::Display;

use crate::tree::Node;
use crate::workload::resources::{POD_LEVEL, is_huge_pages, is_pod_level, may_overcommit, quantity, together};
use crate::workload::{Container, LimitRange, MOST_ANNOTATION_BYTES, Pod, limit_range};

/// Whether the edited pod breaks nothing that the original kept; the error says what.
pub(super) fn kept(original: &Pod<'_>, edited: &Pod<'_>, ranges: &[LimitRange]) -> Result<(), String> {
    let broken = broken(edited, ranges);
    if broken.is_empty() {
        return Ok(());
    }
    // What the author's pod broke already is for the API server to say.
    let before: HashSet<String> = self::broken(original, ranges).into_iter().collect();
    broken.into_iter().find(|what| !before.contains(what)).map_or(Ok(()), Err)
}

/// Each in words that do not depend on how far it is broken.
fn broken(pod: &Pod<'_>, ranges: &[LimitRange]) -> Vec<String> {
    let mut broken = Vec::new();
    if pod.annotation_bytes() > MOST_ANNOTATION_BYTES {
        broken.push(format!("the annotations would have more than {MOST_ANNOTATION_BYTES} bytes"));
    }
    volumes(pod, &mut broken);
    spread(pod, &mut broken);
    for container in pod.containers() {
        resources(container.node(), &format_args!("container {}", container.name()), &mut broken);
    }
    if let Some(spec) = pod.spec().filter(|_| pod.has_pod_level_resources()) {
        resources(spec, &"the pod", &mut broken);
        sums(pod, spec, &mut broken);
    }
    broken.extend(limit_range::broken(pod, ranges));
    broken
}

fn volumes(pod: &Pod<'_>, broken: &mut Vec<String>) {
    let listed = pod.spec().map(|spec| spec.items("volumes")).unwrap_or_default();
    let mut names: Vec<&str> = listed.iter().filter_map(|volume| volume.str("name")).collect();
    names.sort_unstable();
    if let Some(name) = names.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0])) {
        broken.push(format!("volume {name} would be there twice"));
    }
    broken.extend(pod.wrong_claim(&listed.iter().collect::<Vec<_>>()));
    for container in pod.containers() {
        mounts(&container, &names, broken);
    }
}

/// Paths are compared letter by letter, as the API server compares them.
fn mounts(container: &Container<'_>, volumes: &[&str], broken: &mut Vec<String>) {
    let name = container.name();
    let devices = container.node().items("volumeDevices");
    let mounts = container.node().items("volumeMounts");
    let mut paths: Vec<&str> = mounts.iter().map(|mount| mount.str("mountPath").unwrap_or_default()).collect();
    paths.sort_unstable();
    for pair in paths.windows(2).filter(|pair| pair[0] == pair[1]) {
        broken.push(format!("container {name} would have two mounts at {}", pair[0]));
    }
    for mount in mounts {
        let volume = mount.str("name").unwrap_or_default();
        if volumes.binary_search(&volume).is_err() {
            broken.push(format!("container {name} would mount volume {volume}, which is not there"));
        }
        let path = mount.str("mountPath").unwrap_or_default();
        if devices.iter().any(|device| device.str("devicePath") == Some(path)) {
            broken.push(format!("container {name} would have a mount and a block device at {path}"));
        }
        if devices.iter().any(|device| device.str("name") == Some(volume)) {
            broken.push(format!("container {name} would mount volume {volume}, which is a block device there"));
        }
    }
}

/// A topology is spread over once in each way.
fn spread(pod: &Pod<'_>, broken: &mut Vec<String>) {
    let constraints = pod.spec().map(|spec| spec.items("topologySpreadConstraints")).unwrap_or_default();
    let mut seen = HashSet::new();
    for constraint in constraints {
        let key = constraint.str("topologyKey").unwrap_or_default();
        if !seen.insert((key, constraint.str("whenUnsatisfiable"))) {
            broken.push(format!("the pod would be spread over {key} twice"));
        }
    }
}

/// What a container, or a pod's spec, may not ask for.
fn resources(owner: &Node<'_>, name: &dyn Display, broken: &mut Vec<String>) {
    let Some(resources) = owner.get("resources") else { return };
    // Sorted, as each is looked up: who sends a hundred thousand comes here before the API server says no.
    let mut limits: Vec<(&str, &Node<'_>)> = resources.entries("limits").collect();
    limits.sort_by_key(|(name, _)| *name);
    for (resource, request) in resources.entries("requests") {
        // The last one of a name, as the API server reads it.
        let after = limits.partition_point(|(name, _)| *name <= resource);
        let limit = limits[..after].last().filter(|(name, _)| *name == resource).map(|(_, limit)| *limit);
        if !may_overcommit(resource) && limit.is_none() {
            broken.push(format!("{name} would request {resource} without a limit"));
        }
        let amounts = limit.and_then(|limit| Some((quantity(request).ok()?, quantity(limit).ok()?)));
        let Some((request, limit)) = amounts else { continue };
        if request > limit {
            broken.push(format!("{name} would request more {resource} than its limit"));
        } else if request < limit && !may_overcommit(resource) {
            broken.push(format!("{name} would request less {resource} than its limit, which are one"));
        }
    }
    let has = |wanted: fn(&str) -> bool| {
        ["requests", "limits"].iter().any(|side| resources.entries(side).any(|(resource, _)| wanted(resource)))
    };
    if has(is_huge_pages) && !has(|resource| POD_LEVEL.contains(&resource)) {
        broken.push(format!("{name} would have huge pages without cpu or memory"));
    }
}

/// Containers within the resources of their pod.
fn sums(pod: &Pod<'_>, spec: &Node<'_>, broken: &mut Vec<String>) {
    let given = |side: &'static str| {
        let entries = spec.get("resources").into_iter().flat_map(move |resources| resources.entries(side));
        entries
            .filter(|(resource, _)| is_pod_level(resource))
            .filter_map(|(name, node)| Some((name, quantity(node).ok()?)))
    };
    let sum = |side: &str, resource: &str| {
        together(pod.containers().map(|container| {
            let amount = container.resource(side, resource).and_then(|node| quantity(node).ok());
            (container.role(), amount)
        }))
    };
    for (resource, amount) in given("requests") {
        if sum("requests", resource).is_some_and(|sum| sum > amount) {
            broken.push(format!("the containers would request more {resource} together than the pod"));
        }
    }
    for (resource, amount) in given("limits") {
        let mut limits =
            pod.containers().filter_map(|container| quantity(container.resource("limits", resource)?).ok());
        if limits.any(|limit| limit > amount) {
            broken.push(format!("a container would have a higher {resource} limit than the pod"));
        }
        if is_huge_pages(resource) && sum("limits", resource).is_some_and(|sum| sum > amount) {
            broken.push(format!("the containers would have more {resource} together than the pod"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn becomes(original: &Value, edited: &Value, limits: &Value) -> Result<(), String> {
        let range = json!({"spec": {"limits": limits}});
        let [original, edited, range] = [original, edited, &range].map(Node::from);
        kept(&Pod::new("", &original), &Pod::new("", &edited), &LimitRange::read(&range))
    }

    #[test]
    fn what_the_api_server_would_refuse_is_found() {
        let asks = |resources: Value| json!({"spec": {"containers": [{"name": "c", "resources": resources}]}});
        let uses = |mounts: Value, devices: Value| {
            let claim = |name: &str| json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
            json!({"spec": {"volumes": [claim("a"), claim("b")],
                "containers": [{"name": "c", "volumeMounts": mounts, "volumeDevices": devices}]}})
        };
        let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
        let device = json!([{"name": "a", "devicePath": "/src"}]);
        let whole = |pod: Value, containers: Value| json!({"spec": {"resources": pod, "initContainers": containers}});
        let spread = |how: &str| json!({"topologyKey": "zone", "whenUnsatisfiable": how});
        let (none, gpu) = (json!([]), "nvidia.com/gpu");
        for (edited, expected) in [
            (json!({"spec": {"volumes": [{"name": "a"}, {"name": "a"}]}}), "volume a would be there twice"),
            (uses(json!([mount("x", "/x")]), none.clone()), "would mount volume x, which is not there"),
            (uses(json!([mount("a", "/x"), mount("b", "/x")]), none.clone()), "would have two mounts at /x"),
            (uses(json!([mount("b", "/src")]), device.clone()), "would have a mount and a block device at /src"),
            (uses(json!([mount("a", "/x")]), device.clone()), "would mount volume a, which is a block device there"),
            (uses(json!([mount("b", "/src/"), mount("b", "/src/x")]), device), ""),
            (asks(json!({"requests": {"cpu": 2}, "limits": {"cpu": 1}})), "would request more cpu than its limit"),
            (
                asks(json!({"requests": {gpu: 1}, "limits": {gpu: 2}})),
                "would request less nvidia.com/gpu than its limit",
            ),
            (asks(json!({"requests": {gpu: 1}})), "would request nvidia.com/gpu without a limit"),
            (asks(json!({"limits": {"hugepages-2Mi": "2Mi"}})), "would have huge pages without cpu or memory"),
            (asks(json!({"limits": {"hugepages-2Mi": "2Mi", "cpu": 1}})), ""),
            (
                whole(json!({"requests": {"cpu": 1}}), json!([{"resources": {"requests": {"cpu": 2}}}])),
                "the containers would request more cpu together than the pod",
            ),
            (
                whole(json!({"limits": {"cpu": 1}}), json!([{"resources": {"limits": {"cpu": 2}}}])),
                "a container would have a higher cpu limit than the pod",
            ),
            (json!({"metadata": {"annotations": {"a": "x".repeat(262_143)}}}), ""),
            (
                json!({"metadata": {"annotations": {"ab": "x".repeat(262_143)}}}),
                "annotations would have more than 262144",
            ),
            (json!({"spec": {"topologySpreadConstraints": [spread("a"), spread("b")]}}), ""),
            (json!({"spec": {"topologySpreadConstraints": [spread("a"), spread("a")]}}), "spread over zone twice"),
            (
                json!({"metadata": {"name": "p"}, "spec": {"volumes": [
                    {"name": "v", "ephemeral": {}}, {"name": "w", "persistentVolumeClaim": {"claimName": "p-v"}}]}}),
                "PersistentVolumeClaim p-v would be claimed and made",
            ),
        ] {
            let found = becomes(&json!({}), &edited, &json!([])).err().unwrap_or_default();
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{edited}: {found}");
            assert_eq!(becomes(&edited, &edited, &json!([])), Ok(()), "it was like that before");
        }
    }

    #[test]
    fn bounds_of_limit_ranges_are_known() {
        let pod = |second: Value| json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "500m"}}}, {"name": "b", "resources": second}]}});
        let edited = pod(json!({"limits": {"cpu": "1"}, "requests": {"cpu": "250m"}}));
        let found = |limits: Value| becomes(&pod(json!({})), &edited, &limits).err().unwrap_or_default();
        assert_eq!(found(json!([{"type": "Pod", "max": {"cpu": "1500m"}}])), "");
        assert!(found(json!([{"type": "Pod", "max": {"cpu": "1"}}])).starts_with("maximum cpu usage per Pod is 1"));
        assert!(found(json!([{"type": "Pod", "maxLimitRequestRatio": {"cpu": "1"}}])).contains("ratio of cpu per Pod"));
        assert_eq!(
            found(json!([{"type": "Container", "maxLimitRequestRatio": {"cpu": "1"}}])),
            "",
            "b had none before"
        );
    }
}
