//! A browser talks with `rtcpeer`: picture and sound, at both ends.

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::publisher::Command;
use sigmund_tests::sight::Sight;
use sigmund_tests::{Host, Publisher, Relay, eventually, page};

use crate::receiving::hears_its_tone;
use crate::scenes::{PICTURE, SOON, SOUND, Stage};

/// What the browser sends, looked at and listened to.
const LOOK: &str = "call.video_src_0 ! videoconvert ! video/x-raw,format=I420 ! \
    identity name=look ! fakesink sync=true async=false \
    call.audio_src_0 ! audioconvert ! audio/x-raw,format=S16LE ! \
    identity name=look-sound ! fakesink sync=true async=false";

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
    begin_with(browser, &relay.origin(), "{ video: true, audio: true }");
    await_state(browser, &["alone"]);
}

/// The same with only some of what there is.
fn begin_with(browser: &Browser, origin: &str, what: &str) {
    browser.open(&format!("{origin}/style.css"));
    let script = "const { call } = await import('/sigmund.js');
        const local = await navigator.mediaDevices.getUserMedia(WHAT);
        const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true });
        document.body.append(video);
        window.talk = call(args[0], local);
        window.talk.addEventListener('track', () => { video.srcObject = window.talk.stream; });
        window.talk.addEventListener('state', () => { document.body.dataset.state = window.talk.state === 'live' ? 'playing' : window.talk.state; });";
    let script = script.replace("WHAT", what);
    browser.ask(&script, &[format!("{origin}/door").into()]);
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
    eventually(SOON, "the first frame", || {
        (page::size(browser) == (640, 360)).then_some(())
    });
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
fn takes_theirs(caller: &mut Publisher, browser: &Browser) {
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
    assert!((160..=1280).contains(&width), "{caps}");
    more(caller, "look-sound", "sound", 100);
    hears_its_tone(caller, browser);
}

#[track_caller]
fn both_are_met(browser: &Browser, caller: &mut Publisher) {
    shows_ours(browser);
    takes_theirs(caller, browser);
    caller.assert_healthy();
}

/// A microphone that is switched on in the middle of a call.
const MICROPHONE: &str = "const { getUserMedia } = navigator.mediaDevices;
    const stream = await getUserMedia.call(navigator.mediaDevices, { audio: true });";

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

/// Tracks that come later, from both sides; the browser is the guest.
#[test]
fn chromium_and_an_element_add_sound_in_the_middle_of_a_call() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let uri = format!("listen://{address}:8080/door allow-anonymous=true");
    let mut host = Publisher::start(
        &stage.server,
        &format!("rtcpeer name=call uri={uri} {PICTURE} ! call. {LOOK}"),
    );
    host.address();
    let origin = format!("http://{address}:8080");
    let browser = Browser::with_camera(&stage.viewer, Kind::Chromium, &origin);
    begin_with(&browser, &origin, "{ video: true }");
    await_state(&browser, &["playing"]);
    // The element asks nobody, it offers.
    host.ask(Command::Add {
        name: "late".into(),
        description: "audiotestsrc is-live=true freq=440".into(),
        to: "call".into(),
        template: "audio_%u".into(),
    });
    eventually(SOON, "a track of sound", || {
        let kinds = "return window.talk.stream.getTracks().map(({ kind }) => kind).sort().join();";
        (browser.ask(kinds, &[]) == "audio,video").then_some(())
    });
    let script = format!("{MICROPHONE} await window.talk.add(stream.getAudioTracks()[0]);");
    browser.ask(&script, &[]);
    hears_its_tone(&mut host, &browser);
    shows_ours(&browser);
    // Another picture has another pad.
    let script =
        "const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320 } });
        await window.talk.add(stream.getVideoTracks()[0].clone());";
    browser.ask(script, &[]);
    eventually(SOON, "a second picture", || {
        let attach = Command::Attach {
            name: "other".into(),
            description: "videoconvert ! fakesink name=other-picture async=false".into(),
            to: "call".into(),
            pad: "video_src_1".into(),
        };
        host.request(attach).ok()
    });
    eventually(SOON, "it moves", || {
        let stats = host.get("other-picture", "stats");
        (stats["rendered"].as_u64()? > 15).then_some(())
    });
    assert_eq!(browser.ask("return window.talk.connections;", &[]), 1);
    host.assert_healthy();
}

/// The same with the browser as host.
#[test]
fn an_element_asks_chromium_for_room() {
    let Some(stage) = Stage::new() else { return };
    let relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let browser = Browser::with_camera(&stage.viewer, Kind::Chromium, &relay.origin());
    begin(&browser, &relay);
    let uri = relay.uri("door");
    let mut guest = Publisher::start(
        &stage.server,
        &format!("rtcpeer name=call uri={uri} {PICTURE} ! call. {LOOK}"),
    );
    takes_theirs(&mut guest, &browser);
    for (name, description, template) in [
        ("late", "audiotestsrc is-live=true freq=440", "audio_%u"),
        (
            "second",
            "videotestsrc is-live=true ! capsfilter caps=video/x-raw,width=160,height=120",
            "video_%u",
        ),
    ] {
        guest.ask(Command::Add {
            name: name.into(),
            description: description.into(),
            to: "call".into(),
            template: template.into(),
        });
    }
    eventually(SOON, "three tracks", || {
        let count = "return window.talk.stream.getTracks().filter((it) => !it.muted).length;";
        (browser.ask(count, &[]) == 3).then_some(())
    });
    shows_ours(&browser);
    assert_eq!(browser.ask("return window.talk.connections;", &[]), 1);
    guest.assert_healthy();
}

/// A page that is closed in the middle of a call, and opened again.
#[test]
fn chromium_goes_and_comes_back_and_the_pads_continue() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let uri = format!("listen://{address}:8080/door allow-anonymous=true");
    let mut host = caller(&stage.server, &uri);
    let page = host.address();
    let browser = Browser::with_camera(
        &stage.viewer,
        Kind::Chromium,
        &format!("http://{address}:8080"),
    );
    join(&browser, &page);
    both_are_met(&browser, &mut host);
    browser.open("about:blank");
    eventually(SOON, "it has left", || {
        (host.emissions("peer-removed").len() == 1).then_some(())
    });
    join(&browser, &page);
    both_are_met(&browser, &mut host);
    for look in ["look", "look-sound"] {
        let sight = host.look(look);
        assert_eq!((sight.starts, sight.ended), (1, false), "{look}");
    }
}

#[test]
fn firefox_calls_an_element() {
    calls_an_element(Kind::Firefox);
}

#[test]
fn firefox_is_called_by_an_element() {
    is_called_by_an_element(Kind::Firefox);
}

/// Nothing comes to the page, which is no reason for it to try again.
#[test]
fn chromium_calls_an_element_that_only_listens() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let uri = format!("listen://{address}:8080/door allow-anonymous=true");
    let mut host = Publisher::start(
        &stage.server,
        &format!("rtcpeer name=call uri={uri} {LOOK}"),
    );
    host.address();
    let origin = format!("http://{address}:8080");
    let browser = Browser::with_camera(&stage.viewer, Kind::Chromium, &origin);
    begin_with(&browser, &origin, "{ video: true, audio: true }");
    await_state(&browser, &["playing"]);
    // Longer than a page waits for the first picture.
    let patience = std::time::Instant::now();
    while patience.elapsed() < SOON + SOON / 2 {
        takes_theirs(&mut host, &browser);
    }
    assert_eq!(browser.ask("return window.talk.connections;", &[]), 1);
    assert_eq!(browser.ask("return window.talk.state;", &[]), "live");
    host.assert_healthy();
}
