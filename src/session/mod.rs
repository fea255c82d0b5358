//! One remote peer as a state machine. Pure: events in, actions out.
//!
//! Methods come in three families. `handle_*`: something has happened. Commands
//! (`close`): the owner wants something. `poll_*`: what is to be done now; the
//! owner drains [`Session::poll_action`] after every other call, then sleeps
//! until [`Session::poll_timeout`]. Time is an argument.

use std::time::{Duration, Instant};

use crate::message::Message;
use crate::sdp::{OfferPlan, TrackOffer};

/// Where a session is. Edges: see `edge` (a pure function) and its table test.
///
/// ```text
/// answerer:  AwaitingOffer ─offer→ Preparing ─→ Applying ─→ Answering ─→ Gathering ─answer sent→ Connecting
/// offerer:   Describing ─→ Gathering ─offer sent→ AwaitingAnswer ─answer→ Applying ─→ Connecting
/// both:      Connecting ─identity proven, DTLS up→ Connected ─→ Ended;   every phase ─failure, leave, time-out→ Ended
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Answerer: nothing has been said yet.
    AwaitingOffer,
    /// Answerer: the owner is building the peer connection for the plan.
    Preparing,
    /// The remote description is being set.
    Applying,
    /// Answerer: the answer is being made and set.
    Answering,
    /// Offerer: the offer is being made and set.
    Describing,
    /// The local description is set and waits for candidates, because the
    /// channel has no trickle for us.
    Gathering,
    /// Offerer: the offer has been sent.
    AwaitingAnswer,
    /// Descriptions are exchanged; ICE and DTLS are under way.
    Connecting,
    /// The far side has proven its identity; media flows.
    Connected,
    /// Over. No action follows but those already polled.
    Ended,
}

/// Which side of the offer/answer exchange we are on, for life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// They offer: we answer with these tracks.
    Answerer {
        /// What we can send.
        tracks: Vec<TrackOffer>,
    },
    /// We offer.
    Offerer,
}

/// How a session behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which side we are on.
    pub side: Side,
    /// Do our candidates travel after the description, one by one?
    pub trickle_out: bool,
    /// How long to wait for further candidates after the last one when they
    /// must travel in the description and no ICE server is configured.
    pub gather_settle: Duration,
    /// How long to wait at most for STUN and TURN candidates then.
    pub gather_bound: Duration,
    /// Is a STUN or TURN server configured?
    pub ice_servers: bool,
    /// From the first event to `Connected`.
    pub negotiation_timeout: Duration,
    /// How many candidates are taken from the far side.
    pub max_candidates: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            side: Side::Answerer { tracks: Vec::new() },
            trickle_out: false,
            gather_settle: Duration::from_millis(10),
            gather_bound: Duration::from_millis(500),
            ice_servers: false,
            negotiation_timeout: Duration::from_secs(15),
            max_candidates: 128,
        }
    }
}

/// What the peer connection reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// [`Action::Prepare`] is done.
    Prepared,
    /// [`Action::SetRemote`] is done.
    RemoteSet,
    /// [`Action::CreateAnswer`] or [`Action::CreateOffer`] is done.
    Created(String),
    /// [`Action::SetLocal`] is done.
    LocalSet,
    /// A local candidate, `candidate:…`.
    Candidate(String),
    /// There are no more local candidates.
    GatheringComplete,
    /// The far side's certificate is the one that it announced.
    IdentityProven,
    /// The far side's certificate is another one.
    IdentityMismatch,
    /// DTLS is up, keys are set.
    DtlsConnected,
    /// The far side has closed DTLS.
    DtlsClosed,
    /// ICE found no working path, or lost it.
    IceFailed,
    /// Nothing was heard from a connected peer for this long.
    Silent(Duration),
    /// Something on our side failed.
    Failed(String),
}

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Build the peer connection and its senders for this plan, then report
    /// [`ConnectionEvent::Prepared`].
    Prepare(Box<OfferPlan>),
    /// Set the remote description.
    SetRemote {
        /// Is it an offer (or an answer)?
        offer: bool,
        /// The description.
        sdp: String,
    },
    /// Make an offer.
    CreateOffer,
    /// Make an answer.
    CreateAnswer,
    /// Set the local description.
    SetLocal {
        /// Is it an offer (or an answer)?
        offer: bool,
        /// The description.
        sdp: String,
    },
    /// Hand a remote candidate to ICE; the m-line is the transport's (0).
    AddCandidate(String),
    /// Send a note.
    Send(Message),
    /// Turn the peer away; `Ended` follows.
    Refuse(crate::sdp::SdpError),
    /// Media may flow: the far side has proven its identity.
    StartMedia,
    /// The session is over: free everything.
    End(EndReason),
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// The far side left, or closed its connection.
    #[error("left: {0}")]
    Left(String),
    /// We closed it.
    #[error("closed: {0}")]
    Closed(String),
    /// It was refused.
    #[error("refused: {0}")]
    Refused(crate::sdp::SdpError),
    /// The far side broke the protocol.
    #[error("the peer misbehaved: {0}")]
    Misbehaved(String),
    /// Its certificate is not the one that its description announced.
    #[error("the peer's certificate is not the one in its description; it may be an impostor")]
    Impostor,
    /// No connection came about in time.
    #[error("no connection after {} s, while {}", .0.as_secs(), .1)]
    TimedOut(Duration, &'static str),
    /// Nothing was heard from it any more.
    #[error("nothing heard for {} s", .0.as_secs())]
    Silent(Duration),
    /// ICE found no path, or lost it.
    #[error("no network path (any more)")]
    NoPath,
    /// Something failed on our side.
    #[error("failed here: {0}")]
    Failed(String),
}

/// The state machine. See the module's documentation.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
}

impl Session {
    /// A session that begins `now`. An offerer has [`Action::CreateOffer`] to do.
    pub fn new(config: Config, now: Instant) -> Self {
        todo!("{config:?} {now:?}")
    }

    /// A note has arrived from the far side.
    pub fn handle_message(&mut self, now: Instant, message: Message) {
        todo!("{now:?} {message:?}")
    }

    /// The peer connection has something to report.
    pub fn handle_connection(&mut self, now: Instant, event: ConnectionEvent) {
        todo!("{now:?} {event:?}")
    }

    /// Time has passed: to be called when [`poll_timeout`](Self::poll_timeout) is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!("{now:?}")
    }

    /// The owner wants it over.
    pub fn close(&mut self, reason: EndReason) {
        todo!("{reason:?}")
    }

    /// What is to be done next, oldest first.
    pub fn poll_action(&mut self) -> Option<Action> {
        todo!()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing comes before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }
}
