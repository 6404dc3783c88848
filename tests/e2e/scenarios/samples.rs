//! manifests/samples: what a real API server, scheduler and Job controller make of them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::install::{documents, manifest, path, repository};
use crate::objects::{Jobs, RUN_FOR, SOON, get, namespace, nodes, pods, set};
use crate::wait::wait_for;

const SPARE: &str = "spare-capacity";

/// Every document with the strictest reading that there is: no unknown field, no wrong value. Kinds of KEDA and Karpenter are read where
/// `SUPERCARGO_CRDS` names a folder with their CustomResourceDefinitions, and left out elsewhere.
pub async fn are_what_the_api_server_knows(plane: &ControlPlane) -> Result<()> {
    let kubectl = async |args: &[&str]| plane.kubectl(User::Admin, args, None).await?.success();
    let crds = std::env::var_os("SUPERCARGO_CRDS").map(PathBuf::from);
    if let Some(folder) = &crds {
        kubectl(&["apply", "--server-side", "-f", &path(folder)?]).await?;
        kubectl(&["wait", "--for=condition=Established", "--all", "customresourcedefinitions", "--timeout=60s"])
            .await?;
    }
    let here = namespace(plane, "samples", &[]).await?;
    let (mut read, mut left_out) = (0, 0);
    for file in [
        "spare-capacity/spare-capacity.yaml",
        "keda/scaledjob.yaml",
        "karpenter/nodepool.yaml",
        "cluster-autoscaler/priority-expander.yaml",
    ] {
        for mut document in documents(&manifest(&format!("manifests/samples/{file}"), &[])?)? {
            if document["metadata"]["namespace"].is_string() {
                set(&mut document, "/metadata/namespace", json!(here));
            }
            let group = document["apiVersion"].as_str().context("an apiVersion")?.split('/').next().unwrap_or_default();
            if crds.is_none() && (group.contains("keda.sh") || group.contains("karpenter")) {
                left_out += 1;
                continue;
            }
            let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
            let applied = plane.kubectl(User::Admin, &apply, Some(&document.to_string())).await?;
            applied.success().with_context(|| format!("{file}: {}", document["kind"]))?;
            read += 1;
        }
    }
    println!("    {read} documents read, {left_out} left out for want of their CustomResourceDefinitions");
    ensure!(read >= 7, "only {read} documents were read");
    if let Some(folder) = &crds {
        // Nobody is there to take care of such objects.
        kubectl(&["delete", "--wait=false", "-f", &path(folder)?]).await?;
    }
    Ok(())
}

/// The Job that the CronJob makes holds the pool's nodes; a scan gets its room at once; the room is held again when the scan has ended, and the Job
/// has not failed for it.
pub async fn spare_capacity_makes_way(plane: &ControlPlane) -> Result<()> {
    let pool = nodes(plane, "pool", 2, "4", "8Gi", 30).await?;
    let api: Api<Node> = Api::all(plane.admin());
    for name in &pool {
        let taint = json!({"key": "supercargo.dev/scans", "value": "true", "effect": "NoSchedule"});
        let patch = json!({"metadata": {"labels": {"supercargo.dev/pool": "scans"}}, "spec": {"taints": [taint]}});
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    }
    let mut objects =
        documents(&std::fs::read_to_string(repository("manifests/samples/spare-capacity/spare-capacity.yaml"))?)?;
    for object in objects.iter_mut().filter(|object| object["kind"] == "CronJob") {
        // kwok ends what does not say how long it runs.
        set(object, "/spec/jobTemplate/spec/template/metadata/annotations", json!({RUN_FOR: "600s"}));
        set(object, "/spec/suspend", json!(true));
    }
    plane.apply(&objects).await?;
    let create = ["-n", SPARE, "create", "job", "today", "--from=cronjob/spare-capacity"];
    wait_for("the spare Job", SOON, async || plane.kubectl(User::Admin, &create, None).await?.success().map(Some))
        .await?;
    // Two nodes hold two of the three; the third would make an autoscaler add one.
    wait_for("two pieces of room", SOON, async || Ok((running(plane).await? == 2).then_some(()))).await?;

    let scans = namespace(plane, "scans", &[]).await?;
    let scan = Jobs {
        namespace: &scans,
        requests: &[("cpu", "2"), ("memory", "1Gi")],
        limits: &[("cpu", "2"), ("memory", "1Gi")],
        run_for: Some(Duration::from_secs(2)),
        ..Jobs::default()
    };
    scan.create_changed(plane.admin(), |job| {
        let pod = &mut job["spec"]["template"]["spec"];
        pod["nodeSelector"] = json!({"supercargo.dev/pool": "scans"});
        pod["tolerations"] = json!([{"key": "supercargo.dev/scans", "operator": "Exists"}]);
    })
    .await?;
    wait_for("a piece of room to go", SOON, async || Ok((end_the_dying(plane).await? > 0).then_some(()))).await?;
    scan.succeeded(plane).await?;
    wait_for("the room to be held again", SOON, async || {
        end_the_dying(plane).await?;
        Ok((running(plane).await? == 2).then_some(()))
    })
    .await?;
    let job = get(plane, &format!("/apis/batch/v1/namespaces/{SPARE}/jobs/today")).await?;
    let status = &job["status"];
    ensure!(
        status["failed"].as_u64().unwrap_or_default() == 0 && status["succeeded"].is_null(),
        "it counted: {status}"
    );
    let remove = ["-n", SPARE, "delete", "job", "today", "--cascade=background"];
    plane.kubectl(User::Admin, &remove, None).await?.success()?;
    wait_for("the spare pods to be gone", SOON, async || {
        end_the_dying(plane).await?;
        Ok(pods(plane, SPARE, "app.kubernetes.io/name=spare-capacity").await?.is_empty().then_some(()))
    })
    .await
}

/// How many spare pods run, and are not on their way out.
async fn running(plane: &ControlPlane) -> Result<usize> {
    let all = pods(plane, SPARE, "app.kubernetes.io/name=spare-capacity").await?;
    let runs = |pod: &&Value| pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null();
    Ok(all.iter().filter(runs).count())
}

/// Does what a kubelet does with a pod that is being deleted, and kwok does not: its containers are killed, so it has failed. How many there were.
async fn end_the_dying(plane: &ControlPlane) -> Result<usize> {
    let api: Api<Pod> = Api::namespaced(plane.admin(), SPARE);
    let mut ended = 0;
    for pod in pods(plane, SPARE, "app.kubernetes.io/name=spare-capacity").await? {
        if pod["metadata"]["deletionTimestamp"].is_null() || pod["status"]["phase"] == "Failed" {
            continue;
        }
        let name = pod["metadata"]["name"].as_str().context("a pod without a name")?;
        let killed = json!({"status": {"phase": "Failed"}});
        // It may have gone meanwhile.
        if api.patch_status(name, &PatchParams::default(), &Patch::Merge(&killed)).await.is_ok() {
            ended += 1;
        }
    }
    Ok(ended)
}
