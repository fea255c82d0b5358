//! What comes out of a pipeline that receives, as a publisher's process sees it
//! at an `identity name=look…`.

use serde::{Deserialize, Serialize};

/// Everything that has come since the start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sight {
    /// The caps, one after the other.
    pub caps: Vec<String>,
    /// Buffers.
    pub buffers: u64,
    /// Those that need none before them.
    pub keyframes: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How often the stream began.
    pub starts: u64,
    /// Has it ended?
    pub ended: bool,
    /// Buffers with a reference timestamp.
    pub references: u64,
    /// The last of these, in ms.
    pub reference: Option<u64>,
    /// RTP packets that are missing, by their sequence numbers.
    pub missing: u64,
    /// Raw pictures that differ from the one before.
    pub moved: u64,
    /// The loudest raw sample, of 1.
    pub loudest: f64,
    /// Raw pictures that carry a [stamp](crate::stamp), the last thousand.
    pub pictures: Vec<Picture>,
    /// The pitch of each buffer of raw sound, in Hz; the last thousand.
    pub pitches: Vec<f64>,
    /// Running times, in ms, at which silence ended: the ticks.
    pub ticks: Vec<u64>,
}

/// One raw picture.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Picture {
    /// Its number.
    pub number: u16,
    /// From drawing it to here, in ms.
    pub age: u16,
    /// Its running time, in ms.
    pub time: u64,
}

impl Sight {
    /// The numbers of the pictures.
    pub fn numbers(&self) -> Vec<u16> {
        self.pictures.iter().map(|it| it.number).collect()
    }
}
