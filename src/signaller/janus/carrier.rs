//! Carries the notes of one session.

use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::FAREWELL;
use super::link::Link;
use super::protocol::{self, News, Packet, refused};
use crate::message::{Message, PeerId};
use crate::signaller::{Incoming, Outgoing, SignallerError};

/// Janus ends a session that it has not heard for 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// How a connection has ended.
pub(super) enum Outcome {
    /// The owner has let go of it; the session is still there.
    Closed(Box<Link>),
    /// The WebSocket was lost; the session may still be there.
    Lost(SignallerError),
    /// The session is over.
    Over(SignallerError),
}

pub(super) struct Carrier {
    link: Link,
    peer: PeerId,
    /// The request that holds our description.
    describing: Option<String>,
}

/// Why no more is carried.
enum End {
    Lost(SignallerError),
    Over(SignallerError),
}

impl From<SignallerError> for End {
    fn from(error: SignallerError) -> Self {
        Self::Lost(error)
    }
}

impl Carrier {
    pub(super) fn new(link: Link, peer: PeerId) -> Self {
        Self {
            link,
            peer,
            describing: None,
        }
    }

    pub(super) async fn run(
        mut self,
        mut outgoing: mpsc::Receiver<Outgoing>,
        incoming: mpsc::Sender<Incoming>,
    ) -> Outcome {
        match self.carry(&mut outgoing, &incoming).await {
            Ok(()) => Outcome::Closed(Box::new(self.link)),
            Err(End::Lost(error)) => Outcome::Lost(error),
            Err(End::Over(error)) => {
                let _ = timeout(FAREWELL, self.link.destroy()).await;
                let left = Incoming::Left {
                    peer: self.peer,
                    reason: error.to_string(),
                };
                let _ = incoming.send(left).await;
                Outcome::Over(error)
            }
        }
    }

    async fn carry(
        &mut self,
        outgoing: &mut mpsc::Receiver<Outgoing>,
        incoming: &mpsc::Sender<Incoming>,
    ) -> Result<(), End> {
        let mut keep_alive = interval(KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let news = tokio::select! {
                note = outgoing.recv() => match note {
                    Some(note) => {
                        self.say(note).await?;
                        continue;
                    }
                    None => return Ok(()),
                },
                packet = self.link.next() => self.hear(&packet?)?,
                _ = keep_alive.tick() => {
                    self.link.post(json!({"janus": "keepalive"})).await?;
                    continue;
                }
            };
            let Some(message) = news else { continue };
            let peer = self.peer.clone();
            if incoming
                .send(Incoming::Message { peer, message })
                .await
                .is_err()
            {
                return Ok(());
            }
        }
    }

    async fn say(&mut self, note: Outgoing) -> Result<(), End> {
        let message = match note {
            Outgoing::Message { message, peer } if peer == self.peer => message,
            Outgoing::End { peer, reason } if peer == self.peer => return Err(over(&reason)),
            Outgoing::Refuse { peer, refusal } if peer == self.peer => {
                return Err(over(&refusal.to_string()));
            }
            // Of a session before this one.
            _ => return Ok(()),
        };
        let request = match message {
            Message::Offer { sdp } => {
                self.describing = Some(self.link.post(protocol::publish(&sdp)).await?);
                return Ok(());
            }
            Message::Answer { sdp } => {
                self.describing = Some(self.link.post(protocol::start(&sdp)).await?);
                return Ok(());
            }
            Message::Candidate(candidate) => protocol::trickle(Some(&candidate)),
            Message::EndOfCandidates => protocol::trickle(None),
            Message::Bye { reason } => return Err(over(&reason)),
            Message::PleaseOffer { .. } | Message::Again { .. } => {
                tracing::debug!("there is one offer in a session with Janus");
                return Ok(());
            }
        };
        self.link.post(request).await?;
        Ok(())
    }

    fn hear(&self, packet: &Packet) -> Result<Option<Message>, End> {
        if let Some(fault) = packet.fault() {
            if packet.transaction.is_some() && packet.transaction == self.describing {
                return Err(End::Over(refused(&fault)));
            }
            tracing::debug!(code = fault.code, "Janus has refused a note");
            return Ok(None);
        }
        match packet.news(self.link.handle()) {
            Some(News::Note(message)) => match message.check() {
                Ok(()) => Ok(Some(message)),
                Err(error) => Err(over(&error.to_string())),
            },
            Some(News::Over(reason)) => Err(End::Over(SignallerError::Transient(reason))),
            None => Ok(None),
        }
    }
}

/// The next session begins after a little while.
fn over(reason: &str) -> End {
    End::Over(SignallerError::Transient(format!(
        "the session is over: {reason}"
    )))
}
