//! Data channels of webrtcbin, behind a wrapper that knows their traps.
//!
//! - Nothing is sent before a channel is open: that would read through a null
//!   pointer. Empty messages are never sent: usrsctp fails on them, and the
//!   channel is lost.
//! - Their callbacks run under PC_LOCK: they only put what they are given into
//!   a [`Lane`], and ring.
//! - A channel that outlives its webrtcbin is freed memory in 1.22: whoever holds
//!   one drops it before [`PeerConnection::stop`](super::PeerConnection::stop).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use gst_webrtc::{WebRTCDataChannel, WebRTCDataChannelState};
use sigmund::data::{self, Kind};

use super::text;
use crate::data::Lane;

/// Above this much in its queue, a channel is given no more.
const HIGH: u64 = 256 * 1024;

/// When its queue is down to this, it rings.
const LOW: u64 = HIGH / 2;

/// Channels that may wait to be looked at.
const MAX_ARRIVALS: usize = 64;

/// Where a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelState {
    /// Not open yet.
    Opening,
    /// Messages can be sent.
    Open,
    /// Over, or as good as.
    Over,
}

/// One channel. All methods may block: they belong on the pool.
#[derive(Debug)]
pub(crate) struct Channel(WebRTCDataChannel);

impl Channel {
    /// Announces a channel, or makes one that is agreed on.
    pub(super) fn open(
        webrtcbin: &gst::Element,
        label: &str,
        settings: &data::Channel,
        lane: Arc<Lane>,
    ) -> Result<Self, String> {
        let mut options = gst::Structure::builder("options")
            .field("ordered", settings.ordered)
            .field("protocol", &settings.protocol)
            .field("negotiated", settings.negotiated);
        if let Some(most) = settings.max_retransmits {
            options = options.field("max-retransmits", i32::from(most));
        }
        if let Some(most) = settings.max_packet_lifetime {
            options = options.field("max-packet-lifetime", i32::from(most));
        }
        if let Some(id) = settings.id.filter(|_| settings.negotiated) {
            options = options.field("id", i32::from(id));
        }
        let options = Some(options.build());
        // It may be open, and heard on, before `create-data-channel` returns.
        let (ear, hears) = (lane.clone(), Arc::new(AtomicBool::new(false)));
        let heard = hears.clone();
        let prepare = webrtcbin.connect("prepare-data-channel", false, move |args| {
            let channel = args.get(1)?.get::<WebRTCDataChannel>().ok()?;
            if args.get(2)?.get::<bool>().ok()? {
                listen(&channel, ear.clone());
                heard.store(true, Ordering::SeqCst);
            }
            None
        });
        let channel = webrtcbin
            .emit_by_name::<Option<WebRTCDataChannel>>("create-data-channel", &[&label, &options]);
        webrtcbin.disconnect(prepare);
        let channel =
            channel.ok_or_else(|| format!("webrtcbin makes no data channel {label:?}"))?;
        // 1.22 prepares only those that it opens at once.
        if !hears.load(Ordering::SeqCst) {
            listen(&channel, lane.clone());
        }
        lane.ring();
        Ok(Self(channel))
    }

    /// A channel that is agreed on, though with nobody: webrtcbin offers an
    /// m-line only where it has a channel, and this one is not announced.
    pub(super) fn hold(webrtcbin: &gst::Element) -> Result<Self, String> {
        let options = gst::Structure::builder("options")
            .field("negotiated", true)
            .field("id", i32::from(data::MAX_ID))
            .build();
        let made = webrtcbin.emit_by_name::<Option<WebRTCDataChannel>>(
            "create-data-channel",
            &[&"", &Some(options)],
        );
        made.map(Self)
            .ok_or_else(|| "webrtcbin makes no data channel".to_owned())
    }

    pub(crate) fn state(&self) -> ChannelState {
        match self.0.ready_state() {
            WebRTCDataChannelState::Open => ChannelState::Open,
            WebRTCDataChannelState::Closing | WebRTCDataChannelState::Closed => ChannelState::Over,
            // One that waits for SCTP is in a state that has no name.
            _ => ChannelState::Opening,
        }
    }

    /// Do messages keep their order?
    pub(crate) fn is_ordered(&self) -> bool {
        self.0.is_ordered()
    }

    /// For how many bytes there is room. The last message may be longer.
    pub(crate) fn room(&self) -> u64 {
        HIGH.saturating_sub(self.0.buffered_amount())
    }

    /// Has all been handed to SCTP? If not, it rings when it has.
    pub(crate) fn is_drained(&self) -> bool {
        self.0.set_buffered_amount_low_threshold(0);
        let drained = self.0.buffered_amount() == 0;
        if drained {
            self.0.set_buffered_amount_low_threshold(LOW);
        }
        drained
    }

    /// Sends a message, which is not empty and small enough.
    pub(crate) fn send(&self, kind: Kind, bytes: &glib::Bytes) -> Result<(), String> {
        if bytes.is_empty() || self.state() != ChannelState::Open {
            return Err("the channel is not open".to_owned());
        }
        let sent = match kind {
            Kind::Binary => self.0.send_data_full(Some(bytes)),
            Kind::Text => {
                let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
                self.0.send_string_full(Some(text))
            }
        };
        sent.map_err(|error| error.message().to_owned())
    }

    /// Closes it. What has been sent is still delivered (from 1.22.3 on).
    pub(crate) fn close(&self) {
        self.0.close();
    }
}

/// A channel that the far side has opened, and the lane that it was given.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) channel: Channel,
    /// `None`: nobody wants it; to be closed.
    pub(crate) lane: Option<Arc<Lane>>,
}

/// Decides about a channel of the far side on the spot, by its label; may be
/// called under PC_LOCK.
pub(crate) type Accept = Box<dyn Fn(&str, bool) -> Option<Arc<Lane>> + Send + Sync>;

/// The channels that the far side has opened, until the owner takes them.
pub(crate) struct Arrivals {
    accept: Accept,
    ring: Box<dyn Fn() + Send + Sync>,
    /// `None` once it is over.
    waiting: Mutex<Option<Vec<Arrival>>>,
}

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Arrivals")
    }
}

impl Arrivals {
    /// `ring` tells the owner that there is something to take; it never waits.
    pub(crate) fn new(accept: Accept, ring: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        Arc::new(Self {
            accept,
            ring,
            waiting: Mutex::new(Some(Vec::new())),
        })
    }

    /// Those that have come since the last call.
    pub(crate) fn take(&self) -> Vec<Arrival> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// No more are taken, and none is held any more.
    pub(crate) fn close(&self) {
        let waiting = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(waiting);
    }

    pub(super) fn attach(self: &Arc<Self>, webrtcbin: &gst::Element) {
        let arrivals = Arc::downgrade(self);
        webrtcbin.connect("on-data-channel", false, move |args| {
            let channel = args.get(1)?.get::<WebRTCDataChannel>().ok()?;
            if let Some(arrivals) = arrivals.upgrade() {
                arrivals.arrive(channel);
            }
            None
        });
    }

    /// Under PC_LOCK: reads properties of the channel alone. The handlers must
    /// be there before the first message, so they are connected here.
    fn arrive(&self, channel: WebRTCDataChannel) {
        let label = text::of(&channel.property_value("label"));
        let label = label.and_then(|label| String::from_utf8(label).ok());
        let reliable = channel.max_retransmits() < 0 && channel.max_packet_lifetime() < 0;
        let lane = label.and_then(|label| (self.accept)(&label, reliable));
        if let Some(lane) = &lane {
            listen(&channel, lane.clone());
        }
        let arrival = Arrival {
            channel: Channel(channel),
            lane,
        };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = waiting.as_mut().filter(|it| it.len() < MAX_ARRIVALS) {
            waiting.push(arrival);
        }
        drop(waiting);
        (self.ring)();
    }
}

/// Hands all that happens on a channel to its lane.
fn listen(channel: &WebRTCDataChannel, lane: Arc<Lane>) {
    channel.set_buffered_amount_low_threshold(LOW);
    let ear = lane.clone();
    channel.connect("on-message-data", false, move |args| {
        match args.get(1)?.get::<Option<glib::Bytes>>().ok()? {
            Some(bytes) => ear.hear(Kind::Binary, bytes),
            // All versions take the two kinds of empty messages for each other.
            None => ear.hear(Kind::Text, glib::Bytes::from_static(&[])),
        }
        None
    });
    let ear = lane.clone();
    channel.connect("on-message-string", false, move |args| {
        match text::of(args.get(1)?) {
            Some(text) => ear.hear(Kind::Text, glib::Bytes::from_owned(text)),
            None => ear.hear(Kind::Binary, glib::Bytes::from_static(&[])),
        }
        None
    });
    for signal in ["on-open", "on-close", "on-error", "on-buffered-amount-low"] {
        let lane = lane.clone();
        channel.connect(signal, false, move |_| {
            lane.ring();
            None
        });
    }
}
