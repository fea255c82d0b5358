//! Data channels for applications: by signals, on all elements that have them.

use glib::prelude::*;
use glib::subclass::Signal;
use sigmund::data::Kind;
use sigmund::message::PeerId;

use super::{CAT, DataMessage, DataTrack, Lane, Outgoing};

/// The data tracks of an element.
pub(crate) type Tracks = fn(&glib::Value) -> Option<Vec<DataTrack>>;

/// The signals. Handlers run on threads of ours, never under a lock.
pub(crate) fn data_signals(tracks: Tracks) -> Vec<Signal> {
    vec![
        // (id, label, message, text): a peer has sent a message on a data
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
        // by its name or its label, to one peer, or with NULL to all.
        Signal::builder("send-data")
            .action()
            .param_types([
                String::static_type(),
                String::static_type(),
                glib::Bytes::static_type(),
            ])
            .return_type::<bool>()
            .class_handler(move |args| {
                let bytes = args.get(3)?.get::<Option<glib::Bytes>>().ok()?;
                Some(send(tracks, args, Kind::Binary, bytes.unwrap_or_else(empty))?.to_value())
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
            .class_handler(move |args| {
                let text = args.get(3)?.get::<Option<String>>().ok()?;
                let bytes = glib::Bytes::from_owned(text.unwrap_or_default());
                Some(send(tracks, args, Kind::Text, bytes)?.to_value())
            })
            .build(),
    ]
}

fn empty() -> glib::Bytes {
    glib::Bytes::from_static(&[])
}

fn send(tracks: Tracks, args: &[glib::Value], kind: Kind, bytes: glib::Bytes) -> Option<bool> {
    let element = args.first()?.get::<gst::Element>().ok()?;
    let tracks = tracks(args.first()?)?;
    let pad = args.get(1)?.get::<Option<String>>().ok()?;
    let peer = args.get(2)?.get::<Option<String>>().ok()?;
    let pad = pad.unwrap_or_default();
    let named = tracks.iter().find(|track| track.name() == pad);
    let Some(track) = named.or_else(|| tracks.iter().find(|track| track.label() == pad)) else {
        gst::warning!(
            CAT,
            obj = element,
            "there is no data pad or channel {pad:?}"
        );
        return Some(false);
    };
    let peer = peer.filter(|peer| !peer.is_empty()).map(PeerId::new);
    let message = Outgoing {
        kind,
        bytes,
        time: None,
        caps: None,
    };
    match track.send(&message, peer.as_ref()) {
        Ok(sent) => {
            for complaint in &sent.complaints {
                gst::warning!(CAT, obj = element, "{complaint}");
            }
            Some(sent.taken > 0 && sent.refused == 0)
        }
        Err(error) => {
            gst::warning!(CAT, obj = element, "{pad}: {error}");
            Some(false)
        }
    }
}

/// Tells of a message, if anybody listens.
pub(super) fn data_received(element: &gst::Element, lane: &Lane, message: &DataMessage) {
    let Some(signal) = glib::subclass::SignalId::lookup("data-received", element.type_()) else {
        return;
    };
    if !glib::signal::signal_has_handler_pending(element, signal, None, true) {
        return;
    }
    let text = message.kind == Kind::Text;
    let peer = lane.peer().as_str();
    element.emit_by_name::<()>(
        "data-received",
        &[&peer, &lane.label(), &message.bytes, &text],
    );
}
