//! A peer that has joined a stream, and whom it speaks with.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Guest, Note, UNKNOWN, pairs, seat, waiting};
use crate::message::v1::Report;
use crate::message::{Message, PeerId};
use crate::server::mark::Mark;
use crate::signaller::{Incoming, PeerInfo};

/// How peers speak to a server.
const PROTOCOLS: [&str; 4] = ["v1", "whep", "whip", "gstwebrtc"];

pub(super) struct Session {
    pub(super) stream: String,
    pub(super) client: IpAddr,
    /// Has an answer passed?
    pub(super) live: bool,
    /// How it speaks to us.
    pub(super) protocol: String,
    /// Since when it is here.
    pub(super) came: Instant,
    /// Since when it tries to be live.
    began: Instant,
    /// What a host is told of it, if it waits for one.
    pub(super) waits: Option<PeerInfo>,
    /// By what it is known again, if it is.
    #[cfg_attr(
        not(feature = "serve"),
        allow(dead_code, reason = "only `sigmund serve` has others")
    )]
    pub(super) mark: Option<String>,
    /// Is its connection lost, and may it come back?
    pub(super) away: bool,
    pub(super) other: Other,
    pub(super) far: Far,
    /// What its host has said of it last.
    pub(super) report: Report,
}

/// Whom a peer speaks with.
pub(super) enum Other {
    /// The host of its stream.
    Host {
        /// A place in the host's queue, taken in advance, so that it always
        /// learns that the peer has left. `None` when the host was gone.
        farewell: Option<mpsc::OwnedPermit<Incoming>>,
    },
    /// Another session, which speaks with this one.
    Peer(PeerId),
    /// It waits.
    Nobody,
}

/// How the peer of a session is reached.
pub(super) enum Far {
    /// By the response to its request.
    Resource(waiting::Far),
    /// By a connection that stays.
    Seat(seat::Far),
}

impl Session {
    /// One that has met nobody yet; what it says of itself, and its offer.
    pub(super) fn new(guest: Guest<'_>, client: IpAddr) -> (Self, PeerInfo, Option<String>) {
        let Guest {
            stream,
            info,
            offer,
            far,
            waits,
            ..
        } = guest;
        let session = Self {
            stream: stream.to_owned(),
            client,
            live: false,
            protocol: info.protocol.clone(),
            came: Instant::now(),
            began: Instant::now(),
            waits: waits.then(|| info.clone()),
            mark: info.mark.clone(),
            away: false,
            other: Other::Nobody,
            far,
            report: Report::default(),
        };
        (session, info, offer)
    }

    /// One that its host has had all the time.
    pub(super) fn again(
        stream: &str,
        peer: &PeerId,
        mark: Mark,
        farewell: mpsc::OwnedPermit<Incoming>,
        far: Far,
    ) -> Self {
        let (protocol, _) = peer.as_str().split_once('-').unwrap_or_default();
        // The name comes from the host: not all that it may say is counted apart.
        let protocol = PROTOCOLS.iter().find(|it| **it == protocol);
        Self {
            stream: stream.to_owned(),
            client: UNKNOWN,
            live: true,
            protocol: (*protocol.unwrap_or(&"other")).to_owned(),
            came: Instant::now(),
            began: Instant::now(),
            waits: None,
            mark: Some(mark.text()),
            away: false,
            other: Other::Host {
                farewell: Some(farewell),
            },
            far,
            report: Report::default(),
        }
    }

    pub(super) fn has_host(&self) -> bool {
        matches!(self.other, Other::Host { .. })
    }

    pub(super) fn is_alone(&self) -> bool {
        matches!(self.other, Other::Nobody)
    }

    /// One that waits learns that there is a host already.
    pub(super) fn expect_host(&mut self) {
        if self.waits.is_some() {
            // Its queue is still empty.
            let _ = self.far.tell(Note::Came(pairs::host()));
        }
    }

    /// It speaks with another session from now on.
    pub(super) fn met_peer(&mut self, other: PeerId) {
        self.began = Instant::now();
        self.other = Other::Peer(other);
    }

    /// Its host has learnt of it.
    pub(super) fn met_host(&mut self, farewell: mpsc::OwnedPermit<Incoming>) {
        self.began = Instant::now();
        let farewell = Some(farewell);
        self.other = Other::Host { farewell };
    }

    /// Whom it spoke with is gone: it waits again.
    pub(super) fn be_alone(&mut self, reason: &str) -> Result<(), seat::Slow> {
        self.live = false;
        self.other = Other::Nobody;
        self.far.tell(Note::Went(reason.to_owned()))
    }

    /// Notes what passes. The first answer makes the session live: by what
    /// protocol, and after how long.
    pub(super) fn hear(&mut self, message: &Message) -> Option<(String, Duration)> {
        if self.live || !matches!(message, Message::Answer { .. }) {
            return None;
        }
        self.live = true;
        Some((self.protocol.clone(), self.began.elapsed()))
    }

    pub(super) fn count_candidates(&mut self, more: usize) {
        if let Far::Resource(resource) = &mut self.far {
            resource.count_candidates(more);
        }
    }

    pub(super) fn is_deserted(&self, note: &Message) -> bool {
        matches!(&self.far, Far::Seat(seat) if seat.is_deserted(note))
    }

    /// Its host learns that it has left.
    pub(super) fn say_farewell(self, peer: &PeerId, reason: &str) {
        if let Other::Host {
            farewell: Some(farewell),
        } = self.other
        {
            farewell.send(Incoming::Left {
                peer: peer.clone(),
                reason: reason.to_owned(),
            });
        }
    }

    pub(super) fn drop_slow(mut self, peer: &PeerId) {
        self.far.cut_off();
        self.say_farewell(peer, "slow: it did not read what it was sent");
    }
}

impl Far {
    /// Hands over a note. Fails if the peer does not take it.
    pub(super) fn tell(&mut self, note: Note) -> Result<(), seat::Slow> {
        match self {
            Self::Resource(resource) => {
                resource.tell(note);
                Ok(())
            }
            Self::Seat(seat) => seat.tell(note),
        }
    }

    pub(super) fn cut_off(&mut self) {
        if let Self::Seat(seat) = self {
            seat.cut_off();
        }
    }
}
