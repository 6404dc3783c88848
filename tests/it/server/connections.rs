//! Clients that misbehave below HTTP: slow, half-open, too many. Each is closed, and the next request is answered.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::client::{Client, PATIENCE, eventually, metric};
use super::running::{self, Running, engine, start};

const SHORT: Duration = Duration::from_millis(200);

async fn answers(client: &Client) {
    // More than once: the limits of these tests are short, for a machine that is busy.
    eventually("it answers", async || {
        let request = super::client::post("/validate", super::client::full(running::review("u-1", "Pod", "{}")));
        client.send(request).await.is_ok_and(|reply| reply.status == 200)
    })
    .await;
}

/// All that comes before the other side closes.
async fn until_closed(mut stream: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    // A reset is as good an end as any.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("it stays open");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn no_connection_is_left(server: &Running) {
    eventually("no connection is open", async || metric(server.http, "supercargo_connections_open").await == 0).await;
}

#[tokio::test]
async fn half_open_tls_is_closed() {
    let server = start(engine(), |options| options.limits.handshake = SHORT).await;
    let silent = TcpStream::connect(server.client.address).await.unwrap();
    let mut stuck = TcpStream::connect(server.client.address).await.unwrap();
    // The beginning of a ClientHello of 512 bytes.
    stuck.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    let mut babbling = TcpStream::connect(server.client.address).await.unwrap();
    babbling.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();

    for stream in [silent, stuck, babbling] {
        until_closed(stream).await;
    }
    answers(&server.client).await;
    no_connection_is_left(&server).await;
    assert_eq!(metric(server.http, r#"supercargo_handshake_failures_total{reason="timeout"}"#).await, 2);
    assert_eq!(metric(server.http, r#"supercargo_handshake_failures_total{reason="tls"}"#).await, 1);
}

#[tokio::test]
async fn a_head_that_never_ends_is_closed() {
    let server = start(engine(), |options| options.limits.header = SHORT).await;
    let mut stream = server.client.connect().await.unwrap();
    stream.write_all(b"POST /validate HTTP/1.1\r\nhost: x\r\nx-a: ").await.unwrap();
    assert_eq!(until_closed(stream).await, "");
    answers(&server.client).await;
    no_connection_is_left(&server).await;
}

#[tokio::test]
async fn a_head_that_drips_is_closed_however_steady_it_drips() {
    let server = start(engine(), |options| options.limits.header = SHORT).await;
    let (reader, mut writer) = tokio::io::split(server.client.connect().await.unwrap());
    let dripping = tokio::spawn(async move {
        let _ = writer.write_all(b"POST /validate HTTP/1.1\r\nx-a: ").await;
        while writer.write_all(b"a").await.is_ok() && writer.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(until_closed(reader).await, "");
    dripping.abort();
}

#[tokio::test]
async fn a_head_without_bounds_is_refused() {
    let server = start(engine(), |_| {}).await;
    let (reader, mut writer) = tokio::io::split(server.client.connect().await.unwrap());
    let endless = tokio::spawn(async move {
        let _ = writer.write_all(b"POST /validate HTTP/1.1\r\nx-a: ").await;
        while writer.write_all(&[b'a'; 1024]).await.is_ok() {}
    });
    let reply = until_closed(reader).await;
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431"), "{reply}");
    endless.abort();
    answers(&server.client).await;
}

#[tokio::test]
async fn a_body_that_never_ends_gets_an_answer_before_its_deadline() {
    let server = start(engine(), |_| {}).await;
    let mut stream = server.client.connect().await.unwrap();
    let head = "POST /validate?timeout=500ms HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = until_closed(stream).await;
    assert!(reply.starts_with("HTTP/1.1 408") && reply.contains("did not arrive in time"), "{reply}");
    answers(&server.client).await;
    no_connection_is_left(&server).await;
}

/// As many clients as there are places send half of a body and stop. None of them would end by itself, and none has a turn.
#[tokio::test]
async fn bodies_that_stand_still_keep_nobody_out() {
    const PLACES: usize = 12;
    let server = start(engine(), |options| {
        options.limits.connections = PLACES;
        options.limits.per_peer = PLACES;
        options.limits.quiet = SHORT;
        options.load.requests = 1;
        options.load.body_bytes = 1 << 20;
        options.load.body_timeout = Duration::from_secs(3600);
    })
    .await;
    let mut stalled = Vec::new();
    for length in (0..PLACES).map(|i| [1_000, 256 << 10, 8 << 20][i % 3]) {
        let mut stream = server.client.connect().await.unwrap();
        let head = "POST /validate?timeout=30s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        stream.write_all(format!("{head}content-length: {length}\r\n\r\n{{").as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    eventually("all are being read", async || {
        metric(server.http, "supercargo_requests_in_flight").await == PLACES as u64
    })
    .await;
    assert_eq!(metric(server.http, "supercargo_body_in_flight_bytes").await, PLACES as u64);
    for spaces in [1, 100_000, 400_000] {
        let object = format!("{{{}}}", " ".repeat(spaces));
        eventually("it answers", async || {
            let body = super::client::full(running::review("u-1", "ConfigMap", &object));
            server.client.send(super::client::post("/validate", body)).await.is_ok_and(|reply| reply.status == 200)
        })
        .await;
    }
    assert_eq!(metric(server.http, r#"supercargo_faults_total{reason="overloaded"}"#).await, 0);
}

#[tokio::test]
async fn one_pod_cannot_keep_the_kubelet_out() {
    let server = start(engine(), |options| options.limits.quiet = PATIENCE).await;
    let mut flood = Vec::new();
    for _ in 0..100 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        flood.push(socket.connect(server.http).await.unwrap());
    }
    assert_eq!(super::client::get(server.http, "/healthz").await.0, 200);
}

#[tokio::test]
async fn a_body_that_stops_is_told_so_long_before_its_deadline() {
    let server = start(engine(), |options| options.load.body_timeout = SHORT).await;
    let mut stream = server.client.connect().await.unwrap();
    let head = "POST /validate?timeout=30s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let began = std::time::Instant::now();
    let reply = until_closed(stream).await;
    assert!(reply.starts_with("HTTP/1.1 408") && reply.contains("did not arrive in time"), "{reply}");
    assert!(began.elapsed() < Duration::from_secs(29), "its deadline ended it");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let server = start(engine(), |options| {
        options.limits.idle = SHORT;
        options.limits.header = SHORT;
    })
    .await;
    let stream = server.client.connect().await.unwrap();
    assert_eq!(until_closed(stream).await, "");
    no_connection_is_left(&server).await;
}

#[tokio::test]
async fn several_requests_share_a_connection() {
    let server = start(engine(), |_| {}).await;
    let mut stream = server.client.connect().await.unwrap();
    let body = running::review("u-1", "Pod", "{}");
    let length = body.len();
    let request = format!(
        "POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        while !reply.ends_with(b"}}") {
            assert!(stream.read_buf(&mut reply).await.unwrap() > 0);
        }
        assert!(reply.starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(metric(server.http, "supercargo_connections_open").await, 1);
}

#[tokio::test]
async fn a_flood_of_connections_locks_nobody_out() {
    const PLACES: u64 = 50;
    let server = start(engine(), |options| {
        options.limits.connections = 50;
        options.limits.per_peer = 50;
        options.limits.quiet = SHORT;
        // No place comes free by itself.
        options.limits.handshake = Duration::from_secs(3600);
    })
    .await;
    let mut flood = Vec::new();
    for i in 0..400 {
        let stream = TcpStream::connect(server.client.address).await.unwrap();
        if i % 10 == 0 {
            // Some get as far as an idle HTTP connection, if they get a place at all.
            let client = server.client.clone();
            flood.push(tokio::spawn(async move { client.connect().await.map(drop) }));
        }
        flood.push(tokio::spawn(async move {
            until_closed(stream).await;
            Ok(())
        }));
    }
    answers(&server.client).await;
    assert!(metric(server.http, "supercargo_connections_open").await <= PLACES);
    assert!(metric(server.http, r#"supercargo_connections_refused_total{reason="peer"}"#).await >= 300);
    for task in flood {
        task.abort();
    }
}
