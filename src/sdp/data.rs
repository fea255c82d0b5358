//! The m-line of the data channels (RFC 8841): at most one, SCTP over the DTLS
//! of the bundle.

use sdp_types::{Attribute, Media, Mid, Session};

use super::transport::Transport;
use super::{SdpError, narrow, parse, write};

/// The largest message that we send and take, in bytes. What browsers announce
/// is this (Chromium) or more (Firefox).
pub const MAX_MESSAGE: usize = 256 * 1024;

/// What a far side takes that says nothing (RFC 8841 section 6.1), in bytes.
const UNSAID: usize = 64 * 1024;

/// The port that all use; webrtcbin knows no other.
const PORT: &str = "5000";

const SIZE: &str = "max-message-size";

/// How the offer's m-line for data channels is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPlan {
    /// Index of the m-line in the original offer.
    pub mline: usize,
    /// Its `a=mid`; one that we chose where the offer has none.
    pub mid: String,
    /// The largest message that the far side takes, in bytes; at most
    /// [`MAX_MESSAGE`].
    pub max_message: usize,
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

/// The largest message that the far side takes; 0 means any (RFC 8841 section 6.1).
pub(super) fn max_message(media: &Media) -> usize {
    let said = media.get_first_attribute_value(SIZE).flatten();
    match said.map(|text| text.trim().parse::<u64>()) {
        None | Some(Err(_)) => UNSAID,
        Some(Ok(0)) => MAX_MESSAGE,
        Some(Ok(size)) => usize::try_from(size).map_or(MAX_MESSAGE, |it| it.min(MAX_MESSAGE)),
    }
}

/// The m-line as webrtcbin is to see it.
pub(super) fn narrowed(plan: &DataPlan, transport: &Transport) -> Media {
    let mut attributes = transport.attributes();
    attributes.push(Mid(plan.mid.clone()).into());
    attributes.push(Attribute::with_value("sctp-port", PORT));
    attributes.push(size(plan.max_message));
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
/// we take: webrtcbin names none, and then neither sends nor is sent more than
/// 64 KiB.
pub(crate) fn with_max_message(description: String) -> Result<String, SdpError> {
    if !description.contains("m=application") {
        return Ok(description);
    }
    let mut session = parse(&description)?;
    for media in data_lines(&mut session) {
        set_max_message(media, MAX_MESSAGE);
    }
    Ok(write(&session))
}

/// The m-lines for data that are in use.
pub(super) fn data_lines(session: &mut Session) -> impl Iterator<Item = &mut Media> {
    let medias = session.medias.iter_mut();
    medias.filter(|it| it.media == "application" && it.port != 0)
}
