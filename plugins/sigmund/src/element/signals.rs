//! The signals that all elements have.

use glib::prelude::{StaticType, ToValue};
use glib::subclass::Signal;

/// How an element takes a note of `app:`.
pub(crate) type Feed = fn(&glib::Value, &str) -> Option<bool>;

/// Handlers run on threads of ours, never under a lock.
pub(crate) fn common_signals(feed: Feed) -> Vec<Signal> {
    vec![
        // (id, info): media begins to flow to or from a new peer. `info` has
        // `protocol`, `address` and `agent`.
        Signal::builder("peer-added")
            .param_types([String::static_type(), gst::Structure::static_type()])
            .build(),
        // (id, reason): a peer that was added is gone.
        Signal::builder("peer-removed")
            .param_types([String::static_type(), String::static_type()])
            .build(),
        // (json): for `uri=app:`; carry this to the far side. Protocol
        // `sigmund.v1`, see docs/sigmund-v1.md.
        Signal::builder("outgoing-message")
            .param_types([String::static_type()])
            .build(),
        // (json) -> taken: for `uri=app:`; what the far side said. What is
        // not taken is explained in the log.
        Signal::builder("incoming-message")
            .action()
            .param_types([String::static_type()])
            .return_type::<bool>()
            .class_handler(move |args| {
                let json = args.get(1)?.get::<String>().ok()?;
                Some(feed(args.first()?, &json)?.to_value())
            })
            .build(),
        // (id, webrtcbin): the peer's webrtcbin exists and has negotiated
        // nothing yet. A connection that is lost may be followed by another one
        // of the same peer.
        Signal::builder("webrtcbin-ready")
            .param_types([String::static_type(), gst::Element::static_type()])
            .build(),
    ]
}

/// `encoder-setup`, of elements that send: (encoder, pad, codec): an encoder is
/// about to start; set what you like on it.
pub(crate) fn encoder_setup() -> Signal {
    Signal::builder("encoder-setup")
        .param_types([
            gst::Element::static_type(),
            String::static_type(),
            String::static_type(),
        ])
        .build()
}
