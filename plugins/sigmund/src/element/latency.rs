//! How long elements that receive wait for late packets.

use std::time::Duration;

use gst::prelude::*;

const LATENCY: u32 = 200;

/// What the user set.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    pub(crate) ms: u32,
}

impl Default for Latency {
    fn default() -> Self {
        Self { ms: LATENCY }
    }
}

impl Latency {
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_millis(self.ms.into())
    }
}

pub(crate) fn latency(blurb: &'static str) -> glib::ParamSpecUIntBuilder<'static> {
    glib::ParamSpecUInt::builder("latency")
        .maximum(60_000)
        .default_value(LATENCY)
        .blurb(blurb)
}
