//! Calls: the exchanges of descriptions that follow the first, on the same
//! connection. One at a time; whoever offered first makes all offers, the other
//! side asks for them.
//!
//! ```text
//! answers:  Rest ─offer→ Preparing ─→ Applying ─→ Answering ─answer sent→ Rest
//! offers:   Rest ─asked→ Preparing ─→ Describing ─offer sent→ AwaitingAnswer ─answer→ Applying ─→ Rest
//! ```

use std::time::Instant;

use super::edge::Event;
use super::{Action, ConnectionEvent, EndReason, Phase, Session, Side};
use crate::message::{Message, Place};
use crate::sdp::{self, Brings, CallLines, Codec, Flow, Identity, OfferPlan, SdpError, TrackOffer};

/// How often we ask for a place for a track: on an m-line that is there, then on
/// another one.
const ASKED: u8 = 2;

/// Where the present exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// There is none.
    Rest,
    /// The owner adds what the connection lacks.
    Preparing,
    /// Offers: the offer is being made and set.
    Describing,
    /// Offers: it has been sent.
    AwaitingAnswer,
    /// The far side's description is being set.
    Applying,
    /// Answers: the answer is being made and set.
    Answering,
}

/// What a call has besides its first exchange.
#[derive(Debug)]
pub(super) struct Call {
    /// Offers: its m-lines.
    lines: Option<CallLines>,
    /// Answers: all tracks, and the indices of those that are gone.
    tracks: Vec<TrackOffer>,
    gone: Vec<usize>,
    receives: Vec<Codec>,
    data: bool,
    stage: Stage,
    /// Another exchange is to follow.
    wanted: bool,
    /// Answers: how often we have asked for a place for each of `tracks`.
    asked: Vec<u8>,
    /// Answers: we have asked, and no offer has come since.
    asking: bool,
    /// When the present exchange times out.
    deadline: Option<Instant>,
}

/// The stage that follows. `offers`: do we?
pub(super) fn next(stage: Stage, offers: bool, event: Event) -> Option<Stage> {
    use Event as E;
    use Stage as S;
    Some(match (offers, stage, event) {
        (false, S::Rest, E::Offer) => S::Preparing,
        (false, S::Preparing, E::Prepared) => S::Applying,
        (false, S::Applying, E::RemoteSet) => S::Answering,
        (false, S::Answering, E::Created) => S::Answering,
        (false, S::Answering, E::LocalSet) => S::Rest,

        (true, S::Rest, E::PleaseOffer) => S::Preparing,
        (true, S::Preparing, E::Prepared) => S::Describing,
        (true, S::Describing, E::Created) => S::Describing,
        (true, S::Describing, E::LocalSet) => S::AwaitingAnswer,
        (true, S::AwaitingAnswer, E::Answer) => S::Applying,
        (true, S::Applying, E::RemoteSet) => S::Rest,
        _ => return None,
    })
}

impl Call {
    /// `None` if it is none.
    pub(super) fn new(config: &super::Config) -> Option<Box<Self>> {
        let (tracks, receives, data) = match &config.side {
            Side::Answerer {
                tracks,
                receives,
                data,
            } => (tracks.clone(), receives.clone(), *data),
            Side::Offerer => (Vec::new(), Vec::new(), false),
        };
        config.call.then(|| {
            Box::new(Self {
                lines: config.lines.clone(),
                asked: vec![0; tracks.len()],
                tracks,
                gone: Vec::new(),
                receives,
                data,
                stage: Stage::Rest,
                wanted: false,
                asking: false,
                deadline: None,
            })
        })
    }

    /// How we answer an offer.
    pub(super) fn reply(
        &self,
        offer: &str,
        before: Option<&OfferPlan>,
    ) -> Result<OfferPlan, SdpError> {
        let brings = Brings {
            tracks: &self.tracks,
            gone: &self.gone,
            receives: &self.receives,
            data: self.data,
        };
        OfferPlan::reply(offer, brings, before)
    }

    /// Offers: its m-lines.
    pub(super) fn lines(&self) -> Option<&CallLines> {
        self.lines.as_ref()
    }

    /// The same, for an answer.
    pub(super) fn lines_mut(&mut self) -> Option<&mut CallLines> {
        self.lines.as_mut()
    }

    pub(super) fn is_exchanging(&self) -> bool {
        self.stage != Stage::Rest
    }

    /// What is to be asked for so that all tracks find a place, if anything.
    fn wishes(&mut self, plan: &OfferPlan) -> Option<Message> {
        if self.asking {
            return None;
        }
        let mut ask = std::mem::take(&mut self.wanted);
        let mut add = Vec::new();
        for (index, track) in self.tracks.iter().enumerate() {
            let placed = plan.media.iter().any(|it| it.track == Some(index));
            let Some(asked) = self.asked.get_mut(index) else {
                continue;
            };
            if placed || *asked >= ASKED || self.gone.contains(&index) {
                continue;
            }
            if *asked == 0 && plan.has_room_for(track) {
                *asked = 1;
            } else {
                *asked = ASKED;
                // Where we can send several, the far side chooses.
                let codec = match track.codecs.as_slice() {
                    [only] => Some(only.codec.encoding_name().to_owned()),
                    _ => None,
                };
                let kind = track.kind;
                add.push(Place { kind, codec });
            }
            ask = true;
        }
        self.asking = ask;
        ask.then_some(Message::PleaseOffer { add })
    }
}

impl Session {
    /// What flows on the m-lines of a call, as both sides have agreed.
    pub fn flows(&self) -> Vec<Flow> {
        let lines = self.call.as_ref().and_then(|it| it.lines());
        match (lines, &self.plan) {
            (Some(lines), _) => lines.flows(),
            (None, Some(plan)) => plan.flows(),
            (None, None) => Vec::new(),
        }
    }

    /// Our tracks in a call are these now, the old ones first; those with their
    /// indices in `gone` are there no longer. What that takes is agreed with the
    /// far side.
    pub fn set_tracks(&mut self, now: Instant, tracks: &[TrackOffer], gone: &[usize]) {
        let Some(call) = &mut self.call else { return };
        call.wanted |= match &mut call.lines {
            Some(lines) => lines.place(tracks, gone),
            None => {
                let sent = |index: &usize| {
                    let mut media = self.plan.iter().flat_map(|it| &it.media);
                    media.any(|it| it.track == Some(*index))
                };
                gone.iter().any(sent)
            }
        };
        call.tracks = tracks.to_vec();
        call.asked.resize(tracks.len(), 0);
        call.gone = gone.to_vec();
        self.advance(now);
    }

    /// Both descriptions are there, so others may follow.
    fn may_exchange(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Connected)
    }

    /// Is an offer that comes now a further one?
    pub(super) fn is_answering_again(&self) -> bool {
        self.call.is_some() && !self.is_offerer() && self.may_exchange()
    }

    pub(super) fn is_exchanging(&self) -> bool {
        self.call.as_ref().is_some_and(|it| it.is_exchanging())
    }

    /// When the present exchange times out.
    pub(super) fn exchange_due(&self) -> Option<Instant> {
        self.call.as_ref()?.deadline
    }

    /// The far side wants an offer, with more places on which it may send.
    pub(super) fn handle_wish(&mut self, add: &[Place]) {
        if let Some(call) = &mut self.call
            && let Some(lines) = &mut call.lines
        {
            lines.make_room(add);
            call.wanted = true;
        }
    }

    /// Begins what is wanted, or asks for it, once nothing else is under way.
    pub(super) fn go_on(&mut self, now: Instant) {
        if self.phase != Phase::Connected || self.is_exchanging() {
            return;
        }
        let offers = self.is_offerer();
        let Some(call) = &mut self.call else { return };
        if offers {
            if std::mem::take(&mut call.wanted) && self.stage(Event::PleaseOffer) {
                self.expect_end(now);
                let lines = self.call.as_mut().and_then(|it| it.lines_mut());
                let media = lines.map(|lines| {
                    lines.begin();
                    lines.media()
                });
                self.push(Action::Adapt(media.unwrap_or_default()));
            }
        } else if let Some(plan) = &self.plan
            && let Some(wish) = call.wishes(plan)
        {
            self.push(Action::Send(wish));
        }
    }

    /// A further offer.
    pub(super) fn handle_offer_again(&mut self, now: Instant, offer: &str) {
        if !self.stage(Event::Offer) {
            return;
        }
        self.expect_end(now);
        let call = self.call.as_ref();
        let Some(reply) = call.map(|it| it.reply(offer, self.plan.as_ref())) else {
            return;
        };
        match reply {
            Ok(plan) => {
                let same_path = self
                    .plan
                    .as_ref()
                    .is_none_or(|it| it.ufrag() == plan.ufrag());
                if !self.is_still(&plan.identity) {
                    return;
                }
                if !same_path {
                    // An ICE restart: webrtcbin has none. Another connection may follow.
                    return self.close(EndReason::NoPath);
                }
                self.heard = plan.heard_in_call();
                self.push(Action::Adapt(plan.lines()));
                self.plan = Some(plan);
            }
            Err(error) => self.close(EndReason::Misbehaved(error.to_string())),
        }
    }

    /// The answer to a further offer.
    pub(super) fn handle_answer_again(&mut self, answer: &str) {
        if !self.stage(Event::Answer) {
            return;
        }
        let offer = self.local.clone().unwrap_or_default();
        let lines = self.call.as_mut().and_then(|it| it.lines_mut());
        let Some(accepted) = lines.map(|it| it.accept(&offer, answer)) else {
            return;
        };
        match accepted {
            Ok(accepted) if self.is_still(&accepted.identity) => {
                self.heard = accepted.sending;
                self.push(Action::SetRemote {
                    offer: false,
                    sdp: accepted.mended,
                });
            }
            Ok(_) => (),
            Err(error) => self.close(EndReason::Misbehaved(error.to_string())),
        }
    }

    /// What the connection reports of the present exchange.
    pub(super) fn handle_step(&mut self, now: Instant, event: ConnectionEvent) {
        let offers = self.is_offerer();
        match event {
            ConnectionEvent::Prepared if self.stage(Event::Prepared) => {
                self.push(match &self.plan {
                    Some(plan) if !offers => Action::SetRemote {
                        offer: true,
                        sdp: plan.narrowed.clone(),
                    },
                    _ => Action::CreateOffer,
                });
            }
            ConnectionEvent::RemoteSet if self.stage(Event::RemoteSet) => {
                if offers {
                    self.finish(now);
                } else {
                    self.push(Action::CreateAnswer);
                }
            }
            ConnectionEvent::Created(sdp) => match sdp::with_max_message(sdp) {
                Ok(sdp) if self.stage(Event::Created) => {
                    self.local = Some(sdp.clone());
                    self.push(Action::SetLocal { offer: offers, sdp });
                }
                Ok(_) => (),
                Err(error) => self.close(EndReason::Failed(error.to_string())),
            },
            ConnectionEvent::LocalSet if self.stage(Event::LocalSet) => {
                match self.written(&[], false) {
                    Ok(message) => self.push(Action::Send(message)),
                    Err(error) => return self.close(EndReason::Failed(error.to_string())),
                }
                if !offers {
                    self.finish(now);
                }
            }
            _ => (),
        }
    }

    /// An exchange is over: what flows may be something else.
    fn finish(&mut self, now: Instant) {
        if let Some(call) = &mut self.call {
            call.deadline = None;
            call.asking = false;
        }
        self.push(Action::Rewire);
        self.go_on(now);
    }

    fn expect_end(&mut self, now: Instant) {
        let timeout = self.config.negotiation_timeout;
        if let Some(call) = &mut self.call {
            call.deadline = now.checked_add(timeout);
        }
    }

    /// A call keeps its far side.
    fn is_still(&mut self, identity: &Identity) -> bool {
        let same = self.identity.as_ref().is_none_or(|it| it == identity);
        if !same {
            let text = "it has changed its certificate in the middle of a call".to_owned();
            self.close(EndReason::Misbehaved(text));
        }
        same
    }

    /// Goes to the stage that follows, or ends the session where there is none.
    fn stage(&mut self, event: Event) -> bool {
        let offers = self.is_offerer();
        let Some(call) = &mut self.call else {
            return false;
        };
        if let Some(next) = next(call.stage, offers, event) {
            call.stage = next;
            return true;
        }
        let stage = call.stage;
        self.close(match event {
            Event::Offer => EndReason::Misbehaved(
                "it made another offer before the one before was answered".to_owned(),
            ),
            Event::Answer => {
                EndReason::Misbehaved("it sent an answer that nobody waits for".to_owned())
            }
            event => EndReason::Failed(format!("{event:?} was reported while {stage:?}")),
        });
        false
    }
}

/// Is it a step of an exchange?
pub(super) fn is_step(event: &ConnectionEvent) -> bool {
    matches!(
        event,
        ConnectionEvent::Prepared
            | ConnectionEvent::RemoteSet
            | ConnectionEvent::Created(_)
            | ConnectionEvent::LocalSet
    )
}
