//! `memory:`: peers in the same process, for tests.
//!
//! A signaller opens a *room*, named by its stream; a test [`dial`]s it. Who
//! offers is said by the host: `memory://them-offer/NAME` (and `memory:NAME`)
//! or `memory://we-offer/NAME`. Candidates trickle both ways.
//!
//! Peers outlive a connection, as media sessions do: after
//! [`break_connection`] and a reconnect their notes flow again.

use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{
    Capabilities, Connection, Incoming, Offerer, OpenError, Options, Outgoing, PeerInfo, Refusal,
    Signaller, SignallerError,
};
use crate::address::{SignallingUri, check_stream_name};
use crate::message::{Message, PeerId};

/// How many notes wait in each queue.
const QUEUE: usize = 256;

/// Of `memory:NAME`.
pub(super) const CAPABILITIES: Capabilities = Capabilities {
    offerer: Offerer::Them,
    trickle_in: true,
    trickle_out: true,
};

/// All rooms of the process. Never held across a wait.
static ROOMS: LazyLock<Mutex<HashMap<String, Room>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Room {
    /// To the signaller; `None` while nobody is connected.
    incoming: Option<mpsc::Sender<Incoming>>,
    /// Counts connections, so that an old one does not end a newer one.
    generation: u64,
    /// To the far sides.
    peers: HashMap<PeerId, mpsc::Sender<Note>>,
    /// Counts peers, for their names.
    joined: u64,
    /// What the next attempts to connect fail with.
    outage: Option<SignallerError>,
}

fn rooms() -> MutexGuard<'static, HashMap<String, Room>> {
    ROOMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a far side hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A note for it.
    Message(Message),
    /// It is turned away.
    Refused(Refusal),
    /// Its session is over.
    Ended {
        /// Why.
        reason: String,
    },
}

/// Why a room cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// No signaller is connected under this name.
    #[error("nobody listens in that room")]
    NobodyListens,
    /// It does not read its queue.
    #[error("the queue of that room is full")]
    Full,
}

/// The far side's end of a conversation. Dropping it leaves.
pub struct MemoryPeer {
    /// What the signaller's owner calls it.
    pub id: PeerId,
    room: String,
    notes: mpsc::Receiver<Note>,
}

impl fmt::Debug for MemoryPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryPeer({} in {})", self.id, self.room)
    }
}

/// Joins the room of a connected signaller.
pub fn dial(room: &str, info: PeerInfo) -> Result<MemoryPeer, Unreachable> {
    let mut rooms = rooms();
    let open = rooms.get_mut(room).ok_or(Unreachable::NobodyListens)?;
    let incoming = open.incoming.clone().ok_or(Unreachable::NobodyListens)?;
    let id = PeerId::new(format!("memory-{}", open.joined));
    incoming
        .try_send(Incoming::Joined {
            peer: id.clone(),
            info,
        })
        .map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unreachable::Full,
            mpsc::error::TrySendError::Closed(_) => Unreachable::NobodyListens,
        })?;
    let (notes_in, notes) = mpsc::channel(QUEUE);
    open.joined += 1;
    open.peers.insert(id.clone(), notes_in);
    Ok(MemoryPeer {
        id,
        room: room.to_owned(),
        notes,
    })
}

impl MemoryPeer {
    /// Sends a note, waiting while the queue is full.
    pub async fn send(&self, message: Message) -> Result<(), Unreachable> {
        let incoming = rooms()
            .get(&self.room)
            .and_then(|room| room.incoming.clone())
            .ok_or(Unreachable::NobodyListens)?;
        let note = Incoming::Message {
            peer: self.id.clone(),
            message,
        };
        incoming
            .send(note)
            .await
            .map_err(|_| Unreachable::NobodyListens)
    }

    /// The next note; `None` after the session is over or the signaller closed.
    pub async fn recv(&mut self) -> Option<Note> {
        self.notes.recv().await
    }

    /// Leaves, saying why.
    pub async fn leave(self, reason: &str) {
        let incoming = rooms().get_mut(&self.room).and_then(|room| {
            room.peers.remove(&self.id)?;
            room.incoming.clone()
        });
        if let Some(incoming) = incoming {
            let _ = incoming
                .send(Incoming::Left {
                    peer: self.id.clone(),
                    reason: reason.to_owned(),
                })
                .await;
        }
    }
}

impl Drop for MemoryPeer {
    fn drop(&mut self) {
        let mut rooms = rooms();
        let Some(room) = rooms.get_mut(&self.room) else {
            return;
        };
        let left = room.peers.remove(&self.id).and(room.incoming.as_ref());
        if let Some(incoming) = left {
            let _ = incoming.try_send(Incoming::Left {
                peer: self.id.clone(),
                reason: "dropped".to_owned(),
            });
        }
    }
}

/// Cuts the connection of a room, as a network would. Its signaller reconnects
/// if it is supervised.
pub fn break_connection(room: &str) {
    if let Some(room) = rooms().get_mut(room) {
        room.incoming = None;
    }
}

/// From now on attempts to connect fail with `outage`; with `None` they succeed.
pub fn set_outage(room: &str, outage: Option<SignallerError>) {
    rooms().entry(room.to_owned()).or_default().outage = outage;
}

/// Makes a signaller for `uri`.
pub(super) fn open(
    uri: &SignallingUri,
    options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    let offerer = match uri.host.as_str() {
        "" | "them-offer" => Offerer::Them,
        "we-offer" => Offerer::Us,
        _ => {
            return Err(OpenError(
                "write memory:NAME, memory://them-offer/NAME or memory://we-offer/NAME".to_owned(),
            ));
        }
    };
    let room = uri
        .stream
        .clone()
        .unwrap_or_else(|| options.default_stream.clone());
    check_stream_name(&room).map_err(|error| OpenError(error.to_string()))?;
    Ok(Box::new(Memory {
        room,
        capabilities: Capabilities {
            offerer,
            ..CAPABILITIES
        },
        generation: None,
        carrier: None,
    }))
}

struct Memory {
    room: String,
    capabilities: Capabilities,
    /// Of the last connection.
    generation: Option<u64>,
    /// Carries the last connection's outgoing notes.
    carrier: Option<JoinHandle<()>>,
}

#[async_trait]
impl Signaller for Memory {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn connect(&mut self) -> Result<Connection, SignallerError> {
        let (incoming_in, incoming) = mpsc::channel(QUEUE);
        let (outgoing, outgoing_out) = mpsc::channel(QUEUE);
        {
            let mut rooms = rooms();
            let room = rooms.entry(self.room.clone()).or_default();
            if let Some(outage) = &room.outage {
                return Err(outage.clone());
            }
            let foreign = self.generation != Some(room.generation);
            if foreign
                && room
                    .incoming
                    .as_ref()
                    .is_some_and(|incoming| !incoming.is_closed())
            {
                return Err(SignallerError::Permanent(format!(
                    "the room \"{}\" is taken",
                    self.room
                )));
            }
            room.generation += 1;
            room.incoming = Some(incoming_in);
            self.generation = Some(room.generation);
        }
        self.carrier = Some(tokio::spawn(carry(self.room.clone(), outgoing_out)));
        Ok(Connection {
            address: Some(format!("memory:{}", self.room)),
            incoming,
            outgoing,
        })
    }

    async fn close(&mut self) {
        // It ends when the owner has dropped its sender and all is delivered.
        if let Some(carrier) = self.carrier.take() {
            let _ = carrier.await;
        }
        let mut rooms = rooms();
        if rooms
            .get(&self.room)
            .is_some_and(|room| Some(room.generation) == self.generation)
        {
            rooms.remove(&self.room);
        }
    }
}

/// Hands notes to the peers of a room until the connection's owner is gone.
async fn carry(room: String, mut outgoing: mpsc::Receiver<Outgoing>) {
    while let Some(note) = outgoing.recv().await {
        let (peer, note, last) = match note {
            Outgoing::Message { peer, message } => (peer, Note::Message(message), false),
            Outgoing::Refuse { peer, refusal } => (peer, Note::Refused(refusal), true),
            Outgoing::End { peer, reason } => (peer, Note::Ended { reason }, true),
            Outgoing::Report { .. } => continue,
        };
        let mut rooms = rooms();
        let Some(room) = rooms.get_mut(&room) else {
            continue;
        };
        let stuck = room
            .peers
            .get(&peer)
            .is_some_and(|notes| notes.try_send(note).is_err());
        if last || stuck {
            room.peers.remove(&peer);
        }
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
