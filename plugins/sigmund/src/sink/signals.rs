//! The signals of `rtcsink`.

use std::sync::LazyLock;

use glib::subclass::Signal;
use gst::subclass::prelude::*;

use crate::data::data_signals;
use crate::element::{common_signals, encoder_setup};

/// All of them. Handlers run on threads of ours, never under a lock.
pub(super) fn all() -> &'static [Signal] {
    static SIGNALS: LazyLock<Vec<Signal>> = LazyLock::new(|| {
        let mut all = common_signals(|sink, json| {
            let sink = sink.get::<super::RtcSink>().ok()?;
            Some(sink.imp().feed(json))
        });
        all.push(encoder_setup());
        all.extend(data_signals(|sink| {
            let sink = sink.get::<super::RtcSink>().ok()?;
            Some(sink.imp().data.tracks())
        }));
        all
    });
    &SIGNALS
}
