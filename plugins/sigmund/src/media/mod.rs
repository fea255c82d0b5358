//! Media out: sink pad → track → encoding → fan-out → one feeder a viewer.

mod chain;
mod distributor;
pub(crate) mod encoders;
mod encoding;
mod feeder;
mod format;
pub(crate) mod payload;
mod track;

pub(crate) use encoding::{EncodingSpec, Encodings, Lease, OnEncoder};
pub(crate) use feeder::Feeder;
pub(crate) use format::Format;
pub(crate) use track::{House, Track};

static CAT: std::sync::LazyLock<gst::DebugCategory> = std::sync::LazyLock::new(|| {
    gst::DebugCategory::new(
        "rtcmedia",
        gst::DebugColorFlags::empty(),
        Some("Sigmund: tracks, encoders and fan-out"),
    )
});
