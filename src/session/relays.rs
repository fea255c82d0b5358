//! Direct paths get a head start before relays.
//!
//! A controlling libnice settles for good on the best of the first two pairs
//! that work (its regular nomination), and checks by way of a relay pass
//! routers that direct ones pass only when both sides have tried. So where
//! candidates travel one by one, relays join the race later.

use std::time::{Duration, Instant};

/// What waits for the head start to be over.
#[derive(Debug, Default)]
pub(super) struct HeadStart {
    until: Option<Instant>,
    over: bool,
    /// The far side's relayed candidates.
    held: Vec<String>,
}

impl HeadStart {
    /// Has there been none yet, or does it last?
    pub(super) fn holds(&self) -> bool {
        !self.over
    }

    /// Keeps a relayed candidate of the far side.
    pub(super) fn hold(&mut self, line: String) {
        self.held.push(line);
    }

    /// Both descriptions are there: from now on direct paths are looked for.
    pub(super) fn begin(&mut self, now: Instant, wait: Duration) {
        if self.until.is_none() {
            self.until = now.checked_add(wait);
            self.over = self.until.is_none();
        }
    }

    /// When it ends.
    pub(super) fn due(&self) -> Option<Instant> {
        self.until.filter(|_| !self.over)
    }

    /// No direct path can be hoped for.
    pub(super) fn give_up(&mut self, now: Instant) {
        if self.until.is_some() {
            self.until = Some(now);
        }
    }

    /// The far side's relayed candidates, once: when the time is over.
    pub(super) fn finish(&mut self, now: Instant) -> Option<Vec<String>> {
        if self.due()? > now {
            return None;
        }
        self.over = true;
        Some(std::mem::take(&mut self.held))
    }
}

/// Is it a relayed candidate?
pub(super) fn is_relay(candidate: &str) -> bool {
    let mut words = candidate.split_ascii_whitespace();
    words.find(|word| *word == "typ").is_some() && words.next() == Some("relay")
}
