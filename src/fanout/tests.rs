mod properties;

use super::*;

const FRAME: Duration = Duration::from_millis(33);
const A: ViewerId = ViewerId(1);
const B: ViewerId = ViewerId(2);

/// A fan-out fed with numbered frames in virtual time.
struct Feed {
    fanout: FanOut<u32>,
    now: Instant,
    pts: Duration,
    number: u32,
    queued: BTreeMap<ViewerId, Duration>,
    got: BTreeMap<ViewerId, Vec<(u32, Duration, bool)>>,
    requests: Vec<Instant>,
}

impl Feed {
    fn new(cache_fresh: Option<Duration>) -> Self {
        let config = Config {
            intra_only: false,
            keyframe_floor: Duration::from_millis(500),
            cache_fresh,
            cache_bytes: 1_000_000,
            burst_speed: 12.0,
            max_queued: Duration::from_millis(500),
        };
        Self {
            fanout: FanOut::new(config),
            now: Instant::now(),
            pts: Duration::from_secs(10),
            number: 0,
            queued: BTreeMap::new(),
            got: BTreeMap::new(),
            requests: Vec::new(),
        }
    }

    fn frame(&mut self, keyframe: bool) {
        let info = FrameInfo {
            pts: self.pts,
            keyframe,
            bytes: 1000,
        };
        let queued = &self.queued;
        self.fanout
            .handle_frame(self.now, info, self.number, &mut |viewer| {
                queued.get(&viewer).copied().unwrap_or_default()
            });
        self.drain();
        self.number += 1;
        self.pts += FRAME;
        self.pass(FRAME);
    }

    fn frames(&mut self, count: usize) {
        (0..count).for_each(|_| self.frame(false));
    }

    fn join(&mut self, viewer: ViewerId) {
        self.fanout.handle_join(self.now, viewer);
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.fanout.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.fanout.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(action) = self.fanout.poll_action() {
            match action {
                Action::Push {
                    viewer,
                    frame,
                    pts,
                    discont,
                } => {
                    self.got
                        .entry(viewer)
                        .or_default()
                        .push((frame, pts, discont));
                }
                Action::RequestKeyframe => self.requests.push(self.now),
            }
        }
    }

    fn numbers(&self, viewer: ViewerId) -> Vec<u32> {
        let got = self.got.get(&viewer).map(Vec::as_slice).unwrap_or_default();
        got.iter().map(|(number, _, _)| *number).collect()
    }
}

#[test]
fn a_joiner_of_a_fresh_group_starts_at_once_from_its_keyframe() {
    let mut feed = Feed::new(Some(Duration::from_millis(500)));
    feed.frame(true);
    feed.frames(3);
    feed.join(A);
    assert_eq!(feed.numbers(A), [0, 1, 2, 3]);
    assert!(feed.requests.is_empty());
    feed.frame(false);
    assert_eq!(feed.numbers(A), [0, 1, 2, 3, 4]);
}

#[test]
fn a_joiner_of_an_old_group_waits_for_a_keyframe_that_is_asked_for() {
    let mut feed = Feed::new(Some(Duration::from_millis(500)));
    feed.frame(true);
    feed.frames(30);
    feed.join(A);
    feed.frames(2);
    assert!(feed.numbers(A).is_empty());
    assert_eq!(feed.requests.len(), 1);
    feed.frame(true);
    assert_eq!(feed.numbers(A), [33]);
}

#[test]
fn a_joiner_of_a_long_passthrough_group_is_at_live_within_a_second() {
    let mut feed = Feed::new(None);
    feed.frame(true);
    feed.frames(290);
    feed.join(A);
    assert_eq!(
        feed.numbers(A).first(),
        Some(&0),
        "the picture is there at once"
    );
    feed.frames(30);
    let expected: Vec<u32> = (0..321).collect();
    assert_eq!(feed.numbers(A), expected, "no frame is lost");
    assert!(feed.requests.is_empty());
}

#[test]
fn squeezed_timestamps_rise_and_end_at_live() {
    let mut feed = Feed::new(None);
    feed.frame(true);
    feed.frames(290);
    let live = feed.pts;
    feed.join(A);
    feed.frames(30);
    let got = &feed.got[&A];
    assert!(got.windows(2).all(|pair| pair[0].1 < pair[1].1));
    assert!(
        got[0].1 + Duration::from_millis(140) > live,
        "not ten seconds behind"
    );
    assert_eq!(got.last().map(|last| last.1), Some(feed.pts - FRAME));
}

#[test]
fn a_burst_is_paced() {
    let mut feed = Feed::new(None);
    feed.frame(true);
    feed.frames(299);
    feed.join(A);
    assert!(feed.numbers(A).len() < 20, "not the whole group at once");
}

#[test]
fn a_keyframe_ends_catching_up() {
    let mut feed = Feed::new(None);
    feed.frame(true);
    feed.frames(299);
    feed.join(A);
    let had = feed.numbers(A).len();
    feed.frame(true);
    assert_eq!(feed.numbers(A).len(), had + 1);
    assert_eq!(feed.numbers(A).last(), Some(&300));
}

#[test]
fn requests_of_many_are_merged_and_spaced() {
    let mut feed = Feed::new(Some(Duration::ZERO));
    feed.frame(true);
    feed.join(A);
    feed.join(B);
    assert_eq!(feed.requests.len(), 1);
    feed.fanout.handle_keyframe_request(feed.now, B);
    feed.pass(Duration::from_millis(400));
    assert_eq!(feed.requests.len(), 1, "the floor holds");
    feed.pass(Duration::from_millis(200));
    assert_eq!(
        feed.requests.len(),
        2,
        "what was asked is asked at the end of the floor"
    );
    assert!(feed.requests[1] - feed.requests[0] >= Duration::from_millis(500));
}

#[test]
fn a_keyframe_satisfies_all_who_asked_before_it() {
    let mut feed = Feed::new(Some(Duration::ZERO));
    feed.join(A);
    feed.fanout.handle_keyframe_request(feed.now, A);
    feed.frame(true);
    feed.pass(Duration::from_secs(2));
    assert_eq!(feed.requests.len(), 1);
}

#[test]
fn a_slow_viewer_loses_its_own_frames_up_to_a_keyframe() {
    let mut feed = Feed::new(Some(Duration::from_secs(1)));
    feed.frame(true);
    feed.join(A);
    feed.join(B);
    feed.frame(false);
    feed.queued.insert(A, Duration::from_millis(600));
    feed.frames(2);
    feed.queued.insert(A, Duration::from_millis(100));
    let requests = feed.requests.len();
    feed.frames(2);
    assert_eq!(
        feed.requests.len(),
        requests + 1,
        "drained: it asks for a keyframe"
    );
    feed.frame(true);
    feed.frame(false);
    assert_eq!(feed.numbers(A), [0, 1, 6, 7]);
    assert!(
        feed.got[&A][2].2,
        "the frame after the gap is a discontinuity"
    );
    assert_eq!(feed.numbers(B), [0, 1, 2, 3, 4, 5, 6, 7], "nobody else's");
    assert_eq!(feed.fanout.stats(A).map(|s| s.dropped), Some(4));
}

#[test]
fn a_group_beyond_the_limit_is_not_cached() {
    let mut feed = Feed::new(None);
    feed.frame(true);
    feed.frames(1100);
    feed.join(A);
    assert!(feed.numbers(A).is_empty());
    assert_eq!(feed.requests.len(), 1);
}

#[test]
fn audio_starts_with_any_frame() {
    let mut feed = Feed::new(None);
    feed.fanout.config.intra_only = true;
    feed.frames(2);
    feed.join(A);
    feed.frames(2);
    assert_eq!(feed.numbers(A), [2, 3]);
    assert!(feed.requests.is_empty());
}

#[test]
fn after_a_reset_all_wait_for_a_keyframe() {
    let mut feed = Feed::new(None);
    feed.frame(true);
    feed.join(A);
    feed.fanout.handle_reset();
    feed.frames(2);
    assert_eq!(feed.numbers(A), [0]);
    feed.frame(true);
    assert_eq!(feed.numbers(A), [0, 3]);
}

#[test]
fn after_a_reset_a_keyframe_is_asked_for_if_none_comes() {
    let mut feed = Feed::new(None);
    feed.frame(true);
    feed.join(A);
    feed.fanout.handle_reset();
    assert!(feed.requests.is_empty());
    feed.frames(2);
    assert_eq!(feed.requests.len(), 1);
}

#[test]
fn a_request_that_brings_nothing_is_repeated_while_somebody_waits() {
    let mut feed = Feed::new(None);
    feed.join(A);
    feed.pass(Duration::from_millis(2500));
    assert_eq!(feed.requests.len(), 3);
    feed.frame(true);
    feed.fanout.handle_keyframe_request(feed.now, A);
    feed.drain();
    feed.pass(Duration::from_secs(10));
    assert_eq!(
        feed.requests.len(),
        4,
        "a viewer with a picture asks itself"
    );
}

#[test]
fn a_viewer_that_chokes_on_the_burst_waits_for_a_keyframe() {
    let mut feed = Feed::new(None);
    feed.frame(true);
    feed.frames(290);
    feed.join(A);
    feed.queued.insert(A, Duration::from_secs(1));
    feed.frame(false);
    let had = feed.numbers(A);
    feed.queued.clear();
    feed.frames(30);
    assert_eq!(feed.numbers(A), had);
    feed.frame(true);
    assert_eq!(feed.numbers(A).len(), had.len() + 1);
}

#[test]
fn who_has_left_gets_nothing_more() {
    let mut feed = Feed::new(None);
    feed.frame(true);
    feed.frames(290);
    feed.fanout.handle_join(feed.now, A);
    feed.fanout.handle_leave(A);
    feed.drain();
    feed.frames(2);
    assert!(feed.numbers(A).is_empty());
    assert_eq!(feed.fanout.poll_timeout(), None);
}
