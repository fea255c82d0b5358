//! What we read and mend in session descriptions (RFC 8866, RFC 8829). Pure.
//!
//! webrtcbin never sees a browser's offer as it came. [`OfferPlan::new`] decides
//! which m-line takes which of our tracks in which codec, and writes a
//! *narrowed* offer that holds only those m-lines, one codec each (with its RTX)
//! and the header extensions we speak. [`OfferPlan::answer`] widens webrtcbin's
//! answer to the m-lines of the original, the others rejected.
//!
//! | file | it holds |
//! |---|---|
//! | `offered` | an offer as it came, m-line by m-line |
//! | `offer` | the plan for it: which m-line takes which track |
//! | `matching` | which of its m-lines that are |
//! | `narrow` | the plan written as an offer for webrtcbin |
//! | `answer` | webrtcbin's answer widened to the original offer |
//! | `accept` | a far side's answer to an offer of ours |
//! | `call` | the m-lines of a call that we offer |
//! | `reply` | how the offers of a call are answered |
//! | `receives` | what a viewer can decode, and the offer that follows |
//! | `rtx` | retransmissions in what we offer to receive |
//! | `bandwidth` | how much the far side may send |
//! | `data` | the m-line of the data channels |
//! | `codec` | payload types, profiles, what decodes what |
//! | `extension` | RTP header extensions |
//! | `transport` | ICE credentials, DTLS role, candidates of the bundle |
//! | `identity` | certificate fingerprints |
//! | `candidate` | candidate lines, trickle ICE fragments |

mod accept;
mod answer;
mod bandwidth;
mod call;
mod candidate;
mod codec;
mod data;
mod extension;
mod identity;
mod matching;
mod narrow;
mod offer;
mod offered;
mod receives;
mod reply;
mod rtx;
mod transport;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

pub use accept::{AcceptedAnswer, accept_answer, transport_mline, with_candidates};
pub use bandwidth::limit_bitrate;
pub use call::{CallLines, Flow, MAX_CALL_LINES};
pub use candidate::{
    CandidateLine, Fragment, check_candidate, seen_from_outside, trickle_fragment, without_base,
};
pub use codec::{Codec, CodecOffer, H264Profile};
pub use data::{DataPlan, MAX_WIRE};
pub(crate) use data::{announced, with_max_message};
pub use identity::{Fingerprint, Identity, with_certificate};
pub use offer::{MAX_RECEIVED, MediaPlan, OfferPlan, TrackOffer};
pub use receives::{OwnOffer, ReceivableCodec, Receives, own_offer, receive_offer};
pub use reply::Brings;
pub(crate) use rtx::with_rtx;

/// The most m-lines that an offer may have.
pub const MAX_MEDIA: usize = 64;

/// The most candidates that are taken from one description or fragment.
pub const MAX_CANDIDATES: usize = 128;

/// The kind of a medium.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `m=audio`
    Audio,
    /// `m=video`
    Video,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audio => "audio",
            Self::Video => "video",
        })
    }
}

/// Why a description is refused. The texts are meant for the far side's user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It cannot be read, or breaks a rule that we rely on.
    #[error("{0}")]
    Malformed(String),
    /// It is well formed, but there is nothing in it that we can send.
    #[error("{0}")]
    Incompatible(String),
}

/// The `a=ice-ufrag` of a description, in the m-line that has the transport or
/// for the session.
pub fn ice_ufrag(description: &str) -> Option<String> {
    transport::ufrag(&parse(description).ok()?)
}

fn malformed(text: impl Into<String>) -> SdpError {
    SdpError::Malformed(text.into())
}

/// Reads a description, within our limits.
fn parse(text: &str) -> Result<sdp_types::Session, SdpError> {
    if text.len() > crate::message::MAX_SDP {
        return Err(malformed(format!(
            "the description has {} bytes; at most {} are taken",
            text.len(),
            crate::message::MAX_SDP
        )));
    }
    let session = sdp_types::Session::parse(text.as_bytes()).map_err(|error| {
        // The error may quote a whole line.
        let error: String = error.to_string().chars().take(200).collect();
        malformed(format!("the description cannot be read: {error}"))
    })?;
    if session.medias.len() > MAX_MEDIA {
        return Err(malformed(format!(
            "the description has {} m-lines; at most {MAX_MEDIA} are taken",
            session.medias.len()
        )));
    }
    Ok(session)
}

/// Writes a description.
fn write(session: &sdp_types::Session) -> String {
    let mut bytes = Vec::new();
    session
        .write(&mut bytes)
        .expect("writing to a vector cannot fail");
    String::from_utf8(bytes).expect("it is made of strings")
}

/// The ice-char of RFC 8839 section 5.1.
fn is_ice_text(text: &str) -> bool {
    text.bytes()
        .all(|c| c.is_ascii_alphanumeric() || c == b'+' || c == b'/')
}
