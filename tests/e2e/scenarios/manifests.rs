//! The manifests as they are, Deployment and all: a real API server takes them, twice, and lets them go again.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::Value;

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::install::{kustomize, path, repository};
use crate::objects::{SOON, namespace, nodes, pods};
use crate::wait::wait_for;

/// `kubectl apply -k` of every folder, twice; two replicas on two nodes; the uninstallation of manifests/install/README.md.
pub async fn install_twice_and_uninstall(plane: &ControlPlane) -> Result<()> {
    nodes(plane, "node", 3, "4", "8Gi", 30).await?;
    let scans = namespace(plane, "scans", &[]).await?;
    let folders: [(&str, &[&str]); 4] = [
        ("manifests/install", &[]),
        ("manifests/rbac", &[]),
        ("manifests/efs", &[]),
        ("manifests/networkpolicies", &["-n", &scans]),
    ];
    for (folder, namespace) in folders {
        let name = path(&repository(folder))?;
        let apply: Vec<&str> = ["apply", "-k", &name].into_iter().chain(namespace.iter().copied()).collect();
        plane.kubectl(User::Admin, &apply, None).await?.success()?;
        let again = plane.kubectl(User::Admin, &apply, None).await?.success()?;
        // kubectl sends a PodDisruptionBudget's selector every time (its patchStrategy is `replace`).
        let same = |line: &&str| line.ends_with(" unchanged") || line.starts_with("poddisruptionbudget.policy/");
        let changed: Vec<&str> = again.lines().filter(|line| !same(line)).collect();
        ensure!(changed.is_empty(), "{folder}, applied again: {changed:?}");
    }
    let kubectl = async |args: &[&str]| plane.kubectl(User::Admin, args, None).await?.success();
    kubectl(&["-n", "supercargo", "rollout", "status", "deployment/supercargo", "--timeout=60s"]).await?;
    let replicas = pods(plane, "supercargo", "app.kubernetes.io/name=supercargo").await?;
    let used: Vec<&Value> = replicas.iter().map(|pod| &pod["spec"]["nodeName"]).collect();
    ensure!(used.len() == 2 && used[0] != used[1], "the replicas are on {used:?}");

    // cert-manager and the Prometheus operator are not here, so what is for them is built and not applied.
    for folder in ["manifests/overlays/cert-manager", "manifests/monitoring"] {
        ensure!(!kustomize(plane, folder).await?.is_empty(), "{folder} is empty");
    }
    for overlay in ["fingerprints", "mtls", "policies"] {
        let folder = path(&repository("manifests/overlays").join(overlay))?;
        kubectl(&["apply", "--dry-run=server", "-k", &folder]).await.context(overlay)?;
    }

    kubectl(&["delete", "mutatingwebhookconfiguration,validatingwebhookconfiguration", "zz-supercargo"]).await?;
    let install = path(&repository("manifests/install"))?;
    // The configurations are gone by now.
    kubectl(&["delete", "--ignore-not-found", "--wait=false", "-k", &install]).await?;
    let namespaces: Api<Namespace> = Api::all(plane.admin());
    wait_for("namespace supercargo to be gone", SOON, async || {
        Ok(namespaces.get_opt("supercargo").await?.is_none().then_some(()))
    })
    .await
}
