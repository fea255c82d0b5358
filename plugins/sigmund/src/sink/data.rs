//! The data pads of `rtcsink`: messages to all viewers, and from them.

use gst::prelude::*;
use gst::subclass::prelude::*;
use sigmund::data::{Channel, Navigation, Overflow};

use super::imp::RtcSink;
use crate::data::{DataTrack, Navigator, Outlet, pads};

impl RtcSink {
    /// READY → PAUSED: what viewers send has somewhere to go. The tracks that
    /// sessions are to know.
    pub(super) fn start_data(&self) -> Vec<DataTrack> {
        let mut tracks = self.data.start(self.obj().upcast_ref(), None);
        if self.wants_navigation() {
            tracks.push(self.navigation());
        }
        tracks
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

    /// PAUSED → READY, when all sessions are gone.
    pub(super) fn stop_data(&self) {
        self.data.stop(self.obj().upcast_ref());
        let navigation = self.state().navigation.take();
        if let Some(navigation) = navigation {
            navigation.set_outlet(None);
        }
    }

    /// A data sink pad was asked for.
    pub(super) fn request_data_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
    ) -> Option<gst::Pad> {
        let named = name.is_some();
        let name = self.pad_name(template, name);
        let obj = self.obj();
        let (pad, track) = self.data.add(obj.upcast_ref(), template, &name, named)?;
        if self.state().host.is_some() {
            pads::start(&track, obj.upcast_ref(), None);
        }
        if let Some(host) = &self.state().host {
            host.add_data(track);
        }
        obj.child_added(&pad, &name);
        Some(pad.upcast())
    }

    /// Was it a data sink pad? Then it is gone.
    pub(super) fn release_data_pad(&self, pad: &gst::Pad) -> bool {
        let Some((ghost, input)) = self.data.take(pad) else {
            return false;
        };
        if let Some(host) = &self.state().host {
            host.remove_data(input.track().clone());
        }
        pads::end(input.track(), self.obj().upcast_ref());
        self.drop_pad(&ghost, input.element());
        true
    }
}
