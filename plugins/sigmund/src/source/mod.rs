//! `rtcsrc`: receives a WebRTC stream.
//!
//! ```sh
//! gst-launch-1.0 rtcsrc uri=whep+http://127.0.0.1:8080/whep/live ! videoconvert ! autovideosink
//! ```
//!
//! A pad for each medium appears when the publisher's does. What leaves it is
//! what the linked element takes: encoded frames where it takes those, else raw
//! media, else RTP. The pads stay while publishers come and go.

mod imp;
mod settings;
mod uri;

use gst::prelude::*;

glib::wrapper! {
    /// The element.
    pub struct RtcSrc(ObjectSubclass<imp::RtcSrc>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy, gst::URIHandler;
}

/// Registers the element with the plugin.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "rtcsrc",
        gst::Rank::PRIMARY,
        RtcSrc::static_type(),
    )
}
