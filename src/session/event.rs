//! What goes into a session and what comes out of it.

use std::time::Duration;

use crate::message::Message;
use crate::sdp::{MediaPlan, OfferPlan, SdpError};

/// What the peer connection reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// [`Action::Prepare`] or [`Action::Adapt`] is done.
    Prepared,
    /// [`Action::SetRemote`] is done.
    RemoteSet,
    /// [`Action::CreateAnswer`] or [`Action::CreateOffer`] is done.
    Created(String),
    /// [`Action::SetLocal`] is done.
    LocalSet,
    /// A local candidate, `candidate:…`; an empty one means the same as
    /// [`GatheringComplete`](Self::GatheringComplete) (webrtcbin from 1.24 on).
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
    /// In a call: give the connection those of these m-lines that it lacks, each at
    /// its index, then report [`ConnectionEvent::Prepared`].
    Adapt(Vec<(usize, MediaPlan)>),
    /// In a call: [`Session::flows`](super::Session::flows) may be others now.
    Rewire,
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
    /// Direct paths have had their head start: let ICE use the TURN servers.
    AddRelays,
    /// Send a note.
    Send(Message),
    /// Turn the peer away; [`End`](Self::End) follows.
    Refuse(SdpError),
    /// Media may flow: the far side has proven its identity.
    StartMedia,
    /// The session is over: free everything. The last action.
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
    Refused(SdpError),
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
    /// The path was lost, and did not come back in time.
    #[error("no network path for {} s", .0.as_secs_f32())]
    GaveUp(Duration),
    /// Something failed on our side.
    #[error("failed here: {0}")]
    Failed(String),
}

impl EndReason {
    /// The far side left and gave a reason: what can be shown of that.
    pub fn left(reason: &str) -> Self {
        let shown = reason.chars().filter(|it| !it.is_control()).take(200);
        Self::Left(shown.collect())
    }
}
