//! The viewer's side.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_nats::{Message as NatsMessage, StatusCode, Subject, Subscriber};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::publisher::read;
use super::{CAPABILITIES, Channel, Outcome, Subjects, forbidden, gone, lost};
use crate::message::v1::{self, Envelope, Failure, Hello, PUBLISHER, Role};
use crate::message::{Message, PeerId, VERSION};
use crate::sdp::Receives;
use crate::signaller::dial::quote;
use crate::signaller::envelope::{from_viewer, handed_out, publisher_joined};
use crate::signaller::{Capabilities, Incoming, Offerer, Outgoing, SignallerError};

/// What outlives a connection.
pub(super) struct Viewer {
    receives: Option<Receives>,
    /// Where the publisher reaches us.
    inbox: OnceLock<String>,
    session: Session,
}

/// What the publisher calls us, while it knows us. Never held across a wait.
#[derive(Clone, Default)]
struct Session(Arc<Mutex<Option<PeerId>>>);

impl Session {
    fn lock(&self) -> MutexGuard<'_, Option<PeerId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> Option<PeerId> {
        self.lock().clone()
    }
}

impl Viewer {
    pub(super) fn new(receives: Option<&Receives>) -> Self {
        Self {
            receives: receives.cloned(),
            inbox: OnceLock::new(),
            session: Session::default(),
        }
    }

    /// Joins the stream, or comes back to it.
    pub(super) async fn enter(
        &self,
        channel: Channel,
        subjects: &Subjects,
        incoming: mpsc::Sender<Incoming>,
    ) -> Result<Carrier, SignallerError> {
        let inbox = Subject::from(
            self.inbox
                .get_or_init(|| channel.client.new_inbox())
                .as_str(),
        );
        let mut notes = channel
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| lost(&error))?;
        if self.session.get().is_none() {
            let hello = Envelope::Hello(Hello {
                version: VERSION.to_owned(),
                role: Role::View,
                stream: subjects.stream.clone(),
                token: None,
                wait: false,
                host: false,
                resume: None,
                sessions: Vec::new(),
                receives: self.receives.clone(),
                agent: Some(concat!("sigmund/", env!("CARGO_PKG_VERSION")).to_owned()),
            });
            channel.say(subjects.join(), Some(&inbox), &hello).await?;
            let (peer, servers) = welcomed(&mut notes).await?;
            *self.session.lock() = Some(peer);
            let channel = Capabilities {
                offerer: Offerer::Them,
                ..CAPABILITIES
            };
            // The queue is new, there is room.
            if !servers.is_empty() {
                let _ = incoming.try_send(handed_out(&servers));
            }
            let _ = incoming.try_send(publisher_joined("nats", channel));
        }
        // Back again: what is said to us from here on must find us.
        channel.settle().await;
        Ok(Carrier {
            channel,
            subjects: subjects.clone(),
            inbox,
            session: self.session.clone(),
            notes,
            incoming,
        })
    }

    /// Tells the publisher that we are gone.
    pub(super) async fn leave(&self, channel: &Channel, subjects: &Subjects) {
        let session = self.session.lock().take();
        if let Some(peer) = session {
            let bye = from_viewer(Outgoing::End {
                peer: PeerId::new(PUBLISHER),
                reason: "it has closed".to_owned(),
            });
            let _ = channel.say(subjects.peer(peer.as_str()), None, &bye).await;
        }
    }
}

/// What the publisher calls us, and the ICE servers that it hands out.
async fn welcomed(notes: &mut Subscriber) -> Result<(PeerId, Vec<v1::IceServer>), SignallerError> {
    loop {
        let message = notes.next().await.ok_or_else(gone)?;
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(SignallerError::Transient(
                "nobody publishes a stream of that name on this NATS server".to_owned(),
            ));
        }
        match read(&message.payload) {
            Ok(Some(Envelope::Welcome(welcome))) if is_subject(welcome.peer.as_str()) => {
                return Ok((welcome.peer, welcome.ice_servers));
            }
            Ok(Some(Envelope::Error(Failure { text, retry, .. }))) => {
                let text = format!("the publisher says: {}", quote(text.as_bytes()));
                return Err(if retry {
                    SignallerError::Transient(text)
                } else {
                    SignallerError::Permanent(text)
                });
            }
            // Of a session from before.
            _ => (),
        }
    }
}

/// Can it stand in a subject, and does it mean one peer alone?
pub(super) fn is_subject(name: &str) -> bool {
    name.split('.').all(|token| {
        let usual = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !token.is_empty() && token.chars().all(usual)
    })
}

/// One connection.
pub(super) struct Carrier {
    channel: Channel,
    subjects: Subjects,
    inbox: Subject,
    session: Session,
    notes: Subscriber,
    incoming: mpsc::Sender<Incoming>,
}

impl Carrier {
    pub(super) async fn run(mut self, mut outgoing: mpsc::Receiver<Outgoing>) -> Outcome {
        loop {
            tokio::select! {
                note = outgoing.recv() => match note {
                    Some(note) => self.say(note).await?,
                    None => return Ok(self.channel),
                },
                note = self.notes.next() => {
                    let heard = hear(&note.ok_or_else(gone)?);
                    match heard {
                        Some(Ok(message)) => {
                            let peer = PeerId::new(PUBLISHER);
                            if self.incoming.send(Incoming::Message { peer, message }).await.is_err() {
                                return Ok(self.channel);
                            }
                        }
                        Some(Err(reason)) => return Err(self.over(reason).await),
                        None => (),
                    }
                }
                Some(fault) = self.channel.faults.recv() => return Err(forbidden(&fault)),
            }
        }
    }

    async fn say(&self, note: Outgoing) -> Result<(), SignallerError> {
        let Some(peer) = self.session.get() else {
            return Ok(());
        };
        let subject = self.subjects.peer(peer.as_str());
        let over = match &note {
            Outgoing::Message { message, .. } => match message {
                Message::Bye { reason } => Some(reason.clone()),
                _ => None,
            },
            Outgoing::End { reason, .. } => Some(reason.clone()),
            Outgoing::Refuse { refusal, .. } => Some(refusal.to_string()),
            Outgoing::Report { .. } => return Ok(()),
        };
        let note = from_viewer(note);
        match over {
            None => self.channel.say(subject, Some(&self.inbox), &note).await,
            Some(reason) => {
                self.channel.say(subject, None, &note).await?;
                self.channel.flush().await;
                Err(self.over(reason).await)
            }
        }
    }

    /// The session is over; the next begins after a little while.
    async fn over(&self, reason: String) -> SignallerError {
        *self.session.lock() = None;
        let left = Incoming::Left {
            peer: PeerId::new(PUBLISHER),
            reason: reason.clone(),
        };
        let _ = self.incoming.send(left).await;
        SignallerError::Transient(format!("the session is over: {reason}"))
    }
}

/// What the publisher says; or why it is over.
fn hear(message: &NatsMessage) -> Option<Result<Message, String>> {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Some(Err("the publisher is gone".to_owned()));
    }
    let envelope = read(&message.payload).inspect_err(|error| {
        tracing::debug!("a note that is none: {error}");
    });
    match envelope.ok()?? {
        Envelope::Note {
            note: Message::Bye { reason },
            ..
        }
        | Envelope::Ended { reason } => Some(Err(quote(reason.as_bytes()))),
        Envelope::Note { note, .. } => Some(Ok(note)),
        Envelope::Refused { text, .. } => Some(Err(quote(text.as_bytes()))),
        Envelope::Error(Failure { text, .. }) => Some(Err(quote(text.as_bytes()))),
        _ => None,
    }
}
