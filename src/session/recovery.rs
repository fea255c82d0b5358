//! One connection after another under the same name: what becomes of a peer
//! when its path is lost (`docs/sigmund-v1.md`, "When the path is lost").
//!
//! It stands between the owner and the [`Session`] of the present connection:
//! notes of another round do not reach it, and its end is the end of the peer
//! only where no other connection may follow.

use std::time::{Duration, Instant};

use super::{ConnectionEvent, EndReason, Heard, Rounds, Session};
use crate::message::Message;

/// The far side has closed its connection: for this long it may yet say that
/// it begins another one.
const CLOSED: Duration = Duration::from_secs(1);

/// How long a round after the first may take until media flow.
const ROUND: Duration = Duration::from_secs(8);

/// The least time from one round to the next.
const SPACING: Duration = Duration::from_millis(500);

/// What becomes of a peer whose connection is lost.
#[derive(Clone, Debug)]
pub struct Recovery {
    rounds: Rounds,
    /// How long a peer may be without media; zero: the first loss ends it.
    give_up: Duration,
    /// Have media ever flowed?
    live: bool,
    /// Since when they do not.
    lost: Option<Instant>,
    /// When the present round began.
    began: Instant,
    /// The far side has begun another round.
    summoned: bool,
    /// When the far side has closed its connection, if it may mean another round.
    closed: Option<Instant>,
}

impl Recovery {
    /// For a peer that comes `now`, and that is without media for `give_up` at
    /// most. With zero, or where the far side does not know `again` (`able`),
    /// one connection is all it gets.
    pub fn new(able: bool, give_up: Duration, now: Instant) -> Self {
        Self {
            rounds: Rounds::default(),
            give_up: if able { give_up } else { Duration::ZERO },
            live: false,
            lost: None,
            began: now,
            summoned: false,
            closed: None,
        }
    }

    /// A note from the far side: passed on to `session` if it is for it.
    pub fn handle_message(&mut self, session: &mut Session, now: Instant, message: Message) {
        if self.is_able() {
            match &message {
                Message::Again { round } => match self.rounds.hear(*round) {
                    Heard::Begin => self.summoned = true,
                    Heard::Arrived | Heard::Stale => return,
                },
                Message::Bye { .. } => (),
                _ if !self.rounds.is_current() => return,
                _ => (),
            }
        }
        session.handle_message(now, message);
    }

    /// What the present connection reports: passed on to `session`.
    pub fn handle_connection(
        &mut self,
        session: &mut Session,
        now: Instant,
        event: ConnectionEvent,
    ) {
        if self.is_able() && event == ConnectionEvent::DtlsClosed {
            self.closed = Some(now);
        } else {
            session.handle_connection(now, event);
        }
    }

    /// Media flow, so nothing is lost.
    pub fn handle_connected(&mut self) {
        self.live = true;
        self.lost = None;
    }

    /// Time has passed: to be called when [`poll_timeout`](Self::poll_timeout) is due.
    pub fn handle_timeout(&mut self, session: &mut Session, now: Instant) {
        if self.give_up_at().is_some_and(|at| at <= now) {
            return session.close(EndReason::GaveUp(self.give_up));
        }
        if self.closed_until().is_some_and(|at| at <= now) {
            self.closed = None;
            session.handle_connection(now, ConnectionEvent::DtlsClosed);
        }
        session.handle_timeout(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing comes before.
    pub fn poll_timeout(&self, session: &Session) -> Option<Instant> {
        let own = self.give_up_at().into_iter().chain(self.closed_until());
        own.chain(session.poll_timeout()).min()
    }

    /// The session has ended because of `reason`. A note means that another
    /// connection is to be made: after [`not_before`](Self::not_before), with
    /// the note as the first that is said of it. Else the peer is gone.
    pub fn handle_end(&mut self, now: Instant, reason: EndReason) -> Result<Message, EndReason> {
        self.closed = None;
        let summoned = std::mem::take(&mut self.summoned);
        if !summoned && !self.may_follow(&reason) {
            return Err(reason);
        }
        self.lost.get_or_insert(now);
        if self.give_up_at().is_some_and(|at| at <= now) {
            return Err(EndReason::GaveUp(self.give_up));
        }
        let note = if summoned {
            Some(self.rounds.note())
        } else {
            self.rounds.again()
        };
        note.ok_or(reason)
    }

    /// When the next round may begin: a peer that asks for one after the other
    /// costs no more than one that waits.
    pub fn not_before(&self) -> Instant {
        self.began + SPACING
    }

    /// The next round begins. Returns how long it may take.
    pub fn begin(&mut self, now: Instant) -> Duration {
        self.began = now;
        let left = self
            .give_up_at()
            .map(|at| at.saturating_duration_since(now));
        left.unwrap_or(ROUND).min(ROUND)
    }

    fn is_able(&self) -> bool {
        !self.give_up.is_zero()
    }

    /// Is that the end of a connection, and no more?
    fn may_follow(&self, reason: &EndReason) -> bool {
        let begun = self.live || self.lost.is_some();
        match reason {
            EndReason::NoPath | EndReason::Silent(_) | EndReason::TimedOut(..) => {
                self.is_able() && begun
            }
            _ => false,
        }
    }

    fn give_up_at(&self) -> Option<Instant> {
        self.lost?.checked_add(self.give_up)
    }

    fn closed_until(&self) -> Option<Instant> {
        self.closed.map(|at| at + CLOSED)
    }
}
