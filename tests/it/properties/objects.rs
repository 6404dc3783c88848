//! Random pods, profiles and LimitRanges. Names, keys and paths come from small sets, so that they meet.

use serde_json::{Map, Value, json};
use supercargo::workload::MOST_ANNOTATION_BYTES;

use super::dice::Dice;
use crate::support::Cluster;

const LABELS: [&str; 8] = [
    "app.kubernetes.io/component",
    "batchjobs-group",
    "jobs-group",
    "network.supercargo.dev/egress",
    "x.io/a",
    "x.io/b",
    "a/b~c~1d",
    "",
];
const VALUES: [&str; 6] = ["scan", "nightly", "results-only", "", "a/b", "\u{202e}\u{1b}[2J"];
const ANNOTATIONS: [&str; 8] = [
    "supercargo.dev/source",
    "x.io/folder",
    "x.io/note",
    "karpenter.sh/do-not-disrupt",
    "supercargo.dev/placement",
    "supercargo.dev/profile",
    "a~b/c",
    "kubernetes.io/config.mirror",
];
const FOLDERS: [&str; 6] = ["web-shop", "a/b", "../x", "", "/abs", "a//b"];
const VOLUMES: [&str; 4] = ["src", "tmp", "supercargo-source", "token"];
const PATHS: [&str; 6] = ["/src", "/src/", "/tmp", "/src/deep", "/", "src"];
const RESOURCES: [&str; 5] = ["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu", "x.io/a~b"];
const TOPOLOGIES: [&str; 3] = ["kubernetes.io/hostname", "topology.kubernetes.io/zone", ""];
const CONTAINERS: [&str; 5] = ["scan", "fetch", "istio-proxy", "c", "d"];

/// A map under construction, whose members may be missing, null or empty.
struct Members(Map<String, Value>);

impl Members {
    fn new() -> Members {
        Members(Map::new())
    }

    /// Missing, null, or what `make` makes.
    fn maybe(&mut self, dice: &mut Dice<'_>, key: &str, make: impl FnOnce(&mut Dice<'_>) -> Value) {
        match dice.below(8) {
            0..=1 => {}
            2 => drop(self.0.insert(key.to_owned(), Value::Null)),
            _ => drop(self.0.insert(key.to_owned(), make(dice))),
        }
    }

    /// Fields that nobody knows.
    fn done(mut self, dice: &mut Dice<'_>) -> Value {
        if dice.one_in(6) {
            let key = dice.pick(&["futureField", "x/y~z", "", "~1"]);
            self.0.insert(key.to_owned(), anything(dice, 2));
        }
        Value::Object(self.0)
    }
}

/// Any JSON at all.
pub fn anything(dice: &mut Dice<'_>, depth: usize) -> Value {
    match dice.below(if depth == 0 { 8 } else { 11 }) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!("text"),
        4 => json!(-1.5e300),
        5 => json!(u64::MAX),
        6 => json!(dice.pick(&VALUES)),
        7 => json!([]),
        8 => json!({}),
        9 => Value::Array((0..dice.below(4)).map(|_| anything(dice, depth - 1)).collect()),
        _ => Value::Object(
            (0..dice.below(4))
                .map(|_| (dice.pick(&["a", "name", "/", "~"]).to_owned(), anything(dice, depth - 1)))
                .collect(),
        ),
    }
}

/// Puts anything in some place of a value.
pub fn spoil(dice: &mut Dice<'_>, value: &mut Value) {
    let count = match &*value {
        Value::Object(map) => map.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    // The deeper, the likelier to stop.
    if count == 0 || dice.one_in(8) {
        *value = anything(dice, 3);
        return;
    }
    let chosen = dice.below(count);
    let below = match value {
        Value::Object(map) => map.values_mut().nth(chosen),
        Value::Array(items) => items.get_mut(chosen),
        _ => None,
    };
    if let Some(below) = below {
        spoil(dice, below);
    }
}

fn list(dice: &mut Dice<'_>, most: usize, mut make: impl FnMut(&mut Dice<'_>) -> Value) -> Value {
    Value::Array((0..dice.below(most + 1)).map(|_| make(dice)).collect())
}

fn text_map(dice: &mut Dice<'_>, keys: &[&str], values: &[&str]) -> Value {
    Value::Object((0..dice.below(5)).map(|_| (dice.pick(keys).to_owned(), json!(dice.pick(values)))).collect())
}

fn quantity(dice: &mut Dice<'_>) -> Value {
    match dice.below(20) {
        0 => json!("0"),
        1 => json!("abc"),
        2 => json!(2),
        3 => json!(0.25),
        4 => json!(""),
        5 => json!("1e3"),
        6 => Value::Null,
        7 => json!("99999999999999999999999999999999999999999999Ei"),
        index => {
            json!(["100m", "250m", "500m", "1", "2", "64Mi", "512Mi", "1Gi", "1024Mi", "1G", "0.5", "1n"][index - 8])
        }
    }
}

fn amounts(dice: &mut Dice<'_>) -> Value {
    Value::Object((0..dice.below(4)).map(|_| (dice.pick(&RESOURCES).to_owned(), quantity(dice))).collect())
}

fn resources(dice: &mut Dice<'_>) -> Value {
    let mut members = Members::new();
    members.maybe(dice, "requests", amounts);
    members.maybe(dice, "limits", amounts);
    members.maybe(dice, "claims", |_| json!([{"name": "x"}]));
    members.done(dice)
}

fn container(dice: &mut Dice<'_>, name: String) -> Value {
    let mut members = Members::new();
    members.0.insert("name".to_owned(), Value::String(name));
    members.maybe(dice, "resources", resources);
    members.maybe(dice, "volumeMounts", |dice| {
        list(dice, 3, |dice| {
            let mut members = Members::new();
            members.0.insert("name".to_owned(), json!(dice.pick(&VOLUMES)));
            members.0.insert("mountPath".to_owned(), json!(dice.pick(&PATHS)));
            members.maybe(dice, "readOnly", |_| json!(true));
            members.done(dice)
        })
    });
    if dice.one_in(6) {
        members.maybe(dice, "volumeDevices", |dice| {
            list(dice, 2, |dice| json!({"name": dice.pick(&VOLUMES), "devicePath": dice.pick(&PATHS)}))
        });
    }
    if dice.one_in(3) {
        members.0.insert("restartPolicy".to_owned(), json!("Always"));
    }
    members.maybe(dice, "livenessProbe", |_| json!({"exec": {"command": ["true"]}}));
    members.maybe(dice, "env", |dice| list(dice, 2, |dice| json!({"name": "LEVEL", "value": dice.pick(&VALUES)})));
    members.done(dice)
}

/// Containers with names of their own; `first` keeps the lists apart.
fn containers(dice: &mut Dice<'_>, first: usize) -> Value {
    let count = dice.below(4);
    let start = dice.below(CONTAINERS.len());
    Value::Array(
        (0..count)
            .map(|index| {
                let name = CONTAINERS[(start + index) % CONTAINERS.len()];
                container(dice, if first == 0 { name.to_owned() } else { format!("{name}-{first}") })
            })
            .collect(),
    )
}

fn selector(dice: &mut Dice<'_>) -> Value {
    match dice.below(5) {
        0 => json!({}),
        1 => Value::Null,
        2 => {
            json!({"matchExpressions": [{"key": dice.pick(&LABELS), "operator": dice.pick(&["In", "NotIn", "Exists", "DoesNotExist", "Gt"]), "values": [dice.pick(&VALUES)]}]})
        }
        _ => json!({"matchLabels": {dice.pick(&LABELS): dice.pick(&VALUES)}}),
    }
}

fn pod_term(dice: &mut Dice<'_>) -> Value {
    let mut members = Members::new();
    members.0.insert("topologyKey".to_owned(), json!(dice.pick(&TOPOLOGIES)));
    members.maybe(dice, "labelSelector", selector);
    members.maybe(dice, "namespaces", |_| json!(["scans"]));
    members.done(dice)
}

fn pod_affinity(dice: &mut Dice<'_>) -> Value {
    let mut members = Members::new();
    members.maybe(dice, "requiredDuringSchedulingIgnoredDuringExecution", |dice| list(dice, 2, pod_term));
    members.maybe(dice, "preferredDuringSchedulingIgnoredDuringExecution", |dice| {
        list(dice, 3, |dice| {
            let mut members = Members::new();
            members.0.insert("weight".to_owned(), json!(dice.below(100) + 1));
            members.maybe(dice, "podAffinityTerm", pod_term);
            members.done(dice)
        })
    });
    members.done(dice)
}

fn affinity(dice: &mut Dice<'_>) -> Value {
    let mut members = Members::new();
    members.maybe(dice, "nodeAffinity", |dice| {
        let mut members = Members::new();
        members.maybe(
            dice,
            "requiredDuringSchedulingIgnoredDuringExecution",
            |_| json!({"nodeSelectorTerms": [{"matchExpressions": []}]}),
        );
        members.maybe(dice, "preferredDuringSchedulingIgnoredDuringExecution", |dice| {
            list(dice, 2, |_| json!({"weight": 1, "preference": {}}))
        });
        members.done(dice)
    });
    members.maybe(dice, "podAffinity", pod_affinity);
    members.maybe(dice, "podAntiAffinity", pod_affinity);
    members.done(dice)
}

fn toleration(dice: &mut Dice<'_>) -> Value {
    match dice.below(5) {
        0 => {
            json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
        }
        1 => {
            json!({"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
        }
        2 => json!({"key": "scans", "operator": "Exists"}),
        3 => json!({"key": "scans", "value": "true", "effect": "NoSchedule"}),
        _ => json!({"operator": "Exists"}),
    }
}

fn source(dice: &mut Dice<'_>) -> (&'static str, Value) {
    match dice.below(7) {
        0 => ("emptyDir", json!({})),
        1 => ("persistentVolumeClaim", json!({"claimName": "scan-source"})),
        2 => ("persistentVolumeClaim", json!({"claimName": "other", "readOnly": false})),
        3 => ("emptyDir", json!({"sizeLimit": "1024Mi", "medium": ""})),
        4 => ("configMap", json!({"name": "c", "items": [{"key": "a", "path": "b"}], "optional": false})),
        5 => ("nfs", json!({"server": "s", "path": "/"})),
        _ => ("csi", json!({"driver": "d", "volumeAttributes": {}})),
    }
}

/// The pod's own volumes have names of their own.
fn volumes(dice: &mut Dice<'_>) -> Value {
    let start = dice.below(VOLUMES.len());
    let volumes = (0..dice.below(3)).map(|index| {
        let (key, source) = if dice.one_in(4) { ("hostPath", json!({"path": "/"})) } else { source(dice) };
        json!({"name": VOLUMES[(start + index) % VOLUMES.len()], key: source})
    });
    Value::Array(volumes.collect())
}

fn metadata(dice: &mut Dice<'_>) -> Value {
    let mut members = Members::new();
    members.0.insert("generateName".to_owned(), json!("scan-"));
    members.maybe(dice, "labels", |dice| text_map(dice, &LABELS, &VALUES));
    members.maybe(dice, "annotations", |dice| {
        let annotations = (0..dice.below(5)).map(|_| {
            let index = dice.below(ANNOTATIONS.len() * 4);
            // The mirror's is rare, or most pods would be skipped.
            let key = ANNOTATIONS[if index == ANNOTATIONS.len() * 4 - 1 {
                ANNOTATIONS.len() - 1
            } else {
                index % (ANNOTATIONS.len() - 1)
            }];
            (key.to_owned(), json!(dice.pick(&FOLDERS)))
        });
        let mut annotations: Map<String, Value> = annotations.collect();
        if dice.one_in(16) {
            let size: usize =
                annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
            let room = size + "x.io/big".len() + dice.pick(&[1000, 320, 150, 60, 0]);
            annotations.insert("x.io/big".to_owned(), Value::String("x".repeat(MOST_ANNOTATION_BYTES - room)));
        }
        Value::Object(annotations)
    });
    if dice.one_in(40) {
        members.0.insert("deletionTimestamp".to_owned(), json!("2026-11-21T10:00:00Z"));
    }
    members.maybe(dice, "finalizers", |_| json!(["a/b"]));
    members.done(dice)
}

/// A pod as an API server might send it, and some that only a patient person would write.
pub fn pod(dice: &mut Dice<'_>) -> Value {
    let mut spec = Members::new();
    spec.0.insert("containers".to_owned(), containers(dice, 0));
    spec.maybe(dice, "initContainers", |dice| containers(dice, 1));
    if dice.one_in(6) {
        spec.maybe(dice, "ephemeralContainers", |dice| containers(dice, 2));
    }
    spec.maybe(dice, "volumes", volumes);
    spec.maybe(dice, "affinity", affinity);
    spec.maybe(dice, "tolerations", |dice| list(dice, 3, toleration));
    spec.maybe(dice, "nodeSelector", |dice| text_map(dice, &["pool", "x.io/pool", "a~b"], &["scans", ""]));
    spec.maybe(dice, "topologySpreadConstraints", |dice| {
        list(dice, 2, |dice| json!({"maxSkew": 1, "topologyKey": dice.pick(&TOPOLOGIES), "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector(dice)}))
    });
    if dice.one_in(6) {
        spec.maybe(dice, "resources", resources);
    }
    spec.maybe(dice, "restartPolicy", |dice| json!(dice.pick(&["Always", "OnFailure", "Never"])));
    let mut metadata = metadata(dice);
    // As charts that pack by hand write it.
    if dice.one_in(5) {
        let key = dice.pick(&["jobs-group", "batchjobs-group"]);
        metadata["labels"] = json!({key: "nightly"});
        spec.0.insert("affinity".to_owned(), json!({"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 50, "podAffinityTerm": {"topologyKey": TOPOLOGIES[0], "labelSelector": {"matchExpressions": [{"key": key, "operator": "Exists"}]}}}]}}));
    }
    let mut pod = Members::new();
    pod.0.insert("apiVersion".to_owned(), json!("v1"));
    pod.0.insert("kind".to_owned(), json!("Pod"));
    pod.0.insert("metadata".to_owned(), metadata);
    let spec = spec.done(dice);
    pod.0.insert("spec".to_owned(), spec);
    pod.maybe(dice, "status", |_| json!({}));
    pod.done(dice)
}

/// A profile; most of them compile.
pub fn profile(dice: &mut Dice<'_>, index: usize) -> Value {
    let label = |dice: &mut Dice<'_>| dice.pick(&["network.supercargo.dev/egress", "x.io/a", "x.io/b"]);
    let selector = match dice.below(4) {
        0 | 1 => json!({}),
        2 => json!({"matchLabels": {"app.kubernetes.io/component": "scan"}}),
        _ => {
            json!({"matchExpressions": [{"key": dice.pick(&["batchjobs-group", "jobs-group", "x.io/a"]), "operator": dice.pick(&["Exists", "DoesNotExist"])}]})
        }
    };
    let labels: Map<String, Value> = (0..dice.below(3))
        .map(|_| (label(dice).to_owned(), json!(dice.pick(&["scan", "nightly", "results-only"]))))
        .collect();
    let annotations: Map<String, Value> = (0..dice.below(3))
        .map(|_| {
            (
                dice.pick(&["x.io/note", "x.io/folder", "karpenter.sh/do-not-disrupt"]).to_owned(),
                json!(dice.pick(&FOLDERS)),
            )
        })
        .collect();
    let amounts = |dice: &mut Dice<'_>| {
        let side = |dice: &mut Dice<'_>, of: &[&str]| -> Map<String, Value> {
            let entry = |dice: &mut Dice<'_>| {
                let (resource, amount) = (dice.pick(&RESOURCES[..4]), dice.pick(of));
                // There is no part of a byte.
                let amount = if resource != "cpu" && amount.ends_with('m') { "1" } else { amount };
                (resource.to_owned(), json!(amount))
            };
            (0..dice.below(4)).map(|_| entry(dice)).collect()
        };
        let mut requests = side(dice, &["100m", "250m", "1", "0"]);
        let limits = side(dice, &["1", "2", "512Mi", "1Gi"]);
        // Of what is counted in pieces, only the limit may be requested.
        if let Some(request) = requests.remove(RESOURCES[3]).and(limits.get(RESOURCES[3])) {
            requests.insert(RESOURCES[3].to_owned(), request.clone());
        }
        json!({"requests": requests, "limits": limits})
    };
    let mut resources = Map::new();
    for role in ["containers", "initContainers", "sidecars"] {
        if dice.one_in(2) {
            resources.insert(role.to_owned(), amounts(dice));
        }
    }
    let volumes: Vec<Value> = VOLUMES[..dice.below(4)]
        .iter()
        .map(|name| {
            let (key, source) = source(dice);
            json!({"name": name, key: source})
        })
        .collect();
    let mut mounts: Vec<Value> = Vec::new();
    for volume in &volumes {
        for _ in 0..dice.below(3) {
            let mut mount = json!({"volume": volume["name"], "mountPath": dice.pick(&["/src", "/tmp", "/src/deep"]), "readOnly": dice.one_in(2),
                "containers": [dice.pick(&["*", "fetch", "scan", "c-1"])]});
            if dice.one_in(2) {
                mount["subPathFrom"] = json!({"annotation": dice.pick(&["supercargo.dev/source", "x.io/folder"]),
                    "prefix": dice.pick(&["", "{namespace}/", "all/{namespace}/"]), "required": dice.one_in(2)});
            }
            // A second one for the same containers would be refused.
            if !mounts.iter().any(|other| ["mountPath", "containers"].iter().all(|key| other[key] == mount[key])) {
                mounts.push(mount);
            }
        }
    }
    let placement = json!({
        "mode": dice.pick(&["None", "Pack", "Spread", "Pack"]),
        "groupBy": match dice.below(3) { 0 => json!([]), 1 => json!(["batchjobs-group", "jobs-group"]), _ => json!(["x.io/a", "jobs-group"]) },
        "nodeSelector": if dice.one_in(3) { json!({"pool": "scans", "x.io/pool": "a"}) } else { json!({}) },
        "tolerations": if dice.one_in(3) { json!([{"key": "scans", "operator": "Exists"}, {"key": "scans", "value": "true", "effect": "NoSchedule"}]) } else { json!([]) },
        "runToCompletion": dice.one_in(2),
        "spread": {"topologyKeys": ["topology.kubernetes.io/zone", "kubernetes.io/hostname"], "by": ["jobs-group"]},
    });
    json!({"kind": "PodProfile", "metadata": {"name": format!("p{index}")}, "spec": {
        "order": dice.below(3), "match": {"podSelector": selector}, "labels": labels, "annotations": annotations, "placement": placement,
        "resources": resources, "volumes": volumes, "volumeMounts": mounts}})
}

/// A LimitRange, as it might stand in a file.
pub fn limit_range(dice: &mut Dice<'_>) -> Value {
    let mut entry = Map::new();
    let of_pods = dice.one_in(2);
    for side in ["default", "defaultRequest", "max", "min", "maxLimitRequestRatio"] {
        if dice.one_in(if of_pods { 2 } else { 3 }) && !(of_pods && side.starts_with("default")) {
            let resource = dice.pick(&["cpu", "cpu", "memory", "ephemeral-storage"]);
            let amount = match (side, resource) {
                ("maxLimitRequestRatio", _) => dice.pick(&["2", "1", "1.5", "4"]),
                ("default", "cpu") => "1",
                ("defaultRequest", "cpu") => "100m",
                ("min", "cpu") => dice.pick(&["50m", "500m"]),
                ("max", "cpu") => dice.pick(&["2", "1", "700m"]),
                ("default" | "defaultRequest", _) => "512Mi",
                ("min", _) => dice.pick(&["64Mi", "1Gi"]),
                _ => dice.pick(&["2Gi", "1Gi", "1"]),
            };
            entry.insert(side.to_owned(), json!({resource: amount}));
        }
    }
    entry.insert("type".to_owned(), json!(if of_pods { "Pod" } else { "Container" }));
    json!({"kind": "LimitRange", "metadata": {"name": "bounds"}, "spec": {"limits": [entry]}})
}

/// Nodes on which there is room for most pods, some of them in use.
pub fn cluster(dice: &mut Dice<'_>) -> Cluster {
    let node = |dice: &mut Dice<'_>, index| {
        let taint = json!({"key": "scans", "value": "true", "effect": "NoSchedule"});
        json!({
            "metadata": {"name": format!("n{index}"), "labels": {"pool": "scans", "x.io/pool": "a"}},
            "spec": {"taints": if dice.one_in(6) { json!([taint]) } else { json!([]) }},
            "status": {
                "allocatable": {"cpu": "4k", "memory": "1Pi", "ephemeral-storage": "1Pi", "pods": dice.pick(&["110", "1"]),
                    "nvidia.com/gpu": "64", "x.io/a~b": "64"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        })
    };
    let nodes: Vec<Value> = (0..=dice.below(3)).map(|index| node(dice, index)).collect();
    let pod = |dice: &mut Dice<'_>, index| {
        let profile = if dice.one_in(2) { json!({"supercargo.dev/profile": "scan"}) } else { json!({}) };
        json!({
            "metadata": {"name": format!("p{index}"), "uid": format!("u{index}"), "namespace": "shop", "annotations": profile},
            "spec": {"nodeName": format!("n{}", dice.below(3)), "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": "Running"},
        })
    };
    let pods: Vec<Value> = (0..dice.below(4)).map(|index| pod(dice, index)).collect();
    Cluster::new(&nodes, &pods)
}
