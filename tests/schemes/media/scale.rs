//! Several servers as one, watched by Chromium while all that passes the notes
//! dies, one after the other.

use std::time::Duration;

use serde_json::{Value, json};
use sigmund_tests::browser::{self, Browser, Kind};
use sigmund_tests::process::Process;
use sigmund_tests::web::host_page;
use sigmund_tests::{Host, Publisher, Relay, eventually, page};

use super::{Stage, documented, serve};
use crate::SOON;
use crate::server::installed;

/// Two servers, joined by NATS: the publisher is at one, the page is at the other.
struct Scene {
    browser: Browser,
    publisher: Publisher,
    relays: [Relay; 2],
    nats: Process,
    program: String,
    host: Host,
    stage: Stage,
}

impl Scene {
    /// The page of the second server plays.
    fn new() -> Option<Self> {
        let scene = Self::begin()?;
        scene.browser.open(&scene.relays[1].page("cam"));
        page::await_playing(&scene.browser);
        Some(scene)
    }

    /// Nobody watches yet.
    fn begin() -> Option<Self> {
        let program = installed("nats-server", "Debian package nats-server")?;
        let program = program.to_str().unwrap().to_owned();
        let mut stage = Stage::new()?;
        let host = stage.lab.host("nats");
        let nats = start(&host, &program);
        let url = format!("nats://{}", host.address());
        let line = documented::command("sigmund serve", &[("nats://10.0.0.5", &url)]);
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[..4], ["sigmund", "serve", "--listen", "0.0.0.0:8080"]);
        let hosts = [stage.lab.host("first"), stage.lab.host("second")];
        let words = [&words[4..], &["--allowed-origin", "*"]].concat();
        let relays = hosts.each_ref().map(|it| Relay::start(it, &words));
        let [first, second] = hosts.map(|it| it.address().to_string());
        let hosts = [("a.example", first.as_str()), ("b.example", &second)];
        let pipeline = documented::pipeline("uri=sigmund+ws", &hosts);
        let publisher = Publisher::start(&stage.publisher, &pipeline);
        for relay in &relays {
            listed(relay, &stage.viewer);
        }
        let browser = Browser::start(&stage.viewer, Kind::Chromium);
        Some(Self {
            browser,
            publisher,
            relays,
            nats,
            program,
            host,
            stage,
        })
    }

    /// How often the picture has stood still.
    fn freezes(&self) -> Value {
        let script = "const { freezes } = await sigmund.watch.stats(); return freezes;";
        self.browser.ask(script, &[])
    }

    /// Waits until the machine is quiet enough for pictures to stand still by our
    /// fault only.
    #[track_caller]
    fn calm(&self) -> Value {
        eventually(Duration::from_secs(60), "a calm machine", || {
            let before = self.freezes();
            page::frames(&self.browser, 3);
            (self.freezes() == before).then_some(before)
        })
    }

    /// The picture goes on while `act` does its work, in the same connection. A
    /// machine that is busy may be to blame when it stands still; not each time.
    #[track_caller]
    fn assert_unmoved(&mut self, what: &str, mut act: impl FnMut(&mut Self)) {
        for _ in 0..3 {
            let before = self.calm();
            act(self);
            page::assert_frames(&self.browser, 40, 2);
            let connections = "return sigmund.watch.connections;";
            assert_eq!(self.browser.ask(connections, &[]), 1, "{what}");
            let peers = ["peer-added", "peer-removed"].map(|it| self.publisher.emissions(it).len());
            assert_eq!(peers[0] - peers[1], 1, "{what}");
            let after = self.freezes();
            if after == before {
                return;
            }
            eprintln!("{what}: it stood still, {before} and then {after} times");
        }
        panic!("it stands still each time when {what}");
    }

    #[track_caller]
    fn await_signalling(&self, states: &[&str]) {
        eventually(SOON, &format!("signalling is one of {states:?}"), || {
            let now = self.browser.ask("return sigmund.watch.signalling;", &[]);
            states.contains(&now.as_str()?).then_some(())
        });
    }
}

fn start(host: &Host, program: &str) -> Process {
    let address = host.address().to_string();
    let line = documented::command("nats-server", &[("10.0.0.5", &address)]);
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("nats-server"));
    let mut command = host.command(program);
    command.args(words);
    serve("nats", host, 4222, command)
}

#[track_caller]
fn listed(relay: &Relay, seen_from: &Host) {
    eventually(SOON, "the stream is listed", || {
        (relay.streams(seen_from)? == ["cam"]).then_some(())
    });
}

#[test]
fn no_picture_stands_still_when_nats_and_the_servers_are_killed() {
    let _turn = browser::turn();
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.assert_unmoved("NATS dies", |it| {
        it.nats.kill();
        page::assert_frames(&it.browser, 40, 2);
        it.nats = start(&it.host, &it.program);
    });
    // The publisher goes to the other one.
    scene.assert_unmoved("the publisher's server dies", |it| {
        it.relays[0].kill();
        page::assert_frames(&it.browser, 40, 2);
        it.relays[0].restart();
        listed(&it.relays[0], &it.stage.viewer);
        listed(&it.relays[1], &it.stage.viewer);
    });
    // That of the page, and now of the publisher, too.
    scene.assert_unmoved("the page's server dies", |it| {
        it.relays[1].kill();
        it.await_signalling(&["lost"]);
        page::assert_frames(&it.browser, 40, 2);
        it.relays[1].restart();
        it.await_signalling(&["open", "gone"]);
        listed(&it.relays[1], &it.stage.viewer);
    });
    let peers = ["peer-added", "peer-removed"].map(|it| scene.publisher.emissions(it).len());
    assert_eq!(peers, [1, 0]);
    let state = scene.browser.ask("return sigmund.state;", &[]);
    assert_eq!(state, json!("playing"));
    scene.publisher.assert_healthy();
}

#[test]
fn a_page_that_knows_both_servers_goes_to_the_other_as_who_it_was() {
    let _turn = browser::turn();
    let Some(mut scene) = Scene::begin() else {
        return;
    };
    let [first, second] = scene.relays.each_ref().map(Relay::origin);
    let both = format!("{},{}", second.replace("http", "sigmund+ws"), &first[7..]);
    let html = format!(
        "<!doctype html><title>Both</title><video muted playsinline></video>
         <script type=module>
           import {{ watch, show }} from '{second}/sigmund.js';
           const it = watch('{both}/cam');
           show(it, document.querySelector('video'));
           globalThis.sigmund = {{ watch: it }};
         </script>"
    );
    let foreign = host_page(&scene.stage.viewer, &html);
    scene.browser.open(&foreign);
    scene.await_signalling(&["open"]);
    page::assert_frames(&scene.browser, 40, 2);
    let who = scene.browser.ask("return sigmund.watch.peer;", &[]);
    let mut at = 1;
    scene.assert_unmoved("the page's server dies", |it| {
        it.relays[at].kill();
        it.await_signalling(&["lost"]);
        // Nobody has brought that one back.
        it.await_signalling(&["open"]);
        it.relays[at].restart();
        at = 1 - at;
    });
    let now = scene.browser.ask("return sigmund.watch.peer;", &[]);
    assert_eq!(now, who, "it is somebody else there");
}
