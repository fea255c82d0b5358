//! People open the page: it plays, it is heard, it says how it goes.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Instant;

use serde_json::Value;
use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::{eventually, media, page};

use crate::scenes::{PICTURE, SMALL, SOON, SOUND, Stage, assert_content};

/// What the page says of itself: `window.sigmund.stats()`.
fn statistics(browser: &Browser) -> Value {
    eventually(SOON, "the page has numbers", || {
        let stats = browser.ask("return window.sigmund.stats();", &[]);
        stats["fps"]
            .as_f64()
            .filter(|&fps| fps > 20.0)
            .map(|_| stats)
    })
}

/// Test picture and tone, by a raw stream.
fn plays_and_is_heard(kind: Kind) {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&format!("{PICTURE} ! {} {SOUND} ! cam.", stage.sink("")));
    let browser = stage.watch(kind, &publisher.address());
    let muted = browser.ask("return document.querySelector('video').muted;", &[]);
    assert_eq!(
        muted, true,
        "browsers let only silent videos start by themselves"
    );
    let first = browser.ask("return window.sigmund.ttff;", &[]);
    eprintln!("{kind:?}: first frame after {first} ms");
    page::assert_smooth(&browser, 640, 360);
    let tone = page::tone(&browser);
    assert!((tone - 440.0).abs() < 12.0, "{tone} Hz");
    let stats = statistics(&browser);
    eprintln!("{stats}");
    assert_content(&browser);
    publisher.assert_healthy();
}

#[test]
fn chromium_plays_the_picture_and_the_tone() {
    plays_and_is_heard(Kind::Chromium);
}

#[test]
fn firefox_plays_the_picture_and_the_tone() {
    plays_and_is_heard(Kind::Firefox);
}

/// The clip again and again, as one stream.
fn looped_clip(stage: &Stage) -> String {
    let row = sigmund_tests::process::log_directory().join("row");
    fs::create_dir_all(&row).unwrap();
    for number in 100..130 {
        // Left by an earlier run, it leads to the same clip.
        let _ = symlink(media::clip(), row.join(format!("{number}.mp4")));
    }
    format!(
        "{} uridecodebin name=file uri=\"splitmux://{}/*.mp4\" file. ! queue ! videoconvert ! cam. \
         file. ! queue ! audioconvert ! audioresample ! cam.",
        stage.sink(""),
        row.display(),
    )
}

/// H.264 and AAC, decoded and encoded again.
fn plays_a_real_clip(kind: Kind, frames: u64) {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&looped_clip(&stage));
    let browser = stage.watch(kind, &publisher.address());
    assert_eq!(page::size(&browser), (1280, 720));
    // It has 25 frames a second; six seconds lead over its end.
    page::assert_frames(&browser, frames, 6);
    assert!(page::tone(&browser) > 0.0, "it is silent");
    assert_content(&browser);
    publisher.assert_healthy();
}

#[test]
fn chromium_plays_a_real_clip() {
    plays_a_real_clip(Kind::Chromium, 125);
}

#[test]
fn firefox_plays_a_real_clip() {
    // VP8, in software at both ends of one machine.
    plays_a_real_clip(Kind::Firefox, 125);
}

#[test]
fn the_page_asks_for_the_token_and_takes_it_from_the_address() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let publisher = stage.publish(&format!(
        "{SMALL} ! rtcsink name=cam uri=listen://{address}:8080/cam token=open-sesame"
    ));
    let page = publisher.address();
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.open(&page);
    eventually(SOON, "the page wants a token", || {
        let shown = browser.ask(
            "return [document.body.dataset.state, document.body.innerText];",
            &[],
        );
        let asks = shown[1]
            .as_str()
            .is_some_and(|text| text.contains("token") || text.contains("Token"));
        (shown[0] == "failed" && asks).then_some(())
    });
    browser.open("about:blank");
    browser.open(&format!("{page}#token=open-sesame"));
    page::await_playing(&browser);
    let location = browser.ask("return String(location);", &[]);
    assert!(!location.as_str().unwrap().contains("sesame"), "{location}");
}

#[test]
fn the_page_comes_back_when_the_stream_does() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&format!("{SMALL} ! {}", stage.sink("")));
    let browser = stage.watch(Kind::Chromium, &publisher.address());
    publisher.state("null");
    eventually(SOON, "the page notices", || {
        (browser.ask("return document.body.dataset.state;", &[]) != "playing").then_some(())
    });
    publisher.state("playing");
    let start = Instant::now();
    eventually(SOON * 2, "the page plays again", || {
        (browser.ask("return document.body.dataset.state;", &[]) == "playing").then_some(())
    });
    eprintln!("back after {:?}", start.elapsed());
    assert!(page::stamps(&browser, 2).distinct() >= 50);
    publisher.assert_healthy();
}

#[test]
fn a_foreign_page_can_watch_only_if_it_is_allowed_to() {
    let Some(stage) = Stage::new() else { return };
    let foreign = format!("http://{}:8081", stage.server.address());
    let _other = stage.publish(&format!(
        "{SMALL} ! rtcsink uri={} allow-anonymous=true",
        foreign.replace("http", "listen") + "/other"
    ));
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    let script = format!("{} return lab.whep(args[0]);", page::SCRIPT);
    for allowed in [false, true] {
        let origins = if allowed {
            format!("allowed-origins={foreign}")
        } else {
            String::new()
        };
        let publisher = stage.publish(&format!("{SMALL} ! {}", stage.sink(&origins)));
        let endpoint = publisher.whep("cam");
        browser.open(&format!("{foreign}/healthz"));
        let watched = browser.try_ask(&script, &[endpoint.into()]);
        assert_eq!(watched.is_ok(), allowed, "{watched:?}");
        assert_eq!(
            publisher.emissions("peer-added").len(),
            usize::from(allowed)
        );
    }
}

#[test]
fn it_plays_on_a_telephone_sized_screen() {
    let Some(stage) = Stage::new() else { return };
    let publisher = stage.publish(&format!("{SMALL} ! {}", stage.sink("")));
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.resize(360, 740);
    browser.open(&publisher.address());
    page::await_playing(&browser);
    let layout = browser.ask(
        "const v = document.querySelector('video').getBoundingClientRect();
         return [document.documentElement.scrollWidth, innerWidth, v.left, v.right, v.top];",
        &[],
    );
    let number = |index: usize| layout[index].as_f64().unwrap();
    assert!(number(0) <= number(1), "it scrolls sideways: {layout}");
    assert!(
        number(2) >= 0.0 && number(3) <= number(1) && number(4) < 300.0,
        "{layout}"
    );
    let picture = sigmund_tests::process::log_directory().join("telephone.png");
    fs::write(picture, browser.screenshot()).unwrap();
    assert_content(&browser);
}
