//! How much video takes, in elements that send it.

use gst::prelude::*;
use sigmund::ladder::Limits;

const MIN: u32 = 200_000;
const START: u32 = 2_500_000;
const MAX: u32 = 8_000_000;

/// What the user set, in bit/s.
#[derive(Clone, Debug)]
pub(crate) struct Bitrates {
    pub(crate) min: u32,
    pub(crate) start: u32,
    pub(crate) max: u32,
}

impl Default for Bitrates {
    fn default() -> Self {
        Self {
            min: MIN,
            start: START,
            max: MAX,
        }
    }
}

impl Bitrates {
    /// What they come to, if they are in their order.
    pub(crate) fn limits(&self) -> Result<Limits, String> {
        let Self { min, start, max } = *self;
        if min > start || start > max {
            return Err(format!(
                "min-bitrate ({min}) <= start-bitrate ({start}) <= max-bitrate ({max}) must hold"
            ));
        }
        Ok(Limits { min, max, start })
    }
}

pub(crate) fn min_bitrate() -> glib::ParamSpecUIntBuilder<'static> {
    bitrate("min-bitrate", MIN).blurb("Video is never encoded below this, in bit/s")
}

pub(crate) fn start_bitrate(blurb: &'static str) -> glib::ParamSpecUIntBuilder<'static> {
    bitrate("start-bitrate", START).blurb(blurb)
}

pub(crate) fn max_bitrate() -> glib::ParamSpecUIntBuilder<'static> {
    bitrate("max-bitrate", MAX).blurb("Video is never encoded above this, in bit/s")
}

fn bitrate(name: &'static str, default: u32) -> glib::ParamSpecUIntBuilder<'static> {
    glib::ParamSpecUInt::builder(name)
        .minimum(10_000)
        .maximum(1_000_000_000)
        .default_value(default)
}
