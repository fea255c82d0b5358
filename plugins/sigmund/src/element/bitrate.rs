//! How much video takes, in elements that send it.

use gst::prelude::*;
use sigmund::ladder::Limits;

pub(crate) const MIN_BITRATE: u32 = 200_000;
pub(crate) const START_BITRATE: u32 = 2_500_000;
pub(crate) const MAX_BITRATE: u32 = 8_000_000;

/// A property that is a bitrate, in bit/s.
pub(crate) fn bitrate(
    name: &'static str,
    default: u32,
    blurb: &'static str,
) -> glib::ParamSpecUIntBuilder<'static> {
    glib::ParamSpecUInt::builder(name)
        .minimum(10_000)
        .maximum(1_000_000_000)
        .default_value(default)
        .blurb(blurb)
}

/// What the three properties come to, if they are in their order.
pub(crate) fn limits(min: u32, start: u32, max: u32) -> Result<Limits, String> {
    if min > start || start > max {
        return Err(format!(
            "min-bitrate ({min}) <= start-bitrate ({start}) <= max-bitrate ({max}) must hold"
        ));
    }
    Ok(Limits { min, max, start })
}
