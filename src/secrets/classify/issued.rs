//! What issuers hand out without a prefix: known only together with the issuer's name in the key.
//!
//! Says whether a value can be what a key with an issuer's name in it calls for. One that cannot was cut off or made up: the issuer would
//! not know it. Lists an issuer only where its documentation fixes the whole form.

use crate::secrets::random::letters_of;

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
    /// So many characters of base64, without padding.
    Base64(usize),
    /// Anything of this length: what servers that speak the issuer's protocol take is theirs to choose.
    Length(usize, usize),
    /// This, and then two halves of so many letters, digits, `-` and `_` with a slash between them.
    Halves(&'static str, usize),
}

use Form::{After, Base64, Halves, Hex, Length, Telegram, Url, Uuid};

/// By what names the issuer: letters and digits of the key, in lower case.
#[rustfmt::skip] // one line an issuer
const ISSUERS: &[(&str, &[Form])] = &[
    ("amplitude", &[Hex(32)]),
    ("airtable", &[After("key", 14, 14), After("pat", 60, 90), Url(17, 17)]),
    ("algolia", &[Hex(32)]),
    ("awssecret", &[Base64(40), Length(0, 36), Length(41, 4096)]),
    ("bugsnag", &[Hex(32)]),
    ("buildkite", &[After("bk", 40, 600), Hex(40)]),
    ("calendly", &[After("eyJ", 60, 2000), Url(43, 43)]),
    ("clickup", &[After("pk_", 38, 46)]),
    ("cloudflare", &[Hex(37), Url(40, 40), After("v1.0-", 160, 180), After("cf", 40, 64)]),
    ("codecov", &[Uuid]),
    ("configcat", &[Halves("", 22), Halves("configcat-sdk-1/", 22)]),
    ("cursor", &[After("key_", 64, 64), After("crsr_", 64, 64)]),
    ("datadog", &[Hex(32), Hex(40), After("dd", 32, 64)]),
    ("deepseek", &[After("sk-", 32, 64)]),
    ("digitalocean", &[After("do", 64, 72), Hex(64)]),
    ("doppler", &[After("dp.", 40, 90)]),
    ("gitea", &[Hex(40)]),
    ("githubtoken", &[After("gh", 36, 800), After("github_pat_", 80, 90), Hex(40)]),
    ("groq", &[After("gsk_", 50, 54)]),
    ("heroku", &[Uuid, After("HRKU-", 36, 64)]),
    ("huggingface", &[After("hf_", 34, 40), After("api_org_", 34, 34)]),
    ("iterable", &[Url(32, 32)]),
    ("linear", &[After("lin_", 40, 80), Hex(32)]),
    ("meraki", &[Hex(40)]),
    ("mixpanel", &[Hex(32)]),
    ("notion", &[After("ntn_", 40, 50), After("secret_", 43, 43), After("nrt_", 40, 60)]),
    ("openrouter", &[After("sk-or-", 60, 70)]),
    ("opsgenie", &[Uuid]),
    ("perplexity", &[After("pplx-", 48, 60)]),
    ("planetscale", &[After("pscale_", 32, 80)]),
    ("postman", &[After("PMAK-", 59, 59), After("PMAT-", 26, 26)]),
    ("postmark", &[Uuid]),
    ("pulumi", &[After("pul-", 40, 40)]),
    ("replicate", &[After("r8_", 37, 40), Hex(40)]),
    ("rollbar", &[Hex(32), Hex(128)]),
    ("sendgrid", &[After("SG.", 60, 70)]),
    ("slackbottoken", &[After("xox", 20, 400)]),
    ("slacktoken", &[After("xox", 20, 400), After("xapp-", 60, 120)]),
    ("snyk", &[Uuid, After("snyk_", 40, 420)]),
    ("stripe", &[After("sk_", 14, 128), After("rk_", 14, 128), After("whsec_", 24, 80), After("pi_", 20, 90), After("seti_", 20, 90), After("cs_", 20, 120)]),
    ("tailscale", &[After("tskey-", 24, 80)]),
    ("telegram", &[Telegram]),
    ("twilio", &[Hex(32), After("SK", 32, 32), After("AC", 32, 32)]),
    ("zendesk", &[Url(40, 40)]),
    ("twitch", &[After("live_", 36, 60), Url(30, 30), After("oauth:", 30, 30)]),
];

/// Whether no issuer would know the value under this name. Chosen passwords have no form, so ask only for tokens and keys.
pub(super) fn would_not_be_known(name: &str, value: &str) -> bool {
    contradicts(name, value) || is_timestamp(value) || is_cut_uuid(value) || is_ended(name, value)
}

/// Whether the key names an issuer whose form the value does not have.
fn contradicts(name: &str, value: &str) -> bool {
    let letters = letters_of(name);
    ISSUERS
        .iter()
        .find(|(issuer, _)| letters.contains(issuer))
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
            Base64(len) => {
                value.len() == *len && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
            }
            Length(least, most) => (*least..=*most).contains(&value.len()),
            Halves(prefix, len) => {
                let half = |part: &str| part.len() == *len && part.bytes().all(in_url);
                let halves = value.strip_prefix(prefix).and_then(|rest| rest.split_once('/'));
                halves.is_some_and(|(one, two)| half(one) && half(two))
            }
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

/// A UUID, perhaps behind a prefix, that lost a few of its last digits, or has some too many. Last groups of eight are some issuers' own.
fn is_cut_uuid(value: &str) -> bool {
    let mut groups = value.rsplit('-');
    let Some(last) = groups.next() else { return false };
    let hex = |group: &str, len: usize| group.len() == len && group.bytes().all(|b| b.is_ascii_hexdigit());
    let middle = groups.by_ref().take(3).filter(|group| hex(group, 4)).count() == 3;
    let first = groups.next().and_then(|group| group.get(group.len().saturating_sub(8)..));
    middle
        && first.is_some_and(|group| hex(group, 8))
        && matches!(last.len(), 9..=11 | 13..=15)
        && hex(last, last.len())
}

/// npm's first tokens were UUIDs; the last of them ended in 2025.
fn is_ended(name: &str, value: &str) -> bool {
    is_uuid(value) && letters_of(name).contains("npmtoken")
}

/// A UUID of version 1 or 6: the time, a counter and the network card of the machine that made it. It is unique, and no secret.
fn is_timestamp(value: &str) -> bool {
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
