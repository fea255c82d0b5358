//! The plan for an offer: which of its m-lines takes which of our tracks.

use sdp_types::{Direction, Media, Mid, Session, TypedAttribute};

use super::codec::Payloads;
use super::data::{self, DataPlan};
use super::extension::{self, Extension, Ways};
use super::matching::{self, Match};
use super::narrow;
use super::transport::{Transport, bundle_mids};
use super::{Codec, CodecOffer, Identity, Kind, SdpError, malformed, parse};

/// One of our tracks, and what it could be sent as, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackOffer {
    /// Audio or video.
    pub kind: Kind,
    /// Codecs in the order of preference, each with the H.264 profile it has.
    pub codecs: Vec<CodecOffer>,
}

/// How one of the offer's m-lines is answered: with one of our tracks, with
/// ears, or with both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPlan {
    /// Is it an m-line of a call? Then webrtcbin takes it to go both ways, whatever
    /// flows on it now.
    pub call: bool,
    /// Index of the track that we send on it, in the slice given to
    /// [`OfferPlan::new`].
    pub track: Option<usize>,
    /// Do we take what the far side sends on it?
    pub receives: bool,
    /// Index of the m-line in the original offer.
    pub mline: usize,
    /// Its `a=mid`; one that we chose where the offer has none.
    pub mid: String,
    /// The kind of the track.
    pub kind: Kind,
    /// What is sent, either way.
    pub codec: Codec,
    /// The payload type, from the offer.
    pub payload_type: u8,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// The payload type of retransmissions (RFC 4588), where offered.
    pub rtx_payload_type: Option<u8>,
    /// Is generic NACK offered for the codec (RFC 4585)?
    pub nack: bool,
    /// Are full intra requests (RFC 5104 section 4.3.1)? Picture loss indications
    /// do without an offer.
    pub fir: bool,
    /// Id of the transport-wide congestion control extension, where offered
    /// together with `rtcp-fb … transport-cc`.
    pub twcc: Option<u8>,
    /// Id of the `urn:ietf:params:rtp-hdrext:sdes:mid` extension, where offered.
    pub mid_extension: Option<u8>,
    /// The codec's parameters as offered (`a=fmtp`), in order: those that
    /// limit or ask something of the sender, names in lower case.
    pub fmtp: Vec<(String, String)>,
}

/// What we make of an offer. See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferPlan {
    /// The offer for webrtcbin: only the m-lines of `media`, in their order,
    /// then that of `data`.
    pub narrowed: String,
    /// The m-lines that are taken, in their order. Empty only if there is `data`.
    pub media: Vec<MediaPlan>,
    /// The m-line for data channels, where both sides want one.
    pub data: Option<DataPlan>,
    /// Who the far side says it is.
    pub identity: Identity,
    pub(super) original: Original,
}

/// What of the original offer the answer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) lines: Vec<OriginalLine>,
    /// The mids of its BUNDLE group, in their order, if it has one.
    pub(super) bundle: Option<Vec<String>>,
    /// Does the far side speak trickle ICE?
    pub(super) trickle: bool,
    pub(super) ufrag: String,
    /// For each of `media`: the header extensions that it takes.
    pub(super) extensions: Vec<Vec<Extension>>,
    /// For each of `media`: H.264's profile as offered, which the answer
    /// repeats (RFC 6184 section 8.2.2).
    pub(super) profiles: Vec<Option<String>>,
    /// For each of `media`, in a call: does the far side want to receive on it?
    pub(super) open: Vec<bool>,
    /// The m-lines of `media` that the far side of a call has given up.
    pub(super) dead: Vec<usize>,
    /// For each of `media`, in a call: the streams that the far side announces.
    pub(super) sources: Vec<Vec<u32>>,
    /// How many of `media` stand before `data` in the narrowed offer.
    pub(super) data_at: usize,
}

/// An m-line of the original offer: what it takes to reject it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OriginalLine {
    pub(super) media: String,
    pub(super) proto: String,
    pub(super) first_format: String,
    /// The value of its `a=rtpmap`.
    pub(super) first_map: Option<String>,
    pub(super) mid: Option<String>,
}

/// The most m-lines on which we receive.
pub const MAX_RECEIVED: usize = 16;

/// The most streams that an m-line may announce: three renditions, each with
/// its retransmissions and its error correction.
const MAX_SOURCES: usize = 9;

impl MediaPlan {
    /// Which ways media flow on it, seen from us.
    pub(super) fn ways(&self) -> Ways {
        Ways {
            send: self.track.is_some(),
            receive: self.receives,
        }
    }

    /// The same as webrtcbin knows it.
    pub(super) fn pipes(&self) -> Ways {
        if self.call { Ways::BOTH } else { self.ways() }
    }
}

impl OfferPlan {
    /// Decides how to answer `offer` with `tracks`.
    ///
    /// Each track takes the first m-line of its kind that the far side wants to
    /// receive on and that has one of its codecs; the track's order of
    /// preference decides, not the offer's. A track that finds none is left
    /// out, as long as one is left. Data channels are refused.
    pub fn new(offer: &str, tracks: &[TrackOffer]) -> Result<Self, SdpError> {
        Self::both_ways(offer, tracks, &[])
    }

    /// The same for one who also receives, in one of the codecs `receives`, best
    /// first: on the m-lines of our tracks, and on any other on which the far
    /// side wants to send ([`MAX_RECEIVED`] at most).
    pub fn both_ways(
        offer: &str,
        tracks: &[TrackOffer],
        receives: &[Codec],
    ) -> Result<Self, SdpError> {
        Self::decide(offer, tracks, receives, false)
    }

    /// The same, and data channels are taken. Media may be missing where there
    /// is no track, or where the far side wants none.
    pub fn with_data(
        offer: &str,
        tracks: &[TrackOffer],
        receives: &[Codec],
    ) -> Result<Self, SdpError> {
        Self::decide(offer, tracks, receives, true)
    }

    fn decide(
        offer: &str,
        tracks: &[TrackOffer],
        receives: &[Codec],
        wants_data: bool,
    ) -> Result<Self, SdpError> {
        let session = parse(offer)?;
        let bundle = bundle(&session)?;
        let lines = lines(&session, bundle.as_deref())?;
        let tagged = tagged(&session, &lines, bundle.as_deref())?;

        let data = wants_data.then(|| plan_data(&lines)).flatten();
        let matches = matching::find(&lines, tracks, receives, data.is_some())?;
        let shared = lines.iter().filter(|it| it.bundled).map(|it| it.media);
        let transport = Transport::read(&session, tagged, shared)?;
        let (media, extensions) = plan_media(&session, &lines, &matches);
        let profile = |it: &MediaPlan| lines[it.mline].payloads.profile(it.payload_type);
        let profiles = media.iter().map(profile).collect();
        let trickle = offers_trickle(&session);
        let media_count = media.len();

        let payloads: Vec<_> = media.iter().map(|it| &lines[it.mline].payloads).collect();
        let sources: Vec<_> = media.iter().map(|it| sources(it, &lines)).collect();
        let narrowed = narrow::write(&narrow::Parts {
            session: &session,
            transport: &transport,
            trickle,
            media: &media,
            payloads: &payloads,
            sources: &sources,
            extensions: &extensions,
            data: data.as_ref(),
            data_at: media.len(),
        });
        Ok(Self {
            narrowed,
            media,
            data,
            identity: transport.identity,
            original: Original {
                lines: lines.iter().map(Line::original).collect(),
                bundle,
                trickle,
                ufrag: transport.ufrag,
                extensions,
                profiles,
                open: Vec::new(),
                dead: Vec::new(),
                sources: Vec::new(),
                data_at: media_count,
            },
        })
    }

    /// The far side's `a=ice-ufrag`: another one in a later fragment means
    /// that it restarts ICE.
    pub fn ufrag(&self) -> &str {
        &self.original.ufrag
    }

    /// The index and the mid of the m-line that has the transport in the
    /// answer, which all of our candidates belong to.
    pub fn transport_mline(&self) -> (usize, Option<&str>) {
        let first = self.bundled_mids().into_iter().next();
        let leads = |(_, mid): &(usize, &str)| first.as_deref() == Some(*mid);
        let mline = self.accepted().find(leads).map_or(0, |(mline, _)| mline);
        let line = self.original.lines.get(mline);
        (mline, line.and_then(|it| it.mid.as_deref()))
    }

    /// The m-lines of [`narrowed`](Self::narrowed) on which we receive, by
    /// their index there.
    pub fn heard(&self) -> Vec<(usize, Kind)> {
        let lines = self.media.iter().enumerate();
        let heard = lines.filter(|(_, it)| it.receives);
        heard.map(|(index, it)| (index, it.kind)).collect()
    }

    /// The index and the mid of each m-line that is taken.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (usize, &str)> {
        let dead = &self.original.dead;
        let media = self.media.iter().filter(|it| !dead.contains(&it.mline));
        let media = media.map(|it| (it.mline, it.mid.as_str()));
        let data = self.data.iter().map(|it| (it.mline, it.mid.as_str()));
        media.chain(data)
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
            mid: self.mid.map(str::to_owned),
        }
    }
}

/// A rejected m-line has port 0, but so has one that is there only if bundled
/// (RFC 9143 section 6).
fn is_alive(media: &Media) -> bool {
    media.port != 0 || media.has_attribute("bundle-only")
}

/// The mids of the BUNDLE group; one m-line may do without.
pub(super) fn bundle(session: &Session) -> Result<Option<Vec<String>>, SdpError> {
    let mids = bundle_mids(session);
    if mids.is_none() && session.medias.iter().filter(|it| is_alive(it)).count() > 1 {
        return Err(malformed(
            "the offer has several m-lines and no a=group:BUNDLE, which is required (RFC 9725 4.4)",
        ));
    }
    Ok(mids)
}

pub(super) fn lines<'a>(
    session: &'a Session,
    bundle: Option<&[String]>,
) -> Result<Vec<Line<'a>>, SdpError> {
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
pub(super) fn tagged<'a>(
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
pub(super) fn offers_trickle(session: &Session) -> bool {
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

fn plan_media(
    session: &Session,
    lines: &[Line<'_>],
    matches: &[Match],
) -> (Vec<MediaPlan>, Vec<Vec<Extension>>) {
    let mut ids = extension::Ids::default();
    let plan = |found| plan_line(session, lines, found, false, &mut ids);
    matches.iter().map(plan).unzip()
}

/// The plan for one m-line, and the header extensions that it takes.
pub(super) fn plan_line(
    session: &Session,
    lines: &[Line<'_>],
    found: &Match,
    call: bool,
    ids: &mut extension::Ids,
) -> (MediaPlan, Vec<Extension>) {
    let line = &lines[found.mline];
    let payloads = &line.payloads;
    let payload_type = found.payload_type;
    let ours = Ways {
        send: call || found.track.is_some(),
        receive: call || found.receives,
    };
    let mut take = |uri| {
        let offered = Extension::find(session, line.media, uri, ours)?;
        ids.take(offered)
    };
    let twcc = payloads
        .has_feedback(payload_type, "transport-cc")
        .then(|| take(extension::TWCC))
        .flatten();
    let mid_extension = line.mid.and_then(|_| take(extension::MID));
    let plan = MediaPlan {
        call,
        track: found.track,
        receives: found.receives,
        mline: found.mline,
        mid: line.mid.map_or_else(|| free_mid(lines), str::to_owned),
        kind: found.codec.kind(),
        codec: found.codec,
        payload_type,
        clock_rate: found.codec.clock_rate(),
        rtx_payload_type: payloads.rtx(payload_type),
        nack: payloads.has_feedback(payload_type, "nack"),
        fir: payloads.has_feedback(payload_type, "ccm fir"),
        twcc: twcc.as_ref().map(|it| it.id),
        mid_extension: mid_extension.as_ref().map(|it| it.id),
        fmtp: payloads.fmtp(payload_type, found.codec),
    };
    (plan, twcc.into_iter().chain(mid_extension).collect())
}

/// The streams that the far side announces on an m-line that we receive on, with
/// their retransmissions (RFC 5576 section 4.1).
pub(super) fn sources(plan: &MediaPlan, lines: &[Line<'_>]) -> Vec<u32> {
    if plan.receives {
        announced(lines[plan.mline].media)
    } else {
        Vec::new()
    }
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

/// The first m-line for data channels that shares the transport.
pub(super) fn plan_data(lines: &[Line<'_>]) -> Option<DataPlan> {
    let taken = |it: &Line<'_>| it.bundled && data::is_data(it.media);
    let mline = lines.iter().position(taken)?;
    let line = &lines[mline];
    Some(DataPlan {
        mline,
        mid: line.mid.map_or_else(|| free_mid(lines), str::to_owned),
        far: data::far_side(line.media),
    })
}

/// A mid for the one m-line of an offer that does not bundle.
fn free_mid(lines: &[Line<'_>]) -> String {
    (0..=lines.len())
        .map(|number| number.to_string())
        .find(|mid| lines.iter().all(|it| it.mid != Some(mid)))
        .expect("there are more numbers than lines")
}
