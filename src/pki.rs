//! Issuing certificates: a CA, a server pair, a client pair.
//!
//! Names, times and keys in, PEM out: no files and no clock. ECDSA P-256, as every API server understands it.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SigningKey,
};

/// The names that a server certificate always has: this machine, and the Service of our own manifests.
pub const SERVER_NAMES: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "supercargo.supercargo",
    "supercargo.supercargo.svc",
    "supercargo.supercargo.svc.cluster.local",
];

/// Clocks differ: a certificate of this second would be refused by a machine that is a little behind.
const HEAD_START: Duration = Duration::from_secs(300);

/// PEM text. `Debug` prints none of it, as it may be a key.
pub struct Pem(String);

/// A certificate and its private key.
#[derive(Debug)]
pub struct Pair {
    /// PEM, BEGIN CERTIFICATE.
    pub certificate: Pem,
    /// PEM, BEGIN PRIVATE KEY (PKCS #8).
    pub key: Pem,
}

/// A CA and what it signed.
#[derive(Debug)]
pub struct Issued {
    /// The CA.
    pub authority: Pair,
    /// For the webhook.
    pub server: Pair,
    /// For the API server, when the webhook asks for a certificate.
    pub client: Pair,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Neither a DNS name nor an IP address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    Name(String),
    /// Before 1950 or after 9999.
    #[error("certificates cannot be dated {0}")]
    Date(Timestamp),
    /// What rcgen says.
    #[error(transparent)]
    Crypto(#[from] rcgen::Error),
}

impl Pem {
    /// The text as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pem(..)")
    }
}

/// A new CA with a server and a client pair, good from `now` for `days`; the server also has the names `hosts`.
pub fn issue(hosts: &[String], now: Timestamp, days: u32) -> Result<Issued, IssueError> {
    let key = KeyPair::generate()?;
    let mut params = dated("supercargo development CA", now, days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key_text = Pem(key.serialize_pem());
    let authority = CertifiedIssuer::self_signed(params, key)?;

    let mut server = dated("supercargo", now, days)?;
    for name in SERVER_NAMES.into_iter().chain(hosts.iter().map(String::as_str)) {
        if !is_host(name) {
            return Err(IssueError::Name(name.to_owned()));
        }
        let san = CertificateParams::new([name.to_owned()]).map_err(|_| IssueError::Name(name.to_owned()))?;
        for name in san.subject_alt_names {
            if !server.subject_alt_names.contains(&name) {
                server.subject_alt_names.push(name);
            }
        }
    }
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];

    let mut client = dated("kube-apiserver", now, days)?;
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];

    Ok(Issued {
        server: sign(server, &authority)?,
        client: sign(client, &authority)?,
        authority: Pair { certificate: Pem(authority.pem()), key: key_text },
    })
}

/// Whether a client may look for this: an IP address, or a DNS name whose first label may be `*`.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host = name.strip_prefix("*.").unwrap_or(name);
    name.parse::<IpAddr>().is_ok() || (host.len() <= 253 && host.split('.').all(label))
}

fn sign(mut params: CertificateParams, authority: &Issuer<'_, impl SigningKey>) -> Result<Pair, IssueError> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok(Pair { certificate: Pem(certificate.pem()), key: Pem(key.serialize_pem()) })
}

fn dated(name: &str, now: Timestamp, days: u32) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let start = now.checked_sub(HEAD_START).map_err(|_| IssueError::Date(now))?;
    let end = now.checked_add(Duration::from_secs(86_400) * days).map_err(|_| IssueError::Date(now))?;
    params.not_before = SystemTime::from(start).into();
    params.not_after = SystemTime::from(end).into();
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_is_refused() {
        for name in ["b\u{e4}d host", "bad host!", "", "a..b", "-a", "*", "https://a", "a:8443", "a.*"] {
            let error = issue(&[name.to_owned()], Timestamp::UNIX_EPOCH, 1).unwrap_err();
            assert!(matches!(error, IssueError::Name(_)), "{name}: {error}");
        }
        for name in ["a", "Web.example.com", "*.example.com", "10.0.0.1", "::1", "my_host"] {
            assert!(is_host(name), "{name}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let issued = issue(&[], Timestamp::from_second(1_800_000_000).unwrap(), 1).unwrap();
        assert!(issued.authority.key.as_str().starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(!format!("{issued:?}").contains("BEGIN"));
    }
}
