//! Streams of other servers that viewers of ours watch. In the hub they are
//! streams like others; what their publishers are told goes to their homes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::post::Post;
use super::wire::{Listed, Says, ServerId};
use crate::message::v1::{Envelope, Standing};
use crate::message::{Message, PeerId};
use crate::server::hub::{Hub, Publication};
use crate::signaller::envelope::to_outgoing;
use crate::signaller::{Incoming, Outgoing, Refusal};

/// What viewers of all proxies say, before it is passed on.
const SAID: usize = 4096;

/// How many notes are held for a stream that has no home now.
const HELD: usize = 1024;

/// What another server has let go.
pub(super) enum Taken {
    /// A viewer of this stream: its name, and its mark.
    Viewer(String, PeerId, String),
    /// The host of this stream.
    Host(String),
}

/// All of them.
pub(super) struct Proxies {
    hub: Arc<Hub>,
    post: Post,
    map: HashMap<String, Proxy>,
    /// Counts them, to tell a proxy from a later one of its name.
    count: u64,
    said_in: mpsc::Sender<(String, u64, Incoming)>,
    said: mpsc::Receiver<(String, u64, Incoming)>,
    taken_in: mpsc::Sender<Taken>,
    taken: mpsc::Receiver<Taken>,
}

struct Proxy {
    number: u64,
    publication: Publication,
    /// Where its publisher is; nowhere, while that moves.
    home: Option<ServerId>,
    homeless: Option<Instant>,
    /// Whom its homes have been told of, and by what mark.
    peers: HashMap<PeerId, Option<String>>,
    held: Vec<Incoming>,
}

impl Proxies {
    pub(super) fn new(hub: Arc<Hub>, post: Post) -> Self {
        let (said_in, said) = mpsc::channel(SAID);
        let (taken_in, taken) = mpsc::channel(64);
        Self {
            hub,
            post,
            map: HashMap::new(),
            count: 0,
            said_in,
            said,
            taken_in,
            taken,
        }
    }

    /// The next that a viewer says. Cancel safe.
    pub(super) async fn said(&mut self) -> Option<(String, u64, Incoming)> {
        loop {
            tokio::select! {
                // Before it can say anything.
                biased;
                Some(taken) = self.taken.recv() => match taken {
                    Taken::Viewer(stream, peer, mark) => {
                        if let Some(proxy) = self.map.get_mut(&stream) {
                            proxy.peers.insert(peer, Some(mark));
                        }
                    }
                    Taken::Host(stream) => {
                        if let Some(proxy) = self.map.get(&stream) {
                            proxy.publication.set_away(true);
                        }
                    }
                },
                said = self.said.recv() => return said,
            }
        }
    }

    /// Where it is to be told whom other servers have let go.
    pub(super) fn taken(&self) -> mpsc::Sender<Taken> {
        self.taken_in.clone()
    }

    /// Passes on what a viewer says.
    pub(super) fn up(&mut self, stream: &str, number: u64, note: Incoming) {
        let Some(proxy) = self.map.get_mut(stream).filter(|it| it.number == number) else {
            return;
        };
        if proxy.home.is_some() {
            return proxy.tell(&self.post, stream, note);
        }
        if proxy.held.len() < HELD {
            proxy.held.push(note);
        } else if let Incoming::Joined { peer, .. } = note {
            let refusal = Refusal::Busy("the stream is not live now".to_owned());
            self.hub.handle(stream, Outgoing::Refuse { peer, refusal });
        }
    }

    /// Passes on what a publisher says.
    pub(super) fn down(&mut self, from: &ServerId, stream: &str, envelope: Envelope) {
        let Some(proxy) = self.map.get_mut(stream) else {
            return;
        };
        if proxy.home.as_ref() != Some(from) {
            return;
        }
        let Some(note) = to_outgoing(envelope) else {
            return;
        };
        let last = !matches!(&note, Outgoing::Message { message, .. } if !matches!(message, Message::Bye { .. }));
        if last {
            proxy.peers.remove(note.peer());
        }
        self.hub.handle(stream, note);
    }

    /// A stream is at `home`, now or still. `carried`: is this peer another's, that
    /// comes to the new home by itself?
    pub(super) fn follow(
        &mut self,
        home: &ServerId,
        listed: &Listed,
        carried: impl Fn(&PeerId) -> bool,
    ) {
        let stream = &listed.name;
        let known = self
            .map
            .get(stream)
            .is_some_and(|it| it.publication.is_current());
        if !known && !self.add(listed, carried) {
            return;
        }
        let Some(proxy) = self.map.get_mut(stream) else {
            return;
        };
        proxy.publication.set_elsewhere(listed.away, listed.peers);
        proxy.homeless = None;
        if proxy.home.as_ref() == Some(home) {
            return;
        }
        proxy.home = Some(home.clone());
        proxy.settle(&self.post, stream);
        for note in std::mem::take(&mut proxy.held) {
            proxy.tell(&self.post, stream, note);
        }
    }

    /// `false` if we have a stream of that name ourselves.
    fn add(&mut self, listed: &Listed, carried: impl Fn(&PeerId) -> bool) -> bool {
        let stream = &listed.name;
        let Some(kind) = listed.kind() else {
            return false;
        };
        let (away, peers) = (listed.away, listed.peers);
        let proxy = self.hub.publish_elsewhere(stream, kind, away, peers);
        let Some((publication, mut incoming)) = proxy else {
            return false;
        };
        let standing = self.hub.standing(stream).into_iter();
        let own = standing.filter(|it| !carried(&it.peer));
        let peers = own.map(|it| (it.peer, Some(it.mark))).collect();
        self.count += 1;
        let (number, said, name) = (self.count, self.said_in.clone(), stream.clone());
        tokio::spawn(async move {
            while let Some(note) = incoming.recv().await {
                if said.send((name.clone(), number, note)).await.is_err() {
                    return;
                }
            }
        });
        let proxy = Proxy {
            number,
            publication,
            home: None,
            homeless: None,
            peers,
            held: Vec::new(),
        };
        self.map.insert(stream.clone(), proxy);
        true
    }

    /// Looks after those whose home has not got them any more. `look` says of a
    /// stream and its home: has anybody the stream, and is that home there?
    pub(super) fn orphan(&mut self, look: impl Fn(&str, &ServerId) -> (bool, bool)) {
        self.map.retain(|stream, proxy| {
            if !proxy.publication.is_current() {
                return false;
            }
            let Some(home) = &proxy.home else {
                return true;
            };
            match look(stream, home) {
                (true, _) => true,
                // It has said so: the stream has ended.
                (false, true) => false,
                (false, false) => {
                    proxy.home = None;
                    proxy.homeless = Some(Instant::now());
                    proxy.publication.set_away(true);
                    true
                }
            }
        });
    }

    /// Ends those that have had no home for so long.
    pub(super) fn expire(&mut self, grace: Duration) {
        let late = |proxy: &Proxy| proxy.homeless.is_some_and(|since| since.elapsed() > grace);
        self.map.retain(|_, proxy| !late(proxy));
    }

    /// Tells all homes whom we carry.
    pub(super) fn settle_all(&self) {
        for (stream, proxy) in &self.map {
            proxy.settle(&self.post, stream);
        }
    }
}

impl Proxy {
    fn tell(&mut self, post: &Post, stream: &str, note: Incoming) {
        match &note {
            Incoming::Joined { peer, info } => {
                self.peers.insert(peer.clone(), info.mark.clone());
            }
            Incoming::Left { peer, .. } => {
                self.peers.remove(peer);
            }
            Incoming::Message { .. } | Incoming::IceServers(_) => {}
        }
        if let Some(home) = &self.home {
            let (stream, envelope) = (stream.to_owned(), note.into());
            post.one(home, Says::Up { stream, envelope });
        }
    }

    fn settle(&self, post: &Post, stream: &str) {
        let Some(home) = &self.home else {
            return;
        };
        let standing = |(peer, mark): (&PeerId, &Option<String>)| {
            let (peer, mark) = (peer.clone(), mark.clone().unwrap_or_default());
            Standing { peer, mark }
        };
        let sessions = self.peers.iter().map(standing).collect();
        let stream = stream.to_owned();
        post.one(home, Says::Carries { stream, sessions });
    }
}
