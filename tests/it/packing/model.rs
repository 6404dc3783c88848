//! The scheduler's filters, written again from the Kubernetes documentation over plain JSON: slow, simple, and sharing no
//! code with what it judges. Amounts in the cases are whole numbers of one unit, so that nothing has to be parsed but digits.

use std::collections::BTreeMap;

use serde_json::Value;

/// Whether kube-scheduler could put `pod` on `node`, which `running` (pods bound to it) share.
pub fn feasible(pod: &Value, node: &Value, running: &[&Value]) -> bool {
    !is_true(&node["spec"]["unschedulable"])
        && hard_taints(node).all(|taint| tolerated(pod, taint))
        && selected(pod, node)
        && required_affinity(pod, node)
        && room(pod, node, running)
        && ports_free(pod, running)
}

/// Whether the planner calls the node closed for a reason of its own or of the profile's, feasible as it may be.
pub fn avoided(pod: &Value, node: &Value, running: &[&Value], profile: &Value) -> bool {
    let condition = |name: &str| {
        let conditions = list(&node["status"]["conditions"]);
        conditions.iter().find(|condition| condition["type"] == name).map(|condition| condition["status"] == "True")
    };
    let leaving = list(&node["spec"]["taints"]).iter().any(|taint| {
        ["ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler", "karpenter.sh/disrupted"]
            .iter()
            .any(|key| taint["key"] == *key)
    });
    let soft = list(&node["spec"]["taints"]).iter().filter(|taint| taint["effect"] == "PreferNoSchedule");
    let scans = running.iter().filter(|pod| is_scan(pod)).count() as u64;
    let most = profile["maxPerNode"].as_u64().unwrap_or(0);
    condition("Ready") != Some(true)
        || ["MemoryPressure", "DiskPressure"].iter().any(|name| condition(name) == Some(true))
        || leaving
        || !node["metadata"]["deletionTimestamp"].is_null()
        || soft.into_iter().any(|taint| !tolerated(pod, taint))
        || (most > 0 && scans >= most)
        || (profile["neighbours"] == "ScansOnly" && running.iter().any(|pod| !is_scan(pod) && !is_fixture(pod)))
}

/// Which of the author's preferred terms, the heaviest first, the node is the first to match; none: as many as there are.
pub fn wish(pod: &Value, node: &Value) -> usize {
    let mut terms: Vec<_> =
        list(&pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"])
            .iter()
            .collect();
    terms.sort_by_key(|term| std::cmp::Reverse(term["weight"].as_u64()));
    let met = |term: &&Value| {
        list(&term["preference"]["matchExpressions"])
            .iter()
            .all(|wanted| holds(wanted, node["metadata"]["labels"][wanted["key"].as_str().unwrap()].as_str()))
    };
    terms.iter().position(met).unwrap_or(terms.len())
}

/// Whether the pod counts on its node at all.
pub fn counts(pod: &Value) -> bool {
    pod["spec"]["nodeName"].is_string() && pod["status"]["phase"] != "Succeeded" && pod["status"]["phase"] != "Failed"
}

fn is_scan(pod: &Value) -> bool {
    pod["metadata"]["annotations"]["supercargo.dev/profile"].is_string()
}

fn is_fixture(pod: &Value) -> bool {
    list(&pod["metadata"]["ownerReferences"]).iter().any(|owner| owner["kind"] == "DaemonSet")
}

fn is_true(value: &Value) -> bool {
    value == &Value::Bool(true)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn hard_taints(node: &Value) -> impl Iterator<Item = &Value> {
    list(&node["spec"]["taints"]).iter().filter(|taint| taint["effect"] != "PreferNoSchedule")
}

fn tolerated(pod: &Value, taint: &Value) -> bool {
    list(&pod["spec"]["tolerations"]).iter().any(|toleration| {
        let effect = toleration["effect"].is_null() || toleration["effect"] == taint["effect"];
        let key = toleration["key"].is_null() || toleration["key"] == taint["key"];
        let value = match toleration["operator"].as_str().unwrap_or("Equal") {
            "Exists" => true,
            _ => toleration["value"].as_str().unwrap_or("") == taint["value"].as_str().unwrap_or(""),
        };
        effect && key && value
    })
}

fn selected(pod: &Value, node: &Value) -> bool {
    let selector = pod["spec"]["nodeSelector"].as_object();
    selector.into_iter().flatten().all(|(key, value)| &node["metadata"]["labels"][key.as_str()] == value)
}

fn required_affinity(pod: &Value, node: &Value) -> bool {
    let required = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    if required.is_null() {
        return true;
    }
    list(&required["nodeSelectorTerms"]).iter().any(|term| {
        let (labels, fields) = (list(&term["matchExpressions"]), list(&term["matchFields"]));
        let label = |key: &Value| node["metadata"]["labels"][key.as_str().unwrap_or("")].as_str();
        let name = node["metadata"]["name"].as_str();
        !(labels.is_empty() && fields.is_empty())
            && labels.iter().all(|wanted| holds(wanted, label(&wanted["key"])))
            && fields.iter().all(|wanted| holds(wanted, name))
    })
}

fn holds(wanted: &Value, value: Option<&str>) -> bool {
    let values: Vec<&str> = list(&wanted["values"]).iter().filter_map(Value::as_str).collect();
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    match (wanted["operator"].as_str().unwrap(), value) {
        ("In", Some(value)) => values.contains(&value),
        ("NotIn", Some(value)) => !values.contains(&value),
        ("Exists", Some(_)) | ("NotIn" | "DoesNotExist", None) => true,
        ("Gt", value @ Some(_)) => number(value).zip(number(Some(values[0]))).is_some_and(|(a, b)| a > b),
        ("Lt", value @ Some(_)) => number(value).zip(number(Some(values[0]))).is_some_and(|(a, b)| a < b),
        _ => false,
    }
}

/// What a pod asks for: the larger of all that run side by side, and any init container with the sidecars before it.
fn requests(pod: &Value) -> BTreeMap<String, u64> {
    let of = |container: &Value| -> BTreeMap<String, u64> {
        let requests = container["resources"]["requests"].as_object();
        requests
            .into_iter()
            .flatten()
            .map(|(name, text)| (name.clone(), text.as_str().unwrap().parse().unwrap()))
            .collect()
    };
    let plus = |a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>| {
        let mut sum = a.clone();
        for (name, amount) in b {
            *sum.entry(name.clone()).or_insert(0) += amount;
        }
        sum
    };
    let most = |a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>| {
        let mut most = a.clone();
        for (name, amount) in b {
            let own = most.entry(name.clone()).or_insert(0);
            *own = (*own).max(*amount);
        }
        most
    };
    let (mut sidecars, mut peak) = (BTreeMap::new(), BTreeMap::new());
    for container in list(&pod["spec"]["initContainers"]) {
        if container["restartPolicy"] == "Always" {
            sidecars = plus(&sidecars, &of(container));
            peak = most(&peak, &sidecars);
        } else {
            peak = most(&peak, &plus(&sidecars, &of(container)));
        }
    }
    let apps = list(&pod["spec"]["containers"]).iter().fold(sidecars, |sum, container| plus(&sum, &of(container)));
    let mut whole = most(&apps, &peak);
    let overhead = pod["spec"]["overhead"].as_object();
    for (name, amount) in overhead.into_iter().flatten() {
        *whole.entry(name.clone()).or_insert(0) += amount.as_str().unwrap().parse::<u64>().unwrap();
    }
    whole
}

fn room(pod: &Value, node: &Value, running: &[&Value]) -> bool {
    let has = |name: &str| node["status"]["allocatable"][name].as_str().map_or(0, |text| text.parse::<u64>().unwrap());
    let taken: Vec<_> = running.iter().map(|pod| requests(pod)).collect();
    (running.len() as u64) < has("pods")
        && requests(pod).iter().filter(|(_, wanted)| **wanted > 0).all(|(name, wanted)| {
            let taken: u64 = taken.iter().filter_map(|requests| requests.get(name)).sum();
            taken + wanted <= has(name)
        })
}

fn ports(pod: &Value) -> Vec<(u64, String, String)> {
    let containers = list(&pod["spec"]["containers"]).iter();
    let ports = containers.flat_map(|container| list(&container["ports"])).filter(|port| port["hostPort"].is_number());
    ports
        .map(|port| {
            let text = |key: &str, default: &str| port[key].as_str().unwrap_or(default).to_owned();
            (port["hostPort"].as_u64().unwrap(), text("protocol", "TCP"), text("hostIP", "0.0.0.0"))
        })
        .collect()
}

fn ports_free(pod: &Value, running: &[&Value]) -> bool {
    let taken: Vec<_> = running.iter().flat_map(|pod| ports(pod)).collect();
    ports(pod).iter().all(|(number, protocol, ip)| {
        !taken.iter().any(|(n, p, i)| n == number && p == protocol && (i == ip || i == "0.0.0.0" || ip == "0.0.0.0"))
    })
}
