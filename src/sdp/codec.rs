//! Payload types and codecs: what an m-line takes, and who decodes what.

use std::collections::BTreeMap;

use sdp_types::{Attribute, Fmtp, FmtpParam, Media, RtpMap};

use super::Kind;

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

    /// The RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::H264 | Self::Vp8 => 90_000,
            Self::Opus => 48_000,
        }
    }

    /// The parameters by which a receiver limits or asks for something.
    /// Others, and those that tell what the offerer would send (`sprop-…`),
    /// are not for us, and would only get in webrtcbin's way.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            // RFC 6184 8.1
            Self::H264 => &[
                "profile-level-id",
                "packetization-mode",
                "level-asymmetry-allowed",
                "max-br",
                "max-cpb",
                "max-dpb",
                "max-fs",
                "max-mbps",
                "max-smbps",
            ],
            // RFC 7741 6.1
            Self::Vp8 => &["max-fr", "max-fs"],
            // RFC 7587 6.1
            Self::Opus => &[
                "maxplaybackrate",
                "maxaveragebitrate",
                "minptime",
                "ptime",
                "maxptime",
                "stereo",
                "cbr",
                "useinbandfec",
                "usedtx",
            ],
        }
    }
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

/// One way in which a track can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecOffer {
    /// The codec.
    pub codec: Codec,
    /// For H.264: the profile of the stream; `None` where it is not known,
    /// then the viewer's most capable decoder gets it. A viewer that can take a
    /// higher profile takes a lower one too.
    pub profile: Option<H264Profile>,
}

/// What an H.264 receiver decodes, read from its `profile-level-id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoder {
    ConstrainedBaseline,
    Baseline,
    Extended,
    Main,
    ConstrainedHigh,
    High,
    /// High 10, High 4:2:2, High 4:4:4 Predictive: High, and more.
    BeyondHigh,
}

impl Decoder {
    /// The patterns of RFC 6184 table 5, and Constrained High, which is younger.
    fn read(profile_level_id: &str) -> Option<Self> {
        if profile_level_id.len() != 6 {
            return None;
        }
        let number = u32::from_str_radix(profile_level_id, 16).ok()?;
        let [_, idc, iop, _level] = number.to_be_bytes();
        Some(match (idc, iop) {
            (0x42, _) if iop & 0x4f == 0x40 => Self::ConstrainedBaseline, // x1xx0000
            (0x4d, _) if iop & 0x8f == 0x80 => Self::ConstrainedBaseline, // 1xxx0000
            (0x58, _) if iop & 0xcf == 0xc0 => Self::ConstrainedBaseline, // 11xx0000
            (0x42, _) if iop & 0x4f == 0x00 => Self::Baseline,            // x0xx0000
            (0x58, _) if iop & 0xcf == 0x80 => Self::Baseline,            // 10xx0000
            (0x4d, _) if iop & 0xaf == 0x00 => Self::Main,                // 0x0x0000
            (0x58, _) if iop & 0xcf == 0x00 => Self::Extended,            // 00xx0000
            (0x64, 0x00) => Self::High,
            (0x64, 0x0c) => Self::ConstrainedHigh,
            (0x6e | 0x7a | 0xf4, 0x00) => Self::BeyondHigh,
            _ => return None,
        })
    }

    /// Who decodes a stream, the closest first (H.264 A.2).
    ///
    /// Strictly, only Baseline and Extended decode Baseline. But what they have
    /// beyond Constrained Baseline (FMO, ASO, redundant slices) no browser
    /// decodes whatever it offers, and no encoder that is in use makes, while
    /// many cameras leave the constraint flag off. So all are taken.
    fn of(stream: Option<H264Profile>) -> &'static [Self] {
        match stream {
            Some(H264Profile::ConstrainedBaseline) => &[
                Self::ConstrainedBaseline,
                Self::Baseline,
                Self::Main,
                Self::ConstrainedHigh,
                Self::High,
                Self::Extended,
                Self::BeyondHigh,
            ],
            Some(H264Profile::Baseline) => &[
                Self::Baseline,
                Self::Extended,
                Self::ConstrainedBaseline,
                Self::Main,
                Self::ConstrainedHigh,
                Self::High,
                Self::BeyondHigh,
            ],
            Some(H264Profile::Main) => &[Self::Main, Self::High, Self::BeyondHigh],
            Some(H264Profile::ConstrainedHigh) => {
                &[Self::ConstrainedHigh, Self::High, Self::BeyondHigh]
            }
            Some(H264Profile::High) => &[Self::High, Self::BeyondHigh],
            None => &[
                Self::BeyondHigh,
                Self::High,
                Self::ConstrainedHigh,
                Self::Main,
                Self::Extended,
                Self::Baseline,
                Self::ConstrainedBaseline,
            ],
        }
    }
}

/// Does a receiver that names `profile_level_id` decode such a stream, and how
/// close is that to what the stream is? 0 is the closest.
pub(super) fn decodes(profile_level_id: &str, stream: Option<H264Profile>) -> Option<usize> {
    let decoder = Decoder::read(profile_level_id)?;
    Decoder::of(stream).iter().position(|it| *it == decoder)
}

/// The feedback (RFC 4585, RFC 5104) that we act upon; other offers of it are
/// not accepted.
const FEEDBACK: [&str; 5] = ["nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"];

/// Payload types that can be mistaken for RTCP on the same port (RFC 5761
/// section 4), and so are none.
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 64..=95;

/// One payload type of an m-line, as offered.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    map: RtpMap,
    fmtp: Vec<(String, String)>,
    feedback: Vec<&'static str>,
}

/// The payload types of one m-line, in its order of preference.
#[derive(Clone, Debug, Default)]
pub(super) struct Payloads {
    order: Vec<u8>,
    by_type: BTreeMap<u8, Payload>,
}

impl Payloads {
    /// Reads them in one pass. What is said twice counts as said first, what
    /// cannot be read as not said.
    pub(super) fn read(media: &Media) -> Self {
        let mut all = Self::default();
        for map in media.attributes_typed::<RtpMap>().flatten() {
            if RTCP_TYPES.contains(&map.payload_type) {
                continue;
            }
            all.by_type.entry(map.payload_type).or_insert(Payload {
                map,
                fmtp: Vec::new(),
                feedback: Vec::new(),
            });
        }
        for format in media.fmt.split_ascii_whitespace() {
            if let Ok(number) = format.parse()
                && all.by_type.contains_key(&number)
                && !all.order.contains(&number)
            {
                all.order.push(number);
            }
        }
        for fmtp in media.attributes_typed::<Fmtp>().flatten() {
            if let Some(payload) = all.by_type.get_mut(&fmtp.fmt)
                && payload.fmtp.is_empty()
            {
                payload.fmtp = fmtp
                    .format_specific_params
                    .into_iter()
                    .map(parameter)
                    .collect();
            }
        }
        for text in media.get_attribute_values("rtcp-fb").flatten() {
            all.take_feedback(text);
        }
        all
    }

    /// `96 nack pli`, or `* nack pli` for all (RFC 4585 section 4.2).
    fn take_feedback(&mut self, text: &str) {
        let Some((whom, what)) = text.split_once(' ') else {
            return;
        };
        let Some(known) = FEEDBACK
            .iter()
            .find(|known| known.eq_ignore_ascii_case(what.trim()))
        else {
            return;
        };
        let number = whom.parse::<u8>().ok();
        for (payload_type, payload) in &mut self.by_type {
            let meant = whom == "*" || number == Some(*payload_type);
            if meant && !payload.feedback.contains(known) {
                payload.feedback.push(known);
            }
        }
    }

    fn get(&self, payload_type: u8) -> Option<&Payload> {
        self.by_type.get(&payload_type)
    }

    /// The payload type that takes a stream best: of the closest profile, then
    /// the first of the offer.
    pub(super) fn find(&self, wanted: CodecOffer) -> Option<u8> {
        let rank = |payload_type: &u8| self.get(*payload_type)?.rank(wanted);
        self.order
            .iter()
            .filter_map(|payload_type| Some((rank(payload_type)?, *payload_type)))
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, payload_type)| payload_type)
    }

    /// Is this payload type of this codec?
    pub(super) fn is(&self, payload_type: u8, codec: Codec) -> bool {
        let any = CodecOffer {
            codec,
            profile: None,
        };
        self.takes(payload_type, any)
    }

    /// Does this payload type take such a stream?
    pub(super) fn takes(&self, payload_type: u8, stream: CodecOffer) -> bool {
        let payload = self.get(payload_type);
        payload.is_some_and(|it| it.rank(stream).is_some())
    }

    /// The retransmissions of a payload type (RFC 4588 section 8.1).
    pub(super) fn rtx(&self, payload_type: u8) -> Option<u8> {
        let apt = payload_type.to_string();
        let clock_rate = self.get(payload_type)?.map.clock_rate;
        self.order.iter().copied().find(|rtx| {
            self.get(*rtx).is_some_and(|it| {
                it.map.encoding_name.eq_ignore_ascii_case("rtx")
                    && it.map.clock_rate == clock_rate
                    && it.parameter("apt") == Some(apt.as_str())
            })
        })
    }

    /// Is this feedback offered?
    pub(super) fn has_feedback(&self, payload_type: u8, what: &str) -> bool {
        self.get(payload_type)
            .is_some_and(|it| it.feedback.contains(&what))
    }

    /// The parameters of a payload type that concern a sender of `codec`.
    pub(super) fn fmtp(&self, payload_type: u8, codec: Codec) -> Vec<(String, String)> {
        let Some(payload) = self.get(payload_type) else {
            return Vec::new();
        };
        let mut fmtp: Vec<(String, String)> = Vec::new();
        for (name, value) in &payload.fmtp {
            let known = codec.parameters().contains(&name.as_str());
            let plain = value.len() <= 32 && value.bytes().all(|c| c.is_ascii_alphanumeric());
            if known && plain && fmtp.iter().all(|(before, _)| before != name) {
                fmtp.push((name.clone(), value.clone()));
            }
        }
        fmtp
    }

    /// The `profile-level-id` of a payload type, if it has a proper one.
    pub(super) fn profile(&self, payload_type: u8) -> Option<String> {
        let id = self.get(payload_type)?.parameter("profile-level-id")?;
        let proper = id.len() == 6 && id.bytes().all(|c| c.is_ascii_hexdigit());
        proper.then(|| id.to_owned())
    }

    /// The lines that describe a payload type, with `fmtp`.
    pub(super) fn attributes(&self, payload_type: u8, fmtp: &[(String, String)]) -> Vec<Attribute> {
        let Some(payload) = self.get(payload_type) else {
            return Vec::new();
        };
        let mut lines = vec![payload.map.clone().into()];
        for what in &payload.feedback {
            let value = format!("{payload_type} {what}");
            lines.push(Attribute::with_value("rtcp-fb", value));
        }
        if !fmtp.is_empty() {
            let mut line = Fmtp::new(payload_type);
            line.add_format_specific_params(
                fmtp.iter()
                    .map(|(name, value)| FmtpParam::with_value(name, value)),
            );
            lines.push(line.into());
        }
        lines
    }
}

/// `name=value`, trimmed, the name in lower case (RFC 4855 section 3).
fn parameter(read: FmtpParam) -> (String, String) {
    let value = read.val.unwrap_or_default();
    (
        read.param.trim().to_ascii_lowercase(),
        value.trim().to_owned(),
    )
}

impl Payload {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp
            .iter()
            .find(|(it, _)| it == name)
            .map(|(_, value)| value.as_str())
    }

    /// How well it takes a stream, 0 is best; `None`: not at all.
    fn rank(&self, wanted: CodecOffer) -> Option<usize> {
        let codec = wanted.codec;
        if !self
            .map
            .encoding_name
            .eq_ignore_ascii_case(codec.encoding_name())
            || self.map.clock_rate != codec.clock_rate()
        {
            return None;
        }
        match codec {
            Codec::Vp8 => Some(0),
            // Always `opus/48000/2`, mono or not (RFC 7587 7).
            Codec::Opus => (self.map.encoding_params.as_deref() == Some("2")).then_some(0),
            Codec::H264 => {
                // Fragmentation units need mode 1; absent means 0 (RFC 6184 8.1).
                if self.parameter("packetization-mode") != Some("1") {
                    return None;
                }
                // Absent means Baseline, level 1 (RFC 6184 8.1). Levels are not
                // compared, even without level-asymmetry-allowed: receivers
                // decode beyond the level that they name, and a refusal
                // would be certain darkness.
                let id = self.parameter("profile-level-id").unwrap_or("42000a");
                let decoder = Decoder::read(id)?;
                Decoder::of(wanted.profile)
                    .iter()
                    .position(|it| *it == decoder)
            }
        }
    }
}
