//! Streams that other servers have: in this hub they are *proxies*, whose host is
//! reached through another server. And what other servers learn of ours.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::publication::Opening;
use super::{Guest, Hub, JoinError, Kind, Other, Publication, Seat, State};
use crate::message::PeerId;
use crate::message::v1::Standing;
use crate::signaller::{Incoming, PeerInfo};

/// A stream whose host is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Has its host been lost, and may it come back?
    pub(crate) away: bool,
    /// Since when it is here, in milliseconds since 1970.
    pub(crate) since: u64,
    /// How many take part.
    pub(crate) peers: usize,
}

impl Hub {
    /// All streams whose hosts are here.
    pub(crate) fn own_streams(&self) -> Vec<Own> {
        let list = self.list();
        let state = self.state();
        let own = list.into_iter().filter_map(|listed| {
            let stream = state.streams.get(&listed.name)?;
            stream.elsewhere.is_none().then_some(Own {
                name: listed.name,
                kind: stream.kind,
                away: stream.away,
                since: stream.since,
                peers: listed.peers,
            })
        });
        own.collect()
    }

    /// What a stream is for whose host is here.
    pub(crate) fn own_kind(&self, stream: &str) -> Option<Kind> {
        let state = self.state();
        let stream = state.streams.get(stream)?;
        stream.elsewhere.is_none().then_some(stream.kind)
    }

    /// What rules hold here.
    pub(crate) fn limits(&self) -> crate::access::Limits {
        self.rules.get().limits
    }

    /// Adds a proxy, or makes one of a stream whose host has left us for another
    /// server; its sessions stay. `None`: its host is here.
    pub(crate) fn publish_elsewhere(
        self: &Arc<Self>,
        name: &str,
        kind: Kind,
        away: bool,
        peers: usize,
    ) -> Option<(Publication, mpsc::Receiver<Incoming>)> {
        let state = self.state();
        let here = |it: &super::Stream| it.elsewhere.is_none() && !it.away;
        if state.streams.get(name).is_some_and(here) || state.has_pair(name) {
            return None;
        }
        let opening = Opening {
            name,
            kind,
            ice_servers: &[],
            client: None,
            away,
            elsewhere: Some(peers),
        };
        Some(self.open(state, opening, |_| true))
    }

    /// The sessions of a stream that another server could take up.
    pub(crate) fn standing(&self, stream: &str) -> Vec<Standing> {
        let state = self.state();
        let hosted = state.sessions.iter();
        let of_it = hosted.filter(|(_, it)| it.stream == stream && it.has_host());
        let standing = of_it.filter_map(|(peer, session)| {
            let (peer, mark) = (peer.clone(), session.mark.clone()?);
            Some(Standing { peer, mark })
        });
        standing.collect()
    }

    /// A peer that another server has let in, and named, sits down.
    pub(crate) fn sit_down_as(
        self: &Arc<Self>,
        stream: &str,
        peer: &PeerId,
        info: PeerInfo,
    ) -> Result<Seat, JoinError> {
        let kind = self.own_kind(stream).ok_or(JoinError::Unknown)?;
        let (far, seat) = self.seat(stream, kind, peer);
        let guest = Guest {
            stream,
            kind,
            info,
            offer: None,
            far: super::Far::Seat(far),
            waits: false,
        };
        let known = self.state().sessions.contains_key(peer);
        let joined = if known {
            Err(JoinError::Taken)
        } else {
            self.join(peer, guest)
        };
        match joined {
            Ok(()) => Ok(seat),
            Err(error) => {
                seat.voice.forget();
                Err(error)
            }
        }
    }
}

impl State {
    /// The sessions of a stream speak into another queue from now on.
    pub(super) fn move_to(&mut self, name: &str, incoming: &mpsc::Sender<Incoming>) {
        for session in self.sessions.values_mut() {
            if let (Other::Host { farewell }, true) = (&mut session.other, session.stream == name) {
                *farewell = incoming.clone().try_reserve_owned().ok();
            }
        }
    }
}

impl Publication {
    /// Of a proxy: what its home says of it.
    pub(crate) fn set_elsewhere(&self, away: bool, peers: usize) {
        let mut state = self.hub.state();
        let stream = state.streams.get_mut(&self.name);
        if let Some(stream) = stream.filter(|it| it.publication == self.number) {
            stream.away = away;
            stream.elsewhere = Some(peers);
        }
    }

    /// Has nobody taken its place?
    pub(crate) fn is_current(&self) -> bool {
        let state = self.hub.state();
        let stream = state.streams.get(&self.name);
        stream.is_some_and(|it| it.publication == self.number)
    }
}
