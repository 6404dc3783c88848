//! A server under test: a child process with a certificate, and what /proc says of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::load::{Client, Connection, Message};

/// Files that both servers and the client use.
pub struct Harbour {
    folder: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
    facts: PathBuf,
    tls: Arc<ClientConfig>,
}

/// What the image sets; both servers get it.
fn environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    let (_, last_stage) = include_str!("../../Dockerfile").rsplit_once("\nFROM ").unwrap_or_default();
    last_stage.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='))
}

/// A running server; dropping it ends it.
pub struct Target {
    pub name: &'static str,
    pub client: Client,
    process: Child,
    /// The CPU of each thread, by its id.
    threads: RefCell<HashMap<OsString, f64>>,
}

impl Harbour {
    /// A fresh CA, a certificate for localhost, and the facts of the namespace `scans`.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &ca)?;

        let folder = tempfile::tempdir()?;
        let file = |name: &str, text: &str| -> io::Result<PathBuf> {
            let path = folder.path().join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        let certificate = file("tls.crt", &leaf.pem())?;
        let key = file("tls.key", &key.serialize_pem())?;
        let facts = file("facts.yaml", include_str!("facts.yaml"))?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Harbour { folder, certificate, key, facts, tls: Arc::new(tls) })
    }

    /// Starts this very program as the echo.
    pub fn echo(&self) -> Result<Target> {
        let mut command = Command::new(std::env::current_exe()?);
        let address = free_address()?;
        command.arg("echo").arg(address.to_string()).arg(&self.certificate).arg(&self.key);
        self.start("echo", address, &mut command)
    }

    /// Starts the release binary, or the one that `SUPERCARGO_BIN` names, with facts from a file.
    pub fn supercargo(&self) -> Result<Target> {
        self.serve(free_address()?, ["--facts".as_ref(), self.facts.as_os_str()])
    }

    /// The same with the built-in policies, but for the rules that look for secrets.
    pub fn blind(&self) -> Result<Target> {
        let folder = self.folder.path().join("blind");
        fs::create_dir_all(&folder)?;
        let mut baseline = include_str!("../../manifests/policies/baseline.yaml").to_owned();
        for rule in ["embedded-secret", "weak-credential", "too-large-to-judge"] {
            let (before, after) = baseline.split_once(&format!("    {rule}:\n")).context("a rule of baseline.yaml")?;
            // What it is set to: the one line below.
            baseline = before.to_owned() + after.split_once('\n').map_or("", |(_, rest)| rest);
        }
        fs::write(folder.join("baseline.yaml"), baseline)?;
        fs::write(folder.join("scan.yaml"), include_str!("../../manifests/policies/scan.yaml"))?;
        let more = ["--facts".as_ref(), self.facts.as_os_str(), "--policies".as_ref(), folder.as_os_str()];
        let mut target = self.serve(free_address()?, more)?;
        target.name = "blind";
        Ok(target)
    }

    /// The same with other arguments, and /metrics at `http`.
    pub fn serve<'a>(&self, http: SocketAddr, more: impl IntoIterator<Item = &'a OsStr>) -> Result<Target> {
        let binary = std::env::var_os("SUPERCARGO_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_supercargo").into());
        let mut command = Command::new(binary);
        let address = free_address()?;
        command.args(["serve", "--listen", &address.to_string(), "--http-listen", &http.to_string()]);
        command.arg("--tls-cert").arg(&self.certificate).arg("--tls-key").arg(&self.key).args(more);
        self.start("supercargo", address, &mut command)
    }

    fn start(&self, name: &'static str, address: SocketAddr, command: &mut Command) -> Result<Target> {
        // A pipe that somebody reads is what a container's log is, too.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).current_dir(self.folder.path());
        command.envs(environment());
        let mut process = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        if let Some(mut log) = process.stderr.take() {
            thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        }
        let client = Client { address, tls: Arc::clone(&self.tls) };
        Ok(Target { name, client, process, threads: RefCell::default() })
    }
}

impl Target {
    /// Waits until `message` is answered.
    pub fn ready(&mut self, message: &Message) -> Result<Vec<u8>> {
        let began = Instant::now();
        loop {
            let asked = Connection::open(&self.client).and_then(|mut connection| Ok(connection.ask(message)?.to_vec()));
            match asked {
                Ok(answer) => return Ok(answer),
                Err(_) if began.elapsed() < Duration::from_secs(10) => thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(error.context(format!("{} does not answer", self.name))),
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended with {status}", self.name);
            }
        }
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.process.id().to_string()).join(file)
    }

    /// Milliseconds of CPU so far, to the nanosecond (`/proc/PID/stat` has ticks of 10 ms); of a thread that has ended since this was asked last
    /// what was known of it then.
    pub fn cpu(&self) -> Result<f64> {
        let mut threads = self.threads.borrow_mut();
        for thread in fs::read_dir(self.proc("task"))? {
            let thread = thread?;
            // One that has just ended has no such file.
            let Ok(spent) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let nanoseconds: f64 = spent.split_whitespace().next().context("schedstat")?.parse()?;
            threads.insert(thread.file_name(), nanoseconds / 1e6);
        }
        Ok(threads.values().sum())
    }

    /// Resident memory now (`VmRSS`) or at its highest (`VmHWM`), in MB of 10⁶ bytes.
    pub fn memory(&self, field: &str) -> Result<f64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0 / 1e6)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The port is free again a moment before the server takes it; nobody else takes ports of 127.0.0.1 in the meantime.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
