//! The m-line of the data channels (RFC 8841): at most one, SCTP over the DTLS
//! of the bundle.

use sdp_types::{Attribute, Media, Mid, Session};

use super::transport::Transport;
use super::{SdpError, narrow, parse, write};
use crate::data::{FarSide, HEADER, MAX_MESSAGE, MAX_PIECE};

/// The largest message on the wire that we send and take, in bytes: that of
/// users, and what our own ends put around it.
pub const MAX_WIRE: usize = MAX_MESSAGE + 64;

const _: () = assert!(HEADER <= MAX_WIRE - MAX_MESSAGE);

/// What a far side takes that says nothing (RFC 8841 section 6.1), in bytes.
const UNSAID: usize = 64 * 1024;

/// The port that all use; webrtcbin knows no other.
const PORT: &str = "5000";

const SIZE: &str = "max-message-size";

/// By this our own ends know each other, and frame their messages
/// ([`Frame`](crate::data::Frame)). Everybody else skips it.
const FRAMES: &str = "x-sigmund-frames";
const FRAMES_VERSION: &str = "1";

/// How the offer's m-line for data channels is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPlan {
    /// Index of the m-line in the original offer.
    pub mline: usize,
    /// Its `a=mid`; one that we chose where the offer has none.
    pub mid: String,
    /// What the far side takes; at most [`MAX_WIRE`].
    pub far: FarSide,
}

/// Is it an m-line for data channels that we can take?
///
/// The two spellings of the protocol over UDP mean the same to us; the form
/// that the drafts of RFC 8841 had (`DTLS/SCTP 5000`) is not taken.
pub(super) fn is_data(media: &Media) -> bool {
    let port = media.get_first_attribute_value("sctp-port").flatten();
    media.media == "application"
        && matches!(media.proto.as_str(), "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP")
        && media.fmt.trim() == "webrtc-datachannel"
        && port.is_some_and(|port| port.trim() == PORT)
}

/// What the far side takes.
pub(super) fn far_side(media: &Media) -> FarSide {
    let frames = media.get_first_attribute_value(FRAMES).flatten();
    let framed = frames.is_some_and(|version| version.trim() == FRAMES_VERSION);
    FarSide {
        max_message: if framed { MAX_WIRE } else { max_message(media) },
        framed,
    }
}

/// The largest message that the far side takes; 0 means any (RFC 8841 section 6.1).
fn max_message(media: &Media) -> usize {
    let said = media.get_first_attribute_value(SIZE).flatten();
    match said.map(|text| text.trim().parse::<u64>()) {
        None | Some(Err(_)) => UNSAID,
        Some(Ok(0)) => MAX_WIRE,
        Some(Ok(size)) => usize::try_from(size).map_or(MAX_WIRE, |it| it.min(MAX_WIRE)),
    }
}

/// The m-line as webrtcbin is to see it.
pub(super) fn narrowed(plan: &DataPlan, transport: &Transport) -> Media {
    let mut attributes = transport.attributes();
    attributes.push(Mid(plan.mid.clone()).into());
    attributes.push(Attribute::with_value("sctp-port", PORT));
    attributes.push(size(plan.far.max_message));
    Media {
        media: "application".to_owned(),
        port: 9,
        num_ports: None,
        proto: "UDP/DTLS/SCTP".to_owned(),
        fmt: "webrtc-datachannel".to_owned(),
        media_title: None,
        connections: vec![narrow::nowhere()],
        bandwidths: Vec::new(),
        key: None,
        attributes,
    }
}

fn size(bytes: usize) -> Attribute {
    Attribute::with_value(SIZE, bytes.to_string())
}

/// Writes the largest message into the m-line.
pub(super) fn set_max_message(media: &mut Media, bytes: usize) {
    media.attributes.retain(|it| it.attribute != SIZE);
    media.attributes.push(size(bytes));
}

/// Our own description as webrtcbin has made it, with the largest message that
/// it may send: where none is named, that is 64 KiB.
pub(crate) fn with_max_message(description: String) -> Result<String, SdpError> {
    if !description.contains("m=application") {
        return Ok(description);
    }
    let mut session = parse(&description)?;
    for media in data_lines(&mut session) {
        set_max_message(media, MAX_WIRE);
        media.add_attribute_with_value(FRAMES, FRAMES_VERSION);
    }
    Ok(write(&session))
}

/// Our own description for the far side, with the largest message that we take
/// from anybody: what comes in several pieces only our own ends put together.
pub(crate) fn announced(description: String) -> Result<String, SdpError> {
    if !description.contains("m=application") {
        return Ok(description);
    }
    let mut session = parse(&description)?;
    for media in data_lines(&mut session) {
        set_max_message(media, MAX_PIECE);
    }
    Ok(write(&session))
}

/// The m-lines for data that are in use: in an offer, port 0 may say no more
/// than that they share a transport (RFC 9143 section 6).
pub(super) fn data_lines(session: &mut Session) -> impl Iterator<Item = &mut Media> {
    let medias = session.medias.iter_mut();
    let in_use = |it: &Media| it.port != 0 || it.has_attribute("bundle-only");
    medias.filter(move |it| it.media == "application" && in_use(it))
}
