//! When a certificate begins and ends.
//!
//! rustls reads the date and keeps it to itself, but says it when it turns an expired certificate down: so it is asked whether
//! the certificate is good at the beginning and at the end of time. That saves an X.509 parser and its dozen crates.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

/// From when until when, in Unix seconds; what rustls cannot read is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Validity {
    pub begin: Option<u64>,
    pub end: Option<u64>,
}

impl Validity {
    pub fn of(certificate: &CertificateDer<'_>) -> Validity {
        let begin = match judge(certificate, 0) {
            Some(CertificateError::NotValidYetContext { not_before, .. }) => Some(not_before.as_secs()),
            _ => None,
        };
        Validity { begin, end: end(certificate) }
    }

    /// Of several, what they have in common.
    pub fn and(self, other: Validity) -> Validity {
        Validity { begin: self.begin.max(other.begin), end: [self.end, other.end].into_iter().flatten().min() }
    }

    /// What is wrong at this time.
    pub fn trouble(self, now: u64) -> Option<&'static str> {
        if self.end.is_some_and(|end| end < now) {
            Some("has expired")
        } else {
            self.begin.is_some_and(|begin| now < begin).then_some("is not valid yet")
        }
    }
}

/// `notAfter` in Unix seconds.
pub(super) fn end(certificate: &CertificateDer<'_>) -> Option<u64> {
    match judge(certificate, u64::MAX) {
        Some(CertificateError::ExpiredContext { not_after, .. }) => Some(not_after.as_secs()),
        _ => None,
    }
}

/// The time of day in Unix seconds.
pub(super) fn now() -> u64 {
    UnixTime::now().as_secs()
}

/// Why rustls turns it down at this time.
fn judge(certificate: &CertificateDer<'_>, time: u64) -> Option<CertificateError> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
    match verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], time, algorithms) {
        Err(Error::InvalidCertificate(error)) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_and_end_of_leaf_and_authority_are_found() {
        let key = rcgen::KeyPair::generate().unwrap();
        for authority in [false, true] {
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(2031, 1, 3);
            params.not_after = rcgen::date_time_ymd(2031, 2, 3);
            if authority {
                params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            }
            let certificate = params.self_signed(&key).unwrap();
            // 2031-01-03T00:00:00Z and 2031-02-03T00:00:00Z
            let validity = Validity { begin: Some(1_925_164_800), end: Some(1_927_843_200) };
            assert_eq!(Validity::of(certificate.der()), validity);
        }
        assert_eq!(Validity::of(&CertificateDer::from(vec![1, 2, 3])), Validity::default());
    }

    #[test]
    fn what_is_over_or_has_not_begun_is_named() {
        let validity = Validity { begin: Some(10), end: Some(20) }.and(Validity { begin: Some(12), end: Some(30) });
        assert_eq!(validity, Validity { begin: Some(12), end: Some(20) });
        let troubles = [11, 12, 20, 21].map(|now| validity.trouble(now));
        assert_eq!(troubles, [Some("is not valid yet"), None, None, Some("has expired")]);
        assert_eq!(Validity::default().and(Validity::default()).trouble(u64::MAX), None);
    }
}
