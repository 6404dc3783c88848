//! The floor: axum, hyper and rustls with nothing behind them but the uid.
//!
//! What a webhook cannot be cheaper than, with these crates. Runs as a process of its own (the benchmark starts itself again), so
//! that its CPU time and memory can be told apart.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Answers until the process is ended.
pub fn serve(address: SocketAddr, certificate: &Path, key: &Path) -> Result<()> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let routes = Router::new()
        .route("/mutate", post(answer))
        .route("/validate", post(answer))
        .layer(DefaultBodyLimit::disable());
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let (acceptor, routes) = (acceptor.clone(), routes.clone());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let stream = acceptor.accept(stream).await?;
                let service = TowerToHyperService::new(routes);
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .context("connection")
            });
        }
    })
}

/// The first uid of a review is the request's: the API server writes it before the object.
async fn answer(body: Bytes) -> impl IntoResponse {
    const UID: &[u8] = b"\"uid\":\"";
    let uid = memchr::memmem::find(&body, UID).map_or(&b""[..], |at| {
        let rest = &body[at + UID.len()..];
        &rest[..memchr::memchr(b'"', rest).unwrap_or_default()]
    });
    let uid = String::from_utf8_lossy(uid);
    let text = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{{"uid":"{uid}","allowed":true}}}}"#
    );
    ([(CONTENT_TYPE, "application/json")], text)
}
