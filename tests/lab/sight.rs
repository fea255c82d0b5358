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
    /// The [strongest] pitch of moments that were not quiet, in Hz; the last
    /// thousand.
    pub tones: Vec<f64>,
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
    /// The pitch that half of the last moments stay under, once there are some.
    pub fn tone(&self) -> Option<f64> {
        let mut last: Vec<_> = self.tones.iter().rev().take(9).copied().collect();
        last.sort_by(f64::total_cmp);
        (last.len() >= 5).then(|| last[last.len() / 2])
    }

    /// The numbers of the pictures.
    pub fn numbers(&self) -> Vec<u16> {
        self.pictures.iter().map(|it| it.number).collect()
    }
}

/// The strongest frequency between 100 and 2000 Hz, by Goertzel's algorithm.
pub fn strongest(samples: &[f64], rate: u32) -> f64 {
    let power = |hertz: f64| {
        let factor = 2.0 * (std::f64::consts::TAU * hertz / f64::from(rate)).cos();
        let (one, two) = samples.iter().fold((0.0, 0.0), |(one, two), sample| {
            (sample + factor * one - two, one)
        });
        one * one + two * two - factor * one * two
    };
    let all = (10..=200).map(|it| f64::from(it) * 10.0);
    let powers = all.map(|hertz| (hertz, power(hertz)));
    let best = powers.max_by(|one, other| one.1.total_cmp(&other.1));
    best.map_or(0.0, |(hertz, _)| hertz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_beep_has_its_pitch() {
        for hertz in [200.0, 440.0, 1000.0] {
            let wave = |it: i32| (std::f64::consts::TAU * hertz * f64::from(it) / 48_000.0).sin();
            let mut beep: Vec<_> = (0..960).map(wave).collect();
            beep.extend([0.0; 960]);
            let heard = strongest(&beep, 48_000);
            assert!((heard - hertz).abs() <= 20.0, "{hertz}: {heard}");
        }
    }
}
