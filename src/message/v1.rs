//! `sigmund.v1`: the envelopes in which notes travel between a server and its
//! clients, and over every other channel that carries JSON.
//!
//! One JSON object a message; `docs/sigmund-v1.md` is its description for
//! people, `vectors/v1.json` its examples. What has an unknown `type` is
//! skipped, so that later additions do no harm; an unknown version is refused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MAX_REASON, Message, PeerId, TooLong, VERSION, limit};
use crate::address::check_stream_name;
use crate::sdp::Receives;

/// What a viewer calls the far side: it has only one.
pub const PUBLISHER: &str = "publisher";

/// The longest message to a server, in bytes. A description of
/// [`MAX_SDP`](super::MAX_SDP) fits, with its line ends escaped.
pub const MAX_TO_SERVER: usize = 128 * 1024;

/// The longest message to a client, in bytes. Only a [`Welcome`] to a publisher
/// that resumes with thousands of peers is ever longer than [`MAX_TO_SERVER`].
pub const MAX_TO_CLIENT: usize = 256 * 1024;

/// The longest name of a peer, in bytes.
pub const MAX_PEER: usize = 128;

/// The longest token, in bytes; a JWT has some hundreds.
pub const MAX_TOKEN: usize = 4096;

/// The longest secret for resuming, in bytes.
pub const MAX_RESUME: usize = 128;

/// How many characters of a program's name are kept.
pub const MAX_AGENT: usize = 200;

/// How many codecs of one kind a viewer may name; browsers name about 30.
pub const MAX_CODECS: usize = 64;

/// The longest name or profile of a codec, in bytes.
pub const MAX_CODEC: usize = super::MAX_CODEC;

/// How many ICE servers, and URLs of each, are taken from a server.
pub const MAX_ICE_SERVERS: usize = 16;

/// The longest mark of a peer, in bytes.
pub const MAX_MARK: usize = 64;

/// How many sessions a publisher may list when it says hello.
pub const MAX_STANDING: usize = 4096;

/// The longest URL, user name or credential of an ICE server, in bytes.
pub const MAX_ICE_TEXT: usize = 2048;

/// Every `type` there is.
const TYPES: [&str; 12] = [
    "hello",
    "welcome",
    "error",
    "ice-servers",
    "joined",
    "left",
    "note",
    "refuse",
    "end",
    "refused",
    "ended",
    "report",
];

/// Every `type` of a [`Message`].
const NOTES: [&str; 7] = [
    "offer",
    "answer",
    "please-offer",
    "candidate",
    "end-of-candidates",
    "again",
    "bye",
];

/// One message of the protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Envelope {
    /// Client to server, first.
    Hello(Hello),
    /// Server to client: it is let in.
    Welcome(Welcome),
    /// Server to client, last: why the connection ends.
    Error(Failure),
    /// Server to client: the STUN and TURN servers to use from now on, before
    /// the credentials of those of before end.
    #[serde(rename_all = "camelCase")]
    IceServers {
        /// All of them.
        ice_servers: Vec<IceServer>,
    },
    /// To a host, and to a viewer that waits: a peer is here.
    Joined {
        /// Its name from now on.
        peer: PeerId,
        /// What is known of it.
        #[serde(default)]
        info: Info,
    },
    /// To a host, and to a viewer that waits: a peer is gone.
    Left {
        /// Who.
        peer: PeerId,
        /// Why, for people to read.
        #[serde(default)]
        reason: String,
    },
    /// Both ways: a note from a peer, or for one.
    Note {
        /// From whom, or for whom; for a viewer always [`PUBLISHER`].
        peer: PeerId,
        /// What it says.
        note: Message,
    },
    /// From a host, and from a viewer that waits: a peer's session will not begin.
    Refuse {
        /// Whose.
        peer: PeerId,
        /// Whose fault it is.
        kind: Kind,
        /// Why, for the peer's user to read.
        #[serde(default)]
        text: String,
    },
    /// From a host, and from a viewer that waits: a peer's session is over.
    End {
        /// Whose.
        peer: PeerId,
        /// Why, for people to read.
        #[serde(default)]
        reason: String,
    },
    /// From a publisher, now and then: how a peer's session goes.
    Report {
        /// Whose.
        peer: PeerId,
        /// What was measured.
        #[serde(flatten)]
        report: Report,
    },
    /// To a viewer: its session will not begin.
    Refused {
        /// Whose fault it is.
        kind: Kind,
        /// Why, for its user to read.
        #[serde(default)]
        text: String,
    },
    /// To a viewer: its session is over.
    Ended {
        /// Why, for people to read.
        #[serde(default)]
        reason: String,
    },
}

/// Who a client is and what it wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`].
    pub version: String,
    /// What it does.
    pub role: Role,
    /// With which stream.
    pub stream: String,
    /// What lets it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// [`Welcome::resume`] of the connection that it has lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Secret>,
    /// A publisher that comes back: the peers whose sessions it still has. A
    /// server that does not know them keeps their places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Standing>,
    /// A viewer: it keeps its place while nobody publishes the stream, and learns
    /// by [`Envelope::Joined`] and [`Envelope::Left`] who does. It takes streams
    /// that come by WHIP, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wait: bool,
    /// With `resume`, in a call: it was the host, and is so again where the server
    /// has forgotten it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub host: bool,
    /// What it can decode, where the far side offers. That chooses from it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receives: Option<Receives>,
    /// What program it is, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// A session that a publisher has, as it tells a server that may have lost it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whose.
    pub peer: PeerId,
    /// [`Info::mark`], as it was when the peer joined.
    pub mark: String,
}

/// How a session goes, as its publisher measures it; all numbers are counted
/// from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// Bytes that were sent.
    pub bytes_sent: u64,
    /// Bytes that have arrived.
    pub bytes_received: u64,
    /// RTP packets that were sent.
    pub packets_sent: u64,
    /// Those of them that the peer says it has not got.
    pub packets_lost: u64,
    /// How long a packet and its echo take, in seconds, at the last look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt: Option<f64>,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It is the stream's source.
    Publish,
    /// It watches.
    View,
    /// Both. The first becomes the call's host, which offers to the next.
    Call,
}

/// The server's answer to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// [`VERSION`].
    pub version: String,
    /// What others call the client.
    pub peer: PeerId,
    /// To be shown when it comes back after it has lost the connection.
    pub resume: Secret,
    /// STUN and TURN servers to use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ice_servers: Vec<IceServer>,
    /// Where people can watch the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// In a call: others come to it, as to a publisher.
    #[serde(default, skip_serializing_if = "is_false")]
    pub host: bool,
    /// To a publisher that has resumed: the peers that are still here. Absent
    /// when it begins anew. To a viewer that waits: whether its publisher is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Vec<PeerId>>,
}

/// Why a server ends a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub code: Code,
    /// For people.
    #[serde(default)]
    pub text: String,
    /// May the same hello succeed later?
    #[serde(default)]
    pub retry: bool,
}

/// Why a server ends a connection, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The token is missing, wrong, or does not allow that.
    Unauthorized,
    /// There is no such stream (now).
    NotFound,
    /// Another publisher has the stream.
    Taken,
    /// The publisher or the server has too much to do.
    Busy,
    /// A message made no sense, or came at the wrong time.
    Malformed,
    /// The version, or what is asked for, is none of this server's.
    Unsupported,
    /// What was to be resumed is no longer there; or the server stops.
    Gone,
    /// The client does not read what it is sent.
    Slow,
    /// The client has more connections, sessions or messages than it may.
    TooMany,
    /// One of a later server.
    #[serde(other)]
    Other,
}

impl Code {
    /// As it stands in the JSON; also the reason of the WebSocket's close frame.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not-found",
            Self::Taken => "taken",
            Self::Busy => "busy",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Gone => "gone",
            Self::Slow => "slow",
            Self::TooMany => "too-many",
            Self::Other => "other",
        }
    }
}

/// Why a publisher turns a peer away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// They have no codec in common.
    Incompatible,
    /// Its description makes no sense.
    Malformed,
    /// There is no room for another peer now.
    Busy,
    /// The publisher failed; also what later kinds are read as.
    #[serde(other)]
    Failed,
}

/// What a publisher learns of a peer that joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// How the peer speaks to the server: `v1`, `whep`, …
    #[serde(default)]
    pub protocol: String,
    /// What program it says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What it can decode, if it has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receives: Option<Receives>,
    /// Does the peer make the offers? If not, the publisher does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub offers: bool,
    /// Can candidates still reach the peer after the publisher's description?
    /// If not, they travel in it.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub trickle: bool,
    /// By what a server knows the peer again, should it forget everything: to be
    /// kept, and shown in [`Hello::sessions`]. Opaque, and no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// May the peer open data channels?
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub data: bool,
    /// The most that may be sent to the peer, in bit/s, all its media together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bitrate: Option<u64>,
    /// Can another connection follow one that is lost (the note `again`)? If
    /// nothing is said, then where the publisher makes the offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<bool>,
}

impl Default for Info {
    fn default() -> Self {
        Self {
            protocol: String::new(),
            agent: None,
            receives: None,
            offers: false,
            trickle: true,
            mark: None,
            data: true,
            max_bitrate: None,
            again: None,
        }
    }
}

/// A STUN or TURN server, as browsers take it (`RTCIceServer` of WebRTC 1.0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:…`, `turn:…`, `turns:…`
    pub urls: Vec<String>,
    /// For TURN: the user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For TURN: the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Secret>,
}

impl From<&crate::address::IceServer> for IceServer {
    fn from(server: &crate::address::IceServer) -> Self {
        Self {
            urls: vec![server.to_url()],
            username: server.username.clone(),
            credential: server.password.clone().map(Secret::new),
        }
    }
}

impl IceServer {
    /// One server for each URL. Those that make no sense to us are left out, as
    /// browsers may know more schemes than we do.
    pub fn read(&self) -> Vec<crate::address::IceServer> {
        let credential = self.credential.as_ref().map(Secret::reveal);
        let credentials = self.username.as_deref().zip(credential);
        let read = |url: &String| crate::address::IceServer::from_url(url, credentials).ok();
        self.urls.iter().filter_map(read).collect()
    }
}

/// A program's name as it can be shown: one line, not too long.
pub fn agent(text: &str) -> String {
    let shown = text.chars().filter(|it| !it.is_control());
    shown.take(MAX_AGENT).collect()
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps the secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a text is no message of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It breaks the protocol; the text says where.
    #[error("{0}")]
    Malformed(String),
    /// It is of another version.
    #[error("only version {VERSION} is spoken here")]
    Unsupported,
}

impl From<TooLong> for ReadError {
    fn from(error: TooLong) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Envelope {
    /// Reads one message, whose length the caller has limited. `None` for one
    /// whose type, or whose note's type, is unknown.
    ///
    /// What is read is within all limits of this module.
    pub fn read(text: &str) -> Result<Option<Self>, ReadError> {
        let malformed = |error: &dyn std::fmt::Display| {
            let shown = error.to_string().chars().take(200).collect::<String>();
            ReadError::Malformed(shown)
        };
        let value: Value = serde_json::from_str(text)
            .map_err(|error| malformed(&format_args!("that is no JSON: {error}")))?;
        let kind = value.get("type").and_then(Value::as_str);
        let kind = kind.ok_or_else(|| malformed(&"a message is an object with a text `type`"))?;
        let Some(&kind) = TYPES.iter().find(|known| **known == kind) else {
            return Ok(None);
        };
        let note = value.get("note").and_then(|note| note.get("type"));
        match (kind, note.and_then(Value::as_str)) {
            ("note", Some(note)) if !NOTES.contains(&note) => return Ok(None),
            _ => {}
        }
        let version = value.get("version").and_then(Value::as_str);
        if ["hello", "welcome"].contains(&kind) && version.is_some_and(|it| it != VERSION) {
            return Err(ReadError::Unsupported);
        }
        let envelope: Self = serde_json::from_value(value)
            .map_err(|error| malformed(&format_args!("`{kind}`: {error}")))?;
        envelope.check()?;
        Ok(Some(envelope))
    }

    /// Writes it on one line.
    pub fn write(&self) -> String {
        // Texts, numbers and lists of them: nothing that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Is it within all limits of this module?
    pub(crate) fn check(&self) -> Result<(), ReadError> {
        match self {
            Self::Hello(hello) => hello.check(),
            Self::Welcome(welcome) => welcome.check(),
            Self::Error(Failure { text, .. }) | Self::Refused { text, .. } => reason(text),
            Self::Ended { reason: text } => reason(text),
            Self::IceServers { ice_servers } => check_ice_servers(ice_servers),
            Self::Report { peer, .. } => check_peer(peer),
            Self::Joined { peer, info } => {
                check_peer(peer)?;
                limit("mark", info.mark.as_deref().unwrap_or_default(), MAX_MARK)?;
                limit("protocol", &info.protocol, MAX_CODEC)?;
                check_program(info.agent.as_deref(), info.receives.as_ref())
            }
            Self::Note { peer, note } => {
                check_peer(peer)?;
                Ok(note.check()?)
            }
            Self::Left { peer, reason: text }
            | Self::End { peer, reason: text }
            | Self::Refuse { peer, text, .. } => {
                check_peer(peer)?;
                reason(text)
            }
        }
    }
}

impl Hello {
    fn check(&self) -> Result<(), ReadError> {
        check_stream_name(&self.stream).map_err(|error| ReadError::Malformed(error.to_string()))?;
        let shown = |secret: &'_ Option<Secret>| secret.as_ref().map_or(0, |it| it.0.len());
        if shown(&self.token) > MAX_TOKEN || shown(&self.resume) > MAX_RESUME {
            return Err(ReadError::Malformed("the token is too long".into()));
        }
        if self.sessions.len() > MAX_STANDING {
            return Err(ReadError::Malformed(format!(
                "at most {MAX_STANDING} sessions are taken back"
            )));
        }
        for standing in &self.sessions {
            check_peer(&standing.peer)?;
            limit("mark", &standing.mark, MAX_MARK)?;
        }
        check_program(self.agent.as_deref(), self.receives.as_ref())
    }
}

impl Welcome {
    fn check(&self) -> Result<(), ReadError> {
        check_peer(&self.peer)?;
        limit("resume", self.resume.reveal(), MAX_RESUME)?;
        limit(
            "address",
            self.address.as_deref().unwrap_or_default(),
            MAX_ICE_TEXT,
        )?;
        self.sessions.iter().flatten().try_for_each(check_peer)?;
        check_ice_servers(&self.ice_servers)
    }
}

fn check_ice_servers(servers: &[IceServer]) -> Result<(), ReadError> {
    let many = |count| count > MAX_ICE_SERVERS;
    if many(servers.len()) || servers.iter().any(|it| many(it.urls.len())) {
        return Err(ReadError::Malformed("too many ICE servers".into()));
    }
    for server in servers {
        let secret = server.credential.as_ref().map(Secret::reveal);
        let texts = server
            .urls
            .iter()
            .chain(&server.username)
            .map(String::as_str);
        for text in texts.chain(secret) {
            limit("text of an ICE server", text, MAX_ICE_TEXT)?;
        }
    }
    Ok(())
}

fn check_peer(peer: &PeerId) -> Result<(), ReadError> {
    let name = peer.as_str();
    if name.is_empty() || name.len() > MAX_PEER || name.chars().any(char::is_control) {
        return Err(ReadError::Malformed(format!(
            "a peer's name has 1 to {MAX_PEER} bytes and no control characters"
        )));
    }
    Ok(())
}

fn check_program(agent: Option<&str>, receives: Option<&Receives>) -> Result<(), ReadError> {
    limit("agent", agent.unwrap_or_default(), MAX_REASON)?;
    let lists = receives.map(|it| [&it.video, &it.audio]);
    for list in lists.into_iter().flatten() {
        if list.len() > MAX_CODECS {
            return Err(ReadError::Malformed(format!(
                "at most {MAX_CODECS} codecs of a kind are taken"
            )));
        }
        for codec in list {
            limit("codec's name", &codec.codec, MAX_CODEC)?;
            limit(
                "codec's profile",
                codec.profile.as_deref().unwrap_or_default(),
                MAX_CODEC,
            )?;
        }
    }
    Ok(())
}

fn reason(text: &str) -> Result<(), ReadError> {
    Ok(limit("reason", text, MAX_REASON)?)
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_true(value: &bool) -> bool {
    *value
}

#[cfg(test)]
#[path = "v1_tests.rs"]
mod tests;
