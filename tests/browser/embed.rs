//! `sigmund.js` on pages of other people, and what it does when things break.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::web::host_page;
use sigmund_tests::{Publisher, Relay, eventually, page};

use crate::scenes::{SMALL, SOON, Stage, assert_content};

/// The first block of that language in the documentation that holds `part`.
fn example(language: &str, part: &str) -> String {
    let text = include_str!("../../docs/sigmund-js.md");
    let blocks = text.split("\n```").skip(1).step_by(2);
    let mut found = blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n")));
    let found = found.find(|block| block.contains(part));
    found
        .unwrap_or_else(|| panic!("no example with {part}"))
        .to_owned()
}

/// The example, for the lab's server.
fn here(stage: &Stage, example: &str) -> String {
    let server = format!("http://{}:8080", stage.server.address());
    assert!(example.contains("https://relay.example.net/"), "{example}");
    let example = example.replace("https://relay.example.net", &server);
    example.replace(
        "sigmund+wss://relay.example.net",
        &server.replace("http", "sigmund+ws"),
    )
}

fn publish_for(stage: &Stage, origin: &str) -> Publisher {
    stage.publish(&format!(
        "{SMALL} ! {}",
        stage.sink(&format!("allowed-origins={origin}"))
    ))
}

#[track_caller]
fn await_state(browser: &Browser, state: &str) -> Value {
    eventually(SOON * 2, &format!("the stream is {state}"), || {
        let script = "const it = document.querySelector('rtc-stream');
            return [it.state, it.error?.code ?? null, it.shadowRoot.textContent];";
        let now = browser.ask(script, &[]);
        (now[0] == state).then_some(now)
    })
}

fn plays_on_a_foreign_page(kind: Kind) {
    let Some(stage) = Stage::new() else { return };
    let html = here(&stage, &example("html", "<rtc-stream"));
    let foreign = host_page(&stage.viewer, &html);
    let mut publisher = publish_for(&stage, foreign.trim_end_matches('/'));
    let browser = Browser::start(&stage.viewer, kind);
    browser.open(&foreign);
    await_state(&browser, "live");
    assert!(page::stamps(&browser, 2).distinct() >= 40);
    let stats = browser.ask("return document.querySelector('rtc-stream').stats();", &[]);
    assert_eq!(
        (&stats["width"], &stats["height"]),
        (&json!(320), &json!(240))
    );
    // Taken out of the page, it leaves.
    browser.ask("document.querySelector('rtc-stream').remove();", &[]);
    eventually(SOON, "it has left", || {
        (publisher.emissions("peer-removed").len() == 1).then_some(())
    });
    assert_content(&browser);
    publisher.assert_healthy();
}

#[test]
fn chromium_plays_a_stream_on_a_foreign_page() {
    plays_on_a_foreign_page(Kind::Chromium);
}

#[test]
fn firefox_plays_a_stream_on_a_foreign_page() {
    plays_on_a_foreign_page(Kind::Firefox);
}

#[test]
fn the_example_of_watch_does_what_it_says() {
    let Some(stage) = Stage::new() else { return };
    let html = here(&stage, &example("html", "watch("));
    let foreign = host_page(&stage.viewer, &html);
    let _publisher = publish_for(&stage, foreign.trim_end_matches('/'));
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.open(&foreign);
    eventually(SOON, "it says that it is live", || {
        let text = browser.ask("return document.body.innerText;", &[]);
        text.as_str()?.contains("live").then_some(())
    });
    assert!(page::stamps(&browser, 2).distinct() >= 40);
}

#[test]
fn a_page_that_is_not_allowed_gets_not_even_the_script() {
    let Some(stage) = Stage::new() else { return };
    let html = here(&stage, &example("html", "<rtc-stream"));
    let foreign = host_page(&stage.viewer, &html);
    let publisher = publish_for(&stage, "http://elsewhere.example");
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.open(&foreign);
    let script = format!("http://{}:8080/sigmund.js", stage.server.address());
    let loaded = browser.try_ask("return import(args[0]);", &[script.into()]);
    assert!(loaded.is_err(), "{loaded:?}");
    assert_eq!(publisher.emissions("peer-added").len(), 0);
}

#[test]
fn a_wrong_token_is_said_in_words_and_tried_once() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let html = format!(
        "<!doctype html><script>
           const Real = WebSocket;
           globalThis.dialled = 0;
           globalThis.WebSocket = class extends Real {{
             constructor(...all) {{ super(...all); dialled += 1; addresses.push(all[0]); }}
           }};
           globalThis.addresses = [];
         </script>
         <script type=module src=http://{address}:8080/sigmund.js></script>
         <rtc-stream src=http://{address}:8080/cam token=wrong autoplay muted></rtc-stream>"
    );
    let foreign = host_page(&stage.viewer, &html);
    let _publisher = stage.publish(&format!(
        "{SMALL} ! rtcsink name=cam uri=listen://{address}:8080/cam token=open-sesame \
         allowed-origins={}",
        foreign.trim_end_matches('/')
    ));
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.open(&foreign);
    let failed = await_state(&browser, "failed");
    assert_eq!(failed[1], "unauthorized");
    assert!(failed[2].as_str().unwrap().contains("token"), "{failed}");
    // Ten times as long as the first pause of those that try again.
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(browser.ask("return dialled;", &[]), 1);
    let addresses = browser.ask("return addresses.join();", &[]);
    assert!(
        !addresses.as_str().unwrap().contains("wrong"),
        "{addresses}"
    );

    let right = "const it = document.querySelector('rtc-stream'); it.token = args[0];";
    browser.ask(right, &["open-sesame".into()]);
    await_state(&browser, "live");
}

/// A stream through a standalone server, watched on its page.
pub(crate) struct Relayed {
    pub(crate) relay: Relay,
    pub(crate) publisher: Publisher,
    pub(crate) browser: Browser,
    pub(crate) stage: Stage,
}

impl Relayed {
    fn new() -> Option<Self> {
        Self::with("")
    }

    /// With more properties of `rtcsink`.
    pub(crate) fn with(properties: &str) -> Option<Self> {
        let stage = Stage::new()?;
        let relay = Relay::start(&stage.server, &["--anonymous", "all"]);
        let pipeline = format!(
            "{SMALL} ! rtcsink name=cam uri={} {properties}",
            relay.uri("cam")
        );
        let log = [("GST_DEBUG", "rtcsession:4")];
        let publisher = Publisher::start_with(&stage.server, &pipeline, &log);
        eventually(SOON, "the stream is listed", || {
            let streams = relay.streams(&stage.viewer)?;
            (streams == ["cam"]).then_some(())
        });
        let browser = stage.watch(Kind::Chromium, &relay.page("cam"));
        Some(Self {
            relay,
            publisher,
            browser,
            stage,
        })
    }

    fn numbers(&self) -> (Value, Value) {
        let script = "const { freezes, frames } = await sigmund.watch.stats();
            return [freezes, frames];";
        let numbers = self.browser.ask(script, &[]);
        (numbers[0].clone(), numbers[1].clone())
    }

    #[track_caller]
    fn await_signalling(&self, states: &[&str]) {
        eventually(
            SOON * 2,
            &format!("signalling is one of {states:?}"),
            || {
                let now = self.browser.ask("return sigmund.watch.signalling;", &[]);
                states.contains(&now.as_str()?).then_some(())
            },
        );
    }
}

#[test]
fn a_server_that_dies_and_returns_stops_no_picture() {
    let Some(mut it) = Relayed::new() else { return };
    page::stamps(&it.browser, 2);
    let before = it.numbers();
    it.relay.kill();
    it.await_signalling(&["lost"]);
    assert!(page::stamps(&it.browser, 2).distinct() >= 40);
    it.relay.restart();
    let back = Instant::now();
    it.await_signalling(&["gone", "open"]);
    eventually(SOON, "the stream is listed again", || {
        let streams = it.relay.streams(&it.stage.viewer)?;
        (streams == ["cam"]).then_some(())
    });
    eprintln!("listed {:?} after the server's return", back.elapsed());
    assert!(page::stamps(&it.browser, 2).distinct() >= 40);
    let after = it.numbers();
    assert_eq!(after.0, before.0, "it froze: {before:?}, {after:?}");
    let shown = it
        .browser
        .ask("return [sigmund.state, sigmund.watch.connections];", &[]);
    assert_eq!(shown, json!(["playing", 1]));
    assert_eq!(it.publisher.emissions("peer-removed").len(), 0);
}

#[test]
fn a_lost_connection_to_the_server_is_mended_by_the_same_session() {
    let Some(it) = Relayed::new() else { return };
    let peer = it.browser.ask("return sigmund.watch.peer;", &[]);
    let server = it.stage.server.address().to_string();
    it.stage
        .viewer
        .output("ss", &["--kill", "--tcp", "dst", &server]);
    it.await_signalling(&["lost"]);
    it.await_signalling(&["open"]);
    let now = it.browser.ask(
        "return [sigmund.watch.peer, sigmund.watch.connections];",
        &[],
    );
    assert_eq!(now, json!([peer, 1]));
    assert_eq!(it.publisher.emissions("peer-added").len(), 1);
    assert_eq!(it.publisher.emissions("peer-removed").len(), 0);
    let picture = sigmund_tests::process::log_directory().join("page.png");
    fs::write(picture, it.browser.screenshot()).unwrap();
}
