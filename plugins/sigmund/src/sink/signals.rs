//! The signals of `rtcsink`.

use std::sync::LazyLock;

use glib::prelude::StaticType;
use glib::subclass::Signal;

/// All of them. Handlers run on threads of ours, never under a lock.
pub(super) fn all() -> &'static [Signal] {
    static SIGNALS: LazyLock<Vec<Signal>> = LazyLock::new(|| {
        vec![
            // (id, info): media begins to flow to a new peer. `info` has
            // `protocol`, `address` and `agent`.
            Signal::builder("peer-added")
                .param_types([String::static_type(), gst::Structure::static_type()])
                .build(),
            // (id, reason): a peer that was added is gone.
            Signal::builder("peer-removed")
                .param_types([String::static_type(), String::static_type()])
                .build(),
            // (encoder, pad, codec): an encoder is about to start; set what
            // you like on it.
            Signal::builder("encoder-setup")
                .param_types([
                    gst::Element::static_type(),
                    String::static_type(),
                    String::static_type(),
                ])
                .build(),
            // (id, webrtcbin): the peer's webrtcbin exists and has negotiated
            // nothing yet.
            Signal::builder("webrtcbin-ready")
                .param_types([String::static_type(), gst::Element::static_type()])
                .build(),
        ]
    });
    &SIGNALS
}
