//! The program under test, running as a webhook on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::processes::{Process, Program};
use crate::wait::wait_for;

/// A debug build on a busy machine.
const READY: Duration = Duration::from_secs(60);
/// From the answer to its line in the log.
const LOGGED: Duration = Duration::from_secs(30);

/// The program under test: `SUPERCARGO_BIN`, else the one built with the tests.
pub fn program() -> PathBuf {
    std::env::var_os("SUPERCARGO_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_supercargo")), PathBuf::from)
}

/// A running `supercargo serve`; dropping it kills it.
pub struct Webhook {
    process: Process,
    /// Where it answers the API server, with TLS.
    pub tls: SocketAddr,
    /// Where it answers kubelet and Prometheus, without TLS.
    pub http: SocketAddr,
}

impl Webhook {
    /// Starts `PROGRAM serve ARGS` on ports that the system picks, unless `--listen` is among `args`, and waits for `/readyz`;
    /// the log is `FOLDER/NAME.log`.
    pub async fn start(program: &Path, name: &str, folder: &Path, args: &[&str]) -> Result<Self> {
        let webhook = Self::start_unready(program, name, folder, args).await?;
        wait_for(&format!("/readyz of {name}"), READY, async || {
            if let Err(ended) = webhook.process.check_running() {
                return Ok(Some(Err(ended)));
            }
            let (status, body) = webhook.get("/readyz").await?;
            ensure!(status == 200, "{status}: {body}");
            Ok(Some(Ok(())))
        })
        .await
        .with_context(|| webhook.process.tail(20))??;
        Ok(webhook)
    }

    /// As [`Webhook::start`], but returns as soon as it listens.
    async fn start_unready(path: &Path, name: &str, folder: &Path, args: &[&str]) -> Result<Self> {
        let listen: &[&str] = if args.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let words = ["serve", "--http-listen", "127.0.0.1:0"];
        let args: Vec<String> = words.iter().chain(listen).chain(args).map(|&word| word.to_owned()).collect();
        let env = [("NO_COLOR", "1")];
        let process = Process::start(&Program { name, path, args: &args, env: &env }, folder)?;
        let (tls, http) = wait_for(&format!("{name} to listen"), READY, async || {
            if let Err(ended) = process.check_running() {
                return Ok(Some(Err(ended)));
            }
            Ok(addresses(&process.log()).map(Ok))
        })
        .await
        .with_context(|| process.tail(20))??;
        Ok(Self { process, tls, http })
    }

    /// GET from the plain listener: `/healthz`, `/readyz`, `/metrics`. Status and body.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        get(self.http, path).await
    }

    /// The sum of a metric's samples that have all these labels, in whole numbers; 0 when there is none yet.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        let (status, text) = self.get("/metrics").await?;
        ensure!(status == 200, "/metrics: {status}");
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let samples = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        let chosen = samples.filter(|line| labels.iter().all(|label| line.contains(label)));
        let values = chosen.filter_map(|line| line.rsplit(' ').next()?.split('.').next());
        values.map(|value| Ok(value.parse::<u64>()?)).sum()
    }

    /// What it has logged, once that has a line for every review that the metrics count by now: the program answers
    /// first, and a thread of its own writes the log.
    pub async fn log(&self) -> Result<String> {
        let reviews = usize::try_from(self.metric("supercargo_reviews_total", &[]).await?)?;
        wait_for(&format!("{reviews} reviews to be in the log"), LOGGED, async || {
            let log = self.process.log();
            let lines = log.lines().filter(|line| line.contains(" decision=")).count();
            Ok((lines >= reviews).then_some(log))
        })
        .await
    }

    /// Waits until it has logged a line that holds these words, and gives the last such line.
    pub async fn logged(&self, words: &str) -> Result<String> {
        wait_for(&format!("{words:?} in the log"), LOGGED, async || {
            Ok(self.process.log().lines().rfind(|line| line.contains(words)).map(str::to_owned))
        })
        .await
        .with_context(|| self.process.tail(10))
    }

    /// The process: [`Process::terminate`], [`Process::wait`], [`Process::kill`], [`Process::tail`].
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// Points every `clientConfig` of a webhook configuration at an address: its `service.path` becomes the path of the `url`.
///
/// A new configuration works after about a second: wait until a probe object is judged.
pub fn redirect(configuration: &mut Value, address: SocketAddr, ca_pem: &str) -> Result<()> {
    let webhooks = configuration.get_mut("webhooks").and_then(Value::as_array_mut);
    for webhook in webhooks.context("no webhooks in the configuration")? {
        let path = webhook.pointer("/clientConfig/service/path").and_then(Value::as_str).unwrap_or_default();
        let url = format!("https://{address}{path}");
        webhook["clientConfig"] = json!({"url": url, "caBundle": STANDARD.encode(ca_pem)});
    }
    Ok(())
}

/// Reads the addresses from the log: the lines that say `listening` and have `address=` (or `"address":`), the TLS
/// listener's first.
fn addresses(log: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut found = log.lines().filter(|line| line.contains("listening")).filter_map(|line| {
        let value = line.split_once("address")?.1.trim_start_matches(['"', '=', ':', ' ']);
        value.split(['"', ' ', ',', '}']).next()?.parse().ok()
    });
    Some((found.next()?, found.next()?))
}

pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0: the server closes after its answer, and never sends it in chunks.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
    let status = head.split(' ').nth(1).context("an answer without a status")?.parse()?;
    Ok((status, body.to_owned()))
}
