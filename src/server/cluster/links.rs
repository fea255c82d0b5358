//! Viewers that another server carries to a publisher of ours: each is a client
//! like those that have a connection of their own, and has a task of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::post::Post;
use super::wire::ServerId;
use crate::message::v1::{Envelope, Kind, Standing};
use crate::message::{Message, PeerId};
use crate::server::hub::{Hub, JoinError, Note, SayError};
use crate::server::mark::Mark;
use crate::server::socket::Slots;
use crate::server::socket::resume::{Client, Kept, Request, secret};
use crate::signaller::{PeerInfo, envelope};

/// What becomes of a session that nobody knows of.
const UNKNOWN: &str = "its session is not known any more";

const BUSY: &str = "the publisher of the stream has too much to do";

/// How many notes of one viewer may wait for us.
const QUEUE: usize = 256;

/// All of them, by who carries them.
#[derive(Clone)]
pub(super) struct Links {
    pub(super) hub: Arc<Hub>,
    pub(super) slots: Slots,
    pub(super) post: Post,
    /// Its sender's end means that the server stops.
    pub(super) stop: watch::Receiver<()>,
    map: Arc<Mutex<HashMap<(ServerId, PeerId), Link>>>,
    /// Counts links.
    count: Arc<AtomicU64>,
}

struct Link {
    stream: String,
    words: mpsc::Sender<Said>,
    /// Tells it from a later one of the same viewer.
    number: u64,
}

/// What a viewer says; the end of the queue means that its server is gone.
enum Said {
    Note(Message),
    Left(String),
}

/// A viewer's end of a link.
struct Entry {
    key: (ServerId, PeerId),
    number: u64,
    said: mpsc::Receiver<Said>,
}

/// How a viewer comes to us.
enum Way {
    /// It joins.
    Joins(PeerInfo),
    /// It has joined already, here or where its publisher was before.
    Returns(Mark),
}

impl Links {
    pub(super) fn new(hub: Arc<Hub>, slots: Slots, post: Post, stop: watch::Receiver<()>) -> Self {
        Self {
            hub,
            slots,
            post,
            stop,
            map: Arc::default(),
            count: Arc::default(),
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<(ServerId, PeerId), Link>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an edge says of a stream of ours.
    pub(super) fn hear(&self, edge: &ServerId, stream: &str, envelope: Envelope) {
        match envelope {
            Envelope::Joined { peer, info } => {
                let info = PeerInfo::from(info);
                self.begin(edge, stream, &peer, Way::Joins(info));
            }
            Envelope::Note { peer, note } => self.say(edge, stream, peer, Said::Note(note)),
            Envelope::Left { peer, reason } => self.say(edge, stream, peer, Said::Left(reason)),
            _ => {}
        }
    }

    fn say(&self, edge: &ServerId, stream: &str, peer: PeerId, said: Said) {
        let key = (edge.clone(), peer);
        let mut map = self.map();
        let Some(link) = map.get(&key).filter(|link| link.stream == stream) else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = link.words.try_send(said) {
            map.remove(&key);
            drop(map);
            self.end(edge, stream, &key.1, "it said more than could be taken");
        }
    }

    /// An edge tells all that it carries.
    pub(super) fn settle(&self, edge: &ServerId, stream: &str, sessions: Vec<Standing>) {
        let gone = |(of, peer): &(ServerId, PeerId), link: &Link| {
            of == edge && link.stream == stream && !sessions.iter().any(|it| it.peer == *peer)
        };
        {
            let mut map = self.map();
            for (_, link) in map.extract_if(|key, link| gone(key, link)) {
                let reason = "its server has lost it".to_owned();
                let _ = link.words.try_send(Said::Left(reason));
            }
        }
        for Standing { peer, mark } in sessions {
            let known = self.map().contains_key(&(edge.clone(), peer.clone()));
            match Mark::parse(&mark) {
                _ if known => {}
                Some(mark) => self.begin(edge, stream, &peer, Way::Returns(mark)),
                None => self.end(edge, stream, &peer, UNKNOWN),
            }
        }
    }

    /// Those that an edge has carried, which is gone, may come back.
    pub(super) fn lose(&self, edge: &ServerId) {
        self.map().retain(|(of, _), _| of != edge);
    }

    /// A stream of ours goes on elsewhere: its viewers are carried to there.
    pub(super) fn give_up(&self, stream: &str) {
        self.map().retain(|_, link| link.stream != stream);
    }

    /// Is this viewer carried to us?
    pub(super) fn carries(&self, peer: &PeerId) -> bool {
        self.map().keys().any(|(_, it)| it == peer)
    }

    fn end(&self, edge: &ServerId, stream: &str, peer: &PeerId, reason: &str) {
        let envelope = Envelope::End {
            peer: peer.clone(),
            reason: reason.to_owned(),
        };
        self.post.down(edge, stream, envelope);
    }

    /// A client that has been here, and is at `edge` now.
    pub(super) async fn claim(
        &self,
        edge: &ServerId,
        stream: &str,
        mark: &str,
        grace: Duration,
    ) -> Option<PeerId> {
        let kept = self.slots.claim(Mark::parse(mark)?).await?;
        match &kept.client {
            Client::Viewer(seat) if seat.stream == stream => {
                let peer = seat.voice.peer.clone();
                let entry = self.enter(edge, stream, &peer);
                self.carry(kept, entry);
                Some(peer)
            }
            Client::Publisher(publication, _) if publication.name() == stream => {
                // It comes back elsewhere; until it has, all is as if it were lost.
                let name = PeerId::new(crate::message::v1::PUBLISHER);
                tokio::spawn(kept.park(grace, self.stop.clone()));
                Some(name)
            }
            _ => {
                tokio::spawn(kept.park(grace, self.stop.clone()));
                None
            }
        }
    }

    fn enter(&self, edge: &ServerId, stream: &str, peer: &PeerId) -> Entry {
        let (words, said) = mpsc::channel(QUEUE);
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let link = Link {
            stream: stream.to_owned(),
            words,
            number,
        };
        let key = (edge.clone(), peer.clone());
        self.map().insert(key.clone(), link);
        Entry { key, number, said }
    }

    /// Its link is over, unless there is another already.
    fn leave(&self, entry: &Entry) {
        let mut map = self.map();
        let there = map.get(&entry.key);
        if there.is_some_and(|link| link.number == entry.number) {
            map.remove(&entry.key);
        }
    }

    /// What it says from now on is queued, before it is known whether it is let in.
    fn begin(&self, edge: &ServerId, stream: &str, peer: &PeerId, way: Way) {
        let entry = self.enter(edge, stream, peer);
        match way {
            // At once, so that viewers come in their order.
            Way::Joins(info) => match self.join(stream, peer, info) {
                Ok(kept) => self.carry(kept, entry),
                Err(answer) => {
                    self.leave(&entry);
                    self.post.down(edge, stream, *answer);
                }
            },
            Way::Returns(mark) => {
                let (links, stream, peer) = (self.clone(), stream.to_owned(), peer.clone());
                tokio::spawn(async move {
                    match links.slots.claim(mark).await {
                        Some(kept) if kept.viewer() == Some((stream.as_str(), &peer)) => {
                            links.carry(kept, entry);
                        }
                        _ => {
                            links.leave(&entry);
                            links.end(&entry.key.0, &stream, &peer, UNKNOWN);
                        }
                    }
                });
            }
        }
    }

    fn join(&self, stream: &str, peer: &PeerId, info: PeerInfo) -> Result<Kept, Box<Envelope>> {
        let refuse = |kind, text: &str| {
            Box::new(Envelope::Refuse {
                peer: peer.clone(),
                kind,
                text: text.to_owned(),
            })
        };
        let mark = match info.mark.as_deref() {
            Some(text) => Mark::parse(text),
            // One that cannot come back.
            None => secret().map(|it| Mark::of_connection(it.reveal())),
        };
        let mark = mark.ok_or_else(|| refuse(Kind::Failed, "its mark makes no sense"))?;
        let seat = self.hub.sit_down_as(stream, peer, info);
        let seat = seat.map_err(|error| match error {
            JoinError::Unknown => Box::new(Envelope::End {
                peer: peer.clone(),
                reason: "the stream has ended".to_owned(),
            }),
            JoinError::Taken => refuse(Kind::Busy, "somebody else has that place"),
            _ => refuse(Kind::Busy, BUSY),
        })?;
        let kept = self.slots.keep_marked(Client::Viewer(seat), mark);
        kept.ok_or_else(|| refuse(Kind::Failed, "there is another of its mark"))
    }

    fn carry(&self, kept: Kept, entry: Entry) {
        let links = self.clone();
        tokio::spawn(Carrier { links, entry }.run(kept));
    }
}

struct Carrier {
    links: Links,
    entry: Entry,
}

/// How it ends.
enum Ending {
    Over,
    Lost,
    Claimed(Request),
}

impl Carrier {
    async fn run(mut self, mut kept: Kept) {
        let ending = self.talk(&mut kept).await;
        self.links.leave(&self.entry);
        let grace = self.links.hub.limits().resume_timeout;
        let stop = self.links.stop.clone();
        match ending {
            Ending::Over => {}
            Ending::Lost => kept.park(grace, stop).await,
            Ending::Claimed(request) => {
                if let Err(kept) = request.send(kept) {
                    // Whoever asked has gone meanwhile.
                    kept.park(grace, stop).await;
                }
            }
        }
    }

    async fn talk(&mut self, kept: &mut Kept) -> Ending {
        let Self { links, entry } = self;
        let stop = &mut links.stop.clone();
        let Kept {
            client, requests, ..
        } = kept;
        let Client::Viewer(seat) = client else {
            return Ending::Over;
        };
        let (edge, peer) = &entry.key;
        let stream = seat.stream.clone();
        loop {
            tokio::select! {
                biased;
                // Its sender may be gone before the last note is taken.
                Ok(()) = &mut seat.slow, if !seat.slow.is_terminated() => {
                    links.end(edge, &stream, peer, "it did not read what it was sent");
                    return Ending::Over;
                }
                note = seat.notes.recv() => {
                    let Some(envelope) = note.and_then(|it| told(peer, it)) else {
                        return Ending::Over;
                    };
                    let last = !matches!(envelope, Envelope::Note { .. });
                    links.post.down(edge, &stream, envelope);
                    if last {
                        return Ending::Over;
                    }
                }
                said = entry.said.recv() => match said {
                    Some(Said::Note(note)) => match seat.voice.say(note) {
                        Ok(()) | Err(SayError::Unknown) => {}
                        Err(_) => {
                            links.end(edge, &stream, peer, BUSY);
                            return Ending::Over;
                        }
                    },
                    Some(Said::Left(reason)) => {
                        seat.voice.leave(&reason);
                        return Ending::Over;
                    }
                    None => return Ending::Lost,
                },
                Some(request) = requests.recv() => return Ending::Claimed(request),
                _ = stop.changed() => return Ending::Over,
            }
        }
    }
}

/// As the edge of a viewer hears it. `None` for what is not for those who have a
/// host.
fn told(peer: &PeerId, note: Note) -> Option<Envelope> {
    let peer = peer.clone();
    Some(match note {
        Note::Message(note) => Envelope::Note { peer, note },
        Note::Refused(refusal) => {
            let (kind, text) = envelope::kind_of(refusal);
            Envelope::Refuse { peer, kind, text }
        }
        Note::Ended(reason) => Envelope::End {
            peer,
            reason: envelope::cut(reason),
        },
        Note::Came(_) | Note::Went(_) => return None,
    })
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
