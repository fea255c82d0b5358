//! Who joins late sees a picture at once, and soon the one of now.

use std::time::Duration;

use sigmund_tests::eventually;
use sigmund_tests::media;
use sigmund_tests::publisher::Command;
use sigmund_tests::viewer::{Manners, Viewer};
use str0m::format::Codec;

use crate::scenes::{self, SOON, Stage};

/// Joins seven seconds into a GOP of ten.
fn catches_up(name: &str, codec: Codec) {
    let Some(stage) = Stage::alone() else { return };
    let mut publisher = stage.publish(&scenes::encoded(name));
    let endpoint = publisher.whep("cam");
    eventually(SOON * 2, "the stream is old", || {
        (publisher.count(Command::Stamped) > 210).then_some(())
    });
    let manners = Manners {
        video: vec![codec],
        keep: true,
        ..Manners::silent()
    };
    let viewer = Viewer::try_join(&stage.viewer, &endpoint, manners).unwrap();
    eventually(SOON, "it has watched for 2.5 s", || {
        let seen = viewer.seen();
        seen.kept
            .last()
            .filter(|f| f.after > Duration::from_millis(2500))
            .map(drop)
    });
    let seen = viewer.seen();
    assert_eq!(seen.keyframes, 1, "the GOP was not over yet");
    assert_eq!(seen.broken, 0);
    let decoded = media::decode(codec, &seen.kept);
    let first = decoded.first().expect("something can be decoded");
    eprintln!("{name}: first picture after {:?}", first.after);
    assert!(first.after < Duration::from_secs(1), "{first:?}");
    let late = decoded
        .iter()
        .find(|d| d.after > Duration::from_secs(2) && d.latency > Duration::from_millis(500));
    assert!(late.is_none(), "not live: {late:?}");
    let numbers: Vec<_> = decoded.iter().map(|d| d.number).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[1] > pair[0]),
        "{numbers:?}"
    );
    publisher.assert_healthy();
}

#[test]
fn h264_with_rare_keyframes_is_live_within_two_seconds() {
    catches_up("H264", Codec::H264);
}

#[test]
fn vp8_with_rare_keyframes_is_live_within_two_seconds() {
    catches_up("VP8", Codec::Vp8);
}

#[test]
fn a_raw_stream_starts_fast_for_each_viewer() {
    let Some(stage) = Stage::alone() else { return };
    let mut publisher = stage.show("");
    let endpoint = publisher.whep("cam");
    for number in 0..5 {
        let viewer = Viewer::join_silent(&stage.viewer, &endpoint);
        viewer.watch(1);
        let first = viewer.seen().first_frame.expect("it was watched");
        eprintln!("viewer {number}: first frame after {first:?}");
        assert!(first < Duration::from_secs(1), "viewer {number}: {first:?}");
        viewer.leave();
    }
    publisher.assert_healthy();
}

#[test]
fn many_joiners_do_not_make_many_keyframes() {
    let Some(stage) = Stage::alone() else { return };
    let mut publisher = stage.show("");
    let endpoint = publisher.whep("cam");
    let stayer = Viewer::join_silent(&stage.viewer, &endpoint);
    stayer.watch(30);
    let before = stayer.seen();
    let joiners: Vec<_> = (0..8)
        .map(|_| Viewer::join_silent(&stage.viewer, &endpoint))
        .collect();
    for joiner in &joiners {
        joiner.watch(20);
    }
    let after = stayer.seen();
    let keyframes = after.keyframes - before.keyframes;
    // Each joiner needs one; they come at most every half second.
    let seconds = (after.frames - before.frames) / 30;
    assert!(
        keyframes <= 2 * seconds + 2,
        "{keyframes} keyframes in {seconds} s"
    );
    publisher.assert_healthy();
}
