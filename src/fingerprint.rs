//! Fingerprints of secrets: the same value has the same one, and nobody without the installation's key can make it or guess from it.
//!
//! Made only where the operator gave a key. Knows no file and no finding. The ratchet's digests (finding.rs) are another thing: their
//! key lives as long as the process, and they are never printed.

use std::fmt;

use ring::hmac;

/// So many bytes of the key file are wanted: as many as SHA-256 gives, so that the key is no easier to guess than a fingerprint.
pub const SHORTEST_KEY: usize = 32;

/// A larger file is hardly a key: somebody named the wrong one.
pub const LONGEST_KEY: usize = 4096;

/// Hex digits that are shown: 64 bits tell the secrets of an installation apart (two of a million are alike once in 30 million times),
/// and people can compare and paste them.
const DIGITS: usize = 16;

/// The installation's key.
#[derive(Clone)]
pub struct Key(hmac::Key);

/// What is wrong with the bytes of a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Fewer than [`SHORTEST_KEY`].
    #[error("holds {0} bytes, and at least {SHORTEST_KEY} are wanted")]
    Short(usize),
    /// More than [`LONGEST_KEY`].
    #[error("holds more than {LONGEST_KEY} bytes, which is no key")]
    Long,
}

impl Key {
    /// A key of the bytes of its file, without the line break that editors and `openssl rand -hex` put at the end.
    pub fn new(bytes: &[u8]) -> Result<Key, KeyError> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        match bytes.len() {
            length if length < SHORTEST_KEY => Err(KeyError::Short(length)),
            length if length > LONGEST_KEY => Err(KeyError::Long),
            _ => Ok(Key(hmac::Key::new(hmac::HMAC_SHA256, bytes))),
        }
    }

    /// The fingerprint of a secret's value: the first 16 hex digits of its HMAC-SHA256.
    pub fn fingerprint(&self, value: &str) -> Fingerprint {
        let tag = hmac::sign(&self.0, value.as_bytes());
        let mut digits = String::with_capacity(DIGITS);
        for byte in tag.as_ref().iter().take(DIGITS / 2) {
            digits.push_str(&format!("{byte:02x}"));
        }
        Fingerprint(digits)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Tells whether two secrets are the same one; as hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is what a fingerprint looks like.
    pub fn is_one(text: &str) -> bool {
        text.len() == DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 6: a key longer than a block.
    #[test]
    fn it_is_hmac_sha256() {
        let key = Key::new(&[0xaa; 131]).unwrap();
        let fingerprint = key.fingerprint("Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(fingerprint.as_str(), "60e431591ee0b67f");
        assert!(Fingerprint::is_one(fingerprint.as_str()));
    }

    #[test]
    fn a_line_break_at_the_end_is_no_part_of_the_key() {
        let plain = Key::new(&[b'k'; 32]).unwrap().fingerprint("x");
        for end in ["\n", "\r\n"] {
            let bytes = [&[b'k'; 32], end.as_bytes()].concat();
            assert_eq!(Key::new(&bytes).unwrap().fingerprint("x"), plain);
        }
        assert_ne!(Key::new(&[b'l'; 32]).unwrap().fingerprint("x"), plain);
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        assert_eq!(Key::new(b"").unwrap_err(), KeyError::Short(0));
        assert_eq!(Key::new(&[b'k'; 31]).unwrap_err(), KeyError::Short(31));
        assert_eq!(Key::new(&[b'k'; 4097]).unwrap_err(), KeyError::Long);
        assert_eq!(format!("{:?}", Key::new(&[b'k'; 32]).unwrap()), "Key(..)");
    }
}
