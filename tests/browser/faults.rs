//! What a browser does with data channels that nobody should: the pipelines live,
//! and their pads go on.

use serde_json::{Value, json};
use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::publisher::Command;
use sigmund_tests::{Publisher, eventually, page};

use crate::scenes::{SOON, Stage};

/// A channel `label` on a connection, when it is open. What it hears is kept.
const OPEN: &str = "const open = (pc, label, options) => new Promise((resolve, reject) => {
        const channel = pc.createDataChannel(label, options);
        channel.binaryType = 'arraybuffer';
        channel.onmessage = ({ data }) => (window.heard ??= []).push(data);
        channel.onopen = () => resolve(channel);
        setTimeout(() => reject(new Error(`${label} does not open`)), 10000);
    });
    const junk = (size) => {
        const bytes = new Uint8Array(size);
        for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
        return bytes;
    };
    const pc = window.pc;";

/// It is closed in the middle of it all, and opened again under the same name.
const AGAIN: &str = "window.chat.close();
    await new Promise((done) => { window.chat.onclose = done; });
    window.chat = await open(pc, 'chat');
    window.chat.send('back');";

/// Whatever can be sent, of whatever was never agreed on.
const GARBAGE: &str = "const odd = await open(pc, 'chat', { protocol: 'x'.repeat(200), ordered: false, maxRetransmits: 0 });
    const strange = pc.createDataChannel('\\u{1f600}\\n\\u202e'.repeat(40), { protocol: '\\u0000' });
    strange.onopen = () => strange.send(junk(1000));
    for (const channel of [window.chat, odd]) {
        for (const size of [0, 1, 5, 13, 1000, 65536]) channel.send(junk(size));
        channel.send('');
        channel.send('\\u0000');
        channel.send(new Uint8Array([0x04, 0x7b]));
        channel.send(new Uint8Array([0x02, 255, 255, 255, 255, 255, 255, 255, 255]));
        try { channel.send(junk(262144)); } catch (error) { if (error.name !== 'TypeError') throw error; }
    }
    window.chat.send('after it');";

/// More than anybody takes.
const CROWD: &str = "window.crowd = [];
    for (let number = 0; number < 200; number++) {
        const channel = pc.createDataChannel(`crowd ${number}`);
        channel.onopen = () => { try { channel.send(junk(500)); } catch {} };
        window.crowd.push(channel);
    }";

fn run(browser: &Browser, script: &str) -> Value {
    page::ask(browser, &format!("{OPEN} {script}"), &[])
}

/// Does it all on the connection `pc` of the page, of which `chat` is a channel
/// that a pad of `element` has. `out` is what comes of it.
fn misbehave(browser: &Browser, pipeline: &mut Publisher, element: &str) {
    run(
        browser,
        "window.chat = await open(pc, 'chat'); window.chat.send('hello');",
    );
    await_text(pipeline, "hello");
    run(browser, AGAIN);
    await_text(pipeline, "back");
    run(browser, GARBAGE);
    await_text(pipeline, "after it");
    hears(browser, pipeline, element, "are you there?");

    run(browser, CROWD);
    eventually(SOON * 2, "what nobody takes is closed", || {
        let states = "const states = window.crowd.map((it) => it.readyState);
            const count = (state) => states.filter((it) => it === state).length;
            return [count('closed'), count('connecting'), count('open')];";
        let states = run(browser, states);
        let [closed, connecting] = [0, 1].map(|at| states[at].as_u64().unwrap());
        (connecting == 0 && closed >= 200 - 32).then_some(())
    });
    run(browser, "window.chat.send('still me');");
    await_text(pipeline, "still me");
    hears(browser, pipeline, element, "and you?");
    pipeline.assert_healthy();
}

/// It comes out of the pad, some time.
#[track_caller]
fn await_text(pipeline: &mut Publisher, text: &str) {
    let digest = sigmund_tests::messages::digest(text.as_bytes());
    eventually(SOON, text, || {
        let heard = pipeline.pull("out", 100);
        heard
            .iter()
            .any(|it| it.text && it.digest == digest)
            .then_some(())
    });
}

/// The other way round, on the channel that is open.
#[track_caller]
fn hears(browser: &Browser, pipeline: &mut Publisher, element: &str, text: &str) {
    let said = pipeline.ask(Command::Say {
        element: element.into(),
        pad: "chat".into(),
        peer: String::new(),
        text: text.into(),
    });
    assert_eq!(said, true, "{text}");
    eventually(SOON, text, || {
        let script = format!("return window.heard?.includes({});", json!(text));
        (run(browser, &script) == true).then_some(())
    });
}

/// A connection of the page's own, by WHEP or WHIP.
fn connect(browser: &Browser, endpoint: &str) {
    // The place of who has just left may not be free yet.
    let script = "try { await lab.talk(args[0], 'first'); } catch (error) {
            if (error.message.includes('busy')) return false;
            throw error;
        }
        window.pc = labTalk.peer;
        window.heard = [];
        return true;";
    eventually(SOON * 2, "a connection", || {
        let connected = page::ask(browser, script, &[json!(endpoint)]);
        (connected == true).then_some(())
    });
}

#[test]
fn chromium_misbehaves_towards_rtcsink() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&format!(
        "{} data_0::label=chat appsrc name=in ! cam.data_0 \
         cam.data_src_0 ! appsink name=out sync=false async=false",
        stage.sink("")
    ));
    let endpoint = publisher.whep("cam");
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.open(&stage.idle_page());
    connect(&browser, &endpoint);
    misbehave(&browser, &mut publisher, "cam");
    // Somebody else finds all as it was.
    connect(&browser, &endpoint);
    run(
        &browser,
        "window.chat = await open(pc, 'chat'); window.chat.send('another');",
    );
    await_text(&mut publisher, "another");
    publisher.assert_healthy();
}

#[test]
fn chromium_misbehaves_towards_rtcsrc() {
    let Some(stage) = Stage::new() else { return };
    let host = format!("{}:8080", stage.server.address());
    let mut receiver = Publisher::start(
        &stage.server,
        &format!(
            "rtcsrc name=cam uri=listen://{host}/cam allow-anonymous=true \
             cam.data_1 ! appsink name=out sync=false async=false"
        ),
    );
    receiver.address();
    let endpoint = format!("http://{host}/whip/cam");
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.open(&stage.idle_page());
    connect(&browser, &endpoint);
    misbehave(&browser, &mut receiver, "cam");
    // Who comes back goes on with the same pad.
    run(&browser, "pc.close();");
    eventually(SOON * 8, "it has left", || {
        receiver.emissions("peer-removed").pop()
    });
    connect(&browser, &endpoint);
    run(
        &browser,
        "window.chat = await open(pc, 'chat'); window.chat.send('again');",
    );
    await_text(&mut receiver, "again");
    receiver.assert_healthy();
}

#[test]
fn chromium_misbehaves_towards_rtcpeer() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let mut host = Publisher::start(
        &stage.server,
        &format!(
            "rtcpeer name=call uri=listen://{address}:8080/door allow-anonymous=true \
             data_0::label=chat appsrc name=in ! call.data_0 \
             call.data_src_0 ! appsink name=out sync=false async=false"
        ),
    );
    host.address();
    let origin = format!("http://{address}:8080");
    let browser = Browser::with_camera(&stage.viewer, Kind::Chromium, &origin);
    browser.open(&format!("{origin}/style.css"));
    let script = "const { call, Channels } = await import('/sigmund.js');
        const local = await navigator.mediaDevices.getUserMedia({ audio: true });
        window.talk = call(args[0], local);
        // What the element opens.
        window.heard = [];
        window.channels = new Channels(window.talk);
        window.channels.addEventListener('message', ({ data }) => window.heard.push(data));";
    browser.ask(script, &[format!("{origin}/door").into()]);
    eventually(SOON * 3, "they are connected", || {
        let script = "window.pc = window.talk.pc; return window.pc?.connectionState;";
        (browser.ask(script, &[]) == "connected").then_some(())
    });
    misbehave(&browser, &mut host, "call");
    assert_eq!(browser.ask("return window.talk.connections;", &[]), 1);
}
