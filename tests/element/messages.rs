//! Data pads at both ends: `rtcsink` and `rtcsrc`.

use sigmund_tests::publisher::Command;
use sigmund_tests::{Publisher, eventually};

use crate::scenes::{PICTURE, SOON, Stage};

const K: usize = 1024;

/// A sink with a data pad for `chat`, fed and read by the test.
fn talker(stage: &Stage, properties: &str) -> Publisher {
    let pipeline = format!(
        "{} data_0::label=chat {properties} appsrc name=in format=time is-live=true ! cam.data_0 \
         cam.data_src_0 ! appsink name=out sync=false async=false",
        stage.sink("")
    );
    Publisher::start(&stage.server, &pipeline)
}

/// The two ways in which a receiver comes to `cam`, who offers in each.
fn ways(stage: &Stage) -> [(&'static str, String); 2] {
    let host = format!("{}:8080", stage.server.address());
    [
        ("WHEP", format!("whep+http://{host}/whep/cam")),
        ("sigmund.v1", format!("sigmund+ws://{host}/cam")),
    ]
}

fn listener(stage: &Stage, uri: &str, properties: &str) -> Publisher {
    let pipeline = format!(
        "rtcsrc name=src uri={uri} {properties} \
         src.data_0 ! appsink name=out sync=false async=false"
    );
    Publisher::start(&stage.viewer, &pipeline)
}

#[test]
fn each_size_and_kind_goes_from_pad_to_pad_and_words_come_back() {
    let Some(stage) = Stage::new() else { return };
    for (way, uri) in ways(&stage) {
        let mut sender = talker(&stage, "");
        let mut receiver = listener(&stage, &uri, "");
        eventually(SOON, "the way is open", || {
            sender.push("in", 1, 5, true, 1);
            receiver.pull("out", 1).pop()
        });
        while receiver.pull("out", 1).pop().is_some() {}
        let mut seed = 0;
        for text in [true, false] {
            for size in [0, 1, 16 * K, 64 * K, 64 * K + 1, 256 * K] {
                seed += 1;
                sender.push("in", seed, size, text, 1);
                let what = format!("{size} bytes, text {text}, {way}");
                let got = eventually(SOON, &what, || receiver.pull("out", 1).pop());
                assert!(got.is(seed, size, text), "{what}: {got:?}");
                assert_eq!(got.label.as_deref(), Some("chat"), "{what}");
                assert!(got.peer.is_some() && got.time.is_some(), "{what}: {got:?}");
            }
        }
        let say = |pad: &str, text: &str| Command::Say {
            element: "src".into(),
            pad: pad.into(),
            peer: String::new(),
            text: text.into(),
        };
        assert_eq!(receiver.ask(say("chat", "hello")), true);
        assert_eq!(receiver.ask(say("data_0", "hello")), true);
        assert_eq!(receiver.ask(say("nobody", "hello")), false);
        for _ in 0..2 {
            let hello = eventually(SOON, "hello", || sender.pull("out", 1).pop());
            assert_eq!((hello.size, hello.text), (5, true));
            assert_eq!(hello.label.as_deref(), Some("chat"));
        }
        let received = receiver.emissions("data-received");
        assert!(received.len() > 12, "{}", received.len());
        sender.assert_healthy();
        receiver.assert_healthy();
    }
}

/// In a call both sides have the pads, and a pad is one channel both ways.
#[test]
fn in_a_call_both_sides_have_the_pads() {
    let Some(stage) = Stage::new() else { return };
    let host = stage.server.address();
    let caller = |uri: &str, pads: &str, source: &str| {
        format!(
            "rtcpeer name=call uri={uri} {pads} \
             call.{source} ! appsink name=out sync=false async=false"
        )
    };
    let both = |properties: &str| {
        format!(
            "data_0::label=chat data_0::overflow=block {properties} \
             appsrc name=in format=time is-live=true ! call.data_0"
        )
    };
    let listens = format!("listen://{host}:8080/room allow-anonymous=true");
    let mut first = Publisher::start(&stage.server, &caller(&listens, &both(""), "data_src_0"));
    first.address();
    let joins = format!("sigmund+ws://{host}:8080/room");
    // The other one has a pad of its own for it, or is shown one.
    for pads in [both(""), String::new()] {
        let mut second = Publisher::start(&stage.viewer, &caller(&joins, &pads, "data_src_0"));
        let mut seed = 0;
        for (size, text) in [(0, false), (5, true), (64 * K, false), (256 * K, true)] {
            seed += 1;
            first.push("in", seed, size, text, 1);
            let what = format!("{size} bytes");
            let got = eventually(2 * SOON, &what, || second.pull("out", 1).pop());
            assert!(got.is(seed, size, text), "{what}: {got:?}");
            assert_eq!(got.label.as_deref(), Some("chat"));
        }
        if pads.is_empty() {
            let said = second.ask(Command::Say {
                element: "call".into(),
                pad: "chat".into(),
                peer: String::new(),
                text: "hello".into(),
            });
            assert_eq!(said, true);
        } else {
            second.push("in", 1, 5, true, 1);
        }
        let hello = eventually(SOON, "hello", || first.pull("out", 1).pop());
        assert_eq!((hello.size, hello.text), (5, true));
        first.assert_healthy();
        second.assert_healthy();
        drop(second);
        eventually(4 * SOON, "it has gone", || {
            let there = first.count(Command::Connections);
            (there == 0).then_some(())
        });
    }
}

/// A sender report says what time it was when a picture was taken.
#[test]
fn metadata_carry_the_time_of_their_pictures() {
    let Some(stage) = Stage::alone() else { return };
    let pipeline = format!(
        "{PICTURE} ! {} data_1::label=klv appsrc name=notes format=time is-live=true ! cam.data_1",
        stage.sink("")
    );
    let mut sender = Publisher::start(&stage.server, &pipeline);
    let (_, uri) = &ways(&stage)[1];
    let pipeline = format!(
        "rtcsrc name=src uri={uri} src.video_0 ! videoconvert ! video/x-raw,format=I420 ! \
         identity name=look ! fakesink sync=true \
         src.data_0 ! appsink name=out sync=true async=false"
    );
    let mut receiver = Publisher::start(&stage.viewer, &pipeline);
    let mut notes = Vec::new();
    // The first sender report comes within some seconds.
    let began = std::time::Instant::now();
    while began.elapsed() < SOON {
        notes.extend(receiver.pull("out", 100));
    }
    let pictures = receiver.look("look").pictures;
    let mut late = Vec::new();
    for picture in pictures.iter().rev().skip(15).take(60) {
        let wanted = u64::from(picture.number);
        let note = notes
            .iter()
            .find(|it| it.is(wanted, 8 + usize::from(picture.number), false));
        let note = note.unwrap_or_else(|| panic!("no message for picture {wanted}"));
        let time = note.time.expect("a time") as i64 / 1_000_000;
        late.push(time - picture.time as i64);
    }
    eprintln!("ms between picture and message: {late:?}");
    assert_eq!(late.len(), 60);
    // Half a frame; the network's and the encoder's time would be more.
    assert!(late.iter().all(|it| it.abs() <= 16), "{late:?}");
    sender.assert_healthy();
    receiver.assert_healthy();
}

/// What timed metadata are is known at the other end: a muxer takes them as they
/// come out.
#[test]
fn caps_of_metadata_travel_and_a_muxer_takes_them() {
    let Some(stage) = Stage::alone() else { return };
    let pipeline = format!(
        "{} fakesrc is-live=true do-timestamp=true format=time sizetype=fixed sizemax=20 \
         datarate=400 filltype=pattern ! meta/x-klv,parsed=true ! cam.data_0",
        stage.sink("")
    );
    let mut sender = Publisher::start(&stage.server, &pipeline);
    for (way, uri) in ways(&stage) {
        let pipeline = format!(
            "rtcsrc name=src uri={uri} src.data_0 ! identity name=look ! \
             mpegtsmux ! fakesink name=muxed sync=false async=false"
        );
        let mut receiver = Publisher::start(&stage.viewer, &pipeline);
        eventually(2 * SOON, &format!("a stream by {way}"), || {
            let stats = receiver.get("muxed", "stats");
            (stats["rendered"].as_u64()? > 5).then_some(())
        });
        let caps = receiver.look("look").caps;
        assert_eq!(caps, ["meta/x-klv, parsed=(boolean)true"], "{way}");
        receiver.assert_healthy();
    }
    sender.assert_healthy();
}

/// A channel that nobody announces, by its id.
#[test]
fn a_channel_that_is_agreed_on_has_a_pad_at_rtcsrc() {
    let Some(stage) = Stage::new() else { return };
    let mut sender = talker(&stage, "data_0::negotiated=true data_0::id=5");
    for (way, uri) in ways(&stage) {
        let mut receiver = listener(&stage, &uri, "negotiated-channels=notes=5");
        let got = eventually(2 * SOON, way, || {
            sender.push("in", 1, 50, true, 1);
            receiver.pull("out", 1).pop()
        });
        assert!(got.is(1, 50, true), "{way}: {got:?}");
        assert_eq!(got.label.as_deref(), Some("notes"), "{way}");
        let said = receiver.ask(Command::Say {
            element: "src".into(),
            pad: "notes".into(),
            peer: String::new(),
            text: "hello".into(),
        });
        assert_eq!(said, true, "{way}");
        let hello = eventually(SOON, "hello", || sender.pull("out", 1).pop());
        assert_eq!((hello.size, hello.text), (5, true), "{way}");
        receiver.assert_healthy();
    }
    sender.assert_healthy();
    let wrong = listener(&stage, &ways(&stage)[0].1, "negotiated-channels=notes");
    let error = wrong.error();
    assert!(error.contains("no LABEL=ID"), "{error}");
}
