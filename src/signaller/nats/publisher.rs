//! The publisher's side: what a server is elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::{Message as NatsMessage, StatusCode, Subject, Subscriber};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Channel, Outcome, Subjects, forbidden, gone, lost, random_token};
use crate::address::IceServer;
use crate::message::v1::{
    self, Code, Envelope, Failure, Hello, MAX_TO_SERVER, PUBLISHER, ReadError, Role, Secret,
    Welcome,
};
use crate::message::{Message, PeerId, VERSION};
use crate::signaller::envelope::{cut, kind_of};
use crate::signaller::{Incoming, Outgoing, PeerInfo, SignallerError};

/// How long another publisher of the same stream may take to say so.
const RIVAL: Duration = Duration::from_secs(1);

/// How many viewers there can be at once. The element's own limit is usually
/// lower.
const VIEWERS: usize = 4096;

/// All publishers of a stream share it, so that a viewer has one of them.
const QUEUE_GROUP: &str = "publisher";

/// What outlives a connection.
pub(super) struct Publisher {
    /// The first token of its viewers' names.
    instance: OnceLock<String>,
    viewers: Viewers,
    ice_servers: Vec<IceServer>,
}

/// Who watches, and where each is reached. Never held across a wait.
#[derive(Clone, Default)]
struct Viewers(Arc<Mutex<HashMap<PeerId, Subject>>>);

impl Viewers {
    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, Subject>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publisher {
    pub(super) fn new(ice_servers: &[IceServer]) -> Self {
        Self {
            instance: OnceLock::new(),
            viewers: Viewers::default(),
            ice_servers: ice_servers.to_vec(),
        }
    }

    /// Takes the stream, unless another has it.
    pub(super) async fn enter(
        &self,
        channel: Channel,
        subjects: &Subjects,
        incoming: mpsc::Sender<Incoming>,
    ) -> Result<Carrier, SignallerError> {
        let instance = match self.instance.get() {
            Some(instance) => instance,
            None => {
                let instance = random_token::<8>()?;
                self.instance.get_or_init(|| instance)
            }
        };
        let client = &channel.client;
        let inbox = Subject::from(client.new_inbox());
        let mut answers = client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| lost(&error))?;
        let notes = client.subscribe(subjects.peer(&format!("{instance}.*")));
        let notes = notes.await.map_err(|error| lost(&error))?;
        ask_rival(&channel, subjects, &inbox, &mut answers).await?;
        let joins = client.queue_subscribe(subjects.join(), QUEUE_GROUP.to_owned());
        let joins = joins.await.map_err(|error| lost(&error))?;
        // What comes back has passed behind the subscriptions.
        let echo = client.publish(inbox, Vec::new().into());
        echo.await.map_err(|error| lost(&error))?;
        answers.next().await.ok_or_else(gone)?;
        Ok(Carrier {
            instance: instance.clone(),
            channel,
            prefix: subjects.peer(""),
            viewers: self.viewers.clone(),
            ice_servers: self.ice_servers.clone(),
            joins,
            notes,
            incoming,
        })
    }

    /// Tells all viewers that it is over.
    pub(super) async fn leave(&self, channel: &Channel) {
        let ended = Envelope::Ended {
            reason: "the stream has ended".to_owned(),
        };
        let viewers = std::mem::take(&mut *self.viewers.lock());
        for inbox in viewers.into_values() {
            let _ = channel.say(inbox, None, &ended).await;
        }
    }
}

/// Fails if somebody answers in the stream's name.
async fn ask_rival(
    channel: &Channel,
    subjects: &Subjects,
    inbox: &Subject,
    answers: &mut Subscriber,
) -> Result<(), SignallerError> {
    let hello = Envelope::Hello(Hello {
        version: VERSION.to_owned(),
        role: Role::Publish,
        stream: subjects.stream.clone(),
        token: None,
        wait: false,
        host: false,
        resume: None,
        sessions: Vec::new(),
        receives: None,
        agent: None,
    });
    channel.say(subjects.join(), Some(inbox), &hello).await?;
    match timeout(RIVAL, answers.next()).await {
        // A subscription whose owner is gone, and NATS has not noticed.
        Err(_) => Ok(()),
        Ok(None) => Err(gone()),
        Ok(Some(NatsMessage {
            status: Some(StatusCode::NO_RESPONDERS),
            ..
        })) => Ok(()),
        Ok(Some(_)) => Err(SignallerError::Permanent(
            "somebody publishes a stream of that name on this NATS server already; give this one \
             another name (nats://HOST/OTHER)"
                .to_owned(),
        )),
    }
}

/// One connection.
pub(super) struct Carrier {
    channel: Channel,
    instance: String,
    /// What stands before a viewer's name in its subject.
    prefix: String,
    viewers: Viewers,
    ice_servers: Vec<IceServer>,
    joins: Subscriber,
    notes: Subscriber,
    incoming: mpsc::Sender<Incoming>,
}

impl Carrier {
    pub(super) async fn run(mut self, mut outgoing: mpsc::Receiver<Outgoing>) -> Outcome {
        loop {
            let heard = tokio::select! {
                note = outgoing.recv() => match note {
                    Some(note) => {
                        self.say(note).await?;
                        continue;
                    }
                    None => return Ok(self.channel),
                },
                join = self.joins.next() => self.join(join.ok_or_else(gone)?).await?,
                note = self.notes.next() => self.hear(&note.ok_or_else(gone)?),
                Some(fault) = self.channel.faults.recv() => {
                    let left = self.unreachable(&fault).ok_or_else(|| forbidden(&fault))?;
                    for note in left {
                        let _ = self.incoming.send(note).await;
                    }
                    continue;
                }
            };
            if let Some(note) = heard
                && self.incoming.send(note).await.is_err()
            {
                return Ok(self.channel);
            }
        }
    }

    async fn say(&self, note: Outgoing) -> Result<(), SignallerError> {
        let (peer, envelope, last) = match note {
            Outgoing::Message { peer, message } => {
                let last = matches!(message, Message::Bye { .. });
                let note = Envelope::Note {
                    peer: PeerId::new(PUBLISHER),
                    note: message,
                };
                (peer, note, last)
            }
            Outgoing::Refuse { peer, refusal } => {
                let (kind, text) = kind_of(refusal);
                (peer, Envelope::Refused { kind, text }, true)
            }
            Outgoing::End { peer, reason } => {
                let reason = cut(reason);
                (peer, Envelope::Ended { reason }, true)
            }
            Outgoing::Report { .. } => return Ok(()),
        };
        let inbox = {
            let mut viewers = self.viewers.lock();
            let inbox = viewers.get(&peer).cloned();
            if last {
                viewers.remove(&peer);
            }
            inbox
        };
        match inbox {
            Some(inbox) => self.channel.say(inbox, None, &envelope).await,
            None => Ok(()),
        }
    }

    async fn join(&self, message: NatsMessage) -> Result<Option<Incoming>, SignallerError> {
        let Some(inbox) = message.reply.clone().filter(|inbox| is_inbox(inbox)) else {
            tracing::debug!("a viewer without an inbox");
            return Ok(None);
        };
        let (answer, joined) = match self.admit(&message, &inbox) {
            Ok((welcome, joined)) => (Envelope::Welcome(welcome), Some(joined)),
            Err((code, text)) => {
                let retry = code == Code::Busy;
                let text = text.to_owned();
                (Envelope::Error(Failure { code, text, retry }), None)
            }
        };
        self.channel.say(inbox, None, &answer).await?;
        Ok(joined)
    }

    fn admit(
        &self,
        message: &NatsMessage,
        inbox: &Subject,
    ) -> Result<(Welcome, Incoming), (Code, &'static str)> {
        let hello = match read(&message.payload) {
            Ok(Some(Envelope::Hello(hello))) => hello,
            Ok(_) => return Err((Code::Malformed, "the first message is a hello")),
            Err(ReadError::Unsupported) => {
                return Err((Code::Unsupported, "only version sigmund.v1 is spoken here"));
            }
            Err(ReadError::Malformed(_)) => return Err((Code::Malformed, "that is no hello")),
        };
        if hello.role == Role::Publish {
            return Err((Code::Taken, "the stream has a publisher"));
        }
        let token = random_token::<16>().map_err(|_| (Code::Busy, "no random numbers"))?;
        let peer = PeerId::new(format!("{}.{token}", self.instance));
        let mut viewers = self.viewers.lock();
        if viewers.len() >= VIEWERS {
            return Err((Code::Busy, "the stream has as many viewers as it can have"));
        }
        viewers.insert(peer.clone(), inbox.clone());
        drop(viewers);
        let welcome = Welcome {
            version: VERSION.to_owned(),
            peer: peer.clone(),
            // It has its place for as long as it keeps its inbox.
            resume: Secret::new(String::new()),
            ice_servers: self.ice_servers.iter().map(Into::into).collect(),
            address: None,
            host: false,
            sessions: None,
        };
        let info = PeerInfo {
            protocol: "nats".to_owned(),
            agent: hello.agent.as_deref().map(v1::agent),
            receives: hello.receives,
            again: true,
            ..PeerInfo::default()
        };
        Ok((welcome, Incoming::Joined { peer, info }))
    }

    /// Who cannot be answered, as NATS forbids it: where we speak to a viewer is
    /// that viewer's choice. `None` for what we cannot do without.
    fn unreachable(&self, fault: &str) -> Option<Vec<Incoming>> {
        let inbox = forbidden_inbox(fault)?;
        tracing::warn!("NATS does not let us answer a viewer");
        let gone = |(peer, _): (PeerId, Subject)| Incoming::Left {
            peer,
            reason: "NATS does not let us speak to it".to_owned(),
        };
        let mut viewers = self.viewers.lock();
        let there = viewers.extract_if(|_, it| it.as_str() == inbox);
        Some(there.map(gone).collect())
    }

    /// What a viewer says, if it is one of ours.
    fn hear(&self, message: &NatsMessage) -> Option<Incoming> {
        let peer = PeerId::new(message.subject.strip_prefix(&self.prefix)?);
        if !self.viewers.lock().contains_key(&peer) {
            return None;
        }
        let envelope = read(&message.payload).inspect_err(|error| {
            tracing::debug!(%peer, "a note that is none: {error}");
        });
        let Ok(Some(Envelope::Note { note, .. })) = envelope else {
            return None;
        };
        if let Message::Bye { reason } = note {
            self.viewers.lock().remove(&peer);
            return Some(Incoming::Left { peer, reason });
        }
        Some(Incoming::Message {
            peer,
            message: note,
        })
    }
}

/// Reads an envelope, within limits.
pub(in crate::signaller) fn read(payload: &[u8]) -> Result<Option<Envelope>, ReadError> {
    if payload.len() > MAX_TO_SERVER {
        return Err(ReadError::Malformed("it is too long".to_owned()));
    }
    let text = std::str::from_utf8(payload);
    Envelope::read(text.map_err(|_| ReadError::Malformed("it is not UTF-8".to_owned()))?)
}

/// Nobody makes us speak where it may not speak itself: to our own subjects, or
/// to those of NATS.
pub(super) fn is_inbox(reply: &str) -> bool {
    !reply.starts_with("sigmund.") && !reply.starts_with('$')
}

/// The inbox that NATS does not let us publish to, by its words:
/// `Permissions Violation for Publish to "_INBOX.x"`.
pub(super) fn forbidden_inbox(fault: &str) -> Option<&str> {
    let (before, rest) = fault.split_once('"')?;
    let (subject, _) = rest.split_once('"')?;
    let publish = before.to_ascii_lowercase().contains("publish to");
    (publish && is_inbox(subject)).then_some(subject)
}
