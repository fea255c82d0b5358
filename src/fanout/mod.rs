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

mod cache;
mod keyframes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use cache::Cache;
use keyframes::Keyframes;

/// How often a viewer that catches up is given its next slice.
const SLICE: Duration = Duration::from_millis(10);

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

/// Where a viewer stands in the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    /// It starts with the next keyframe.
    Waiting,
    /// It is given the cached group, from `next` on.
    CatchingUp {
        next: usize,
        began: Instant,
        /// How many frames the group had when it joined: these are squeezed.
        squeezed: usize,
    },
    /// It gets each frame as it comes.
    Live,
    /// It had too much waiting: it starts again with a keyframe once that has
    /// drained.
    Slow,
}

#[derive(Debug)]
struct Viewer {
    standing: Standing,
    /// Its next frame does not follow its last one.
    gap: bool,
    stats: ViewerStats,
}

/// The state machine. See the module's documentation.
#[derive(Debug)]
pub struct FanOut<F> {
    config: Config,
    cache: Cache<F>,
    keyframes: Keyframes,
    viewers: BTreeMap<ViewerId, Viewer>,
    next_slice: Option<Instant>,
    actions: VecDeque<Action<F>>,
}

impl<F: Clone> FanOut<F> {
    /// An empty one.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            cache: Cache::new(config.cache_bytes),
            keyframes: Keyframes::new(config.keyframe_floor),
            viewers: BTreeMap::new(),
            next_slice: None,
            actions: VecDeque::new(),
        }
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
        if self.config.intra_only {
            return self.give_to_all(info, &frame, queued);
        }
        if info.keyframe {
            self.keyframes.handle_keyframe();
        }
        if !self.cache.push(now, info, frame.clone()) {
            self.strand_those_catching_up(now);
        }
        let mut drained = false;
        for (id, viewer) in &mut self.viewers {
            let queued = queued(*id);
            let take = match viewer.standing {
                Standing::Waiting => info.keyframe,
                Standing::CatchingUp { .. } if queued > self.config.max_queued => false,
                // A new group: the rest of the old one is of no use any more.
                Standing::CatchingUp { .. } if info.keyframe => {
                    viewer.gap = true;
                    true
                }
                Standing::CatchingUp { .. } => continue,
                Standing::Live => queued <= self.config.max_queued,
                Standing::Slow => {
                    let ready = queued <= self.config.max_queued / 2;
                    drained |= ready && !info.keyframe;
                    ready && info.keyframe
                }
            };
            if take {
                viewer.standing = Standing::Live;
                self.actions
                    .push_back(viewer.push(*id, frame.clone(), info.pts));
            } else if viewer.standing != Standing::Waiting {
                viewer.standing = Standing::Slow;
                viewer.miss();
            }
        }
        // Nobody has asked for those who wait since a reset.
        let forgotten = self.is_awaited() && !self.keyframes.is_wanted();
        if drained || forgotten {
            self.keyframes.want(now);
        }
        self.advance(now);
    }

    /// A viewer joins.
    pub fn handle_join(&mut self, now: Instant, viewer: ViewerId) {
        let usable = match (self.cache.age(now), self.config.cache_fresh) {
            (Some(age), Some(fresh)) => age <= fresh,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let standing = if self.config.intra_only {
            Standing::Live
        } else if usable {
            let squeezed = self.cache.frames().len();
            Standing::CatchingUp {
                next: 0,
                began: now,
                squeezed,
            }
        } else {
            self.keyframes.want(now);
            Standing::Waiting
        };
        let stats = ViewerStats::default();
        self.viewers.insert(
            viewer,
            Viewer {
                standing,
                gap: true,
                stats,
            },
        );
        self.advance(now);
    }

    /// A viewer leaves. Nothing is given to it any more.
    pub fn handle_leave(&mut self, viewer: ViewerId) {
        self.viewers.remove(&viewer);
        self.actions
            .retain(|it| !matches!(it, Action::Push { viewer: id, .. } if *id == viewer));
    }

    /// A viewer asks for a keyframe (PLI, FIR).
    pub fn handle_keyframe_request(&mut self, now: Instant, viewer: ViewerId) {
        if self.viewers.contains_key(&viewer) && !self.config.intra_only {
            self.keyframes.want(now);
            self.advance(now);
        }
    }

    /// The stream starts anew (another encoder, other caps): the cache is void.
    pub fn handle_reset(&mut self) {
        self.cache.clear();
        self.keyframes.handle_keyframe();
        for viewer in self.viewers.values_mut() {
            viewer.gap = true;
            if !self.config.intra_only {
                viewer.standing = Standing::Waiting;
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_slice
            .into_iter()
            .chain(self.keyframes.due(self.is_awaited()))
            .min()
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action<F>> {
        self.actions.pop_front()
    }

    /// What a viewer has had, if it is here.
    pub fn stats(&self, viewer: ViewerId) -> Option<ViewerStats> {
        self.viewers.get(&viewer).map(|viewer| viewer.stats)
    }

    /// How many viewers there are.
    pub fn viewers(&self) -> usize {
        self.viewers.len()
    }

    fn give_to_all(
        &mut self,
        info: FrameInfo,
        frame: &F,
        queued: &mut dyn FnMut(ViewerId) -> Duration,
    ) {
        for (id, viewer) in &mut self.viewers {
            if queued(*id) <= self.config.max_queued {
                self.actions
                    .push_back(viewer.push(*id, frame.clone(), info.pts));
            } else {
                viewer.miss();
            }
        }
    }

    /// The group has outgrown the cache: who was not through waits for the next.
    fn strand_those_catching_up(&mut self, now: Instant) {
        for viewer in self.viewers.values_mut() {
            if matches!(viewer.standing, Standing::CatchingUp { .. }) {
                viewer.standing = Standing::Waiting;
                viewer.gap = true;
                self.keyframes.want(now);
            }
        }
    }

    /// Is somebody without a picture until a keyframe comes?
    fn is_awaited(&self) -> bool {
        let waits = |it: &Viewer| it.standing == Standing::Waiting;
        self.viewers.values().any(waits)
    }

    /// Gives the next slices, and asks for a keyframe if one is due.
    fn advance(&mut self, now: Instant) {
        self.next_slice = None;
        for (id, viewer) in &mut self.viewers {
            let Standing::CatchingUp {
                next,
                began,
                squeezed,
            } = viewer.standing
            else {
                continue;
            };
            // Each by its own clock: nobody's burst depends on who else is here.
            let elapsed = now.saturating_duration_since(began).as_nanos() / SLICE.as_nanos();
            let slices = u32::try_from(elapsed + 1).unwrap_or(u32::MAX);
            let reach = (SLICE * slices).mul_f64(self.config.burst_speed);
            let slice = self.cache.slice(next, reach, squeezed);
            let end = next + slice.len();
            for (frame, pts) in slice {
                self.actions.push_back(viewer.push(*id, frame, pts));
            }
            viewer.standing = if end == self.cache.frames().len() {
                Standing::Live
            } else {
                let due = began + SLICE * slices;
                self.next_slice = Some(self.next_slice.map_or(due, |next| next.min(due)));
                Standing::CatchingUp {
                    next: end,
                    began,
                    squeezed,
                }
            };
        }
        let awaited = self.is_awaited();
        if self.keyframes.take_due(now, awaited) {
            self.actions.push_back(Action::RequestKeyframe);
        }
    }
}

impl Viewer {
    fn push<F>(&mut self, viewer: ViewerId, frame: F, pts: Duration) -> Action<F> {
        self.stats.frames += 1;
        let discont = std::mem::take(&mut self.gap);
        Action::Push {
            viewer,
            frame,
            pts,
            discont,
        }
    }

    fn miss(&mut self) {
        self.stats.dropped += 1;
        self.gap = true;
    }
}
