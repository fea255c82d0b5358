//! `janus+ws(s)://HOST[:PORT]/ROOM`: publishes to a VideoRoom of the Janus
//! gateway, which serves the crowd; or watches the first one who publishes there.
//!
//! Janus is the one peer. When only the WebSocket is lost, the session is
//! claimed again on the next one, if Janus is configured to wait for that
//! (`reclaim_session_timeout`); else another one begins. When the session ends,
//! so does the channel, and the supervisor begins the next.

mod carrier;
mod link;
pub(super) mod protocol;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use self::carrier::{Carrier, Outcome};
use self::link::{Link, Session};
use super::dial::{self, Tls};
use super::socket::Socket;
use super::{
    Capabilities, Connection, Incoming, Offerer, OpenError, Options, PeerInfo, Role, Signaller,
    SignallerError,
};
use crate::access::Token;
use crate::address::SignallingUri;
use crate::message::{Message, PeerId};
use crate::sdp::Receives;

/// Of who publishes. Janus offers to who watches.
pub(super) const CAPABILITIES: Capabilities = Capabilities {
    offerer: Offerer::Us,
    trickle_in: true,
    trickle_out: true,
};

/// How many notes wait in each queue.
const QUEUE: usize = 256;

/// How long Janus may take to let us in.
const ENTRY: std::time::Duration = std::time::Duration::from_secs(10);

/// How long a farewell may take.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(2);

/// Where Janus listens unless configured otherwise, in clear text and with TLS.
const PORTS: (u16, u16) = (8188, 8989);

/// Makes a signaller for `uri`.
pub(super) fn open(
    uri: &SignallingUri,
    options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    if options.role == Role::Both {
        return Err(OpenError(
            "janus+ws(s) publishes or watches, not both in one session".to_owned(),
        ));
    }
    let write =
        || OpenError("write janus+ws://HOST/ROOM, as in janus+ws://127.0.0.1/1234".to_owned());
    let room = uri.stream.clone().ok_or_else(write)?;
    let (scheme, port) = match uri.scheme.as_str() {
        "janus+wss" => ("wss", PORTS.1),
        _ => ("ws", PORTS.0),
    };
    let url = dial::url(scheme, &uri.host, uri.port.unwrap_or(port)).ok_or_else(write)?;
    Ok(Box::new(Janus {
        watches: options.role == Role::Subscribe,
        url,
        room,
        display: options.default_stream.clone(),
        token: options.token.clone(),
        tls_ca: options.tls_ca.clone(),
        session: None,
        sessions: 0,
        carrier: None,
    }))
}

struct Janus {
    watches: bool,
    url: Url,
    room: String,
    /// What other participants of the room see.
    display: String,
    token: Option<Token>,
    tls_ca: Option<std::path::PathBuf>,
    /// What there is to be claimed when the WebSocket is lost.
    session: Option<(Session, PeerId)>,
    /// Counts them, for their names.
    sessions: u64,
    /// Carries the last connection's notes.
    carrier: Option<JoinHandle<Outcome>>,
}

/// A place in the room.
struct Entry {
    link: Link,
    session: Session,
    /// Is it the one from before?
    resumed: bool,
    /// What the room takes, if that is known.
    codecs: Option<Receives>,
    /// What Janus offers to who watches.
    offer: Option<Message>,
}

#[async_trait]
impl Signaller for Janus {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            offerer: match self.watches {
                true => Offerer::Them,
                false => Offerer::Us,
            },
            ..CAPABILITIES
        }
    }

    async fn connect(&mut self) -> Result<Connection, SignallerError> {
        // One that could not get rid of its notes is cut off.
        if let Some(carrier) = self.carrier.take() {
            carrier.abort();
        }
        let entered = timeout(ENTRY, self.enter()).await;
        let slow = || SignallerError::Transient("Janus takes too long to let us in".to_owned());
        let entered = entered.unwrap_or_else(|_| Err(slow()));
        let entry = entered.map_err(|error| match error {
            // What worked once may work again.
            SignallerError::Permanent(text) if self.sessions > 0 => SignallerError::Transient(text),
            error => error,
        })?;
        let (incoming_in, incoming) = mpsc::channel(QUEUE);
        let (outgoing, outgoing_out) = mpsc::channel(QUEUE);
        let peer = match self.session.take() {
            Some((_, peer)) if entry.resumed => peer,
            gone => {
                let gone = gone.map(|(_, peer)| peer);
                self.introduce(gone, entry.codecs, entry.offer, &incoming_in)
            }
        };
        self.session = Some((entry.session, peer.clone()));
        let carrier = Carrier::new(entry.link, peer);
        self.carrier = Some(tokio::spawn(carrier.run(outgoing_out, incoming_in)));
        Ok(Connection {
            address: None,
            incoming,
            outgoing,
        })
    }

    async fn lost(&mut self) -> Option<SignallerError> {
        match self.carrier.take()?.await.ok()? {
            Outcome::Lost(error) => Some(error),
            Outcome::Over(error) => {
                self.session = None;
                Some(error)
            }
            Outcome::Closed(_) => None,
        }
    }

    async fn close(&mut self) {
        // It ends when the owner has dropped its sender and all is said.
        if let Some(carrier) = self.carrier.take()
            && let Ok(Outcome::Closed(link)) = carrier.await
        {
            let _ = timeout(FAREWELL, link.destroy()).await;
        }
    }
}

impl Janus {
    /// Dials, and takes a place in the room; or the one from before.
    async fn enter(&self) -> Result<Entry, SignallerError> {
        let tls = Tls::new(self.tls_ca.clone());
        let socket = dial::websocket(&self.url, &tls, Some("janus-protocol"), None).await?;
        let mut link = Link::new(Socket::new(socket), self.token.clone());
        if let Some((session, _)) = self.session
            && link.claim(session).await?
        {
            return Ok(Entry {
                link,
                session,
                resumed: true,
                codecs: None,
                offer: None,
            });
        }
        let session = link.create().await?;
        if self.watches {
            let offer = link.subscribe(&self.room).await?;
            return Ok(Entry {
                link,
                session,
                resumed: false,
                codecs: None,
                offer: Some(offer),
            });
        }
        let codecs = link.codecs(&self.room).await?;
        link.join(&self.room, &self.display).await?;
        Ok(Entry {
            link,
            session,
            resumed: false,
            codecs,
            offer: None,
        })
    }

    /// A new peer is here; one from before is gone.
    fn introduce(
        &mut self,
        gone: Option<PeerId>,
        receives: Option<Receives>,
        offer: Option<Message>,
        incoming: &mpsc::Sender<Incoming>,
    ) -> PeerId {
        self.sessions += 1;
        let peer = PeerId::new(format!("janus-{}", self.sessions));
        let left = gone.map(|peer| Incoming::Left {
            peer,
            reason: "Janus has ended the session".to_owned(),
        });
        let joined = Incoming::Joined {
            peer: peer.clone(),
            info: PeerInfo {
                protocol: "janus".to_owned(),
                receives,
                ..PeerInfo::default()
            },
        };
        let offer = offer.map(|message| Incoming::Message {
            peer: peer.clone(),
            message,
        });
        for note in left.into_iter().chain([joined]).chain(offer) {
            // The queue is new, there is room.
            let _ = incoming.try_send(note);
        }
        peer
    }
}

#[cfg(test)]
mod tests;
