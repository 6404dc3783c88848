//! The cluster itself, without a webhook: what the other scenarios stand on and compare with.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::objects::{Jobs, SOON, map, namespace, nodes};
use crate::wait::wait_for;

/// A Job's pod is made, bound, run and ended, as it would be in a cluster with machines.
pub async fn runs_a_job_to_succeeded(plane: &ControlPlane) -> Result<()> {
    let namespace = namespace(plane, "jobs", &[]).await?;
    nodes(plane, "node", 1, "4", "8Gi", 30).await?;
    let jobs = Jobs { namespace: &namespace, ..Jobs::default() };
    jobs.create(plane.admin()).await?;
    jobs.succeeded(plane).await?;

    let pods: Api<Pod> = Api::namespaced(plane.admin(), &namespace);
    let pods = pods.list(&ListParams::default()).await?.items;
    ensure!(pods.len() == 1, "{} pods", pods.len());
    let status = pods.into_iter().next().and_then(|pod| pod.status).unwrap_or_default();
    ensure!(status.phase.as_deref() == Some("Succeeded"), "phase {:?}", status.phase);
    // The controllers must act under their own service accounts: by these names supercargo tells them from a forger.
    let creator = plane
        .audit_log()?
        .iter()
        .find(|event| event["verb"] == "create" && event["objectRef"]["resource"] == "pods")
        .map(|event| event["user"]["username"].clone());
    ensure!(creator == Some("system:serviceaccount:kube-system:job-controller".into()), "created by {creator:?}");
    Ok(())
}

/// `dev` starts with no rights, gets what RBAC gives, and no more; a service account can be impersonated.
pub async fn gives_users_only_their_rights(plane: &ControlPlane) -> Result<()> {
    let namespace = namespace(plane, "rights", &[("team", "blue")]).await?;
    let get = ["-n", &namespace, "get", "configmaps", "-o", "name"];
    let refusal = plane.kubectl(User::Dev, &get, None).await?.failure()?;
    ensure!(refusal.contains("User \"dev\" cannot list"), "{refusal}");

    plane
        .apply(&[
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": {"name": "reader", "namespace": namespace},
                "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "reader", "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
                "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "developers"}],
            }),
        ])
        .await?;
    // The authorizer watches roles, so it knows them a moment later.
    wait_for("dev to be let in", SOON, async || plane.kubectl(User::Dev, &get, None).await?.success().map(Some))
        .await?;
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "mine", "namespace": namespace}, "data": map(&[("a", "b")]),
    });
    plane.kubectl(User::Dev, &["apply", "-f", "-"], Some(&config.to_string())).await?.failure()?;

    let controller = plane.client_as("system:serviceaccount:kube-system:root-ca-cert-publisher", &[]).await?;
    let maps: Api<ConfigMap> = Api::namespaced(controller, &namespace);
    ensure!(maps.get("kube-root-ca.crt").await.is_err(), "the publisher may create and update, not read");
    Ok(())
}
