//! Checks that a token carries in itself.
//!
//! Pure arithmetic over the token's bytes. A check that fails is a reason to doubt the token, not to clear it: published
//! samples and redacted logs carry made-up checksums, and the engine asks more of such a token.

use base64::Engine;

/// CRC-32 as in zlib, a bit at a time: tokens are short and rare, a table would be larger than what it saves.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

/// `number` in base `alphabet.len()`, padded to `digits`, equals `text`.
fn encodes(number: u32, alphabet: &[u8], text: &[u8]) -> bool {
    let mut rest = number as usize;
    for byte in text.iter().rev() {
        if alphabet.get(rest % alphabet.len()) != Some(byte) {
            return false;
        }
        rest /= alphabet.len();
    }
    rest == 0
}

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// GitHub, npm, Vercel: the last six characters are the CRC-32 of what stands between the prefix and them.
pub(super) fn crc_base62_body(token: &[u8]) -> bool {
    let Some(at) = token.iter().position(|byte| *byte == b'_') else { return false };
    let body = &token[at + 1..];
    body.len() > 6 && encodes(crc32(&body[..body.len() - 6]), BASE62, &body[body.len() - 6..])
}

/// Deno: as GitHub's, but the prefix is counted too.
pub(super) fn crc_base62_whole(token: &[u8]) -> bool {
    token.len() > 6 && encodes(crc32(&token[..token.len() - 6]), BASE62, &token[token.len() - 6..])
}

/// Grafana: `glsa_<32>_<8 hex>`, the hex being the little-endian CRC-32 of all before it.
pub(super) fn grafana(token: &[u8]) -> bool {
    let Some(split) = token.len().checked_sub(9) else { return false };
    hex_is(&token[split + 1..], crc32(&token[..split]).swap_bytes())
}

/// Zuplo: `zpka_<32>_<8 hex>`, big-endian, over the 32 only.
pub(super) fn zuplo(token: &[u8]) -> bool {
    let Some(split) = token.len().checked_sub(9) else { return false };
    split > 5 && hex_is(&token[split + 1..], crc32(&token[5..split]))
}

/// Atlassian: `...=XXXXXXXX`, upper-case hex of everything up to and with the equals sign.
pub(super) fn atlassian(token: &[u8]) -> bool {
    let Some(split) = token.len().checked_sub(8) else { return false };
    split > 0 && token[split - 1] == b'=' && hex_is(&token[split..], crc32(&token[..split]))
}

/// GitHub's server-to-server tokens: 36 letters and digits, or a number and a JSON web token, which is longer.
pub(super) fn github_server(token: &[u8]) -> bool {
    token.len() > 40 || token[4..].iter().all(u8::is_ascii_alphanumeric)
}

/// The checksum of the short ones; a web token has its own signature.
pub(super) fn github_server_sum(token: &[u8]) -> bool {
    token.len() > 40 || crc_base62_body(token)
}

/// GitLab's routable tokens end in seven base-36 digits of the CRC-32 of all before; the older ones carry no check.
pub(super) fn gitlab(token: &[u8]) -> bool {
    if !token.contains(&b'.') {
        return true;
    }
    token.len() > 7 && encodes(crc32(&token[..token.len() - 7]), BASE36, &token[token.len() - 7..])
}

/// `PyPI`: a macaroon, version 2, whose location is "pypi.org".
pub(super) fn pypi(token: &[u8]) -> bool {
    let Some(body) = token.strip_prefix(b"pypi-") else { return false };
    let head = &body[..body.len().min(16)];
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(head)
        .is_ok_and(|bytes| bytes.starts_with(b"\x02\x01\x08pypi.org"))
}

/// age: bech32 (BIP 173), all of it, in either case.
pub(super) fn bech32(token: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const POLYNOMIAL: [u32; 5] = [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3];
    let Some(split) = memchr::memrchr(b'1', token) else { return false };
    let prefix = token[..split].to_ascii_lowercase();
    let step = |sum: u32, value: u32| {
        let top = sum >> 25;
        let next = (sum & 0x01FF_FFFF) << 5 ^ value;
        POLYNOMIAL.iter().enumerate().fold(next, |sum, (bit, word)| if top >> bit & 1 == 1 { sum ^ word } else { sum })
    };
    let mut sum = prefix.iter().fold(1, |sum, byte| step(sum, u32::from(byte >> 5)));
    sum = step(sum, 0);
    sum = prefix.iter().fold(sum, |sum, byte| step(sum, u32::from(byte & 31)));
    for byte in token[split + 1..].to_ascii_lowercase() {
        let Some(value) = ALPHABET.iter().position(|known| *known == byte).and_then(|at| u32::try_from(at).ok()) else {
            return false;
        };
        sum = step(sum, value);
    }
    sum == 1
}

/// Grafana's old API keys: base64 of `{"k": "...", "n": "...", "id": 1}`, the key being no sample. What is no text below is not shown to be
/// something else.
pub(super) fn grafana_legacy(token: &[u8]) -> bool {
    let Ok(json) = super::super::structured::STANDARD.decode(token) else { return false };
    if !json.is_ascii() {
        return true;
    }
    let has = |name: &[u8]| memchr::memmem::find(&json, name).is_some();
    has(b"\"n\":") && has(b"\"id\":") && !super::super::random::contains_ignoring_case(&json, b"example")
}

/// Tink: the type of a key stands in a keyset; that of a public one says so.
pub(super) fn tink(token: &[u8]) -> bool {
    let len = token.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let keyset = super::super::structured::STANDARD.decode(&token[..len - usize::from(len % 4 == 1)]);
    keyset.is_ok_and(|keyset| memchr::memmem::find(&keyset, b"PublicKey").is_none())
}

fn hex_is(text: &[u8], number: u32) -> bool {
    std::str::from_utf8(text).ok().and_then(|text| u32::from_str_radix(text, 16).ok()) == Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_is_zlibs() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    fn made(prefix: &str, body: &str, whole: bool) -> String {
        let sum = if whole { crc32(format!("{prefix}{body}").as_bytes()) } else { crc32(body.as_bytes()) };
        let mut rest = sum as usize;
        let digits: Vec<u8> = (0..6).map(|_| (BASE62[rest % 62], rest /= 62).0).collect();
        format!("{prefix}{body}{}", digits.iter().rev().map(|b| char::from(*b)).collect::<String>())
    }

    #[test]
    fn a_changed_character_breaks_the_check() {
        let token = made("ghp_", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5", false);
        assert!(crc_base62_body(token.as_bytes()));
        assert!(!crc_base62_body(token.replace("a1B2", "a1B3").as_bytes()));
        assert!(crc_base62_whole(made("ddp_", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5", true).as_bytes()));
    }

    /// The valid strings of BIP 173, and one of them with a character changed.
    #[test]
    fn bech32_is_that_of_bip_173() {
        assert!(bech32(b"A12UEL5L") && bech32(b"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"));
        assert!(!bech32(b"A12UEL5P") && !bech32(b"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxq"));
    }

    #[test]
    fn short_input_is_no_token() {
        for check in
            [crc_base62_body, crc_base62_whole, grafana, zuplo, atlassian, gitlab, pypi, bech32, grafana_legacy]
        {
            let _ = check(b"") || check(b"_") || check(b"x.y");
        }
        assert!(!grafana(b"short"));
    }
}
