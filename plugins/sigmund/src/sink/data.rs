//! The data pads of `rtcsink`: messages to all viewers, and from them.

use gst::prelude::*;
use gst::subclass::prelude::*;
use sigmund::data::{Channel, Navigation, Overflow};

use super::imp::{CAT, RtcSink};
use crate::data::{DataInput, DataPad, DataTrack, Delivery, Navigator, Outlet, register_meta};

/// The source pads, by their template; their numbers are those of the sink pads.
pub(super) const SOURCES: &str = "data_src_%u";

impl RtcSink {
    /// NULL → READY: what is wrong with the pads' properties.
    pub(super) fn check_data(&self, max_peers: usize) -> Result<(), String> {
        for track in self.data_tracks() {
            let (channel, overflow) = track.settings();
            channel
                .check()
                .map_err(|error| format!("{}: {error}", track.name()))?;
            if overflow == Overflow::Block && max_peers != 1 {
                return Err(format!(
                    "{}: overflow=block is for one peer (rtcpeer, or max-peers=1); here one \
                     viewer may not stop the others, set drop-oldest or drop-newest",
                    track.name()
                ));
            }
        }
        Ok(())
    }

    pub(super) fn data_tracks(&self) -> Vec<DataTrack> {
        let state = self.state();
        let tracks = state.data.iter().map(|(_, input)| input.track().clone());
        tracks.collect()
    }

    /// READY → PAUSED: what viewers send has somewhere to go. The tracks that
    /// sessions are to know.
    pub(super) fn start_data(&self) -> Vec<DataTrack> {
        register_meta();
        let mut tracks = self.data_tracks();
        for track in &tracks {
            self.start_track(track);
        }
        if self.wants_navigation() {
            tracks.push(self.navigation());
        }
        tracks
    }

    fn start_track(&self, track: &DataTrack) {
        let sink = self.obj();
        let Some(template) = sink.pad_template(SOURCES) else {
            return;
        };
        let name = track.name().replacen("data", "data_src", 1);
        let reader = Delivery::new(sink.upcast_ref(), template, name, None);
        track.set_outlet(Some(Outlet::new(Box::new(reader))));
        track.set_flushing(false);
    }

    /// What somebody does at a picture goes out of its sink pad, upstream.
    fn navigation(&self) -> DataTrack {
        let channel = Channel {
            label: Some(Navigation::LABEL.to_owned()),
            ..Channel::default()
        };
        let track = DataTrack::new("navigation", channel, Overflow::DropNewest);
        let sink = self.obj().downgrade();
        let navigator = Navigator::new(Box::new(move || {
            let pads = sink.upgrade().map(|sink| sink.sink_pads());
            let pads = pads.into_iter().flatten();
            pads.filter(|pad| pad.name().starts_with("video")).collect()
        }));
        track.set_outlet(Some(Outlet::new(Box::new(navigator))));
        self.state().navigation = Some(track.clone());
        track
    }

    /// PAUSED → READY, first: nobody waits in a pad any more.
    pub(super) fn flush_data(&self) {
        for track in self.data_tracks() {
            track.set_flushing(true);
        }
    }

    /// PAUSED → READY, when all sessions are gone.
    pub(super) fn stop_data(&self) {
        let obj = self.obj();
        for pad in obj.src_pads() {
            let _ = pad.set_active(false);
        }
        for track in self.data_tracks() {
            track.set_outlet(None);
        }
        let navigation = self.state().navigation.take();
        if let Some(navigation) = navigation {
            navigation.set_outlet(None);
        }
        for pad in obj.src_pads() {
            let _ = obj.remove_pad(&pad);
        }
    }

    /// A data sink pad was asked for.
    pub(super) fn request_data_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        // Without a name, it is the one that a link has found by its caps.
        if let (None, Some(caps)) = (name, caps)
            && let Some(medium) = medium(caps)
        {
            gst::warning!(
                CAT,
                imp = self,
                "{medium} is no format that viewers get as a picture or sound; to send it as \
                 data, name the pad: data_0"
            );
            return None;
        }
        let name = self.pad_name(template, name);
        let track = DataTrack::new(&name, Channel::default(), Overflow::default());
        let obj = self.obj();
        let input = DataInput::new(&track, obj.upcast_ref());
        obj.add(input.element()).ok()?;
        let pad = gst::PadBuilder::<DataPad>::from_template(template)
            .name(&name)
            .build();
        pad.set_track(&track);
        pad.set_target(Some(&input.element().static_pad("sink")?))
            .ok()?;
        pad.set_active(true).ok()?;
        input.element().sync_state_with_parent().ok()?;
        obj.add_pad(&pad).ok()?;
        let running = {
            let mut state = self.state();
            state.data.push((pad.clone(), input));
            state.host.is_some()
        };
        if running {
            self.start_track(&track);
            if let Some(host) = &self.state().host {
                host.add_data(track);
            }
        }
        obj.child_added(&pad, &name);
        Some(pad.upcast())
    }

    /// Was it a data sink pad? Then it is gone.
    pub(super) fn release_data_pad(&self, pad: &gst::Pad) -> bool {
        let (ghost, input) = {
            let mut state = self.state();
            let same = |(it, _): &(DataPad, DataInput)| it.upcast_ref::<gst::Pad>() == pad;
            let Some(index) = state.data.iter().position(same) else {
                return false;
            };
            let (ghost, input) = state.data.swap_remove(index);
            if let Some(host) = &state.host {
                host.remove_data(input.track().clone());
            }
            (ghost, input)
        };
        let track = input.track();
        track.set_flushing(true);
        let obj = self.obj();
        let source = track.name().replacen("data", "data_src", 1);
        if let Some(source) = obj.static_pad(&source) {
            let _ = source.set_active(false);
            track.set_outlet(None);
            let _ = obj.remove_pad(&source);
        }
        track.set_outlet(None);
        self.drop_pad(ghost.upcast_ref(), input.element());
        true
    }
}

/// The name of caps that should rather be seen or heard.
fn medium(caps: &gst::Caps) -> Option<String> {
    let first = caps.structure(0).filter(|_| !caps.is_any())?.name();
    let media = ["video/", "audio/", "image/"];
    let is_medium = media.iter().any(|prefix| first.starts_with(prefix));
    is_medium.then(|| first.to_string())
}
