//! The signals of `rtcsink`.

use std::sync::LazyLock;

use glib::prelude::{StaticType, ToValue};
use glib::subclass::Signal;
use gst::subclass::prelude::*;
use sigmund::data::Kind;

use crate::data::{DataMessage, Lane};
use crate::element::common_signals;

/// All of them. Handlers run on threads of ours, never under a lock.
pub(super) fn all() -> &'static [Signal] {
    static SIGNALS: LazyLock<Vec<Signal>> = LazyLock::new(|| {
        let mut all = common_signals(|sink, json| {
            let sink = sink.get::<super::RtcSink>().ok()?;
            Some(sink.imp().feed(json))
        });
        // (encoder, pad, codec): an encoder is about to start; set what you
        // like on it.
        all.push(
            Signal::builder("encoder-setup")
                .param_types([
                    gst::Element::static_type(),
                    String::static_type(),
                    String::static_type(),
                ])
                .build(),
        );
        all.extend(data());
        all
    });
    &SIGNALS
}

/// Those of the data channels.
fn data() -> Vec<Signal> {
    vec![
        // (id, label, message, text): a viewer has sent a message on a data
        // channel; `text`: it is UTF-8.
        Signal::builder("data-received")
            .param_types([
                String::static_type(),
                String::static_type(),
                glib::Bytes::static_type(),
                bool::static_type(),
            ])
            .build(),
        // (pad, id, message) -> sent: a message on the channel of a data pad,
        // by its name or its label, to one viewer, or with NULL to all.
        Signal::builder("send-data")
            .action()
            .param_types([
                String::static_type(),
                String::static_type(),
                glib::Bytes::static_type(),
            ])
            .return_type::<bool>()
            .class_handler(|args| {
                let bytes = args.get(3)?.get::<Option<glib::Bytes>>().ok()?;
                Some(send(args, Kind::Binary, bytes.unwrap_or_else(empty))?.to_value())
            })
            .build(),
        // The same with text.
        Signal::builder("send-text")
            .action()
            .param_types([
                String::static_type(),
                String::static_type(),
                String::static_type(),
            ])
            .return_type::<bool>()
            .class_handler(|args| {
                let text = args.get(3)?.get::<Option<String>>().ok()?;
                let bytes = glib::Bytes::from_owned(text.unwrap_or_default());
                Some(send(args, Kind::Text, bytes)?.to_value())
            })
            .build(),
    ]
}

fn empty() -> glib::Bytes {
    glib::Bytes::from_static(&[])
}

fn send(args: &[glib::Value], kind: Kind, bytes: glib::Bytes) -> Option<bool> {
    let sink = args.first()?.get::<super::RtcSink>().ok()?;
    let pad = args.get(1)?.get::<Option<String>>().ok()?;
    let peer = args.get(2)?.get::<Option<String>>().ok()?;
    let pad = pad.unwrap_or_default();
    Some(sink.imp().send(&pad, peer.as_deref(), kind, bytes))
}

/// Tells of a message, if anybody listens.
pub(super) fn data_received(sink: &super::RtcSink, lane: &Lane, message: &DataMessage) {
    use glib::prelude::ObjectExt;

    let Some(signal) = glib::subclass::SignalId::lookup("data-received", sink.type_()) else {
        return;
    };
    if !glib::signal::signal_has_handler_pending(sink, signal, None, true) {
        return;
    }
    let text = message.kind == Kind::Text;
    let peer = lane.peer().as_str();
    sink.emit_by_name::<()>(
        "data-received",
        &[&peer, &lane.label(), &message.bytes, &text],
    );
}
