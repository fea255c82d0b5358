//! The page sends: a camera, a screen or a microphone, to whoever waits for it,
//! and talks to another page.

use std::fs;

use fantoccini::wd::WindowHandle;
use serde_json::Value;
use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::{Relay, eventually, page};

use crate::scenes::{SOON, Stage};

/// A browser with a camera, and a server for it.
struct Studio {
    browser: Browser,
    relay: Relay,
    stage: Stage,
}

impl Studio {
    fn new(kind: Kind, arguments: &[&str]) -> Option<Self> {
        let stage = Stage::new()?;
        let relay = Relay::start(&stage.server, arguments);
        let browser = Browser::with_camera(&stage.viewer, kind, &relay.origin());
        Some(Self {
            browser,
            relay,
            stage,
        })
    }

    fn open_to_all(kind: Kind) -> Option<Self> {
        Self::new(kind, &["--anonymous", "all"])
    }

    /// A page of the server without scripts of its own.
    fn plain_page(&self) -> String {
        format!("{}/style.css", self.relay.origin())
    }

    /// Another window, in which a page waits to receive `cam`, by `sigmund.js`.
    fn receiver(&self) -> WindowHandle {
        let window = self.browser.new_window();
        self.browser.open(&self.plain_page());
        self.receive();
        self.await_receiver();
        window
    }

    fn await_receiver(&self) {
        eventually(SOON, "it waits", || {
            let there = self.relay.streams(&self.stage.viewer)?;
            (there == ["cam"]).then_some(())
        });
    }

    /// In the current window.
    fn receive(&self) {
        receive(&self.browser, &self.relay);
    }

    /// Another window, with the page of `stream`, and what is chosen there.
    fn sender(&self, stream: &str) -> WindowHandle {
        let window = self.browser.new_window();
        self.browser.open(&self.relay.page(stream));
        self.choose("camera");
        window
    }

    fn choose(&self, source: &str) {
        self.await_state("choosing");
        self.picture("choose");
        self.click(&format!("[data-source={source}]"));
        self.await_state("ready");
    }

    fn enter(&self, token: &str) {
        let script = "document.getElementById('token').value = args[0];
            document.querySelector('#ask button').click();";
        self.browser.ask(script, &[token.into()]);
    }

    fn click(&self, what: &str) {
        let script = "document.querySelector(args[0]).click();";
        self.browser.ask(script, &[what.into()]);
    }

    #[track_caller]
    fn await_state(&self, state: &str) {
        eventually(SOON * 2, &format!("the page is {state}"), || {
            let now = self.browser.ask("return document.body.dataset.state;", &[]);
            if now == "failed" && state != "failed" {
                eprintln!("{}", self.problem().0);
            }
            (now == state).then_some(())
        });
    }

    /// What the page says is wrong: its cause, and the words.
    fn problem(&self) -> (String, String) {
        let script =
            "return [document.body.dataset.cause, document.getElementById('problem').innerText];";
        let said = self.browser.ask(script, &[]);
        let text = |index: usize| said[index].as_str().unwrap_or_default().to_owned();
        (text(0), text(1))
    }

    fn picture(&self, name: &str) {
        let path = sigmund_tests::process::log_directory().join(format!("{name}.png"));
        fs::write(path, self.browser.screenshot()).unwrap();
    }

    /// The receiver's window has no icon.
    fn assert_content(&self) {
        let mut complaints = self.browser.complaints();
        complaints.retain(|it| !it.contains("favicon.ico"));
        assert_eq!(complaints, Vec::<String>::new());
    }

    /// As soon as the page has some.
    fn statistics(&self) -> Value {
        eventually(SOON, "the page has numbers", || {
            let stats = self.browser.ask("return sigmund.stats();", &[]);
            let flows =
                stats["fps"].as_f64() > Some(10.0) && stats["audioPackets"].as_f64() > Some(10.0);
            flows.then_some(stats)
        })
    }
}

/// Waits for `cam`, and shows it.
fn receive(browser: &Browser, relay: &Relay) {
    let script = "const { watch, show } = await import('/sigmund.js');
        const video = document.querySelector('video') ?? document.createElement('video');
        Object.assign(video, { muted: true, autoplay: true });
        document.body.append(video);
        window.received = watch(args[0], { wait: true });
        show(window.received, video);";
    browser.ask(script, &[format!("{}/cam", relay.origin()).into()]);
}

/// From one machine to another.
fn camera_reaches_whoever_waits(kind: Kind) {
    let Some(it) = Studio::open_to_all(kind) else {
        return;
    };
    let far = Browser::start(&it.stage.server, Kind::Chromium);
    far.open(&it.plain_page());
    receive(&far, &it.relay);
    it.await_receiver();
    it.browser.open(&it.relay.page("cam"));
    it.choose("camera");
    it.picture("ready");
    it.click("#go");
    it.await_state("playing");
    let sent = it.statistics();
    eprintln!("{kind:?}: {sent}");
    eventually(SOON, "the stream is received", || {
        (far.ask("return window.received.state;", &[]) == "live").then_some(())
    });
    let frames = page::frames(&far, 3);
    assert!(frames >= 30, "{frames} frames in 3 s");
    let (width, height) = page::size(&far);
    assert!(width >= 320 && height >= 180, "{width} x {height}");
    assert!(page::tone(&far) > 0.0, "it is silent");

    it.click("#stop");
    it.await_state("ready");
    eventually(SOON, "it is told that nobody sends", || {
        (far.ask("return window.received.state;", &[]) == "connecting").then_some(())
    });
    it.click("#back");
    it.await_state("choosing");
    let open = "return sigmund.studio.devices.stream.getTracks().length;";
    assert_eq!(it.browser.ask(open, &[]), 0, "the camera is let go");
    it.assert_content();
}

#[test]
fn chromium_sends_its_camera() {
    camera_reaches_whoever_waits(Kind::Chromium);
}

#[test]
fn firefox_sends_its_camera() {
    camera_reaches_whoever_waits(Kind::Firefox);
}

#[test]
fn a_second_sender_is_told_and_goes_live_when_the_first_stops() {
    let Some(it) = Studio::open_to_all(Kind::Chromium) else {
        return;
    };
    it.receiver();
    let first = it.sender("cam");
    it.click("#go");
    it.await_state("playing");
    let second = it.sender("cam");
    it.click("#go");
    it.await_state("failed");
    let (cause, words) = it.problem();
    assert_eq!(cause, "occupied", "{words}");
    assert!(words.contains("Somebody else sends to “cam”"), "{words}");
    it.picture("occupied");
    it.browser.switch_to(first);
    it.browser.close_window();
    it.browser.switch_to(second);
    it.await_state("playing");
}

#[test]
fn a_sender_is_live_again_when_the_receiver_returns() {
    let Some(it) = Studio::open_to_all(Kind::Chromium) else {
        return;
    };
    let receiver = it.receiver();
    let sender = it.sender("cam");
    it.click("#go");
    it.await_state("playing");
    it.browser.switch_to(receiver.clone());
    it.browser.ask("window.received.close();", &[]);
    it.browser.switch_to(sender.clone());
    eventually(SOON * 3, "the page has noticed", || {
        let (cause, _) = it.problem();
        (cause == "nobody").then_some(())
    });
    it.browser.switch_to(receiver);
    it.receive();
    it.browser.switch_to(sender);
    it.await_state("playing");
    it.statistics();
    it.picture("live");
    it.browser.resize(390, 844);
    it.picture("live-telephone");
}

#[test]
fn a_token_that_may_only_watch_sends_nothing() {
    let tokens = sigmund_tests::process::log_directory().join("studio-tokens");
    fs::create_dir_all(sigmund_tests::process::log_directory()).unwrap();
    fs::write(&tokens, "sends publish,view cam\nwatches view cam\n").unwrap();
    let path = tokens.display().to_string();
    let Some(it) = Studio::new(Kind::Chromium, &["--token-file", &path]) else {
        return;
    };
    it.browser.open(&it.plain_page());
    let script = "const { watch } = await import('/sigmund.js');
        window.received = watch(args[0], { wait: true, token: 'watches' });";
    let src = format!("{}/cam", it.relay.origin());
    it.browser.ask(script, &[src.into()]);
    it.browser.new_window();
    it.browser
        .open(&format!("{}&token=wrong", it.relay.page("cam")));
    it.await_state("failed");
    assert_eq!(it.problem().0, "unauthorized");
    it.enter("watches");
    it.choose("camera");
    it.click("#go");
    it.await_state("failed");
    let (cause, words) = it.problem();
    assert_eq!(cause, "unentitled", "{words}");
    it.enter("sends");
    it.await_state("playing");
}

#[test]
fn a_page_that_came_without_encryption_says_why_it_has_no_camera() {
    let Some(stage) = Stage::new() else { return };
    let relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    let it = Studio {
        browser,
        relay,
        stage,
    };
    it.receiver();
    it.browser.new_window();
    it.browser.open(&it.relay.page("cam"));
    it.await_state("choosing");
    it.browser.resize(390, 844);
    it.picture("choose-telephone");
    it.click("[data-source=camera]");
    it.await_state("failed");
    let (cause, words) = it.problem();
    assert_eq!(cause, "insecure");
    assert!(words.contains("https://"), "{words}");
    it.picture("insecure-telephone");
    it.click("#retry");
    it.await_state("choosing");
}
