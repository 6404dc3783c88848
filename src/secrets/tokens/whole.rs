//! Tokens that encode a structure: whether one was copied to its end.
//!
//! A token whose structure begins as its issuer's and then breaks off opens nothing. One that does not begin so may be of a form that is
//! not known here, and counts as whole.

use super::super::structured::{STANDARD, URL_SAFE};

use base64::Engine;

/// What a body in base64 stands for, as far as it goes: a rest of one character encodes nothing.
fn decoded(engine: &impl Engine, body: &[u8]) -> Option<Vec<u8>> {
    let len = body.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    engine.decode(&body[..len - usize::from(len % 4 == 1)]).ok()
}

/// `PyPI`: a macaroon of version 2 is a row of fields (type, length, content; a zero ends a section), the last being a signature of 32 bytes.
pub(super) fn pypi(token: &[u8]) -> bool {
    const SIGNATURE: u8 = 6;
    let bytes = token.strip_prefix(b"pypi-").and_then(|body| decoded(&URL_SAFE, body));
    let Some(bytes) = bytes else { return true };
    // The identifier is a UUID; without one the row was not made by PyPI.
    let Some(mut rest) = bytes.strip_prefix(b"\x02\x01\x08pypi.org\x02\x24").and_then(|rest| rest.get(36..)) else {
        return true;
    };
    loop {
        match rest {
            [0, after @ ..] => rest = after,
            [SIGNATURE, 32, signature @ ..] => return signature.len() >= 32,
            [1..=4, len, after @ ..] if *len < 0x80 => match after.get(usize::from(*len)..) {
                Some(after) => rest = after,
                None => return false,
            },
            [] | [_] => return false,
            _ => return true,
        }
    }
}

/// Vault: protocol buffers of a version, an HMAC of 32 bytes, and the token proper with its length before it.
pub(super) fn vault(token: &[u8]) -> bool {
    let bytes = token.strip_prefix(b"hvs.").and_then(|body| decoded(&URL_SAFE, body));
    let Some(rest) = bytes.as_deref().and_then(|bytes| bytes.strip_prefix(b"\x08\x01\x12\x20")) else { return true };
    match rest.get(32..) {
        Some([0x1A, len, proper @ ..]) if *len < 0x80 => proper.len() >= usize::from(*len),
        Some([_, _, ..]) => true,
        _ => false,
    }
}

/// Elastic Cloud: base64 of `id:secret`, then its CRC-32 in eight bytes, all of it in base64 again.
pub(super) fn elastic_cloud(token: &[u8]) -> bool {
    const SUM: usize = 8;
    let bytes = token.strip_prefix(b"essu_").and_then(|body| decoded(&STANDARD, body));
    let Some(bytes) = bytes else { return true };
    let inner = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)).count();
    let names_a_key = decoded(&STANDARD, &bytes[..inner]).is_some_and(|text| text.is_ascii() && text.contains(&b':'));
    !names_a_key || bytes.len() >= inner + SUM
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token of these bytes, and how many characters of it may be cut before it is known for a piece.
    fn whole_and_cut(check: fn(&[u8]) -> bool, prefix: &str, bytes: &[u8]) {
        let token = format!("{prefix}{}", STANDARD.encode(bytes).replace('+', "-").replace('/', "_"));
        let token = if prefix == "essu_" { token } else { token.trim_end_matches('=').to_owned() };
        assert!(check(token.as_bytes()), "{prefix}");
        assert!(!check(&token.as_bytes()[..token.len() - 6]), "{prefix}");
        assert!(check(prefix.as_bytes()) && check(format!("{prefix}{}", "Zq9".repeat(30)).as_bytes()), "{prefix}");
    }

    #[test]
    fn a_piece_is_told_from_the_whole() {
        let macaroon = [
            &b"\x02\x01\x08pypi.org\x02\x24"[..],
            b"5d1c0f3e-8a47-4b92-9e60-27f4b8c1d3a5",
            b"\0\x02\x05[1,2]\0\0\x06\x20",
            &[0xA7; 32],
        ];
        whole_and_cut(pypi, "pypi-", &macaroon.concat());
        let proper = [&b"\x0A\x1C"[..], &[b'k'; 28]].concat();
        whole_and_cut(vault, "hvs.", &[&b"\x08\x01\x12\x20"[..], &[0x5C; 32], b"\x1A\x1E", &proper].concat());
        let key = STANDARD.encode("RkAlnZsBUa2eQ7t4WO5c:rvn_TkqQoG7nx3dfQsGcNw");
        whole_and_cut(elastic_cloud, "essu_", &[key.as_bytes(), &[0, 0, 0, 0, 0xDC, 0x79, 0x66, 0xCE]].concat());
    }
}
