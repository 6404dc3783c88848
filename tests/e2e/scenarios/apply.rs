//! What is admitted can be applied again: `kubectl apply` twice, client-side and server-side, changes nothing.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::fixtures::scan_pod;
use crate::install::{Setup, install, kustomize, policies, scan_namespace};
use crate::objects::{namespace, set};

const CLIENT_SIDE: &[&str] = &["apply", "-f", "-"];
const SERVER_SIDE: &[&str] = &["apply", "--server-side", "-f", "-"];

/// All good examples.
pub async fn examples_twice(plane: &ControlPlane) -> Result<()> {
    let _installed = install(plane, &Setup::default()).await?;
    let examples = kustomize(plane, "manifests/examples").await?;
    let yaml = json!({"apiVersion": "v1", "kind": "List", "items": examples}).to_string();
    for (suffix, apply) in [("client", CLIENT_SIDE), ("server", SERVER_SIDE)] {
        // Names in the cluster cannot be used again at once.
        let yaml =
            yaml.replace("scans-demo", &format!("scans-{suffix}")).replace("\"shop\"", &format!("\"shop-{suffix}\""));
        let again = twice(plane, apply, &yaml).await?;
        if apply == CLIENT_SIDE {
            let changed: Vec<&str> = again.lines().filter(|line| !line.ends_with(" unchanged")).collect();
            ensure!(changed.is_empty(), "kubectl found something to change: {changed:?}");
        }
    }
    Ok(())
}

/// Bare pods whose authors wrote lists and maps of their own, with profiles that would add to each of them.
pub async fn bare_pods_twice(plane: &ControlPlane) -> Result<()> {
    let pool = json!({
        "apiVersion": "supercargo.dev/v1alpha1",
        "kind": "PodProfile",
        "metadata": {"name": "pool"},
        "spec": {
            "order": 200,
            "match": {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "scan"}}},
            "placement": {
                "mode": "None",
                "nodeSelector": {"pool.example.com/name": "scans"},
                "tolerations": [{"key": "pool.example.com/scans", "operator": "Exists", "effect": "NoSchedule"}],
            },
        },
    });
    let policies = policies(plane, &[("pool.yaml", pool)])?;
    let variants = variants();
    // kubectl takes what the API server itself adds to some of these lists for a change: that is the measure.
    let plain = namespace(plane, "plain", &[]).await?;
    let mut without = Vec::new();
    for (name, pointer, value) in &variants {
        let mut pod = scan_pod(name);
        pod["metadata"]["namespace"] = json!(plain);
        set(&mut pod, pointer, value.clone());
        let apply = async || plane.kubectl(User::Admin, CLIENT_SIDE, Some(&pod.to_string())).await?.success();
        apply().await?;
        without.push((*name, verb(&apply().await?)));
    }
    let _installed = install(plane, &Setup { policies: Some(&policies), ..Setup::default() }).await?;
    let scans = scan_namespace(plane, "twice").await?;

    for (side, apply) in [("client", CLIENT_SIDE), ("server", SERVER_SIDE)] {
        for (name, pointer, value) in &variants {
            let mut pod = scan_pod(&format!("{side}-{name}"));
            pod["metadata"]["namespace"] = json!(scans);
            set(&mut pod, pointer, value.clone());
            let again = twice(plane, apply, &pod.to_string()).await.with_context(|| format!("{side}, {name}"))?;
            // Without any webhook too kubectl takes the two tolerations that every pod gets for a change.
            if side == "client" {
                let (_, bare) = without.iter().find(|(bare, _)| bare == name).context("not tried without")?;
                ensure!(verb(&again) == *bare, "{name}: {again}without the webhook it is {bare}");
            }
        }
    }
    Ok(())
}

/// What an author may have written: a name, a pointer, the value there.
fn variants() -> [(&'static str, &'static str, Value); 9] {
    let term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "cache"}}});
    let zone = json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]});
    [
        ("nothing", "/spec/restartPolicy", json!("Never")),
        ("tolerations", "/spec/tolerations", json!([{"key": "spot", "operator": "Exists"}])),
        (
            "pod-affinity",
            "/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution",
            json!([{"weight": 10, "podAffinityTerm": term}]),
        ),
        (
            "node-affinity",
            "/spec/affinity/nodeAffinity/preferredDuringSchedulingIgnoredDuringExecution",
            json!([{"weight": 10, "preference": {"matchExpressions": [zone]}}]),
        ),
        ("node-selector", "/spec/nodeSelector", json!({"kubernetes.io/os": "linux"})),
        ("volumes", "/spec/volumes", json!([{"name": "scratch", "emptyDir": {}}])),
        ("limits", "/spec/containers/0/resources", json!({"limits": {"cpu": "2"}})),
        ("init", "/spec/initContainers", json!([{"name": "fetch", "image": "registry.example/fetch:1"}])),
        (
            "spread",
            "/spec/topologySpreadConstraints",
            json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"app": "cache"}}}]),
        ),
    ]
}

/// The last word of what kubectl said: `unchanged`, `configured`.
fn verb(said: &str) -> String {
    said.trim_end().rsplit(' ').next().unwrap_or_default().to_owned()
}

/// Applies a manifest, sees that what was admitted was equipped, applies it again, and compares. Returns what kubectl said
/// the second time.
async fn twice(plane: &ControlPlane, apply: &[&str], manifest: &str) -> Result<String> {
    plane.kubectl(User::Admin, apply, Some(manifest)).await?.success()?;
    let first = stored(plane, manifest).await?;
    let again = plane.kubectl(User::Admin, apply, Some(manifest)).await?.success()?;
    let second = stored(plane, manifest).await?;
    for (first, second) in first.iter().zip(&second) {
        ensure!(first == second, "applying again changed it from\n{first}\nto\n{second}");
        if first["kind"] == "Pod" {
            let profile = first.pointer("/metadata/annotations/supercargo.dev~1profile");
            ensure!(profile.is_some(), "it was not equipped: {first}");
        }
    }
    Ok(again)
}

/// The objects of a manifest as they are in the cluster, without what changes by itself.
async fn stored(plane: &ControlPlane, manifest: &str) -> Result<Vec<Value>> {
    let text = plane.kubectl(User::Admin, &["get", "-o", "json", "-f", "-"], Some(manifest)).await?.success()?;
    let mut object: Value = serde_json::from_str(&text)?;
    let mut objects = match object["items"].take() {
        Value::Array(items) => items,
        _ => vec![object],
    };
    for object in &mut objects {
        for (at, keys) in [
            ("", &["status"][..]),
            ("/metadata", &["resourceVersion", "managedFields", "finalizers"]),
            ("/spec", &["nodeName"]),
            ("/spec/claimRef", &["uid", "resourceVersion"]),
        ] {
            if let Some(map) = object.pointer_mut(at).and_then(Value::as_object_mut) {
                map.retain(|key, _| !keys.contains(&key.as_str()));
            }
        }
        if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            // Written by controllers: the Deployment's revision, the volume binder's marks.
            annotations.retain(|key, _| {
                !key.starts_with("deployment.kubernetes.io/") && !key.starts_with("pv.kubernetes.io/")
            });
        }
    }
    Ok(objects)
}
