//! What flows into a track.

use sigmund::sdp::{Codec, CodecOffer, H264Profile, Kind, TrackOffer};

use super::encoders;

/// The kind of stream on a sink pad, from its caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// To be encoded.
    Raw(Kind),
    /// Passed through as it is.
    Encoded(CodecOffer),
}

impl Format {
    /// Reads caps; `None` for what the pad template does not allow.
    pub(crate) fn from_caps(caps: &gst::CapsRef) -> Option<Self> {
        let structure = caps.structure(0)?;
        let encoded = |codec, profile| Some(Self::Encoded(CodecOffer { codec, profile }));
        match structure.name().as_str() {
            "video/x-raw" => Some(Self::Raw(Kind::Video)),
            "audio/x-raw" => Some(Self::Raw(Kind::Audio)),
            "video/x-h264" => encoded(Codec::H264, h264_profile(structure)),
            "video/x-vp8" => encoded(Codec::Vp8, None),
            "audio/x-opus" => encoded(Codec::Opus, None),
            _ => None,
        }
    }

    /// What the track can be sent as, given the user's preference.
    pub(crate) fn offer(self, preference: &[Codec]) -> TrackOffer {
        match self {
            Self::Encoded(offer) => TrackOffer {
                kind: offer.codec.kind(),
                codecs: vec![offer],
            },
            Self::Raw(kind) => TrackOffer {
                kind,
                codecs: preference
                    .iter()
                    .filter(|codec| codec.kind() == kind && encoders::can_encode(**codec))
                    .map(|codec| CodecOffer {
                        codec: *codec,
                        profile: (*codec == Codec::H264)
                            .then_some(H264Profile::ConstrainedBaseline),
                    })
                    .collect(),
            },
        }
    }
}

/// From the caps' `profile`, or the `codec_data` of an `avc` stream
/// (ISO/IEC 14496-15: profile_idc and the constraint flags follow the version).
fn h264_profile(structure: &gst::StructureRef) -> Option<H264Profile> {
    let named = match structure.get::<&str>("profile") {
        Ok("constrained-baseline") => Some(H264Profile::ConstrainedBaseline),
        Ok("baseline") => Some(H264Profile::Baseline),
        Ok("main") => Some(H264Profile::Main),
        Ok("constrained-high") => Some(H264Profile::ConstrainedHigh),
        Ok("high" | "progressive-high") => Some(H264Profile::High),
        _ => None,
    };
    named.or_else(|| {
        let data = structure.get::<gst::Buffer>("codec_data").ok()?;
        let map = data.map_readable().ok()?;
        match (map.get(1)?, map.get(2)?) {
            (66, flags) if flags & 0x40 != 0 => Some(H264Profile::ConstrainedBaseline),
            (66, _) => Some(H264Profile::Baseline),
            (77, _) => Some(H264Profile::Main),
            (100, flags) if flags & 0x0c == 0x0c => Some(H264Profile::ConstrainedHigh),
            (100, _) => Some(H264Profile::High),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn read(caps: &str) -> Option<Format> {
        gst::init().unwrap();
        Format::from_caps(&gst::Caps::from_str(caps).unwrap())
    }

    #[test]
    fn raw_and_encoded_formats_are_told_apart() {
        assert_eq!(
            read("video/x-raw,format=I420"),
            Some(Format::Raw(Kind::Video))
        );
        assert_eq!(read("audio/x-raw"), Some(Format::Raw(Kind::Audio)));
        assert_eq!(read("video/x-h265"), None);
    }

    #[test]
    fn profile_comes_from_caps_or_codec_data() {
        for caps in [
            "video/x-h264,profile=main",
            "video/x-h264,stream-format=avc,codec_data=(buffer)014d401effe10000",
        ] {
            let Some(Format::Encoded(offer)) = read(caps) else {
                panic!("{caps}")
            };
            assert_eq!(offer.profile, Some(H264Profile::Main), "{caps}");
        }
    }
}
