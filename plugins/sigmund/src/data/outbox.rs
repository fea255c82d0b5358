//! What waits to be sent to one peer on one channel.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sigmund::data::{FarSide, Overflow, Pushed, Queue, Refused};
use sigmund::message::PeerId;

use super::Outgoing;
use super::lane::Ring;

/// Rung when there may be room again, or when nobody is to wait any more.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<u64>,
    heard: Condvar,
}

impl Bell {
    /// To be asked before looking, and then given to [`wait`](Self::wait).
    pub(super) fn now(&self) -> u64 {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.heard.notify_all();
    }

    /// Waits until it has been rung since `seen`, but not for ever.
    pub(super) fn wait(&self, seen: u64, end: Option<Instant>) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let most = Duration::from_secs(1);
        let wait = end.map_or(most, |end| {
            most.min(end.saturating_duration_since(Instant::now()))
        });
        let waited = self
            .heard
            .wait_timeout_while(rung, wait, |rung| *rung == seen);
        drop(waited);
    }
}

/// What is to be sent next.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// A message.
    Message(Outgoing),
    /// Nothing will follow: it is to be seen that all has arrived.
    Finish,
}

/// One peer's share of what a pad sends. Written by the pad, emptied by the
/// session's task.
pub(crate) struct Outbox {
    peer: PeerId,
    far: FarSide,
    ring: Ring,
    bell: Arc<Bell>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: Queue<Next>,
    /// Somebody waits for room.
    awaited: bool,
    closed: bool,
    finished: bool,
    /// What has been complained of: once each is enough.
    complaints: HashSet<Complaint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Complaint {
    Dropped,
    Empty,
    TooLarge,
    Other,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outbox({})", self.peer)
    }
}

/// What became of a message for one peer.
pub(super) enum Posted {
    /// It is on its way; older ones may have been dropped for it.
    Taken,
    /// Some were dropped, for the first time.
    Dropping,
    /// The peer cannot take it; `true`: for the first time.
    Refused(Refused, bool),
    /// Wait and try again.
    Full,
    /// The peer is gone.
    Closed,
}

impl Outbox {
    pub(super) fn new(peer: &PeerId, far: FarSide, ring: Ring, bell: Arc<Bell>) -> Arc<Self> {
        Arc::new(Self {
            peer: peer.clone(),
            far,
            ring,
            bell,
            state: Mutex::default(),
        })
    }

    pub(crate) fn peer(&self) -> &PeerId {
        &self.peer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn post(&self, message: &Outgoing, overflow: Overflow) -> Posted {
        let mut state = self.state();
        if state.closed {
            return Posted::Closed;
        }
        if let Err(refused) = self.far.check(message.kind, &message.bytes) {
            let complaint = match refused {
                Refused::Empty => Complaint::Empty,
                Refused::TooLargeForPeer { .. } => Complaint::TooLarge,
                _ => Complaint::Other,
            };
            return Posted::Refused(refused, state.complaints.insert(complaint));
        }
        let next = Next::Message(message.clone());
        // Where something waits already, the session knows: it goes on when the
        // channel has room, or the peer gives credit.
        let first = state.queue.is_empty();
        let posted = match state.queue.push(message.bytes.len(), next, overflow) {
            Pushed::Queued => Posted::Taken,
            Pushed::Full(_) => {
                state.awaited = true;
                return Posted::Full;
            }
            Pushed::Dropped(_) if state.complaints.insert(Complaint::Dropped) => Posted::Dropping,
            Pushed::Dropped(_) => Posted::Taken,
        };
        drop(state);
        if first {
            (self.ring)();
        }
        posted
    }

    /// Nothing will follow.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        state.finished = false;
        state.queue.push(0, Next::Finish, Overflow::DropOldest);
        drop(state);
        (self.ring)();
    }

    /// Has all arrived, as far as can be known, or is the peer gone?
    pub(super) fn is_finished(&self) -> bool {
        let state = self.state();
        state.finished || state.closed
    }

    /// Session: does nothing wait?
    pub(crate) fn is_empty(&self) -> bool {
        self.state().queue.is_empty()
    }

    /// Session: what is to be sent next, if it `may`. A message is taken out; the
    /// end stays until it has been [`reach`](Self::reach)ed.
    pub(crate) fn next(&self, may: impl FnOnce(&Outgoing) -> bool) -> Option<Next> {
        let mut state = self.state();
        match state.queue.front()? {
            Next::Message(message) if !may(message) => return None,
            Next::Message(_) => (),
            Next::Finish => return Some(Next::Finish),
        }
        let next = state.queue.pop();
        let room = state.awaited && state.queue.is_half_empty();
        state.awaited &= !room;
        drop(state);
        if room {
            self.bell.ring();
        }
        next
    }

    /// Session: all that was sent has arrived.
    pub(crate) fn reach(&self) {
        let mut state = self.state();
        if let Some(Next::Finish) = state.queue.front() {
            state.queue.pop();
        }
        state.finished = true;
        drop(state);
        self.bell.ring();
    }

    /// Session: nothing can be sent any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.bell.ring();
    }
}
