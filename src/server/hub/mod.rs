//! Which streams there are, who hosts them, and who has joined them.
//!
//! | module | it is |
//! |---|---|
//! | [`publication`] | a host's hold on its stream |
//! | [`session`] | a peer that has joined, and whom it speaks with |
//! | [`waiting`] | a peer that asks by HTTP: WHEP, WHIP |
//! | [`seat`] | a peer that stays connected |
//! | [`elsewhere`] | streams of other servers |
//! | [`pairs`] | peers that speak with each other and have no host |
//!
//! One lock guards it all. It is held for a few look-ups at a time, never
//! across a wait, and nothing under it waits: queues are tried. So a host that
//! does not read its queue hurts its own stream alone, and a peer that does not
//! read hurts itself.

#[cfg_attr(
    not(feature = "serve"),
    allow(dead_code, reason = "only `sigmund serve` has others")
)]
mod elsewhere;
mod pairs;
mod publication;
mod seat;
mod session;
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

use super::events::{Event, Media, Observer};
use super::mark::Mark;
use super::rules::Current;
use crate::access::{Buckets, Limits, Rate, client_of};
use crate::address::IceServer;
use crate::message::{Message, PeerId};
use crate::signaller::{Incoming, Outgoing, PeerInfo};

#[cfg(feature = "serve")]
pub(crate) use elsewhere::Own;
pub(crate) use publication::{Kind, Publication, PublishError, Publisher};
pub(crate) use seat::{Note, Seat, Voice};
use session::{Far, Other, Session};
pub(crate) use waiting::{Reply, Resource, Waiting};

/// How many notes wait for a host, arrivals and farewells apart.
const QUEUE: usize = 256;

/// How many peers of a stream that ask by HTTP may wait for their answer; each
/// holds an offer.
const WAITING: usize = 256;

/// Of a client whose address is not known: another server has let it in, within
/// its limits.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What became of a session whose stream is gone.
const STREAM_ENDED: &str = "the stream has ended";

/// What the publisher, and the peer if it should ever come back, learn of the
/// end of a session with neither a path nor signalling.
const DESERTED: &str = "its connections were lost, to here and to the publisher";

/// All streams and sessions of a server.
pub(crate) struct Hub {
    rules: Arc<Current>,
    observer: Observer,
    /// Are hosts elsewhere, so that peers meet here?
    relays: bool,
    state: Mutex<State>,
    /// Notes when a stream has come or gone.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    streams: BTreeMap<String, Stream>,
    sessions: HashMap<PeerId, Session>,
    /// Resources of HTTP, by the names in their URLs, which are secret.
    resources: HashMap<String, PeerId>,
    /// Counts publications, to tell a stream from a later one of its name.
    published: u64,
    /// How often each client joins.
    joins: Buckets<IpAddr>,
    /// Does the server stop?
    shut: bool,
}

struct Stream {
    kind: Kind,
    publication: u64,
    incoming: mpsc::Sender<Incoming>,
    ice_servers: Arc<[IceServer]>,
    /// The same as `Link` headers.
    links: Arc<[HeaderValue]>,
    /// Whose it is, if it comes from elsewhere.
    client: Option<IpAddr>,
    /// Has its host been lost, and may it come back?
    away: bool,
    /// Since when it is here, in milliseconds since 1970.
    #[cfg_attr(
        not(feature = "serve"),
        allow(dead_code, reason = "only `sigmund serve` has others")
    )]
    since: u64,
    /// Is its host at another server? Then how many take part, by what that says.
    elsewhere: Option<usize>,
    /// Dropped with the stream, which its publication notices.
    _gone: oneshot::Sender<()>,
}

/// A stream as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Is its host here? If not, somebody waits to receive it.
    pub(crate) hosted: bool,
    /// Is its host at another server?
    pub(crate) elsewhere: bool,
    /// How many take part: viewers whose session has its answer; or those who
    /// have, or are about to have, the one place of another kind.
    pub(crate) peers: usize,
}

/// Why nobody can join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    /// There is no such stream.
    Unknown,
    /// There is one, but it is for something else.
    Other(Kind),
    /// It has one place, which is taken.
    Taken,
    /// There is, but its host is not connected.
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
            Self::Other(_) => "other-kind",
            Self::Taken => "taken",
            Self::NotLive => "not-live",
            Self::Full => "busy",
            Self::TooMany => "too-many",
            Self::TooOften(_) => "too-often",
            Self::NoRandom => "failed",
        }
    }
}

/// Why a note to a host is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SayError {
    /// There is no such session.
    Unknown,
    /// The host's queue is full.
    Full,
    /// The session has sent as many as it may.
    TooMany,
}

impl Hub {
    pub(crate) fn new(rules: Arc<Current>, observer: Observer, relays: bool) -> Arc<Self> {
        Arc::new(Self {
            rules,
            observer,
            relays,
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

    /// All streams, those that somebody waits to receive among them.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let state = self.state();
        let listed = |name: &str, kind, hosted| Listed {
            name: name.to_owned(),
            kind,
            hosted,
            elsewhere: false,
            peers: 0,
        };
        let hosted = state.streams.iter();
        let mut list: BTreeMap<&str, _> = hosted
            .map(|(name, stream)| (name.as_str(), listed(name, stream.kind, true)))
            .collect();
        for session in state.sessions.values() {
            match (&session.other, &session.far) {
                (Other::Host { .. }, _) => {
                    let Some(stream) = list.get_mut(session.stream.as_str()) else {
                        continue;
                    };
                    stream.peers += usize::from(session.live || stream.kind != Kind::Publish);
                }
                (other, Far::Seat(_)) if self.relays => {
                    let awaited = || listed(&session.stream, Kind::Receive, false);
                    let stream = list.entry(&session.stream).or_insert_with(awaited);
                    stream.peers += usize::from(matches!(other, Other::Peer(_)));
                }
                _ => {}
            }
        }
        for (name, stream) in &mut list {
            let known = state.streams.get(*name).and_then(|it| it.elsewhere);
            stream.elsewhere = known.is_some();
            stream.peers = stream.peers.max(known.unwrap_or_default());
        }
        list.into_values().collect()
    }

    /// The `Link` headers of a stream of this kind, if it can be joined.
    pub(crate) fn links(&self, stream: &str, kind: Kind) -> Result<Arc<[HeaderValue]>, JoinError> {
        let state = self.state();
        match state.streams.get(stream) {
            Some(it) if it.kind == kind => Ok(it.links.clone()),
            None if kind == Kind::Receive && self.relays && state.is_awaited(stream) => {
                Ok(Arc::default())
            }
            Some(it) => Err(JoinError::Other(it.kind)),
            None => Err(JoinError::Unknown),
        }
    }

    /// The `Link` headers of a stream, whatever it is for.
    pub(crate) fn links_of(&self, stream: &str) -> Arc<[HeaderValue]> {
        let state = self.state();
        let stream = state.streams.get(stream);
        stream.map_or_else(Arc::default, |it| it.links.clone())
    }

    /// Has this stream a host that is connected?
    pub(crate) fn is_hosted(&self, stream: &str) -> bool {
        let state = self.state();
        state.streams.get(stream).is_some_and(|it| !it.away)
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
        let parted = match &session.other {
            Other::Peer(other) if !shut => state.part(other, Note::Ended(reason.to_owned())),
            _ => None,
        };
        drop(state);
        for ended in parted.iter().chain([&session]) {
            self.tell_of_end(ended, cause);
        }
        if !shut {
            session.say_farewell(peer, reason);
        }
        true
    }

    /// Carries out what the host of `stream` says. What it says of peers
    /// that are not its own, or no longer there, is dropped.
    pub(crate) fn handle(&self, stream: &str, note: Outgoing) {
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(note.peer()) else {
            return;
        };
        if session.stream != stream || !session.has_host() {
            return;
        }
        let (peer, note) = match note {
            Outgoing::Message {
                peer,
                message: Message::Bye { reason },
            }
            | Outgoing::End { peer, reason } => (peer, Note::Ended(reason)),
            Outgoing::Refuse { peer, refusal } => (peer, Note::Refused(refusal)),
            Outgoing::Report { report, .. } => {
                let before = std::mem::replace(&mut session.report, report);
                drop(state);
                self.observer
                    .tell(&Event::Media(Media::between(&before, &report)));
                return;
            }
            Outgoing::Message { peer, message } if session.is_deserted(&message) => {
                let over = state.remove(&peer);
                drop(state);
                if let Some(mut session) = over {
                    session.far.tell(Note::Ended(DESERTED.to_owned())).ok();
                    session.say_farewell(&peer, DESERTED);
                }
                return;
            }
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

    /// Adds a session, and tells its host, or whoever waits for it.
    fn join(&self, peer: &PeerId, guest: Guest<'_>) -> Result<(), JoinError> {
        let protocol = guest.info.protocol.clone();
        let added = self.add(peer, guest);
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
        if !session.live && !session.is_alone() {
            let protocol = &session.protocol;
            self.observer.tell(&Event::NotJoined { protocol, cause });
        }
    }

    /// How many sessions there are, live or not.
    pub(crate) fn sessions(&self) -> usize {
        self.state().sessions.len()
    }

    fn add(&self, peer: &PeerId, guest: Guest<'_>) -> Result<(), JoinError> {
        let stream = guest.stream;
        let client = guest.info.address.map_or(UNKNOWN, client_of);
        let limits = self.rules.get().limits;
        let mut state = self.state();
        let state = &mut *state;
        let kind = state.streams.get(stream).map(|it| it.kind);
        match kind {
            Some(kind) if kind != guest.kind => return Err(JoinError::Other(kind)),
            Some(_) => {}
            None if guest.waits => {}
            None if guest.kind == Kind::Receive && self.relays && state.is_awaited(stream) => {}
            None => return Err(JoinError::Unknown),
        }
        let lost = state.find_place(stream, guest.kind)?;
        state.check_room(stream, client, &limits)?;
        state.check_rate(client, &limits)?;
        if let Some(lost) = lost {
            state.displace(&lost);
        }
        let (mut session, info, offer) = Session::new(guest, client);
        if kind.is_some() {
            session.expect_host();
            state.meet_host(peer, &mut session, info, offer)?;
        } else if session.waits.is_none() {
            state.meet_waiter(peer, &mut session, info, offer)?;
        }
        if let Far::Resource(resource) = &session.far {
            state.resources.insert(resource.id.clone(), peer.clone());
        }
        state.sessions.insert(peer.clone(), session);
        Ok(())
    }

    /// Adds a session that its host has already.
    fn add_again(
        &self,
        stream: &str,
        peer: &PeerId,
        mark: Mark,
        far: Far,
    ) -> Result<(), JoinError> {
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
        let session = Session::again(stream, peer, mark, farewell, far);
        state.sessions.insert(peer.clone(), session);
        Ok(())
    }

    /// Passes on what the peer of a session has to say: all of it, or nothing.
    fn say(&self, peer: &PeerId, messages: Vec<Message>) -> Result<(), SayError> {
        let mut state = self.state();
        let session = state.sessions.get_mut(peer).ok_or(SayError::Unknown)?;
        if let Far::Resource(resource) = &session.far {
            resource.check_candidates(messages.len())?;
        }
        match &session.other {
            Other::Host { .. } => {
                let joined = state.say_to_host(peer, messages)?;
                drop(state);
                self.tell_of_join(joined);
            }
            Other::Peer(other) => {
                let other = other.clone();
                let heard = state.say_to_peer(peer, &other, messages);
                drop(state);
                self.tell_of_join(heard.joined);
                for (peer, slow) in heard.slow {
                    self.tell_of_end(&slow, "slow");
                    slow.drop_slow(&peer);
                }
            }
            // The far side has just gone.
            Other::Nobody => {}
        }
        Ok(())
    }
}

/// Who wants to join.
struct Guest<'a> {
    stream: &'a str,
    /// What it takes the stream for.
    kind: Kind,
    info: PeerInfo,
    offer: Option<String>,
    far: Far,
    /// Does it wait until there is a host, and again when that has gone?
    waits: bool,
}

impl State {
    fn check_room(&self, stream: &str, client: IpAddr, limits: &Limits) -> Result<(), JoinError> {
        let (mut own, mut all, mut waiting) = (0, 0, 0);
        for session in self.sessions.values() {
            own += usize::from(session.client == client && client != UNKNOWN);
            if session.stream == stream {
                all += 1;
                waiting += usize::from(!session.live && matches!(session.far, Far::Resource(_)));
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
        if client == UNKNOWN {
            return Ok(());
        }
        let rate = Rate {
            burst: limits.join_burst,
            per_second: limits.joins_per_second,
        };
        self.joins
            .take(client, rate, Instant::now())
            .map_err(JoinError::TooOften)
    }

    /// Is there a place at a stream that has but one? It may be that of somebody
    /// who is lost.
    fn find_place(&self, stream: &str, kind: Kind) -> Result<Option<PeerId>, JoinError> {
        if kind == Kind::Publish {
            return Ok(None);
        }
        let mut there = (self.sessions.iter())
            .filter(|(_, it)| it.stream == stream && !it.is_alone())
            .filter(|(_, it)| it.has_host() || matches!(it.far, Far::Resource(_)));
        match there.next() {
            None => Ok(None),
            Some((peer, session)) if session.away => Ok(Some(peer.clone())),
            Some(_) => Err(JoinError::Taken),
        }
    }

    fn displace(&mut self, peer: &PeerId) {
        if let Some(mut lost) = self.remove(peer) {
            let reason = "it was lost, and another took its place";
            let _ = lost.far.tell(Note::Ended(reason.to_owned()));
            lost.say_farewell(peer, reason);
        }
    }

    /// Puts a session before the host of its stream, which learns of it.
    fn meet_host(
        &self,
        peer: &PeerId,
        session: &mut Session,
        info: PeerInfo,
        offer: Option<String>,
    ) -> Result<(), JoinError> {
        let open = self.streams.get(&session.stream);
        let open = open.ok_or(JoinError::Unknown)?;
        let incoming = open.incoming.clone();
        let farewell = incoming.try_reserve_owned().map_err(|it| refused(&it))?;
        let notes = 1 + usize::from(offer.is_some());
        let places = open.incoming.try_reserve_many(notes);
        let mut places = places.map_err(|it| refused(&it))?;
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
        session.met_host(farewell);
        Ok(())
    }

    fn say_to_host(
        &mut self,
        peer: &PeerId,
        messages: Vec<Message>,
    ) -> Result<Option<(String, Duration)>, SayError> {
        let Self {
            sessions, streams, ..
        } = self;
        let session = sessions.get_mut(peer).ok_or(SayError::Unknown)?;
        let stream = streams.get(&session.stream).ok_or(SayError::Unknown)?;
        let places = stream
            .incoming
            .try_reserve_many(messages.len())
            .map_err(|_| SayError::Full)?;
        session.count_candidates(messages.len());
        let mut joined = None;
        for (place, message) in places.zip(messages) {
            joined = joined.or(session.hear(&message));
            place.send(Incoming::Message {
                peer: peer.clone(),
                message,
            });
        }
        Ok(joined)
    }

    fn remove(&mut self, peer: &PeerId) -> Option<Session> {
        let session = self.sessions.remove(peer)?;
        if let Far::Resource(resource) = &session.far {
            self.resources.remove(&resource.id);
        }
        Some(session)
    }

    /// Takes a stream off, with all its sessions, which are to be dropped when
    /// the lock is free again. Those who wait stay, for the next host.
    fn take_off(&mut self, name: &str) -> Vec<(PeerId, Session)> {
        self.take_off_but(name, |_| false)
    }

    /// The same, but for those sessions that another host knows.
    fn take_off_but(
        &mut self,
        name: &str,
        known: impl Fn(&PeerId) -> bool,
    ) -> Vec<(PeerId, Session)> {
        self.streams.remove(name);
        let of_it = |session: &Session| session.stream == name && session.has_host();
        let mut over = Vec::new();
        for (peer, session) in self.sessions.iter_mut().filter(|(_, it)| of_it(it)) {
            if known(peer) {
                continue;
            }
            let stays = !self.shut && session.waits.is_some();
            if !stays || session.be_alone(STREAM_ENDED).is_err() {
                over.push(peer.clone());
            }
        }
        let removed = |peer: PeerId| Some((peer.clone(), self.remove(&peer)?));
        over.into_iter().filter_map(removed).collect()
    }
}

fn refused<T>(error: &TrySendError<T>) -> JoinError {
    match error {
        TrySendError::Full(_) => JoinError::Full,
        TrySendError::Closed(_) => JoinError::NotLive,
    }
}

/// A name for a peer. Random, so that it means nobody else after a restart,
/// when the host still has the sessions of before.
fn peer_name(protocol: &str) -> Result<PeerId, JoinError> {
    Ok(PeerId::new(format!("{protocol}-{}", random_name::<8>()?)))
}

/// `BYTES` random bytes as text that can stand in a URL.
pub(super) fn random_name<const BYTES: usize>() -> Result<String, JoinError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| JoinError::NoRandom)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
