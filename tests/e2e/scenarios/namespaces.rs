//! Pods that others change too: a LimitRange, resources of the whole pod, sidecars of other injectors. None is made
//! invalid, and each runs to its end.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::fixtures::{bare_container, deployment, scan_pod};
use crate::injector::Injector;
use crate::install::{SCANS, Setup, install, scan_namespace, source_claim};
use crate::objects::{Jobs, SOON, namespace, nodes, object, pods, refusal, set};
use crate::wait::wait_for;

const INJECTED: &str = "registry.example/proxy:1";

/// The label of namespaces in which others inject.
const MESH: (&str, &str) = ("e2e.supercargo.dev/mesh", "true");

/// LimitRanges of every shape: what they give is kept, what they forbid is not given, and an ordinary Deployment without
/// limits passes where a LimitRange will fill them in.
pub async fn limit_ranges_speak_first(plane: &ControlPlane) -> Result<()> {
    nodes(plane, "node", 1, "8", "16Gi", 50).await?;
    let installed = install(plane, &Setup::default()).await?;
    let shapes = [
        ("defaults", json!({"default": {"cpu": "300m", "memory": "300Mi"}}), "300m", "300Mi"),
        ("requests", json!({"defaultRequest": {"cpu": "2"}}), "2", "1Gi"),
        ("max", json!({"max": {"cpu": "500m"}}), "500m", "1Gi"),
        ("min", json!({"min": {"memory": "2Gi"}}), "1", "2Gi"),
        ("none", Value::Null, "1", "1Gi"),
    ];
    for (name, range, cpu, memory) in shapes {
        let scans = scan_namespace(plane, name).await?;
        if !range.is_null() {
            limit_range(plane, &scans, &range).await?;
        }
        let pod = finished(plane, &scans, |_| ()).await.with_context(|| format!("with {range}"))?;
        let limits = &pod["spec"]["containers"][0]["resources"]["limits"];
        ensure!(*limits == json!({"cpu": cpu, "memory": memory}), "with {range}: limits {limits}");
        equipped(&pod, &["main"])?;
    }

    let shop = namespace(plane, "shop", &[]).await?;
    let deployments: Api<Deployment> = Api::namespaced(plane.admin(), &shop);
    let mut container = crate::fixtures::good_container("app");
    container["resources"] = json!({});
    let unlimited: Deployment = object(deployment("unlimited", &container))?;
    refusal(deployments.create(&PostParams::default(), &unlimited).await)?;
    limit_range(plane, &shop, &json!({"default": {"cpu": "1", "memory": "1Gi"}})).await?;
    // The webhook watches LimitRanges, so it knows this one a moment later.
    wait_for("the Deployment to pass", SOON, async || {
        Ok(Some(deployments.create(&PostParams::default(), &unlimited).await?))
    })
    .await?;
    let held_back = installed.webhook.metric("supercargo_patches_held_back_total", &[]).await?;
    ensure!(held_back == 0, "{held_back} patches were held back");
    Ok(())
}

/// LimitRanges that bound a pod in all: what fits is given, and what does not is left out. A block device in the place of a mount:
/// the rule refuses the pod, and where it may only warn the pod is admitted without the mount.
pub async fn additions_never_make_a_pod_invalid(plane: &ControlPlane) -> Result<()> {
    nodes(plane, "node", 1, "8", "16Gi", 50).await?;
    let installed = install(plane, &Setup::default()).await?;
    let main = |cpu: &str| json!({"limits": {"cpu": cpu, "memory": "64Mi"}});
    let shapes = [
        ("fits", json!({"max": {"cpu": "2"}}), "500m", json!("1")),
        ("lowered", json!({"max": {"cpu": "1"}}), "500m", json!("500m")),
        ("ratio", json!({"maxLimitRequestRatio": {"cpu": "1"}}), "1", json!("250m")),
    ];
    for (name, range, author, expected) in shapes {
        let scans = scan_namespace(plane, name).await?;
        limit_range_of(plane, &scans, "Pod", &range).await?;
        let second = json!({"name": "second", "image": "registry.example/scanner:1"});
        let pod = finished(plane, &scans, |template| {
            set(template, "/spec/containers/0/resources", main(author));
            if let Some(containers) = template["spec"]["containers"].as_array_mut() {
                containers.push(second.clone());
            }
        })
        .await
        .with_context(|| format!("with {range}"))?;
        let limit = &pod["spec"]["containers"][1]["resources"]["limits"]["cpu"];
        ensure!(*limit == expected, "with {range}: the limit is {limit}");
    }

    let scans = scan_namespace(plane, "devices").await?;
    let bare = |path: &str| {
        let device = json!([{"name": "disk", "devicePath": path}]);
        let mut container = bare_container("main");
        container["volumeDevices"] = device;
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "disk", "namespace": scans, "labels": {"app.kubernetes.io/component": "scan"},
                "annotations": {"supercargo.dev/source": "repository"}},
            "spec": {"restartPolicy": "Never", "containers": [container],
                "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}]}})
    };
    let api: Api<Pod> = Api::namespaced(plane.admin(), &scans);
    let status = refusal(api.create(&PostParams::default(), &object(bare("/src"))?).await)?;
    ensure!(
        status.message.contains("[profile-volume] container main: a block device is at /src"),
        "{}",
        status.message
    );
    api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object(bare("/dev/disk"))?).await?;

    // So large that nothing can be written down, and admitted all the same.
    let mut large = bare("/dev/disk");
    large["metadata"]["annotations"]["example.com/large"] = json!("x".repeat(262_000));
    let created = api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object(large)?).await?;
    ensure!(created.spec.is_some_and(|spec| spec.containers[0].volume_mounts.is_some()), "the sources are missing");
    let held_back = installed.webhook.metric("supercargo_patches_held_back_total", &[]).await?;
    ensure!(held_back == 0, "{held_back} patches were held back");
    Ok(())
}

async fn limit_range(plane: &ControlPlane, namespace: &str, limits: &Value) -> Result<()> {
    limit_range_of(plane, namespace, "Container", limits).await
}

async fn limit_range_of(plane: &ControlPlane, namespace: &str, scope: &str, limits: &Value) -> Result<()> {
    let mut limit = limits.clone();
    limit["type"] = json!(scope);
    let range = json!({
        "apiVersion": "v1", "kind": "LimitRange",
        "metadata": {"name": "range", "namespace": namespace}, "spec": {"limits": [limit]},
    });
    plane.apply(&[range]).await
}

/// Resources of the whole pod: no container gets cpu or memory of its own, which would make the pod invalid.
pub async fn pod_level_resources_stay(plane: &ControlPlane) -> Result<()> {
    nodes(plane, "node", 1, "8", "16Gi", 50).await?;
    let installed = install(plane, &Setup::default()).await?;
    let scans = scan_namespace(plane, "whole").await?;
    let whole = json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}});
    let pod = finished(plane, &scans, |template| set(template, "/spec/resources", whole.clone())).await?;
    ensure!(pod["spec"]["resources"] == whole, "resources {}", pod["spec"]["resources"]);
    let own = &pod["spec"]["containers"][0]["resources"];
    ensure!(own.as_object().is_none_or(serde_json::Map::is_empty), "the container has resources {own}");
    equipped_but_for_resources(&pod, &["main"])?;

    // An amount that is null is zero to the API server, and written down as such before it comes to us.
    let mut odd = scan_pod("odd");
    set(&mut odd, "/spec/containers/0/resources", json!({"requests": {"cpu": null}}));
    let pods: Api<DynamicObject> = Api::namespaced_with(plane.admin(), &scans, &ApiResource::erase::<Pod>(&()));
    let odd = pods.create(&PostParams::default(), &serde_json::from_value(odd)?).await?;
    let requests = &odd.data["spec"]["containers"][0]["resources"]["requests"];
    ensure!(requests["cpu"] == "0", "null became {requests}");

    // Limits for one resource only: the other is filled in and refused as anywhere else.
    let half = json!({"limits": {"memory": "64Mi"}});
    let shop = namespace(plane, "shop", &[]).await?;
    let deployments: Api<Deployment> = Api::namespaced(plane.admin(), &shop);
    let mut wrong = deployment("half", &bare_container("app"));
    set(&mut wrong, "/spec/template/spec/resources", half);
    let status = refusal(deployments.create(&PostParams::default(), &object(wrong)?).await)?;
    ensure!(status.message.contains("no cpu limit") && !status.message.contains("no memory"), "{}", status.message);
    let held_back = installed.webhook.metric("supercargo_patches_held_back_total", &[]).await?;
    ensure!(held_back == 0, "{held_back} patches were held back");
    Ok(())
}

/// Containers that others add before us, by a policy and by a webhook, and after us: they get resources, keep `restartPolicy`, and no sources.
pub async fn other_injectors_get_along(plane: &ControlPlane) -> Result<()> {
    nodes(plane, "node", 1, "8", "16Gi", 50).await?;
    let scans = namespace(plane, "mesh", &[SCANS, MESH]).await?;
    source_claim(plane, &scans).await?;
    inject_before(plane).await?;
    let proxy = |name: &str| json!({"name": name, "image": INJECTED});
    let _before = Injector::start(plane, "aaa-injector", MESH, proxy("linkerd-proxy")).await?;
    let _after = Injector::start(plane, "zzz-injector", MESH, proxy("istio-proxy")).await?;
    let installed = install(plane, &Setup::default()).await?;

    let pod = wait_for("all injectors at work", SOON, async || {
        let pod = finished(plane, &scans, |_| ()).await?;
        let names = |list: &str| pod["spec"][list].as_array().map_or(0, Vec::len);
        ensure!(names("initContainers") == 1 && names("containers") == 3, "it is {}", pod["spec"]);
        Ok(Some(pod))
    })
    .await?;
    equipped(&pod, &["main"])?;
    let sidecar = &pod["spec"]["initContainers"][0];
    ensure!(sidecar["restartPolicy"] == "Always", "the sidecar lost its restartPolicy: {sidecar}");
    let containers = &pod["spec"]["containers"];
    let names = [&containers[1]["name"], &containers[2]["name"]];
    ensure!(names == ["linkerd-proxy", "istio-proxy"], "webhooks were called in another order: {names:?}");
    for (what, container) in [("policy's", sidecar), ("early", &containers[1]), ("late", &containers[2])] {
        for side in ["requests", "limits"] {
            for resource in ["cpu", "memory"] {
                let amount = &container["resources"][side][resource];
                ensure!(amount.is_string(), "the {what} container has no {side}.{resource}: {container}");
            }
        }
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        let sources = mounts.filter(|mount| mount["mountPath"] == "/src").count();
        ensure!(sources == 0, "the {what} container got the sources: {container}");
    }
    let terms = &pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    ensure!(terms.as_array().is_some_and(|terms| terms.len() == 1), "asked twice, it wrote {terms}");
    let held_back = installed.webhook.metric("supercargo_patches_held_back_total", &[]).await?;
    ensure!(held_back == 0, "{held_back} patches were held back");
    let kinds = "mutatingadmissionpolicies,mutatingadmissionpolicybindings";
    plane.kubectl(User::Admin, &["delete", kinds, "e2e-early"], None).await?.success()?;
    Ok(())
}

/// A MutatingAdmissionPolicy that adds a sidecar to pods of namespaces with a mesh; policies run before all webhooks.
async fn inject_before(plane: &ControlPlane) -> Result<()> {
    let sidecar =
        format!("Object.spec.initContainers{{name: \"early\", image: \"{INJECTED}\", restartPolicy: \"Always\"}}");
    let expression = format!("Object{{spec: Object.spec{{initContainers: [{sidecar}]}}}}");
    let (api, name) = ("admissionregistration.k8s.io/v1", "e2e-early");
    let policy = json!({
        "apiVersion": api, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
            }]},
            "matchConditions": [{"name": "not-yet", "expression": "!has(object.spec.initContainers)"}],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
        },
    });
    let binding = json!({
        "apiVersion": api, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "matchResources": {"namespaceSelector": {"matchLabels": {MESH.0: MESH.1}}},
        },
    });
    plane.apply(&[policy, binding]).await
}

/// Runs a Job that leaves everything to the profile, its template changed, and returns its pod when it has succeeded.
async fn finished(plane: &ControlPlane, namespace: &str, change: impl Fn(&mut Value)) -> Result<Value> {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
    let group = format!("run{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let jobs = Jobs { namespace, group: &group, ..Jobs::default() };
    jobs.create_changed(plane.admin(), |job| {
        let template = &mut job["spec"]["template"];
        template["metadata"]["annotations"]["supercargo.dev/source"] = json!("repository");
        template["spec"]["containers"][0]["resources"] = json!({});
        change(template);
    })
    .await?;
    jobs.succeeded(plane).await?;
    let pods = pods(plane, namespace, &format!("batchjobs-group={group}")).await?;
    pods.into_iter().next().context("no pod")
}

/// Every container has requests and limits, and these have the sources.
fn equipped(pod: &Value, with_sources: &[&str]) -> Result<()> {
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        for resource in ["cpu", "memory"] {
            let resources = &container["resources"];
            let both = resources["limits"][resource].is_string() && resources["requests"][resource].is_string();
            ensure!(both, "{resource} of {container}");
        }
    }
    equipped_but_for_resources(pod, with_sources)
}

fn equipped_but_for_resources(pod: &Value, with_sources: &[&str]) -> Result<()> {
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        if with_sources.iter().any(|name| container["name"] == *name) {
            let mounts = container["volumeMounts"].as_array();
            let there = mounts.is_some_and(|mounts| mounts.iter().any(|mount| mount["mountPath"] == "/src"));
            ensure!(there, "no sources in {container}");
        }
    }
    let label = &pod["metadata"]["labels"]["network.supercargo.dev/egress"];
    ensure!(label == "results-only", "the label is {label}");
    Ok(())
}
