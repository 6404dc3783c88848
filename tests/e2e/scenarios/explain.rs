//! `supercargo explain pod` in a real cluster.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tokio::process::Command;

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::install::{Setup, documents, install, manifest, path, scan_namespace};
use crate::objects::{Jobs, SOON, namespace, nodes, nodes_used, pods};
use crate::wait::wait_for;
use crate::webhook::program;

/// A pod that was packed, one that no node takes, one in a namespace that is not open for scans, and one that is not there.
pub async fn says_what_became_of_a_pod(plane: &ControlPlane) -> Result<()> {
    let scans = scan_namespace(plane, "explain").await?;
    let closed = namespace(plane, "closed", &[]).await?;
    nodes(plane, "node", 3, "4", "16Gi", 110).await?;
    let _installed = install(plane, &Setup::default()).await?;
    let_dev_explain(plane, &scans).await?;
    let run_for = Some(Duration::from_secs(600));
    let packed = Jobs { namespace: &scans, group: "packed", count: 4, run_for, ..Jobs::default() };
    let large = [("cpu", "5"), ("memory", "1Gi")];
    let large = Jobs { namespace: &scans, group: "large", requests: &large, limits: &large, ..Jobs::default() };
    let unserved = Jobs { namespace: &closed, group: "unserved", run_for, ..Jobs::default() };
    for jobs in [&packed, &large, &unserved] {
        jobs.create_changed(plane.admin(), |job| {
            job["spec"]["template"]["metadata"]["annotations"]["supercargo.dev/source"] = "repository".into();
        })
        .await?;
    }
    nodes_used(plane, &scans, "batchjobs-group=packed", 4).await?;
    nodes_used(plane, &closed, "batchjobs-group=unserved", 1).await?;

    for pod in names(plane, &scans, "packed").await? {
        let text = explain(plane, &scans, &pod).await?;
        says(&text, &["Planned\n  to share ", "Scheduled\n  on node-", "Compared\n  "])?;
        let added = ["scan: label network.supercargo.dev/egress=results-only\n", "scan: volume supercargo-source\n"];
        says(&text, &added)?;
        ensure!(!text.contains("not on the pod") && !text.contains("cannot see"), "{text}");
    }
    let large = names(plane, &scans, "large").await?.pop().context("no pod")?;
    wait_for("the scheduler to give up", SOON, async || {
        let text = explain(plane, &scans, &large).await?;
        says(&text, &["on no node yet: 0/3 nodes are available: 3 Insufficient cpu", "FailedScheduling"]).map(Some)
    })
    .await?;
    let unserved = names(plane, &closed, "unserved").await?.pop().context("no pod")?;
    let text = explain(plane, &closed, &unserved).await?;
    says(
        &text,
        &["Planned\n  nothing\n", "does not serve namespace", "it lacks supercargo.dev/scans=true.", "on node-"],
    )?;
    let missing = run(plane, &format!("{scans}/missing")).await?;
    ensure!(missing.0 == Some(2) && missing.1.contains("pods \"missing\" not found"), "{missing:?}");
    Ok(())
}

/// Gives `dev` the role of manifests/rbac in the cluster, and waits until it counts.
async fn let_dev_explain(plane: &ControlPlane, namespace: &str) -> Result<()> {
    let mut objects = documents(&manifest("manifests/rbac/pod-explainer.yaml", &[])?)?;
    let api = "rbac.authorization.k8s.io";
    objects.push(json!({
        "apiVersion": format!("{api}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "dev-explains"},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "supercargo-pod-explainer"},
        "subjects": [{"kind": "User", "apiGroup": api, "name": User::Dev.name()}],
    }));
    plane.apply(&objects).await?;
    let pods: Api<Pod> = Api::namespaced(plane.client(User::Dev).await?, namespace);
    wait_for("dev to be let in", SOON, async || {
        pods.list(&ListParams::default()).await?;
        Ok(Some(()))
    })
    .await
}

async fn names(plane: &ControlPlane, namespace: &str, group: &str) -> Result<Vec<String>> {
    wait_for(&format!("pods of {group}"), SOON, async || {
        let pods = pods(plane, namespace, &format!("batchjobs-group={group}")).await?;
        let names: Option<Vec<String>> =
            pods.iter().map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect();
        Ok(names.filter(|names| !names.is_empty()))
    })
    .await
}

async fn explain(plane: &ControlPlane, namespace: &str, pod: &str) -> Result<String> {
    let (code, text) = run(plane, &format!("{namespace}/{pod}")).await?;
    ensure!(code == Some(0), "{code:?}: {text}");
    Ok(text)
}

/// Exit code, and all that it said.
async fn run(plane: &ControlPlane, pod: &str) -> Result<(Option<i32>, String)> {
    let kubeconfig = path(&plane.kubeconfig(User::Dev))?;
    let output = Command::new(program()).args(["explain", "pod", "--kubeconfig", &kubeconfig, pod]).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.code(), text))
}

fn says(text: &str, words: &[&str]) -> Result<()> {
    for words in words {
        ensure!(text.contains(words), "{words:?} is not said:\n{text}");
    }
    Ok(())
}
