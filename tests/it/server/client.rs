//! A small HTTPS client, and raw TLS streams for those who misbehave.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use supercargo::pki::Pair;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Far longer than anything here takes, on any machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub type Body = BoxBody<Bytes, std::convert::Infallible>;

/// One server, and how it is talked to.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    config: Arc<ClientConfig>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Panics unless this is what a fault of this code looks like; returns its message.
    pub fn fault(&self, code: u16) -> String {
        assert_eq!(self.status, code, "{self:?}");
        assert!(!self.headers.contains_key("retry-after"), "the API server would try again: {self:?}");
        let status = self.json();
        assert_eq!(
            (&status["kind"], &status["apiVersion"], &status["status"]),
            (&"Status".into(), &"v1".into(), &"Failure".into())
        );
        assert_eq!(status["code"], code);
        status["message"].as_str().unwrap().to_owned()
    }
}

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap()
}

impl Client {
    /// Trusts these CAs, and shows a certificate when there is one.
    pub fn new(address: SocketAddr, authorities: &[&[u8]], own: Option<&Pair>) -> Client {
        let mut roots = RootCertStore::empty();
        for authority in authorities.iter().flat_map(|pem| certificates(pem)) {
            roots.add(authority).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(certificates(pair.certificate.as_bytes()), key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        Client { address, config: Arc::new(config) }
    }

    /// Offers these protocols.
    pub fn alpn(mut self, protocols: &[&str]) -> Client {
        let mut config = (*self.config).clone();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self.config = Arc::new(config);
        self
    }

    pub async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        self.shake(TcpStream::connect(self.address).await?).await
    }

    /// The handshake on a connection that was made.
    pub async fn shake(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        tokio::time::timeout(PATIENCE, TlsConnector::from(Arc::clone(&self.config)).connect(name, stream)).await?
    }

    /// A TCP connection from this address of our own.
    pub async fn connect_from(&self, address: IpAddr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((address, 0).into())?;
        tokio::time::timeout(PATIENCE, socket.connect(self.address)).await?
    }

    /// One request on a connection of its own.
    pub async fn send(&self, request: Request<Body>) -> std::io::Result<Reply> {
        let stream = self.connect().await?;
        let ask = async {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let (head, body) = Response::into_parts(sender.send_request(request).await?);
            let text = String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap();
            Ok::<_, hyper::Error>(Reply { status: head.status.as_u16(), headers: head.headers, text })
        };
        tokio::time::timeout(PATIENCE, ask).await?.map_err(std::io::Error::other)
    }

    /// What the API server does.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.send(post(path, full(body))).await.unwrap()
    }
}

pub fn post(path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

/// GET from the plain listener.
pub async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The number that a metric has; 0 when it was never counted.
pub async fn metric(address: SocketAddr, name: &str) -> u64 {
    let (_, text) = get(address, "/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

/// Asks again and again until it holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never came: {what}"));
}
