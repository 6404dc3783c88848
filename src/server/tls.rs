//! The certificate that is shown, and the one that is asked for.
//!
//! Files are polled and their bytes compared: the kubelet swaps a symlink, which inotify on the file never sees. Files that do
//! not fit together leave what is in use as it is. Every connection takes the configuration of its own moment, so a new certificate disturbs
//! none; when the client CA is another one, those that the old one let in end with their next answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, version};
use tokio::sync::watch;

use super::expiry::{self, Validity};
use super::metrics::Metrics;

/// A changed pair that does not fit is read once more after this long, before it is called broken: the two files may have
/// been read on both sides of the swap.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Where certificates are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The chain, leaf first, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Whoever shows no certificate of these CAs gets no answer.
    pub client_ca: Option<PathBuf>,
    /// How often the files are read.
    pub poll: Duration,
}

/// Why files cannot be used. Never says what is in them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No such file, no permission, …
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// No certificate where one should be.
    #[error("{0} holds no certificate: it must be PEM with BEGIN CERTIFICATE")]
    NoCertificate(PathBuf),
    /// No key where one should be.
    #[error("{0} holds no private key: it must be PEM with BEGIN PRIVATE KEY (PKCS #8, PKCS #1 or SEC1)")]
    NoKey(PathBuf),
    /// They do not belong together, or are of a kind that is not understood.
    #[error("{certificate} and {key} cannot be used together: {error}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        error: rustls::Error,
    },
    /// No CA to check clients against.
    #[error("{path} cannot be used as client CA: {error}")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        error: String,
    },
}

/// What is in the files. Two are equal when their bytes are.
#[derive(PartialEq, Eq)]
struct Material {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// A configuration that can be served, and when its certificates are valid.
struct Usable {
    config: Arc<ServerConfig>,
    certificate: Validity,
    client_ca: Option<Validity>,
    /// The bytes of the client CA.
    trusted: Trusted,
}

/// Of whom clients must show a certificate.
type Trusted = Option<Vec<u8>>;

/// Whether the client CA is still the one that let a connection in.
#[derive(Clone)]
pub struct Admitted(watch::Receiver<Trusted>);

impl Admitted {
    /// Whether it is another one.
    pub fn is_withdrawn(&self) -> bool {
        self.0.has_changed().unwrap_or(false)
    }

    /// Resolves when it is another one.
    pub async fn withdrawn(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The configuration in use.
pub struct Tls {
    files: Files,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<ServerConfig>,
    trusted: watch::Sender<Trusted>,
    metrics: Arc<Metrics>,
}

impl Tls {
    /// Reads the files for the first time, and gives back what [`Tls::watch`] needs to know changes.
    pub fn load(files: Files, metrics: Arc<Metrics>) -> Result<(Arc<Tls>, Seen), TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let material = Material::read(&files)?;
        let mut usable = material.usable(&files, &provider)?;
        let current = ArcSwap::new(Arc::clone(&usable.config));
        let (trusted, _) = watch::channel(usable.trusted.take());
        let tls = Arc::new(Tls { files, provider, current, trusted, metrics });
        tls.announce(&usable);
        Ok((tls, Seen(Some(material))))
    }

    /// What a new connection gets.
    pub fn current(&self) -> (Arc<ServerConfig>, Admitted) {
        // In this order: a configuration that is replaced in between is known to be old.
        let admitted = Admitted(self.trusted.subscribe());
        (self.current.load_full(), admitted)
    }

    /// Follows the files for ever.
    pub async fn watch(self: Arc<Self>, mut seen: Seen) {
        let mut ticks = tokio::time::interval(self.files.poll);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            seen = self.look(seen).await;
        }
    }

    /// Takes changed files into use. What was seen is remembered also when it is broken, so that it is reported once.
    async fn look(self: &Arc<Self>, seen: Seen) -> Seen {
        let (mut now, mut result) = self.read().await;
        if now == seen {
            return seen;
        }
        if result.is_err() {
            tokio::time::sleep(SECOND_LOOK).await;
            (now, result) = self.read().await;
        }
        match result {
            Ok(usable) => {
                self.announce(&usable);
                self.current.store(usable.config);
                self.trusted.send_if_modified(|trusted| {
                    let changed = *trusted != usable.trusted;
                    *trusted = usable.trusted;
                    changed
                });
                self.metrics.certificate_reloads.inc();
                tracing::info!("certificate files changed: the new ones are in use");
            }
            Err(error) => {
                self.metrics.certificate_reload_failures.inc();
                tracing::error!("certificate files changed and cannot be used, the old ones stay in use: {error}");
            }
        }
        now
    }

    /// Reads and checks off the workers, as a file system may hang and a large bundle takes milliseconds.
    async fn read(self: &Arc<Self>) -> (Seen, Result<Usable, TlsError>) {
        let tls = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || match Material::read(&tls.files) {
            Ok(material) => {
                let usable = material.usable(&tls.files, &tls.provider);
                (Seen(Some(material)), usable)
            }
            Err(error) => (Seen(None), Err(error)),
        });
        read.await.unwrap_or_else(|panic| {
            let (path, error) = (self.files.certificate.clone(), std::io::Error::other(panic.to_string()));
            (Seen(None), Err(TlsError::Unreadable { path, error }))
        })
    }

    fn announce(&self, usable: &Usable) {
        for (name, validity) in [("server", Some(usable.certificate)), ("client-ca", usable.client_ca)] {
            let Some(validity) = validity else { continue };
            if let Some(end) = validity.end {
                self.metrics.certificate_ends(name, end);
            }
            if let Some(trouble) = validity.trouble(expiry::now()) {
                tracing::warn!(certificate = %name, "the certificate in use {trouble}: handshakes will fail");
            }
        }
    }
}

/// The bytes last read, good or not; none when there was a file missing.
#[derive(PartialEq, Eq)]
pub struct Seen(Option<Material>);

impl Material {
    fn read(files: &Files) -> Result<Material, TlsError> {
        let read =
            |path: &Path| std::fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), error });
        Ok(Material {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn usable(&self, files: &Files, provider: &Arc<CryptoProvider>) -> Result<Usable, TlsError> {
        let chain = certificates(&self.certificate, &files.certificate)?;
        // The parser's own error may quote a line of the file.
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::NoKey(files.key.clone()))?;
        let certificate = chain.first().map(Validity::of).unwrap_or_default();
        let pair = |error| TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), error };

        let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(pair)?;
        let (builder, client_ca) = match (&self.client_ca, &files.client_ca) {
            (Some(bytes), Some(path)) => {
                let unusable = |error: String| TlsError::ClientCa { path: path.clone(), error };
                let authorities = certificates(bytes, path)?;
                let validity = authorities.iter().map(Validity::of).reduce(Validity::and);
                let mut roots = RootCertStore::empty();
                for authority in authorities {
                    roots.add(authority).map_err(|error| unusable(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                    .build()
                    .map_err(|error| unusable(error.to_string()))?;
                (builder.with_client_cert_verifier(verifier), validity)
            }
            _ => (builder.with_no_client_auth(), None),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
        // The API server speaks no other protocol to webhooks, on purpose.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Go clients do not resume unless told to, and a resumed session would outlive a client CA that was taken away.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Usable { config: Arc::new(config), certificate, client_ca, trusted: self.client_ca.clone() })
    }
}

fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::NoCertificate(path.to_owned())),
    }
}
