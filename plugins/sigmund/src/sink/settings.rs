//! The properties of `rtcsink`: one row each, its default, its reader and its
//! writer in one place.

use std::sync::LazyLock;
use std::time::Duration;

use gst::prelude::*;
use sigmund::ladder::Limits;
use sigmund::sdp::Codec;
use sigmund::signaller::{Options, Role};

use crate::driver::Network;
use crate::element::{
    Bitrates, Codecs, Common, HasCommon, Property, audio_codecs, common_properties, max_bitrate,
    min_bitrate, property, start_bitrate, video_codecs,
};

const MAX_PEERS: u32 = 256;

/// What the user set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    common: Common,
    codecs: Codecs,
    bitrates: Bitrates,
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
            codecs: Codecs::default(),
            bitrates: Bitrates::default(),
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
        Ok(Plan {
            uri: self.common.uri(element_name),
            options: self.common.options(Role::Publish, element_name)?,
            network: self.common.network()?,
            codecs: self.codecs.read()?,
            limits: self.bitrates.limits()?,
            max_peers: self.max_peers as usize,
            give_up: self.common.give_up(),
        })
    }
}

static PROPERTIES: LazyLock<Vec<Property<Settings>>> = LazyLock::new(|| {
    let mut all = common_properties();
    all.extend([
        property!(
            Settings: codecs.video,
            video_codecs("Codecs for raw video, best first: H264, VP8")
        ),
        property!(
            Settings: codecs.audio,
            audio_codecs("Codecs for raw audio, best first: OPUS")
        ),
        property!(Settings: bitrates.min, min_bitrate()),
        property!(
            Settings: bitrates.start,
            start_bitrate("Video is encoded at this until viewers report, in bit/s")
        ),
        property!(Settings: bitrates.max, max_bitrate()),
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
