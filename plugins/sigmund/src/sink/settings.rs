//! The properties of `rtcsink`: one row each, its default, its reader and its
//! writer in one place.

use std::sync::LazyLock;
use std::time::Duration;

use gst::prelude::*;
use sigmund::ladder::Limits;
use sigmund::sdp::{Codec, Kind};
use sigmund::signaller::{Options, Role};

use crate::driver::Network;
use crate::element::{
    Common, HasCommon, MAX_BITRATE, MIN_BITRATE, Property, START_BITRATE, bitrate, codecs,
    common_properties, limits, property, text,
};

const VIDEO_CODECS: &str = "H264,VP8";
const AUDIO_CODECS: &str = "OPUS";
const MAX_PEERS: u32 = 256;

/// What the user set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    common: Common,
    video_codecs: String,
    audio_codecs: String,
    min_bitrate: u32,
    start_bitrate: u32,
    max_bitrate: u32,
    max_peers: u32,
    pub(super) navigation: bool,
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
            max_peers: MAX_PEERS,
            navigation: false,
        }
    }
}

/// What the settings come to when the element starts.
pub(super) struct Plan {
    pub(super) uri: String,
    pub(super) options: Options,
    pub(super) network: Network,
    pub(super) codecs: Vec<Codec>,
    pub(super) limits: Limits,
    pub(super) max_peers: usize,
    pub(super) give_up: Duration,
}

impl Settings {
    /// Checks them all; the error says which one is wrong and what it takes.
    pub(super) fn plan(&self, element_name: &str) -> Result<Plan, String> {
        let mut all = codecs("video-codecs", Kind::Video, &self.video_codecs)?;
        all.extend(codecs("audio-codecs", Kind::Audio, &self.audio_codecs)?);
        let limits = limits(self.min_bitrate, self.start_bitrate, self.max_bitrate)?;
        Ok(Plan {
            uri: self.common.uri(element_name),
            options: self.common.options(Role::Publish, element_name)?,
            network: self.common.network()?,
            codecs: all,
            limits,
            max_peers: self.max_peers as usize,
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
                "Codecs for raw video, best first: H264, VP8"
            )
            .default_value(Some(VIDEO_CODECS))
        ),
        property!(
            Settings: audio_codecs,
            text("audio-codecs", "Codecs for raw audio, best first: OPUS")
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
                "Video is encoded at this until viewers report, in bit/s"
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
            Settings: max_peers,
            glib::ParamSpecUInt::builder("max-peers")
                .minimum(1)
                .default_value(MAX_PEERS)
                .blurb("Viewers at the same time; the next one is told that there is no room")
        ),
        property!(
            Settings: navigation,
            glib::ParamSpecBoolean::builder("navigation").blurb(
                "Send what viewers do at the picture (pointer, keys, touch) upstream, as \
                 GstNavigation events"
            )
        ),
    ]);
    all
});

/// The properties that can be set, in the order of their ids.
pub(super) fn properties() -> &'static [Property<Settings>] {
    &PROPERTIES
}
