//! Which streams there are, and who watches them.
//!
//! One lock guards it all. It is held for a few look-ups at a time, never
//! across a wait, and nothing under it waits: queues are tried. So a publisher
//! that does not read its queue hurts its own stream alone.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{mpsc, oneshot};

use super::rules::Current;
use crate::access::{Buckets, Limits, Rate, client_of};
use crate::address::IceServer;
use crate::message::{Message, PeerId};
use crate::signaller::{Incoming, Outgoing, PeerInfo, Refusal};

/// How many notes wait for a publisher, farewells apart.
const QUEUE: usize = 256;

/// How many sessions a stream can have. The element's own limit is usually lower.
const SESSIONS: usize = 1024;

/// How many of them may wait for their answer; each holds an offer.
const WAITING: usize = 256;

/// How many candidates a session may send in its life.
const CANDIDATES: usize = 256;

/// All streams and sessions of a server.
pub(crate) struct Hub {
    rules: Arc<Current>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    streams: BTreeMap<String, Stream>,
    sessions: HashMap<String, Session>,
    /// The keys of `sessions`, by what the publisher calls them.
    by_peer: HashMap<PeerId, String>,
    /// Counts peers, for their names.
    joined: u64,
    /// How often each client joins.
    joins: Buckets<IpAddr>,
}

struct Stream {
    incoming: mpsc::Sender<Incoming>,
    links: Arc<[HeaderValue]>,
}

struct Session {
    stream: String,
    peer: PeerId,
    client: IpAddr,
    etag: String,
    ufrags: Vec<String>,
    candidates: usize,
    /// Where the answer is waited for; `None` once it is there.
    answer: Option<oneshot::Sender<Reply>>,
    /// A place in the publisher's queue, taken in advance, so that it always
    /// learns that the peer has left. `None` when the publisher was gone.
    farewell: Option<mpsc::OwnedPermit<Incoming>>,
}

/// What the publisher said to an offer.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The description that answers it.
    Answer(String),
    /// The peer is turned away.
    Refused(Refusal),
    /// It was over before it began.
    Ended(String),
}

/// Why nobody can join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    /// There is no such stream.
    Unknown,
    /// There is, but its publisher is not connected.
    NotLive,
    /// Its queue is full, or it has as many sessions as it can have.
    Full,
    /// This client has as many sessions as it may have.
    TooMany,
    /// This client joins too often; how long it should wait.
    TooOften(Duration),
    /// The system gives no random numbers.
    NoRandom,
}

/// Why candidates are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrickleError {
    /// There is no such session.
    Unknown,
    /// The publisher's queue is full.
    Full,
    /// The session has sent as many as it may.
    TooMany,
}

/// What a session's resource shows to conditional requests.
pub(crate) struct Resource {
    /// Names the ICE session, without quotes.
    pub(crate) etag: String,
    /// `a=ice-ufrag` of the offer.
    pub(crate) ufrags: Vec<String>,
}

impl Hub {
    pub(crate) fn new(rules: Arc<Current>) -> Arc<Self> {
        Arc::new(Self {
            rules,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a stream. `None` if there is one of that name.
    pub(crate) fn publish(
        self: &Arc<Self>,
        name: &str,
        ice_servers: &[IceServer],
    ) -> Option<(Publication, mpsc::Receiver<Incoming>)> {
        let links = ice_servers
            .iter()
            .filter_map(|server| HeaderValue::from_str(&server.to_link_header()).ok())
            .collect();
        let (incoming, receiver) = mpsc::channel(QUEUE + SESSIONS);
        let mut state = self.state();
        if state.streams.contains_key(name) {
            return None;
        }
        state
            .streams
            .insert(name.to_owned(), Stream { incoming, links });
        Some((
            Publication {
                hub: self.clone(),
                name: name.to_owned(),
            },
            receiver,
        ))
    }

    /// All streams and how many watch each.
    pub(crate) fn list(&self) -> Vec<(String, usize)> {
        let state = self.state();
        let viewers = |name: &String| {
            state
                .sessions
                .values()
                .filter(|s| s.stream == *name && s.answer.is_none())
                .count()
        };
        state
            .streams
            .keys()
            .map(|name| (name.clone(), viewers(name)))
            .collect()
    }

    /// The `Link` headers of a stream, if there is one.
    pub(crate) fn links(&self, stream: &str) -> Option<Arc<[HeaderValue]>> {
        self.state()
            .streams
            .get(stream)
            .map(|stream| stream.links.clone())
    }

    /// A peer wants to watch; its publisher is told.
    pub(crate) fn join(
        self: &Arc<Self>,
        stream: &str,
        info: PeerInfo,
        offer: String,
    ) -> Result<Waiting, JoinError> {
        let (id, etag) = (random_name::<16>()?, random_name::<8>()?);
        let client = info.address.map_or(IpAddr::from([0; 4]), client_of);
        let limits = self.rules.get().limits;
        let mut state = self.state();
        let state = &mut *state;
        if !state.streams.contains_key(stream) {
            return Err(JoinError::Unknown);
        }
        state.check_room(stream, client, &limits)?;
        state.check_rate(client, &limits)?;
        let open = state.streams.get(stream).ok_or(JoinError::Unknown)?;
        let farewell = open
            .incoming
            .clone()
            .try_reserve_owned()
            .map_err(|error| refused(&error))?;
        let mut places = open
            .incoming
            .try_reserve_many(2)
            .map_err(|error| refused(&error))?;
        state.joined += 1;
        let peer = PeerId::new(format!("whep-{}", state.joined));
        let (answer, reply) = oneshot::channel();
        let session = Session {
            stream: stream.to_owned(),
            peer: peer.clone(),
            client,
            etag: etag.clone(),
            ufrags: ufrags(&offer),
            candidates: 0,
            answer: Some(answer),
            farewell: Some(farewell),
        };
        let notes = [
            Incoming::Joined {
                peer: peer.clone(),
                info,
            },
            Incoming::Message {
                peer: peer.clone(),
                message: Message::Offer { sdp: offer },
            },
        ];
        for (place, note) in places.by_ref().zip(notes) {
            place.send(note);
        }
        state.by_peer.insert(peer.clone(), id.clone());
        state.sessions.insert(id.clone(), session);
        Ok(Waiting {
            hub: self.clone(),
            id,
            peer,
            etag,
            links: open.links.clone(),
            reply,
            kept: false,
        })
    }

    /// The resource of a session of `stream`.
    pub(crate) fn resource(&self, stream: &str, id: &str) -> Option<Resource> {
        let state = self.state();
        let session = state
            .sessions
            .get(id)
            .filter(|session| session.stream == stream)?;
        Some(Resource {
            etag: session.etag.clone(),
            ufrags: session.ufrags.clone(),
        })
    }

    /// Passes on what a session has to say of its candidates: all of it, or nothing.
    pub(crate) fn trickle(&self, id: &str, messages: Vec<Message>) -> Result<(), TrickleError> {
        let mut state = self.state();
        let State {
            sessions, streams, ..
        } = &mut *state;
        let session = sessions.get_mut(id).ok_or(TrickleError::Unknown)?;
        let stream = streams.get(&session.stream).ok_or(TrickleError::Unknown)?;
        if session.candidates + messages.len() > CANDIDATES {
            return Err(TrickleError::TooMany);
        }
        let places = stream
            .incoming
            .try_reserve_many(messages.len())
            .map_err(|_| TrickleError::Full)?;
        session.candidates += messages.len();
        for (place, message) in places.zip(messages) {
            place.send(Incoming::Message {
                peer: session.peer.clone(),
                message,
            });
        }
        Ok(())
    }

    /// A session's peer leaves. `false` if there is no such session.
    pub(crate) fn leave(&self, id: &str, reason: &str) -> bool {
        let Some(session) = self.state().remove(id) else {
            return false;
        };
        if let Some(farewell) = session.farewell {
            farewell.send(Incoming::Left {
                peer: session.peer,
                reason: reason.to_owned(),
            });
        }
        true
    }

    /// Carries out what a publisher says.
    pub(crate) fn handle(&self, note: Outgoing) {
        let mut state = self.state();
        let (answer, reply) = match note {
            Outgoing::Message {
                peer,
                message: Message::Answer { sdp },
            } => (
                state
                    .by_name(&peer)
                    .and_then(|session| session.answer.take()),
                Reply::Answer(sdp),
            ),
            Outgoing::Message {
                peer,
                message: Message::Bye { reason },
            }
            | Outgoing::End { peer, reason } => (
                state.remove_peer(&peer).and_then(|session| session.answer),
                Reply::Ended(reason),
            ),
            Outgoing::Refuse { peer, refusal } => (
                state.remove_peer(&peer).and_then(|session| session.answer),
                Reply::Refused(refusal),
            ),
            Outgoing::Message { peer, message } => {
                tracing::debug!(%peer, "WHEP has no way to send {}", kind_of(&message));
                return;
            }
        };
        drop(state);
        if let Some(answer) = answer {
            // Its client has gone meanwhile; `Waiting` says so to the publisher.
            let _ = answer.send(reply);
        }
    }
}

impl State {
    fn check_room(&self, stream: &str, client: IpAddr, limits: &Limits) -> Result<(), JoinError> {
        let count = |test: &dyn Fn(&Session) -> bool| {
            self.sessions
                .values()
                .filter(|session| test(session))
                .count()
        };
        if count(&|session| session.client == client) >= limits.sessions_per_address {
            return Err(JoinError::TooMany);
        }
        let waiting = count(&|session| session.stream == stream && session.answer.is_some());
        if waiting >= WAITING
            || count(&|session| session.stream == stream) >= limits.viewers_per_stream.min(SESSIONS)
        {
            return Err(JoinError::Full);
        }
        Ok(())
    }

    fn check_rate(&mut self, client: IpAddr, limits: &Limits) -> Result<(), JoinError> {
        let rate = Rate {
            burst: limits.join_burst,
            per_second: limits.joins_per_second,
        };
        self.joins
            .take(client, rate, Instant::now())
            .map_err(JoinError::TooOften)
    }

    fn by_name(&mut self, peer: &PeerId) -> Option<&mut Session> {
        self.sessions.get_mut(self.by_peer.get(peer)?)
    }

    fn remove_peer(&mut self, peer: &PeerId) -> Option<Session> {
        let id = self.by_peer.get(peer)?.clone();
        self.remove(&id)
    }

    fn remove(&mut self, id: &str) -> Option<Session> {
        let session = self.sessions.remove(id)?;
        self.by_peer.remove(&session.peer);
        Some(session)
    }
}

/// A stream's place in the hub; dropping it takes the stream off.
pub(crate) struct Publication {
    hub: Arc<Hub>,
    name: String,
}

impl Publication {
    /// A new queue in place of one that was lost. The sessions stay.
    pub(crate) fn renew(&self) -> mpsc::Receiver<Incoming> {
        let (incoming, receiver) = mpsc::channel(QUEUE + SESSIONS);
        let mut state = self.hub.state();
        for session in state
            .sessions
            .values_mut()
            .filter(|session| session.stream == self.name)
        {
            session.farewell = incoming.clone().try_reserve_owned().ok();
        }
        if let Some(stream) = state.streams.get_mut(&self.name) {
            stream.incoming = incoming;
        }
        receiver
    }

    /// Is it the only stream of the server?
    pub(crate) fn is_alone(&self) -> bool {
        self.hub.state().streams.len() == 1
    }

    /// Where its publisher's notes go.
    pub(crate) fn hub(&self) -> Arc<Hub> {
        self.hub.clone()
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        state.streams.remove(&self.name);
        let ended = state
            .sessions
            .extract_if(|_, session| session.stream == self.name)
            .collect::<Vec<_>>();
        for (_, session) in &ended {
            state.by_peer.remove(&session.peer);
        }
        drop(state);
        for session in ended.into_iter().filter_map(|(_, session)| session.answer) {
            let _ = session.send(Reply::Ended("the stream has ended".to_owned()));
        }
    }
}

/// A peer that waits for its answer. Dropped, it leaves; see [`keep`](Self::keep).
pub(crate) struct Waiting {
    hub: Arc<Hub>,
    /// Unguessable; stands in the session's URL.
    pub(crate) id: String,
    /// What the publisher calls it.
    pub(crate) peer: PeerId,
    /// Names the ICE session, without quotes.
    pub(crate) etag: String,
    /// The `Link` headers of the stream.
    pub(crate) links: Arc<[HeaderValue]>,
    /// Where the answer comes.
    pub(crate) reply: oneshot::Receiver<Reply>,
    kept: bool,
}

impl Waiting {
    /// The peer has its answer: the session lives until somebody ends it.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.kept {
            self.hub.leave(&self.id, "it did not wait for the answer");
        }
    }
}

fn refused<T>(error: &mpsc::error::TrySendError<T>) -> JoinError {
    match error {
        mpsc::error::TrySendError::Full(_) => JoinError::Full,
        mpsc::error::TrySendError::Closed(_) => JoinError::NotLive,
    }
}

/// `BYTES` random bytes as text that can stand in a URL.
fn random_name<const BYTES: usize>() -> Result<String, JoinError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| JoinError::NoRandom)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The ICE user name fragments in a description; usually all the same.
fn ufrags(offer: &str) -> Vec<String> {
    let mut found: Vec<_> = offer
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix("a=ice-ufrag:"))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(str::to_owned).collect()
}

fn kind_of(message: &Message) -> &'static str {
    match message {
        Message::Offer { .. } => "an offer",
        Message::Answer { .. } => "an answer",
        Message::PleaseOffer => "a request for an offer",
        Message::Candidate(_) => "a candidate",
        Message::EndOfCandidates => "the end of candidates",
        Message::Bye { .. } => "a farewell",
    }
}
