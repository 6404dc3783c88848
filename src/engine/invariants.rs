//! What must still hold of a pod after it was edited, or the API server would refuse it.

use std::collections::{HashMap, HashSet};

use crate::quantity::Quantity;
use crate::tree::Node;
use crate::workload::Pod;
use crate::workload::resources::{POD_LEVEL, quantity, sum_of_running};

/// Whether the edited pod breaks nothing that the original kept; the error says what.
pub(super) fn kept(original: &Pod<'_>, edited: &Pod<'_>) -> Result<(), String> {
    let broken = broken(edited);
    if broken.is_empty() {
        return Ok(());
    }
    // What the author's pod broke already is for the API server to say.
    let before: HashSet<String> = self::broken(original).into_iter().collect();
    broken.into_iter().find(|what| !before.contains(what)).map_or(Ok(()), Err)
}

fn broken(pod: &Pod<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut volumes: Vec<&str> =
        pod.spec().map(|spec| spec.items("volumes")).unwrap_or_default().iter().filter_map(|v| v.str("name")).collect();
    volumes.sort_unstable();
    if let Some(name) = volumes.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0])) {
        broken.push(format!("volume {name} would be there twice"));
    }
    for container in pod.containers() {
        let name = container.name();
        let mut paths = HashSet::new();
        for mount in container.node().items("volumeMounts") {
            let volume = mount.str("name").unwrap_or_default();
            if volumes.binary_search(&volume).is_err() {
                broken.push(format!("container {name} would mount volume {volume}, which is not there"));
            }
            let path = mount.str("mountPath").unwrap_or_default();
            if !paths.insert(path) {
                broken.push(format!("container {name} would have two mounts at {path}"));
            }
        }
        broken.extend(
            above_limit(container.node())
                .map(|resource| format!("container {name} would request more {resource} than its limit")),
        );
    }
    if let Some(spec) = pod.spec().filter(|_| pod.has_pod_level_resources()) {
        broken
            .extend(above_limit(spec).map(|resource| format!("the pod would request more {resource} than its limit")));
        for resource in POD_LEVEL {
            let given = |side| pod.resource(side, resource).and_then(|node| quantity(node).ok());
            if given("requests").is_some_and(|given| sum_of_running(pod, "requests", resource) > given) {
                broken.push(format!("the containers would request more {resource} together than the pod"));
            }
            let limit = given("limits");
            let above = |amount: Quantity| limit.is_some_and(|limit| amount > limit);
            if pod.containers().filter_map(|c| quantity(c.resource("limits", resource)?).ok()).any(above) {
                broken.push(format!("a container would have a higher {resource} limit than the pod"));
            }
        }
    }
    broken
}

/// The resources of which `owner` (a container, or a pod's spec) requests more than its limit.
fn above_limit<'t>(owner: &'t Node<'t>) -> impl Iterator<Item = &'t str> {
    let resources = owner.get("resources");
    resources.into_iter().flat_map(|resources| {
        let limits: HashMap<&str, &Node<'_>> = resources.entries("limits").collect();
        resources.entries("requests").filter_map(move |(name, request)| {
            let limit = quantity(limits.get(name)?).ok()?;
            (quantity(request).ok()? > limit).then_some(name)
        })
    })
}
