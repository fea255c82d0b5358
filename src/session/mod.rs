//! One remote peer as a state machine. Pure: events in, actions out.
//!
//! Methods come in three families. `handle_*`: something has happened. Commands
//! (`close`): the owner wants something. `poll_*`: what is to be done now; the
//! owner drains [`Session::poll_action`] after every other call, then sleeps
//! until [`Session::poll_timeout`]. Time is an argument.

mod candidates;
mod config;
mod edge;
mod event;
mod exchange;
mod recovery;
mod relays;
mod rounds;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use crate::data::FarSide;
use crate::message::{Candidate, Message};
use crate::sdp::{self, Identity, Kind, OfferPlan, SdpError};

pub use candidates::CandidateCounts;
pub use config::{Config, Side};
use edge::{Event, edge};
pub use event::{Action, ConnectionEvent, EndReason};
pub use recovery::Recovery;
pub use rounds::{Heard, Rounds};

/// What is wrong where ICE finds nothing to begin with.
const NO_ADDRESS: &str = "no local network address could be used; is the network up, and are \
     there free ports in ice-port-range?";

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

/// The state machine. See the module's documentation.
#[derive(Debug)]
pub struct Session {
    config: Config,
    phase: Phase,
    actions: VecDeque<Action>,
    /// When the negotiation times out; `None`: never.
    deadline: Option<Instant>,
    /// Answerer: what we make of the offer. There from `Preparing` on.
    plan: Option<OfferPlan>,
    /// The local description as webrtcbin made it. There once it is to be set.
    local: Option<String>,
    identity: Option<Identity>,
    far: Option<FarSide>,
    heard: Vec<(usize, Kind)>,
    /// Only in a call.
    call: Option<Box<exchange::Call>>,
    ours: candidates::Local,
    theirs: candidates::Remote,
    head_start: relays::HeadStart,
    /// Gathering has ended, but for relays that wait.
    gathered: bool,
    proven: bool,
    keyed: bool,
    ice_failed: bool,
}

impl Session {
    /// A session that begins `now`. An offerer has [`Action::CreateOffer`] to do.
    pub fn new(config: Config, now: Instant) -> Self {
        let deadline = now.checked_add(config.negotiation_timeout);
        let mut session = Self {
            phase: Phase::AwaitingOffer,
            actions: VecDeque::new(),
            deadline,
            plan: None,
            local: None,
            identity: None,
            far: None,
            heard: Vec::new(),
            call: exchange::Call::new(&config),
            ours: candidates::Local::default(),
            theirs: candidates::Remote::default(),
            head_start: relays::HeadStart::default(),
            gathered: false,
            proven: false,
            keyed: false,
            ice_failed: false,
            config,
        };
        if session.is_offerer() {
            session.phase = Phase::Describing;
            session.push(Action::CreateOffer);
        }
        session
    }

    /// A note has arrived from the far side.
    pub fn handle_message(&mut self, now: Instant, message: Message) {
        if self.phase == Phase::Ended {
            return;
        }
        match message {
            Message::Offer { sdp } if self.is_answering_again() => {
                self.handle_offer_again(now, &sdp);
            }
            Message::Offer { sdp } => self.handle_offer(&sdp),
            Message::Answer { sdp } if self.is_exchanging() => self.handle_answer_again(&sdp),
            Message::Answer { sdp } => self.handle_answer(&sdp),
            Message::PleaseOffer { add } => {
                if self.step(Event::PleaseOffer) {
                    self.handle_wish(&add);
                }
            }
            Message::Candidate(candidate) => self.handle_candidate(&candidate.candidate),
            // Of no use to ICE: webrtcbin tries what it has until it times out.
            Message::EndOfCandidates if self.theirs.is_relay_only() => {
                self.head_start.give_up(now);
            }
            Message::EndOfCandidates => (),
            // One connection is all that a session has; `Recovery` counts rounds.
            Message::Again { .. } => self.close(EndReason::left("it has lost its path")),
            Message::Bye { reason } => self.close(EndReason::left(&reason)),
        }
        self.advance(now);
    }

    /// The peer connection has something to report.
    pub fn handle_connection(&mut self, now: Instant, event: ConnectionEvent) {
        if self.phase == Phase::Ended {
            return;
        }
        match event {
            event if self.is_exchanging() && exchange::is_step(&event) => {
                self.handle_step(now, event);
            }
            ConnectionEvent::Prepared => self.handle_prepared(),
            ConnectionEvent::RemoteSet => self.handle_remote_set(),
            ConnectionEvent::Created(sdp) => self.handle_created(sdp),
            ConnectionEvent::LocalSet => self.handle_local_set(now),
            ConnectionEvent::Candidate(line) if !line.is_empty() => {
                let line = match self.config.relay_only {
                    true => sdp::without_base(&line),
                    false => line,
                };
                self.ours.add(now, line, &self.config.external);
            }
            ConnectionEvent::Candidate(_) | ConnectionEvent::GatheringComplete => {
                self.handle_gathering_complete();
            }
            ConnectionEvent::IdentityProven => self.proven = true,
            ConnectionEvent::IdentityMismatch => self.close(EndReason::Impostor),
            ConnectionEvent::DtlsConnected => self.keyed = true,
            ConnectionEvent::DtlsClosed => self.close(EndReason::left("closed the connection")),
            ConnectionEvent::IceFailed if self.phase == Phase::Connected => {
                self.close(EndReason::NoPath);
            }
            // Candidates that are still to come may yet mend it.
            ConnectionEvent::IceFailed => self.ice_failed = true,
            ConnectionEvent::Silent(time) => self.close(EndReason::Silent(time)),
            ConnectionEvent::Failed(text) => self.close(EndReason::Failed(text)),
        }
        self.advance(now);
    }

    /// Time has passed: to be called when [`poll_timeout`](Self::poll_timeout) is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        let pending = !matches!(self.phase, Phase::Connected | Phase::Ended);
        if pending && self.deadline.is_some_and(|deadline| deadline <= now) {
            let waited = self.config.negotiation_timeout;
            self.close(EndReason::TimedOut(waited, self.doing()));
        }
        if pending && self.ours.hopeless(&self.config).is_some_and(|at| at <= now) {
            self.close(EndReason::Failed(NO_ADDRESS.to_owned()));
        }
        if self.exchange_due().is_some_and(|due| due <= now) {
            let waited = self.config.negotiation_timeout;
            let doing = "agreeing on what the call is to have now";
            self.close(EndReason::TimedOut(waited, doing));
        }
    }

    /// The owner wants it over. What was to be done and is not polled yet is
    /// not done any more.
    pub fn close(&mut self, reason: EndReason) {
        if self.phase == Phase::Ended {
            return;
        }
        if let Ok(over) = edge(self.phase, &self.config.side, Event::Over) {
            self.phase = over;
        }
        self.actions.clear();
        self.actions.push_back(Action::End(reason));
    }

    /// What is to be done next, oldest first.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing comes before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let gathered = match self.phase {
            Phase::Ended => return None,
            Phase::Connected => return self.exchange_due(),
            Phase::Gathering => self.ours.due(&self.config),
            Phase::Connecting => self.head_start.due(),
            _ => None,
        };
        let due = self.deadline.into_iter().chain(gathered);
        let due = due.chain(self.ours.hopeless(&self.config));
        due.chain(self.exchange_due()).min()
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Who the far side says it is, once it has sent its description.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Where data channels are agreed: what the far side takes.
    pub fn data(&self) -> Option<FarSide> {
        self.far
    }

    /// The m-lines, as webrtcbin knows them, on which the far side sends, once
    /// both descriptions are there.
    pub fn heard(&self) -> &[(usize, Kind)] {
        &self.heard
    }

    /// What became of the candidates that the far side sent one by one.
    pub fn candidates(&self) -> CandidateCounts {
        self.theirs.counts
    }

    fn handle_offer(&mut self, offer: &str) {
        if !self.step(Event::Offer) {
            return;
        }
        match self.plan_for(offer) {
            Ok(plan) => {
                self.identity = Some(plan.identity.clone());
                self.far = plan.data.as_ref().map(|it| it.far);
                self.heard = match self.config.call {
                    true => plan.heard_in_call(),
                    false => plan.heard(),
                };
                self.push(Action::Prepare(Box::new(plan.clone())));
                self.plan = Some(plan);
            }
            Err(error) => self.refuse(error),
        }
    }

    fn plan_for(&self, offer: &str) -> Result<OfferPlan, SdpError> {
        if let Some(call) = &self.call {
            return call.reply(offer, None);
        }
        match &self.config.side {
            Side::Answerer {
                tracks,
                receives,
                data: true,
            } => OfferPlan::with_data(offer, tracks, receives),
            Side::Answerer {
                tracks, receives, ..
            } => OfferPlan::both_ways(offer, tracks, receives),
            Side::Offerer => OfferPlan::new(offer, &[]),
        }
    }

    fn handle_answer(&mut self, answer: &str) {
        if !self.step(Event::Answer) {
            return;
        }
        let offer = self.local.as_deref().unwrap_or_default();
        let lines = self.call.as_mut().and_then(|it| it.lines_mut());
        let accepted = match lines {
            Some(lines) => lines.accept(offer, answer),
            None => sdp::accept_answer(offer, answer),
        };
        match accepted {
            Ok(accepted) => {
                self.identity = Some(accepted.identity);
                self.far = accepted.data;
                self.heard = accepted.sending;
                self.push(Action::SetRemote {
                    offer: false,
                    sdp: accepted.mended,
                });
            }
            Err(error) => self.close(EndReason::Misbehaved(error.to_string())),
        }
    }

    fn handle_candidate(&mut self, line: &str) {
        let Some(line) = self
            .theirs
            .check(line, self.config.tcp, self.config.max_candidates)
        else {
            return;
        };
        if self.head_start_applies() && relays::is_relay(&line) {
            self.head_start.hold(line);
        } else if self.is_remote_set() {
            self.push(Action::AddCandidate(line));
        } else {
            self.theirs.early.push(line);
        }
    }

    fn handle_prepared(&mut self) {
        if self.step(Event::Prepared) {
            let plan = self.plan.as_ref();
            let sdp = plan.map(|it| it.narrowed.clone()).unwrap_or_default();
            self.push(Action::SetRemote { offer: true, sdp });
        }
    }

    fn handle_remote_set(&mut self) {
        if !self.step(Event::RemoteSet) {
            return;
        }
        for line in std::mem::take(&mut self.theirs.early) {
            self.push(Action::AddCandidate(line));
        }
        if !self.is_offerer() {
            self.push(Action::CreateAnswer);
        }
    }

    fn handle_created(&mut self, sdp: String) {
        if self.local.is_some() {
            self.close(EndReason::Failed("two descriptions were made".to_owned()));
            return;
        }
        let mended = match self.is_offerer() {
            true => sdp::with_rtx(sdp).and_then(sdp::with_max_message),
            false => sdp::with_max_message(sdp),
        };
        let sdp = match mended {
            Ok(sdp) => sdp,
            Err(error) => return self.close(EndReason::Failed(error.to_string())),
        };
        if self.step(Event::Created) {
            self.push(Action::SetLocal {
                offer: self.is_offerer(),
                sdp: sdp.clone(),
            });
            self.local = Some(sdp);
        }
    }

    fn handle_local_set(&mut self, now: Instant) {
        if self.local.is_none() {
            self.close(EndReason::Failed("no description was made".to_owned()));
        } else if self.step(Event::LocalSet) {
            self.ours.begin(now);
        }
    }

    fn handle_gathering_complete(&mut self) {
        if self.config.late_relays && self.phase != Phase::Connected {
            // Relays are candidates, too.
            self.gathered = true;
            return;
        }
        let first = !std::mem::replace(&mut self.ours.complete, true);
        if first && self.config.trickle_out && self.is_local_sent() {
            self.send_candidates();
            self.push(Action::Send(Message::EndOfCandidates));
        }
    }

    /// Does what has become possible: the description leaves when it may,
    /// candidates behind it, and media start when all is proven.
    fn advance(&mut self, now: Instant) {
        if self.phase == Phase::Gathering {
            let due = self.ours.due(&self.config);
            if self.config.trickle_out {
                self.send_description(&[], false);
                self.send_candidates();
                if self.ours.complete && self.phase != Phase::Ended {
                    self.push(Action::Send(Message::EndOfCandidates));
                }
            } else if due.is_some_and(|due| due <= now) {
                self.send_gathered();
            }
        } else if self.is_local_sent() {
            self.send_candidates();
        }
        if self.phase == Phase::Connecting && self.head_start_applies() {
            self.run_head_start(now);
        }
        if self.phase == Phase::Connecting && self.proven && self.keyed && self.step(Event::Secured)
        {
            self.push(Action::StartMedia);
            if self.gathered {
                self.handle_gathering_complete();
            }
        }
        self.go_on(now);
    }

    /// Do relays wait, ours or theirs?
    fn head_start_applies(&self) -> bool {
        self.config.trickle_out && !self.config.head_start.is_zero() && self.head_start.holds()
    }

    fn run_head_start(&mut self, now: Instant) {
        self.head_start.begin(now, self.config.head_start);
        let Some(held) = self.head_start.finish(now) else {
            return;
        };
        if self.config.late_relays {
            self.push(Action::AddRelays);
        }
        for line in held {
            self.push(Action::AddCandidate(line));
        }
    }

    fn send_gathered(&mut self) {
        let candidates = std::mem::take(&mut self.ours.waiting);
        if candidates.is_empty() {
            self.close(EndReason::Failed(NO_ADDRESS.to_owned()));
            return;
        }
        self.send_description(&candidates, self.ours.complete);
    }

    /// Sends the local description with `candidates` in it.
    fn send_description(&mut self, candidates: &[String], complete: bool) {
        match self.written(candidates, complete) {
            Ok(message) if self.step(Event::Sent) => self.push(Action::Send(message)),
            Ok(_) => (),
            Err(error) => self.close(EndReason::Failed(error.to_string())),
        }
    }

    /// The local description as the far side gets it.
    fn written(&self, candidates: &[String], complete: bool) -> Result<Message, SdpError> {
        let local = self.local.as_deref().unwrap_or_default();
        if let Some(plan) = &self.plan {
            let sdp = plan.answer(local, candidates, complete)?;
            return sdp::announced(sdp).map(|sdp| Message::Answer { sdp });
        }
        let sdp = match self.call.as_ref().and_then(|it| it.lines()) {
            Some(lines) => lines.offer(local)?,
            None => local.to_owned(),
        };
        let sdp = sdp::with_candidates(&sdp, candidates, complete)?;
        sdp::announced(sdp).map(|sdp| Message::Offer { sdp })
    }

    /// Sends the candidates that wait, or drops them where they cannot follow
    /// the description.
    fn send_candidates(&mut self) {
        let waiting = std::mem::take(&mut self.ours.waiting);
        if !self.config.trickle_out || self.phase == Phase::Ended || waiting.is_empty() {
            return;
        }
        let (mline, mid) = self.transport_mline();
        for candidate in waiting {
            self.push(Action::Send(Message::Candidate(Candidate {
                candidate,
                sdp_mid: mid.clone(),
                sdp_m_line_index: u32::try_from(mline).ok(),
            })));
        }
    }

    /// The m-line of our description, as the far side sees it, that all of our
    /// candidates belong to.
    fn transport_mline(&self) -> (usize, Option<String>) {
        match &self.plan {
            Some(plan) => {
                let (mline, mid) = plan.transport_mline();
                (mline, mid.map(str::to_owned))
            }
            None => {
                let local = self.local.as_deref().unwrap_or_default();
                sdp::transport_mline(local).unwrap_or_default()
            }
        }
    }

    /// Takes the edge of `event`, or ends the session where there is none.
    fn step(&mut self, event: Event) -> bool {
        match edge(self.phase, &self.config.side, event) {
            Ok(next) => {
                self.phase = next;
                true
            }
            Err(misstep) => {
                self.close(misstep.into());
                false
            }
        }
    }

    fn refuse(&mut self, error: SdpError) {
        self.close(EndReason::Refused(error.clone()));
        self.actions.push_front(Action::Refuse(error));
    }

    fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// Do we make the offers?
    pub fn is_offerer(&self) -> bool {
        self.config.side == Side::Offerer
    }

    fn is_local_sent(&self) -> bool {
        match self.phase {
            Phase::AwaitingAnswer | Phase::Connecting | Phase::Connected => true,
            Phase::Applying => self.is_offerer(),
            _ => false,
        }
    }

    fn is_remote_set(&self) -> bool {
        match self.phase {
            Phase::Connecting | Phase::Connected => true,
            Phase::Answering | Phase::Gathering => !self.is_offerer(),
            _ => false,
        }
    }

    /// What a negotiation that timed out was at.
    fn doing(&self) -> &'static str {
        match self.phase {
            Phase::AwaitingOffer => "waiting for its offer",
            Phase::Preparing => "preparing to send",
            Phase::Applying => "taking its description",
            Phase::Answering => "making the answer",
            Phase::Describing => "making the offer",
            Phase::Gathering => "gathering our network addresses",
            Phase::AwaitingAnswer => "waiting for its answer",
            Phase::Connecting if self.keyed => "checking its certificate",
            Phase::Connecting if self.proven => "agreeing on keys (DTLS)",
            Phase::Connecting if self.ice_failed => {
                "looking for a network path (ICE: none of the addresses works)"
            }
            Phase::Connecting => "looking for a network path (ICE)",
            Phase::Connected | Phase::Ended => "being done",
        }
    }
}
