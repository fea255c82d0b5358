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

impl Limits {
    /// These, with nothing above `most`.
    pub fn at_most(self, most: u32) -> Self {
        Self {
            min: self.min.min(most),
            max: self.max.min(most),
            start: self.start.min(most),
        }
    }

    /// `bitrate` within them; where they contradict, `min` holds.
    fn clamp(self, bitrate: f64) -> f64 {
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        bitrate.clamp(min, max.max(min))
    }
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

/// Above this part lost, the path is full: less is sent.
const LOSS_HIGH: f64 = 0.10;

/// Below this part lost, there may be room for more.
const LOSS_LOW: f64 = 0.02;

/// Growth a second without loss. Doubles in 14 s; TCP-like probing would hurt
/// live video more than it gains.
const GROWTH: f64 = 1.05;

/// What arrived is worth as much as that: nobody has tried whether more would.
const HEADROOM: f64 = 1.5;

/// What one viewer's path can carry: falls on loss, grows without, bounded by what
/// was seen to arrive and by what the viewer says.
#[derive(Clone, Debug)]
pub struct Estimate {
    limits: Limits,
    bitrate: f64,
    last: Option<Instant>,
}

impl Estimate {
    /// Begins at `limits.start`.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            bitrate: limits.clamp(f64::from(limits.start)),
            last: None,
        }
    }

    /// Takes a report; answers the new estimate in bit/s.
    pub fn handle_report(&mut self, now: Instant, report: Report) -> u32 {
        // Reports may be late: more than 2 s of growth at once is a guess.
        let passed = self
            .last
            .map_or(0.0, |last| (now - last).as_secs_f64().min(2.0));
        self.last = Some(now);
        let before = self.bitrate;
        if report.loss > LOSS_HIGH {
            self.bitrate *= 1.0 - 0.5 * report.loss.min(1.0);
        } else if report.loss < LOSS_LOW {
            self.bitrate *= GROWTH.powf(passed);
        }
        if let Some(received) = report.received {
            let bound = f64::from(received) * HEADROOM;
            // Without much loss, that little arrived only means that little
            // was sent: a still picture is no reason to fall.
            let stays = if report.loss > LOSS_HIGH { 0.0 } else { before };
            self.bitrate = self.bitrate.min(bound.max(stays));
        }
        if let Some(remb) = report.remb {
            self.bitrate = self.bitrate.min(f64::from(remb));
        }
        self.bitrate = self.limits.clamp(self.bitrate);
        self.bitrate()
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
    lowest.clamp(limits.min, limits.max.max(limits.min))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        min: 100_000,
        max: 4_000_000,
        start: 1_000_000,
    };

    #[test]
    fn nothing_is_above_what_one_may_be_sent() {
        let low = LIMITS.at_most(300_000);
        assert_eq!((low.min, low.start, low.max), (100_000, 300_000, 300_000));
        let mut estimate = Estimate::new(low);
        let now = Instant::now();
        for second in 0..100 {
            let now = now + Duration::from_secs(second);
            assert!(estimate.handle_report(now, Report::default()) <= 300_000);
        }
        assert_eq!(LIMITS.at_most(u32::MAX), LIMITS);
    }

    fn after(reports: impl IntoIterator<Item = Report>) -> u32 {
        let mut now = Instant::now();
        let mut estimate = Estimate::new(LIMITS);
        for report in reports {
            now += Duration::from_secs(1);
            estimate.handle_report(now, report);
        }
        estimate.bitrate()
    }

    fn loss(loss: f64) -> Report {
        Report {
            loss,
            ..Report::default()
        }
    }

    #[test]
    fn loss_brings_it_down_to_the_least() {
        assert!(after([loss(0.3)]) < 900_000);
        assert_eq!(after(vec![loss(0.5); 50]), LIMITS.min);
    }

    #[test]
    fn a_little_loss_is_noise() {
        assert_eq!(after(vec![loss(0.05); 20]), LIMITS.start);
    }

    #[test]
    fn no_loss_brings_it_up_to_the_most() {
        assert!(after(vec![loss(0.0); 10]) > 1_400_000);
        assert_eq!(after(vec![loss(0.0); 100]), LIMITS.max);
    }

    #[test]
    fn what_the_viewer_asks_for_bounds_it() {
        let report = Report {
            remb: Some(300_000),
            ..Report::default()
        };
        assert_eq!(after([report]), 300_000);
    }

    #[test]
    fn what_arrived_bounds_it_when_much_is_lost() {
        let report = Report {
            loss: 0.5,
            received: Some(200_000),
            remb: None,
        };
        assert_eq!(after([report]), 300_000);
    }

    #[test]
    fn what_arrived_bounds_growth_but_is_no_reason_to_fall() {
        let received = |bitrate| Report {
            received: Some(bitrate),
            ..Report::default()
        };
        assert_eq!(after(vec![received(800_000); 100]), 1_200_000);
        assert_eq!(after(vec![received(10_000); 10]), LIMITS.start);
    }

    #[test]
    fn growth_depends_on_time_and_not_on_the_number_of_reports() {
        let (mut often, mut seldom) = (Estimate::new(LIMITS), Estimate::new(LIMITS));
        let start = Instant::now();
        for tenth in 0..=20 {
            often.handle_report(start + Duration::from_millis(tenth * 100), loss(0.0));
        }
        seldom.handle_report(start, loss(0.0));
        seldom.handle_report(start + Duration::from_secs(2), loss(0.0));
        assert!(often.bitrate().abs_diff(seldom.bitrate()) <= 1);
        let late = seldom
            .clone()
            .handle_report(start + Duration::from_secs(3600), loss(0.0));
        assert!(
            late <= seldom.bitrate() / 10 * 12,
            "silence is not made up for"
        );
    }

    proptest! {
        #[test]
        fn no_report_leads_out_of_the_limits(
            reports in prop::collection::vec(
                (any::<f64>(), any::<Option<u32>>(), any::<Option<u32>>(), 0u64..10_000),
                0..50,
            ),
            min: u32,
            max: u32,
            start: u32,
        ) {
            let limits = Limits { min, max, start };
            let mut estimate = Estimate::new(limits);
            let mut now = Instant::now();
            for (loss, received, remb, time) in reports {
                now += Duration::from_millis(time);
                let bitrate = estimate.handle_report(now, Report { loss, received, remb });
                prop_assert!((min..=max.max(min)).contains(&bitrate));
            }
            let shared = shared_bitrate(limits, [start]);
            prop_assert!((min..=max.max(min)).contains(&shared));
        }
    }

    #[test]
    fn an_encoding_follows_its_weakest_viewer_within_the_limits() {
        assert_eq!(shared_bitrate(LIMITS, [900_000, 500_000]), 500_000);
        assert_eq!(shared_bitrate(LIMITS, [1, 500_000]), LIMITS.min);
        assert_eq!(shared_bitrate(LIMITS, []), LIMITS.start);
    }
}
