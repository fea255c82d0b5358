//! One encoding, many viewers: who gets which encoded frame. Pure.
//!
//! The owner is one thread an encoding; it hands in frames and joins and does
//! what [`FanOut::poll_action`] says. A frame is shared, never copied (`F` is
//! cheap to clone). Three things are decided here:
//!
//! - **Start.** A viewer's first frame is a keyframe: one from the cache (then
//!   the frames after it, in a bounded burst, squeezed in time so that the
//!   viewer arrives at live), or the next one.
//! - **Keyframe requests** of all viewers are merged, and spaced by a floor.
//! - **A slow viewer** loses its own frames, up to the next keyframe, and
//!   nobody else's.

use std::time::{Duration, Instant};

/// Names a viewer within one fan-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewerId(pub u64);

/// How a fan-out behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Can every frame be decoded alone (audio)? Then nothing waits for keyframes.
    pub intra_only: bool,
    /// The least time between two keyframe requests to the encoder.
    pub keyframe_floor: Duration,
    /// A joiner starts from the cache if the cached keyframe is at most this
    /// old; else a keyframe is requested. `None`: always from the cache, for
    /// sources that may not answer keyframe requests (passthrough).
    pub cache_fresh: Option<Duration>,
    /// The most bytes the cache of the current group of pictures may hold; a
    /// group that grows beyond is not cached.
    pub cache_bytes: usize,
    /// How much of the group a joiner is sent a second, in seconds of media.
    pub burst_speed: f64,
    /// A viewer with more than this queued is too slow.
    pub max_queued: Duration,
}

/// What is known of an encoded frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// Running time of the frame.
    pub pts: Duration,
    /// Can decoding start here?
    pub keyframe: bool,
    /// Size in bytes.
    pub bytes: usize,
}

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<F> {
    /// Give a frame to a viewer.
    Push {
        /// Who gets it.
        viewer: ViewerId,
        /// The frame.
        frame: F,
        /// Its running time for this viewer (squeezed while catching up).
        pts: Duration,
        /// First frame after a gap: mark it as a discontinuity.
        discont: bool,
    },
    /// Ask the encoder, or upstream, for a keyframe.
    RequestKeyframe,
}

/// What a viewer has had so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewerStats {
    /// Frames given to it.
    pub frames: u64,
    /// Frames that it missed because it was too slow.
    pub dropped: u64,
}

/// The state machine. See the module's documentation.
#[derive(Debug)]
pub struct FanOut<F> {
    _frames: Vec<F>,
}

impl<F: Clone> FanOut<F> {
    /// An empty one.
    pub fn new(config: Config) -> Self {
        todo!("{config:?}")
    }

    /// The encoder has made a frame. `queued` tells how much media a viewer
    /// has not sent yet.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        info: FrameInfo,
        frame: F,
        queued: &mut dyn FnMut(ViewerId) -> Duration,
    ) {
        let _ = (now, info, frame, queued);
        todo!()
    }

    /// A viewer joins.
    pub fn handle_join(&mut self, now: Instant, viewer: ViewerId) {
        todo!("{now:?} {viewer:?}")
    }

    /// A viewer leaves.
    pub fn handle_leave(&mut self, viewer: ViewerId) {
        todo!("{viewer:?}")
    }

    /// A viewer asks for a keyframe (PLI, FIR).
    pub fn handle_keyframe_request(&mut self, now: Instant, viewer: ViewerId) {
        todo!("{now:?} {viewer:?}")
    }

    /// The stream starts anew (flush, caps change): the cache is void.
    pub fn handle_reset(&mut self) {
        todo!()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!("{now:?}")
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action<F>> {
        todo!()
    }

    /// What a viewer has had, if it is here.
    pub fn stats(&self, viewer: ViewerId) -> Option<ViewerStats> {
        todo!("{viewer:?}")
    }

    /// How many viewers there are.
    pub fn viewers(&self) -> usize {
        todo!()
    }
}
