//! `whip+http(s)://HOST/PATH`: publishes to a WHIP server (RFC 9725).
//! `whep+http(s)://HOST/PATH`: watches a WHEP server's stream
//! (draft-ietf-wish-whep). The notes are the same; the media's direction is not.
//!
//! The server is the one peer, and a connection carries one session: its end is
//! the channel's, and the supervisor begins the next. Our candidates travel in
//! the offer, or behind it by PATCH where the server is known to take that;
//! the server's are all in its answer.

pub(super) mod client;
mod fragment;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use url::Url;

use self::client::{Client, PatchError, Patience, Protocol, Resource};
use self::fragment::Fragments;
use super::dial::Tls;
use super::{
    Capabilities, Connection, Incoming, Offerer, OpenError, Options, Outgoing, PeerInfo, Role,
    Signaller, SignallerError,
};
use crate::address::{IceServer, SignallingUri};
use crate::message::{Message, PeerId};

/// Of a server that takes PATCH; a peer's own say whether this one does.
pub(super) const CAPABILITIES: Capabilities = Capabilities {
    offerer: Offerer::Us,
    trickle_in: false,
    trickle_out: true,
};

/// How many notes wait in each queue.
const QUEUE: usize = 256;

/// Makes a signaller that publishes to `uri`.
pub(super) fn open(
    uri: &SignallingUri,
    options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    if options.role != Role::Publish {
        return Err(OpenError(
            "whip+http(s) publishes; to watch, use whep+https://HOST/PATH".to_owned(),
        ));
    }
    dial(Protocol::Whip, uri, options)
}

/// Makes a signaller that watches `uri`.
pub(super) fn open_whep(
    uri: &SignallingUri,
    options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    if options.role != Role::Subscribe {
        return Err(OpenError(
            "whep+http(s) watches; to publish, use whip+https://HOST/PATH".to_owned(),
        ));
    }
    dial(Protocol::Whep, uri, options)
}

fn dial(
    protocol: Protocol,
    uri: &SignallingUri,
    options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    // The URI's form has been checked, so there is a scheme with a plus.
    let address = uri.text.split_once('+').map_or("", |(_, address)| address);
    let endpoint = Url::parse(address)
        .ok()
        .filter(Url::has_host)
        .ok_or_else(|| {
            OpenError(format!(
                "write {}+https://HOST/PATH, as the server's manual says",
                protocol.id()
            ))
        })?;
    Ok(Box::new(Whip {
        client: Client {
            protocol,
            endpoint,
            token: options.token.clone(),
            tls: Tls::default(),
            patience: Patience::default(),
        },
        tls_ca: options.tls_ca.clone(),
        patches: Arc::default(),
        worked: Arc::default(),
        sessions: 0,
        carrier: None,
    }))
}

struct Whip {
    client: Client,
    tls_ca: Option<std::path::PathBuf>,
    /// Does the server say that it takes candidates by PATCH?
    patches: Arc<AtomicBool>,
    /// Has it ever taken a session? Then it will again.
    worked: Arc<AtomicBool>,
    /// Counts them, for their names.
    sessions: u64,
    /// Carries the last connection's notes.
    carrier: Option<JoinHandle<Result<(), SignallerError>>>,
}

#[async_trait]
impl Signaller for Whip {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn connect(&mut self) -> Result<Connection, SignallerError> {
        self.client.patience.wait().await;
        self.client.tls = Tls::new(self.tls_ca.clone());
        // Is it there, and who does its certificate say it is?
        let told = self.client.probe().await?;
        if told.patches {
            self.patches.store(true, Ordering::Relaxed);
        }
        self.sessions += 1;
        let peer = PeerId::new(format!("{}-{}", self.client.protocol.id(), self.sessions));
        let (incoming_in, incoming) = mpsc::channel(QUEUE);
        let (outgoing, outgoing_out) = mpsc::channel(QUEUE);
        let trickle_out = self.patches.load(Ordering::Relaxed);
        let joined = Incoming::Joined {
            peer: peer.clone(),
            info: PeerInfo {
                protocol: self.client.protocol.id().to_owned(),
                channel: Some(Capabilities {
                    trickle_out,
                    ..CAPABILITIES
                }),
                ..PeerInfo::default()
            },
        };
        // The queue is new, there is room.
        if !told.ice_servers.is_empty() {
            let _ = incoming_in.try_send(Incoming::IceServers(told.ice_servers));
        }
        let _ = incoming_in.try_send(joined);
        let carrier = Carrier {
            client: self.client.clone(),
            peer,
            patches: self.patches.clone(),
            worked: self.worked.clone(),
            session: None,
        };
        self.carrier = Some(tokio::spawn(carrier.run(outgoing_out, incoming_in)));
        Ok(Connection {
            address: None,
            incoming,
            outgoing,
        })
    }

    async fn lost(&mut self) -> Option<SignallerError> {
        self.carrier.take()?.await.ok()?.err()
    }

    fn is_proven(&self) -> bool {
        self.worked.load(Ordering::Relaxed)
    }

    async fn close(&mut self) {
        // It ends when the owner has dropped its sender and all is said.
        if let Some(carrier) = self.carrier.take() {
            let _ = carrier.await;
        }
    }
}

/// One session.
struct Carrier {
    client: Client,
    peer: PeerId,
    patches: Arc<AtomicBool>,
    worked: Arc<AtomicBool>,
    /// There once the server has answered.
    session: Option<Session>,
}

struct Session {
    resource: Resource,
    fragments: Fragments,
    /// Has the server refused a PATCH? Then it is not asked again.
    deaf: bool,
}

impl Carrier {
    async fn run(
        mut self,
        mut outgoing: mpsc::Receiver<Outgoing>,
        incoming: mpsc::Sender<Incoming>,
    ) -> Result<(), SignallerError> {
        let ended = self.carry(&mut outgoing, &incoming).await;
        if let Err(error) = &ended {
            let left = Incoming::Left {
                peer: self.peer.clone(),
                reason: error.to_string(),
            };
            let _ = incoming.send(left).await;
        }
        if let Some(session) = self.session {
            let delete = async move { self.client.delete(&session.resource).await };
            match &ended {
                Ok(()) => delete.await,
                // The reason is waited for.
                Err(_) => drop(tokio::spawn(delete)),
            }
        }
        ended
    }

    /// Ends with the session, or when the owner is gone.
    async fn carry(
        &mut self,
        outgoing: &mut mpsc::Receiver<Outgoing>,
        incoming: &mpsc::Sender<Incoming>,
    ) -> Result<(), SignallerError> {
        let mut put_off = None;
        loop {
            let note = match put_off.take() {
                Some(note) => note,
                None => match outgoing.recv().await {
                    Some(note) => note,
                    None => return Ok(()),
                },
            };
            let message = match note {
                Outgoing::Message { message, .. } => message,
                Outgoing::End { reason, .. } => return Err(over(&reason)),
                Outgoing::Refuse { refusal, .. } => return Err(over(&refusal.to_string())),
                Outgoing::Report { .. } => continue,
            };
            match message {
                Message::Offer { sdp } if self.session.is_none() => {
                    let (sdp, ice_servers) = self.offer(&sdp).await?;
                    // For the next session: this one has gathered its candidates.
                    if !ice_servers.is_empty() {
                        let _ = incoming.send(Incoming::IceServers(ice_servers)).await;
                    }
                    let peer = self.peer.clone();
                    let message = Message::Answer { sdp };
                    if incoming
                        .send(Incoming::Message { peer, message })
                        .await
                        .is_err()
                    {
                        return Ok(());
                    }
                }
                Message::Candidate(_) | Message::EndOfCandidates => {
                    put_off = self.trickle(message, outgoing).await;
                }
                Message::Bye { reason } => return Err(over(&reason)),
                Message::Offer { .. }
                | Message::Answer { .. }
                | Message::PleaseOffer { .. }
                | Message::Again { .. } => {
                    tracing::debug!("there is one offer in a session's life");
                }
            }
        }
    }

    async fn offer(&mut self, sdp: &str) -> Result<(String, Vec<IceServer>), SignallerError> {
        let created = self.client.create(sdp).await.map_err(|error| match error {
            SignallerError::Permanent(text) if self.worked.load(Ordering::Relaxed) => {
                SignallerError::Transient(text)
            }
            error => error,
        })?;
        self.worked.store(true, Ordering::Relaxed);
        if created.told.patches {
            self.patches.store(true, Ordering::Relaxed);
        }
        self.session = Some(Session {
            resource: created.resource,
            fragments: Fragments::new(sdp),
            deaf: false,
        });
        Ok((created.answer, created.told.ice_servers))
    }

    /// Sends what is said of candidates, and what waits behind it, in one
    /// request. Returns the note of another kind that came next.
    async fn trickle(
        &mut self,
        first: Message,
        outgoing: &mut mpsc::Receiver<Outgoing>,
    ) -> Option<Outgoing> {
        let (mut candidates, mut end) = (Vec::new(), false);
        let mut note = Some(first);
        let mut other = None;
        while let Some(message) = note.take() {
            match message {
                Message::Candidate(candidate) => candidates.push(candidate.candidate),
                _ => end = true,
            }
            match outgoing.try_recv() {
                Ok(Outgoing::Message {
                    message: next @ (Message::Candidate(_) | Message::EndOfCandidates),
                    ..
                }) => note = Some(next),
                next => other = next.ok(),
            }
        }
        self.patch(&candidates, end).await;
        other
    }

    async fn patch(&mut self, candidates: &[String], end: bool) {
        let Some(session) = self.session.as_mut().filter(|session| !session.deaf) else {
            return;
        };
        let Some(body) = session.fragments.write(candidates, end) else {
            return;
        };
        match self.client.patch(&mut session.resource, body).await {
            Ok(()) => (),
            Err(PatchError::Refused(status)) => {
                tracing::debug!(%status, "the server takes no candidates behind the offer");
                self.patches.store(false, Ordering::Relaxed);
                session.deaf = true;
            }
            Err(PatchError::Lost(error)) => tracing::debug!("candidates did not arrive: {error}"),
        }
    }
}

/// The next session begins after a little while.
fn over(reason: &str) -> SignallerError {
    SignallerError::Transient(format!("the session is over: {reason}"))
}

#[cfg(test)]
mod tests;
