//! `gstwebrtc(s)://HOST[:PORT][/NAME]`, also `gstwebrtc+ws(s)://`: the signalling
//! server of gst-plugins-rs, as a [`producer`], or as a [`consumer`] of the one
//! that has this id or name.
//!
//! Consumers ask for sessions; we offer, unless a consumer brings an offer of
//! its own. A session is a peer. Their server forgets sessions with the
//! WebSocket, so a peer from before a loss is not heard any more; its media
//! flow on until it leaves.

mod consumer;
mod heard;
mod producer;
pub(crate) mod protocol;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use self::consumer::Consumer;
use self::protocol::{Status, ToPeer, ToServer};
use super::dial::{self, Tls, quote};
use super::socket::Socket;
use super::{
    Capabilities, Connection, Offerer, OpenError, Options, Role, Signaller, SignallerError,
};
use crate::access::Token;
use crate::address::{SignallingUri, check_stream_name};

/// Of consumers that bring no offer.
pub(super) const CAPABILITIES: Capabilities = Capabilities {
    offerer: Offerer::Us,
    trickle_in: true,
    trickle_out: true,
};

/// Where their server listens unless told otherwise, with and without TLS.
const PORT: u16 = 8443;

/// How many notes wait in each queue; several for each of hundreds of peers.
const QUEUE: usize = 4096;

/// How long the server may take to greet and to register us.
const ENTRY: Duration = Duration::from_secs(10);

/// Makes a signaller for `uri`.
pub(super) fn open(
    uri: &SignallingUri,
    options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    let side = match options.role {
        Role::Publish => Side::Producer,
        Role::Subscribe => Side::Consumer,
        Role::Both => {
            let text = "gstwebrtc(s) sends or receives, not both".to_owned();
            return Err(OpenError(text));
        }
    };
    let scheme = match uri.scheme.as_str() {
        "gstwebrtcs" | "gstwebrtc+wss" => "wss",
        _ => "ws",
    };
    let url = dial::url(scheme, &uri.host, uri.port.unwrap_or(PORT)).ok_or_else(|| {
        OpenError("write gstwebrtc://HOST:PORT, as in gstwebrtc://127.0.0.1:8443".to_owned())
    })?;
    let name = uri.stream.clone();
    let name = name.or_else(|| (side == Side::Producer).then(|| options.default_stream.clone()));
    if let Some(name) = &name {
        check_stream_name(name).map_err(|error| OpenError(error.to_string()))?;
    }
    Ok(Box::new(GstWebRtc {
        url,
        side,
        name,
        token: options.token.clone(),
        tls_ca: options.tls_ca.clone(),
        carrier: None,
    }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Producer,
    Consumer,
}

struct GstWebRtc {
    url: Url,
    side: Side,
    /// What consumers see in their lists; who is watched.
    name: Option<String>,
    /// For a server behind a proxy that asks for one.
    token: Option<Token>,
    tls_ca: Option<std::path::PathBuf>,
    /// Carries the last connection's notes.
    carrier: Option<JoinHandle<Result<(), SignallerError>>>,
}

#[async_trait]
impl Signaller for GstWebRtc {
    fn capabilities(&self) -> Capabilities {
        match self.side {
            Side::Producer => CAPABILITIES,
            Side::Consumer => Capabilities {
                offerer: Offerer::Them,
                ..CAPABILITIES
            },
        }
    }

    async fn connect(&mut self) -> Result<Connection, SignallerError> {
        let tls = Tls::new(self.tls_ca.clone());
        let socket = dial::websocket(&self.url, &tls, None, self.token.as_ref()).await?;
        let mut socket = Socket::new(socket);
        let slow = |_| SignallerError::Transient("the server does not register us".to_owned());
        let (incoming_in, incoming) = mpsc::channel(QUEUE);
        let (outgoing, outgoing_out) = mpsc::channel(QUEUE);
        let carrier = match self.side {
            Side::Producer => {
                let name = self.name.as_deref().unwrap_or_default();
                let entered = timeout(ENTRY, register(&mut socket, name)).await;
                let early = entered.map_err(slow)??;
                tokio::spawn(producer::carry(socket, early, outgoing_out, incoming_in))
            }
            Side::Consumer => {
                timeout(ENTRY, enter(&mut socket)).await.map_err(slow)??;
                let consumer = Consumer::new(self.name.clone());
                let carried = consumer::carry(socket, consumer, outgoing_out, incoming_in);
                tokio::spawn(carried)
            }
        };
        self.carrier = Some(carrier);
        Ok(Connection {
            address: None,
            incoming,
            outgoing,
        })
    }

    async fn lost(&mut self) -> Option<SignallerError> {
        self.carrier.take()?.await.ok()?.err()
    }

    async fn close(&mut self) {
        // It ends when the owner has dropped its sender and all is said.
        if let Some(carrier) = self.carrier.take() {
            let _ = carrier.await;
        }
    }
}

/// What the server calls us.
async fn welcome(socket: &mut Socket) -> Result<String, SignallerError> {
    loop {
        if let ToPeer::Welcome { peer_id } = socket.receive_json().await? {
            return Ok(peer_id);
        }
    }
}

/// Is told of producers from now on, and asks who there is.
async fn enter(socket: &mut Socket) -> Result<(), SignallerError> {
    let own = welcome(socket).await?;
    socket.send(&Consumer::status(own)).await?;
    socket.send(&ToServer::List).await
}

/// Becomes a producer, and makes sure of it: the server confirms nothing, but
/// answers in order, so its list of producers must have us. Returns what quick
/// consumers have said meanwhile.
async fn register(socket: &mut Socket, name: &str) -> Result<Vec<ToPeer>, SignallerError> {
    let own = welcome(socket).await?;
    let status = ToServer::SetPeerStatus(Status {
        roles: vec![protocol::Role::Producer],
        meta: Some(json!({"name": name})),
        peer_id: Some(own.clone()),
    });
    socket.send(&status).await?;
    socket.send(&ToServer::List).await?;
    let mut early = Vec::new();
    loop {
        match socket.receive_json().await? {
            ToPeer::List { producers } if producers.iter().any(|it| it.id == own) => {
                return Ok(early);
            }
            ToPeer::List { .. } => {
                let text = "the server has not registered us".to_owned();
                return Err(SignallerError::Transient(text));
            }
            ToPeer::Error { details } => {
                let why = quote(details.as_bytes());
                let text = format!("the server does not register us: {why}");
                return Err(SignallerError::Permanent(text));
            }
            other if early.len() < QUEUE => early.push(other),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests;
