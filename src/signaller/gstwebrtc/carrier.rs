//! Carries the notes of one connection's sessions.

use std::collections::HashSet;

use tokio::sync::mpsc;

use super::CAPABILITIES;
use super::protocol::{Body, MAX_ID, Note, ToPeer, ToServer};
use crate::message::{Message, PeerId};
use crate::signaller::dial::quote;
use crate::signaller::socket::Socket;
use crate::signaller::{Capabilities, Incoming, Offerer, Outgoing, PeerInfo, SignallerError};

/// How many sessions there can be at once. The element's own limit is usually
/// lower.
const SESSIONS: usize = 4096;

pub(super) struct Carrier {
    socket: Socket,
    incoming: mpsc::Sender<Incoming>,
    sessions: Sessions,
    /// What came before there was a carrier.
    early: Vec<ToPeer>,
}

/// The owner is gone.
struct Gone;

impl Carrier {
    pub(super) fn new(
        socket: Socket,
        incoming: mpsc::Sender<Incoming>,
        early: Vec<ToPeer>,
    ) -> Self {
        Self {
            socket,
            incoming,
            sessions: Sessions::default(),
            early,
        }
    }

    pub(super) async fn run(
        mut self,
        mut outgoing: mpsc::Receiver<Outgoing>,
    ) -> Result<(), SignallerError> {
        for note in std::mem::take(&mut self.early) {
            if self.hear(note).await?.is_err() {
                return Ok(());
            }
        }
        loop {
            tokio::select! {
                note = outgoing.recv() => match note {
                    Some(note) => {
                        if let Some(note) = self.sessions.say(note) {
                            self.socket.send(&note).await?;
                        }
                    }
                    None => break,
                },
                note = self.socket.receive_json() => {
                    if self.hear(note?).await?.is_err() {
                        break;
                    }
                }
            }
        }
        // The server ends all sessions of a producer that leaves.
        self.socket.close().await;
        Ok(())
    }

    async fn hear(&mut self, note: ToPeer) -> Result<Result<(), Gone>, SignallerError> {
        let heard = self.sessions.hear(note);
        if let Some(answer) = heard.answer {
            self.socket.send(&answer).await?;
        }
        for note in heard.notes {
            if self.incoming.send(note).await.is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(()))
    }
}

/// The sessions there are, by their names at the server, which are those of
/// our peers.
#[derive(Default)]
pub(super) struct Sessions(HashSet<String>);

/// What a note from the server leads to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// For our owner.
    pub(super) notes: Vec<Incoming>,
    /// For the server.
    pub(super) answer: Option<ToServer>,
}

impl Sessions {
    /// What is told to the server, if anything.
    pub(super) fn say(&mut self, note: Outgoing) -> Option<ToServer> {
        let (peer, message) = match note {
            Outgoing::Message { peer, message } => (peer, message),
            Outgoing::End { peer, reason } => {
                tracing::debug!(%peer, "the session is over: {reason}");
                return self.end(&peer);
            }
            Outgoing::Report { .. } => return None,
            Outgoing::Refuse { peer, refusal } => {
                tracing::debug!(%peer, "the consumer is refused: {refusal}");
                return self.end(&peer);
            }
        };
        if let Message::Bye { .. } = message {
            return self.end(&peer);
        }
        let session_id = self.0.get(peer.as_str())?.clone();
        let body = Body::from_message(message)?;
        Some(ToServer::Peer(Note { session_id, body }))
    }

    /// The protocol has no words for reasons.
    fn end(&mut self, peer: &PeerId) -> Option<ToServer> {
        let session_id = self.0.take(peer.as_str())?;
        Some(ToServer::EndSession { session_id })
    }

    pub(super) fn hear(&mut self, note: ToPeer) -> Heard {
        match note {
            ToPeer::StartSession {
                session_id, offer, ..
            } => self.start(session_id, offer),
            ToPeer::Peer(Note { session_id, body }) => self.note(session_id, body),
            ToPeer::EndSession { session_id } => self.left(&session_id, None),
            ToPeer::EndSessionWhy { session_id, error } => self.left(&session_id, error),
            ToPeer::Error { details } => {
                tracing::warn!("the signalling server says: {}", quote(details.as_bytes()));
                Heard::default()
            }
            ToPeer::Welcome { .. }
            | ToPeer::PeerStatusChanged(_)
            | ToPeer::SessionStarted { .. }
            | ToPeer::List { .. }
            | ToPeer::ListConsumers { .. } => Heard::default(),
        }
    }

    fn start(&mut self, session_id: String, offer: Option<String>) -> Heard {
        let well =
            (1..=MAX_ID).contains(&session_id.len()) && !session_id.contains(char::is_control);
        if !well || self.0.contains(&session_id) {
            tracing::debug!("a session's name cannot be used");
            return Heard::default();
        }
        if self.0.len() >= SESSIONS {
            return Heard {
                answer: Some(ToServer::EndSession { session_id }),
                ..Heard::default()
            };
        }
        let peer = PeerId::new(session_id.as_str());
        let channel = offer.is_some().then_some(Capabilities {
            offerer: Offerer::Them,
            ..CAPABILITIES
        });
        let joined = Incoming::Joined {
            peer,
            info: PeerInfo {
                protocol: "gstwebrtc".to_owned(),
                channel,
                ..PeerInfo::default()
            },
        };
        self.0.insert(session_id.clone());
        let mut heard = Heard {
            notes: vec![joined],
            answer: None,
        };
        if let Some(sdp) = offer {
            self.take(session_id, Message::Offer { sdp }, &mut heard);
        }
        heard
    }

    fn note(&mut self, session_id: String, body: Body) -> Heard {
        let mut heard = Heard::default();
        if self.0.contains(&session_id) {
            self.take(session_id, body.into_message(), &mut heard);
        }
        heard
    }

    /// Passes on what a consumer says; one that exaggerates is sent away.
    fn take(&mut self, session_id: String, message: Message, heard: &mut Heard) {
        let peer = PeerId::new(session_id.as_str());
        match message.check() {
            Ok(()) => heard.notes.push(Incoming::Message { peer, message }),
            Err(error) => {
                self.0.remove(&session_id);
                let reason = error.to_string();
                heard.notes.push(Incoming::Left { peer, reason });
                heard.answer = Some(ToServer::EndSession { session_id });
            }
        }
    }

    fn left(&mut self, session_id: &str, error: Option<String>) -> Heard {
        let Some(session_id) = self.0.take(session_id) else {
            return Heard::default();
        };
        let reason = match error {
            Some(error) => quote(error.as_bytes()),
            None => "the consumer has left".to_owned(),
        };
        let peer = PeerId::new(session_id);
        Heard {
            notes: vec![Incoming::Left { peer, reason }],
            answer: None,
        }
    }
}
