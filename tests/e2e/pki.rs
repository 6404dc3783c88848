//! Certificates for the control plane and for webhooks: small throw-away CAs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// A certificate authority that lives in memory.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, both PEM.
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// The private key, PKCS #8.
    pub key: String,
}

/// Whose certificates the API server shows to webhooks, which tells a webhook by which name it was looked up.
pub struct WebhookClients {
    /// To those that are called by a URL.
    pub by_url: Ca,
    /// To `supercargo.supercargo.svc`, as manifests/mtls says.
    pub by_service: Ca,
}

impl WebhookClients {
    /// Two new CAs.
    pub fn new() -> Result<Self> {
        let [by_url, by_service] =
            ["url", "service"].map(|by| Ca::new(&format!("supercargo e2e webhook clients by {by}")));
        Ok(Self { by_url: by_url?, by_service: by_service? })
    }
}

impl Ca {
    /// A new CA.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A serving certificate for these host names and addresses.
    pub fn server(&self, names: &[&str]) -> Result<Pair> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.issue(CertificateParams::new(names)?, "server", ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client certificate with this common name.
    pub fn client(&self, name: &str) -> Result<Pair> {
        self.issue(CertificateParams::default(), name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, mut params: CertificateParams, name: &str, usage: ExtendedKeyUsagePurpose) -> Result<Pair> {
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Pair { cert: params.signed_by(&key, &self.0)?.pem(), key: key.serialize_pem() })
    }
}

impl Pair {
    /// Writes `STEM.crt` and `STEM.key` into the folder and returns both paths.
    pub fn write(&self, folder: &Path, stem: &str) -> Result<(PathBuf, PathBuf)> {
        let (cert, key) = (folder.join(format!("{stem}.crt")), folder.join(format!("{stem}.key")));
        fs::write(&cert, &self.cert)?;
        fs::write(&key, &self.key)?;
        Ok((cert, key))
    }
}
