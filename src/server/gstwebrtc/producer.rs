//! A producer's stream.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::message::{Message, PeerId};
use crate::sdp::{MAX_CANDIDATES, with_candidates};
use crate::server::hub::{Hub, Kind, Publication, PublishError, Publisher};
use crate::signaller::gstwebrtc::protocol::Body;
use crate::signaller::gstwebrtc::protocol::{Note, ToPeer};
use crate::signaller::{Incoming, Offerer, Outgoing, PeerInfo, envelope};

/// How long an answer for a viewer without trickle waits for another candidate …
const SETTLE: Duration = Duration::from_millis(100);

/// … and how long for all of them.
const BOUND: Duration = Duration::from_millis(1000);

pub(super) struct Producer {
    publication: Publication,
    incoming: mpsc::Receiver<Incoming>,
    viewers: HashMap<PeerId, Viewer>,
}

/// One that the producer knows of.
#[derive(Default)]
struct Viewer {
    /// Its offer is still to come, and the producer is to be told with it.
    announced: bool,
    /// Does it take candidates behind the answer?
    trickles: bool,
    /// The answer that waits for candidates.
    held: Option<Held>,
}

struct Held {
    answer: String,
    candidates: Vec<String>,
    complete: bool,
    due: Instant,
    latest: Instant,
}

impl Producer {
    /// Takes the stream.
    pub(super) fn new(hub: &Arc<Hub>, name: &str, address: IpAddr) -> Result<Self, String> {
        let published = hub.publish(name, Kind::Publish, &[], Publisher::Remote(address));
        let (publication, incoming) = published.map_err(|error| match error {
            PublishError::Taken => {
                format!("there is a producer {name:?} already; choose another name in its meta")
            }
            PublishError::TooMany => "there are as many streams as there may be".to_owned(),
        })?;
        Ok(Self {
            publication,
            incoming,
            viewers: HashMap::new(),
        })
    }

    /// What the stream is called.
    pub(super) fn name(&self) -> &str {
        self.publication.name()
    }

    /// Passes on what the producer says to one of its consumers.
    pub(super) fn hear(&mut self, note: Note) {
        let peer = PeerId::new(note.session_id);
        let message = note.body.into_message();
        let Some(viewer) = self.viewers.get_mut(&peer) else {
            return;
        };
        if let Err(error) = message.check() {
            return self.end(peer.as_str(), &error.to_string());
        }
        if let Some(message) = viewer.hold(message) {
            self.say(Outgoing::Message { peer, message });
        }
    }

    /// The producer ends a session.
    pub(super) fn end(&mut self, session: &str, reason: &str) {
        let peer = PeerId::new(session);
        if self.viewers.remove(&peer).is_some() {
            let reason = envelope::cut(reason.to_owned());
            self.say(Outgoing::End { peer, reason });
        }
    }

    /// What the producer is told next; `None`: the stream is another's now.
    /// Cancel safe.
    pub(super) async fn told(&mut self) -> Option<Vec<ToPeer>> {
        let due = self.viewers.values().filter_map(Viewer::due).min();
        tokio::select! {
            biased;
            () = self.publication.displaced() => None,
            incoming = self.incoming.recv() => {
                Some(self.translate(incoming?).into_iter().collect())
            }
            () = until(due) => {
                self.release();
                Some(Vec::new())
            }
        }
    }

    fn translate(&mut self, incoming: Incoming) -> Option<ToPeer> {
        match incoming {
            Incoming::Joined { peer, info } => {
                let viewer = Viewer::new(&info);
                let start = viewer.announced.then(|| start(&peer, None));
                self.viewers.insert(peer, viewer);
                start
            }
            Incoming::Message { peer, message } => {
                let viewer = self.viewers.get_mut(&peer)?;
                match message {
                    Message::Offer { sdp } if !viewer.announced => {
                        viewer.announced = true;
                        Some(start(&peer, Some(sdp)))
                    }
                    message => Some(ToPeer::Peer(Note {
                        session_id: peer.as_str().to_owned(),
                        body: Body::from_message(message)?,
                    })),
                }
            }
            // The protocol has no words for them.
            Incoming::IceServers(_) => None,
            Incoming::Left { peer, .. } => {
                let viewer = self.viewers.remove(&peer)?;
                viewer.announced.then(|| ToPeer::EndSession {
                    session_id: peer.as_str().to_owned(),
                })
            }
        }
    }

    /// Sends the answers that have waited long enough.
    fn release(&mut self) {
        let now = Instant::now();
        let mut ready = Vec::new();
        for (peer, viewer) in &mut self.viewers {
            if viewer.due().is_some_and(|due| due <= now)
                && let Some(held) = viewer.held.take()
            {
                ready.push((peer.clone(), held.finish()));
            }
        }
        for (peer, message) in ready {
            self.say(Outgoing::Message { peer, message });
        }
    }

    fn say(&self, note: Outgoing) {
        self.publication.hub().handle(self.publication.name(), note);
    }
}

fn start(peer: &PeerId, offer: Option<String>) -> ToPeer {
    ToPeer::StartSession {
        peer_id: peer.as_str().to_owned(),
        session_id: peer.as_str().to_owned(),
        offer,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Viewer {
    fn new(info: &PeerInfo) -> Self {
        let channel = info.channel.unwrap_or(envelope::CHANNEL);
        Self {
            announced: channel.offerer == Offerer::Us,
            trickles: channel.trickle_out,
            held: None,
        }
    }

    fn due(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.due)
    }

    /// What can be passed on at once. These clients always trickle; a viewer
    /// that cannot take that (WHEP) gets it all in the answer.
    fn hold(&mut self, message: Message) -> Option<Message> {
        if self.trickles {
            return Some(message);
        }
        let now = Instant::now();
        match (message, &mut self.held) {
            (Message::Answer { sdp }, None) => {
                self.held = Some(Held {
                    answer: sdp,
                    candidates: Vec::new(),
                    complete: false,
                    due: now + BOUND,
                    latest: now + BOUND,
                });
            }
            (Message::Candidate(candidate), Some(held)) => {
                if held.candidates.len() < MAX_CANDIDATES {
                    held.candidates.push(candidate.candidate);
                }
                held.due = (now + SETTLE).min(held.latest);
            }
            (Message::EndOfCandidates, Some(held)) => {
                held.complete = true;
                held.due = now;
            }
            // Too late, or nothing that such a viewer understands.
            _ => (),
        }
        None
    }
}

impl Held {
    fn finish(self) -> Message {
        let written = with_candidates(&self.answer, &self.candidates, self.complete);
        Message::Answer {
            // What cannot be read here is the viewer's to judge.
            sdp: written.unwrap_or(self.answer),
        }
    }
}
