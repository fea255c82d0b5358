//! The time of the house: fixed when the element first plays.

use gst::prelude::*;
use tokio::sync::watch;

use crate::isolate::HouseTime;
use crate::media::House;

/// An element's; see [`HouseTime`].
#[derive(Debug)]
pub(crate) struct HouseClock(watch::Sender<Option<HouseTime>>);

impl Default for HouseClock {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl HouseClock {
    /// For who needs the time, now or later.
    pub(crate) fn subscribe(&self) -> House {
        self.0.subscribe()
    }

    /// PAUSED → PLAYING: fixes it, the first time.
    pub(crate) fn set(&self, element: &gst::Element) {
        if let (Some(clock), Some(base)) = (element.clock(), element.base_time()) {
            self.0.send_if_modified(|house| {
                let first = house.is_none();
                if first {
                    *house = Some(HouseTime { clock, base });
                }
                first
            });
        }
    }

    /// PAUSED → READY.
    pub(crate) fn clear(&self) {
        self.0.send_replace(None);
    }
}
