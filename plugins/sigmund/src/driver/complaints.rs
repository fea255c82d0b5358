//! What is complained of again and again is said now and then.

use std::time::{Duration, Instant};

/// How long the same complaint is not repeated.
const PAUSE: Duration = Duration::from_secs(10);

/// What was complained of last.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Option<(String, Instant)>,
}

impl Complaints {
    /// Is this worth a word at `now`?
    pub(super) fn is_news(&mut self, reason: &str, now: Instant) -> bool {
        let last = self.last.as_ref();
        if last.is_some_and(|(last, at)| last == reason && now - *at < PAUSE) {
            return false;
        }
        self.last = Some((reason.to_owned(), now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_now_and_then_and_another_at_once() {
        let mut complaints = Complaints::default();
        let start = Instant::now();
        let mut at =
            |seconds, reason| complaints.is_news(reason, start + Duration::from_secs(seconds));
        assert!(at(0, "nobody waits"));
        assert!(!at(1, "nobody waits"));
        assert!(at(2, "busy"));
        assert!(!at(11, "busy"));
        assert!(at(12, "busy"));
        assert!(!at(21, "busy"));
    }
}
