//! Data channels as pads.
//!
//! ```text
//! sink pad ─ Input ─▶ Track ─▶ one Outbox a peer ─▶ (the session's task) ─▶ its channel
//! its channel ─▶ one Lane a channel ─▶ Outlet, a thread a pad ─▶ source pad, signal
//! ```

mod clock;
mod delivery;
mod incoming;
mod input;
mod lane;
mod navigator;
mod outbox;
mod outlet;
mod pad;
pub(crate) mod pads;
mod signals;
mod source;
mod track;
mod travel;

pub(crate) use clock::FarClock;
pub(crate) use delivery::Delivery;
pub(crate) use incoming::IncomingChannels;
pub(crate) use input::DataInput;
pub(crate) use lane::{DataMessage, Lane};
pub(crate) use navigator::Navigator;
pub(crate) use outbox::{Next, Outbox};
pub(crate) use outlet::{Outlet, Reader};
pub(crate) use pad::DataPad;
pub(crate) use pads::DataPads;
pub(crate) use signals::data_signals;
pub(crate) use source::{DataSource, register_meta};
pub(crate) use track::{DataTrack, Outgoing};

static CAT: std::sync::LazyLock<gst::DebugCategory> = std::sync::LazyLock::new(|| {
    gst::DebugCategory::new(
        "rtcdata",
        gst::DebugColorFlags::empty(),
        Some("Sigmund: data channels"),
    )
});
