//! The frames of the current group of pictures, for those who join.

use std::time::{Duration, Instant};

use super::FrameInfo;

/// No more frames than this are kept: over a minute at 60 a second.
const MAX_FRAMES: usize = 4096;

/// A joiner's timestamps begin at most this much before live. It decodes the
/// group as fast as it can, instead of playing it and staying behind.
const SQUEEZE: Duration = Duration::from_millis(100);

/// The most that squeezed frames are apart.
const MAX_STEP: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Cache<F> {
    limit: usize,
    bytes: usize,
    /// Begins with a keyframe, or is empty.
    frames: Vec<(FrameInfo, F)>,
    keyframe_at: Option<Instant>,
}

impl<F: Clone> Cache<F> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            frames: Vec::new(),
            keyframe_at: None,
        }
    }

    /// Appends a frame. `false`: the group has just outgrown the cache.
    pub(super) fn push(&mut self, now: Instant, info: FrameInfo, frame: F) -> bool {
        if info.keyframe {
            self.clear();
            self.keyframe_at = Some(now);
        } else if self.frames.is_empty() {
            return true;
        }
        self.bytes += info.bytes;
        if self.bytes > self.limit || self.frames.len() >= MAX_FRAMES {
            self.clear();
            return false;
        }
        self.frames.push((info, frame));
        true
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
        self.keyframe_at = None;
    }

    /// How old the keyframe is, if there is one.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.keyframe_at?))
    }

    pub(super) fn frames(&self) -> &[(FrameInfo, F)] {
        &self.frames
    }

    /// The frames from `next` on that lie within `reach` of the keyframe, with
    /// the timestamps for a viewer who joined when there were `squeezed`.
    ///
    /// Frame i of those n gets the later of its own pts and
    /// `pts(n-1) - (n-1-i) * step`: strictly rising, the last one true, and
    /// all later ones true. No frame is ever stamped later than the newest.
    pub(super) fn slice(
        &self,
        next: usize,
        reach: Duration,
        squeezed: usize,
    ) -> Vec<(F, Duration)> {
        let Some((first, _)) = self.frames.first() else {
            return Vec::new();
        };
        let last = squeezed.saturating_sub(1);
        let newest = self
            .frames
            .get(last)
            .map_or(first.pts, |(info, _)| info.pts);
        let step = (SQUEEZE / squeezed.max(1) as u32).min(MAX_STEP);
        self.frames
            .iter()
            .enumerate()
            .skip(next)
            .take_while(|(_, (info, _))| info.pts.saturating_sub(first.pts) <= reach)
            .map(|(i, (info, frame))| {
                let early = step * last.saturating_sub(i) as u32;
                let pts = match i < squeezed {
                    true => info.pts.max(newest.saturating_sub(early)),
                    false => info.pts,
                };
                (frame.clone(), pts)
            })
            .collect()
    }
}
