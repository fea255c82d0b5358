//! Asks the far side's SCTP whether it is there; see [`sigmund::data::heartbeat`].

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use sigmund::data::{Head, head, heartbeat};

/// What leaves SCTP, and what it calls the far side. Nothing before that is
/// known.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Arc<Mutex<Option<(gst::Pad, Head)>>>);

impl Pulse {
    /// Looks at what `sctpenc` sends until the far side's tag is in it. May run
    /// under PC_LOCK: touches only the new element.
    pub(super) fn watch(&self, sctpenc: &gst::Element) {
        let Some(pad) = sctpenc.static_pad("src") else {
            return;
        };
        let known = self.0.clone();
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

    /// Asks no more, and holds no pad.
    pub(super) fn stop(&self) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(known);
    }

    fn known(&self) -> Option<(gst::Pad, Head)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}
