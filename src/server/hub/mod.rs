//! Which streams there are, who publishes them, and who watches.
//!
//! | module | it is |
//! |---|---|
//! | [`publication`] | a publisher's hold on its stream |
//! | [`waiting`] | a WHEP viewer, which asks by HTTP |
//! | [`seat`] | a viewer that stays connected |
//!
//! One lock guards it all. It is held for a few look-ups at a time, never
//! across a wait, and nothing under it waits: queues are tried. So a publisher
//! that does not read its queue hurts its own stream alone, and a viewer that
//! does not read hurts itself.

mod publication;
mod seat;
mod waiting;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{oneshot, watch};

use super::events::{Event, Observer};
use super::rules::Current;
use crate::access::{Buckets, Limits, Rate, client_of};
use crate::address::IceServer;
use crate::message::{Message, PeerId};
use crate::signaller::{Incoming, Outgoing, PeerInfo};

pub(crate) use publication::{Publication, PublishError, Publisher};
pub(crate) use seat::{Note, Seat, Voice};
pub(crate) use waiting::{Reply, Waiting};

/// How many notes wait for a publisher, farewells apart.
const QUEUE: usize = 256;

/// How many WHEP viewers of a stream may wait for their answer; each holds an
/// offer.
const WAITING: usize = 256;

/// Of a client whose address is not known; its limits are those of all such.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What became of a session whose stream is gone.
const STREAM_ENDED: &str = "the stream has ended";

/// All streams and sessions of a server.
pub(crate) struct Hub {
    rules: Arc<Current>,
    observer: Observer,
    state: Mutex<State>,
    /// Notes when a stream has come or gone.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    streams: BTreeMap<String, Stream>,
    sessions: HashMap<PeerId, Session>,
    /// WHEP's resources, by the names in their URLs, which are secret.
    resources: HashMap<String, PeerId>,
    /// Counts publications, to tell a stream from a later one of its name.
    published: u64,
    /// How often each client joins.
    joins: Buckets<IpAddr>,
    /// Does the server stop?
    shut: bool,
}

struct Stream {
    publication: u64,
    incoming: mpsc::Sender<Incoming>,
    ice_servers: Arc<[IceServer]>,
    /// The same as `Link` headers.
    links: Arc<[HeaderValue]>,
    /// Whose it is, if it comes from elsewhere.
    client: Option<IpAddr>,
    /// Has its publisher been lost, and may it come back?
    away: bool,
    /// Dropped with the stream, which its publication notices.
    _gone: oneshot::Sender<()>,
}

struct Session {
    stream: String,
    client: IpAddr,
    /// Has an answer passed?
    live: bool,
    /// How it speaks to us.
    protocol: String,
    began: Instant,
    /// A place in the publisher's queue, taken in advance, so that it always
    /// learns that the peer has left. `None` when the publisher was gone.
    farewell: Option<mpsc::OwnedPermit<Incoming>>,
    far: Far,
}

/// How the peer of a session is reached.
enum Far {
    /// By the response to its request.
    Whep(waiting::Far),
    /// By a connection that stays.
    Seat(seat::Far),
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

impl JoinError {
    /// A word for it, in metrics.
    fn cause(self) -> &'static str {
        match self {
            Self::Unknown => "not-found",
            Self::NotLive => "not-live",
            Self::Full => "busy",
            Self::TooMany => "too-many",
            Self::TooOften(_) => "too-often",
            Self::NoRandom => "failed",
        }
    }
}

/// Why a note to a publisher is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SayError {
    /// There is no such session.
    Unknown,
    /// The publisher's queue is full.
    Full,
    /// The session has sent as many as it may.
    TooMany,
}

impl Hub {
    pub(crate) fn new(rules: Arc<Current>, observer: Observer) -> Arc<Self> {
        Arc::new(Self {
            rules,
            observer,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server stops. From now on nobody is told that somebody has left, or
    /// that a stream has ended: their media goes on, and they come back.
    pub(crate) fn shut(&self) {
        self.state().shut = true;
    }

    /// Changes when a stream has come or gone.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// All streams and how many watch each.
    pub(crate) fn list(&self) -> Vec<(String, usize)> {
        let state = self.state();
        let mut viewers: HashMap<&str, usize> = HashMap::new();
        for session in state.sessions.values().filter(|session| session.live) {
            *viewers.entry(&session.stream).or_default() += 1;
        }
        let count = |name: &String| viewers.get(name.as_str()).copied().unwrap_or_default();
        let names = state.streams.keys();
        names.map(|name| (name.clone(), count(name))).collect()
    }

    /// The `Link` headers of a stream, if there is one.
    pub(crate) fn links(&self, stream: &str) -> Option<Arc<[HeaderValue]>> {
        let state = self.state();
        state.streams.get(stream).map(|it| it.links.clone())
    }

    /// The ICE servers for peers of a stream, if there is one.
    pub(crate) fn ice_servers(&self, stream: &str) -> Option<Arc<[IceServer]>> {
        let state = self.state();
        state.streams.get(stream).map(|it| it.ice_servers.clone())
    }

    /// A session's peer leaves. `false` if there is no such session.
    pub(crate) fn leave(&self, peer: &PeerId, reason: &str) -> bool {
        self.leave_as(peer, reason, "left")
    }

    /// The same; `cause` is what counts it if it never was live.
    fn leave_as(&self, peer: &PeerId, reason: &str, cause: &'static str) -> bool {
        let mut state = self.state();
        let Some(session) = state.remove(peer) else {
            return false;
        };
        let shut = state.shut;
        drop(state);
        self.tell_of_end(&session, cause);
        if !shut {
            session.say_farewell(peer, reason);
        }
        true
    }

    /// Carries out what the publisher of `stream` says. What it says of peers
    /// that are not its own, or no longer there, is dropped.
    pub(crate) fn handle(&self, stream: &str, note: Outgoing) {
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(note.peer()) else {
            return;
        };
        if session.stream != stream {
            return;
        }
        let (peer, note) = match note {
            Outgoing::Message {
                peer,
                message: Message::Bye { reason },
            }
            | Outgoing::End { peer, reason } => (peer, Note::Ended(reason)),
            Outgoing::Refuse { peer, refusal } => (peer, Note::Refused(refusal)),
            Outgoing::Message { peer, message } => {
                let joined = session.hear(&message);
                let heard = session.far.tell(Note::Message(message));
                // A slow one is dropped and never waited for.
                let slow = heard.err().and_then(|_| state.remove(&peer));
                drop(state);
                self.tell_of_join(joined);
                if let Some(slow) = slow {
                    self.tell_of_end(&slow, "slow");
                    slow.drop_slow(&peer);
                }
                return;
            }
        };
        let over = state.remove(&peer);
        drop(state);
        if let Some(mut session) = over {
            self.tell_of_end(&session, note.cause());
            // One that does not read need not be told either.
            let _ = session.far.tell(note);
        }
    }

    /// Adds a session, and tells its publisher.
    fn join(
        &self,
        stream: &str,
        peer: &PeerId,
        info: PeerInfo,
        offer: Option<String>,
        far: Far,
    ) -> Result<(), JoinError> {
        let protocol = info.protocol.clone();
        let added = self.add(stream, peer, info, offer, far);
        added.inspect_err(|error| {
            self.observer.tell(&Event::NotJoined {
                protocol: &protocol,
                cause: error.cause(),
            });
        })
    }

    fn tell_of_join(&self, joined: Option<(String, Duration)>) {
        if let Some((protocol, took)) = joined {
            let protocol = &protocol;
            self.observer.tell(&Event::Joined { protocol, took });
        }
    }

    /// A session is over, because of `cause` if it never was live.
    fn tell_of_end(&self, session: &Session, cause: &'static str) {
        if !session.live {
            let protocol = &session.protocol;
            self.observer.tell(&Event::NotJoined { protocol, cause });
        }
    }

    /// How many sessions there are, live or not.
    #[cfg(feature = "serve")]
    pub(crate) fn sessions(&self) -> usize {
        self.state().sessions.len()
    }

    fn add(
        &self,
        stream: &str,
        peer: &PeerId,
        info: PeerInfo,
        offer: Option<String>,
        far: Far,
    ) -> Result<(), JoinError> {
        let client = info.address.map_or(UNKNOWN, client_of);
        let limits = self.rules.get().limits;
        let mut state = self.state();
        let state = &mut *state;
        if !state.streams.contains_key(stream) {
            return Err(JoinError::Unknown);
        }
        state.check_room(stream, client, &limits)?;
        state.check_rate(client, &limits)?;
        let open = state.streams.get(stream).ok_or(JoinError::Unknown)?;
        let incoming = open.incoming.clone();
        let farewell = incoming.try_reserve_owned().map_err(|it| refused(&it))?;
        let notes = 1 + usize::from(offer.is_some());
        let places = open.incoming.try_reserve_many(notes);
        let mut places = places.map_err(|it| refused(&it))?;
        let protocol = info.protocol.clone();
        let joined = Incoming::Joined {
            peer: peer.clone(),
            info,
        };
        let offer = offer.map(|sdp| Incoming::Message {
            peer: peer.clone(),
            message: Message::Offer { sdp },
        });
        let notes = [joined].into_iter().chain(offer);
        for (place, note) in places.by_ref().zip(notes) {
            place.send(note);
        }
        if let Far::Whep(whep) = &far {
            state.resources.insert(whep.id.clone(), peer.clone());
        }
        let session = Session {
            stream: stream.to_owned(),
            client,
            live: false,
            protocol,
            began: Instant::now(),
            farewell: Some(farewell),
            far,
        };
        state.sessions.insert(peer.clone(), session);
        Ok(())
    }

    /// Adds a session that its publisher has already.
    fn add_again(&self, stream: &str, peer: &PeerId, far: Far) -> Result<(), JoinError> {
        let limits = self.rules.get().limits;
        let mut state = self.state();
        let open = state.streams.get(stream).ok_or(JoinError::Unknown)?;
        let incoming = open.incoming.clone();
        let of_it = |session: &&Session| session.stream == stream;
        let all = state.sessions.values().filter(of_it).count();
        if state.sessions.contains_key(peer) || all >= limits.viewers_per_stream {
            return Err(JoinError::Full);
        }
        let farewell = incoming.try_reserve_owned().map_err(|it| refused(&it))?;
        let (protocol, _) = peer.as_str().split_once('-').unwrap_or_default();
        let session = Session {
            stream: stream.to_owned(),
            client: UNKNOWN,
            live: true,
            protocol: protocol.to_owned(),
            began: Instant::now(),
            farewell: Some(farewell),
            far,
        };
        state.sessions.insert(peer.clone(), session);
        Ok(())
    }

    /// Passes on what the peer of a session has to say: all of it, or nothing.
    fn say(&self, peer: &PeerId, messages: Vec<Message>) -> Result<(), SayError> {
        let mut state = self.state();
        let State {
            sessions, streams, ..
        } = &mut *state;
        let session = sessions.get_mut(peer).ok_or(SayError::Unknown)?;
        let stream = streams.get(&session.stream).ok_or(SayError::Unknown)?;
        if let Far::Whep(whep) = &session.far {
            whep.check_candidates(messages.len())?;
        }
        let places = stream
            .incoming
            .try_reserve_many(messages.len())
            .map_err(|_| SayError::Full)?;
        if let Far::Whep(whep) = &mut session.far {
            whep.count_candidates(messages.len());
        }
        let mut joined = None;
        for (place, message) in places.zip(messages) {
            joined = joined.or(session.hear(&message));
            place.send(Incoming::Message {
                peer: peer.clone(),
                message,
            });
        }
        drop(state);
        self.tell_of_join(joined);
        Ok(())
    }
}

impl State {
    fn check_room(&self, stream: &str, client: IpAddr, limits: &Limits) -> Result<(), JoinError> {
        let (mut own, mut all, mut waiting) = (0, 0, 0);
        for session in self.sessions.values() {
            own += usize::from(session.client == client);
            if session.stream == stream {
                all += 1;
                waiting += usize::from(!session.live && matches!(session.far, Far::Whep(_)));
            }
        }
        if own >= limits.sessions_per_address {
            return Err(JoinError::TooMany);
        }
        if waiting >= WAITING || all >= limits.viewers_per_stream {
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

    fn remove(&mut self, peer: &PeerId) -> Option<Session> {
        let session = self.sessions.remove(peer)?;
        if let Far::Whep(whep) = &session.far {
            self.resources.remove(&whep.id);
        }
        Some(session)
    }

    /// Takes a stream off, with all its sessions, which are to be dropped when
    /// the lock is free again.
    fn take_off(&mut self, name: &str) -> Vec<Session> {
        self.streams.remove(name);
        let of_it =
            |(peer, session): (&PeerId, &Session)| (session.stream == name).then(|| peer.clone());
        let peers: Vec<_> = self.sessions.iter().filter_map(of_it).collect();
        peers.iter().filter_map(|peer| self.remove(peer)).collect()
    }
}

impl Session {
    /// Notes what passes. The first answer makes the session live: by what
    /// protocol, and after how long.
    fn hear(&mut self, message: &Message) -> Option<(String, Duration)> {
        if self.live || !matches!(message, Message::Answer { .. }) {
            return None;
        }
        self.live = true;
        Some((self.protocol.clone(), self.began.elapsed()))
    }

    fn say_farewell(self, peer: &PeerId, reason: &str) {
        if let Some(farewell) = self.farewell {
            farewell.send(Incoming::Left {
                peer: peer.clone(),
                reason: reason.to_owned(),
            });
        }
    }

    fn drop_slow(mut self, peer: &PeerId) {
        if let Far::Seat(seat) = &mut self.far {
            seat.cut_off();
        }
        self.say_farewell(peer, "slow: it did not read what it was sent");
    }
}

impl Far {
    /// Hands over a note. Fails if the peer does not take it.
    fn tell(&mut self, note: Note) -> Result<(), seat::Slow> {
        match self {
            Self::Whep(whep) => {
                whep.tell(note);
                Ok(())
            }
            Self::Seat(seat) => seat.tell(note),
        }
    }
}

fn refused<T>(error: &TrySendError<T>) -> JoinError {
    match error {
        TrySendError::Full(_) => JoinError::Full,
        TrySendError::Closed(_) => JoinError::NotLive,
    }
}

/// A name for a peer. Random, so that it means nobody else after a restart,
/// when the publisher still has the sessions of before.
fn peer_name(protocol: &str) -> Result<PeerId, JoinError> {
    Ok(PeerId::new(format!("{protocol}-{}", random_name::<8>()?)))
}

/// `BYTES` random bytes as text that can stand in a URL.
pub(super) fn random_name<const BYTES: usize>() -> Result<String, JoinError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| JoinError::NoRandom)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
