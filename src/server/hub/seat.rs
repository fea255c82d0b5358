//! A peer that stays connected.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Guest, Hub, JoinError, Kind, SayError, peer_name};
use crate::message::{Message, PeerId};
use crate::server::mark::Mark;
use crate::signaller::{PeerInfo, Refusal};

/// How many notes wait for a peer. A host's description and all its
/// candidates fit, twice.
const QUEUE: usize = 128;

/// What a peer is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Note {
    /// Whom it waits for is here.
    Came(PeerInfo),
    /// That one has a note for it.
    Message(Message),
    /// Whom it waits for has gone, because of this; it waits on.
    Went(String),
    /// It is turned away; nothing follows.
    Refused(Refusal),
    /// Its session is over; nothing follows.
    Ended(String),
}

impl Note {
    /// A word for the end of a session that this is, in metrics.
    pub(super) fn cause(&self) -> &'static str {
        match self {
            Self::Came(_) | Self::Message(_) | Self::Went(_) | Self::Ended(_) => "ended",
            Self::Refused(Refusal::Incompatible(_)) => "incompatible",
            Self::Refused(Refusal::Malformed(_)) => "malformed",
            Self::Refused(Refusal::Busy(_)) => "busy",
            Self::Refused(Refusal::Failed(_)) => "failed",
        }
    }
}

/// A peer that does not read.
#[derive(Debug)]
pub(super) struct Slow;

/// The hub's side of a [`Seat`].
pub(super) struct Far {
    notes: mpsc::Sender<Note>,
    cut_off: Option<oneshot::Sender<()>>,
    /// Is its connection closed, so that it is to dial again?
    lost: bool,
}

impl Far {
    /// Has the peer neither a path, as its publisher says by `again`, nor a
    /// connection to us, and not because it is cut off without knowing? Then
    /// nobody is there any more.
    pub(super) fn is_deserted(&self, note: &Message) -> bool {
        self.lost && matches!(note, Message::Again { .. })
    }

    pub(super) fn tell(&mut self, note: Note) -> Result<(), Slow> {
        match self.notes.try_send(note) {
            // One that is gone says so itself.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Slow),
        }
    }

    pub(super) fn cut_off(&mut self) {
        if let Some(cut_off) = self.cut_off.take() {
            let _ = cut_off.send(());
        }
    }
}

/// A peer's place. Dropped, it leaves; see [`Voice::leave`].
pub(crate) struct Seat {
    /// Where it speaks.
    pub(crate) voice: Voice,
    /// Which stream it has joined.
    pub(crate) stream: String,
    /// What it takes that for.
    pub(crate) kind: Kind,
    /// Does it keep its place while nobody hosts the stream?
    pub(crate) waits: bool,
    /// What it is told. Ends with the session.
    pub(crate) notes: mpsc::Receiver<Note>,
    /// Fires when the peer reads too slowly; its session is over then.
    pub(crate) slow: oneshot::Receiver<()>,
}

/// What a peer says goes through this. Dropped, it leaves.
pub(crate) struct Voice {
    /// `None` once it has nothing to leave.
    hub: Option<Arc<Hub>>,
    /// What its host calls it.
    pub(crate) peer: PeerId,
}

impl Hub {
    /// A peer sits down; the host of the stream is told. Its name begins with its
    /// protocol. `waits`: it keeps its place while there is no host.
    pub(crate) fn sit_down(
        self: &Arc<Self>,
        stream: &str,
        kind: Kind,
        info: PeerInfo,
        waits: bool,
    ) -> Result<Seat, JoinError> {
        let peer = peer_name(&info.protocol)?;
        let (far, mut seat) = self.seat(stream, kind, &peer);
        seat.waits = waits;
        let guest = Guest {
            stream,
            kind,
            info,
            offer: None,
            far: super::Far::Seat(far),
            waits,
        };
        if let Err(error) = self.join(&peer, guest) {
            seat.voice.forget();
            return Err(error);
        }
        Ok(seat)
    }

    /// A peer that the host of `stream` has not forgotten, although we have, gets
    /// its place back. `None` if there is no room, or if there is such a peer.
    pub(in crate::server) fn sit_again(
        self: &Arc<Self>,
        stream: &str,
        kind: Kind,
        peer: &PeerId,
        mark: Mark,
    ) -> Option<Seat> {
        let (far, seat) = self.seat(stream, kind, peer);
        if self
            .add_again(stream, peer, mark, super::Far::Seat(far))
            .is_err()
        {
            seat.voice.forget();
            return None;
        }
        Some(seat)
    }

    /// Both sides of a place that is not in the hub yet.
    pub(super) fn seat(self: &Arc<Self>, stream: &str, kind: Kind, peer: &PeerId) -> (Far, Seat) {
        let (notes_in, notes) = mpsc::channel(QUEUE);
        let (cut_off, slow) = oneshot::channel();
        let far = Far {
            notes: notes_in,
            cut_off: Some(cut_off),
            lost: false,
        };
        let voice = Voice {
            hub: Some(self.clone()),
            peer: peer.clone(),
        };
        let seat = Seat {
            voice,
            stream: stream.to_owned(),
            kind,
            waits: false,
            notes,
            slow,
        };
        (far, seat)
    }
}

impl Voice {
    /// Passes on what the peer says.
    pub(crate) fn say(&self, message: Message) -> Result<(), SayError> {
        match &self.hub {
            Some(hub) => hub.say(&self.peer, vec![message]),
            None => Err(SayError::Unknown),
        }
    }

    /// It waits, and will not speak with whom it has met: `why` is
    /// [`Note::Refused`] or [`Note::Ended`]. From a host it leaves.
    pub(crate) fn dismiss(&self, why: Note) {
        if let Some(hub) = &self.hub {
            hub.dismiss(&self.peer, why);
        }
    }

    /// It keeps its place from now on while nobody hosts the stream; a host is
    /// told `info`.
    pub(crate) fn wait(&self, info: PeerInfo) {
        if let Some(hub) = &self.hub {
            hub.wait(&self.peer, info);
        }
    }

    /// Is there somebody to speak with?
    pub(crate) fn is_met(&self) -> bool {
        let hub = self.hub.as_ref();
        hub.is_some_and(|hub| hub.is_met(&self.peer))
    }

    /// Says whether its connection has been lost and may come back.
    pub(crate) fn set_away(&self, away: bool) {
        if let Some(hub) = &self.hub {
            hub.set_away(&self.peer, away);
        }
    }

    /// Its connection is closed, or there again.
    pub(crate) fn set_lost(&self, lost: bool) {
        if let Some(hub) = &self.hub
            && let Some(session) = hub.state().sessions.get_mut(&self.peer)
            && let super::Far::Seat(seat) = &mut session.far
        {
            seat.lost = lost;
        }
    }

    /// Stands up, saying why.
    pub(crate) fn leave(&self, reason: &str) {
        if let Some(hub) = &self.hub {
            hub.leave(&self.peer, reason);
        }
    }

    /// It never sat down: there may be another of its name.
    pub(super) fn forget(mut self) {
        self.hub = None;
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.leave("its connection was lost");
    }
}
