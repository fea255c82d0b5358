//! A browser talks with `rtcpeer`: picture and sound, at both ends.

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::sight::Sight;
use sigmund_tests::{Host, Publisher, Relay, eventually, page};

use crate::scenes::{PICTURE, SOON, SOUND, Stage};

/// What the browser sends, looked at and listened to.
const LOOK: &str = "call.video_src_0 ! videoconvert ! video/x-raw,format=I420 ! \
    identity name=look ! fakesink sync=true \
    call.audio_src_0 ! audioconvert ! audio/x-raw,format=S16LE ! \
    identity name=look-sound ! fakesink sync=true";

fn caller(host: &Host, uri: &str) -> Publisher {
    Publisher::start(
        host,
        &format!("rtcpeer name=call uri={uri} {PICTURE} ! call. {SOUND} ! call. {LOOK}"),
    )
}

/// The page's call view, with the camera chosen.
fn join(browser: &Browser, page: &str) {
    browser.open(page);
    await_state(browser, &["choosing"]);
    browser.ask(
        "document.querySelector('[data-source=camera]').click();",
        &[],
    );
    await_state(browser, &["ready"]);
    browser.ask("document.getElementById('go').click();", &[]);
}

/// A call by `sigmund.js`, on an empty page.
fn begin(browser: &Browser, relay: &Relay) {
    browser.open(&format!("{}/style.css", relay.origin()));
    let script = "const { call } = await import('/sigmund.js');
        const local = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
        const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true });
        document.body.append(video);
        window.talk = call(args[0], local);
        window.talk.addEventListener('track', () => { video.srcObject = window.talk.stream; });
        window.talk.addEventListener('state', () => { document.body.dataset.state = window.talk.state === 'live' ? 'playing' : window.talk.state; });";
    browser.ask(script, &[format!("{}/door", relay.origin()).into()]);
    await_state(browser, &["alone"]);
}

#[track_caller]
fn await_state(browser: &Browser, states: &[&str]) {
    eventually(SOON * 3, &format!("the page is one of {states:?}"), || {
        let now = browser.ask("return document.body.dataset.state;", &[]);
        states.contains(&now.as_str()?).then_some(())
    });
}

/// The browser shows our picture, each frame newer than the one before, and plays
/// our tone.
#[track_caller]
fn shows_ours(browser: &Browser) {
    await_state(browser, &["playing"]);
    // Three chances, for a machine that is busy.
    let moves = (0..3).any(|_| {
        let watched = page::stamps(browser, 3);
        assert_eq!((watched.width, watched.height), (640, 360));
        eprintln!("{} frames in 3 s", watched.distinct());
        watched.distinct() > 45
    });
    assert!(moves, "never 15 frames a second");
    let tone = page::tone(browser);
    assert!((tone - 440.0).abs() < 10.0, "{tone} Hz");
}

/// What the browser's camera and microphone give arrives here.
#[track_caller]
fn takes_theirs(caller: &mut Publisher) {
    let more = |caller: &mut Publisher, look: &str, what: &str, count: u64| -> Sight {
        let before = caller.look(look).buffers;
        eventually(SOON * 2, what, || {
            let sight = caller.look(look);
            (sight.buffers > before + count).then_some(sight)
        })
    };
    let picture = more(caller, "look", "pictures", 60);
    // Whatever size the browser can afford to send.
    let caps = picture.caps.last().unwrap();
    let width = caps.split("width=(int)").nth(1).unwrap();
    let width: u32 = width.split(',').next().unwrap().parse().unwrap();
    assert!((160..=640).contains(&width), "{caps}");
    // The camera that is none has a clock in it, and it beeps once a second.
    let sound = more(caller, "look-sound", "sound", 100);
    assert!(!sound.ticks.is_empty(), "it is silent");
}

#[track_caller]
fn both_are_met(browser: &Browser, caller: &mut Publisher) {
    shows_ours(browser);
    takes_theirs(caller);
    caller.assert_healthy();
}

fn calls_an_element(kind: Kind) {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let uri = format!("listen://{address}:8080/door allow-anonymous=true");
    let mut host = caller(&stage.server, &uri);
    let page = host.address();
    let browser = Browser::with_camera(&stage.viewer, kind, &format!("http://{address}:8080"));
    join(&browser, &page);
    both_are_met(&browser, &mut host);
}

fn is_called_by_an_element(kind: Kind) {
    let Some(stage) = Stage::new() else { return };
    let relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let browser = Browser::with_camera(&stage.viewer, kind, &relay.origin());
    begin(&browser, &relay);
    let mut guest = caller(&stage.server, &relay.uri("door"));
    both_are_met(&browser, &mut guest);
}

#[test]
fn chromium_calls_an_element() {
    calls_an_element(Kind::Chromium);
}

#[test]
fn chromium_is_called_by_an_element() {
    is_called_by_an_element(Kind::Chromium);
}
