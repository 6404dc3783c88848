//! When a certificate ends.
//!
//! rustls reads the date and keeps it to itself, but says it when it turns an expired certificate down: so it is asked whether
//! the certificate is good at the end of time. That saves an X.509 parser and its dozen crates.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

/// `notAfter` in Unix seconds; `None` when rustls cannot read the certificate.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<u64> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
    match verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], end_of_time, algorithms) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => Some(not_after.as_secs()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_leaf_and_authority_is_found() {
        let key = rcgen::KeyPair::generate().unwrap();
        for authority in [false, true] {
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(2031, 2, 3);
            if authority {
                params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            }
            let certificate = params.self_signed(&key).unwrap();
            // 2031-02-03T00:00:00Z
            assert_eq!(not_after(certificate.der()), Some(1_927_843_200));
        }
        assert_eq!(not_after(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
