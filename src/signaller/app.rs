//! `app:`: the application carries the notes, as JSON of `sigmund.v1`, over
//! whatever it has.
//!
//! There is no server, so nobody says hello: the application announces peers
//! to a publisher (`joined`, `left`), and both ways it relays what they say to
//! each other. See `docs/sigmund-v1.md`.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::envelope::{CHANNEL, from_publisher, from_viewer, publisher_joined, to_incoming};
use super::{
    Capabilities, Connection, Incoming, Offerer, OpenError, Options, Outgoing, Role, Signaller,
    SignallerError,
};
use crate::address::SignallingUri;
use crate::message::PeerId;
use crate::message::v1::{Envelope, MAX_TO_CLIENT, PUBLISHER};

/// Of a publisher, whose peers can say otherwise (`info`).
pub(super) const CAPABILITIES: Capabilities = CHANNEL;

/// How many notes wait in each queue.
const QUEUE: usize = 4096;

/// How many peers may be there at once.
const PEERS: usize = 65_536;

/// A channel between an application and the element that it carries notes for.
///
/// The end goes into [`Options::app`]; the receiver yields what the element
/// says, a JSON object each, and ends when the element and its options are gone.
pub fn channel() -> (AppEnd, AppHandle, mpsc::Receiver<String>) {
    let (messages_in, messages) = mpsc::channel(QUEUE);
    let shared = Arc::default();
    let end = AppEnd {
        shared: Arc::clone(&shared),
        messages: messages_in,
    };
    (end, AppHandle { shared }, messages)
}

/// The element's end of a [`channel`].
#[derive(Clone)]
pub struct AppEnd {
    shared: Arc<Mutex<Shared>>,
    messages: mpsc::Sender<String>,
}

impl fmt::Debug for AppEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppEnd")
    }
}

/// The application's end of a [`channel`], to be used from any thread.
#[derive(Clone)]
pub struct AppHandle {
    shared: Arc<Mutex<Shared>>,
}

impl fmt::Debug for AppHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppHandle")
    }
}

/// Why a message from the application was not taken; for people to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FeedError(pub String);

/// Never held across a wait.
#[derive(Default)]
struct Shared {
    /// To the element; `None` while it is not running.
    incoming: Option<mpsc::Sender<Incoming>>,
    views: bool,
    /// Who has joined and not left.
    peers: HashSet<PeerId>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AppHandle {
    /// Hands over one message for the element. Never waits.
    ///
    /// A publisher takes `joined`, `left` and `note`; a viewer takes `note`,
    /// `refused` and `ended`. What has an unknown type is skipped.
    pub fn feed(&self, json: &str) -> Result<(), FeedError> {
        let wrong = |why: &str| FeedError(why.to_owned());
        if json.len() > MAX_TO_CLIENT {
            return Err(wrong("the message is too long"));
        }
        let envelope = Envelope::read(json).map_err(|error| FeedError(error.to_string()))?;
        let Some(envelope) = envelope else {
            return Ok(());
        };
        let mut shared = lock(&self.shared);
        let Some(incoming) = shared.incoming.clone() else {
            return Err(wrong("the element is not running"));
        };
        let note = if shared.views {
            from_publisher(envelope)
                .ok_or_else(|| wrong("a viewer takes note, refused and ended only"))
        } else {
            to_incoming(envelope)
                .ok_or_else(|| wrong("a publisher takes joined, left and note only"))
        }?;
        let place = incoming.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => wrong("the element has too much to do"),
            mpsc::error::TrySendError::Closed(()) => wrong("the element is not running"),
        })?;
        let peers = &mut shared.peers;
        match &note {
            Incoming::Joined { .. } if peers.len() >= PEERS => {
                return Err(wrong("there are too many peers"));
            }
            Incoming::Joined { peer, .. } if !peers.insert(peer.clone()) => {
                return Err(wrong("a peer of that name has joined already"));
            }
            Incoming::Left { peer, .. } if !peers.remove(peer) => {
                return Err(wrong("no peer of that name is here"));
            }
            Incoming::Message { peer, .. } if !peers.contains(peer) => {
                return Err(wrong("no peer of that name is here"));
            }
            _ => {}
        }
        place.send(note);
        Ok(())
    }
}

/// Makes a signaller for `app:`.
pub(super) fn open(_: &SignallingUri, options: &Options) -> Result<Box<dyn Signaller>, OpenError> {
    let end = options.app.clone().ok_or_else(|| {
        OpenError("there is no application here that could carry notes for app:".to_owned())
    })?;
    let views = match options.role {
        Role::Publish => false,
        Role::Subscribe => true,
        Role::Both => return Err(OpenError("app: has publishers and viewers only".to_owned())),
    };
    Ok(Box::new(App {
        end,
        views,
        carrier: None,
    }))
}

struct App {
    end: AppEnd,
    views: bool,
    /// Carries the last connection's outgoing notes.
    carrier: Option<JoinHandle<()>>,
}

#[async_trait]
impl Signaller for App {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            offerer: if self.views {
                Offerer::Them
            } else {
                Offerer::Us
            },
            ..CAPABILITIES
        }
    }

    async fn connect(&mut self) -> Result<Connection, SignallerError> {
        if self.end.messages.is_closed() {
            let why = "the application does not listen to app: any more";
            return Err(SignallerError::Permanent(why.to_owned()));
        }
        let (incoming_in, incoming) = mpsc::channel(QUEUE);
        let (outgoing, outgoing_out) = mpsc::channel(QUEUE);
        {
            let mut shared = lock(&self.end.shared);
            shared.views = self.views;
            if self.views && shared.peers.insert(PeerId::new(PUBLISHER)) {
                // It is the first of an empty queue.
                let _ = incoming_in.try_send(publisher_joined("app", self.capabilities()));
            }
            shared.incoming = Some(incoming_in);
        }
        let carry = carry(self.end.clone(), self.views, outgoing_out);
        self.carrier = Some(tokio::spawn(carry));
        Ok(Connection {
            address: None,
            incoming,
            outgoing,
        })
    }

    async fn close(&mut self) {
        // It ends when the owner has dropped its sender and all is delivered.
        if let Some(carrier) = self.carrier.take() {
            let _ = carrier.await;
        }
        *lock(&self.end.shared) = Shared::default();
    }
}

/// Hands notes to the application until the connection's owner is gone.
async fn carry(end: AppEnd, views: bool, mut outgoing: mpsc::Receiver<Outgoing>) {
    while let Some(note) = outgoing.recv().await {
        if let Outgoing::Report { .. } = &note {
            continue;
        }
        if let Outgoing::End { peer, .. } | Outgoing::Refuse { peer, .. } = &note {
            lock(&end.shared).peers.remove(peer);
        }
        let envelope = if views {
            from_viewer(note)
        } else {
            note.into()
        };
        if end.messages.send(envelope.write()).await.is_err() {
            // Nobody listens: that is the loss of the channel.
            lock(&end.shared).incoming = None;
            return;
        }
    }
}

#[cfg(test)]
#[path = "app_tests.rs"]
mod tests;
