//! The messages of gst-plugins-rs' signalling server (`webrtcsink`,
//! `webrtcsrc`, `gstwebrtc-api`), both ways.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::{Candidate, Message};

/// The longest name of a peer or a session that is taken; theirs have 36.
pub(crate) const MAX_ID: usize = 128;

/// What a peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Role {
    /// It sends.
    Producer,
    /// It is told who produces.
    Listener,
    /// It waits to be called by a producer.
    Consumer,
}

/// What a peer is, as it or the server says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    #[serde(default)]
    pub(crate) roles: Vec<Role>,
    #[serde(default)]
    pub(crate) meta: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peer_id: Option<String>,
}

/// A peer in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) meta: Option<Value>,
}

/// From one peer to the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Note {
    pub(crate) session_id: String,
    #[serde(flatten)]
    pub(crate) body: Body,
}

/// What a [`Note`] says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Body {
    #[serde(rename_all = "camelCase")]
    Ice {
        candidate: String,
        /// Their server wants it, their web client may not have it.
        #[serde(default)]
        sdp_m_line_index: Option<u32>,
    },
    Sdp(Description),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum Description {
    Offer { sdp: String },
    Answer { sdp: String },
}

/// From the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum ToPeer {
    /// First of all: what the peer is called.
    Welcome { peer_id: String },
    /// To listeners.
    PeerStatusChanged(Status),
    /// To a producer: a consumer wants a session; with `offer`, its own terms.
    StartSession {
        peer_id: String,
        session_id: String,
        #[serde(default)]
        offer: Option<String>,
    },
    /// To a consumer that has asked for a session.
    SessionStarted { peer_id: String, session_id: String },
    /// The other peer has ended it, or is gone.
    EndSession { session_id: String },
    /// The same, for those who speak version 1.1.
    #[serde(rename = "endSessionV1_1")]
    EndSessionWhy {
        session_id: String,
        #[serde(default)]
        error: Option<String>,
    },
    /// From the other peer.
    Peer(Note),
    /// Who produces.
    List { producers: Vec<Listed> },
    /// Who waits to be called.
    ListConsumers { consumers: Vec<Listed> },
    /// What the peer last said was no good.
    Error { details: String },
}

/// To the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum ToServer {
    /// First, by those who speak another version than 1.0 (`v1_1`).
    SetProtocolVersion { version: String },
    /// What the peer does from now on.
    SetPeerStatus(Status),
    /// A consumer wants a session with a producer.
    StartSession {
        peer_id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<String>,
    },
    /// It is over.
    EndSession { session_id: String },
    /// The same, of those who speak version 1.1.
    #[serde(rename = "endSessionV1_1")]
    EndSessionWhy {
        session_id: String,
        #[serde(default)]
        error: Option<String>,
    },
    /// To the other peer.
    Peer(Note),
    /// Who produces?
    List,
    /// Who waits to be called?
    ListConsumers,
}

impl Body {
    /// As they say it; `None` for what they cannot say.
    pub(crate) fn from_message(message: Message) -> Option<Self> {
        match message {
            Message::Offer { sdp } => Some(Self::Sdp(Description::Offer { sdp })),
            Message::Answer { sdp } => Some(Self::Sdp(Description::Answer { sdp })),
            Message::Candidate(candidate) => Some(Self::Ice {
                candidate: candidate.candidate,
                // The first m-line has the transport, if nothing else is said.
                sdp_m_line_index: Some(candidate.sdp_m_line_index.unwrap_or(0)),
            }),
            Message::PleaseOffer { .. }
            | Message::EndOfCandidates
            | Message::Again { .. }
            | Message::Bye { .. } => None,
        }
    }

    /// As we say it.
    pub(crate) fn into_message(self) -> Message {
        match self {
            Self::Sdp(Description::Offer { sdp }) => Message::Offer { sdp },
            Self::Sdp(Description::Answer { sdp }) => Message::Answer { sdp },
            Self::Ice { candidate, .. } if candidate.is_empty() => Message::EndOfCandidates,
            Self::Ice {
                candidate,
                sdp_m_line_index,
            } => Message::Candidate(Candidate {
                candidate,
                sdp_mid: None,
                sdp_m_line_index,
            }),
        }
    }
}
