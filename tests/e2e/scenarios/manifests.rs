//! The manifests as they are, Deployment and all: a real API server takes them, twice, and lets them go again.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::{Value, json};

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::install::{Setup, certs, documents, in_use, kustomize, manifest, path, repository, serve, service_account};
use crate::objects::{SOON, namespace, nodes, pods, set};
use crate::wait::wait_for;

/// What overlays/policies shows for PodProfiles with another namespaceSelector does that, and nothing else.
pub async fn widened_selector(plane: &ControlPlane) -> Result<()> {
    let overlay = manifest("manifests/overlays/policies/kustomization.yaml", &[])?;
    let example = overlay.split("  #\n").find(|part| part.starts_with("  # - target")).context("no example")?;
    let folder = plane.folder().join("widened");
    std::fs::create_dir(&folder)?;
    // kustomize takes relative paths only.
    let up = "../".repeat(folder.canonicalize()?.components().count() - 1);
    let install = format!("{up}{}", path(&repository("manifests/install").canonicalize()?)?.trim_start_matches('/'));
    let taken = overlay.replace(example, &example.replace("  # ", "  ")).replace("../../install", &install);
    std::fs::write(folder.join("kustomization.yaml"), taken)?;
    let built = plane.kubectl(User::Admin, &["kustomize", &path(&folder)?], None).await?.success()?;
    let shown = kustomize(plane, "manifests/overlays/policies").await?;
    let mut different = 0;
    for (mut now, before) in documents(&built)?.into_iter().zip(shown) {
        if now != before {
            let selector = "/webhooks/0/namespaceSelector/matchLabels";
            ensure!(now.pointer(selector) == Some(&json!({"example.com/scans": "true"})), "{now}");
            set(&mut now, selector, before.pointer(selector).context("a selector")?.clone());
            ensure!(now == before && now["kind"] == "MutatingWebhookConfiguration", "{now}");
            different += 1;
        }
    }
    ensure!(different == 1, "{different} objects are different");
    Ok(())
}

/// The first commands below these words in manifests/install/README.md.
fn install_readme(words: &str) -> Result<String> {
    let readme = manifest("manifests/install/README.md", &[])?;
    let (_, below) = readme.split_once(words).with_context(|| format!("no {words}"))?;
    let (_, commands) = below.split_once("```sh\n").with_context(|| format!("no commands below {words}"))?;
    Ok(commands.split("```").next().unwrap_or_default().to_owned())
}

/// The commands of manifests/install/README.md for a PKI of one's own, word for word: after them the API server reaches the webhook
/// by its Service, trusts its certificate for that name, and shows it the one that manifests/mtls has for it.
///
/// There are no machines behind a Service here, so this one is told to lead to an address of loopback; its port stays 443.
pub async fn own_pki_as_the_readme_says(plane: &ControlPlane) -> Result<()> {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = SocketAddr::from(([127, 44, high, low], 443));
    if let Err(error) = TcpListener::bind(address) {
        println!("    skipped: no listener at {address}: {error}");
        return Ok(());
    }
    let certs = certs(plane).await?;
    let commands = install_readme("**Certificate, by your own PKI.**")?;
    plane.script(&commands.replace("/path/to/folder", &path(&certs)?)).await?;

    let leads = json!({"spec": {"type": "ExternalName", "externalName": address.ip().to_string()}}).to_string();
    let service = ["-n", "supercargo", "patch", "service", "supercargo", "--type=merge", "-p", &leads];
    plane.kubectl(User::Admin, &service, None).await?.success()?;
    let kubeconfig = service_account(plane).await?;
    let clients = plane.folder().join("webhook-clients-by-service.crt");
    std::fs::write(&clients, plane.webhook_clients().by_service.pem())?;
    let args = ["--listen", &address.to_string(), "--client-ca", &path(&clients)?];
    let _webhook = serve(plane, &Setup { args: &args, ..Setup::default() }, &certs, &kubeconfig).await?;
    in_use(plane).await
}

/// `kubectl apply -k` of every folder, twice; two replicas on two nodes; the uninstallation of manifests/install/README.md.
pub async fn install_twice_and_uninstall(plane: &ControlPlane) -> Result<()> {
    nodes(plane, "node", 3, "4", "8Gi", 30).await?;
    let scans = namespace(plane, "scans", &[]).await?;
    let folders: [(&str, &[&str]); 5] = [
        ("manifests/install", &[]),
        ("manifests/rbac", &[]),
        ("manifests/efs", &[]),
        ("manifests/efs/clear-stale", &["-n", &scans]),
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

    let uninstall = install_readme("**Away with it.**")?;
    ensure!(uninstall.lines().filter(|line| line.starts_with("kubectl ")).count() == 2, "{uninstall}");
    plane.script(&uninstall).await.context("as README.md says")?;
    let namespaces: Api<Namespace> = Api::all(plane.admin());
    wait_for("namespace supercargo to be gone", SOON, async || {
        Ok(namespaces.get_opt("supercargo").await?.is_none().then_some(()))
    })
    .await
}
