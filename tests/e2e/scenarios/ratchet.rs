//! What was there before Supercargo came stays changeable, and cannot be made worse.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::fixtures::{bare_container, deployment};
use crate::install::{Setup, install};
use crate::objects::{SOON, namespace, nodes, object, pods, refusal};
use crate::wait::wait_for;

/// A Deployment that breaks every rule, older than the webhook: scaled, labelled, restarted, its finalizer removed, its
/// pods made anew when their node is gone; and refused when a change makes it worse.
pub async fn keeps_old_deployments_going(plane: &ControlPlane) -> Result<()> {
    let namespace = namespace(plane, "legacy", &[]).await?;
    let names = nodes(plane, "node", 2, "4", "8Gi", 30).await?;
    let deployments: Api<Deployment> = Api::namespaced(plane.admin(), &namespace);
    let mut container = bare_container("app");
    container["env"] = json!([{"name": "DB_PASSWORD", "value": "correct-horse-battery-7"}]);
    let mut legacy = deployment("legacy", &container);
    legacy["metadata"]["finalizers"] = json!(["example.com/hold"]);
    deployments.create(&PostParams::default(), &object(legacy.clone())?).await?;
    running(plane, &namespace, 1).await?;

    let installed = install(plane, &Setup::default()).await?;
    let again = object(deployment("newcomer", &container))?;
    refusal(deployments.create(&PostParams::default(), &again).await).context("the same, but new")?;

    let kubectl = async |args: &[&str]| {
        let args: Vec<&str> = ["-n", namespace.as_str()].into_iter().chain(args.iter().copied()).collect();
        plane.kubectl(User::Admin, &args, None).await
    };
    kubectl(&["scale", "deployment/legacy", "--replicas=2"]).await?.success()?;
    running(plane, &namespace, 2).await?;
    let patched = kubectl(&["patch", "deployment", "legacy", "-p", r#"{"spec": {"replicas": 3}}"#]).await?;
    ensure!(patched.stderr.contains("it was there before"), "no warning about what was there: {patched:?}");
    patched.success()?;
    running(plane, &namespace, 3).await?;
    kubectl(&["label", "deployment", "legacy", "team=blue"]).await?.success()?;
    kubectl(&["annotate", "deployment", "legacy", "note=seen"]).await?.success()?;
    let before = hashes(plane, &namespace).await?;
    kubectl(&["rollout", "restart", "deployment/legacy"]).await?.success()?;
    kubectl(&["rollout", "status", "deployment/legacy", "--timeout=60s"]).await?.success()?;
    let after = hashes(plane, &namespace).await?;
    ensure!(after.iter().any(|hash| !before.contains(hash)), "no new ReplicaSet: {before:?}, {after:?}");

    made_worse(&deployments).await?;

    // The night in which a node dies: its pods go, and new ones come to the other node.
    let (gone, left) = (&names[0], &names[1]);
    let api: Api<Node> = Api::all(plane.admin());
    let running_pods: Api<Pod> = Api::namespaced(plane.admin(), &namespace);
    api.delete(gone, &DeleteParams::default()).await?;
    for pod in pods(plane, &namespace, "").await? {
        if pod["spec"]["nodeName"] == json!(gone) {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            running_pods.delete(name, &DeleteParams::default().grace_period(0)).await?;
        }
    }
    wait_for("3 pods on the node that is left", SOON, async || {
        let found = pods(plane, &namespace, "").await?;
        let there = found.iter().filter(|pod| is_running(pod) && pod["spec"]["nodeName"] == json!(left)).count();
        ensure!(there == 3, "{there} are");
        Ok(Some(()))
    })
    .await?;

    let hold = r#"{"metadata": {"finalizers": null}}"#;
    kubectl(&["delete", "deployment", "legacy", "--wait=false"]).await?.success()?;
    kubectl(&["label", "deployment", "legacy", "going=true"]).await?.success()?;
    kubectl(&["patch", "deployment", "legacy", "--type=merge", "-p", hold]).await?.success()?;
    wait_for("the Deployment to be gone", SOON, async || {
        Ok(deployments.get_opt("legacy").await?.is_none().then_some(()))
    })
    .await?;
    let eased = installed.webhook.metric("supercargo_reviews_total", &[("decision", "warned")]).await?;
    ensure!(eased > 0, "nothing was let pass with a warning, say the metrics");
    Ok(())
}

/// Every way to add a finding is refused, and only the new finding is named.
async fn made_worse(deployments: &Api<Deployment>) -> Result<()> {
    let container = |container: Value| json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    let variable = |name: &str, value: &str| json!({"name": "app", "env": [{"name": name, "value": value}]});
    let changes = [
        ("a container more", container(bare_container("sidecar")), "container sidecar: no memory limit"),
        ("a password more", container(variable("ADMIN_PASSWORD", "correct-horse-battery-8")), "ADMIN_PASSWORD"),
        // A new secret does not hide behind the old one.
        ("another password", container(variable("DB_PASSWORD", "correct-horse-battery-9")), "DB_PASSWORD"),
    ];
    for (what, patch, named) in changes {
        let result = deployments.patch("legacy", &PatchParams::default(), &Patch::Strategic(patch)).await;
        let status = refusal(result).context(what)?;
        ensure!(status.message.contains(named), "{what}: {named:?} is not in {}", status.message);
        ensure!(
            !status.message.contains("container app: no"),
            "{what}: refused for what was there: {}",
            status.message
        );
    }
    Ok(())
}

async fn running(plane: &ControlPlane, namespace: &str, count: usize) -> Result<()> {
    wait_for(&format!("{count} running pods in {namespace}"), SOON, async || {
        let running = pods(plane, namespace, "").await?.iter().filter(|pod| is_running(pod)).count();
        ensure!(running == count, "{running} are");
        Ok(Some(()))
    })
    .await
}

fn is_running(pod: &Value) -> bool {
    pod.pointer("/status/phase") == Some(&json!("Running")) && pod.pointer("/metadata/deletionTimestamp").is_none()
}

/// The template hashes of the pods that there are.
async fn hashes(plane: &ControlPlane, namespace: &str) -> Result<Vec<Value>> {
    let found = pods(plane, namespace, "").await?;
    Ok(found.iter().map(|pod| pod["metadata"]["labels"]["pod-template-hash"].clone()).collect())
}
