//! Keyframe requests of many viewers, merged and spaced.

use std::time::{Duration, Instant};

/// How long somebody waits before a request is repeated that brought none:
/// encoders drop requests that follow each other too closely, without a word.
const RETRY: Duration = Duration::from_secs(1);

/// Who asks while a request is young, waits for its floor; a keyframe that
/// comes meanwhile serves everybody who has asked before it.
#[derive(Debug)]
pub(super) struct Keyframes {
    floor: Duration,
    last: Option<Instant>,
    /// When somebody asked to whom no keyframe has come since.
    wanted: Option<Instant>,
    /// Has no keyframe come since the last request?
    unanswered: bool,
}

impl Keyframes {
    pub(super) fn new(floor: Duration) -> Self {
        Self {
            floor,
            last: None,
            wanted: None,
            unanswered: false,
        }
    }

    /// Somebody needs one.
    pub(super) fn want(&mut self, now: Instant) {
        self.wanted.get_or_insert(now);
    }

    /// Is one on its way, or about to be asked for?
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.is_some() || self.unanswered
    }

    /// One has come, or none of the old stream will come any more.
    pub(super) fn handle_keyframe(&mut self) {
        self.wanted = None;
        self.unanswered = false;
    }

    /// When the next request may go out, if one is wanted; `awaited`: is
    /// somebody without a picture until a keyframe comes?
    pub(super) fn due(&self, awaited: bool) -> Option<Instant> {
        match (self.wanted, self.last) {
            (Some(wanted), None) => Some(wanted),
            (Some(wanted), Some(last)) => Some(wanted.max(last + self.floor)),
            (None, Some(last)) if awaited && self.unanswered => Some(last + self.floor.max(RETRY)),
            (None, _) => None,
        }
    }

    /// Is it time? Then it counts as sent.
    pub(super) fn take_due(&mut self, now: Instant, awaited: bool) -> bool {
        let due = self.due(awaited).is_some_and(|due| due <= now);
        if due {
            self.last = Some(now);
            self.wanted = None;
            self.unanswered = true;
        }
        due
    }
}
