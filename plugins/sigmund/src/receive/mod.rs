//! Media in: webrtcbin's stream → inlet (depayloader, parser, decoder, as is
//! wanted) → outlet → what is linked.
//!
//! An *outlet* is a source pad of the element, for life. An *inlet* is a
//! stream's way to it, for the life of a session; it is built for what the peer
//! of the pad takes, and built anew when that changes.

mod decoders;
mod form;
mod impatience;
mod inlet;
mod outlet;
mod outlets;

pub(crate) use decoders::can_decode;
pub(crate) use inlet::Inlet;
pub(crate) use outlet::Outlet;
pub(crate) use outlets::Outlets;

static CAT: std::sync::LazyLock<gst::DebugCategory> = std::sync::LazyLock::new(|| {
    gst::DebugCategory::new(
        "rtcreceive",
        gst::DebugColorFlags::empty(),
        Some("Sigmund: incoming streams, decoders and source pads"),
    )
});
