//! `rtcsink`: publishes what is linked to it to any number of WebRTC viewers.
//!
//! ```sh
//! gst-launch-1.0 videotestsrc is-live=true ! rtcsink
//! ```
//!
//! Then open the address that it prints. Raw media is encoded once for all
//! viewers of a codec, and not at all while nobody watches; H.264, VP8 and Opus
//! are passed through. Notes travel as the property `uri` says.

mod data;
mod imp;
mod settings;
mod signals;

use gst::prelude::*;

glib::wrapper! {
    /// The element.
    pub struct RtcSink(ObjectSubclass<imp::RtcSink>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy;
}

/// Registers the element with the plugin.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "rtcsink",
        gst::Rank::NONE,
        RtcSink::static_type(),
    )
}
