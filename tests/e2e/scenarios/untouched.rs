//! What Supercargo keeps its hands off, and what happens while it is away.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::fixtures::{bare_container, deployment, good_container, scan_pod};
use crate::install::{SCANS, Setup, install, register, scan_namespace};
use crate::objects::{SOON, namespace, object, refusal};
use crate::wait::wait_for;

/// The system's namespaces, our own and those that a cluster needs to come back: nothing is added and nothing refused,
/// whatever labels somebody gives them. The webhook is not asked; and when it is, by a configuration without selectors, it
/// keeps its hands off by itself.
pub async fn leaves_the_system_alone(plane: &ControlPlane) -> Result<()> {
    let installed = install(plane, &Setup::default()).await?;
    let labels = json!({SCANS.0: SCANS.1, "supercargo.dev/fail-closed": "true"});
    let mut excluded = vec!["kube-system", "kube-public", "kube-node-lease", "supercargo"];
    let made = ["kube-e2e", "cert-manager", "karpenter", "cilium", "rook-ceph"];
    excluded.extend(made);
    for name in &made {
        plane.apply(&[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})]).await?;
    }
    let all: Api<Namespace> = Api::all(plane.admin());
    let asked = |log: &str, name: &str| log.contains(&format!("namespace=\"{name}\""));
    for name in &excluded {
        let change = Patch::Merge(json!({"metadata": {"labels": labels}}));
        all.patch(name, &PatchParams::default(), &change).await?;
    }
    for name in &excluded {
        passes_untouched(plane, name).await?;
    }
    let log = installed.webhook.log().await?;
    ensure!(!excluded.iter().any(|name| asked(&log, name)), "the webhook was asked about a namespace that is left out");

    register(plane, installed.webhook.tls, &installed.certs.join("ca.crt"), |configuration| {
        for webhook in configuration["webhooks"].as_array_mut().into_iter().flatten() {
            webhook["namespaceSelector"] = json!({});
            webhook["matchConditions"] = json!([]);
        }
    })
    .await?;
    // A dry run changes nothing, so asking until the new configuration is known does no harm.
    wait_for("the webhook to be asked about all of them", SOON, async || {
        for name in &excluded {
            passes_untouched(plane, name).await?;
        }
        let log = installed.webhook.log().await?;
        Ok(excluded.iter().all(|name| asked(&log, name)).then_some(()))
    })
    .await?;
    let back = Patch::Merge(json!({"metadata": {"labels": {SCANS.0: null, "supercargo.dev/fail-closed": null}}}));
    for name in &excluded {
        all.patch(name, &PatchParams::default(), &back).await?;
    }
    Ok(())
}

/// A scan pod, a bad Deployment and a secret in a ConfigMap pass in this namespace, as they are.
async fn passes_untouched(plane: &ControlPlane, namespace: &str) -> Result<()> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let pod: Pod = object(scan_pod("scan"))?;
    let wrong: Deployment = object(deployment("wrong", &bare_container("app")))?;
    let secret: ConfigMap = object(json!({"metadata": {"name": "wrong"}, "data": {"DB_PASSWORD": "correct-horse-7"}}))?;
    // No service account is there yet where the namespace is new; dry runs go through all of admission.
    let pods: Api<Pod> = Api::namespaced(plane.admin(), namespace);
    let created = wait_for(&format!("a pod in {namespace}"), SOON, async || match pods.create(&dry_run, &pod).await {
        // Its own Pod Security level, and not ours to judge.
        Err(kube::Error::Api(status)) if status.message.contains("PodSecurity") => Ok(Some(None)),
        result => Ok(Some(Some(result?))),
    })
    .await?;
    if let Some(pod) = created {
        ensure!(pod.spec.is_some_and(|spec| spec.affinity.is_none()), "a pod in {namespace} was equipped");
    }
    let deployments: Api<Deployment> = Api::namespaced(plane.admin(), namespace);
    deployments.create(&dry_run, &wrong).await.with_context(|| format!("a Deployment in {namespace}"))?;
    let maps: Api<ConfigMap> = Api::namespaced(plane.admin(), namespace);
    maps.create(&dry_run, &secret).await.with_context(|| format!("a ConfigMap in {namespace}"))?;
    Ok(())
}

/// Without the webhook pods and workloads pass as if it was not installed; where a namespace asks to fail closed, nothing
/// new comes in, and the message names the webhook that is missing.
pub async fn webhook_away(plane: &ControlPlane) -> Result<()> {
    let open = scan_namespace(plane, "open").await?;
    let closed = namespace(plane, "closed", &[("supercargo.dev/fail-closed", "true")]).await?;
    let installed = install(plane, &Setup::default()).await?;
    let good: Deployment = object(deployment("good", &good_container("app")))?;
    let wrong: Deployment = object(deployment("wrong", &bare_container("app")))?;
    let deployments = |namespace: &str| -> Api<Deployment> { Api::namespaced(plane.admin(), namespace) };
    let create = PostParams::default();
    deployments(&closed).create(&create, &good).await.context("good, while the webhook is there")?;
    refusal(deployments(&closed).create(&create, &wrong).await).context("wrong, fail closed")?;
    refusal(deployments(&open).create(&create, &wrong).await).context("wrong, fail open")?;

    installed.webhook.process().kill();
    deployments(&open).create(&create, &wrong).await.context("fail open")?;
    let pods: Api<Pod> = Api::namespaced(plane.admin(), &open);
    let pod = pods.create(&create, &object(scan_pod("scan"))?).await.context("a pod, fail open")?;
    ensure!(pod.spec.is_some_and(|spec| spec.affinity.is_none()), "equipped by a webhook that is gone");
    // What our alert looks at.
    let metrics = plane.kubectl(User::Admin, &["get", "--raw", "/metrics"], None).await?.success()?;
    let passed = r#"apiserver_admission_webhook_fail_open_count{name="mutate.supercargo.dev""#;
    ensure!(metrics.contains(passed), "the API server does not count what passes unjudged");
    let maps: Api<ConfigMap> = Api::namespaced(plane.admin(), &closed);
    let map = object(json!({"metadata": {"name": "settings"}, "data": {"LOG_LEVEL": "info"}}))?;
    maps.create(&create, &map).await.context("ConfigMaps never fail closed")?;

    let args = ["-n", &closed, "create", "deployment", "late", "--image=registry.example/app:1"];
    let stderr = plane.kubectl(User::Admin, &args, None).await?.failure()?;
    for text in ["failed calling webhook", "workloads-fail-closed.supercargo.dev", "connection refused"] {
        ensure!(stderr.contains(text), "no {text:?} in {stderr}");
    }
    // What the other alert looks at.
    let metrics = plane.kubectl(User::Admin, &["get", "--raw", "/metrics"], None).await?.success()?;
    let counted = |line: &&str| {
        ["rejection_count{", r#"error_type="calling_webhook_error""#, r#"name="workloads-fail-closed.supercargo.dev""#]
            .iter()
            .all(|part| line.contains(part))
    };
    ensure!(metrics.lines().find(counted).is_some(), "the API server does not count what it refuses unjudged");
    // A new namespace gets its root CA all the same.
    namespace(plane, "born-meanwhile", &[("supercargo.dev/fail-closed", "true")]).await?;
    Ok(())
}
