//! Network reports in, bitrates out. Pure.
//!
//! One rule for now: each viewer has an [`Estimate`] that falls on loss and
//! grows without; an encoding follows the lowest of its viewers' estimates
//! ([`shared_bitrate`]), within the limits that the user set.

use std::time::Instant;

/// Bounds of a bitrate, in bit/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Never below.
    pub min: u32,
    /// Never above.
    pub max: u32,
    /// Where to begin.
    pub start: u32,
}

/// What one viewer reports of the last interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// The part of packets that was lost, 0 to 1 (RTCP RR or TWCC).
    pub loss: f64,
    /// What reached it, in bit/s, where known (TWCC).
    pub received: Option<u32>,
    /// What it says it can take, in bit/s (REMB), where it says so.
    pub remb: Option<u32>,
}

/// What one viewer's path can carry.
#[derive(Clone, Debug)]
pub struct Estimate {
    bitrate: f64,
}

impl Estimate {
    /// Begins at `limits.start`.
    pub fn new(limits: Limits) -> Self {
        todo!("{limits:?}")
    }

    /// Takes a report; answers the new estimate in bit/s.
    pub fn handle_report(&mut self, now: Instant, report: Report) -> u32 {
        todo!("{now:?} {report:?}")
    }

    /// The estimate in bit/s.
    pub fn bitrate(&self) -> u32 {
        self.bitrate as u32
    }
}

/// The bitrate of an encoding that these viewers share: the lowest estimate,
/// within the limits; `limits.start` with no viewer.
pub fn shared_bitrate(limits: Limits, viewers: impl IntoIterator<Item = u32>) -> u32 {
    let lowest = viewers.into_iter().min().unwrap_or(limits.start);
    lowest.clamp(limits.min, limits.max)
}
