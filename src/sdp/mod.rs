//! What we read and mend in session descriptions (RFC 8866, RFC 8829). Pure.
//!
//! webrtcbin never sees a browser's offer as it came. [`OfferPlan::new`] decides
//! which m-line takes which of our tracks in which codec, and writes a
//! *narrowed* offer that holds only those m-lines, one codec each (with its RTX)
//! and the header extensions we speak. [`OfferPlan::answer`] widens webrtcbin's
//! answer to the m-lines of the original, the others rejected.

use std::fmt;

/// The kind of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `m=audio`
    Audio,
    /// `m=video`
    Video,
}

/// A codec as we name it; its RTP encoding name is [`Codec::encoding_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// RFC 6184
    H264,
    /// RFC 7741
    Vp8,
    /// RFC 7587
    Opus,
}

/// An H.264 profile, compared without its level: with
/// `level-asymmetry-allowed=1` the level is each side's own (RFC 6184 8.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum H264Profile {
    /// `42e0xx`, and `42c0xx`, `4de0xx`… that mean the same.
    ConstrainedBaseline,
    /// `4200xx`
    Baseline,
    /// `4d00xx`
    Main,
    /// `640cxx`
    ConstrainedHigh,
    /// `6400xx`
    High,
}

/// One of our tracks, and what it could be sent as, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackOffer {
    /// Audio or video.
    pub kind: Kind,
    /// Codecs in the order of preference, each with the H.264 profile it has.
    pub codecs: Vec<CodecOffer>,
}

/// One way in which a track can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecOffer {
    /// The codec.
    pub codec: Codec,
    /// For H.264: the profile of the stream. A viewer that can take a higher
    /// profile takes a lower one too (baseline ⊂ main ⊂ high).
    pub profile: Option<H264Profile>,
}

/// How one of the offer's m-lines is answered with one of our tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPlan {
    /// Index of the track in the slice given to [`OfferPlan::new`].
    pub track: usize,
    /// Index of the m-line in the original offer.
    pub mline: usize,
    /// Its `a=mid`.
    pub mid: String,
    /// The kind of the track.
    pub kind: Kind,
    /// What is sent.
    pub codec: Codec,
    /// The payload type, from the offer.
    pub payload_type: u8,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// The payload type of retransmissions (RFC 4588), where offered.
    pub rtx_payload_type: Option<u8>,
    /// Is generic NACK offered for the codec (RFC 4585)?
    pub nack: bool,
    /// Id of the transport-wide congestion control extension, where offered
    /// together with `rtcp-fb … transport-cc`.
    pub twcc: Option<u8>,
    /// Id of the `urn:ietf:params:rtp-hdrext:sdes:mid` extension, where offered.
    pub mid_extension: Option<u8>,
    /// The codec's parameters as offered (`a=fmtp`), in order.
    pub fmtp: Vec<(String, String)>,
}

/// A certificate fingerprint of a description (RFC 8122).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Lower case: `sha-256`, `sha-384`, `sha-512`.
    pub algorithm: String,
    /// The digest.
    pub digest: Vec<u8>,
}

/// Who the far side says it is. Media waits until DTLS proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// At least one, each of sha-256 or stronger.
    pub fingerprints: Vec<Fingerprint>,
}

impl Identity {
    /// Is `certificate` (DER) the one that the description announced?
    pub fn matches(&self, certificate: &[u8]) -> bool {
        todo!("{certificate:?}")
    }
}

/// What we make of an offer. See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferPlan {
    /// The offer for webrtcbin: only the m-lines of `media`, in their order.
    pub narrowed: String,
    /// Our tracks that found an m-line, in m-line order. Never empty.
    pub media: Vec<MediaPlan>,
    /// Who the far side says it is.
    pub identity: Identity,
    original: Original,
}

/// What of the original offer the answer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Original;

/// Why an offer is refused. The texts are meant for the far side's user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It cannot be read, or breaks a rule that we rely on.
    #[error("{0}")]
    Malformed(String),
    /// It is well formed, but there is nothing in it that we can send.
    #[error("{0}")]
    Incompatible(String),
}

impl OfferPlan {
    /// Decides how to answer `offer` with `tracks`.
    ///
    /// Each track takes the first m-line of its kind that the far side wants to
    /// receive on and that has one of its codecs; the track's order of
    /// preference decides, not the offer's. A track that finds none is left
    /// out, as long as one is left.
    pub fn new(offer: &str, tracks: &[TrackOffer]) -> Result<Self, SdpError> {
        todo!("{offer} {tracks:?}")
    }

    /// Widens webrtcbin's `answer` to the narrowed offer into one for the
    /// original offer, with `candidates` (without `a=`) in its transport's
    /// m-line, and `a=end-of-candidates` if `complete`.
    pub fn answer(
        &self,
        answer: &str,
        candidates: &[String],
        complete: bool,
    ) -> Result<String, SdpError> {
        todo!("{answer} {candidates:?} {complete} {:?}", self.original)
    }
}

impl Codec {
    /// The encoding name of `a=rtpmap` and of RTP caps (`H264`, `VP8`, `OPUS`).
    pub fn encoding_name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
            Self::Opus => "OPUS",
        }
    }

    /// Audio or video.
    pub fn kind(self) -> Kind {
        match self {
            Self::H264 | Self::Vp8 => Kind::Video,
            Self::Opus => Kind::Audio,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audio => "audio",
            Self::Video => "video",
        })
    }
}

/// A candidate line that libnice can take, or why it is refused.
///
/// webrtcbin 1.22 takes any text that is not a candidate for the end of
/// candidates, so nothing unchecked may reach it.
pub fn check_candidate(line: &str) -> Result<CandidateLine, SdpError> {
    todo!("{line}")
}

/// A candidate that has been read (RFC 8839 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateLine {
    /// Usable, in the form `candidate:…`.
    Usable(String),
    /// A `.local` name (mDNS) : skipped, peer-reflexive discovery finds it.
    Mdns,
    /// TCP, or another transport that we do not gather.
    OtherTransport,
    /// The end of candidates: an empty line.
    End,
}
