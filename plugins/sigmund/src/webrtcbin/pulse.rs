//! Asks the far side's SCTP whether it is there; see [`sigmund::data::heartbeat`].

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gst::prelude::*;
use sigmund::data::{Head, head, heartbeat};

/// What leaves SCTP, and what it calls the far side. Nothing before that is
/// known.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse {
    known: Arc<Mutex<Option<(gst::Pad, Head)>>>,
    sctpenc: Arc<OnceLock<glib::WeakRef<gst::Element>>>,
}

impl Pulse {
    /// Looks at what `sctpenc` sends until the far side's tag is in it. May run
    /// under PC_LOCK: touches only the new element.
    pub(super) fn watch(&self, sctpenc: &gst::Element) {
        let Some(pad) = sctpenc.static_pad("src") else {
            return;
        };
        let _ = self.sctpenc.set(sctpenc.downgrade());
        let known = self.known.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let map = info.buffer().and_then(|buffer| buffer.map_readable().ok());
            let Some(head) = map.and_then(|packet| head(&packet)) else {
                return gst::PadProbeReturn::Ok;
            };
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some((pad.clone(), head));
            gst::PadProbeReturn::Remove
        });
    }

    /// Can the far side be asked?
    pub(super) fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// Asks. Any answer is a packet that is heard.
    pub(super) fn ask(&self) {
        if let Some((pad, head)) = self.known() {
            let _ = pad.push(gst::Buffer::from_slice(heartbeat(head)));
        }
    }

    /// Before it stops: asks no more, and lets nobody wait for room in SCTP's
    /// buffer, of which there may be none any more. 1.22 waits for who waits
    /// there, and never tells them.
    pub(super) fn stop(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let held = known.take();
        drop(known);
        drop(held);
        let sctpenc = self.sctpenc.get().and_then(glib::WeakRef::upgrade);
        for pad in sctpenc.iter().flat_map(|it| it.sink_pads()) {
            pad.send_event(gst::event::FlushStart::new());
        }
    }

    fn known(&self) -> Option<(gst::Pad, Head)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}
