//! Two pages talk.

use std::fs;

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::{Relay, eventually, page};

use crate::scenes::{SOON, Stage};

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

#[track_caller]
fn await_state(browser: &Browser, states: &[&str]) {
    eventually(SOON * 3, &format!("the page is one of {states:?}"), || {
        let now = browser.ask("return document.body.dataset.state;", &[]);
        states.contains(&now.as_str()?).then_some(())
    });
}

fn picture(browser: &Browser, name: &str) {
    let path = sigmund_tests::process::log_directory().join(format!("{name}.png"));
    fs::write(path, browser.screenshot()).unwrap();
}

#[track_caller]
fn sees_and_hears(browser: &Browser) {
    await_state(browser, &["playing"]);
    assert!(page::frames(browser, 3) >= 30, "the picture does not move");
    assert!(page::tone(browser) > 0.0, "it is silent");
}

/// A call that somebody has begun, by `sigmund.js`: the page shows it then.
fn begin(browser: &Browser, relay: &Relay) {
    browser.open(&format!("{}/style.css", relay.origin()));
    let script = "const { call } = await import('/sigmund.js');
        const local = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
        const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true });
        document.body.append(video);
        window.talk = call(args[0], local);
        window.talk.addEventListener('track', () => { video.srcObject = window.talk.stream; });
        window.talk.addEventListener('state', () => { document.body.dataset.state = window.talk.state === 'live' ? 'playing' : window.talk.state; });";
    let src = format!("{}/door", relay.origin());
    browser.ask(script, &[src.into()]);
    await_state(browser, &["alone"]);
}

fn talks(host: Kind, guest: Kind) {
    let Some(stage) = Stage::new() else { return };
    let relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let one = Browser::with_camera(&stage.server, host, &relay.origin());
    begin(&one, &relay);
    let other = Browser::with_camera(&stage.viewer, guest, &relay.origin());
    join(&other, &relay.page("door"));
    sees_and_hears(&other);
    sees_and_hears(&one);
    picture(&other, "call");
    other.resize(390, 844);
    picture(&other, "call-telephone");

    // The host goes: who stays waits for the next, as host.
    one.ask("window.talk.close();", &[]);
    await_state(&other, &["alone"]);
    begin_again(&one);
    sees_and_hears(&other);
}

fn begin_again(browser: &Browser) {
    let script = "const { call } = await import('/sigmund.js');
        const { local } = window.talk;
        window.talk = call(args[0], local);";
    let src = browser.ask("return location.origin;", &[]);
    let src = format!("{}/door", src.as_str().unwrap());
    browser.ask(script, &[src.into()]);
}

#[test]
fn two_chromiums_talk_and_the_one_that_stays_is_host() {
    talks(Kind::Chromium, Kind::Chromium);
}

#[test]
fn chromium_and_firefox_talk() {
    talks(Kind::Firefox, Kind::Chromium);
}
