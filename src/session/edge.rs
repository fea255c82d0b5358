//! The edges between phases: which event leads from where to where.

use std::fmt;

use super::{EndReason, Phase, Side};

/// What moves a session from one phase to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    /// The far side sent an offer.
    Offer,
    /// The far side sent an answer.
    Answer,
    /// The far side asked us for an offer.
    PleaseOffer,
    /// The peer connection for the plan is built.
    Prepared,
    /// The remote description is set.
    RemoteSet,
    /// The local description is made.
    Created,
    /// The local description is set.
    LocalSet,
    /// The local description has left.
    Sent,
    /// The identity is proven and DTLS is up.
    Secured,
    /// Failure, leave, time-out: whatever ends a session.
    Over,
}

/// An event that no edge takes from a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misstep {
    phase: Phase,
    event: Event,
}

/// The phase that follows `phase` on `side` when `event` happens.
///
/// That is the first exchange of descriptions; those that follow it in a call
/// are in [`exchange`](super::exchange).
pub(super) fn edge(phase: Phase, side: &Side, event: Event) -> Result<Phase, Misstep> {
    use Event as E;
    use Phase as P;
    Ok(match (side, phase, event) {
        // any->Over->Ended, and nothing leads on from there
        (_, _, E::Over) | (_, P::Ended, _) => P::Ended,

        // AwaitingOffer->Offer->Preparing
        (Side::Answerer { .. }, P::AwaitingOffer, E::Offer) => P::Preparing,
        // Preparing->Prepared->Applying
        (Side::Answerer { .. }, P::Preparing, E::Prepared) => P::Applying,
        // Applying->RemoteSet->Answering
        (Side::Answerer { .. }, P::Applying, E::RemoteSet) => P::Answering,
        // Answering->Created->Answering: to be set now
        (Side::Answerer { .. }, P::Answering, E::Created) => P::Answering,
        // Answering->LocalSet->Gathering
        (Side::Answerer { .. }, P::Answering, E::LocalSet) => P::Gathering,
        // Gathering->Sent->Connecting
        (Side::Answerer { .. }, P::Gathering, E::Sent) => P::Connecting,

        // Describing->Created->Describing: to be set now
        (Side::Offerer, P::Describing, E::Created) => P::Describing,
        // Describing->LocalSet->Gathering
        (Side::Offerer, P::Describing, E::LocalSet) => P::Gathering,
        // Gathering->Sent->AwaitingAnswer
        (Side::Offerer, P::Gathering, E::Sent) => P::AwaitingAnswer,
        // AwaitingAnswer->Answer->Applying
        (Side::Offerer, P::AwaitingAnswer, E::Answer) => P::Applying,
        // Applying->RemoteSet->Connecting
        (Side::Offerer, P::Applying, E::RemoteSet) => P::Connecting,
        // any->PleaseOffer->same: the offer is there, or on its way
        (Side::Offerer, phase, E::PleaseOffer) => phase,

        // Connecting->Secured->Connected
        (_, P::Connecting, E::Secured) => P::Connected,

        (_, phase, event) => return Err(Misstep { phase, event }),
    })
}

impl From<Misstep> for EndReason {
    /// Whose fault a misstep is: a note is the far side's, the rest is ours.
    fn from(misstep: Misstep) -> Self {
        match misstep.event {
            Event::Offer | Event::Answer | Event::PleaseOffer => {
                Self::Misbehaved(misstep.to_string())
            }
            _ => Self::Failed(misstep.to_string()),
        }
    }
}

impl fmt::Display for Misstep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.event, self.phase) {
            (Event::Offer, Phase::Describing | Phase::AwaitingAnswer) => {
                f.write_str("it made an offer, but the offer is ours to make")
            }
            (Event::Offer, _) => {
                f.write_str("it made another offer; only the first one can be answered")
            }
            (Event::Answer, Phase::Describing | Phase::Gathering) => {
                f.write_str("it answered before there was an offer")
            }
            (Event::Answer, _) => f.write_str("it sent an answer that nobody waits for"),
            (Event::PleaseOffer, _) => {
                f.write_str("it asked for an offer, but the offer is its to make")
            }
            (event, phase) => write!(f, "{event:?} was reported while {phase:?}"),
        }
    }
}
