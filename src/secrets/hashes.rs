//! Hashes of passwords: bcrypt, crypt(3), argon2, `{SHA}` of LDAP and htpasswd, Django's PBKDF2. Looked for only where a policy asks.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::tokens::{boundary_after, boundary_before};
use super::{Certainty, Kind, Secret};

/// What they are called.
pub(super) const KIND: Kind = Kind { issuer: "", what: "password hash" };

/// What is said of one.
pub(super) const SECRET: Secret = Secret { kind: KIND, prefix: None, certainty: Certainty::Certain, doubtful: false };

/// Whole hashes only, of the length that each algorithm gives: `$6$` alone also begins shell text. No alternative can be entered
/// but at a `$`, a `{` or a `p`, and none has a repetition inside of one, so the search is linear.
static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const FORMATS: [&str; 6] = [
        r"\$2[abxy]\$[0-9]{2}\$[./A-Za-z0-9]{53}",
        r"\$(?:1|apr1)\$[./A-Za-z0-9]{1,8}\$[./A-Za-z0-9]{22}",
        r"\$[56]\$(?:rounds=[0-9]{1,9}\$)?[./A-Za-z0-9]{1,16}\$(?:[./A-Za-z0-9]{86}|[./A-Za-z0-9]{43})",
        r"\$argon2(?:id|i|d)\$(?:v=[0-9]{1,3}\$)?m=[0-9]{1,9},t=[0-9]{1,9},p=[0-9]{1,3}\$[+/A-Za-z0-9]{8,64}\$[+/A-Za-z0-9]{16,128}",
        r"\{S?SHA(?:256|512)?\}[+/A-Za-z0-9]{27,180}={0,2}",
        r"pbkdf2_sha(?:1|256)\$[0-9]{1,9}\$[./A-Za-z0-9]{1,64}\$[+/A-Za-z0-9]{27,64}={0,2}",
    ];
    Regex::new(&format!("(?-u){}", FORMATS.join("|"))).ok()
});

/// Where they stand in a text.
pub(super) fn of(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let found = PATTERN.iter().flat_map(move |pattern| pattern.find_iter(bytes)).map(|found| found.range());
    found.filter(move |range| {
        boundary_after(bytes, range.end) && (bytes[range.start] != b'p' || boundary_before(bytes, range.start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_hashes_are_found() {
        let b64 = "Zk3pQ9xL0vRt7WmY2nBc8HdS5jGfA1eUo4i6TgKqXzN";
        assert!(PATTERN.is_some());
        for hash in [
            format!("$2y$10${b64}{}", &b64[..10]),
            format!("$apr1$a8Kd0/q1${}", &b64[..22]),
            format!("$1$a8${}", &b64[..22]),
            format!("$5$rounds=5000$salt${b64}"),
            format!("$6$salt${b64}{b64}"),
            format!("$argon2id$v=19$m=65536,t=3,p=4${}${b64}", &b64[..22]),
            format!("{{SHA}}{}=", &b64[..27]),
            format!("{{SSHA}}{}", &b64[..32]),
            format!("pbkdf2_sha256$600000$salt${}", &b64[..29]),
        ] {
            let text = format!("admin:{hash}\nnext");
            assert_eq!(of(&text).map(|range| &text[range]).collect::<Vec<_>>(), [&*hash]);
            // Cut short, a hash of fixed length is none.
            if !["$argon2", "{SSHA", "{SHA"].iter().any(|start| hash.starts_with(start)) {
                assert_eq!(of(&hash[..hash.len() - 3]).count(), 0, "{hash}");
            }
        }
        for none in ["$6$", "cost is $5$ and $6$", "{SHA}", "${VAR}", "$2y$10$short", "bcrypt"] {
            assert_eq!(of(none).count(), 0, "{none}");
        }
    }
}
