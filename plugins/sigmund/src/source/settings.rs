//! The properties of `rtcsrc`.

use std::sync::LazyLock;
use std::time::Duration;

use gst::prelude::*;
use sigmund::sdp::{Codec, Kind, Receives};
use sigmund::signaller::{Options, Role};

use crate::driver::Network;
use crate::element::{Common, HasCommon, Property, codecs, common_properties, property, text};
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
    latency: u32,
    data_channels: bool,
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
            latency: LATENCY,
            data_channels: true,
        }
    }
}

/// What the settings come to when the element starts.
pub(super) struct Plan {
    pub(super) uri: String,
    pub(super) options: Options,
    pub(super) network: Network,
    pub(super) codecs: Vec<Codec>,
    pub(super) latency: Duration,
    pub(super) data_channels: bool,
    pub(super) give_up: Duration,
}

impl Settings {
    /// Checks them all; the error says which one is wrong and what it takes.
    pub(super) fn plan(&self, element_name: &str) -> Result<Plan, String> {
        let mut all = codecs("video-codecs", Kind::Video, &self.video_codecs)?;
        all.extend(codecs("audio-codecs", Kind::Audio, &self.audio_codecs)?);
        if all.is_empty() && !self.data_channels {
            return Err(
                "video-codecs and audio-codecs are both empty, and data-channels is false; \
                 nothing is left"
                    .into(),
            );
        }
        // What cannot be decoded here can still be passed on as it is.
        all.sort_by_key(|codec| !can_decode(*codec));
        let options = self.common.options(Role::Subscribe, element_name)?;
        let receives = Receives {
            data: self.data_channels,
            ..Receives::from(all.as_slice())
        };
        Ok(Plan {
            uri: self.common.uri(element_name),
            options: Options {
                receives: Some(receives),
                ..options
            },
            network: self.common.network()?,
            codecs: all,
            give_up: self.common.give_up(),
            latency: Duration::from_millis(self.latency.into()),
            data_channels: self.data_channels,
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
                "Codecs to receive video in, best first: H264, VP8; empty for no video"
            )
            .default_value(Some(VIDEO_CODECS))
        ),
        property!(
            Settings: audio_codecs,
            text(
                "audio-codecs",
                "Codecs to receive audio in, best first: OPUS; empty for no audio"
            )
            .default_value(Some(AUDIO_CODECS))
        ),
        property!(
            Settings: latency,
            glib::ParamSpecUInt::builder("latency")
                .maximum(60_000)
                .default_value(LATENCY)
                .blurb(
                    "Milliseconds that media wait for late packets and retransmissions; less is \
                     sooner, more survives worse networks"
                )
        ),
    ]);
    all.push(property!(
        Settings: data_channels,
        glib::ParamSpecBoolean::builder("data-channels")
            .default_value(true)
            .blurb(
                "Take data channels: one data pad for each label. false for WHEP servers that \
                 refuse an offer with them"
            )
    ));
    all
});

/// The properties that can be set, in the order of their ids.
pub(super) fn properties() -> &'static [Property<Settings>] {
    &PROPERTIES
}
