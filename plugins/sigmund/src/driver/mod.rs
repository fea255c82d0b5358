//! Where the pure state machines meet GStreamer: one task an element (the
//! [`host`]), one task a session, each the only owner of its state.

mod announce;
mod complaints;
mod host;
mod session;
mod snapshot;
mod tally;

pub(crate) use announce::{Announcement, Announcer};
pub(crate) use host::{Host, HostConfig, OnConnection, Reception};
pub(crate) use snapshot::Snapshot;

pub(crate) use crate::webrtcbin::{Network, absent as absent_interfaces, warm_up};

static CAT: std::sync::LazyLock<gst::DebugCategory> = std::sync::LazyLock::new(|| {
    gst::DebugCategory::new(
        "rtcsession",
        gst::DebugColorFlags::empty(),
        Some("Sigmund: sessions with remote peers"),
    )
});
