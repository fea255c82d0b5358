//! What producers and consumers do alike with what they hear and say.

use tokio::sync::mpsc;

use super::protocol::{Body, Note, ToServer};
use crate::message::{Message, PeerId};
use crate::signaller::dial::quote;
use crate::signaller::socket::Socket;
use crate::signaller::{Incoming, Outgoing, SignallerError};

/// What a note from the server leads to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// For our owner.
    pub(super) notes: Vec<Incoming>,
    /// For the server.
    pub(super) answer: Option<ToServer>,
}

/// The owner is gone.
pub(super) struct Gone;

impl Heard {
    /// Nothing for our owner.
    pub(super) fn answer(answer: impl Into<Option<ToServer>>) -> Self {
        Self {
            notes: Vec::new(),
            answer: answer.into(),
        }
    }

    /// Nothing for the server.
    pub(super) fn note(note: Incoming) -> Self {
        Self {
            notes: vec![note],
            answer: None,
        }
    }

    /// The server does not like what we said.
    pub(super) fn error(details: &str) -> Self {
        tracing::warn!("the signalling server says: {}", quote(details.as_bytes()));
        Self::default()
    }

    /// What the far side says; one that exaggerates is left: `end` is what the
    /// server is told then.
    pub(super) fn message(
        peer: PeerId,
        message: Message,
        end: impl FnOnce() -> Option<ToServer>,
    ) -> Self {
        match message.check() {
            Ok(()) => Self::note(Incoming::Message { peer, message }),
            Err(error) => {
                let reason = error.to_string();
                Self {
                    notes: vec![Incoming::Left { peer, reason }],
                    answer: end(),
                }
            }
        }
    }

    /// The far side has ended the session; `silent` is what is told where the
    /// server does not say why.
    pub(super) fn left(peer: PeerId, error: Option<&str>, silent: &str) -> Self {
        let reason = error.map_or_else(|| silent.to_owned(), |error| quote(error.as_bytes()));
        Self::note(Incoming::Left { peer, reason })
    }

    /// Tells them.
    pub(super) async fn pass_on(
        self,
        socket: &mut Socket,
        incoming: &mpsc::Sender<Incoming>,
    ) -> Result<Result<(), Gone>, SignallerError> {
        if let Some(answer) = self.answer {
            socket.send(&answer).await?;
        }
        for note in self.notes {
            if incoming.send(note).await.is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(()))
    }
}

/// What our owner wants of a session.
pub(super) enum Wish {
    Say(PeerId, Message),
    /// The protocol has no words for reasons.
    End(PeerId),
}

impl Wish {
    /// There is none in a report.
    pub(super) fn of(note: Outgoing) -> Option<Self> {
        match note {
            Outgoing::Message { peer, message } => Some(match message {
                Message::Bye { .. } => Self::End(peer),
                _ => Self::Say(peer, message),
            }),
            Outgoing::End { peer, reason } => {
                tracing::debug!(%peer, "the session is over: {reason}");
                Some(Self::End(peer))
            }
            Outgoing::Refuse { peer, refusal } => {
                tracing::debug!(%peer, "refused: {refusal}");
                Some(Self::End(peer))
            }
            Outgoing::Report { .. } => None,
        }
    }
}

/// A message in their words, if they have any for it.
pub(super) fn said(session_id: String, message: Message) -> Option<ToServer> {
    let body = Body::from_message(message)?;
    Some(ToServer::Peer(Note { session_id, body }))
}
