//! Supercargo in the cluster, by our own manifests: RBAC, the ValidatingAdmissionPolicy, the webhook configurations.
//!
//! Only what needs machines is different: the program runs as a process on loopback instead of in the Deployment's pods,
//! with the rights of the Deployment's service account, and `clientConfig` leads to it by URL.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::fixtures::{bare_pod, scan_pod};
use crate::objects::{SOON, namespace, object, set};
use crate::wait::wait_for;
use crate::webhook::{Webhook, program, redirect};

/// The label of namespaces in which the built-in profile `scan` works.
pub const SCANS: (&str, &str) = ("supercargo.dev/scans", "true");

/// How an installation differs from the plain one.
#[derive(Default)]
pub struct Setup<'a> {
    /// Policies instead of the built-in ones.
    pub policies: Option<&'a Path>,
    /// Further arguments of `serve`.
    pub args: &'a [&'a str],
    /// Another program than [`program`].
    pub program: Option<&'a Path>,
}

/// Supercargo at work: its configurations are known to the API server, and objects are judged.
pub struct Installed {
    /// The running program.
    pub webhook: Webhook,
    /// What `supercargo certs` wrote.
    pub certs: PathBuf,
}

/// Installs it, and returns when a pod has been equipped and another one refused.
pub async fn install(plane: &ControlPlane, setup: &Setup<'_>) -> Result<Installed> {
    let certs = certs(plane).await?;
    let kubeconfig = base(plane).await?;
    let webhook = serve(plane, setup, &certs, &kubeconfig).await?;
    register(plane, webhook.tls, &certs.join("ca.crt"), |_| ()).await?;
    Ok(Installed { webhook, certs })
}

/// Runs `supercargo certs DIR` and returns DIR.
pub async fn certs(plane: &ControlPlane) -> Result<PathBuf> {
    let folder = plane.folder().join(format!("certs-{}", number()));
    let program = program();
    let output = Command::new(&program).arg("certs").arg(&folder).output().await;
    let output = output.with_context(|| format!("run {}", program.display()))?;
    ensure!(output.status.success(), "supercargo certs: {}", String::from_utf8_lossy(&output.stderr));
    Ok(folder)
}

/// Applies all of manifests/install but the Deployment and the webhook configurations; returns a kubeconfig with the
/// rights of the Deployment's service account.
pub async fn base(plane: &ControlPlane) -> Result<PathBuf> {
    let all = kustomize(plane, "manifests/install").await?;
    let base: Vec<Value> =
        all.into_iter().filter(|object| object["kind"] != "Deployment" && !is_configuration(object)).collect();
    // The namespace first: kustomize sorts so, and kubectl applies in order.
    plane.apply(&base).await?;
    service_account(plane).await
}

/// A kubeconfig with the rights of the Deployment's service account.
pub async fn service_account(plane: &ControlPlane) -> Result<PathBuf> {
    let token = plane
        .kubectl(User::Admin, &["-n", "supercargo", "create", "token", "supercargo"], None)
        .await?
        .success()
        .context("a token for the webhook's service account")?;
    plane.write_kubeconfig("supercargo", token.trim())
}

/// Starts `supercargo serve --cluster` and waits until it is ready.
pub async fn serve(plane: &ControlPlane, setup: &Setup<'_>, certs: &Path, kubeconfig: &Path) -> Result<Webhook> {
    let (cert, key) = (path(&certs.join("tls.crt"))?, path(&certs.join("tls.key"))?);
    let kubeconfig = path(kubeconfig)?;
    let mut args =
        vec!["--tls-cert", cert.as_str(), "--tls-key", &key, "--cluster", "--kubeconfig", kubeconfig.as_str()];
    let policies = setup.policies.map(path).transpose()?;
    if let Some(policies) = &policies {
        args.extend(["--policies", policies.as_str()]);
    }
    args.extend(setup.args);
    let program = setup.program.map_or_else(program, Path::to_owned);
    Webhook::start(&program, &format!("webhook-{}", number()), plane.folder(), &args).await
}

/// Applies the webhook configurations, pointed at `address` and changed by `change`, and waits until both kinds are in
/// use.
pub async fn register(
    plane: &ControlPlane,
    address: SocketAddr,
    ca_file: &Path,
    mut change: impl FnMut(&mut Value),
) -> Result<()> {
    let ca = std::fs::read_to_string(ca_file).with_context(|| format!("read {}", ca_file.display()))?;
    let mut configurations = kustomize(plane, "manifests/install").await?;
    configurations.retain(is_configuration);
    ensure!(configurations.len() == 2, "{} webhook configurations in manifests/install", configurations.len());
    for configuration in &mut configurations {
        redirect(configuration, address, &ca)?;
        change(configuration);
    }
    plane.apply(&configurations).await?;
    in_use(plane).await
}

/// Waits until both webhooks are called: the API server takes a moment to learn of a configuration.
pub async fn in_use(plane: &ControlPlane) -> Result<()> {
    let probe = namespace(plane, "probe", &[SCANS]).await?;
    let pods: Api<Pod> = Api::namespaced(plane.admin(), &probe);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let (scan, bare): (Pod, Pod) = (object(scan_pod("probe"))?, object(bare_pod("probe"))?);
    wait_for("a pod to be equipped", SOON, async || {
        let pod = pods.create(&dry_run, &scan).await?;
        Ok(pod.metadata.annotations.unwrap_or_default().contains_key("supercargo.dev/profile").then_some(()))
    })
    .await?;
    wait_for("a pod to be refused", SOON, async || match pods.create(&dry_run, &bare).await {
        Err(kube::Error::Api(status)) if status.message.contains("is refused") => Ok(Some(())),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(None),
    })
    .await
}

/// The objects of a folder, as kustomize builds them.
pub async fn kustomize(plane: &ControlPlane, folder: &str) -> Result<Vec<Value>> {
    let folder = path(&repository(folder))?;
    documents(&plane.kubectl(User::Admin, &["kustomize", &folder], None).await?.success()?)
}

/// The documents of a YAML text.
pub fn documents(yaml: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("not YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// A file of the repository, with words replaced.
pub fn manifest(file: &str, replace: &[(&str, &str)]) -> Result<String> {
    let text = std::fs::read_to_string(repository(file)).with_context(|| format!("read {file}"))?;
    Ok(replace.iter().fold(text, |text, (from, to)| text.replace(from, to)))
}

/// A namespace for scans, with the volume and the claim that manifests/efs gives to each.
pub async fn scan_namespace(plane: &ControlPlane, prefix: &str) -> Result<String> {
    let name = namespace(plane, prefix, &[SCANS]).await?;
    source_claim(plane, &name).await?;
    Ok(name)
}

/// Gives a namespace the volume and the claim of manifests/efs/scans-alpha.yaml, and waits until they are bound.
pub async fn source_claim(plane: &ControlPlane, name: &str) -> Result<()> {
    let mut objects = documents(&manifest("manifests/efs/scans-alpha.yaml", &[("scans-alpha", name)])?)?;
    // The namespace is there, and without Pod Security levels, which the pods of most scenarios do not mind.
    objects.retain(|object| object["kind"] != "Namespace");
    objects.extend(documents(&manifest("manifests/efs/storageclass.yaml", &[])?)?);
    plane.apply(&objects).await?;
    let claim = ["-n", name, "get", "persistentvolumeclaim", "scan-source", "-o", "jsonpath={.status.phase}"];
    wait_for(&format!("the claim of {name} to be bound"), SOON, async || {
        let phase = plane.kubectl(User::Admin, &claim, None).await?.success()?;
        ensure!(phase == "Bound", "it is {phase}");
        Ok(Some(()))
    })
    .await
}

/// A folder of policies: the built-in ones and more, `(file name, document)`.
pub fn policies(plane: &ControlPlane, more: &[(&str, Value)]) -> Result<PathBuf> {
    let folder = plane.folder().join(format!("policies-{}", number()));
    std::fs::create_dir(&folder)?;
    for name in ["baseline.yaml", "scan.yaml"] {
        std::fs::copy(repository("manifests/policies").join(name), folder.join(name))?;
    }
    for (name, document) in more {
        // JSON is YAML.
        std::fs::write(folder.join(name), document.to_string())?;
    }
    Ok(folder)
}

/// Makes every webhook of a configuration fail closed, so that no error of ours goes unseen.
pub fn fail_closed(configuration: &mut Value) {
    for webhook in configuration["webhooks"].as_array_mut().into_iter().flatten() {
        set(webhook, "/failurePolicy", json!("Fail"));
    }
}

fn is_configuration(object: &Value) -> bool {
    object["kind"].as_str().is_some_and(|kind| kind.ends_with("WebhookConfiguration"))
}

/// Where a file of the project is.
pub fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// A path as an argument.
pub fn path(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(path) => Ok(path.to_owned()),
        None => bail!("{} is not UTF-8", path.display()),
    }
}

/// Keeps the files of installations apart.
fn number() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed)
}
