//! Messages that both ends of a test can make, and know again.

use serde::{Deserialize, Serialize};

/// A message as it came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Was it text?
    pub text: bool,
    /// How many bytes it has.
    pub size: usize,
    /// Their [`digest`].
    pub digest: u64,
    /// Who sent it, where that is told.
    pub peer: Option<String>,
    /// On which channel, where that is told.
    pub label: Option<String>,
    /// The running time that it carries, in ns.
    pub time: Option<u64>,
}

impl Heard {
    /// Is it the message [`pattern`] makes of these?
    pub fn is(&self, seed: u64, size: usize, text: bool) -> bool {
        let wanted = pattern(seed, size, text);
        (self.text, self.size, self.digest) == (text, size, digest(&wanted))
    }
}

/// A message of `size` bytes, printable if it is text; `pattern` in page.js
/// makes the same.
pub fn pattern(seed: u64, size: usize, text: bool) -> Vec<u8> {
    let byte = |at: usize| {
        let mixed = (at * 31 + (at >> 8) * 7) as u64 + seed * 17 + seed / 90;
        match text {
            true => 32 + (mixed % 95) as u8,
            false => (mixed % 251) as u8,
        }
    };
    (0..size).map(byte).collect()
}

/// FNV-1a, 64 bits: a difference shows.
pub fn digest(bytes: &[u8]) -> u64 {
    extend(0xcbf2_9ce4_8422_2325, bytes)
}

/// The digest of what has a digest already and `bytes` behind it.
pub fn extend(digest: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(digest, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
