//! A real control plane on loopback: etcd, API server, controller manager, scheduler, and kwok for the kubelets.
//!
//! Owns their order and their life; `components` knows the flags of each. What is done in the cluster stands in
//! `objects`, who may do it in `access`.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use serde_json::Value;
use tempfile::TempDir;

use crate::access::{Access, User};
use crate::components::{Files, Started};
use crate::pki::WebhookClients;
use crate::processes::Process;

/// A port that was free may be taken before the program binds it; then all is started anew.
const ATTEMPTS: usize = 3;

/// What differs between one control plane and another.
#[derive(Clone, Debug)]
pub struct Options {
    /// The API server shows webhooks a client certificate of [`ControlPlane::webhook_clients`] (when they ask for one).
    pub webhook_client_certificate: bool,
    /// How long a pod of a Job runs that does not say so in annotation `e2e.supercargo.dev/run-for`.
    pub job_duration: Duration,
    /// The scheduler scores nodes by how full they are (`NodeResourcesFit`, MostAllocated).
    pub most_allocated: bool,
    /// Further flags of the API server, `--name=value`.
    pub apiserver_args: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            webhook_client_certificate: true,
            job_duration: Duration::from_secs(1),
            most_allocated: false,
            apiserver_args: Vec::new(),
        }
    }
}

/// A running control plane; dropping it ends its processes and removes its folder.
///
/// Derefs to [`Access`]: `plane.client(User::Dev)`, `plane.kubectl(..)`.
pub struct ControlPlane {
    // Fields are dropped in this order: whoever calls goes before whom it calls. An etcd that goes first while the API
    // server still holds connections was seen to keep its port for more than a minute.
    processes: Vec<Process>,
    access: Access,
    admin: Client,
    webhook_clients: WebhookClients,
    version: String,
    folder: Folder,
}

impl Deref for ControlPlane {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl ControlPlane {
    /// Builds what is not built yet, starts all five and waits until pods can be created.
    pub async fn start(options: &Options) -> Result<Self> {
        let binaries = binaries()?;
        let mut attempt = 1;
        loop {
            match Self::try_start(&binaries, options).await {
                Err(error) if attempt < ATTEMPTS && format!("{error:#}").contains("address already in use") => {
                    eprintln!("a port was taken meanwhile, starting anew: {error:#}");
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn try_start(binaries: &Path, options: &Options) -> Result<Self> {
        let folder = Folder::new()?;
        let dir = folder.path();
        let webhook_clients = WebhookClients::new()?;
        let files = Files::write(dir, options, &webhook_clients)?;

        let mut started = Started::default();
        let etcd_url = started.etcd(binaries, dir)?;
        let url = started.api_server(binaries, dir, options, &files, &etcd_url)?;
        let access = Access::new(url, files.cluster_ca.clone(), dir.to_owned(), binaries.join("kubectl"))?;
        let admin = access.client(User::Admin).await?;
        started
            .wait_for("the API server to be ready", async || {
                let request = http_get("/readyz")?;
                Ok((admin.request_text(request).await? == "ok").then_some(()))
            })
            .await?;
        let version = admin.apiserver_version().await?.git_version;

        started.controller_manager(binaries, dir, &access, &files)?;
        started.scheduler(binaries, dir, &access, options)?;
        started.kwok(binaries, dir, &access, options)?;
        let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), "default");
        started.wait_for("the default service account", async || Ok(accounts.get_opt("default").await?)).await?;
        Ok(Self { processes: started.in_order_of_end(), access, admin, webhook_clients, version, folder })
    }

    /// The client of the admin.
    pub fn admin(&self) -> Client {
        self.admin.clone()
    }

    /// Such as `v1.36.3`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Issue what the API server shows to webhooks: the `pem` of one is a webhook's `--client-ca`.
    pub fn webhook_clients(&self) -> &WebhookClients {
        &self.webhook_clients
    }

    /// Where files of tests may be put; it goes with the control plane.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What was asked to be written, a JSON object a line, level Metadata: `auditAnnotations` of webhooks are in it
    /// under `annotations`.
    pub fn audit_log(&self) -> Result<Vec<Value>> {
        let log = fs::read_to_string(self.folder().join("audit.log"))?;
        // The last line may still be on its way.
        Ok(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Seconds of CPU that the scheduler has used.
    pub fn scheduler_cpu(&self) -> Result<f64> {
        let scheduler = self.processes.iter().find(|process| process.name() == "kube-scheduler");
        scheduler.context("no scheduler")?.cpu()
    }

    /// Fails with the end of its log when one of the five has ended.
    pub fn check_running(&self) -> Result<()> {
        self.processes.iter().try_for_each(Process::check_running)
    }

    /// Leaves logs and kubeconfigs in place when the control plane ends, for a person to read; returns the folder.
    pub fn keep_folder(&mut self) -> PathBuf {
        self.folder.keep()
    }
}

/// A GET request without a body.
pub fn http_get(path: &str) -> Result<hyper::Request<Vec<u8>>> {
    Ok(hyper::Request::get(path).body(Vec::new())?)
}

/// The temporary folder. Without etcd's data, which is large and tells nothing, when it is kept.
struct Folder(TempDir);

impl Folder {
    fn new() -> Result<Self> {
        Ok(Self(TempDir::with_prefix("supercargo-e2e-")?))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn keep(&mut self) -> PathBuf {
        self.0.disable_cleanup(true);
        self.path().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is missing when the start failed early.
        let _ = fs::remove_dir_all(self.path().join("etcd"));
    }
}

/// The folder of the programs, built when they are not there.
fn binaries() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/controlplane/build.sh");
    let output =
        Command::new(&script).stderr(Stdio::inherit()).output().with_context(|| format!("run {}", script.display()))?;
    ensure!(output.status.success(), "{} failed ({})", script.display(), output.status);
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}
