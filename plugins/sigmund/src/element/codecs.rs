//! Which codecs an element sends or receives.

use sigmund::sdp::{Codec, Kind};

use super::settings::text;
use crate::receive::can_decode;

const VIDEO: &str = "H264,VP8";
const AUDIO: &str = "OPUS";

const VIDEO_PROPERTY: &str = "video-codecs";
const AUDIO_PROPERTY: &str = "audio-codecs";

/// What the user set: a list of each kind, best first.
#[derive(Clone, Debug)]
pub(crate) struct Codecs {
    pub(crate) video: String,
    pub(crate) audio: String,
}

impl Default for Codecs {
    fn default() -> Self {
        Self {
            video: VIDEO.into(),
            audio: AUDIO.into(),
        }
    }
}

impl Codecs {
    /// Those of both lists; the error says which is wrong.
    pub(crate) fn read(&self) -> Result<Vec<Codec>, String> {
        let mut all = read(VIDEO_PROPERTY, Kind::Video, &self.video)?;
        all.extend(read(AUDIO_PROPERTY, Kind::Audio, &self.audio)?);
        Ok(all)
    }
}

/// In the order in which we ask for them: what cannot be decoded here can still be
/// passed on as it is.
pub(crate) fn decodable_first(mut codecs: Vec<Codec>) -> Vec<Codec> {
    codecs.sort_by_key(|codec| !can_decode(*codec));
    codecs
}

pub(crate) fn video_codecs(blurb: &'static str) -> glib::ParamSpecStringBuilder<'static> {
    text(VIDEO_PROPERTY, blurb).default_value(Some(VIDEO))
}

pub(crate) fn audio_codecs(blurb: &'static str) -> glib::ParamSpecStringBuilder<'static> {
    text(AUDIO_PROPERTY, blurb).default_value(Some(AUDIO))
}

/// Reads a list of codecs of one kind, the value of `property`.
fn read(property: &str, kind: Kind, list: &str) -> Result<Vec<Codec>, String> {
    let known = [Codec::H264, Codec::Vp8, Codec::Opus];
    let fits = |codec: &&Codec| codec.kind() == kind;
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut of_kind = known.iter().filter(fits);
            of_kind
                .find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))
                .copied()
                .ok_or_else(|| {
                    let names = known.iter().filter(fits).map(|c| c.encoding_name());
                    let names: Vec<_> = names.collect();
                    format!(
                        "{property}: {name:?} is not known; there are {}",
                        names.join(", ")
                    )
                })
        })
        .collect()
}
