//! One viewer's way into one of its media: an `appsrc` in the viewer's bin.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use sigmund::fanout::ViewerId;
use sigmund::sdp::Codec;

/// Where the fan-out puts a viewer's frames. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Feeder {
    id: ViewerId,
    appsrc: gst_app::AppSrc,
    /// Who gets the viewer's requests for keyframes, if anybody.
    keyframes: Arc<Mutex<Option<RequestKeyframe>>>,
}

impl std::fmt::Debug for Feeder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feeder")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Asks for a keyframe on behalf of a viewer. Never blocks.
pub(crate) type RequestKeyframe = Arc<dyn Fn() + Send + Sync>;

impl Feeder {
    /// A new one, not yet in a bin.
    pub(crate) fn new(name: &str, codec: Codec) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let appsrc = gst_app::AppSrc::builder()
            .name(name)
            .caps(&encoded_caps(codec))
            .format(gst::Format::Time)
            .is_live(true)
            // The fan-out drops by whole groups of pictures long before this;
            // this bound only holds what it cannot see.
            .max_time(gst::ClockTime::from_seconds(4))
            .leaky_type(gst_app::AppLeakyType::Upstream)
            .build();
        appsrc.set_max_bytes(0);
        let feeder = Self {
            id: ViewerId(NEXT.fetch_add(1, Ordering::Relaxed)),
            appsrc,
            keyframes: Arc::default(),
        };
        feeder.watch_events();
        feeder
    }

    /// Its name within the fan-outs of this process.
    pub(crate) fn id(&self) -> ViewerId {
        self.id
    }

    /// The source element, to be linked to a payloader.
    pub(crate) fn element(&self) -> &gst::Element {
        self.appsrc.upcast_ref()
    }

    /// Calls `request` for every PLI or FIR of this viewer from now on, and
    /// nobody else.
    pub(crate) fn on_keyframe_request(&self, request: RequestKeyframe) {
        *self
            .keyframes
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(request);
    }

    /// Events from downstream end here, but for requests for keyframes: others
    /// (transport-wide feedback, SSRC collisions) concern this viewer alone and
    /// mean nothing to a shared encoder.
    fn watch_events(&self) {
        let Some(pad) = self.appsrc.static_pad("src") else {
            return;
        };
        let keyframes = Arc::downgrade(&self.keyframes);
        pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
            let Some(event) = info.event() else {
                return gst::PadProbeReturn::Ok;
            };
            if gst_video::UpstreamForceKeyUnitEvent::parse(event).is_ok() {
                let request = keyframes.upgrade().and_then(|keyframes| {
                    let keyframes = keyframes.lock().unwrap_or_else(PoisonError::into_inner);
                    keyframes.clone()
                });
                if let Some(request) = request {
                    request();
                }
                return gst::PadProbeReturn::Handled;
            }
            match event.type_() {
                // Not `Drop`: with that, 1.22 frees the event twice.
                gst::EventType::CustomUpstream => gst::PadProbeReturn::Handled,
                _ => gst::PadProbeReturn::Ok,
            }
        });
    }

    /// How much media waits here.
    pub(crate) fn queued(&self) -> Duration {
        Duration::from_nanos(self.appsrc.current_level_time().nseconds())
    }

    /// Hands a frame over; the payload is shared, only the metadata is ours.
    pub(crate) fn push(&self, frame: &gst::Buffer, pts: Duration, discont: bool) {
        let mut buffer = frame.copy();
        let meta = buffer.make_mut();
        meta.set_pts(gst::ClockTime::from_nseconds(pts.as_nanos() as u64));
        meta.set_dts(gst::ClockTime::NONE);
        if discont {
            meta.set_flags(gst::BufferFlags::DISCONT);
        } else {
            meta.unset_flags(gst::BufferFlags::DISCONT);
        }
        // Flushing means that the viewer is leaving.
        let _ = self.appsrc.push_buffer(buffer);
    }
}

/// The caps of encoded frames between encoder and payloader.
pub(crate) fn encoded_caps(codec: Codec) -> gst::Caps {
    match codec {
        Codec::H264 => gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .build(),
        Codec::Vp8 => gst::Caps::new_empty_simple("video/x-vp8"),
        Codec::Opus => gst::Caps::builder("audio/x-opus")
            .field("rate", 48_000i32)
            .field("channels", 2i32)
            .field("channel-mapping-family", 0i32)
            .build(),
    }
}
