//! The properties of `rtcsrc`.

use std::sync::LazyLock;
use std::time::Duration;

use gst::prelude::*;
use sigmund::data::{Channel, agreed_channels};
use sigmund::sdp::{Codec, Receives};
use sigmund::signaller::{Options, Role};

use crate::driver::Network;
use crate::element::{
    Codecs, Common, HasCommon, Latency, Property, audio_codecs, common_properties, decodable_first,
    latency, property, text, video_codecs,
};

/// What the user set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    common: Common,
    codecs: Codecs,
    latency: Latency,
    data_channels: bool,
    negotiated_channels: String,
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
            latency: Latency::default(),
            data_channels: true,
            negotiated_channels: String::new(),
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
    pub(super) agreed: Vec<Channel>,
    pub(super) give_up: Duration,
}

impl Settings {
    /// Checks them all; the error says which one is wrong and what it takes.
    pub(super) fn plan(&self, element_name: &str) -> Result<Plan, String> {
        let codecs = decodable_first(self.codecs.read()?);
        if codecs.is_empty() && !self.data_channels {
            return Err(
                "video-codecs and audio-codecs are both empty, and data-channels is false; \
                 nothing is left"
                    .into(),
            );
        }
        let agreed = agreed_channels(&self.negotiated_channels)
            .map_err(|e| format!("negotiated-channels: {e}"))?;
        if !agreed.is_empty() && !self.data_channels {
            return Err("negotiated-channels are data channels; set data-channels=true".into());
        }
        let options = self.common.options(Role::Subscribe, element_name)?;
        let receives = Receives {
            data: self.data_channels,
            ..Receives::from(codecs.as_slice())
        };
        Ok(Plan {
            uri: self.common.uri(element_name),
            options: Options {
                receives: Some(receives),
                ..options
            },
            network: self.common.network()?,
            codecs,
            give_up: self.common.give_up(),
            latency: self.latency.duration(),
            data_channels: self.data_channels,
            agreed,
        })
    }
}

static PROPERTIES: LazyLock<Vec<Property<Settings>>> = LazyLock::new(|| {
    let mut all = common_properties();
    all.extend([
        property!(
            Settings: codecs.video,
            video_codecs("Codecs to receive video in, best first: H264, VP8; empty for no video")
        ),
        property!(
            Settings: codecs.audio,
            audio_codecs("Codecs to receive audio in, best first: OPUS; empty for no audio")
        ),
        property!(
            Settings: latency.ms,
            latency(
                "Milliseconds that media wait for late packets and retransmissions; less is \
                 sooner, more survives worse networks"
            )
        ),
        property!(
            Settings: data_channels,
            glib::ParamSpecBoolean::builder("data-channels")
                .default_value(true)
                .blurb(
                    "Take data channels: one data pad for each label. false for WHEP servers that \
                     refuse an offer with them"
                )
        ),
        property!(
            Settings: negotiated_channels,
            text(
                "negotiated-channels",
                "Data channels that both sides know of and nobody announces, LABEL=ID each, \
                 separated by commas: chat=5"
            )
        ),
    ]);
    all
});

/// The properties that can be set, in the order of their ids.
pub(super) fn properties() -> &'static [Property<Settings>] {
    &PROPERTIES
}
