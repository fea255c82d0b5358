//! Peers that speak with each other and have no host: one waits to receive a
//! stream, the other comes by WHIP to send it. And those who wait for a host.

use std::time::Duration;

use super::{Hub, JoinError, Note, Other, Publication, Session, State};
use crate::message::{Message, PeerId};
use crate::signaller::{Capabilities, Offerer, PeerInfo, Refusal, envelope};

/// What became of a note from one peer to the other.
#[derive(Default)]
pub(super) struct Heard {
    /// A session is live now: by what protocol, and after how long.
    pub(super) joined: Option<(String, Duration)>,
    /// One that did not read, and is removed; and who has lost it.
    pub(super) slow: Vec<(PeerId, Session)>,
}

/// A host that sends, as those who wait for it see it.
pub(super) fn host() -> PeerInfo {
    PeerInfo {
        protocol: "v1".to_owned(),
        channel: Some(Capabilities {
            offerer: Offerer::Them,
            ..envelope::CHANNEL
        }),
        again: true,
        ..PeerInfo::default()
    }
}

impl State {
    /// Does somebody wait to receive this stream, alone or not?
    pub(super) fn is_awaited(&self, stream: &str) -> bool {
        let mut sessions = self.sessions.values();
        sessions.any(|it| it.stream == stream && it.waits.is_some() && !it.has_host())
    }

    /// Does somebody send this stream to one who waits for it?
    pub(super) fn has_pair(&self, stream: &str) -> bool {
        let mut sessions = self.sessions.values();
        sessions.any(|it| it.stream == stream && matches!(it.other, Other::Peer(_)))
    }

    /// Those who wait for this stream, the longest first.
    fn waiting(&self, stream: &str) -> Vec<PeerId> {
        let waits = |it: &Session| it.stream == stream && it.waits.is_some() && it.is_alone();
        let waiting = self.sessions.iter().filter(|(_, it)| waits(it));
        let mut waiting: Vec<_> = waiting.map(|(peer, it)| (it.came, peer.clone())).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, peer)| peer).collect()
    }

    /// Brings one that sends before the one that has waited longest.
    pub(super) fn meet_waiter(
        &mut self,
        peer: &PeerId,
        session: &mut Session,
        info: PeerInfo,
        offer: Option<String>,
    ) -> Result<(), JoinError> {
        let waiting = self.waiting(&session.stream);
        let there = waiting.into_iter().find(|it| {
            let session = self.sessions.get(it);
            session.is_some_and(|session| !session.away)
        });
        let waiter = there.ok_or(JoinError::NotLive)?;
        let there = self.sessions.get_mut(&waiter).ok_or(JoinError::NotLive)?;
        // Only a host keeps marks.
        let info = PeerInfo { mark: None, ..info };
        let mut notes = vec![Note::Came(info)];
        notes.extend(offer.map(|sdp| Note::Message(Message::Offer { sdp })));
        for note in notes {
            there.far.tell(note).map_err(|_| JoinError::Full)?;
        }
        there.met_peer(peer.clone());
        session.met_peer(waiter);
        Ok(())
    }

    /// Passes on what `from` says to `to`.
    pub(super) fn say_to_peer(
        &mut self,
        from: &PeerId,
        to: &PeerId,
        messages: Vec<Message>,
    ) -> Heard {
        let mut heard = Heard::default();
        if let Some(session) = self.sessions.get_mut(from) {
            session.count_candidates(messages.len());
        }
        let Some(other) = self.sessions.get_mut(to) else {
            return heard;
        };
        for message in messages {
            heard.joined = heard.joined.or(other.hear(&message));
            if other.far.tell(Note::Message(message)).is_err() {
                heard
                    .slow
                    .extend(self.remove(to).map(|it| (to.clone(), it)));
                let why = Note::Ended("the far side does not read".to_owned());
                heard
                    .slow
                    .extend(self.part(from, why).map(|it| (from.clone(), it)));
                break;
            }
        }
        heard
    }

    /// Whom `peer` spoke with is gone. One that waits goes on waiting; any other
    /// is told, and taken out.
    pub(super) fn part(&mut self, peer: &PeerId, why: Note) -> Option<Session> {
        let session = self.sessions.get_mut(peer)?;
        if session.waits.is_some() {
            let reason = match why {
                Note::Refused(refusal) => refusal.to_string(),
                Note::Ended(reason) | Note::Went(reason) => reason,
                Note::Message(_) | Note::Came(_) => String::new(),
            };
            if session.be_alone(&reason).is_ok() {
                return None;
            }
            session.far.cut_off();
            return self.remove(peer);
        }
        let _ = session.far.tell(why);
        self.remove(peer)
    }

    /// A host has come: those who wait for it join it. Answers those who cannot.
    pub(super) fn welcome_waiting(&mut self, stream: &str) -> Vec<(PeerId, Session)> {
        let mut over = Vec::new();
        for peer in self.waiting(stream) {
            let Some(mut session) = self.sessions.remove(&peer) else {
                continue;
            };
            let info = session.waits.clone().unwrap_or_default();
            let told = session.far.tell(Note::Came(host())).is_ok();
            if told && self.meet_host(&peer, &mut session, info, None).is_ok() {
                self.sessions.insert(peer, session);
            } else {
                over.push((peer, session));
            }
        }
        over
    }
}

impl Hub {
    /// One that waits turns whom it speaks with away, and waits on. From a host
    /// it just leaves.
    pub(super) fn dismiss(&self, peer: &PeerId, why: Note) {
        let mut state = self.state();
        let other = match state.sessions.get(peer).map(|it| &it.other) {
            Some(Other::Peer(other)) => other.clone(),
            Some(Other::Host { .. }) => {
                drop(state);
                self.leave(peer, "it said goodbye");
                return;
            }
            Some(Other::Nobody) | None => return,
        };
        let cause = why.cause();
        let dismissed = state.part(&other, why);
        if let Some(session) = state.sessions.get_mut(peer) {
            session.live = false;
            session.other = Other::Nobody;
        }
        drop(state);
        if let Some(session) = dismissed {
            self.tell_of_end(&session, cause);
        }
    }

    /// A peer keeps its place from now on while nobody hosts its stream.
    pub(super) fn wait(&self, peer: &PeerId, info: PeerInfo) {
        if let Some(session) = self.state().sessions.get_mut(peer) {
            session.waits = Some(info);
        }
    }

    /// Is there somebody that this one speaks with?
    pub(crate) fn is_met(&self, peer: &PeerId) -> bool {
        let state = self.state();
        state.sessions.get(peer).is_some_and(|it| !it.is_alone())
    }

    /// A peer's connection is lost, or there again.
    pub(super) fn set_away(&self, peer: &PeerId, away: bool) {
        if let Some(session) = self.state().sessions.get_mut(peer) {
            session.away = away;
        }
    }

    /// Tells those who waited in vain.
    pub(super) fn turn_away(&self, over: Vec<(PeerId, Session)>) {
        for (_, mut session) in over {
            let busy = Refusal::Busy("the publisher has too many viewers".to_owned());
            if session.far.tell(Note::Refused(busy)).is_err() {
                session.far.cut_off();
            }
        }
    }
}

impl Publication {
    /// Those who wait for the stream join it.
    pub(super) fn welcome_waiting(&self) {
        let over = self.hub.state().welcome_waiting(&self.name);
        self.hub.turn_away(over);
    }
}
