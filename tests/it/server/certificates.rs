//! Certificates that change under load, and clients that must show one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use supercargo::pki::{Issued, Pair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Client, PATIENCE, eventually, metric};
use super::running::{self, engine, issue, start, start_in, write_pair};

/// Writes a pair the way the kubelet does: into a new folder, which the symlink `..data` then names from one moment to the next.
fn kubelet_swap(volume: &Path, version: usize, pair: &Pair) {
    let folder = volume.join(format!("..version_{version}"));
    std::fs::create_dir(&folder).unwrap();
    write_pair(&folder, pair);
    let (next, data) = (volume.join("..data_tmp"), volume.join("..data"));
    std::os::unix::fs::symlink(folder.file_name().unwrap(), &next).unwrap();
    std::fs::rename(&next, &data).unwrap();
    for name in ["tls.crt", "tls.key"] {
        let link = volume.join(name);
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    if version > 0 {
        std::fs::remove_dir_all(volume.join(format!("..version_{}", version - 1))).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_the_kubelets_way_fails_no_handshake() {
    let issues: Vec<Issued> = (0..8).map(|_| issue()).collect();
    let volume = TempDir::new().unwrap();
    let path = volume.path().to_owned();
    kubelet_swap(&path, 0, &issues[0].server);
    let server = start_in(volume, issue(), engine(), |_| {}).await;
    let authorities: Vec<&[u8]> = issues.iter().map(|issued| issued.authority.certificate.as_bytes()).collect();
    let client = Client::new(server.client.address, &authorities, None);

    let (stop, shaken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let streams: Vec<_> = (0..3)
        .map(|_| {
            let (client, stop, shaken) = (client.clone(), Arc::clone(&stop), Arc::clone(&shaken));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    client.connect().await.unwrap();
                    shaken.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for (version, issued) in issues.iter().enumerate().skip(1) {
        let before = shaken.load(Ordering::Relaxed);
        kubelet_swap(&path, version, &issued.server);
        let only = Client::new(server.client.address, &[issued.authority.certificate.as_bytes()], None);
        eventually("the new certificate is shown", async || only.connect().await.is_ok()).await;
        eventually("handshakes go on", async || shaken.load(Ordering::Relaxed) > before).await;
    }
    stop.store(true, Ordering::Relaxed);
    for stream in streams {
        stream.await.expect("every handshake succeeds");
    }
    assert_eq!(metric(server.http, "supercargo_certificate_reloads_total").await, 7);
    assert!(
        metric(server.http, r#"supercargo_certificate_not_after_timestamp_seconds{certificate="server"}"#).await
            > 1_700_000_000
    );
}

#[tokio::test]
async fn a_broken_pair_keeps_the_old_one_and_is_counted_once() {
    let server = start(engine(), |_| {}).await;
    let (folder, other) = (server.folder.path(), issue());
    let failures = "supercargo_certificate_reload_failures_total";
    for (expected, text) in [(1, other.server.key.as_bytes()), (2, b"not PEM"), (3, b"")] {
        std::fs::write(folder.join("tls.key"), text).unwrap();
        eventually("the failure is counted", async || metric(server.http, failures).await == expected).await;
        server.client.connect().await.unwrap();
    }
    std::fs::remove_file(folder.join("tls.key")).unwrap();
    eventually("a missing file is counted", async || metric(server.http, failures).await == 4).await;
    server.client.connect().await.unwrap();

    write_pair(folder, &other.server);
    let other = Client::new(server.client.address, &[other.authority.certificate.as_bytes()], None);
    eventually("a good pair is taken up", async || other.connect().await.is_ok()).await;
}

#[tokio::test]
async fn with_a_client_ca_nobody_else_gets_an_answer() {
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    write_pair(folder.path(), &issued.server);
    let client_ca = folder.path().join("clients.crt");
    std::fs::write(&client_ca, issued.authority.certificate.as_bytes()).unwrap();
    let file = client_ca.clone();
    let server = start_in(folder, issued, engine(), |options| options.tls.client_ca = Some(file)).await;

    let trusted = server.issued.authority.certificate.as_bytes();
    let with = |pair| Client::new(server.client.address, &[trusted], pair);
    let ours = with(Some(&server.issued.client));
    let stranger = issue();
    let theirs = with(Some(&stranger.client));
    // With TLS 1.3 the client is done before the server has looked at it: what counts is whether there is an answer.
    let asks = async |client: &Client| {
        let body = super::client::full(running::review("u-1", "Pod", "{}"));
        client.send(super::client::post("/validate", body)).await.map(|reply| reply.status).ok()
    };
    assert_eq!(asks(&ours).await, Some(200));
    assert_eq!(asks(&server.client).await, None);
    assert_eq!(asks(&theirs).await, None);
    // The pair of the server was signed by the same CA, but is no client's.
    assert_eq!(asks(&with(Some(&server.issued.server))).await, None);

    std::fs::write(&client_ca, stranger.authority.certificate.as_bytes()).unwrap();
    eventually("the new client CA counts", async || asks(&theirs).await == Some(200)).await;
    assert_eq!(asks(&ours).await, None);
}

#[tokio::test]
async fn a_client_ca_that_is_withdrawn_takes_its_connections_along() {
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    write_pair(folder.path(), &issued.server);
    let client_ca = folder.path().join("clients.crt");
    std::fs::write(&client_ca, issued.authority.certificate.as_bytes()).unwrap();
    let file = client_ca.clone();
    let server = start_in(folder, issued, engine(), |options| {
        options.tls.client_ca = Some(file);
        options.load.body_timeout = PATIENCE;
    })
    .await;
    let trusted = server.issued.authority.certificate.as_bytes();
    let ours = Client::new(server.client.address, &[trusted], Some(&server.issued.client));
    let body = running::review("u-1", "Pod", "{}");
    let head = "POST /validate?timeout=30s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let (mut idle, mut busy) = (ours.connect().await.unwrap(), ours.connect().await.unwrap());
    idle.write_all(request.as_bytes()).await.unwrap();
    busy.write_all(&request.as_bytes()[..request.len() - 1]).await.unwrap();
    let answered = r#"supercargo_reviews_total{webhook="validate",operation="CREATE",kind="Pod",decision="allowed"}"#;
    eventually("one is answered", async || metric(server.http, answered).await == 1).await;
    eventually("one is in flight", async || metric(server.http, "supercargo_requests_in_flight").await == 1).await;
    // Another certificate alone ends nothing.
    write_pair(server.folder.path(), &issue().server);
    eventually("it is in use", async || metric(server.http, "supercargo_certificate_reloads_total").await == 1).await;
    assert_eq!(metric(server.http, "supercargo_connections_open").await, 2);

    std::fs::write(&client_ca, issue().authority.certificate.as_bytes()).unwrap();
    let mut text = String::new();
    let _ = tokio::time::timeout(PATIENCE, idle.read_to_string(&mut text)).await.expect("an idle one stays open");
    assert!(text.contains("HTTP/1.1 200") && !text.contains("connection: close"), "{text}");
    busy.write_all(&request.as_bytes()[request.len() - 1..]).await.unwrap();
    let mut text = String::new();
    let _ = tokio::time::timeout(PATIENCE, busy.read_to_string(&mut text)).await.expect("a busy one stays open");
    assert!(text.contains("HTTP/1.1 200") && text.contains("connection: close"), "{text}");
}

#[tokio::test]
async fn only_http_1_1_is_spoken() {
    let server = start(engine(), |_| {}).await;
    let both = server.client.clone().alpn(&["h2", "http/1.1"]).connect().await.unwrap();
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(server.client.clone().alpn(&["h2"]).connect().await.is_err());
    let mut prior = server.client.connect().await.unwrap();
    prior.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut reply = Vec::new();
    let _ = prior.read_to_end(&mut reply).await;
    assert!(!reply.starts_with(b"HTTP/1.1 200"));
}
