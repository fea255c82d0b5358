//! What comes in changes while people watch.

use sigmund_tests::viewer::{Manners, Viewer};
use sigmund_tests::{eventually, media};
use str0m::format::Codec;

use crate::scenes::{SOON, Stage};

const SIZES: [(u32, u32); 3] = [(640, 360), (320, 240), (960, 540)];

fn caps((width, height): (u32, u32)) -> String {
    format!("video/x-raw,format=I420,width={width},height={height},framerate=30/1")
}

/// The stamps are drawn after the change, so they are read only where the new
/// size reached the viewer whole.
fn follows_a_change_of_size(codec: Codec, branch: &str) {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&format!(
        "videotestsrc is-live=true ! capsfilter name=size caps={} ! identity name=stamp {branch}",
        caps(SIZES[0])
    ));
    let manners = Manners {
        video: vec![codec],
        audio: false,
        keep: true,
        ..Manners::default()
    };
    let viewer = Viewer::try_join(&stage.viewer, &publisher.whep("cam"), manners).unwrap();
    for size in SIZES {
        publisher.set("size", "caps", &caps(size));
        viewer.watch(30);
    }
    let seen = viewer.seen();
    let decoded = media::decode(codec, &seen.kept);
    assert!(
        decoded.len() + 3 >= seen.kept.len(),
        "{} of {:?}",
        decoded.len(),
        seen
    );
    let sizes = media::sizes(codec, &seen.kept);
    assert_eq!(sizes, SIZES);
    publisher.assert_healthy();
}

#[test]
fn raw_pictures_of_another_size_are_seen_in_h264() {
    follows_a_change_of_size(Codec::H264, "");
}

#[test]
fn raw_pictures_of_another_size_are_seen_in_vp8() {
    follows_a_change_of_size(Codec::Vp8, "");
}

#[test]
fn encoded_pictures_of_another_size_pass() {
    follows_a_change_of_size(Codec::Vp8, "! vp8enc deadline=1 cpu-used=8");
}

#[test]
fn raw_formats_that_no_encoder_takes_are_converted() {
    let Some(stage) = Stage::new() else { return };
    for format in ["RGB", "YUY2", "GRAY8", "NV12"] {
        let mut publisher = stage.publish(&format!(
            "videotestsrc is-live=true ! video/x-raw,format={format},width=321,height=241,framerate=30/1"
        ));
        let viewer = Viewer::join_silent(&stage.viewer, &publisher.whep("cam"));
        viewer.watch(10);
        publisher.assert_healthy();
    }
}

#[test]
fn sound_of_any_rate_and_layout_is_heard() {
    let Some(stage) = Stage::new() else { return };
    for caps in [
        "rate=44100,channels=1",
        "rate=8000,channels=2",
        "rate=48000,channels=6",
    ] {
        let mut publisher = stage.publish(&format!(
            "audiotestsrc is-live=true ! audio/x-raw,{caps},channel-mask=(bitmask){}",
            if caps.ends_with('6') {
                "0x3f"
            } else if caps.ends_with('2') {
                "0x3"
            } else {
                "0x0"
            }
        ));
        let manners = Manners {
            video: Vec::new(),
            ..Manners::default()
        };
        let viewer = Viewer::try_join(&stage.viewer, &publisher.whep("cam"), manners).unwrap();
        eventually(SOON, caps, || (viewer.seen().sounds > 20).then_some(()));
        publisher.assert_healthy();
    }
}
