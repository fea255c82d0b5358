//! Keyframe requests of many viewers, merged and spaced.

use std::time::{Duration, Instant};

/// Who asks while a request is young, waits for its floor; a keyframe that
/// comes meanwhile serves everybody who has asked before it.
#[derive(Debug)]
pub(super) struct Keyframes {
    floor: Duration,
    last: Option<Instant>,
    /// When somebody asked to whom no keyframe has come since.
    wanted: Option<Instant>,
}

impl Keyframes {
    pub(super) fn new(floor: Duration) -> Self {
        Self {
            floor,
            last: None,
            wanted: None,
        }
    }

    /// Somebody needs one.
    pub(super) fn want(&mut self, now: Instant) {
        self.wanted.get_or_insert(now);
    }

    /// One has come.
    pub(super) fn handle_keyframe(&mut self) {
        self.wanted = None;
    }

    /// When the next request may go out, if one is wanted.
    pub(super) fn due(&self) -> Option<Instant> {
        let wanted = self.wanted?;
        Some(
            self.last
                .map_or(wanted, |last| wanted.max(last + self.floor)),
        )
    }

    /// Is it time? Then it counts as sent.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            self.last = Some(now);
            self.wanted = None;
        }
        due
    }
}
