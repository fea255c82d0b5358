//! What holds whatever happens, in whatever order.

use proptest::prelude::*;

use super::*;

const C: ViewerId = ViewerId(3);

#[derive(Clone, Copy, Debug)]
enum Step {
    Frame { keyframe: bool },
    Join(ViewerId),
    Leave(ViewerId),
    Request(ViewerId),
    Queue(ViewerId, Duration),
    Reset,
    Pass(Duration),
}

fn some_step() -> impl Strategy<Value = Step> {
    let viewer = || prop::sample::select(vec![A, B, C]);
    let time = |most: u64| (0..most).prop_map(Duration::from_millis);
    prop_oneof![
        10 => prop::bool::weighted(0.1).prop_map(|keyframe| Step::Frame { keyframe }),
        2 => viewer().prop_map(Step::Join),
        1 => viewer().prop_map(Step::Leave),
        2 => viewer().prop_map(Step::Request),
        2 => (viewer(), time(800)).prop_map(|(viewer, time)| Step::Queue(viewer, time)),
        4 => time(100).prop_map(Step::Pass),
        1 => Just(Step::Reset),
    ]
}

fn some_feed() -> impl Strategy<Value = (Option<Duration>, usize)> {
    let fresh = prop::option::of((0u64..400).prop_map(Duration::from_millis));
    let bytes = prop::sample::select(vec![0, 1_000, 10_000, 1_000_000]);
    (fresh, bytes)
}

/// Runs the steps; answers which frames were keyframes. What is kept of a
/// viewer is what it got since it last joined.
fn run((fresh, bytes): (Option<Duration>, usize), steps: &[Step]) -> (Feed, Vec<bool>) {
    let mut feed = Feed::new(fresh);
    feed.fanout = FanOut::new(Config {
        cache_bytes: bytes,
        ..feed.fanout.config
    });
    let mut keyframes = Vec::new();
    for step in steps {
        match *step {
            Step::Frame { keyframe } => {
                feed.frame(keyframe);
                keyframes.push(keyframe);
            }
            Step::Join(viewer) => {
                feed.got.remove(&viewer);
                feed.join(viewer);
            }
            Step::Leave(viewer) => feed.fanout.handle_leave(viewer),
            Step::Request(viewer) => {
                feed.fanout.handle_keyframe_request(feed.now, viewer);
                feed.drain();
            }
            Step::Queue(viewer, time) => {
                feed.queued.insert(viewer, time);
            }
            Step::Reset => feed.fanout.handle_reset(),
            Step::Pass(time) => feed.pass(time),
        }
    }
    // Who is catching up arrives.
    feed.pass(Duration::from_secs(60));
    (feed, keyframes)
}

proptest! {
    #[test]
    fn every_sequence_can_be_decoded(
        config in some_feed(),
        steps in prop::collection::vec(some_step(), 0..200),
    ) {
        let (feed, keyframes) = run(config, &steps);
        for (viewer, got) in &feed.got {
            let mut last: Option<(u32, Duration)> = None;
            for &(number, pts, discont) in got {
                let follows = last.is_some_and(|(last, _)| last + 1 == number);
                prop_assert!(follows || keyframes[number as usize], "{viewer:?} at {number}");
                prop_assert!(follows || discont, "{viewer:?}: unmarked gap at {number}");
                if let Some((last_number, last_pts)) = last {
                    prop_assert!(last_number < number, "{viewer:?}: twice, or back");
                    prop_assert!(last_pts < pts, "{viewer:?}: time stands or runs back");
                }
                last = Some((number, pts));
            }
            if let Some(stats) = feed.fanout.stats(*viewer) {
                prop_assert_eq!(stats.frames, got.len() as u64);
            }
        }
        let floor = feed.fanout.config.keyframe_floor;
        prop_assert!(feed.requests.windows(2).all(|it| it[1] - it[0] >= floor));
    }

    #[test]
    fn what_one_viewer_does_changes_nothing_for_the_others(
        config in some_feed(),
        steps in prop::collection::vec(some_step(), 0..200),
    ) {
        let of_one = |step: &&Step| matches!(
            step,
            Step::Join(A) | Step::Leave(A) | Step::Request(A) | Step::Queue(A, _)
        );
        let alone: Vec<Step> = steps.iter().filter(|it| !of_one(it)).copied().collect();
        let (with, _) = run(config, &steps);
        let (without, _) = run(config, &alone);
        for viewer in [B, C] {
            prop_assert_eq!(with.got.get(&viewer), without.got.get(&viewer));
        }
    }
}
