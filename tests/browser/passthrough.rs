//! What comes encoded is seen as it is.

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::publisher::Command;
use sigmund_tests::{eventually, media, page};

use crate::scenes::{PICTURE, SOON, Stage, assert_content};

/// 40 s of stamped pictures in a file, in the codec that it is asked for.
fn file(codec: &str) -> String {
    let pictures = "videotestsrc num-buffers=1200 pattern=ball ! \
        video/x-raw,format=I420,width=640,height=480,framerate=30/1 ! identity name=stamp";
    let path = match codec {
        "H264" => media::file(
            "stamped.mp4",
            &format!(
                "{pictures} ! x264enc bframes=0 key-int-max=60 speed-preset=superfast ! h264parse ! mp4mux"
            ),
        ),
        _ => media::file(
            "long.webm",
            &format!(
                "{pictures} ! vp8enc deadline=1 keyframe-max-dist=60 target-bitrate=1000000 ! webmmux"
            ),
        ),
    };
    format!("urisourcebin uri=\"file://{}\" ! parsebin", path.display())
}

fn passes(kind: Kind, codec: &str) {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&format!("{} ! {}", file(codec), stage.sink("")));
    let browser = stage.watch(kind, &publisher.address());
    page::assert_smooth(&browser, 640, 480);
    assert_eq!(publisher.video_encoders(), []);
    let played = browser.ask("return window.sigmund.stats().codec;", &[]);
    eprintln!("{kind:?} plays {played}");
    assert_content(&browser);
    publisher.assert_healthy();
}

#[test]
fn chromium_plays_the_h264_of_a_file() {
    passes(Kind::Chromium, "H264");
}

#[test]
fn chromium_plays_the_vp8_of_a_file() {
    passes(Kind::Chromium, "VP8");
}

#[test]
fn firefox_plays_the_vp8_of_a_file() {
    passes(Kind::Firefox, "VP8");
}

#[test]
fn firefox_is_told_that_it_lacks_h264() {
    let Some(stage) = Stage::new() else { return };
    let publisher = stage.publish(&format!("{} ! {}", file("H264"), stage.sink("")));
    let browser = Browser::start(&stage.viewer, Kind::Firefox);
    browser.open(&publisher.address());
    let shown = eventually(SOON, "the page says why", || {
        let shown = browser.ask(
            "return [document.body.dataset.state, document.body.innerText];",
            &[],
        );
        (shown[0] == "failed").then(|| shown[1].clone())
    });
    assert!(
        shown.as_str().unwrap().to_lowercase().contains("codec"),
        "{shown}"
    );
}

/// A live stream with a keyframe every ten seconds, joined in between.
fn joins_late(codec: &str, encoder: &str) {
    let Some(stage) = Stage::new() else { return };
    let pipeline = format!("{PICTURE} ! {encoder} ! queue ! {}", stage.sink(""));
    let mut publisher = stage.publish(&pipeline);
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    let endpoint = publisher.whep("cam");
    browser.open(&stage.idle_page());
    eventually(SOON * 2, "the group of pictures is old", || {
        (publisher.count(Command::Stamped) % 300 > 200).then_some(())
    });
    let start = page::whep(&browser, &endpoint);
    eprintln!(
        "{codec}: answer after {:.0} ms, picture after {:.0} ms",
        start.answered, start.first
    );
    assert!(start.first < 1000.0, "{start:?}");
    // From two seconds after the join on it is live.
    let settling = page::stamps(&browser, 2);
    let watched = page::stamps(&browser, 2);
    let worst = watched.stamps.iter().map(|s| s.latency).max().unwrap();
    eprintln!(
        "latency {} ms, worst {worst} ms; before {} ms",
        watched.latency(),
        settling.latency()
    );
    assert!(watched.latency() < 500, "{watched:?}");
    publisher.assert_healthy();
}

#[test]
fn a_late_joiner_of_h264_is_live_within_two_seconds() {
    joins_late(
        "H264",
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=300 ! h264parse",
    );
}

#[test]
fn a_late_joiner_of_vp8_is_live_within_two_seconds() {
    joins_late(
        "VP8",
        "vp8enc deadline=1 cpu-used=16 threads=2 keyframe-max-dist=300 target-bitrate=1500000",
    );
}
