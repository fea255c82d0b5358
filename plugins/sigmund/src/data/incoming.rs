//! Source pads for channels that the far side opens: one for each label.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use sigmund::data::{Channel, Overflow};

use super::{DataPads, DataTrack, Delivery, FarClock, Outlet, register_meta};

/// The most pads; channels that would need more are refused.
const MOST: usize = 32;

/// The data source pads of an element. They are made as channels come, and stay:
/// who comes back with a label goes on with its pad.
pub(crate) struct IncomingChannels {
    element: glib::WeakRef<gst::Element>,
    template: gst::PadTemplate,
    /// The sink pads of the element, which have source pads of their own.
    pads: DataPads,
    clock: FarClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tracks: Vec<DataTrack>,
    stopped: bool,
}

impl std::fmt::Debug for IncomingChannels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IncomingChannels")
    }
}

impl IncomingChannels {
    /// None yet. Their pads are made from `template`, and numbered; those that
    /// go with `pads` have their numbers already.
    pub(crate) fn new(element: &gst::Element, template: gst::PadTemplate, pads: DataPads) -> Self {
        register_meta();
        Self {
            element: element.downgrade(),
            template,
            pads,
            clock: FarClock::default(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The far side's clock, as its media tell it.
    pub(crate) fn clock(&self) -> &FarClock {
        &self.clock
    }

    /// All that there are.
    pub(crate) fn tracks(&self) -> Vec<DataTrack> {
        self.state().tracks.clone()
    }

    /// Channels that both sides know of: each has its track from now on.
    pub(crate) fn agree(&self, channels: Vec<Channel>) {
        for channel in channels {
            self.track_for(channel);
        }
    }

    /// The track for a channel `label`. May run under PC_LOCK: no pad is made
    /// before the channel is open, and read.
    pub(crate) fn take(&self, label: &str) -> Option<DataTrack> {
        self.track_for(Channel {
            label: Some(label.to_owned()),
            ..Channel::default()
        })
    }

    fn track_for(&self, channel: Channel) -> Option<DataTrack> {
        let element = self.element.upgrade()?;
        let mut state = self.state();
        let known = state
            .tracks
            .iter()
            .find(|it| it.settings().0.label == channel.label);
        if let Some(known) = known {
            return Some(known.clone());
        }
        if state.stopped || state.tracks.len() >= MOST {
            return None;
        }
        let name = self.free_name(&state.tracks);
        let track = DataTrack::new(&name, channel, Overflow::default());
        let timing = Some(self.clock.timing());
        let delivery = Delivery::new(&element, self.template.clone(), name, timing);
        track.set_outlet(Some(Outlet::new(Box::new(delivery))));
        state.tracks.push(track.clone());
        Some(track)
    }

    /// The first of the template that no pad has, seen from the tracks.
    fn free_name(&self, tracks: &[DataTrack]) -> String {
        let prefix = self.template.name_template().trim_end_matches("%u");
        let numbers: Vec<_> = self.pads.tracks().iter().map(number).collect();
        let is_free = |name: &String, at: &usize| {
            let taken = tracks.iter().any(|it| it.name() == name);
            !taken && !numbers.contains(&Some(*at))
        };
        let mut names = (0..).map(|at: usize| (format!("{prefix}{at}"), at));
        let free = names.find(|(name, at)| is_free(name, at));
        free.map(|(name, _)| name).unwrap_or_default()
    }

    /// EOS from the application goes out of the pads.
    pub(crate) fn send_eos(&self) {
        for pad in self.pads() {
            pad.push_event(gst::event::Eos::new());
        }
    }

    /// All sessions are gone: so are the pads. Blocks.
    pub(crate) fn stop(&self) {
        let tracks = {
            let mut state = self.state();
            state.stopped = true;
            std::mem::take(&mut state.tracks)
        };
        let pads = self.pads();
        for pad in &pads {
            let _ = pad.set_active(false);
        }
        for track in tracks {
            track.set_flushing(true);
            track.set_outlet(None);
        }
        if let Some(element) = self.element.upgrade() {
            for pad in &pads {
                let _ = element.remove_pad(pad);
            }
        }
    }

    /// All that are there, those that go with sink pads too.
    fn pads(&self) -> Vec<gst::Pad> {
        let element = self.element.upgrade();
        let pads = element.into_iter().flat_map(|element| element.src_pads());
        let ours = |pad: &gst::Pad| pad.pad_template().as_ref() == Some(&self.template);
        pads.filter(ours).collect()
    }
}

fn number(track: &DataTrack) -> Option<usize> {
    track.name().rsplit('_').next()?.parse().ok()
}
