//! The signalling interface: how notes reach a far side, whatever carries them.
//!
//! A *scheme* (`listen`, `sigmund+ws`, …) is a row in the [`Registry`]: a
//! factory of [`Signaller`]s and the [`Capabilities`] of the channel. The
//! [`supervisor`] runs one signaller, and replaces its [`Connection`] with
//! backoff when it is lost; media sessions outlive that.

pub mod app;
pub(crate) mod dial;
pub(crate) mod envelope;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod gstwebrtc;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod hostile;
mod janus;
mod listen;
pub mod memory;
#[cfg(feature = "nats")]
mod nats;
mod registry;
pub(crate) mod socket;
#[cfg(unix)]
mod stdio;
pub mod supervisor;
mod v1;
mod whip;

use std::net::IpAddr;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::address::IceServer;
use crate::message::{Message, PeerId};

#[cfg(feature = "serve")]
pub(crate) use listen::reachable;
pub use registry::{OpenError, Registry};
pub use socket::are_ours;

/// What a channel for notes can do, and who speaks first on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Who makes the first offer, seen from us.
    pub offerer: Offerer,
    /// May the far side send candidates after its description?
    pub trickle_in: bool,
    /// May we send candidates after our description? If not, they travel in it.
    pub trickle_out: bool,
}

/// Who makes the first offer, and so all offers of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offerer {
    /// This side.
    Us,
    /// The far side.
    Them,
}

/// What the owner of the signaller does with media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It sends (`rtcsink`).
    Publish,
    /// It receives (`rtcsrc`).
    Subscribe,
    /// Both (`rtcpeer`).
    Both,
}

/// What a scheme needs to know to open a channel; copied from properties.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the owner does with media.
    pub role: Role,
    /// The stream name where the URI gives none (the element's name).
    pub default_stream: String,
    /// The token that peers must present to us, or that we present.
    pub token: Option<crate::access::Token>,
    /// Serve peers without a token even off loopback.
    pub allow_anonymous: bool,
    /// PEM files of the certificate chain and its key, for TLS when listening.
    pub tls: Option<TlsFiles>,
    /// PEM file of certificates that are trusted besides the system's roots,
    /// when we dial a server by TLS.
    pub tls_ca: Option<std::path::PathBuf>,
    /// For `app:`: the way to the application that carries the notes.
    pub app: Option<app::AppEnd>,
    /// What the owner can decode, where it receives; said before any offer.
    pub receives: Option<crate::sdp::Receives>,
    /// Handed to peers that ask for them (`Link: …; rel="ice-server"`).
    pub ice_servers: Vec<IceServer>,
    /// Names that our server goes by, besides `localhost` and IP addresses.
    pub allowed_hosts: Vec<String>,
    /// Foreign web pages that may use our server (`https://example.org`); `*` for all.
    pub allowed_origins: Vec<String>,
}

impl Options {
    /// The defaults: no token, no TLS, no ICE servers, no foreign pages.
    pub fn new(role: Role, default_stream: impl Into<String>) -> Self {
        Self {
            role,
            default_stream: default_stream.into(),
            token: None,
            allow_anonymous: false,
            tls: None,
            tls_ca: None,
            app: None,
            receives: None,
            ice_servers: Vec::new(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
        }
    }

    /// Reads the files that servers which we dial are verified by, as it may be
    /// long until one is. The error names the property, the file and its fault.
    pub fn check_files(&self) -> Result<(), String> {
        self.tls_ca.as_deref().map_or(Ok(()), dial::check_ca)
    }
}

/// Where a TLS certificate and its key lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// PEM file with the certificate chain, the server's own first.
    pub certificate: std::path::PathBuf,
    /// PEM file with the private key.
    pub key: std::path::PathBuf,
}

/// A channel for notes. See the module's documentation.
///
/// The supervisor calls [`connect`](Self::connect), uses the connection until
/// it is lost, and calls again; never twice at once.
#[async_trait]
pub trait Signaller: Send {
    /// What the channel can do. Constant for the life of the signaller.
    fn capabilities(&self) -> Capabilities;

    /// Opens the channel: binds, or dials and registers. Cancel safe.
    async fn connect(&mut self) -> Result<Connection, SignallerError>;

    /// Why the last connection was lost, where that is known. Asked once when its
    /// `incoming` has ended; an error that is permanent ends the supervisor.
    async fn lost(&mut self) -> Option<SignallerError> {
        None
    }

    /// Has a connection ever been of use? Where to connect is no proof of that, the
    /// server may be there and never have let us in. Asked when one is lost.
    fn is_proven(&self) -> bool {
        true
    }

    /// Closes for good; peers learn that we are gone. The caller sets a deadline.
    async fn close(&mut self);
}

/// One open channel; never reopened, only replaced.
#[derive(Debug)]
pub struct Connection {
    /// Where people can watch, when that is known (`http://127.0.0.1:8080/cam`).
    pub address: Option<String>,
    /// What arrives. Its end means that the channel is lost.
    pub incoming: mpsc::Receiver<Incoming>,
    /// What leaves. Bounded: a full queue means that the far side does not
    /// read, and is treated as loss of the channel by the caller.
    pub outgoing: mpsc::Sender<Outgoing>,
}

/// What arrives from signalling.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// A new peer is here. Its messages follow.
    Joined {
        /// Its name from now on.
        peer: PeerId,
        /// What is known of it.
        info: PeerInfo,
    },
    /// A note from a peer that has joined.
    Message {
        /// Who sent it.
        peer: PeerId,
        /// What it says.
        message: Message,
    },
    /// STUN and TURN servers that connections which are made from now on may
    /// use, instead of those that were named so before.
    IceServers(Vec<IceServer>),
    /// A peer has left, or the channel says so.
    Left {
        /// Who left.
        peer: PeerId,
        /// Why, for people to read.
        reason: String,
    },
}

/// What is known of a peer when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerInfo {
    /// How it speaks to us: `whep`, `memory`, …
    pub protocol: String,
    /// The network address that its notes come from; never logged at info.
    pub address: Option<IpAddr>,
    /// What program it says it is (`User-Agent`), cut to 200 characters.
    pub agent: Option<String>,
    /// What it can decode, where it has said so before any offer.
    pub receives: Option<crate::sdp::Receives>,
    /// How its notes travel, where that differs from the signaller's own
    /// capabilities (a WHEP viewer that a server forwards offers by itself).
    pub channel: Option<Capabilities>,
    /// Does it know `again`: can another connection follow, under the same name,
    /// one whose path is lost?
    pub again: bool,
    /// How long its side may take until it is connected, where that is more than
    /// usual because people carry its notes by hand.
    pub patience: Option<std::time::Duration>,
    /// By what a server knows it again ([`Info::mark`](crate::message::v1::Info::mark)).
    pub mark: Option<String>,
    /// Must its data channels be refused?
    pub no_data: bool,
    /// The most that may be sent to it, in bit/s, all its media together.
    pub max_bitrate: Option<u64>,
}

impl PeerInfo {
    /// What its token lets it do is to be kept by whoever sends to it.
    pub(crate) fn within(self, grant: &crate::access::Grant) -> Self {
        Self {
            no_data: !grant.rights.data,
            max_bitrate: grant.max_bitrate,
            ..self
        }
    }
}

/// What we tell signalling.
#[derive(Clone, Debug, PartialEq)]
pub enum Outgoing {
    /// A note for a peer.
    Message {
        /// Who gets it.
        peer: PeerId,
        /// What it says.
        message: Message,
    },
    /// We will not talk to this peer: its session never began.
    Refuse {
        /// Who is refused.
        peer: PeerId,
        /// Why.
        refusal: Refusal,
    },
    /// The session of this peer is over.
    End {
        /// Whose session.
        peer: PeerId,
        /// Why, for people to read.
        reason: String,
    },
    /// How the session of this peer goes: for a server's metrics. Others have no
    /// use for it, and it does not wait while the channel is down.
    Report {
        /// Whose session.
        peer: PeerId,
        /// What was measured.
        report: crate::message::v1::Report,
    },
}

impl Outgoing {
    /// Whom it is about.
    pub fn peer(&self) -> &PeerId {
        match self {
            Self::Message { peer, .. }
            | Self::Refuse { peer, .. }
            | Self::End { peer, .. }
            | Self::Report { peer, .. } => peer,
        }
    }
}

/// Why a peer is turned away. The text is meant for the peer's user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It offered nothing that we can send (HTTP 406).
    #[error("nothing in common: {0}")]
    Incompatible(String),
    /// Its description makes no sense (HTTP 400).
    #[error("bad description: {0}")]
    Malformed(String),
    /// There is no room for another peer now (HTTP 503).
    #[error("busy: {0}")]
    Busy(String),
    /// We failed (HTTP 500).
    #[error("failed here: {0}")]
    Failed(String),
}

/// Why a channel could not be opened, or was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignallerError {
    /// Trying again may help: a refused connection, a time-out.
    #[error("{0}")]
    Transient(String),
    /// Trying again cannot help: a port in use, a wrong token, no certificate.
    /// The text says what to do.
    #[error("{0}")]
    Permanent(String),
}
