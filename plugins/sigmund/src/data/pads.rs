//! The data sink pads of an element, and the source pads that go with them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use sigmund::data::{Channel, Overflow};

use super::{DataInput, DataPad, DataTrack, Delivery, FarClock, Outlet, register_meta};

/// The source pads, by their template; their numbers are those of the sink pads.
pub(crate) const SOURCES: &str = "data_src_%u";

/// Why a pad does not make whoever sends wait.
pub(super) const NOT_HERE: &str = "overflow=block is for one peer (rtcpeer, or max-peers=1); here \
     one viewer may not stop the others, set drop-oldest or drop-newest";

/// All of them. All clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct DataPads(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    all: Mutex<Vec<(DataPad, DataInput)>>,
    /// Does the element run, for several peers?
    shared: Arc<AtomicBool>,
}

impl DataPads {
    fn all(&self) -> MutexGuard<'_, Vec<(DataPad, DataInput)>> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// The sink pads.
    pub(crate) fn pads(&self) -> Vec<gst::GhostPad> {
        let all = self.all();
        all.iter().map(|(pad, _)| pad.clone().upcast()).collect()
    }

    /// What is behind them.
    pub(crate) fn tracks(&self) -> Vec<DataTrack> {
        let all = self.all();
        all.iter().map(|(_, input)| input.track().clone()).collect()
    }

    /// What is wrong with the pads' properties. Is there only `one_peer`?
    pub(crate) fn check(&self, one_peer: bool) -> Result<(), String> {
        for track in self.tracks() {
            let (channel, overflow) = track.settings();
            channel
                .check()
                .map_err(|error| format!("{}: {error}", track.name()))?;
            if overflow == Overflow::Block && !one_peer {
                return Err(format!("{}: {NOT_HERE}", track.name()));
            }
        }
        Ok(())
    }

    /// The element runs from now on, for several peers or for one: what
    /// [`check`](Self::check) refuses is refused as it is set.
    pub(crate) fn set_shared(&self, shared: bool) {
        self.0.shared.store(shared, Ordering::SeqCst);
    }

    /// READY → PAUSED: what peers send has somewhere to go. The tracks that
    /// sessions are to know.
    pub(crate) fn start(&self, element: &gst::Element, clock: Option<&FarClock>) -> Vec<DataTrack> {
        let tracks = self.tracks();
        for track in &tracks {
            start(track, element, clock);
        }
        tracks
    }

    /// PAUSED → READY, first: nobody waits in a pad any more.
    pub(crate) fn flush(&self) {
        for track in self.tracks() {
            track.set_flushing(true);
        }
    }

    /// PAUSED → READY, when all sessions are gone. Blocks.
    pub(crate) fn stop(&self, element: &gst::Element) {
        self.set_shared(false);
        for track in self.tracks() {
            end(&track, element);
        }
    }

    /// A sink pad called `name`, of `bin`; `named`: by who asked for it. Where
    /// sessions run, they are to be told of its track, which is to be [`start`]ed.
    pub(crate) fn add(
        &self,
        bin: &gst::Bin,
        template: &gst::PadTemplate,
        name: &str,
        named: bool,
    ) -> Option<(gst::GhostPad, DataTrack)> {
        let track = DataTrack::new(name, Channel::default(), Overflow::default());
        let input = DataInput::new(&track, bin.upcast_ref(), named);
        bin.add(input.element()).ok()?;
        let pad = gst::PadBuilder::<DataPad>::from_template(template)
            .name(name)
            .build();
        pad.set_track(&track, &self.0.shared);
        pad.set_target(Some(&input.element().static_pad("sink")?))
            .ok()?;
        pad.set_active(true).ok()?;
        input.element().sync_state_with_parent().ok()?;
        bin.add_pad(&pad).ok()?;
        self.all().push((pad.clone(), input));
        Some((pad.upcast(), track))
    }

    /// Was it one of ours? Then it is gone from here: what is left to do is to
    /// [`end`] its track, and to drop the pad with its element.
    pub(crate) fn take(&self, pad: &gst::Pad) -> Option<(gst::GhostPad, DataInput)> {
        let mut all = self.all();
        let same = |(it, _): &(DataPad, DataInput)| it.upcast_ref::<gst::Pad>() == pad;
        let index = all.iter().position(same)?;
        let (pad, input) = all.swap_remove(index);
        Some((pad.upcast(), input))
    }
}

/// What comes in for `track` has somewhere to go from now on.
pub(crate) fn start(track: &DataTrack, element: &gst::Element, clock: Option<&FarClock>) {
    register_meta();
    let Some(template) = element.pad_template(SOURCES) else {
        return;
    };
    let timing = clock.map(FarClock::timing);
    let delivery = Delivery::new(element, template, source_of(track), timing);
    track.set_outlet(Some(Outlet::new(Box::new(delivery))));
    track.set_flushing(false);
}

/// Nobody waits for it any more, and its source pad is gone. Blocks.
pub(crate) fn end(track: &DataTrack, element: &gst::Element) {
    track.set_flushing(true);
    let source = element.static_pad(&source_of(track));
    if let Some(source) = &source {
        let _ = source.set_active(false);
    }
    track.set_outlet(None);
    if let Some(source) = source {
        let _ = element.remove_pad(&source);
    }
}

fn source_of(track: &DataTrack) -> String {
    track.name().replacen("data", "data_src", 1)
}
