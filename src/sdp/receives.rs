//! What a viewer can decode, said before we offer, and the offer that follows.

use serde::{Deserialize, Serialize};

use super::codec::decodes;
use super::{Codec, CodecOffer, H264Profile, Kind, MediaPlan, SdpError, TrackOffer};

/// What a viewer can decode, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receives {
    /// Video codecs.
    #[serde(default)]
    pub video: Vec<ReceivableCodec>,
    /// Audio codecs.
    #[serde(default)]
    pub audio: Vec<ReceivableCodec>,
    /// Does it speak data channels?
    #[serde(default, skip_serializing_if = "is_false")]
    pub data: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_false(value: &bool) -> bool {
    !*value
}

/// One codec that a viewer can decode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivableCodec {
    /// The encoding name of `a=rtpmap` (`H264`, `VP8`, `OPUS`), in any case.
    pub codec: String,
    /// For H.264: `profile-level-id` (RFC 6184 section 8.1), if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// Payload types of our own offers, from the dynamic range (RFC 3551 section 6).
pub(super) const fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Vp8 => 96,
        Codec::H264 => 102,
        Codec::Opus => 111,
    }
}

/// H.264 in all profiles, where we receive: who sends it passes it on as it is.
const H264_HIGH: (u8, &str) = (104, "64001f");

/// Header-extension ids of our own offers.
pub(super) const TWCC_ID: u8 = 1;
pub(super) const MID_ID: u8 = 2;

impl Receives {
    /// How the viewer itself calls what it decodes such a stream with, the closest
    /// first: an offer in other words is refused, though it could be played.
    /// `Some(None)` where it takes the codec whatever the profile.
    pub(super) fn takes(&self, offer: CodecOffer) -> Option<Option<&str>> {
        let list = match offer.codec.kind() {
            Kind::Audio => &self.audio,
            Kind::Video => &self.video,
        };
        let same =
            |it: &&ReceivableCodec| it.codec.eq_ignore_ascii_case(offer.codec.encoding_name());
        let closeness = |it: &ReceivableCodec| match it.profile.as_deref() {
            Some(id) if offer.codec == Codec::H264 => decodes(id, offer.profile),
            _ => Some(0),
        };
        let taken = list.iter().filter(same);
        let (_, closest) = taken
            .filter_map(|it| Some((closeness(it)?, it)))
            .min_by_key(|(closeness, _)| *closeness)?;
        let profile = closest.profile.as_deref();
        Some(profile.filter(|_| offer.codec == Codec::H264))
    }
}

/// `a=fmtp` of our own offers. Without a known profile we promise the lowest,
/// which every decoder of H.264 tries.
/// A viewer that has named its profile is offered that one.
pub(super) fn parameters(offer: CodecOffer, named: Option<&str>) -> Vec<(String, String)> {
    let list: &[(&str, &str)] = match offer.codec {
        Codec::H264 => &[
            ("packetization-mode", "1"),
            ("level-asymmetry-allowed", "1"),
            (
                "profile-level-id",
                named.unwrap_or(profile_level_id(offer.profile)),
            ),
        ],
        Codec::Opus => &[("minptime", "10"), ("useinbandfec", "1")],
        Codec::Vp8 => &[],
    };
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    list.iter().map(owned).collect()
}

/// At level 3.1; the level of what is sent is each side's own business.
fn profile_level_id(profile: Option<H264Profile>) -> &'static str {
    match profile {
        Some(H264Profile::ConstrainedBaseline) | None => "42e01f",
        Some(H264Profile::Baseline) => "42001f",
        Some(H264Profile::Main) => "4d001f",
        Some(H264Profile::ConstrainedHigh) => "640c1f",
        Some(H264Profile::High) => "64001f",
    }
}

/// What an offer of ours has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnOffer {
    /// The media, an m-line each. Empty only if there is `data`.
    pub media: Vec<MediaPlan>,
    /// Is there an m-line for data channels, behind them?
    pub data: bool,
}

/// What we offer of `tracks`: an m-line each, one codec each, in the order of
/// `tracks`. A track that the viewer cannot take is left out, as long as one is
/// left. A viewer that has not said what it takes gets our first choice.
///
/// Where we have `data`, channels for it are offered to a viewer that has said
/// that it speaks them; it needs to take no track, if it names no codec.
pub fn own_offer(
    tracks: &[TrackOffer],
    receives: Option<&Receives>,
    data: bool,
) -> Result<OwnOffer, SdpError> {
    let data = data && receives.is_some_and(|it| it.data);
    let silent = receives.is_some_and(|it| it.video.is_empty() && it.audio.is_empty());
    let mut media = Vec::new();
    for (track, offer) in tracks.iter().enumerate() {
        let taken = |it: &CodecOffer| match receives {
            Some(receives) => receives.takes(*it),
            None => Some(None),
        };
        let mut taken = offer.codecs.iter().filter_map(|it| Some((it, taken(it)?)));
        let Some((chosen, profile)) = taken.next() else {
            continue;
        };
        let mline = media.len();
        let video = offer.kind == Kind::Video;
        media.push(MediaPlan {
            call: false,
            track: Some(track),
            receives: false,
            mline,
            mid: format!("{}{mline}", offer.kind),
            kind: offer.kind,
            codec: chosen.codec,
            payload_type: payload_type(chosen.codec),
            clock_rate: chosen.codec.clock_rate(),
            rtx_payload_type: None,
            nack: video,
            fir: video,
            twcc: Some(TWCC_ID),
            mid_extension: Some(MID_ID),
            fmtp: parameters(*chosen, profile),
        });
    }
    if media.is_empty() && !(data && (silent || tracks.is_empty())) {
        let names = |offer: &TrackOffer| -> Vec<_> {
            offer
                .codecs
                .iter()
                .map(|it| it.codec.encoding_name())
                .collect()
        };
        let ours: Vec<_> = tracks.iter().flat_map(names).collect();
        return Err(SdpError::Incompatible(format!(
            "this stream is {}, of which the viewer takes none",
            ours.join(", ")
        )));
    }
    Ok(OwnOffer { media, data })
}

/// What a receiver can decode, in the order of `codecs`.
impl From<&[Codec]> for Receives {
    fn from(codecs: &[Codec]) -> Self {
        let mut receives = Self::default();
        for codec in codecs {
            let (list, profiles): (_, &[_]) = match codec {
                Codec::H264 => (&mut receives.video, &[Some("42e01f"), Some("640c1f")]),
                Codec::Vp8 => (&mut receives.video, &[None]),
                Codec::Opus => (&mut receives.audio, &[None]),
            };
            list.extend(profiles.iter().map(|profile| ReceivableCodec {
                codec: codec.encoding_name().to_owned(),
                profile: profile.map(str::to_owned),
            }));
        }
        receives
    }
}

/// What we offer to receive: one m-line a kind, video first. The far side
/// chooses among its codecs, each of which has an entry here, best first.
pub fn receive_offer(codecs: &[Codec]) -> Vec<MediaPlan> {
    let mut media = Vec::new();
    let mut mline = 0;
    for kind in [Kind::Video, Kind::Audio] {
        let mut of_kind = codecs.iter().filter(|it| it.kind() == kind).peekable();
        if of_kind.peek().is_none() {
            continue;
        }
        for codec in of_kind {
            media.push(received(*codec, mline, payload_type(*codec), None));
            if *codec == Codec::H264 {
                let (payload_type, profile) = H264_HIGH;
                media.push(received(*codec, mline, payload_type, Some(profile)));
            }
        }
        mline += 1;
    }
    media
}

fn received(codec: Codec, mline: usize, payload_type: u8, profile: Option<&str>) -> MediaPlan {
    let kind = codec.kind();
    let any = CodecOffer {
        codec,
        profile: None,
    };
    MediaPlan {
        call: false,
        track: None,
        receives: true,
        mline,
        mid: format!("{kind}{mline}"),
        kind,
        codec,
        payload_type,
        clock_rate: codec.clock_rate(),
        rtx_payload_type: None,
        nack: kind == Kind::Video,
        fir: kind == Kind::Video,
        twcc: Some(TWCC_ID),
        mid_extension: Some(MID_ID),
        fmtp: parameters(any, profile),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(codecs: &[(Codec, Option<H264Profile>)]) -> TrackOffer {
        let codecs = codecs
            .iter()
            .map(|&(codec, profile)| CodecOffer { codec, profile });
        TrackOffer {
            kind: Kind::Video,
            codecs: codecs.collect(),
        }
    }

    fn receives(json: &str) -> Receives {
        serde_json::from_str(json).unwrap()
    }

    const BOTH: [(Codec, Option<H264Profile>); 2] = [
        (Codec::H264, Some(H264Profile::ConstrainedBaseline)),
        (Codec::Vp8, None),
    ];

    #[test]
    fn our_preference_decides_among_what_the_viewer_takes() {
        for (theirs, ours) in [
            (
                r#"{"video":[{"codec":"vp8"},{"codec":"h264","profile":"42e01f"}]}"#,
                Codec::H264,
            ),
            (r#"{"video":[{"codec":"VP8"}]}"#, Codec::Vp8),
            (
                r#"{"video":[{"codec":"H264","profile":"nonsense"},{"codec":"VP8"}]}"#,
                Codec::Vp8,
            ),
        ] {
            let media = own_offer(&[video(&BOTH)], Some(&receives(theirs)), false)
                .unwrap()
                .media;
            assert_eq!(media[0].codec, ours, "{theirs}");
        }
    }

    #[test]
    fn a_stream_above_the_viewers_profile_is_not_offered() {
        let high = video(&[(Codec::H264, Some(H264Profile::High))]);
        let theirs = receives(r#"{"video":[{"codec":"H264","profile":"42e01f"}]}"#);
        assert!(own_offer(&[high], Some(&theirs), true).is_err());
    }

    #[test]
    fn a_viewer_is_offered_its_own_profile() {
        let high = video(&[(Codec::H264, Some(H264Profile::ConstrainedHigh))]);
        let chromium = r#"{"video":[{"codec":"VP8"},{"codec":"H264","profile":"42e01f"},
            {"codec":"H264","profile":"64001f"}]}"#;
        let media = own_offer(
            std::slice::from_ref(&high),
            Some(&receives(chromium)),
            false,
        )
        .unwrap()
        .media;
        let named = |id: &str| ("profile-level-id".to_owned(), id.to_owned());
        assert!(media[0].fmtp.contains(&named("64001f")), "{media:?}");
        let both = r#"{"video":[{"codec":"H264","profile":"64001f"},
            {"codec":"H264","profile":"640c1f"}]}"#;
        let media = own_offer(&[high], Some(&receives(both)), false)
            .unwrap()
            .media;
        assert!(media[0].fmtp.contains(&named("640c1f")), "{media:?}");
    }

    #[test]
    fn payload_types_of_one_offer_differ() {
        let audio = TrackOffer {
            kind: Kind::Audio,
            codecs: vec![CodecOffer {
                codec: Codec::Opus,
                profile: None,
            }],
        };
        let media = own_offer(&[video(&BOTH), audio], None, false)
            .unwrap()
            .media;
        assert_eq!(media.len(), 2);
        assert_ne!(media[0].payload_type, media[1].payload_type);
        assert_ne!(media[0].mid, media[1].mid);
    }

    #[test]
    fn data_is_offered_to_those_who_speak_it() {
        let offered = |theirs: Option<&str>, data| {
            let theirs = theirs.map(receives);
            own_offer(&[video(&BOTH)], theirs.as_ref(), data).map(|it| (it.media.len(), it.data))
        };
        let vp8 = r#"{"video":[{"codec":"VP8"}],"data":true}"#;
        assert_eq!(offered(Some(vp8), true), Ok((1, true)));
        assert_eq!(offered(Some(vp8), false), Ok((1, false)));
        assert_eq!(
            offered(Some(r#"{"video":[{"codec":"VP8"}]}"#), true),
            Ok((1, false))
        );
        assert_eq!(offered(None, true), Ok((1, false)));
        // It wants nothing else.
        assert_eq!(offered(Some(r#"{"data":true}"#), true), Ok((0, true)));
        assert!(offered(Some(r#"{"data":true}"#), false).is_err());
        let other = r#"{"video":[{"codec":"AV1"}],"data":true}"#;
        assert!(offered(Some(other), true).is_err());
    }
}
