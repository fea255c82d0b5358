//! The media that an element sends: its sink pads, and what stands behind them.

use gst::prelude::*;

use super::pad::RtcSinkPad;
use crate::driver::Host;
use crate::media::Track;

/// Tracks as a host is told of them, with the user's settings for the encoder.
pub(crate) type Known = Vec<(Track, Option<gst::Structure>)>;

/// All of an element's; the host, while there is one, knows the same.
#[derive(Debug, Default)]
pub(crate) struct Tracks(Vec<(RtcSinkPad, Track)>);

impl Tracks {
    /// What a host begins with.
    pub(crate) fn known(&self) -> Known {
        let all = self.0.iter();
        all.map(|(pad, track)| (track.clone(), pad.encoder_settings()))
            .collect()
    }

    /// A host has begun with `known`: tells it of those that came meanwhile.
    pub(crate) fn tell_late(&self, host: &Host, known: &Known) {
        let late = |track: &Track| known.iter().all(|(it, _)| !it.is(track));
        for (pad, track) in self.0.iter().filter(|(_, track)| late(track)) {
            host.add_track(track.clone(), pad.encoder_settings());
        }
    }

    pub(crate) fn add(&mut self, pad: &RtcSinkPad, track: Track, host: Option<&Host>) {
        self.0.push((pad.clone(), track.clone()));
        if let Some(host) = host {
            host.add_track(track, pad.encoder_settings());
        }
    }

    /// Takes out that of `pad`, if it is one of these.
    pub(crate) fn remove(
        &mut self,
        pad: &gst::Pad,
        host: Option<&Host>,
    ) -> Option<(RtcSinkPad, Track)> {
        let ours = |(it, _): &(RtcSinkPad, Track)| it.upcast_ref::<gst::Pad>() == pad;
        let index = self.0.iter().position(ours)?;
        let (ghost, track) = self.0.swap_remove(index);
        if let Some(host) = host {
            host.remove_track(track.clone());
        }
        Some((ghost, track))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn pads(&self) -> impl Iterator<Item = gst::GhostPad> {
        self.0.iter().map(|(pad, _)| pad.clone().upcast())
    }
}
