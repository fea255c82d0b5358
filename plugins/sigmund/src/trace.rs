//! Hands the `tracing` events of our own threads to GStreamer's log.
//!
//! We are a guest in someone's process: no global subscriber. Each thread of
//! our runtime has this one as its default.

use std::fmt::Write;
use std::sync::LazyLock;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "sigmund-net",
        gst::DebugColorFlags::empty(),
        Some("Sigmund: signalling and the embedded server"),
    )
});

/// Makes this thread's `tracing` events go to GStreamer's log, for its life.
pub(crate) fn enter() {
    std::mem::forget(tracing::subscriber::set_default(ToGst));
}

struct ToGst;

impl Subscriber for ToGst {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("sigmund") && level(metadata.level()) <= CAT.threshold()
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        gst::log_with_level!(CAT, level(event.metadata().level()), "{}", text.0);
    }

    // Spans are not used by the crate; an id is demanded all the same.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

fn level(level: &Level) -> gst::DebugLevel {
    match *level {
        Level::ERROR => gst::DebugLevel::Error,
        Level::WARN => gst::DebugLevel::Warning,
        Level::INFO => gst::DebugLevel::Info,
        Level::DEBUG => gst::DebugLevel::Debug,
        Level::TRACE => gst::DebugLevel::Trace,
    }
}
