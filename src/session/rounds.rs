//! Which connection the notes of a peer belong to, where one follows another
//! under the same name (`docs/sigmund-v1.md`, "When the path is lost").

use crate::message::Message;

/// Counts the connections of one peer, on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    ours: u32,
    theirs: u32,
}

/// What a note `again` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Give up the connection that there is and begin another; before anything
    /// else of it, say [`Rounds::note`].
    Begin,
    /// The far side is where we are; what it says counts from now on.
    Arrived,
    /// It was said before the far side knew of this round.
    Stale,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { ours: 1, theirs: 1 }
    }
}

impl Rounds {
    /// Our connection is lost: goes to the next round. What it answers is to be
    /// sent before anything else. `None` when the numbers have run out.
    pub fn again(&mut self) -> Option<Message> {
        self.ours = self.ours.checked_add(1)?;
        Some(self.note())
    }

    /// Says in which round we are.
    pub fn note(&self) -> Message {
        Message::Again { round: self.ours }
    }

    /// The far side says that it is in `round`.
    pub fn hear(&mut self, round: u32) -> Heard {
        if round > self.ours {
            (self.ours, self.theirs) = (round, round);
            Heard::Begin
        } else if round == self.ours && self.theirs < round {
            self.theirs = round;
            Heard::Arrived
        } else {
            Heard::Stale
        }
    }

    /// Do the far side's descriptions and candidates belong to our round? If
    /// not, they are to be skipped.
    pub fn is_current(&self) -> bool {
        self.theirs == self.ours
    }
}
