//! `rtcpeer`: a call. It sends what is linked to its sink pads to one far side,
//! and what that sends leaves its source pads.
//!
//! ```sh
//! gst-launch-1.0 v4l2src ! videoconvert ! rtcpeer name=call uri=wss://relay.example.net/door \
//!     call. ! videoconvert ! autovideosink
//! ```
//!
//! Where both send a kind of media, it flows both ways on one m-line. Pads may be
//! requested and released in the middle of a call. The source pads stay while far
//! sides come and go.

mod data;
mod imp;
mod settings;

use gst::prelude::*;

glib::wrapper! {
    /// The element.
    pub struct RtcPeer(ObjectSubclass<imp::RtcPeer>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy;
}

/// Registers the element with the plugin.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "rtcpeer",
        gst::Rank::NONE,
        RtcPeer::static_type(),
    )
}
