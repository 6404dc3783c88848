//! Layer B: a user and a password inside a URL or a driver's address.
//!
//! Finds the password's place in the text; whether it is a reference or a well-known default is asked of `placeholder` and
//! `weak`. `password=` inside connection strings is an assignment and not looked at here.

use std::ops::Range;

use memchr::memrchr;

use super::weak;
use super::{Certainty, Kind, Secret, placeholder};

const KIND: Kind = Kind { issuer: "", what: "password in a URL" };

/// Longer than any address that a driver accepts.
const MAX: usize = 1024;

/// The password of the URL whose `://` stands at `hit`.
pub(super) fn at(text: &str, hit: &Range<usize>) -> Option<(Range<usize>, Secret)> {
    let bytes = text.as_bytes();
    let scheme =
        bytes[..hit.start].iter().rev().take(24).take_while(|b| b.is_ascii_alphanumeric() || b"+.-".contains(b));
    let scheme = scheme.count();
    if scheme == 0 {
        return None;
    }
    let rest = &bytes[hit.end..bytes.len().min(hit.end + MAX)];
    let end = rest.iter().position(|byte| ends_authority(*byte)).unwrap_or(rest.len());
    let at = memrchr(b'@', &rest[..end])?;
    let userinfo = text.get(hit.end..hit.end + at)?;
    let (user, password) = userinfo.split_once(':')?;
    let scheme = &text[hit.start - scheme..hit.start];
    if scheme.eq_ignore_ascii_case("oci") || placeholder::is_reference_scheme(scheme) {
        return None;
    }
    let range = hit.end + user.len() + 1..hit.end + at;
    Some((range, judge(user, password)?))
}

/// The password of a Go driver's `user:password@tcp(host:3306)/db`, whose `@tcp(` stands at `hit`.
pub(super) fn dsn(text: &str, hit: &Range<usize>) -> Option<(Range<usize>, Secret)> {
    let bytes = text.as_bytes();
    let from = hit.start.saturating_sub(256);
    let stop = |byte: u8| byte.is_ascii_whitespace() || b"\"'=`".contains(&byte);
    let start = bytes[from..hit.start].iter().rposition(|byte| stop(*byte)).map_or(from, |at| from + at + 1);
    let (user, password) = text.get(start..hit.start)?.split_once(':')?;
    Some((start + user.len() + 1..hit.start, judge(user, password)?))
}

fn judge(user: &str, password: &str) -> Option<Secret> {
    if password.is_empty()
        || placeholder::is_placeholder(password)
        || (!user.is_empty() && placeholder::is_placeholder(user))
    {
        return None;
    }
    // `https://token:x-oauth-basic@host`: the user is the secret.
    let password = if matches!(password, "x-oauth-basic" | "x-token-auth") { user } else { password };
    let weak = password.eq_ignore_ascii_case(user)
        || weak::is_weak(password)
        || weak::is_weak_beside(password, user)
        || password.len() < 4;
    let certainty = if weak { Certainty::Weak } else { Certainty::Certain };
    Some(Secret { kind: KIND, prefix: None, certainty, doubtful: false })
}

fn ends_authority(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"/?#\"'<>`\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<(&str, Certainty)> {
        let start = text.find("://")?;
        at(text, &(start..start + 3)).map(|(range, secret)| (&text[range], secret.certainty))
    }

    #[test]
    fn a_password_in_a_url_is_found() {
        assert_eq!(of(concat!("postgres://app", ":9fQ2xL0z", "@db:5432/app")), Some(("9fQ2xL0z", Certainty::Certain)));
        assert_eq!(of(concat!("redis://", ":9fQ2xL0z", "@cache")), Some(("9fQ2xL0z", Certainty::Certain)));
        assert_eq!(of(concat!("mongodb+srv://a", ":x@y9Zq", "@h")), Some(("x@y9Zq", Certainty::Certain)));
    }

    #[test]
    fn the_default_of_a_broker_is_weak() {
        assert_eq!(of("amqp://guest:guest@rabbit:5672/"), Some(("guest", Certainty::Weak)));
    }

    /// trufflehog #209 and #894, PR #1489, deepsecrets #4.
    #[test]
    fn references_masks_and_paths_are_no_password() {
        for text in [
            "https://${user}:${password}@host",
            "https://$(USER):$(PASS)@host",
            "https://u:%2A%2A%2A@host",
            "https://u:****@host",
            "https://{{ .user }}:{{ .password }}@db",
            "http://host:8080/a@b",
            "http://proxy.corp:3128",
            "smtp://mail:587",
            "https://<user>:<password>@host",
            "https://user@host/x",
            "jdbc:postgresql://db:5432/app",
            "https://u:%s@host",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
