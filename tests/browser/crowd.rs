//! Several browsers at once, and one that is killed.

use std::time::{Duration, Instant};

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::publisher::Command;
use sigmund_tests::{Publisher, eventually, page};

use crate::scenes::{SMALL, SOON, Stage};

/// Opens the page in as many windows of one browser.
fn windows(browser: &Browser, address: &str, count: usize) {
    for number in 0..count {
        if number > 0 {
            browser.new_window();
        }
        browser.open(address);
        page::await_playing(browser);
    }
}

fn factories(publisher: &mut Publisher) -> Vec<String> {
    let mut names: Vec<_> = publisher
        .video_encoders()
        .into_iter()
        .map(|e| e.factory)
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn five_viewers_share_an_encoder_for_each_codec() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&format!("{SMALL} ! {}", stage.sink("")));
    let address = publisher.address();
    let chromium = Browser::start(&stage.viewer, Kind::Chromium);
    windows(&chromium, &address, 3);
    let firefox = Browser::start(&stage.viewer, Kind::Firefox);
    windows(&firefox, &address, 2);
    assert_eq!(publisher.emissions("peer-added").len(), 5);
    // H.264 for Chromium, VP8 for Firefox, which has no H.264 here.
    assert_eq!(factories(&mut publisher), ["vp8enc", "x264enc"]);

    let before = publisher.video_encoders();
    let began = publisher.count(Command::Stamped);
    assert!(page::stamps(&chromium, 5).distinct() >= 100);
    let frames = publisher.count(Command::Stamped) - began;
    for (before, after) in before.iter().zip(publisher.video_encoders()) {
        let encoded = after.frames - before.frames;
        // Once for all viewers; a busy machine may leave some out, or catch up.
        let once = frames * 4 / 5..=frames * 5 / 4;
        assert!(once.contains(&encoded), "{after:?}: {encoded} of {frames}");
    }

    firefox.open("about:blank");
    drop(firefox);
    eventually(SOON * 2, "no Firefox, no VP8", || {
        (factories(&mut publisher) == ["x264enc"]).then_some(())
    });
    drop(chromium);
    eventually(SOON * 2, "no viewer, no encoder", || {
        publisher.video_encoders().is_empty().then_some(())
    });
    publisher.assert_healthy();
}

fn is_missed(kind: Kind) {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&format!("{SMALL} ! {}", stage.sink("")));
    let mut browser = stage.watch(kind, &publisher.address());
    assert!(page::stamps(&browser, 2).distinct() >= 40);
    browser.kill();
    let start = Instant::now();
    let reason = eventually(Duration::from_secs(12), "it is missed", || {
        publisher.emissions("peer-removed").pop()
    });
    let noticed = start.elapsed();
    eprintln!("{kind:?} missed after {noticed:?}: {reason:?}");
    assert!(noticed < Duration::from_secs(10), "{noticed:?}");
    eventually(SOON, "no encoder", || {
        publisher.video_encoders().is_empty().then_some(())
    });
    publisher.assert_healthy();
}

#[test]
fn a_killed_chromium_is_missed_within_ten_seconds() {
    is_missed(Kind::Chromium);
}

#[test]
fn a_killed_firefox_is_missed_within_ten_seconds() {
    is_missed(Kind::Firefox);
}

/// `pc.close()` changes nothing that webrtcbin tells of by itself.
#[test]
fn a_closed_window_is_noticed_at_once() {
    for kind in [Kind::Chromium, Kind::Firefox] {
        let Some(stage) = Stage::new() else { return };
        let mut publisher = stage.publish(&format!("{SMALL} ! {}", stage.sink("")));
        let browser = stage.watch(kind, &publisher.address());
        browser.open("about:blank");
        let start = Instant::now();
        eventually(SOON, "it is noticed", || {
            publisher.emissions("peer-removed").pop()
        });
        eprintln!("{kind:?} noticed after {:?}", start.elapsed());
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
        publisher.assert_healthy();
    }
}
