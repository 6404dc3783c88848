//! Digests that are the same in every process, for keys and for an order that has nothing to do with the names themselves.

/// FNV-1a over parts; not for keeping secrets or for defence: whoever finds a collision gains a worse place.
#[derive(Clone, Debug)]
pub(super) struct Hasher(u64);

impl Default for Hasher {
    fn default() -> Self {
        Hasher(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher {
    /// A part, and its end: ("ab", "c") is not ("a", "bc").
    pub(super) fn part(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The digest so far, mixed: FNV's high bits hardly depend on the last bytes, by which names of nodes differ.
    pub(super) fn finish(&self) -> u64 {
        let mut mixed = self.0;
        for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
            mixed = (mixed ^ (mixed >> 33)).wrapping_mul(factor);
        }
        mixed ^ (mixed >> 33)
    }
}

/// The digest of several parts.
pub(super) fn digest(parts: &[&str]) -> u64 {
    let mut hasher = Hasher::default();
    for part in parts {
        hasher.part(part);
    }
    hasher.finish()
}
