//! The file below a `binaryData` entry, when it is text. Knows nothing of secrets.

use base64::Engine;

use super::structured::STANDARD;

/// Archives, images and keystores are not read.
pub(super) fn text(value: &str) -> Option<String> {
    let head = &value.as_bytes()[..value.len().min(64) / 4 * 4];
    let mut out = [0; 48];
    let len = STANDARD.decode_slice(head, &mut out).ok()?;
    if out[..len].iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
        return None;
    }
    String::from_utf8(STANDARD.decode(value.trim_end()).ok()?).ok()
}
