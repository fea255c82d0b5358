//! RTP header extensions (RFC 8285): the two that we speak.

use std::collections::BTreeMap;

use sdp_types::{Attribute, Direction, ExtMap, Media, Session};

/// Transport-wide sequence numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01).
pub(super) const TWCC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// The m-line that a packet belongs to (RFC 9143 section 15.1).
pub(super) const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// The ids that one-byte headers can carry (RFC 8285 section 4.2); two-byte
/// headers are not written, so extensions beyond are as good as not offered.
const ONE_BYTE_IDS: std::ops::RangeInclusive<u8> = 1..=14;

/// Which ways something goes, seen from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) send: bool,
    pub(super) receive: bool,
}

impl Ways {
    /// Both ways.
    pub(super) const BOTH: Self = Self {
        send: true,
        receive: true,
    };

    /// As we answer it.
    pub(super) fn answered(self) -> Direction {
        match (self.send, self.receive) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// As the far side offers it.
    pub(super) fn offered(self) -> Direction {
        let theirs = Self {
            send: self.receive,
            receive: self.send,
        };
        theirs.answered()
    }
}

/// One extension that we will write or read, as offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) id: u8,
    pub(super) uri: &'static str,
    /// Was a direction given? Then the answer gives one too.
    directed: bool,
}

impl Extension {
    /// Finds `uri` in `media`, or for the whole of `session`.
    pub(super) fn find(
        session: &Session,
        media: &Media,
        uri: &'static str,
        ours: Ways,
    ) -> Option<Self> {
        let of_media = media.attributes_typed::<ExtMap>();
        let of_session = session.attributes_typed::<ExtMap>();
        of_media
            .chain(of_session)
            .filter_map(Result::ok)
            .find(|it| {
                it.uri == uri
                    && ONE_BYTE_IDS.contains(&it.id)
                    && (!ours.send || it.direction.unwrap_or_default().has_recv())
                    && (!ours.receive || it.direction.unwrap_or_default().has_send())
            })
            .map(|it| Self {
                id: it.id,
                uri,
                directed: it.direction.is_some(),
            })
    }

    /// The line for the narrowed offer. The direction is left out: webrtcbin
    /// would copy it into the answer as it is.
    pub(super) fn offered(&self) -> Attribute {
        ExtMap::new(self.id, self.uri).into()
    }

    /// The line for the answer, its direction seen from us (RFC 8285 section 6).
    pub(super) fn answered(&self, ours: Ways) -> Attribute {
        if self.directed {
            ExtMap::with_direction(self.id, ours.answered(), self.uri).into()
        } else {
            self.offered()
        }
    }
}

/// The ids in use within a bundle: one id means one thing (RFC 9143 section 9.2),
/// and one thing has one id, because the streams share an RTP session.
#[derive(Debug, Default)]
pub(super) struct Ids(BTreeMap<u8, &'static str>);

impl Ids {
    /// Takes `extension` unless it contradicts those taken before.
    pub(super) fn take(&mut self, extension: Extension) -> Option<Extension> {
        let fits = match self.0.get(&extension.id) {
            Some(uri) => *uri == extension.uri,
            None => self.0.values().all(|uri| *uri != extension.uri),
        };
        if !fits {
            return None;
        }
        self.0.insert(extension.id, extension.uri);
        Some(extension)
    }
}
