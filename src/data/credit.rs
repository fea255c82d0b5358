//! How much may be under way to a reader that is slow.
//!
//! webrtcbin takes whatever comes, read or not. Between our own ends the reader
//! says how much it has read ([`Frame::Credit`](super::Frame)), and the writer
//! is never more than [`WINDOW`] ahead of that: so memory is bounded at both
//! ends, and a writer that must not lose anything waits. Everybody else meets
//! a bound, and what happens at it is said by [`Receipt::arrive`].

use super::{MAX_COUNT, MAX_WAITING};

/// How far a writer may be ahead of its reader, in bytes, as [`cost`] counts.
/// SCTP itself has at most 1 MiB under way.
pub const WINDOW: u64 = 2 * 1024 * 1024;

/// A grant is worth a message when so much has been read since the last one.
const STEP: u64 = WINDOW / 4;

/// What a message costs besides its bytes: empty ones cost memory, too.
const EACH: u64 = 64;

/// What a message of so many bytes counts.
fn cost(bytes: usize) -> u64 {
    EACH + bytes as u64
}

/// The writer's side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    sent: u64,
    read: u64,
}

impl Budget {
    /// May a message of so many bytes be sent now? If so, it counts as sent.
    pub fn take(&mut self, bytes: usize) -> bool {
        let sent = self.sent + cost(bytes);
        let fits = sent - self.read <= WINDOW;
        if fits {
            self.sent = sent;
        }
        fits
    }

    /// Has the reader said that it has read all?
    pub fn is_read(&self) -> bool {
        self.read == self.sent
    }

    /// The reader says that it has read so much. An error: it cannot have.
    pub fn grant(&mut self, read: u64) -> Result<(), &'static str> {
        if read > self.sent {
            return Err("it says that it has read more than was sent");
        }
        self.read = self.read.max(read);
        Ok(())
    }
}

/// The reader's side: what has arrived and waits to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    credited: bool,
    arrived: u64,
    read: u64,
    granted: u64,
    count: usize,
}

impl Receipt {
    /// Of a channel on which the far side heeds our credits, or not.
    pub fn new(credited: bool) -> Self {
        Self {
            credited,
            arrived: 0,
            read: 0,
            granted: 0,
            count: 0,
        }
    }

    /// A message of so many bytes has come. An error says why no more is taken.
    pub fn arrive(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.arrived += cost(bytes);
        self.count += 1;
        let waiting = self.arrived - self.read;
        if self.credited {
            // What it knows of is what was granted, not what was read.
            if self.arrived - self.granted > WINDOW {
                return Err("it sends more than it has credit for");
            }
        } else if waiting > MAX_WAITING as u64 || self.count > MAX_COUNT {
            return Err("it sends faster than its messages are read");
        }
        Ok(())
    }

    /// A message of so many bytes has been read: what to grant, if that is due.
    pub fn read(&mut self, bytes: usize) -> Option<u64> {
        self.read += cost(bytes);
        self.count = self.count.saturating_sub(1);
        if !self.credited || self.read - self.granted < STEP {
            return None;
        }
        self.granted = self.read;
        Some(self.read)
    }

    /// The writer wants to know when all is read: what to grant, if it is.
    pub fn settle(&mut self) -> Option<u64> {
        if self.arrived != self.read {
            return None;
        }
        self.granted = self.read;
        Some(self.read)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_writer_waits_for_a_reader_that_sleeps() {
        let (mut budget, mut receipt) = (Budget::default(), Receipt::new(true));
        let mut sent = 0;
        while budget.take(1000) {
            receipt.arrive(1000).unwrap();
            sent += 1;
        }
        assert_eq!(sent, WINDOW / (1000 + EACH));
        let grants: Vec<_> = (0..sent).filter_map(|_| receipt.read(1000)).collect();
        assert_eq!(grants.len(), 3);
        budget.grant(*grants.last().unwrap()).unwrap();
        assert!(budget.take(1000));
    }

    #[test]
    fn a_writer_that_asks_learns_when_all_is_read() {
        let (mut budget, mut receipt) = (Budget::default(), Receipt::new(true));
        assert!(budget.take(10) && !budget.is_read());
        receipt.arrive(10).unwrap();
        assert_eq!(receipt.settle(), None);
        assert_eq!(receipt.read(10), None);
        budget.grant(receipt.settle().unwrap()).unwrap();
        assert!(budget.is_read());
    }

    #[test]
    fn who_sends_without_credit_is_found_out() {
        let mut receipt = Receipt::new(true);
        let most = WINDOW as usize / (256 * 1024 + EACH as usize);
        for _ in 0..most {
            receipt.arrive(256 * 1024).unwrap();
        }
        assert!(receipt.arrive(256 * 1024).is_err());
        assert!(Budget::default().grant(1).is_err());
    }

    #[test]
    fn who_knows_no_credits_meets_a_bound() {
        let mut receipt = Receipt::new(false);
        for _ in 0..MAX_COUNT {
            receipt.arrive(0).unwrap();
        }
        assert!(receipt.arrive(0).is_err());
        let mut receipt = Receipt::new(false);
        assert!((0..20).any(|_| receipt.arrive(256 * 1024).is_err()));
        let mut receipt = Receipt::new(false);
        for _ in 0..10 * MAX_COUNT {
            receipt.arrive(1000).unwrap();
            assert_eq!(receipt.read(1000), None);
        }
    }

    proptest! {
        /// However the two take turns, a writer that heeds the credits is never
        /// found out, and never waits for ever.
        #[test]
        fn credits_neither_overrun_nor_stall(
            turns in prop::collection::vec((0..300_000_usize, any::<bool>()), 1..500)
        ) {
            let (mut budget, mut receipt) = (Budget::default(), Receipt::new(true));
            let mut waiting = VecDeque::new();
            for (bytes, reads) in turns {
                let bytes = bytes.min(256 * 1024);
                while !budget.take(bytes) {
                    let next = waiting.pop_front();
                    prop_assert!(next.is_some(), "it waits, and nothing is there to be read");
                    if let Some(read) = receipt.read(next.unwrap()) {
                        budget.grant(read).unwrap();
                    }
                }
                prop_assert_eq!(receipt.arrive(bytes), Ok(()));
                waiting.push_back(bytes);
                if reads && let Some(read) = receipt.read(waiting.pop_front().unwrap()) {
                    budget.grant(read).unwrap();
                }
            }
        }
    }
}
