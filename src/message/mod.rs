//! What peers tell each other: the notes that signalling carries.
//!
//! One JSON object a message, protocol [`VERSION`]. Every signalling scheme
//! translates its own wire format to and from these types, so the session
//! engine knows a single vocabulary.

#[cfg(test)]
mod tests;
pub mod v1;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sdp::Kind;

/// The version of the JSON protocol that these types are serialised to.
pub const VERSION: &str = "sigmund.v1";

/// The longest description (SDP) that is accepted from a peer, in bytes.
///
/// A browser's offer for two media with all its codecs is about 8 KiB.
pub const MAX_SDP: usize = 64 * 1024;

/// The longest candidate line that is accepted from a peer, in bytes
/// (RFC 8839 section 5.1 sets none; real ones are below 300).
pub const MAX_CANDIDATE: usize = 1024;

/// The longest reason for leaving that is accepted from a peer, in bytes.
pub const MAX_REASON: usize = 1024;

/// The longest `a=mid` that comes with a candidate, in bytes.
pub const MAX_MID: usize = 64;

/// How many places a peer may ask for at once.
pub const MAX_PLACES: usize = 16;

/// The longest name of a codec, in bytes.
pub const MAX_CODEC: usize = 64;

/// A note that is longer than any honest one. The text says which part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} has {length} bytes; at most {limit} are taken")]
pub struct TooLong {
    what: &'static str,
    length: usize,
    limit: usize,
}

/// Names one remote peer for as long as it is here. Opaque and not secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PeerId(Arc<str>);

impl PeerId {
    /// Wraps a name that a signalling scheme has chosen.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({})", self.0)
    }
}

/// One note from one peer to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Message {
    /// A description that opens or changes the connection (RFC 3264).
    Offer {
        /// The session description.
        sdp: String,
    },
    /// The description that answers an offer.
    Answer {
        /// The session description.
        sdp: String,
    },
    /// Asks the side that offers to make an offer, another one if there is one.
    PleaseOffer {
        /// What the asker wants to send and has no m-line for: as many places
        /// more, on which it may.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        add: Vec<Place>,
    },
    /// One place where the sender can be met (trickle ICE, RFC 8838).
    Candidate(Candidate),
    /// No further candidates follow (RFC 8838 section 13).
    EndOfCandidates,
    /// The path is lost: what the sender has said before is void, and what
    /// follows belongs to another connection (`docs/sigmund-v1.md`, "When the
    /// path is lost"; [`Rounds`](crate::session::Rounds) keeps count).
    Again {
        /// The number of that connection; the first has 1.
        round: u32,
    },
    /// The sender is leaving.
    Bye {
        /// Why, for people to read.
        reason: String,
    },
}

/// A place for media in a description: an m-line that its asker may send on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Of what.
    pub kind: Kind,
    /// The encoding name of the codec that it is to be for, if that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
}

impl Message {
    /// Asks for an offer, without more places.
    pub fn please_offer() -> Self {
        Self::PleaseOffer { add: Vec::new() }
    }

    /// Checks the sizes of what a peer has sent. To be called where notes come
    /// in, before they are queued anywhere.
    pub fn check(&self) -> Result<(), TooLong> {
        match self {
            Self::Offer { sdp } | Self::Answer { sdp } => limit("description", sdp, MAX_SDP),
            Self::Candidate(candidate) => {
                limit("candidate", &candidate.candidate, MAX_CANDIDATE)?;
                let mid = candidate.sdp_mid.as_deref().unwrap_or_default();
                limit("candidate's mid", mid, MAX_MID)
            }
            Self::Bye { reason } => limit("reason", reason, MAX_REASON),
            Self::PleaseOffer { add } => add.iter().take(MAX_PLACES + 1).try_for_each(|place| {
                limit("list of places", &"-".repeat(add.len()), MAX_PLACES)?;
                limit(
                    "codec",
                    place.codec.as_deref().unwrap_or_default(),
                    MAX_CODEC,
                )
            }),
            Self::EndOfCandidates | Self::Again { .. } => Ok(()),
        }
    }
}

fn limit(what: &'static str, text: &str, limit: usize) -> Result<(), TooLong> {
    let length = text.len();
    if length <= limit {
        return Ok(());
    }
    Err(TooLong {
        what,
        length,
        limit,
    })
}

/// An ICE candidate as it stands in a description, without the leading `a=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// `candidate:…` (RFC 8839 section 5.1).
    pub candidate: String,
    /// The `a=mid` of the m-line it belongs to, where the sender said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp_mid: Option<String>,
    /// The index of that m-line, where the sender said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp_m_line_index: Option<u32>,
}
