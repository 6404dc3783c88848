//! The programs of the control plane: their flags, their files, the ports they get.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::access::{Access, User, token_file};
use crate::controlplane::Options;
use crate::pki::{Ca, WebhookClients};
use crate::processes::{Process, Program};
use crate::wait::wait_for;

/// Measured: 4 s on an idle machine. Compilers may be running beside the tests.
const START: Duration = Duration::from_secs(120);

/// The files that the API server and the controller manager are started with.
pub struct Files {
    /// Whom the API server's certificate is from.
    pub cluster_ca: PathBuf,
    serving: (PathBuf, PathBuf),
    service_account: (PathBuf, PathBuf),
    tokens: PathBuf,
    audit_policy: PathBuf,
    admission: Option<PathBuf>,
}

impl Files {
    /// Makes the certificates and writes all of them into the folder.
    pub fn write(dir: &Path, options: &Options, webhook_clients: &WebhookClients) -> Result<Self> {
        let ca = Ca::new("supercargo e2e cluster")?;
        let serving = ca.server(&["127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1"])?;
        let key = KeyPair::generate()?;
        // The API server reads a public key here: it takes a private one in its place only in PKCS #1 or SEC 1.
        let service_account = (
            file(dir, "service-account.pub", &key.public_key_pem())?,
            file(dir, "service-account.key", &key.serialize_pem())?,
        );
        let audit_policy = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "verbs": ["create", "update", "patch", "delete"]}, {"level": "None"}],
        });
        Ok(Self {
            cluster_ca: file(dir, "ca.crt", &ca.pem())?,
            serving: serving.write(dir, "kube-apiserver")?,
            service_account,
            tokens: file(dir, "tokens.csv", &token_file())?,
            audit_policy: file(dir, "audit-policy.yaml", &audit_policy.to_string())?,
            admission: if options.webhook_client_certificate { Some(admission(dir, webhook_clients)?) } else { None },
        })
    }
}

/// Writes the `AdmissionConfiguration` that makes the API server show webhooks a client certificate: that of manifests/mtls, with paths of
/// our own, and another certificate for webhooks that it calls by a URL.
fn admission(dir: &Path, webhook_clients: &WebhookClients) -> Result<PathBuf> {
    const FOLDER: &str = "/etc/kubernetes/supercargo";
    let written = |ca: &Ca, stem: &str| -> Result<(String, String)> {
        let (cert, key) = ca.client("kube-apiserver")?.write(dir, stem)?;
        Ok((cert.display().to_string(), key.display().to_string()))
    };
    let (cert, key) = written(&webhook_clients.by_service, "webhook-client-by-service")?;
    let replaced = |text: &str, changes: &[(&str, &str)]| {
        changes.iter().try_fold(text.to_owned(), |text, (from, to)| {
            ensure!(text.contains(from), "there is no {from} in a sample of manifests/mtls");
            Ok(text.replace(from, to))
        })
    };
    let kubeconfig = replaced(
        include_str!("../../manifests/mtls/webhook-kubeconfig.yaml"),
        &[(&format!("{FOLDER}/client.crt"), &cert), (&format!("{FOLDER}/client.key"), &key)],
    )?;
    let mut kubeconfig: Value = serde_saphyr::from_str(&kubeconfig).context("the kubeconfig of manifests/mtls")?;
    // A user's name is the host of the webhook; the ports in URLs are not known yet, and `*` is all that are not named.
    let (cert, key) = written(&webhook_clients.by_url, "webhook-client-by-url")?;
    let by_url = json!({"name": "*", "user": {"client-certificate": cert, "client-key": key}});
    kubeconfig["users"].as_array_mut().context("users in the kubeconfig of manifests/mtls")?.push(by_url);
    let kubeconfig = file(dir, "webhook-client.kubeconfig", &kubeconfig.to_string())?.display().to_string();
    let configuration = replaced(
        include_str!("../../manifests/mtls/admission-configuration.yaml"),
        &[(&format!("{FOLDER}/webhook-kubeconfig.yaml"), &kubeconfig)],
    )?;
    file(dir, "admission.yaml", &configuration)
}

/// The processes so far, in the order of their start.
#[derive(Default)]
pub struct Started(Vec<Process>);

impl Started {
    /// Starts etcd and returns its URL.
    pub fn etcd(&mut self, binaries: &Path, dir: &Path) -> Result<String> {
        let [client, peer] = free_ports()?.map(|port| format!("http://127.0.0.1:{port}"));
        let program = if binaries.join("etcd").is_file() { "etcd" } else { "server" };
        self.run(
            "etcd",
            &binaries.join(program),
            dir,
            &[
                flag("--data-dir", dir.join("etcd").display()),
                flag("--listen-client-urls", &client),
                flag("--advertise-client-urls", &client),
                flag("--listen-peer-urls", &peer),
                flag("--initial-advertise-peer-urls", &peer),
                flag("--initial-cluster", format!("default={peer}")),
                "--unsafe-no-fsync".to_owned(),
                flag("--log-level", "warn"),
            ],
        )?;
        Ok(client)
    }

    /// Starts the API server and returns its URL.
    pub fn api_server(
        &mut self,
        binaries: &Path,
        dir: &Path,
        options: &Options,
        files: &Files,
        etcd_url: &str,
    ) -> Result<String> {
        let [port] = free_ports()?;
        let mut args = vec![
            flag("--etcd-servers", etcd_url),
            flag("--secure-port", port),
            flag("--bind-address", "127.0.0.1"),
            flag("--advertise-address", "127.0.0.1"),
            // It would publish 127.0.0.1 as an endpoint, which the API itself refuses.
            flag("--endpoint-reconciler-type", "none"),
            flag("--service-cluster-ip-range", "10.96.0.0/16"),
            flag("--authorization-mode", "RBAC"),
            flag("--token-auth-file", files.tokens.display()),
            flag("--tls-cert-file", files.serving.0.display()),
            flag("--tls-private-key-file", files.serving.1.display()),
            flag("--service-account-issuer", "https://kubernetes.default.svc"),
            flag("--service-account-key-file", files.service_account.0.display()),
            flag("--service-account-signing-key-file", files.service_account.1.display()),
            // It gives new nodes a not-ready taint, which the node lifecycle controller, not running here, takes away.
            flag("--disable-admission-plugins", "TaintNodesByCondition"),
            flag("--audit-policy-file", files.audit_policy.display()),
            flag("--audit-log-path", dir.join("audit.log").display()),
        ];
        args.extend(files.admission.iter().map(|path| flag("--admission-control-config-file", path.display())));
        args.extend(options.apiserver_args.iter().cloned());
        self.run("kube-apiserver", &binaries.join("kube-apiserver"), dir, &args)?;
        Ok(format!("https://127.0.0.1:{port}"))
    }

    /// Starts the controller manager.
    pub fn controller_manager(&mut self, binaries: &Path, dir: &Path, access: &Access, files: &Files) -> Result<()> {
        // Fake nodes send no heartbeats and have neither addresses nor a cloud.
        let controllers = "*,-node-lifecycle-controller,-taint-eviction-controller,-node-ipam-controller,\
                           -node-route-controller,-service-lb-controller,-cloud-node-lifecycle-controller";
        self.run(
            "kube-controller-manager",
            &binaries.join("kube-controller-manager"),
            dir,
            &[
                flag("--kubeconfig", access.kubeconfig(User::ControllerManager).display()),
                flag("--controllers", controllers),
                flag("--use-service-account-credentials", true),
                flag("--service-account-private-key-file", files.service_account.1.display()),
                flag("--root-ca-file", files.cluster_ca.display()),
                flag("--leader-elect", false),
                flag("--kube-api-qps", 500),
                flag("--kube-api-burst", 1000),
                // No port of its own: nobody asks it anything.
                flag("--secure-port", 0),
            ],
        )
    }

    /// Starts the scheduler.
    pub fn scheduler(&mut self, binaries: &Path, dir: &Path, access: &Access, options: &Options) -> Result<()> {
        let mut configuration = json!({
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": access.kubeconfig(User::Scheduler), "qps": 500, "burst": 1000},
            "leaderElection": {"leaderElect": false},
        });
        if options.most_allocated {
            let strategy = json!({"type": "MostAllocated", "resources": [{"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1}]});
            let plugin = json!({"name": "NodeResourcesFit", "args": {"scoringStrategy": strategy}});
            configuration["profiles"] = json!([{"schedulerName": "default-scheduler", "pluginConfig": [plugin]}]);
        }
        let file = file(dir, "scheduler.yaml", &configuration.to_string())?;
        self.run(
            "kube-scheduler",
            &binaries.join("kube-scheduler"),
            dir,
            &[flag("--config", file.display()), flag("--secure-port", 0)],
        )
    }

    /// Starts kwok with the stages of `stages.yaml`.
    pub fn kwok(&mut self, binaries: &Path, dir: &Path, access: &Access, options: &Options) -> Result<()> {
        let stages = include_str!("stages.yaml").replace(
            "durationMilliseconds: 1000",
            &format!("durationMilliseconds: {}", options.job_duration.as_millis()),
        );
        let file = file(dir, "stages.yaml", &stages)?;
        self.run(
            "kwok",
            &binaries.join("kwok"),
            dir,
            &[
                flag("--kubeconfig", access.kubeconfig(User::Kubelets).display()),
                flag("--config", file.display()),
                "--manage-all-nodes".to_owned(),
            ],
        )
    }

    fn run(&mut self, name: &str, path: &Path, dir: &Path, args: &[String]) -> Result<()> {
        // kwok and kubectl look into the home folder for settings.
        let env = [("HOME", dir.to_str().context("the temporary folder's name is not UTF-8")?)];
        self.0.push(Process::start(&Program { name, path, args, env: &env }, dir)?);
        Ok(())
    }

    /// As [`wait_for`], and gives up as soon as one of the processes has ended.
    pub async fn wait_for<T>(&self, what: &str, mut probe: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
        let waited = wait_for(what, START, async || match self.0.iter().try_for_each(Process::check_running) {
            Err(ended) => Ok(Some(Err(ended))),
            Ok(()) => Ok(probe().await?.map(Ok)),
        })
        .await;
        match waited {
            Ok(result) => result,
            Err(late) => {
                let tails: Vec<String> = self.0.iter().map(|process| process.tail(8)).collect();
                bail!("{late:#}\n{}", tails.join("\n"))
            }
        }
    }

    /// The processes, each before the one that it calls.
    pub fn in_order_of_end(mut self) -> Vec<Process> {
        self.0.reverse();
        std::mem::take(&mut self.0)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // A Vec drops from its front: etcd first, which is the wrong end.
        while self.0.pop().is_some() {}
    }
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("{name}={value}")
}

fn file(dir: &Path, name: &str, content: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// Ports that the system says are free. All are held until the last is known, so no two are the same.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
