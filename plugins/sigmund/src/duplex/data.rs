//! The data pads of `rtcpeer`: messages to the far side, and from it.

use std::sync::Arc;

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::imp::RtcPeer;
use crate::data::pads::{self, SOURCES};
use crate::data::{DataTrack, IncomingChannels};
use crate::element::drop_pad;

impl RtcPeer {
    /// READY → PAUSED: what the far side sends has somewhere to go. The tracks
    /// that sessions are to know, and where other channels go.
    pub(super) fn start_data(&self) -> (Vec<DataTrack>, Option<Arc<IncomingChannels>>) {
        let element = self.obj().clone().upcast::<gst::Element>();
        let template = self.obj().pad_template(SOURCES);
        let channels =
            template.map(|it| Arc::new(IncomingChannels::new(&element, it, self.data.clone())));
        let clock = channels.as_ref().map(|it| it.clock());
        (self.data.start(&element, clock), channels)
    }

    /// PAUSED → READY, when the session is gone.
    pub(super) fn stop_data(&self) {
        self.data.stop(self.obj().upcast_ref());
        let channels = self.state().channels.take();
        if let Some(channels) = channels {
            channels.stop();
        }
    }

    /// All that messages can be sent on.
    pub(super) fn data_tracks(&self) -> Vec<DataTrack> {
        let channels = self.state().channels.clone();
        let mut tracks = self.data.tracks();
        tracks.extend(channels.iter().flat_map(|it| it.tracks()));
        tracks
    }

    /// A data sink pad was asked for.
    pub(super) fn request_data_pad(
        &self,
        template: &gst::PadTemplate,
        name: &str,
        named: bool,
    ) -> Option<gst::Pad> {
        let obj = self.obj();
        let (pad, track) = self.data.add(obj.upcast_ref(), template, name, named)?;
        let channels = self.state().channels.clone();
        if let Some(channels) = channels {
            pads::start(&track, obj.upcast_ref(), Some(channels.clock()));
        }
        if let Some(host) = &self.state().host {
            host.add_data(track);
        }
        self.update_flags();
        obj.child_added(&pad, name);
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
        self.update_flags();
        let obj = self.obj();
        pads::end(input.track(), obj.upcast_ref());
        obj.child_removed(&ghost, &ghost.name());
        drop_pad(obj.upcast_ref(), &ghost, input.element());
        true
    }
}
