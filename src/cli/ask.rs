//! Asks a running webhook over HTTPS, as the API server does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What the API server allows at most by default; it says so in the URL.
const TIMEOUT: Duration = Duration::from_secs(10);

/// No answer of a webhook is as large as an object.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// Where to ask, and how to know whom we ask.
pub(super) struct Webhook {
    url: Uri,
    host: String,
    port: u16,
    shows_certificate: bool,
    tls: TlsConnector,
    runtime: tokio::runtime::Runtime,
}

impl Webhook {
    /// `client` is a certificate and its key, where the webhook asks for one.
    pub(super) fn new(url: &str, ca: &Path, client: Option<(&Path, &Path)>) -> anyhow::Result<Webhook> {
        let url: Uri = url.parse().with_context(|| format!("{url} is no URL; type e.g. https://localhost:8443"))?;
        if url.scheme_str() != Some("https") {
            bail!("{url} does not begin with https://; the API server speaks nothing else to webhooks");
        }
        let host = url.host().ok_or_else(|| anyhow!("{url} names no host"))?;
        // An IPv6 address stands in brackets in a URL, and without them everywhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca)? {
            roots.add(certificate).with_context(|| format!("{} holds no CA certificate", ca.display()))?;
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match client {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let secret = PrivateKeyDer::from_pem_file(key)
                    .with_context(|| format!("{} holds no private key in PEM form", key.display()))?;
                config
                    .with_client_auth_cert(certificates(certificate)?, secret)
                    .with_context(|| format!("{} and {} do not fit", certificate.display(), key.display()))?
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let port = url.port_u16().unwrap_or(443);
        let shows_certificate = client.is_some();
        Ok(Webhook { url, host, port, shows_certificate, tls: TlsConnector::from(Arc::new(config)), runtime })
    }

    /// The body of the answer to a review sent to `path`, "mutate" or "validate".
    pub(super) fn ask(&self, path: &str, review: String) -> anyhow::Result<String> {
        let answer = async { tokio::time::timeout(TIMEOUT, self.post(path, review)).await };
        self.runtime
            .block_on(answer)
            .map_err(|_| anyhow!("no answer within {} s", TIMEOUT.as_secs()))
            .and_then(|answer| answer)
            .map_err(|error| {
                let wants_ours = !self.shows_certificate && format!("{error:#}").contains("CertificateRequired");
                if wants_ours { error.context("it asks for our certificate: give --cert and --key") } else { error }
            })
            .with_context(|| format!("cannot ask {}", self.url))
    }

    async fn post(&self, path: &str, review: String) -> anyhow::Result<String> {
        let address = (self.host.as_str(), self.port);
        let tcp = TcpStream::connect(address).await.context("no connection; is `supercargo serve` running there?")?;
        let name = ServerName::try_from(self.host.clone()).context("not a host name that a certificate can be for")?;
        let tls = self.tls.connect(name, tcp).await.context("no TLS; is --ca the CA that signed its certificate?")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
        let connection = tokio::spawn(connection);
        let base = self.url.path().trim_end_matches('/');
        let request = Request::post(format!("{base}/{path}?timeout={}s", TIMEOUT.as_secs()))
            .header(header::HOST, self.url.authority().map_or(&*self.host, |authority| authority.as_str()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, */*")
            .body(Full::new(Bytes::from(review)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| anyhow!("the answer cannot be read: {error}"))?.to_bytes();
        drop(sender);
        connection.abort();
        let body = String::from_utf8(body.to_vec()).context("the answer is no text")?;
        if !status.is_success() {
            let said: Option<serde_json::Value> = serde_json::from_str(&body).ok();
            let said = said.as_ref().and_then(|said| said["message"].as_str()).unwrap_or(&body).trim();
            bail!("it answers HTTP {status}: {}", crate::printable::clip(said, 500));
        }
        Ok(body)
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let wrong = || format!("{} holds no certificate in PEM form", path.display());
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).with_context(wrong)?.collect();
    let read = read.with_context(wrong)?;
    if read.is_empty() {
        bail!(wrong());
    }
    Ok(read)
}
