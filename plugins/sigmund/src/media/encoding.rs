//! One codec of one track, shared by all viewers who take it. It lives while
//! somebody holds a [`Lease`].

use std::sync::mpsc;
use std::sync::{Arc, Weak};

use sigmund::ladder::Limits;
use sigmund::sdp::Codec;

use super::distributor::{self, Command};
use super::feeder::Feeder;
use super::track::Track;
use crate::isolate::HouseTime;

/// Tells of an encoder, its pad and its codec while it may still be configured.
pub(crate) type OnEncoder = Arc<dyn Fn(&gst::Element, &str, Codec) + Send + Sync>;

/// What an encoding is made of.
#[derive(Clone)]
pub(crate) struct EncodingSpec {
    /// Where the frames come from.
    pub(crate) track: Track,
    /// What they become.
    pub(crate) codec: Codec,
    /// Are they that already?
    pub(crate) passthrough: bool,
    /// The element that it lives in.
    pub(crate) host: glib::WeakRef<gst::Bin>,
    /// Its clock.
    pub(crate) time: HouseTime,
    /// Bounds of the bitrate (video).
    pub(crate) limits: Limits,
    /// The user's encoder settings, from the pad.
    pub(crate) settings: Option<gst::Structure>,
    /// Called with each encoder before it starts, for `encoder-setup`.
    pub(crate) on_setup: OnEncoder,
    /// Called when no encoder works (any more).
    pub(crate) on_failed: Arc<dyn Fn(String) + Send + Sync>,
    /// Called with what the user should know of the stream, once each.
    pub(crate) on_warning: Arc<dyn Fn(String) + Send + Sync>,
    /// Dropped when the encoding's thread has freed everything.
    pub(crate) _alive: tokio::sync::mpsc::Sender<()>,
}

/// A running encoding. When the last one goes, the encoder goes.
#[derive(Debug)]
pub(crate) struct Encoding {
    commands: mpsc::Sender<Command>,
    track: Track,
    codec: Codec,
}

/// Keeps an encoding alive.
pub(crate) type Lease = Arc<Encoding>;

impl Encoding {
    /// Starts one; returns at once, the encoder comes up on its own thread.
    pub(crate) fn start(spec: EncodingSpec) -> Result<Lease, String> {
        let (track, codec) = (spec.track.clone(), spec.codec);
        let commands = distributor::spawn(spec)?;
        Ok(Arc::new(Self {
            commands,
            track,
            codec,
        }))
    }

    /// Where its frames come from.
    pub(crate) fn track(&self) -> &Track {
        &self.track
    }

    /// What its frames are.
    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// `feeder` gets frames from now on, a keyframe first.
    pub(crate) fn join(&self, feeder: &Feeder) {
        self.tell(Command::Join(feeder.clone()));
    }

    /// Lets the viewer behind `feeder` ask for keyframes.
    pub(crate) fn serve_keyframes(&self, feeder: &Feeder) {
        let (commands, viewer) = (self.commands.clone(), feeder.id());
        feeder.on_keyframe_request(Arc::new(move || {
            // The encoding may have gone.
            let _ = commands.send(Command::Keyframe(viewer));
        }));
    }

    /// `feeder` gets no more.
    pub(crate) fn leave(&self, feeder: &Feeder) {
        self.tell(Command::Leave(feeder.id()));
    }

    /// What this viewer's path can carry, in bit/s.
    pub(crate) fn estimate(&self, feeder: &Feeder, bitrate: u32) {
        self.tell(Command::Estimate(feeder.id(), bitrate));
    }

    fn tell(&self, command: Command) {
        // The thread ends only after us, or with no encoder left; then
        // `on_failed` has told.
        let _ = self.commands.send(command);
    }
}

impl Drop for Encoding {
    fn drop(&mut self) {
        self.tell(Command::Stop);
    }
}

/// The encodings of an element, found by track and codec.
#[derive(Debug, Default)]
pub(crate) struct Encodings(Vec<Weak<Encoding>>);

impl Encodings {
    /// The running one, or a new one.
    pub(crate) fn lease(
        &mut self,
        track: &Track,
        codec: Codec,
        spec: impl FnOnce() -> EncodingSpec,
    ) -> Result<Lease, String> {
        self.0.retain(|weak| weak.strong_count() > 0);
        let mut running = self.0.iter().filter_map(Weak::upgrade);
        if let Some(lease) = running.find(|e| e.track.is(track) && e.codec == codec) {
            return Ok(lease);
        }
        let lease = Encoding::start(spec())?;
        self.0.push(Arc::downgrade(&lease));
        Ok(lease)
    }
}
