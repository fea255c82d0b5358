//! The properties of `rtcpeer`.

use std::sync::LazyLock;
use std::time::Duration;

use gst::prelude::*;
use sigmund::ladder::Limits;
use sigmund::sdp::{Codec, Kind, Receives};
use sigmund::signaller::{Options, Role};

use crate::driver::Network;
use crate::element::{
    Common, HasCommon, MAX_BITRATE, MIN_BITRATE, Property, START_BITRATE, bitrate, codecs,
    common_properties, limits, property, text,
};
use crate::receive::can_decode;

const VIDEO_CODECS: &str = "H264,VP8";
const AUDIO_CODECS: &str = "OPUS";
const LATENCY: u32 = 200;

/// What the user set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    common: Common,
    video_codecs: String,
    audio_codecs: String,
    min_bitrate: u32,
    start_bitrate: u32,
    max_bitrate: u32,
    latency: u32,
}

impl HasCommon for Settings {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            common: Common::default(),
            video_codecs: VIDEO_CODECS.into(),
            audio_codecs: AUDIO_CODECS.into(),
            min_bitrate: MIN_BITRATE,
            start_bitrate: START_BITRATE,
            max_bitrate: MAX_BITRATE,
            latency: LATENCY,
        }
    }
}

/// What the settings come to when the element starts.
pub(super) struct Plan {
    pub(super) uri: String,
    pub(super) options: Options,
    pub(super) network: Network,
    /// What raw media are sent in, best first.
    pub(super) sends: Vec<Codec>,
    /// What is received, best first.
    pub(super) receives: Vec<Codec>,
    pub(super) limits: Limits,
    pub(super) latency: Duration,
    pub(super) give_up: Duration,
}

impl Settings {
    /// Checks them all; the error says which one is wrong and what it takes.
    pub(super) fn plan(&self, element_name: &str) -> Result<Plan, String> {
        let mut sends = codecs("video-codecs", Kind::Video, &self.video_codecs)?;
        sends.extend(codecs("audio-codecs", Kind::Audio, &self.audio_codecs)?);
        if sends.is_empty() {
            return Err("video-codecs and audio-codecs are both empty; nothing is left".into());
        }
        let limits = limits(self.min_bitrate, self.start_bitrate, self.max_bitrate)?;
        let mut receives = sends.clone();
        // What cannot be decoded here can still be passed on as it is.
        receives.sort_by_key(|codec| !can_decode(*codec));
        let options = self.common.options(Role::Both, element_name)?;
        Ok(Plan {
            uri: self.common.uri(element_name),
            options: Options {
                receives: Some(Receives {
                    data: true,
                    ..Receives::from(receives.as_slice())
                }),
                ..options
            },
            network: self.common.network()?,
            sends,
            receives,
            limits,
            latency: Duration::from_millis(self.latency.into()),
            give_up: self.common.give_up(),
        })
    }
}

static PROPERTIES: LazyLock<Vec<Property<Settings>>> = LazyLock::new(|| {
    let mut all = common_properties();
    all.extend([
        property!(
            Settings: video_codecs,
            text(
                "video-codecs",
                "Codecs to send raw video in, and to receive video in, best first: H264, VP8; \
                 empty for no video"
            )
            .default_value(Some(VIDEO_CODECS))
        ),
        property!(
            Settings: audio_codecs,
            text(
                "audio-codecs",
                "Codecs to send raw audio in, and to receive audio in, best first: OPUS; empty \
                 for no audio"
            )
            .default_value(Some(AUDIO_CODECS))
        ),
        property!(
            Settings: min_bitrate,
            bitrate(
                "min-bitrate",
                MIN_BITRATE,
                "Video is never encoded below this, in bit/s"
            )
        ),
        property!(
            Settings: start_bitrate,
            bitrate(
                "start-bitrate",
                START_BITRATE,
                "Video is encoded at this until the far side reports, in bit/s"
            )
        ),
        property!(
            Settings: max_bitrate,
            bitrate(
                "max-bitrate",
                MAX_BITRATE,
                "Video is never encoded above this, in bit/s"
            )
        ),
        property!(
            Settings: latency,
            glib::ParamSpecUInt::builder("latency")
                .maximum(60_000)
                .default_value(LATENCY)
                .blurb(
                    "Milliseconds that what comes in waits for late packets and retransmissions; \
                     less is sooner, more survives worse networks"
                )
        ),
    ]);
    all
});

/// The properties that can be set, in the order of their ids.
pub(super) fn properties() -> &'static [Property<Settings>] {
    &PROPERTIES
}
