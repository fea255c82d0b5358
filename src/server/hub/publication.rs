//! A host's hold on its stream.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderValue;
use tokio::sync::{mpsc, oneshot};

use super::{Hub, Note, Other, QUEUE, STREAM_ENDED, Session, Stream};
use crate::access::client_of;
use crate::address::IceServer;
use crate::message::PeerId;
use crate::server::events::Event;
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

/// A stream's place in the hub; dropping it takes the stream off.
pub(crate) struct Publication {
    pub(super) hub: Arc<Hub>,
    pub(super) name: String,
    kind: Kind,
    number: u64,
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
        let links = ice_servers
            .iter()
            .filter_map(|server| HeaderValue::from_str(&server.to_link_header()).ok())
            .collect();
        let (incoming, receiver) = self.queue();
        let (gone_in, gone) = oneshot::channel();
        let client = match publisher {
            Publisher::Local => None,
            Publisher::Remote(address) => Some(client_of(address)),
        };
        let limits = self.rules.get().limits;
        let mut state = self.state();
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
        let displaced = state.take_off(name);
        state.published += 1;
        let number = state.published;
        let stream = Stream {
            kind,
            publication: number,
            incoming,
            ice_servers: ice_servers.into(),
            links,
            client,
            away: false,
            _gone: gone_in,
        };
        state.streams.insert(name.to_owned(), stream);
        drop(state);
        self.changed.send_replace(());
        self.end(displaced);
        self.observer.tell(&Event::Published { stream: name });
        let publication = Publication {
            hub: self.clone(),
            name: name.to_owned(),
            kind,
            number,
            gone,
        };
        if kind == Kind::Publish {
            publication.welcome_waiting();
        }
        Ok((publication, receiver))
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
        for session in state.sessions.values_mut() {
            if let (Other::Host { farewell }, true) =
                (&mut session.other, session.stream == self.name)
            {
                *farewell = incoming.clone().try_reserve_owned().ok();
            }
        }
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
            let stream = &self.name;
            self.hub.observer.tell(&Event::Unpublished { stream });
        }
    }
}
