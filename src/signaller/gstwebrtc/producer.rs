//! One side: offers a stream to whoever asks for it, a session each.

use std::collections::HashSet;

use tokio::sync::mpsc;

use super::CAPABILITIES;
use super::heard::{Heard, Wish, said};
use super::protocol::{Body, MAX_ID, Note, ToPeer, ToServer};
use crate::message::{Message, PeerId};
use crate::signaller::socket::Socket;
use crate::signaller::{Capabilities, Incoming, Offerer, Outgoing, PeerInfo, SignallerError};

/// How many sessions there can be at once. The element's own limit is usually
/// lower.
const SESSIONS: usize = 4096;

/// Carries the notes of a producer until its owner or the channel is gone; `early`
/// is what came before.
pub(super) async fn carry(
    mut socket: Socket,
    early: Vec<ToPeer>,
    mut outgoing: mpsc::Receiver<Outgoing>,
    incoming: mpsc::Sender<Incoming>,
) -> Result<(), SignallerError> {
    let mut sessions = Sessions::default();
    for note in early {
        let heard = sessions.hear(note);
        if heard.pass_on(&mut socket, &incoming).await?.is_err() {
            return Ok(());
        }
    }
    loop {
        let heard = tokio::select! {
            note = outgoing.recv() => match note {
                Some(note) => Heard::answer(sessions.say(note)),
                None => break,
            },
            note = socket.receive_json() => sessions.hear(note?),
        };
        if heard.pass_on(&mut socket, &incoming).await?.is_err() {
            break;
        }
    }
    // The server ends all sessions of a producer that leaves.
    socket.close().await;
    Ok(())
}

/// The sessions there are, by their names at the server, which are those of
/// our peers.
#[derive(Default)]
pub(super) struct Sessions(HashSet<String>);

impl Sessions {
    /// What is told to the server, if anything.
    pub(super) fn say(&mut self, note: Outgoing) -> Option<ToServer> {
        match Wish::of(note)? {
            Wish::Say(peer, message) => said(self.0.get(peer.as_str())?.clone(), message),
            Wish::End(peer) => self.end(&peer),
        }
    }

    fn end(&mut self, peer: &PeerId) -> Option<ToServer> {
        let session_id = self.0.take(peer.as_str())?;
        Some(ToServer::EndSession { session_id })
    }

    pub(super) fn hear(&mut self, note: ToPeer) -> Heard {
        match note {
            ToPeer::StartSession {
                session_id, offer, ..
            } => self.start(session_id, offer),
            ToPeer::Peer(Note { session_id, body }) => self.note(&session_id, body),
            ToPeer::EndSession { session_id } => self.left(&session_id, None),
            ToPeer::EndSessionWhy { session_id, error } => self.left(&session_id, error.as_deref()),
            ToPeer::Error { details } => Heard::error(&details),
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
            return Heard::answer(ToServer::EndSession { session_id });
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
        let mut heard = match offer {
            Some(sdp) => self.pass_on(&session_id, Message::Offer { sdp }),
            None => Heard::default(),
        };
        heard.notes.insert(0, joined);
        heard
    }

    fn note(&mut self, session_id: &str, body: Body) -> Heard {
        if !self.0.contains(session_id) {
            return Heard::default();
        }
        self.pass_on(session_id, body.into_message())
    }

    fn pass_on(&mut self, session_id: &str, message: Message) -> Heard {
        let peer = PeerId::new(session_id);
        Heard::message(peer.clone(), message, || self.end(&peer))
    }

    fn left(&mut self, session_id: &str, error: Option<&str>) -> Heard {
        match self.0.take(session_id) {
            Some(own) => Heard::left(PeerId::new(own), error, "the consumer has left"),
            None => Heard::default(),
        }
    }
}
