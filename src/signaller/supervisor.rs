//! Runs one signaller for its owner: connects, reconnects, closes.
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Incoming, Outgoing, Signaller, SignallerError};

/// What the supervisor tells the owner.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The channel is open (again).
    Up {
        /// Where people can watch, when that is known.
        address: Option<String>,
    },
    /// Something arrived.
    Incoming(Incoming),
    /// The channel was lost; another attempt follows.
    Down {
        /// Why.
        reason: String,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// It cannot be opened; the supervisor has stopped.
    Failed(SignallerError),
}

/// A running supervisor. Dropping it aborts it; [`close`](Self::close) is the polite way.
#[derive(Debug)]
pub struct Supervisor {
    /// What it tells.
    pub events: mpsc::Receiver<Event>,
}

impl Supervisor {
    /// Starts it on the current tokio runtime.
    pub fn spawn(signaller: Box<dyn Signaller>) -> Self {
        let _ = signaller;
        todo!()
    }

    /// Queues a note. Never waits: while the channel is down, or its queue is
    /// full, the note is dropped and `false` returned.
    pub fn send(&self, note: Outgoing) -> bool {
        todo!("{note:?}")
    }

    /// Closes the signaller, waiting at most `deadline`.
    pub async fn close(self, deadline: Duration) {
        todo!("{deadline:?}")
    }
}
