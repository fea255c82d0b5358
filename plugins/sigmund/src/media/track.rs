//! One sink pad: the place where the clock is met, and the frames' way to
//! whoever encodes or passes them on.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use gst::prelude::*;
use tokio::sync::watch;

use super::format::Format;
use crate::isolate::HouseTime;

/// The time that all our bins share; `None` until the element first plays.
pub(crate) type House = watch::Receiver<Option<HouseTime>>;

/// A track; cheap to clone, all clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    appsink: gst_app::AppSink,
    shared: Arc<Shared>,
}

/// A track that may be gone.
#[derive(Debug)]
pub(crate) struct WeakTrack {
    appsink: glib::WeakRef<gst_app::AppSink>,
    shared: Weak<Shared>,
}

impl WeakTrack {
    /// If it is still there.
    pub(crate) fn upgrade(&self) -> Option<Track> {
        Some(Track {
            appsink: self.appsink.upgrade()?,
            shared: self.shared.upgrade()?,
        })
    }
}

#[derive(Debug)]
struct Shared {
    name: String,
    format: watch::Sender<Option<Format>>,
    /// Replaced whole, so that a push needs no lock.
    inputs: Mutex<Arc<[gst_app::AppSrc]>>,
    house: House,
}

impl Track {
    /// A new one for the pad `name`. Its element is to be put into the host.
    ///
    /// A pipeline that plays already must not wait for it (`prerolls`): it
    /// would fall back to PAUSED, where live sources give nothing to wait for.
    pub(crate) fn new(name: &str, caps: &gst::Caps, house: House, prerolls: bool) -> Self {
        let appsink = gst_app::AppSink::builder()
            .name(format!("track-{name}"))
            .caps(caps)
            .max_buffers(1)
            .async_(prerolls)
            .enable_last_sample(false)
            .build();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            format: watch::Sender::new(None),
            inputs: Mutex::new(Arc::new([])),
            house,
        });
        let on_sample = shared.clone();
        appsink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |appsink| on_sample.take(appsink))
                .build(),
        );
        let track = Self { appsink, shared };
        track.watch_events();
        track
    }

    /// Nothing has come for a while: the pipeline plays without it. What comes
    /// later is taken as if the pad had been added then. Blocks.
    ///
    /// An element that waits for its first buffer keeps the whole of rtcsink
    /// from PLAYING; going down to READY ends the wait (GstBaseSink posts its
    /// `async-done`). Meanwhile the pad is blocked, so nobody is told to flush.
    pub(crate) fn stop_prerolling(&self) {
        let Some(pad) = self.appsink.static_pad("sink") else {
            return;
        };
        let Some(block) = pad.add_probe(gst::PadProbeType::BLOCK_DOWNSTREAM, |_, _| {
            gst::PadProbeReturn::Ok
        }) else {
            return;
        };
        let _ = self.appsink.set_state(gst::State::Ready);
        self.appsink.set_async(false);
        let _ = self.appsink.sync_state_with_parent();
        pad.remove_probe(block);
    }

    /// The sink element behind the ghost pad.
    pub(crate) fn element(&self) -> &gst::Element {
        self.appsink.upcast_ref()
    }

    /// The name of its pad.
    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    /// What flows, `None` before the first caps; can be waited on.
    pub(crate) fn format(&self) -> watch::Receiver<Option<Format>> {
        self.shared.format.subscribe()
    }

    /// For who waits for something of it, and must not keep it.
    pub(crate) fn downgrade(&self) -> WeakTrack {
        WeakTrack {
            appsink: self.appsink.downgrade(),
            shared: Arc::downgrade(&self.shared),
        }
    }

    /// Are they the same track?
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// From the next frame on, `input` gets all of them.
    pub(super) fn add_input(&self, input: &gst_app::AppSrc) {
        self.shared
            .change_inputs(|inputs| inputs.push(input.clone()));
    }

    /// `input` gets no more.
    pub(super) fn remove_input(&self, input: &gst_app::AppSrc) {
        self.shared
            .change_inputs(|inputs| inputs.retain(|i| i != input));
    }

    /// Asks upstream for a keyframe (encoded input).
    pub(super) fn request_keyframe(&self) {
        if let Some(pad) = self.appsink.static_pad("sink") {
            pad.push_event(force_key_unit());
        }
    }

    /// Learns the format from caps, and whether upstream is live already:
    /// then the clock has been met there.
    fn watch_events(&self) {
        let Some(pad) = self.appsink.static_pad("sink") else {
            return;
        };
        let shared = Arc::downgrade(&self.shared);
        let appsink = self.appsink.downgrade();
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
            let (Some(shared), Some(event)) = (shared.upgrade(), info.event()) else {
                return gst::PadProbeReturn::Ok;
            };
            match event.view() {
                gst::EventView::Caps(caps) => {
                    let format = Format::from_caps(caps.caps());
                    shared
                        .format
                        .send_if_modified(|f| std::mem::replace(f, format) != format);
                }
                gst::EventView::Segment(_) => {
                    let mut query = gst::query::Latency::new();
                    let live = pad.peer_query(&mut query) && query.result().0;
                    if let Some(appsink) = appsink.upgrade() {
                        appsink.set_sync(!live);
                        if live {
                            // Nor when a flush makes it start anew.
                            appsink.set_async(false);
                        }
                    }
                }
                _ => (),
            }
            gst::PadProbeReturn::Ok
        });
    }
}

impl Shared {
    /// On the streaming thread of whoever feeds the pad. Never blocks: each
    /// input has a bounded queue that drops.
    fn take(&self, appsink: &gst_app::AppSink) -> Result<gst::FlowSuccess, gst::FlowError> {
        let sample = appsink
            .pull_sample()
            .map_err(|_| gst::FlowError::Flushing)?;
        let inputs = self
            .inputs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if inputs.is_empty() {
            return Ok(gst::FlowSuccess::Ok);
        }
        if let Some(sample) = self.in_house_time(appsink, &sample) {
            for input in inputs.iter() {
                // Flushing: that encoding is going.
                let _ = input.push_sample(&sample);
            }
        }
        Ok(gst::FlowSuccess::Ok)
    }

    /// The sample with its running time on the clock of the house.
    fn in_house_time(
        &self,
        appsink: &gst_app::AppSink,
        sample: &gst::Sample,
    ) -> Option<gst::Sample> {
        let house = self.house.borrow().clone()?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let base = appsink.base_time()?;
        let to_house = |time: gst::ClockTime| {
            let running = segment.to_running_time(time)?;
            (base + running).checked_sub(house.base)
        };
        let mut buffer = sample.buffer_owned()?;
        let pts = match buffer.pts() {
            Some(pts) => to_house(pts)?,
            None => house.clock.time().checked_sub(house.base)?,
        };
        let dts = buffer.dts().and_then(to_house);
        let meta = buffer.make_mut();
        meta.set_pts(pts);
        meta.set_dts(dts);
        Some(
            gst::Sample::builder()
                .buffer(&buffer)
                .caps(&sample.caps_owned()?)
                .build(),
        )
    }

    fn change_inputs(&self, change: impl FnOnce(&mut Vec<gst_app::AppSrc>)) {
        let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = inputs.to_vec();
        change(&mut changed);
        *inputs = changed.into();
    }
}

/// The event that asks an encoder upstream for a keyframe with all headers.
pub(super) fn force_key_unit() -> gst::Event {
    gst_video::UpstreamForceKeyUnitEvent::builder()
        .all_headers(true)
        .build()
}
