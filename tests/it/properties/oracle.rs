//! What must hold between a pod and what became of it, written down a second time, on plain values.

use serde_json::{Value, json};
use supercargo::quantity;

/// Everything that was there is there still: members with their values, lists with their items in front and in order.
/// Null counts as not there.
#[track_caller]
pub fn kept(before: &Value, after: &Value, at: &str) {
    match (before, after) {
        (Value::Null, _) => {}
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                kept(value, after.get(key).unwrap_or(&Value::Null), &format!("{at}/{key}"));
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            assert!(before.len() <= after.len(), "{at} lost items");
            for (index, item) in before.iter().enumerate() {
                kept(item, &after[index], &format!("{at}/{index}"));
            }
        }
        _ => assert_eq!(before, after, "{at} changed"),
    }
}

fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

fn amount(value: &Value) -> Option<quantity::Quantity> {
    match value {
        Value::String(text) => quantity::parse(text).ok(),
        Value::Number(number) => quantity::parse(&number.to_string()).ok(),
        _ => None,
    }
}

/// The request or limit that a container or a pod has. One that is null is nothing.
fn written(owner: &Value, side: &str, resource: &str) -> Option<quantity::Quantity> {
    let amounts = owner["resources"][side].as_object()?;
    amounts.get(resource).and_then(|value| if value.is_null() { amount(&json!("0")) } else { amount(value) })
}

/// What a container or a pod requests beyond its limit.
fn above_limit(owner: &Value) -> Vec<String> {
    let requests = owner["resources"]["requests"].as_object().into_iter().flatten();
    requests
        .map(|(name, _)| name)
        .filter(|name| {
            let [request, limit] = ["requests", "limits"].map(|side| written(owner, side, name));
            matches!((request, limit), (Some(request), Some(limit)) if request > limit)
        })
        .cloned()
        .collect()
}

const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// "request ≤ limit, mounts have volumes, names unique": nothing is broken that was whole. Packed `by_nodes`, preferred terms that
/// name one follow the author's.
#[track_caller]
pub fn invariants(before: &Value, after: &Value, by_nodes: bool) {
    let bytes = |pod: &Value| -> usize {
        let annotations = pod["metadata"]["annotations"].as_object().into_iter().flatten();
        annotations.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum()
    };
    assert!(bytes(after) <= bytes(before).max(262_144), "{} bytes of annotations", bytes(after));
    let (before, after) = (&before["spec"], &after["spec"]);
    let names = |spec: &Value| -> Vec<Value> { items(spec, "volumes").map(|volume| volume["name"].clone()).collect() };
    let volumes = names(after);
    for (index, name) in volumes.iter().enumerate() {
        assert!(!volumes[..index].contains(name), "two volumes {name}");
    }
    let on_the_pod = ["requests", "limits"]
        .iter()
        .any(|side| before["resources"][side].as_object().is_some_and(|map| !map.is_empty()));
    assert_eq!(before["resources"], after["resources"], "resources of the pod are the author's");
    for list in LISTS {
        for (index, container) in items(after, list).enumerate() {
            let old = &before[list][index];
            for resource in above_limit(container) {
                assert!(above_limit(old).contains(&resource), "{list}/{index} requests more {resource} than its limit");
            }
            let old_mounts = items(old, "volumeMounts").count();
            let mounts: Vec<&Value> = items(container, "volumeMounts").collect();
            for (position, mount) in mounts.iter().enumerate().skip(old_mounts) {
                assert!(volumes.contains(&mount["name"]), "{list}/{index} mounts {} which is not there", mount["name"]);
                let same = |other: &&Value| {
                    other["mountPath"].as_str().map(|p| p.trim_end_matches('/'))
                        == mount["mountPath"].as_str().map(|p| p.trim_end_matches('/'))
                };
                assert!(
                    !mounts[..position].iter().any(same),
                    "{list}/{index} has two mounts at {}",
                    mount["mountPath"]
                );
                for device in items(container, "volumeDevices") {
                    assert_ne!(device["devicePath"], mount["mountPath"], "{list}/{index} has a device there");
                    assert_ne!(device["name"], mount["name"], "{list}/{index} has a device of that volume");
                }
                assert!(!mount["subPath"].as_str().unwrap_or_default().split('/').any(|part| part == ".."));
            }
            if list == "ephemeralContainers" {
                assert_eq!(old, container, "nothing can be added to an ephemeral container");
            }
            if on_the_pod {
                for (side, resource) in
                    [("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory")]
                {
                    assert_eq!(
                        old["resources"][side][resource], container["resources"][side][resource],
                        "{side} beside the pod's"
                    );
                }
            }
        }
    }
    for kind in ["nodeAffinity", "podAffinity", "podAntiAffinity"] {
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        assert_eq!(before["affinity"][kind][required], after["affinity"][kind][required], "no required term");
    }
    assert_eq!(before["affinity"]["podAntiAffinity"], after["affinity"]["podAntiAffinity"]);
    let (own, mut terms) = (&before["affinity"]["nodeAffinity"], after["affinity"]["nodeAffinity"].clone());
    if !by_nodes {
        assert_eq!(*own, terms);
        return;
    }
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let added = terms[preferred].as_array_mut().unwrap().split_off(items(own, preferred).count());
    assert!(!added.is_empty(), "a node was planned and is not named");
    for term in added {
        let field = &term["preference"]["matchFields"][0];
        assert_eq!((&field["key"], &field["operator"]), (&json!("metadata.name"), &json!("In")), "{term}");
    }
    let own = if own.is_null() { json!({}) } else { plain(own) };
    assert_eq!(own, plain(&terms), "but for them it stays as it was");
}

/// What the LimitRanger admits it still admits.
#[track_caller]
pub fn bounds(before: &Value, after: &Value, ranges: &[Value]) {
    let entries: Vec<&Value> = ranges.iter().flat_map(|range| items(&range["spec"], "limits")).collect();
    let before = refused(before, &entries);
    for complaint in refused(after, &entries) {
        assert!(before.contains(&complaint), "the LimitRanger would refuse {complaint}");
    }
}

/// Request and limit of a container in thousandths, after the API server's defaults and those of the LimitRanges.
fn asked(container: &Value, resource: &str, entries: &[&Value]) -> [Option<u64>; 2] {
    let written = |side: &str| written(container, side, resource);
    let given = |sides: &[&str]| {
        let mut entries = entries.iter().filter(|entry| entry["type"] == "Container");
        entries.find_map(|entry| sides.iter().find_map(|side| amount(&entry[*side][resource])))
    };
    let limit = written("limits");
    let request = written("requests").or(limit).or_else(|| given(&["defaultRequest", "default", "max", "min"]));
    [request, limit.or_else(|| given(&["default", "max"]))].map(|amount| amount.map(quantity::Quantity::millis))
}

fn refused(pod: &Value, entries: &[&Value]) -> Vec<String> {
    let spec = &pod["spec"];
    let mut refused = Vec::new();
    for entry in entries {
        for resource in ["cpu", "memory", "ephemeral-storage"] {
            let mut judge = |what: &str, [request, limit]: [Option<u64>; 2]| {
                let bound = |side: &str| amount(&entry[side][resource]).map(quantity::Quantity::millis);
                let mut complain = |bound: &str| refused.push(format!("{what} {bound} {resource} {entry}"));
                if bound("max").is_some_and(|max| limit.is_none_or(|l| l > max) || request.is_some_and(|r| r > max)) {
                    complain("max");
                }
                if bound("min").is_some_and(|min| request.is_none_or(|r| r < min) || limit.is_some_and(|l| l < min)) {
                    complain("min");
                }
                let (request, limit) = (request.unwrap_or(0), limit.unwrap_or(0));
                let allowed = |ratio: u64| u128::from(limit) * 1000 <= u128::from(ratio) * u128::from(request);
                if bound("maxLimitRequestRatio").is_some_and(|ratio| request == 0 || limit == 0 || !allowed(ratio)) {
                    complain("ratio");
                }
            };
            let asks = |container: &Value| asked(container, resource, entries);
            if entry["type"] == "Container" {
                for list in &LISTS[..2] {
                    items(spec, list).enumerate().for_each(|(i, c)| judge(&format!("{list}/{i}"), asks(c)));
                }
            } else {
                let sides = [0, 1].map(|side| in_all(spec, |container| asks(container)[side]));
                let whole = ["requests", "limits"].map(|side| match resource {
                    "ephemeral-storage" => None,
                    _ => written(spec, side, resource).map(quantity::Quantity::millis),
                });
                judge("the pod", [whole[0].or(sides[0]), whole[1].or(sides[1])]);
            }
        }
    }
    refused
}

/// What the containers ask for together: the busiest moment of the pod.
fn in_all(spec: &Value, asked: impl Fn(&Value) -> Option<u64>) -> Option<u64> {
    let sum = |amounts: Vec<Option<u64>>| amounts.into_iter().flatten().reduce(u64::saturating_add);
    let inits: Vec<&Value> = items(spec, "initContainers").collect();
    let beside = |inits: &[&Value]| -> Vec<Option<u64>> {
        inits.iter().filter(|init| init["restartPolicy"] == "Always").map(|init| asked(init)).collect()
    };
    let running = sum(items(spec, "containers").map(&asked).chain(beside(&inits)).collect());
    let starting = inits.iter().enumerate().filter(|(_, init)| init["restartPolicy"] != "Always");
    let starting = starting.map(|(index, init)| sum([beside(&inits[..index]), vec![asked(init)]].concat()));
    starting.chain([running]).max().flatten()
}

/// Lists that applying a manifest again replaces as a whole stay what a person made them.
#[track_caller]
pub fn lists_of_a_person(before: &Value, after: &Value) {
    let (before, after) = (&before["spec"], &after["spec"]);
    for kind in ["nodeAffinity", "podAffinity"] {
        let terms = |spec: &Value| spec["affinity"][kind]["preferredDuringSchedulingIgnoredDuringExecution"].clone();
        if terms(before).as_array().is_some_and(|list| !list.is_empty()) {
            assert_eq!(terms(before), terms(after));
        }
    }
    let own = |toleration: &Value| toleration["tolerationSeconds"] != json!(300);
    if items(before, "tolerations").any(own) {
        assert_eq!(before["tolerations"], after["tolerations"]);
    }
    if before["nodeSelector"].as_object().is_some_and(|map| !map.is_empty()) {
        assert_eq!(before["nodeSelector"], after["nodeSelector"]);
    }
}

/// Without what Go leaves out of JSON, and with requests where only limits were given.
pub fn as_the_api_server_writes_it(pod: &Value) -> Value {
    let mut pod = plain(pod);
    for list in LISTS {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            let Some(limits) = container.pointer("/resources/limits").and_then(Value::as_object).cloned() else {
                continue;
            };
            let requests = &mut container["resources"]["requests"];
            if requests.is_null() {
                *requests = json!({});
            }
            for (name, limit) in limits {
                if let Value::Object(requests) = &mut *requests {
                    requests.entry(name).or_insert(limit);
                }
            }
        }
    }
    pod
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let left_out = |key: &str, value: &Value| match value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(items) => items.is_empty(),
                // A list of label values may be empty text; a medium or an operator is left out.
                Value::String(text) => text.is_empty() && key == "medium",
                _ => false,
            };
            Value::Object(
                map.iter()
                    .filter(|(key, value)| !left_out(key, value))
                    .map(|(key, value)| match (key.as_str(), value) {
                        // Go reads a quantity that is null as zero.
                        ("requests" | "limits", Value::Object(map)) => {
                            let zero = |value: &Value| if value.is_null() { json!("0") } else { value.clone() };
                            (key.clone(), map.iter().map(|(key, value)| (key.clone(), zero(value))).collect())
                        }
                        ("sizeLimit", Value::String(text)) if text == "1024Mi" => (key.clone(), json!("1Gi")),
                        _ => (key.clone(), plain(value)),
                    })
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        other => other.clone(),
    }
}
