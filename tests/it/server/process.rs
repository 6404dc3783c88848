//! The program itself: signals, exit codes, and what its log says.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use supercargo::pki::Issued;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Client, eventually, full, get, metric, post};
use super::running::{issue, review, write_pair};

/// `supercargo serve` on ports of the system's choice; dropping it kills it.
pub struct Serve {
    child: Child,
    pub webhook: SocketAddr,
    pub http: SocketAddr,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Serve {
    pub fn start(folder: &Path, issued: &Issued, more: &[&str]) -> Serve {
        Serve::start_by(Command::new(env!("CARGO_BIN_EXE_supercargo")), folder, issued, more)
    }

    /// By a shell that sets limits of open files first.
    fn start_limited(ulimit: &str, folder: &Path, issued: &Issued) -> Serve {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!(r#"{ulimit}; exec "$0" "$@""#), env!("CARGO_BIN_EXE_supercargo")]);
        Serve::start_by(shell, folder, issued, &[])
    }

    fn start_by(mut command: Command, folder: &Path, issued: &Issued, more: &[&str]) -> Serve {
        write_pair(folder, &issued.server);
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--tls-cert"])
            .arg(folder.join("tls.crt"))
            .arg("--tls-key")
            .arg(folder.join("tls.key"))
            .args(more)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let mut addresses = Vec::new();
        while addresses.len() < 2 {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended: {}", log.lock().unwrap());
            log.lock().unwrap().push_str(&line);
            if let Some((_, rest)) = line.split_once("address").filter(|_| line.contains("listening")) {
                let text = rest.trim_start_matches(['=', '"', ':']);
                let end = text.find(|c: char| c == '"' || c.is_whitespace()).unwrap_or(text.len());
                addresses.push(text[..end].parse().unwrap());
            }
        }
        let sink = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).unwrap_or(0) > 0 {
                sink.lock().unwrap().push_str(&line);
                line.clear();
            }
            let _ = lines.read_to_string(&mut sink.lock().unwrap());
        });
        Serve { child, webhook: addresses[0], http: addresses[1], log, reader: Some(reader) }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Exit code and log.
    async fn ended(&mut self) -> (Option<i32>, String) {
        let child = &mut self.child;
        eventually("it ends", async || child.try_wait().unwrap().is_some()).await;
        let code = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        (code, self.log.lock().unwrap().clone())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn sigterm_loses_no_request() {
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    let mut serve = Serve::start(folder.path(), &issued, &["--drain-delay", "4", "--body-timeout", "30"]);
    let client = Client::new(serve.webhook, &[issued.authority.certificate.as_bytes()], None);
    assert_eq!(get(serve.http, "/readyz").await.0, 200);

    // One request that is half sent when the signal comes, and stays so until nobody new is let in.
    let body = review("u-slow", "Pod", "{}");
    let (head, length) = ("POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n", body.len());
    let mut slow = client.connect().await.unwrap();
    slow.write_all(format!("{head}content-length: {length}\r\n\r\n{}", &body[..40]).as_bytes()).await.unwrap();
    let idle = client.connect().await.unwrap();

    serve.signal("-TERM");
    eventually("not ready", async || get(serve.http, "/readyz").await.0 == 503).await;
    let late = client.post("/validate", review("u-late", "Pod", "{}")).await;
    assert_eq!((late.status, &late.headers["connection"]), (200, &"close".parse().unwrap()));

    eventually("no new connections", async || tokio::net::TcpStream::connect(serve.webhook).await.is_err()).await;
    slow.write_all(&body.as_bytes()[40..]).await.unwrap();
    let mut reply = String::new();
    let _ = slow.read_to_string(&mut reply).await;
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("connection: close"), "{reply}");
    assert!(reply.contains("u-slow"), "{reply}");
    drop(idle);

    let (code, log) = serve.ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("draining") && log.contains("closing") && log.contains("stopped"), "{log}");
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised() {
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    let serve = Serve::start_limited("ulimit -S -n 64", folder.path(), &issued);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serve.child.id())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let (soft, hard) = files.trim().split_once(' ').unwrap();
    assert_eq!(soft, hard.split_whitespace().next().unwrap());
}

#[tokio::test]
async fn idle_connections_leave_files_for_the_kubelet() {
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    let serve = Serve::start_limited("ulimit -n 128", folder.path(), &issued);
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(tokio::net::TcpStream::connect(serve.webhook).await.unwrap());
    }
    assert_eq!(get(serve.http, "/healthz").await.0, 200);
    let log = serve.log.lock().unwrap().clone();
    assert!(log.contains("fewer connections than --max-connections"), "{log}");
    assert!(!log.contains("cannot accept"), "{log}");
}

/// Bytes, of a line such as `memory: 512Mi` of the Deployment that is installed.
fn limit_of_memory() -> u64 {
    let manifest = include_str!("../../../manifests/install/deployment.yaml");
    let amount = manifest.split("limits:").nth(1).unwrap().split("memory: ").nth(1).unwrap().lines().next().unwrap();
    supercargo::quantity::parse(amount).unwrap().units()
}

/// "10,000 connections: ... memory stays within its budget, and the next request is answered": with so many that get no further than
/// half a handshake, then with as many bodies that stop as there are places for connections.
#[tokio::test(flavor = "multi_thread")]
async fn floods_stay_within_the_memory_of_the_manifest() {
    /// What the view of a large cluster may take beside it (docs/performance.md).
    const VIEW: u64 = 75_000_000;
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    let files = usize::try_from(supercargo::server::open_files::raise().unwrap_or(1 << 20)).unwrap();
    let serve = Serve::start(folder.path(), &issued, &["--body-timeout", "60"]);
    let client = Client::new(serve.webhook, &[issued.authority.certificate.as_bytes()], None);
    let highest = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", serve.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    };
    let ask = || client.send(post("/validate", full(review("u", "Pod", "{}"))));
    let answers = async || ask().await.is_ok_and(|reply| reply.status == 200);
    let from = |number: usize| [127, 0, 1, u8::try_from(number % 60).unwrap()].into();

    let mut half_open = Vec::new();
    for number in 0..10_000.min(files / 2) {
        if let Ok(mut stream) = client.connect_from(from(number)).await {
            let _ = stream.write_all(b"\x16\x03\x01\x02\x00\x01").await;
            half_open.push(stream);
        }
    }
    eventually("others are answered beside half-open connections", answers).await;
    drop(half_open);

    let mut stalled = tokio::task::JoinSet::new();
    // Handshakes that wait for each other give way to those that come after them.
    let turns = Arc::new(tokio::sync::Semaphore::new(32));
    for number in 0..2_048.min(files / 2) {
        let (client, turns) = (client.clone(), Arc::clone(&turns));
        stalled.spawn(async move {
            let turn = turns.acquire().await;
            let stream = client.connect_from(from(number)).await?;
            let mut stream = client.shake(stream).await?;
            drop(turn);
            let head = "POST /validate?timeout=30s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
            stream.write_all(format!("{head}content-length: 262144\r\n\r\n").as_bytes()).await?;
            // Not all of it, and at some point the server takes no more.
            stream.write_all(&vec![b' '; 262_143]).await?;
            stream.flush().await?;
            // Until it is closed.
            stream.read_to_end(&mut Vec::new()).await
        });
    }
    let in_flight = async || metric(serve.http, "supercargo_requests_in_flight").await;
    eventually("bodies stand", async || in_flight().await > 1_000.min(files as u64 / 8)).await;
    eventually("others are answered beside bodies that stop", answers).await;
    stalled.abort_all();
    let highest = highest();

    assert!(highest + VIEW <= limit_of_memory(), "{highest}");
    eventually("nothing is in flight", async || in_flight().await == 0).await;
}

#[tokio::test]
async fn a_certificate_that_is_over_is_named_in_the_log() {
    let folder = TempDir::new().unwrap();
    let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * 400);
    let issued = supercargo::pki::issue(&[], long_ago, 1).unwrap();
    let serve = Serve::start(folder.path(), &issued, &[]);
    let log = async || serve.log.lock().unwrap().contains("has expired");
    eventually("the log says so", log).await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    let mut serve = Serve::start(folder.path(), &issued, &["--drain-delay", "3600"]);
    serve.signal("-TERM");
    eventually("not ready", async || get(serve.http, "/readyz").await.0 == 503).await;
    serve.signal("-INT");
    assert_eq!(serve.ended().await.0, Some(0));
}

#[tokio::test]
async fn what_is_wrong_at_the_start_is_said() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("tls.crt"), "no certificate").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_supercargo"))
        .args(["serve", "--tls-key", "nowhere", "--tls-cert"])
        .arg(folder.path().join("tls.crt"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("cannot read nowhere"), "{text}");
}

const EXEMPTION: &str = "apiVersion: supercargo.dev/v1alpha1\nkind: Exemption\nmetadata: {name: e}\nspec: {owner: o, reason: r, expires: \"2027-01-01\", \
                         rules: [embedded-secret], match: {namespaces: [shop], fingerprints: [\"0123456789abcdef\"]}}\n";
const GUARD: &str = "apiVersion: supercargo.dev/v1alpha1\nkind: GuardPolicy\nmetadata: {name: g}\nspec: {rules: {embedded-secret: {}}}\n";
const PROFILE: &str = "apiVersion: supercargo.dev/v1alpha1\nkind: PodProfile\nmetadata: {name: p}\nspec: {match: {}}\n";

/// The log of a `serve` with these policies, from its start to its end.
async fn log_with(policies: &[(&str, &str)], key: bool) -> String {
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    let path = folder.path().join("policies");
    std::fs::create_dir(&path).unwrap();
    for (name, text) in policies {
        std::fs::write(path.join(name), text).unwrap();
    }
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, [7; 32]).unwrap();
    let mut more = vec!["--drain-delay", "0", "--policies", path.to_str().unwrap()];
    if key {
        more.extend(["--fingerprint-key", key_file.to_str().unwrap()]);
    }
    let mut serve = Serve::start(folder.path(), &issued, &more);
    serve.signal("-TERM");
    let (code, log) = serve.ended().await;
    assert_eq!(code, Some(0), "{log}");
    log
}

#[tokio::test]
async fn the_log_says_what_is_in_force_and_what_cannot_hold() {
    const NO_KEY: &str = "exemptions by fingerprint hold only with --fingerprint-key";
    const NO_GUARD: &str = "no GuardPolicy is in force";
    let all = log_with(&[("g.yaml", GUARD), ("p.yaml", PROFILE), ("e.yaml", EXEMPTION)], false).await;
    assert!(all.contains("guards=1 profiles=1 exemptions=1"), "{all}");
    assert!(all.contains("read at the start only"), "{all}");
    assert!(all.contains(NO_KEY) && !all.contains(NO_GUARD), "{all}");

    let keyed = log_with(&[("g.yaml", GUARD), ("e.yaml", EXEMPTION)], true).await;
    assert!(!keyed.contains(NO_KEY), "{keyed}");
    let plain = log_with(&[("p.yaml", PROFILE)], false).await;
    assert!(!plain.contains(NO_KEY) && plain.contains(NO_GUARD), "{plain}");
    let broken = log_with(&[("p.yaml", PROFILE), ("g.yaml", &GUARD.replace("rules", "rule"))], false).await;
    assert!(broken.contains("policy left out") && broken.contains(NO_GUARD), "{broken}");
}

#[test]
fn a_webhook_without_any_policy_does_not_start() {
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    write_pair(folder.path(), &issued.server);
    for (policy, said) in [
        (EXEMPTION.to_owned(), "put them beside the GuardPolicies"),
        (GUARD.replace("embedded", "imbedded"), "no policy can be used"),
    ] {
        std::fs::write(folder.path().join("policy.yaml"), policy).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_supercargo"))
            .args(["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--tls-cert", "tls.crt"])
            .args(["--tls-key", "tls.key", "--policies", "policy.yaml"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn review_says_which_flags_a_webhook_wants_that_asks_for_certificates() {
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    write("ca.crt", issued.authority.certificate.as_bytes());
    write("client.crt", issued.client.certificate.as_bytes());
    write("client.key", issued.client.key.as_bytes());
    write("pod.yaml", b"{apiVersion: v1, kind: Service, metadata: {name: s}}");
    let ca = folder.path().join("ca.crt");
    let serve = Serve::start(folder.path(), &issued, &["--client-ca", ca.to_str().unwrap()]);
    let ask = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_supercargo"))
            .args(["review", "--server", &format!("https://127.0.0.1:{}", serve.webhook.port()), "--ca", "ca.crt"])
            .args(more)
            .arg("pod.yaml")
            .current_dir(folder.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = ask(&[]);
    assert_eq!(code, Some(2));
    assert!(text.contains("it asks for our certificate: give --cert and --key"), "{text}");
    assert_eq!(ask(&["--cert", "client.crt", "--key", "client.key"]), (Some(0), String::new()));
}

/// A client chooses words that reach the log: they make no line of their own.
#[tokio::test]
async fn a_client_cannot_forge_a_line_of_the_log() {
    for format in ["text", "json"] {
        let (folder, issued) = (TempDir::new().unwrap(), issue());
        let mut serve = Serve::start(folder.path(), &issued, &["--drain-delay", "0", "--log-format", format]);
        let client = Client::new(serve.webhook, &[issued.authority.certificate.as_bytes()], None);
        let forged = r"Foo\n2026-01-01T00:00:00Z  INFO review FORGED";
        for body in [
            format!(r#"{{"apiVersion":"admission.k8s.io/v9","kind":"{forged}"}}"#),
            format!(r#"{{"apiVersion":"{forged}","kind":"AdmissionReview"}}"#),
            review("u-1", forged, "{}"),
            review(forged, "Pod", "[["),
            review("u-2", "Pod", &format!(r#"{{"metadata":{{"name":"{forged}"}}}}"#)),
        ] {
            client.post("/validate", body).await;
        }
        serve.signal("-TERM");
        let (_, log) = serve.ended().await;
        assert!(log.contains("FORGED"), "{log}");
        assert!(log.lines().all(|line| line.starts_with(['{', '2'])), "{log}");
        assert!(!log.lines().any(|line| line.starts_with("2026-01-01")), "{log}");
    }
}

/// Through every door and at every log level: malformed, well-formed, refused, far too deep.
#[tokio::test]
async fn a_secret_in_a_review_is_in_no_log_no_metric_and_no_answer() {
    const SECRET: &str = "hunter-two-9";
    for format in ["text", "json"] {
        let (folder, issued) = (TempDir::new().unwrap(), issue());
        let mut serve = Serve::start(
            folder.path(),
            &issued,
            &["--drain-delay", "0", "--log-level", "trace", "--log-format", format],
        );
        let client = Client::new(serve.webhook, &[issued.authority.certificate.as_bytes()], None);
        let env = format!(
            r#"{{"spec":{{"containers":[{{"name":"app","env":[{{"name":"DB_PASSWORD","value":"{SECRET}"}}]}}]}}}}"#
        );
        let deep = format!(r#"{{"a":"{SECRET}","b":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
        let mut said = String::new();
        for body in [
            review("u-1", "Pod", &env),
            review("u-2", "ConfigMap", &format!(r#"{{"data":{{"password":"{SECRET}"}}}}"#)),
            review("u-3", "Pod", &deep),
            review("u-4", "Pod", &format!("{{\"a\": {SECRET}}}")),
            SECRET.to_owned(),
            format!(r#""{SECRET}""#),
            format!(r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":"{SECRET}"}}"#),
            format!(
                r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","{SECRET}":1}}}}"#
            ),
        ] {
            for path in ["/mutate", "/validate"] {
                said += &client.post(path, body.clone()).await.text;
            }
        }
        said += &get(serve.http, "/metrics").await.1;
        serve.signal("-TERM");
        let (code, log) = serve.ended().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("u-1") && said.contains("u-1"), "there is something to look at: {log}");
        assert!(!log.contains(SECRET) && !said.contains(SECRET), "{log}\n{said}");
    }
}
