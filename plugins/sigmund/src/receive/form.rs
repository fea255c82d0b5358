//! In which form media leave a source pad.

use sigmund::sdp::{Codec, Kind};

/// What leaves a pad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing: nobody is linked.
    Nothing,
    /// Decoded pictures or sound.
    Raw,
    /// Frames as they were sent.
    Encoded,
    /// The RTP packets.
    Rtp,
}

impl Form {
    /// The form for a peer that takes `caps`: encoded rather than raw, so that
    /// nothing is decoded for who can take it as it is, but raw for who takes
    /// anything. `None` where it takes none.
    pub(crate) fn wanted(caps: &gst::Caps, codec: Codec) -> Option<Self> {
        if caps.is_any() {
            return Some(Self::Raw);
        }
        [Self::Encoded, Self::Raw, Self::Rtp]
            .into_iter()
            .find(|form| caps.can_intersect(&form.caps(codec)))
    }

    /// Its caps.
    pub(crate) fn caps(self, codec: Codec) -> gst::Caps {
        match (self, codec, codec.kind()) {
            (Self::Nothing, ..) => gst::Caps::new_empty(),
            (Self::Raw, _, Kind::Video) => gst::Caps::builder("video/x-raw").any_features().build(),
            (Self::Raw, _, Kind::Audio) => gst::Caps::new_empty_simple("audio/x-raw"),
            (Self::Encoded, Codec::H264, _) => gst::Caps::new_empty_simple("video/x-h264"),
            (Self::Encoded, Codec::Vp8, _) => gst::Caps::new_empty_simple("video/x-vp8"),
            (Self::Encoded, Codec::Opus, _) => gst::Caps::new_empty_simple("audio/x-opus"),
            (Self::Rtp, _, kind) => gst::Caps::builder("application/x-rtp")
                .field("media", kind.to_string())
                .field("encoding-name", codec.encoding_name())
                .build(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn what_is_linked_decides() {
        gst::init().unwrap();
        for (caps, codec, form) in [
            ("ANY", Codec::Vp8, Some(Form::Raw)),
            ("video/x-raw", Codec::Vp8, Some(Form::Raw)),
            ("video/x-raw(memory:GLMemory)", Codec::H264, Some(Form::Raw)),
            ("video/x-raw; video/x-vp8", Codec::Vp8, Some(Form::Encoded)),
            ("video/x-raw; video/x-vp8", Codec::H264, Some(Form::Raw)),
            (
                "video/x-h264,stream-format=avc",
                Codec::H264,
                Some(Form::Encoded),
            ),
            ("application/x-rtp", Codec::Opus, Some(Form::Rtp)),
            ("audio/x-raw,rate=8000", Codec::Opus, Some(Form::Raw)),
            ("video/x-h265", Codec::H264, None),
        ] {
            let peer = gst::Caps::from_str(caps).unwrap();
            assert_eq!(Form::wanted(&peer, codec), form, "{caps}");
        }
    }
}
