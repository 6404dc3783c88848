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

use super::client::{Client, eventually, get};
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
        write_pair(folder, &issued.server);
        let mut child = Command::new(env!("CARGO_BIN_EXE_supercargo"))
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
    let mut serve = Serve::start(folder.path(), &issued, &["--drain-delay", "4"]);
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
