//! What issuers hand out without a prefix: known only together with the issuer's name in the key.
//!
//! Says whether a value can be what a key with an issuer's name in it calls for. One that cannot was cut off or made up: the issuer would
//! not know it. Lists an issuer only where its documentation fixes the whole form.

/// The form of what an issuer hands out.
enum Form {
    /// So many lower-case hexadecimal digits.
    Hex(usize),
    /// So many letters, digits, `-` and `_`, at least and at most.
    Url(usize, usize),
    /// 8-4-4-4-12 hexadecimal digits.
    Uuid,
    /// This, and then letters, digits, `-` and `_`: at least and at most so many.
    After(&'static str, usize, usize),
    /// Eight to ten digits, a colon, 35 letters, digits, `-` and `_`.
    Telegram,
}

use Form::{After, Hex, Telegram, Url, Uuid};

/// By the word that names the issuer.
#[rustfmt::skip] // one line an issuer
const ISSUERS: &[(&str, &[Form])] = &[
    ("amplitude", &[Hex(32)]),
    ("bugsnag", &[Hex(32)]),
    ("calendly", &[After("eyJ", 60, 2000), Url(43, 43)]),
    ("cloudflare", &[Hex(37), Url(40, 40), After("v1.0-", 160, 180), After("cf", 40, 64)]),
    ("codecov", &[Uuid]),
    ("datadog", &[Hex(32), Hex(40), After("dd", 32, 64)]),
    ("deepseek", &[After("sk-", 32, 64)]),
    ("gitea", &[Hex(40)]),
    ("meraki", &[Hex(40)]),
    ("mixpanel", &[Hex(32)]),
    ("rollbar", &[Hex(32), Hex(128)]),
    ("telegram", &[Telegram]),
    ("twilio", &[Hex(32), After("SK", 32, 32), After("AC", 32, 32)]),
    ("twitch", &[After("live_", 36, 60), Url(30, 30), After("oauth:", 30, 30)]),
];

/// Whether the key names an issuer whose form the value does not have. Chosen passwords have no form, so ask only for tokens and keys.
pub(super) fn contradicts(name: &str, value: &str) -> bool {
    let named = |issuer: &str| crate::secrets::random::contains_ignoring_case(name.as_bytes(), issuer.as_bytes());
    ISSUERS
        .iter()
        .find(|(issuer, _)| named(issuer))
        .is_some_and(|(_, forms)| !forms.iter().any(|form| form.fits(value)))
}

fn in_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}

impl Form {
    fn fits(&self, value: &str) -> bool {
        match self {
            Hex(digits) => {
                value.len() == *digits && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            }
            Url(least, most) => (*least..=*most).contains(&value.len()) && value.bytes().all(in_url),
            Uuid => is_uuid(value),
            After(prefix, least, most) => value.strip_prefix(prefix).is_some_and(|rest| {
                (*least..=*most).contains(&rest.len()) && rest.bytes().all(|b| in_url(b) || b == b'.')
            }),
            Telegram => value.split_once(':').is_some_and(|(id, rest)| {
                (8..=10).contains(&id.len())
                    && id.bytes().all(|b| b.is_ascii_digit())
                    && rest.len() == 35
                    && rest.bytes().all(in_url)
            }),
        }
    }
}

pub(super) fn is_uuid(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A UUID of version 1 or 6: the time, a counter and the network card of the machine that made it. It is unique, and no secret.
pub(super) fn is_timestamp(value: &str) -> bool {
    is_uuid(value)
        && matches!(value.as_bytes()[14], b'1' | b'6')
        && matches!(value.as_bytes()[19], b'8' | b'9' | b'a' | b'b')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_belongs_to_the_issuer() {
        let hex = "0f3a9c".repeat(6);
        assert!(!contradicts("AMPLITUDE_SECRET_KEY", &hex[..32]));
        assert!(contradicts("AMPLITUDE_SECRET_KEY", &hex[..31]));
        assert!(contradicts("telegram_token", "8683:Ahcad6qh3m1"));
        assert!(!contradicts("INTERNAL_TOKEN", "8683:Ahcad6qh3m1"), "no issuer, no form");
    }

    #[test]
    fn a_time_is_no_secret() {
        assert!(is_timestamp(concat!("743b294a-cd03", "-11ec-9d64-0242ac120002")));
        assert!(!is_timestamp(concat!("4c1f0a5e-8f5b", "-4f3c-9a6d-2b1e7d3c9f10")));
    }
}
