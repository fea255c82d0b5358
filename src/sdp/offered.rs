//! An offer as it came: its m-lines one by one, and what they share.

use sdp_types::{Direction, Media, Mid, Session, TypedAttribute};

use super::codec::Payloads;
use super::data::{self, DataPlan};
use super::transport::{Transport, bundle_mids};
use super::{Kind, MediaPlan, SdpError, malformed};

/// The most streams that an m-line may announce: three renditions, each with
/// its retransmissions and its error correction.
const MAX_SOURCES: usize = 9;

/// An offer, read.
pub(super) struct Offered<'a> {
    pub(super) session: &'a Session,
    /// The mids of its BUNDLE group, in their order, if it has one.
    pub(super) bundle: Option<Vec<String>>,
    pub(super) lines: Vec<Line<'a>>,
    /// Does the far side speak trickle ICE?
    pub(super) trickle: bool,
    /// The m-line whose transport all of the bundle share.
    tagged: &'a Media,
}

impl<'a> Offered<'a> {
    pub(super) fn read(session: &'a Session) -> Result<Self, SdpError> {
        let bundle = bundle(session)?;
        let lines = lines(session, bundle.as_deref())?;
        let tagged = tagged(session, &lines, bundle.as_deref())?;
        Ok(Self {
            session,
            bundle,
            lines,
            trickle: offers_trickle(session),
            tagged,
        })
    }

    pub(super) fn transport(&self) -> Result<Transport, SdpError> {
        let shared = self.lines.iter().filter(|it| it.bundled).map(|it| it.media);
        Transport::read(self.session, self.tagged, shared)
    }

    /// The first m-line for data channels that shares the transport.
    pub(super) fn data(&self) -> Option<DataPlan> {
        let taken = |it: &Line<'_>| it.bundled && data::is_data(it.media);
        let mline = self.lines.iter().position(taken)?;
        let line = &self.lines[mline];
        Some(DataPlan {
            mline,
            mid: self.mid(line),
            far: data::far_side(line.media),
        })
    }

    /// The mid of an m-line; one that we choose where it has none, as the one
    /// m-line of an offer that does not bundle may.
    pub(super) fn mid(&self, line: &Line<'_>) -> String {
        let free = |mid: &String| self.lines.iter().all(|it| it.mid != Some(mid));
        let mut numbers = (0..=self.lines.len()).map(|number| number.to_string());
        let chosen = || {
            numbers
                .find(free)
                .expect("there are more numbers than lines")
        };
        line.mid.map_or_else(chosen, str::to_owned)
    }

    /// H.264's profile, as offered for what a plan takes.
    pub(super) fn profile(&self, plan: &MediaPlan) -> Option<String> {
        self.lines[plan.mline].payloads.profile(plan.payload_type)
    }

    /// The streams that the far side announces on an m-line that we receive on,
    /// with their retransmissions (RFC 5576 section 4.1).
    pub(super) fn sources(&self, plan: &MediaPlan) -> Vec<u32> {
        if plan.receives {
            announced(self.lines[plan.mline].media)
        } else {
            Vec::new()
        }
    }
}

/// One m-line of the offer, read.
pub(super) struct Line<'a> {
    pub(super) media: &'a Media,
    pub(super) mid: Option<&'a str>,
    pub(super) kind: Option<Kind>,
    /// Does it share the transport that we answer on?
    pub(super) bundled: bool,
    /// Does the far side want to receive on it?
    pub(super) receives: bool,
    /// Does the far side want to send on it?
    pub(super) sends: bool,
    pub(super) payloads: Payloads,
}

impl Line<'_> {
    pub(super) fn original(&self) -> OriginalLine {
        let first_format = self.media.fmt.split_ascii_whitespace().next();
        let mut maps = self.media.get_attribute_values("rtpmap").flatten();
        let first_map = maps.find(|map| map.split_ascii_whitespace().next() == first_format);
        OriginalLine {
            media: self.media.media.clone(),
            proto: self.media.proto.clone(),
            first_format: first_format.unwrap_or("0").to_owned(),
            first_map: first_map.map(str::to_owned),
            mux: self.media.has_attribute("rtcp-mux"),
            mid: self.mid.map(str::to_owned),
        }
    }
}

/// An m-line of the original offer: what it takes to reject it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OriginalLine {
    pub(super) media: String,
    pub(super) proto: String,
    pub(super) first_format: String,
    /// The value of its `a=rtpmap`.
    pub(super) first_map: Option<String>,
    /// Does it share one port with its RTCP?
    pub(super) mux: bool,
    pub(super) mid: Option<String>,
}

/// A rejected m-line has port 0, but so has one that is there only if bundled
/// (RFC 9143 section 6).
fn is_alive(media: &Media) -> bool {
    media.port != 0 || media.has_attribute("bundle-only")
}

/// The mids of the BUNDLE group; one m-line may do without.
fn bundle(session: &Session) -> Result<Option<Vec<String>>, SdpError> {
    let mids = bundle_mids(session);
    if mids.is_none() && session.medias.iter().filter(|it| is_alive(it)).count() > 1 {
        return Err(malformed(
            "the offer has several m-lines and no a=group:BUNDLE, which is required (RFC 9725 4.4)",
        ));
    }
    Ok(mids)
}

fn lines<'a>(session: &'a Session, bundle: Option<&[String]>) -> Result<Vec<Line<'a>>, SdpError> {
    let mut lines: Vec<Line<'a>> = Vec::with_capacity(session.medias.len());
    for (index, media) in session.medias.iter().enumerate() {
        let mid = media.get_first_attribute_value(Mid::NAME).flatten();
        if let Some(mid) = mid {
            check_mid(index, mid)?;
            if lines.iter().any(|before| before.mid == Some(mid)) {
                return Err(malformed(format!("two m-lines have a=mid:{mid}")));
            }
        }
        let in_group = |mids: &[String]| mid.is_some_and(|mid| mids.iter().any(|it| it == mid));
        let kind = kind(media);
        let direction = direction(session, media);
        lines.push(Line {
            media,
            mid,
            kind,
            bundled: is_alive(media) && bundle.is_none_or(in_group),
            receives: direction.has_recv(),
            sends: direction.has_send(),
            payloads: kind.map(|_| Payloads::read(media)).unwrap_or_default(),
        });
    }
    Ok(lines)
}

/// A token (RFC 5888 section 4). It travels in header extensions, which take
/// 16 bytes at most (RFC 8285 4.2), but names longer than that can still bundle.
fn check_mid(index: usize, mid: &str) -> Result<(), SdpError> {
    let plain = |c: u8| c.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&c);
    if (1..=64).contains(&mid.len()) && mid.bytes().all(plain) {
        return Ok(());
    }
    Err(malformed(format!(
        "the a=mid of m-line {index} is not a token of 1 to 64 characters (RFC 5888 4)"
    )))
}

/// Audio or video over SRTP with feedback; the protocol's spellings mean the
/// same (RFC 8829 section 5.1.2).
pub(super) fn kind(media: &Media) -> Option<Kind> {
    let srtp = ["RTP/SAVPF", "RTP/SAVP"]
        .iter()
        .any(|it| media.proto == *it || media.proto.ends_with(&format!("TLS/{it}")));
    match media.media.as_str() {
        "audio" if srtp => Some(Kind::Audio),
        "video" if srtp => Some(Kind::Video),
        _ => None,
    }
}

/// The direction of an m-line, else of the session, else both ways
/// (RFC 8866 section 6.7).
pub(super) fn direction(session: &Session, media: &Media) -> Direction {
    let of_media = media.attributes.iter();
    of_media
        .chain(&session.attributes)
        .filter(|it| it.value.is_none())
        .find_map(|it| it.attribute.parse().ok())
        .unwrap_or_default()
}

/// The m-line whose transport all of the bundle share (RFC 9143 section 7.2.1).
fn tagged<'a>(
    session: &'a Session,
    lines: &[Line<'a>],
    bundle: Option<&[String]>,
) -> Result<&'a Media, SdpError> {
    let Some(mids) = bundle else {
        let alive = session.medias.iter().find(|it| is_alive(it));
        return alive.ok_or_else(|| nothing_receives(session));
    };
    mids.iter()
        .find_map(|mid| {
            let named = |it: &&Line<'_>| it.bundled && it.mid == Some(mid);
            lines.iter().find(named)
        })
        .map(|it| it.media)
        .ok_or_else(|| malformed("the a=group:BUNDLE names no m-line that is in use"))
}

fn nothing_receives(session: &Session) -> SdpError {
    SdpError::Incompatible(format!(
        "none of the offer's {} m-lines is audio or video that receives (recvonly or sendrecv)",
        session.medias.len()
    ))
}

/// Is `trickle` among the `a=ice-options` of the session or an m-line?
fn offers_trickle(session: &Session) -> bool {
    let of_media = session.medias.iter().flat_map(|it| &it.attributes);
    session
        .attributes
        .iter()
        .chain(of_media)
        .filter(|it| it.attribute == "ice-options")
        .filter_map(|it| it.value.as_deref())
        .any(|it| {
            it.split_ascii_whitespace()
                .any(|option| option == "trickle")
        })
}

/// The streams that an m-line announces.
pub(super) fn announced(media: &Media) -> Vec<u32> {
    let mut sources: Vec<u32> = Vec::new();
    let values = media.get_attribute_values("ssrc").flatten();
    for number in values.filter_map(|it| it.split(' ').next()?.parse().ok()) {
        if !sources.contains(&number) && sources.len() < MAX_SOURCES {
            sources.push(number);
        }
    }
    sources
}
