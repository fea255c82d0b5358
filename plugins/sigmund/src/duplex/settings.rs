//! The properties of `rtcpeer`.

use std::sync::LazyLock;
use std::time::Duration;

use gst::prelude::*;
use sigmund::ladder::Limits;
use sigmund::sdp::{Codec, Receives};
use sigmund::signaller::{Options, Role};

use crate::driver::Network;
use crate::element::{
    Bitrates, Codecs, Common, HasCommon, Latency, Property, audio_codecs, common_properties,
    decodable_first, latency, max_bitrate, min_bitrate, property, start_bitrate, video_codecs,
};

/// What the user set.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    common: Common,
    codecs: Codecs,
    bitrates: Bitrates,
    latency: Latency,
}

impl HasCommon for Settings {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
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
        let sends = self.codecs.read()?;
        if sends.is_empty() {
            return Err("video-codecs and audio-codecs are both empty; nothing is left".into());
        }
        let receives = decodable_first(sends.clone());
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
            limits: self.bitrates.limits()?,
            latency: self.latency.duration(),
            give_up: self.common.give_up(),
        })
    }
}

static PROPERTIES: LazyLock<Vec<Property<Settings>>> = LazyLock::new(|| {
    let mut all = common_properties();
    all.extend([
        property!(
            Settings: codecs.video,
            video_codecs(
                "Codecs to send raw video in, and to receive video in, best first: H264, VP8; \
                 empty for no video"
            )
        ),
        property!(
            Settings: codecs.audio,
            audio_codecs(
                "Codecs to send raw audio in, and to receive audio in, best first: OPUS; empty for \
                 no audio"
            )
        ),
        property!(Settings: bitrates.min, min_bitrate()),
        property!(
            Settings: bitrates.start,
            start_bitrate("Video is encoded at this until the far side reports, in bit/s")
        ),
        property!(Settings: bitrates.max, max_bitrate()),
        property!(
            Settings: latency.ms,
            latency(
                "Milliseconds that what comes in waits for late packets and retransmissions; less \
                 is sooner, more survives worse networks"
            )
        ),
    ]);
    all
});

/// The properties that can be set, in the order of their ids.
pub(super) fn properties() -> &'static [Property<Settings>] {
    &PROPERTIES
}
