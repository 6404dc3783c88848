//! Layer D: one layer of base64, taken off. Decides only whether there is text below; the layers above look at it.

use base64::Engine;

use super::structured::{STANDARD, URL_SAFE};

/// Shorter strings decode to text by chance, and hold no token.
const MIN: usize = 16;

/// The text below a value that is base64 as a whole.
pub(super) fn text(value: &str) -> Option<String> {
    if value.len() < MIN {
        return None;
    }
    let bytes = value.trim().as_bytes();
    // The first characters tell for most strings, without an allocation.
    if bytes.len() < MIN || !bytes[..MIN].iter().all(|byte| is_base64(*byte)) || !begins_printable(&bytes[..MIN]) {
        return None;
    }
    if !bytes.iter().all(|byte| is_base64(*byte) || byte.is_ascii_whitespace()) {
        return None;
    }
    let joined;
    let bytes = if bytes.iter().any(u8::is_ascii_whitespace) {
        joined = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>();
        &joined
    } else {
        bytes
    };
    let decoded = STANDARD.decode(bytes).or_else(|_| URL_SAFE.decode(bytes)).ok()?;
    String::from_utf8(decoded).ok().filter(|text| !text.bytes().any(is_binary))
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte)
}

fn begins_printable(head: &[u8]) -> bool {
    let mut out = [0; MIN];
    let len = STANDARD.decode_slice(head, &mut out).or_else(|_| URL_SAFE.decode_slice(head, &mut out));
    len.is_ok_and(|len| !out[..len].iter().any(|byte| is_binary(*byte) || !byte.is_ascii()))
}

fn is_binary(byte: u8) -> bool {
    byte.is_ascii_control() && !byte.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_comes_out() {
        assert_eq!(text(&STANDARD.encode("user:some text below")).as_deref(), Some("user:some text below"));
        assert_eq!(text(&STANDARD.encode([0u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])), None);
        assert_eq!(text("deployment-controller"), None);
        assert_eq!(text("short"), None);
    }
}
