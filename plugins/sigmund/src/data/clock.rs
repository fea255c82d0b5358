//! What the far side's wall clock is in running time of ours, learnt from its
//! pictures and its sound: their RTCP sender reports say when they were taken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

use super::source::Timing;

/// From 1900, where NTP begins, to 1970, in ns.
const EPOCH: i128 = 2_208_988_800_000_000_000;

/// The clock of one far side. All clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct FarClock(Arc<Mutex<Option<i128>>>);

impl FarClock {
    fn offset(&self) -> MutexGuard<'_, Option<i128>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns from what comes out of a pad of webrtcbin, for its life.
    pub(crate) fn follow(&self, pad: &gst::Pad) {
        let clock = self.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(buffer) = info.buffer() {
                clock.learn(buffer);
            }
            gst::PadProbeReturn::Ok
        });
    }

    fn learn(&self, buffer: &gst::BufferRef) {
        let Some(running) = buffer.pts() else { return };
        let metas = buffer.iter_meta::<gst::ReferenceTimestampMeta>();
        for meta in metas {
            let reference = meta.reference().structure(0);
            if reference.is_some_and(|it| it.name() == "timestamp/x-ntp") {
                let ntp = i128::from(meta.timestamp().nseconds());
                *self.offset() = Some(i128::from(running.nseconds()) - (ntp - EPOCH));
            }
        }
    }

    /// The same for who asks later.
    pub(super) fn timing(&self) -> Timing {
        let clock = self.clone();
        Box::new(move |wall| clock.running(wall))
    }

    /// The running time at which it was `wall`, in ns since 1970.
    pub(crate) fn running(&self, wall: u64) -> Option<gst::ClockTime> {
        let running = i128::from(wall) + (*self.offset())?;
        u64::try_from(running)
            .ok()
            .map(gst::ClockTime::from_nseconds)
    }

    /// Another far side comes.
    pub(crate) fn forget(&self) {
        *self.offset() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_tells_what_time_it_was() {
        gst::init().unwrap();
        let clock = FarClock::default();
        assert_eq!(clock.running(5), None);
        let mut buffer = gst::Buffer::new();
        let writable = buffer.make_mut();
        writable.set_pts(gst::ClockTime::from_seconds(10));
        let caps = gst::Caps::new_empty_simple("timestamp/x-ntp");
        let ntp = gst::ClockTime::from_seconds(2_208_988_800 + 1_700_000_000);
        gst::ReferenceTimestampMeta::add(writable, &caps, ntp, None);
        clock.learn(&buffer);
        let later = 1_700_000_000_500_000_000;
        assert_eq!(
            clock.running(later),
            Some(gst::ClockTime::from_mseconds(10_500))
        );
        assert_eq!(clock.running(0), None);
        clock.forget();
        assert_eq!(clock.running(later), None);
    }
}
