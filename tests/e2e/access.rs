//! Who may talk to the API server, and how: users by token, kubeconfigs, clients, kubectl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Somebody with a token of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// May do everything (`system:masters`).
    Admin,
    /// May do what RBAC gives to `dev` or to the group `developers`: nothing at first.
    Dev,
    /// May do what RBAC gives to `operator` or to the group `operators`: nothing at first.
    Operator,
    /// kube-controller-manager; each controller in it uses its own service account, as in clusters made by kubeadm.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// kwok. A real kubelet is in `system:nodes`, which webhooks leave out, so kwok must be too.
    Kubelets,
}

impl User {
    /// All of them, for the token file.
    pub const ALL: [Self; 6] =
        [Self::Admin, Self::Dev, Self::Operator, Self::ControllerManager, Self::Scheduler, Self::Kubelets];

    /// The name as RBAC and `userInfo.username` have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Dev => "dev",
            Self::Operator => "operator",
            Self::ControllerManager => "system:kube-controller-manager",
            Self::Scheduler => "system:kube-scheduler",
            Self::Kubelets => "system:node:kwok",
        }
    }

    fn groups(self) -> &'static str {
        match self {
            Self::Admin => "system:masters",
            Self::Dev => "developers",
            Self::Operator => "operators",
            Self::ControllerManager | Self::Scheduler => "",
            Self::Kubelets => "system:nodes,system:masters",
        }
    }

    // The API server listens on loopback for the time of a test run, so a token may be known.
    fn token(self) -> String {
        format!("e2e-token-of-{}", self.file_stem())
    }

    fn file_stem(self) -> String {
        self.name().replace(':', "-")
    }
}

/// The content of `--token-auth-file`.
pub fn token_file() -> String {
    User::ALL.map(|user| format!("{},{},{},\"{}\"\n", user.token(), user.name(), user.name(), user.groups())).concat()
}

/// The address of the API server, and the kubeconfigs that lead to it.
pub struct Access {
    url: String,
    ca_file: PathBuf,
    folder: PathBuf,
    kubectl: PathBuf,
}

/// What kubectl answered.
#[derive(Debug)]
pub struct Output {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error: warnings of webhooks are here.
    pub stderr: String,
    command: String,
}

impl Output {
    /// The standard output of a kubectl that succeeded; else an error with all that it said.
    pub fn success(self) -> Result<String> {
        if self.code != 0 {
            bail!("{} ended with {}:\n{}{}", self.command, self.code, self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }

    /// The standard error of a kubectl that failed; else an error that says it should have.
    pub fn failure(self) -> Result<String> {
        if self.code == 0 {
            bail!("{} succeeded and should not have:\n{}{}", self.command, self.stdout, self.stderr);
        }
        Ok(self.stderr)
    }
}

impl Access {
    /// Writes a kubeconfig for every user into the folder.
    pub fn new(url: String, ca_file: PathBuf, folder: PathBuf, kubectl: PathBuf) -> Result<Self> {
        let access = Self { url, ca_file, folder, kubectl };
        for user in User::ALL {
            access.write_kubeconfig(&user.file_stem(), &user.token())?;
        }
        Ok(access)
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The kubeconfig of a user.
    pub fn kubeconfig(&self, user: User) -> PathBuf {
        self.folder.join(format!("{}.kubeconfig", user.file_stem()))
    }

    /// Writes `STEM.kubeconfig` for any bearer token, such as one of a service account.
    pub fn write_kubeconfig(&self, stem: &str, token: &str) -> Result<PathBuf> {
        let file = self.folder.join(format!("{stem}.kubeconfig"));
        let content = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": {"server": self.url, "certificate-authority": self.ca_file}}],
            "users": [{"name": stem, "user": {"token": token}}],
            "contexts": [{"name": stem, "context": {"cluster": "e2e", "user": stem, "namespace": "default"}}],
            "current-context": stem,
        });
        fs::write(&file, serde_json::to_vec_pretty(&content)?)?;
        Ok(file)
    }

    /// A client for a user.
    pub async fn client(&self, user: User) -> Result<Client> {
        client(&self.kubeconfig(user), |_| ()).await
    }

    /// A client that is seen as anybody, a controller's service account for instance: the admin impersonates them.
    pub async fn client_as(&self, name: &str, groups: &[&str]) -> Result<Client> {
        client(&self.kubeconfig(User::Admin), |config| {
            config.auth_info.impersonate = Some(name.to_owned());
            config.auth_info.impersonate_groups = Some(groups.iter().map(|&group| group.to_owned()).collect());
        })
        .await
    }

    /// Runs kubectl as a user, with `stdin` where given (`apply -f -`). It fails only when it cannot be run: ask the
    /// [`Output`] for success or failure.
    pub async fn kubectl(&self, user: User, args: &[&str], stdin: Option<&str>) -> Result<Output> {
        let mut child = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(self.kubeconfig(user))
            // Its default, ~/.kube/cache, would remember the API of an earlier run at the same port.
            .arg("--cache-dir")
            .arg(self.folder.join("kubectl-cache"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("run {}", self.kubectl.display()))?;
        let mut input = child.stdin.take().context("kubectl has no standard input")?;
        let feed = async {
            // A kubectl that ends without reading gives a broken pipe; its exit code tells more.
            let _ = input.write_all(stdin.unwrap_or_default().as_bytes()).await;
            drop(input);
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output?;
        Ok(Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            command: format!("kubectl {}", args.join(" ")),
        })
    }

    /// Runs a shell script in the project's folder, where `kubectl` is the admin's; it fails when one of the commands does.
    pub async fn script(&self, script: &str) -> Result<()> {
        let binaries = self.kubectl.parent().context("the folder of kubectl")?.to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(binaries).chain(std::env::split_paths(&path)))?;
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("PATH", path)
            .env("KUBECONFIG", self.kubeconfig(User::Admin))
            .env("KUBECACHEDIR", self.folder.join("kubectl-cache"))
            .kill_on_drop(true)
            .output()
            .await
            .context("run bash")?;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{}:\n{script}\n{stdout}{stderr}", output.status);
        Ok(())
    }

    /// Applies objects as the admin.
    pub async fn apply(&self, objects: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        self.kubectl(User::Admin, &["apply", "-f", "-"], Some(&list)).await?.success()?;
        Ok(())
    }
}

async fn client(kubeconfig: &Path, change: impl FnOnce(&mut Config)) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    change(&mut config);
    Ok(Client::try_from(config)?)
}
