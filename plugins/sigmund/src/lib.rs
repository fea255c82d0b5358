//! The GStreamer plugin `sigmund`: WebRTC declared in a pipeline.
//!
//! | folder | it does |
//! |---|---|
//! | `element` | what all elements have in common: properties, their checks |
//! | `sink` | the element `rtcsink`: pads, properties, signals |
//! | `source` | the element `rtcsrc`: properties, pads |
//! | `duplex` | the element `rtcpeer`: both at once |
//! | `driver` | one task an element, one a session: the pure state machines meet GStreamer |
//! | `media` | tracks, encoders as a table, encodings that live while someone needs them, fan-out |
//! | `data` | data channels as pads: who gets what a pad sends, what comes in, navigation |
//! | `receive` | media in: streams on their way to source pads, decoded where that is wanted |
//! | `webrtcbin` | the only folder that knows webrtcbin: a typed handle, the guard in its callbacks, its quirks |
//! | `memory` | gives back what a crowd leaves behind |
//! | `isolate` | a bin whose errors and states stay inside |
//! | `trace` | `tracing` into GStreamer's log |
//! | `runtime` | the tokio runtime and the bounded pool for blocking GStreamer calls |
//!
//! Lock order, for the whole plugin: `settings`, then `state`, then a pad's
//! own; at most two at once. No guard lives while we emit, push, set a property
//! or a state, post, or await. Session state has no lock: its task owns it.

mod data;
mod driver;
mod duplex;
mod element;
mod isolate;
mod media;
mod memory;
mod receive;
mod runtime;
mod sink;
mod source;
mod trace;
mod webrtcbin;

/// For what belongs to no folder.
static CAT: std::sync::LazyLock<gst::DebugCategory> = std::sync::LazyLock::new(|| {
    gst::DebugCategory::new(
        "sigmund",
        gst::DebugColorFlags::empty(),
        Some("Sigmund: bins inside the elements"),
    )
});

/// 32 random bits, for SSRCs and names on the wire (RFC 3550 section 8.1).
fn random() -> u32 {
    getrandom::u32().unwrap_or_else(|_| glib::random_int())
}

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    sink::register(plugin)?;
    source::register(plugin)?;
    duplex::register(plugin)
}

// The macro's own items have no documentation.
#[allow(missing_docs)]
mod plugin {
    use super::plugin_init;

    gst::plugin_define!(
        sigmund,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MPL",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "sigmund",
        env!("BUILD_REL_DATE")
    );
}
