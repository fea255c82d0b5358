//! Data pads and browsers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::publisher::{Command, Event};
use sigmund_tests::{Publisher, eventually, page};

use crate::scenes::{PICTURE, SMALL, SOON, Stage, assert_content};

const K: usize = 1024;

/// What the documentation says of each size: is it delivered to a browser, and
/// may one send it?
const SIZES: [(usize, bool, bool); 6] = [
    (0, false, true),
    (1, true, true),
    (16 * K, true, true),
    (64 * K, true, true),
    (64 * K + 1, true, false),
    (256 * K, true, false),
];

fn talk(stage: &Stage) -> Publisher {
    stage.publish(&format!(
        "{} appsrc name=in format=time is-live=true ! cam.data_0 \
         cam.data_src_0 ! appsink name=out sync=false async=false",
        stage.sink("")
    ))
}

/// Has a browser heard that, as its latest message?
fn hears(browser: &Browser, seed: u64, size: usize, text: bool) -> bool {
    let script = "return lab.same(labTalk.heard.at(-1), ...args);";
    let arguments = [json!(seed), json!(size), json!(text)];
    page::ask(browser, script, &arguments) == Value::Bool(true)
}

fn each_size_and_kind_goes_both_ways_or_is_refused(kind: Kind) {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = talk(&stage);
    let endpoint = publisher.whep("cam");
    let browser = Browser::start(&stage.viewer, kind);
    browser.open(&format!("{}#stream=none", publisher.address()));
    let arguments = [json!(endpoint), json!("chat")];
    let taken = page::ask(&browser, "return lab.talk(...args);", &arguments);
    assert_eq!(taken, json!(64 * K));
    page::ask(&browser, "labTalk.channel.send('hello');", &[]);
    let hello = eventually(SOON, "hello", || publisher.pull("out", 1).pop());
    assert_eq!((hello.size, hello.text), (5, true));
    assert_eq!(hello.label.as_deref(), Some("chat"));

    let mut seed = 0;
    for text in [true, false] {
        for (size, to, from) in SIZES {
            seed += 1;
            let what = format!("{size} bytes, text {text}");
            publisher.push("in", seed, size, text, 1);
            if to {
                eventually(SOON, &format!("{what} to the browser"), || {
                    hears(&browser, seed, size, text).then_some(())
                });
            } else {
                publisher.warning("an empty message");
            }
            let arguments = [json!(seed), json!(size), json!(text)];
            let script = "try { labTalk.channel.send(lab.pattern(...args)); return true; }
                catch (error) { return error.name; }";
            let sent = page::ask(&browser, script, &arguments);
            if !from {
                assert_eq!(sent, "TypeError", "{what}");
                continue;
            }
            let got = eventually(SOON, &format!("{what} from the browser"), || {
                publisher.pull("out", 1).pop()
            });
            assert!(got.is(seed, size, text), "{what}: {got:?}");
        }
    }
    let state = page::ask(&browser, "return labTalk.channel.readyState;", &[]);
    assert_eq!(state, "open");
    publisher.assert_healthy();

    // It is idle for longer than one may be silent: it is there all the same.
    std::thread::sleep(Duration::from_secs(11));
    page::ask(&browser, "labTalk.channel.send('still here');", &[]);
    eventually(SOON, "a word after a while", || {
        publisher.pull("out", 1).pop()
    });

    // Its page goes away in the middle of something: that is a peer that left.
    for seed in 0..20 {
        publisher.push("in", seed, 64 * K, false, 1);
    }
    let script = "for (let n = 0; n < 20; n++) labTalk.channel.send(lab.pattern(n, 65536, false));";
    page::ask(&browser, script, &[]);
    browser.open("about:blank");
    let began = Instant::now();
    let removed = eventually(SOON * 8, "it has left", || {
        publisher.emissions("peer-removed").pop()
    });
    // Chromium leaves without a word, and there is no RTCP that falls silent:
    // within 10 s it is missed, on a machine with time; libnice takes 50.
    let took = began.elapsed();
    eprintln!("missed after {took:?}");
    assert!(took < Duration::from_secs(25), "{took:?}");
    let reason = removed[1].as_str().unwrap();
    let known = ["left", "nothing heard"];
    assert!(known.iter().any(|it| reason.starts_with(it)), "{reason}");
    publisher.assert_healthy();
}

#[test]
fn chromium_each_size_and_kind_goes_both_ways_or_is_refused() {
    each_size_and_kind_goes_both_ways_or_is_refused(Kind::Chromium);
}

#[test]
fn firefox_each_size_and_kind_goes_both_ways_or_is_refused() {
    each_size_and_kind_goes_both_ways_or_is_refused(Kind::Firefox);
}

#[test]
fn the_page_has_a_console_and_sends_pointer_and_keys() {
    let Some(stage) = Stage::new() else { return };
    let pipeline = format!(
        "{PICTURE} ! {} navigation=true data_1::label=chat \
         appsrc name=in format=time is-live=true ! cam.data_1 \
         cam.data_src_1 ! appsink name=out sync=false async=false",
        stage.sink("")
    );
    let mut publisher = stage.publish(&pipeline);
    let browser = stage.watch(Kind::Chromium, &publisher.address());
    eventually(SOON, "the console shows", || {
        let list = browser.ask("return sigmund.channels.list.toSorted();", &[]);
        (list == json!(["chat", "sigmund-navigation"])).then_some(())
    });
    publisher.push("in", 1, 20, true, 1);
    eventually(SOON, "a line in the console", || {
        let text = browser.ask("return document.querySelector('#data').innerText;", &[]);
        text.as_str()?.contains("chat").then_some(())
    });
    let script = "const it = document.querySelector('#data input');
        it.value = 'from the page'; it.form.requestSubmit();";
    browser.ask(script, &[]);
    let said = eventually(SOON, "what was typed", || publisher.pull("out", 1).pop());
    assert_eq!((said.size, said.text), (13, true));

    let script = "const video = document.querySelector('video');
        const box = video.getBoundingClientRect();
        const at = { clientX: box.left + box.width / 4, clientY: box.top + box.height / 2, bubbles: true };
        const pointer = { ...at, pointerId: 1, pointerType: 'mouse', button: 0 };
        video.dispatchEvent(new PointerEvent('pointermove', pointer));
        video.dispatchEvent(new PointerEvent('pointerdown', pointer));
        video.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true }));";
    browser.ask(script, &[]);
    let navigation = |event: &str| {
        publisher.wait_for(event, |it| match it {
            Event::Message { name, fields } if name == "navigation" && fields["event"] == event => {
                Some(fields.clone())
            }
            _ => None,
        })
    };
    let press = navigation("mouse-button-press");
    assert_eq!(press["button"], 1);
    let near = |field: &str, wanted: f64| {
        let is = press[field].as_f64().unwrap();
        assert!((is - wanted).abs() < 3.0, "{field}: {is}");
    };
    near("pointer_x", 160.0);
    near("pointer_y", 180.0);
    assert_eq!(navigation("key-press")["key"], "Left");
    assert!(navigation("mouse-move")["pointer_x"].is_number());
    assert_content(&browser);
    publisher.assert_healthy();
}

#[test]
fn sigmund_js_talks_in_firefox() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&format!(
        "{SMALL} ! {} appsrc name=in format=time is-live=true ! cam.data_1 \
         cam.data_src_1 ! appsink name=out sync=false async=false",
        stage.sink("")
    ));
    let browser = Browser::start(&stage.viewer, Kind::Firefox);
    browser.open(&format!("{}#stream=none", publisher.address()));
    let script = "await import('/sigmund.js');
        const it = document.createElement('rtc-stream');
        Object.assign(it, { muted: true, src: `${location.origin}/cam` });
        it.toggleAttribute('autoplay', true);
        window.heard = [];
        it.addEventListener('message', ({ label, data }) => heard.push([label, data]));
        document.body.append(it);";
    browser.ask(&format!("return (async () => {{ {script} }})();"), &[]);
    eventually(SOON * 2, "a channel", || {
        let sent = "return document.querySelector('rtc-stream').send('hello');";
        (browser.ask(sent, &[]) == true).then_some(())
    });
    let hello = eventually(SOON, "hello", || publisher.pull("out", 1).pop());
    assert_eq!((hello.size, hello.text), (5, true));
    publisher.push("in", 1, 10, true, 1);
    eventually(SOON, "a message", || {
        let heard = browser.ask("return window.heard;", &[]);
        (heard[0][0] == "data_1").then_some(())
    });
    publisher.assert_healthy();
}

/// A WHIP client with nothing but a data channel: a pad shows it.
#[test]
fn chromium_publishes_messages_to_rtcsrc() {
    let Some(stage) = Stage::new() else { return };
    let host = format!("{}:8080", stage.server.address());
    let mut receiver = Publisher::start(
        &stage.server,
        &format!(
            "rtcsrc name=cam uri=listen://{host}/cam allow-anonymous=true \
             cam.data_0 ! appsink name=out sync=false async=false"
        ),
    );
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.open(&format!("{}#stream=none", receiver.address()));
    let endpoint = format!("http://{host}/whip/cam");
    let arguments = [json!(endpoint), json!("chat")];
    page::ask(&browser, "return lab.talk(...args);", &arguments);
    let mut seed = 0;
    for text in [true, false] {
        for (size, _, from) in SIZES {
            if !from {
                continue;
            }
            seed += 1;
            let arguments = [json!(seed), json!(size), json!(text)];
            let script = "labTalk.channel.send(lab.pattern(...args));";
            page::ask(&browser, script, &arguments);
            let what = format!("{size} bytes, text {text}");
            let got = eventually(SOON, &what, || receiver.pull("out", 1).pop());
            assert!(got.is(seed, size, text), "{what}: {got:?}");
            assert_eq!(got.label.as_deref(), Some("chat"));
        }
    }
    let said = receiver.ask(Command::Say {
        element: "cam".into(),
        pad: "chat".into(),
        peer: String::new(),
        text: "hello".into(),
    });
    assert_eq!(said, true);
    eventually(SOON, "hello", || {
        let heard = page::ask(&browser, "return labTalk.heard.at(-1) === 'hello';", &[]);
        (heard == Value::Bool(true)).then_some(())
    });
    receiver.assert_healthy();
}
