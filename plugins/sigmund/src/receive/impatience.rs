//! Asks for keyframes until one comes.
//!
//! Depayloaders and decoders ask once, and a request may get lost on its way, or
//! come too early for whoever passes it on. Who has then nothing to decode asks
//! again, as browsers do.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;

/// Frames that have come in and not out: more than one may be under way.
const SWALLOWED: u32 = 3;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(500);

/// Watches a depayloader that waits for keyframes.
pub(super) fn watch(depayloader: &gst::Element) {
    let (Some(input), Some(output)) = (
        depayloader.static_pad("sink"),
        depayloader.static_pad("src"),
    ) else {
        return;
    };
    let swallowed = Arc::new(AtomicU32::new(0));
    let out = swallowed.clone();
    let both = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    output.add_probe(both, move |_, _| {
        out.store(0, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
    let asked = Mutex::new(None::<Instant>);
    input.add_probe(both, move |pad, info| {
        let ends = frames(info);
        let waiting = swallowed.fetch_add(ends, Ordering::Relaxed) + ends;
        if ends > 0 && waiting >= SWALLOWED && is_time(&asked) {
            gst::debug!(
                super::CAT,
                obj = pad,
                "asks for a keyframe, after {waiting} frames"
            );
            let request = gst_video::UpstreamForceKeyUnitEvent::builder().build();
            pad.push_event(request);
        }
        gst::PadProbeReturn::Ok
    });
}

fn is_time(asked: &Mutex<Option<Instant>>) -> bool {
    let now = Instant::now();
    let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    let due = asked.is_none_or(|at| now - at >= PAUSE);
    if due {
        *asked = Some(now);
    }
    due
}

/// How many frames end here: packets with the marker bit (RFC 3550 section 5.1).
fn frames(info: &gst::PadProbeInfo) -> u32 {
    let ends = |buffer: &gst::BufferRef| {
        let mut head = [0; 2];
        buffer.copy_to_slice(0, &mut head).is_ok() && head[1] & 0x80 != 0
    };
    let count = match &info.data {
        Some(gst::PadProbeData::Buffer(buffer)) => usize::from(ends(buffer)),
        Some(gst::PadProbeData::BufferList(list)) => list.iter().filter(|it| ends(it)).count(),
        _ => 0,
    };
    u32::try_from(count).unwrap_or(u32::MAX)
}
