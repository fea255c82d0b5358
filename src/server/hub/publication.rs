//! A host's hold on its stream.

use std::net::IpAddr;
use std::sync::{Arc, MutexGuard};

use axum::http::HeaderValue;
use tokio::sync::{mpsc, oneshot};

use super::{Hub, Note, QUEUE, STREAM_ENDED, Session, State, Stream};
use crate::access::client_of;
use crate::address::IceServer;
use crate::message::PeerId;
use crate::message::v1::Standing;
use crate::server::events::Event;
use crate::server::rules::unix_millis;
use crate::signaller::Incoming;

/// What a stream is for, seen from its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It sends, to any number of viewers.
    Publish,
    /// It receives, from one peer at a time.
    Receive,
    /// Both, with one peer at a time.
    Call,
}

impl Kind {
    /// As lists say it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Receive => "receive",
            Self::Call => "call",
        }
    }
}

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publisher {
    /// In this process.
    Local,
    /// At this address; it must be let in before.
    Remote(IpAddr),
}

/// Why nobody can host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishError {
    /// Somebody else has the stream.
    Taken,
    /// The server has as many streams as it may have, or this client has.
    TooMany,
}

/// A stream that is to be put into the hub.
pub(super) struct Opening<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) ice_servers: &'a [IceServer],
    /// Whose it is, if it comes from elsewhere.
    pub(super) client: Option<IpAddr>,
    pub(super) away: bool,
    /// Is its host at another server? Then how many take part.
    pub(super) elsewhere: Option<usize>,
}

/// A stream's place in the hub; dropping it takes the stream off.
pub(crate) struct Publication {
    pub(super) hub: Arc<Hub>,
    pub(super) name: String,
    kind: Kind,
    pub(super) number: u64,
    /// Is its host at another server?
    elsewhere: bool,
    gone: oneshot::Receiver<()>,
}

impl Hub {
    /// Adds a stream. One whose host was lost makes way. Those who wait for
    /// something to watch join it.
    pub(crate) fn publish(
        self: &Arc<Self>,
        name: &str,
        kind: Kind,
        ice_servers: &[IceServer],
        publisher: Publisher,
    ) -> Result<(Publication, mpsc::Receiver<Incoming>), PublishError> {
        self.publish_again(name, kind, ice_servers, publisher, &[])
    }

    /// The same for a host that comes from another server, or from the one that was
    /// here before: it has these sessions. Those that are here, too, stay.
    pub(crate) fn publish_again(
        self: &Arc<Self>,
        name: &str,
        kind: Kind,
        ice_servers: &[IceServer],
        publisher: Publisher,
        sessions: &[Standing],
    ) -> Result<(Publication, mpsc::Receiver<Incoming>), PublishError> {
        let client = match publisher {
            Publisher::Local => None,
            Publisher::Remote(address) => Some(client_of(address)),
        };
        let limits = self.rules.get().limits;
        let state = self.state();
        let hosted = state.streams.get(name).is_some_and(|stream| !stream.away);
        if hosted || state.has_pair(name) {
            return Err(PublishError::Taken);
        }
        if let Some(client) = client {
            let remote = state.streams.values().filter_map(|it| it.client);
            let own = remote.clone().filter(|it| *it == client).count();
            if remote.count() >= limits.streams || own >= limits.sessions_per_address {
                return Err(PublishError::TooMany);
            }
        }
        let opening = Opening {
            name,
            kind,
            ice_servers,
            client,
            away: false,
            elsewhere: None,
        };
        let stays = |peer: &PeerId| sessions.iter().any(|it| it.peer == *peer);
        Ok(self.open(state, opening, stays))
    }

    /// Puts a stream in place of the one that was there, if any; the sessions that
    /// stay speak with the new host from now on.
    pub(super) fn open(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        opening: Opening<'_>,
        stays: impl Fn(&PeerId) -> bool,
    ) -> (Publication, mpsc::Receiver<Incoming>) {
        let Opening {
            name,
            kind,
            ice_servers,
            client,
            away,
            elsewhere,
        } = opening;
        let links = ice_servers
            .iter()
            .filter_map(|server| HeaderValue::from_str(&server.to_link_header()).ok())
            .collect();
        let (incoming, receiver) = self.queue();
        let (gone_in, gone) = oneshot::channel();
        let displaced = state.take_off_but(name, stays);
        state.move_to(name, &incoming);
        state.published += 1;
        let number = state.published;
        let stream = Stream {
            kind,
            publication: number,
            incoming,
            ice_servers: ice_servers.into(),
            links,
            client,
            away,
            since: unix_millis(),
            elsewhere,
            _gone: gone_in,
        };
        state.streams.insert(name.to_owned(), stream);
        drop(state);
        self.changed.send_replace(());
        self.end(displaced);
        if elsewhere.is_none() {
            self.observer.tell(&Event::Published { stream: name });
        }
        let publication = Publication {
            hub: self.clone(),
            name: name.to_owned(),
            kind,
            number,
            elsewhere: elsewhere.is_some(),
            gone,
        };
        if kind == Kind::Publish {
            publication.welcome_waiting();
        }
        (publication, receiver)
    }

    /// Tells the peers of a stream that is gone.
    fn end(&self, sessions: Vec<(PeerId, Session)>) {
        for (_, mut session) in sessions {
            self.tell_of_end(&session, "ended");
            let note = Note::Ended(STREAM_ENDED.to_owned());
            if session.far.tell(note).is_err() {
                session.far.cut_off();
            }
        }
    }

    /// All may come at once, and all may leave.
    fn queue(&self) -> (mpsc::Sender<Incoming>, mpsc::Receiver<Incoming>) {
        mpsc::channel(QUEUE + 2 * self.rules.get().limits.viewers_per_stream)
    }
}

impl Publication {
    /// A new queue in place of one that was lost. The sessions stay.
    pub(crate) fn renew(&self) -> mpsc::Receiver<Incoming> {
        let (incoming, receiver) = self.hub.queue();
        let mut state = self.hub.state();
        state.move_to(&self.name, &incoming);
        if let Some(stream) = state.streams.get_mut(&self.name) {
            stream.incoming = incoming;
        }
        receiver
    }

    /// Says whether the host has been lost and may come back. Until then
    /// what it is told waits in its queue; and another one may take its place.
    pub(crate) fn set_away(&self, away: bool) {
        let mut state = self.hub.state();
        let stream = state.streams.get_mut(&self.name);
        if let Some(stream) = stream.filter(|it| it.publication == self.number) {
            stream.away = away;
        }
    }

    /// Waits until another host has taken its place.
    pub(crate) async fn displaced(&mut self) {
        let _ = (&mut self.gone).await;
    }

    /// The peers that are here.
    pub(crate) fn peers(&self) -> Vec<PeerId> {
        let state = self.hub.state();
        let of_it = state
            .sessions
            .iter()
            .filter(|(_, it)| it.stream == self.name && it.has_host());
        of_it.map(|(peer, _)| peer.clone()).collect()
    }

    /// What it is for.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Is it the only stream of the server?
    pub(crate) fn is_alone(&self) -> bool {
        self.hub.state().streams.len() == 1
    }

    /// Where its host's notes go.
    pub(crate) fn hub(&self) -> Arc<Hub> {
        self.hub.clone()
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        let there = state.streams.get(&self.name);
        if there.is_none_or(|stream| stream.publication != self.number) {
            return;
        }
        let ended = state.take_off(&self.name);
        let shut = state.shut;
        drop(state);
        self.hub.changed.send_replace(());
        if !shut {
            self.hub.end(ended);
        }
        if !shut && !self.elsewhere {
            let stream = &self.name;
            self.hub.observer.tell(&Event::Unpublished { stream });
        }
    }
}
