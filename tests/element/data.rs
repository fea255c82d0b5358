//! Data pads and a viewer that is not a browser.

use std::time::Duration;

use sigmund_tests::messages::pattern;
use sigmund_tests::publisher::{Command, Event};
use sigmund_tests::viewer::{Manners, Message, Viewer};
use sigmund_tests::{Publisher, eventually};

use crate::scenes::{PICTURE, SOON, Stage, channel};

const K: usize = 1024;

/// What the documentation says of each size, to one that takes 256 KiB:
/// is it delivered to it, and can it send that? (str0m has no empty ones, browsers
/// do; we ask nobody for more than 64 KiB.)
const SIZES: [(usize, bool, bool); 6] = [
    (0, false, false),
    (1, true, true),
    (16 * K, true, true),
    (64 * K, true, true),
    (64 * K + 1, true, false),
    (256 * K, true, false),
];

/// A sink with one data pad, fed and read by the test.
fn talk(stage: &Stage, properties: &str) -> Publisher {
    let pipeline = format!(
        "{} {properties} appsrc name=in format=time is-live=true ! cam.data_0 \
         cam.data_src_0 ! appsink name=out sync=false async=false",
        stage.sink("")
    );
    Publisher::start(&stage.server, &pipeline)
}

/// A viewer that wants no media.
fn listener(labels: &[&str]) -> Manners {
    Manners {
        video: Vec::new(),
        audio: false,
        channels: labels.iter().map(|label| channel(label)).collect(),
        ..Manners::default()
    }
}

fn join(stage: &Stage, publisher: &Publisher, manners: Manners) -> Viewer {
    Viewer::try_join(&stage.viewer, &publisher.whep("cam"), manners).expect("let in")
}

#[test]
fn each_size_and_kind_goes_both_ways_or_is_refused() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = talk(&stage, "");
    let viewer = join(&stage, &publisher, listener(&["chat"]));
    viewer.has_channel("chat");
    let peer = publisher.wait_for("the peer", |event| match event {
        Event::Signal { name, arguments } if name == "peer-added" => {
            arguments[0].as_str().map(str::to_owned)
        }
        _ => None,
    });
    // What comes back says that the channel is open at both ends.
    viewer.send("chat", true, b"hello".to_vec());
    let hello = eventually(SOON, "hello", || publisher.pull("out", 1).pop());
    assert_eq!((hello.peer.as_deref(), hello.text), (Some(&*peer), true));
    assert_eq!(hello.label.as_deref(), Some("chat"));

    let mut seed = 0;
    for text in [true, false] {
        for (size, to, from) in SIZES {
            seed += 1;
            let what = format!("{size} bytes, text {text}");
            let before = viewer.seen().messages.len();
            publisher.push("in", seed, size, text, 1);
            if to {
                let got = eventually(SOON, &format!("{what} to the viewer"), || {
                    viewer.seen().messages.get(before).cloned()
                });
                let (label, data) = ("chat".into(), pattern(seed, size, text));
                assert!(got == Message { label, text, data }, "{what}: {got:?}");
            } else {
                publisher.warning("an empty message");
            }
            if !from {
                continue;
            }
            viewer.send("chat", text, pattern(seed, size, text));
            let got = eventually(SOON, &format!("{what} from the viewer"), || {
                publisher.pull("out", 1).pop()
            });
            assert!(got.is(seed, size, text), "{what}: {got:?}");
        }
    }
    assert!(viewer.seen().channels.contains(&"chat".to_owned()));
    publisher.assert_healthy();

    // Nobody takes that: whoever sends it is told so, and stops.
    publisher.push("in", 1, 256 * K + 1, false, 1);
    let error = publisher.error();
    assert!(error.contains("nobody takes more than 262144"), "{error}");
}

#[test]
fn a_viewer_that_takes_less_stops_nobody_else() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = talk(&stage, "");
    let small = Viewer::join_edited(
        &stage.viewer,
        &publisher.whep("cam"),
        listener(&["chat"]),
        |offer| offer.replace("a=max-message-size:262144", "a=max-message-size:65536"),
        str::to_owned,
    );
    let large = join(&stage, &publisher, listener(&["chat"]));
    for viewer in [&small, &large] {
        viewer.has_channel("chat");
        eventually(SOON, "the way is open", || {
            publisher.push("in", 1, 100, false, 1);
            (!viewer.seen().messages.is_empty()).then_some(())
        });
    }
    publisher.push("in", 7, 64 * K + 1, false, 1);
    publisher.push("in", 8, 64 * K, false, 1);
    publisher.warning("takes at most 65536");
    let got = |viewer: &Viewer, seed, size| {
        let wanted = pattern(seed, size, false);
        eventually(SOON, "its message", || {
            let messages = viewer.seen().messages;
            messages.iter().any(|it| it.data == wanted).then_some(())
        });
    };
    got(&large, 7, 64 * K + 1);
    got(&large, 8, 64 * K);
    got(&small, 8, 64 * K);
    publisher.assert_healthy();
}

#[test]
fn channels_are_opened_by_either_side_and_share_a_connection_with_media() {
    let Some(stage) = Stage::new() else { return };
    let pipeline = format!(
        "{PICTURE} ! {} data_1::label=control data_1::ordered=false data_1::max-retransmits=3 \
         data_1::protocol=p appsrc name=in format=time is-live=true ! cam.data_1 \
         cam.data_src_1 ! appsink name=out sync=false async=false",
        stage.sink("")
    );
    let mut publisher = Publisher::start(&stage.server, &pipeline);
    // It opens another one, which nobody here wants.
    let manners = Manners {
        channels: vec![channel("other")],
        ..Manners::silent()
    };
    let viewer = join(&stage, &publisher, manners);
    viewer.watch(10);
    // Ours.
    viewer.has_channel("control");
    eventually(SOON, "the unwanted channel is closed", || {
        (viewer.seen().closed_channels > 0).then_some(())
    });
    // The far side may learn sooner than we that it is open.
    eventually(SOON, "a message", || {
        publisher.push("in", 3, 500, true, 1);
        let seen = viewer.seen();
        seen.messages
            .iter()
            .any(|it| it.label == "control")
            .then_some(())
    });
    viewer.send("control", false, vec![1, 2, 3]);
    let got = eventually(SOON, "an answer", || publisher.pull("out", 1).pop());
    assert_eq!((got.size, got.text), (3, false));
    viewer.watch(10);
    publisher.assert_healthy();
}

#[test]
fn a_channel_that_is_agreed_on_needs_no_announcement() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = talk(&stage, "data_0::negotiated=true data_0::id=5");
    let mut agreed = channel("agreed");
    agreed.negotiated = Some(5);
    let manners = Manners {
        channels: vec![agreed],
        ..listener(&[])
    };
    let viewer = join(&stage, &publisher, manners);
    eventually(SOON, "a message", || {
        publisher.push("in", 3, 500, true, 1);
        let seen = viewer.seen();
        seen.messages.first().cloned()
    });
    publisher.assert_healthy();
}

#[test]
fn a_hundred_thousand_messages_keep_their_order() {
    const ALL: u64 = 100_000;
    /// Less than may wait.
    const BATCH: u64 = 10_000;
    let Some(stage) = Stage::new() else { return };
    let mut publisher = talk(&stage, "");
    let viewer = join(&stage, &publisher, listener(&["chat"]));
    viewer.has_channel("chat");
    let patience = Duration::from_secs(60);
    eventually(SOON, "the way is open", || {
        publisher.push("in", 0, 32, false, 1);
        (!viewer.seen().messages.is_empty()).then_some(())
    });
    std::thread::sleep(Duration::from_millis(200));
    let before = viewer.seen().messages.len();
    for batch in 0..ALL / BATCH {
        publisher.push("in", batch * BATCH, 32, false, BATCH);
        let goal = before + usize::try_from((batch + 1) * BATCH).unwrap();
        eventually(patience, "a batch at the viewer", || {
            (viewer.count() >= goal).then_some(())
        });
    }
    let messages = viewer.seen().messages;
    assert_eq!(messages.len() - before, usize::try_from(ALL).unwrap());
    for (seed, message) in (0..).zip(&messages[before..]) {
        assert!(message.data == pattern(seed, 32, false), "number {seed}");
    }
    for batch in 0..ALL / BATCH {
        for seed in batch * BATCH..(batch + 1) * BATCH {
            viewer.send("chat", false, pattern(seed, 32, false));
        }
        let mut next = batch * BATCH;
        let what = format!("batch {batch} from the viewer");
        eventually(patience, &what, || {
            for heard in publisher.pull("out", 2000) {
                assert!(heard.is(next, 32, false), "number {next}: {heard:?}");
                next += 1;
            }
            (next == (batch + 1) * BATCH).then_some(())
        });
    }
    publisher.assert_healthy();
}

#[test]
fn a_flood_meets_a_bound_and_its_channel_is_closed_with_a_reason() {
    let Some(stage) = Stage::new() else { return };
    let pipeline = format!(
        "{PICTURE} ! {} appsrc name=in ! cam.data_1 \
         cam.data_src_1 ! appsink name=out sync=false async=false max-buffers=1",
        stage.sink("")
    );
    let mut publisher = Publisher::start(&stage.server, &pipeline);
    let witness = Viewer::join_silent(&stage.viewer, &publisher.whep("cam"));
    let viewer = join(&stage, &publisher, listener(&["flood"]));
    viewer.has_channel("flood");
    witness.watch(10);
    let before = publisher.usage().memory;
    for _ in 0..600 {
        viewer.send("flood", false, vec![7; 64 * K]);
    }
    publisher.warning("faster than its messages are read");
    eventually(SOON, "its channel is closed", || {
        (viewer.seen().closed_channels > 0).then_some(())
    });
    let grown = publisher.usage().memory.saturating_sub(before);
    assert!(grown < 24 * 1024, "it has grown by {grown} KiB");
    witness.watch(10);
    publisher.assert_healthy();
    assert!(!publisher.pull("out", 1).is_empty());
}

#[test]
fn a_slow_viewer_loses_messages_and_the_user_is_told() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = talk(&stage, "");
    let slow = Manners {
        slowness: Duration::from_millis(20),
        ..listener(&["chat"])
    };
    let slow = join(&stage, &publisher, slow);
    let quick = join(&stage, &publisher, listener(&["chat"]));
    for viewer in [&slow, &quick] {
        viewer.has_channel("chat");
        eventually(SOON, "the way is open", || {
            publisher.push("in", 1, 10, false, 1);
            (!viewer.seen().messages.is_empty()).then_some(())
        });
    }
    let before = publisher.usage().memory;
    let start = quick.count();
    for round in 1..=60 {
        publisher.push("in", round * 100, 64 * K, false, 8);
        let goal = start + usize::try_from(round * 8).unwrap();
        eventually(SOON, "the quick one keeps up", || {
            (quick.count() >= goal).then_some(())
        });
    }
    publisher.warning("does not keep up");
    let grown = publisher.usage().memory.saturating_sub(before);
    assert!(grown < 24 * 1024, "it has grown by {grown} KiB");
    publisher.assert_healthy();
}

#[test]
fn closing_garbage_and_vanishing_harm_nobody_else() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = talk(&stage, "");
    let witness = join(&stage, &publisher, listener(&["chat"]));
    witness.has_channel("chat");
    let closes = join(&stage, &publisher, listener(&["chat"]));
    closes.has_channel("chat");
    closes.close_channel("chat");
    let garbage = join(&stage, &publisher, listener(&["chat"]));
    garbage.has_channel("chat");
    garbage.send("chat", true, vec![0xff, 0xfe, 0xfd]);
    publisher.warning("not UTF-8");
    let leaves = join(&stage, &publisher, listener(&["chat"]));
    leaves.has_channel("chat");
    for seed in 0..20 {
        publisher.push("in", seed, 64 * K, false, 1);
    }
    leaves.leave();
    let vanishes = join(&stage, &publisher, listener(&["chat"]));
    vanishes.has_channel("chat");
    vanishes.vanish();
    let before = witness.count();
    publisher.push("in", 99, 100, false, 1);
    eventually(SOON, "the witness still hears", || {
        (witness.count() > before).then_some(())
    });
    witness.send("chat", true, b"still here".to_vec());
    eventually(SOON, "and is heard", || {
        let heard = publisher.pull("out", 100);
        heard.iter().any(|it| it.size == 10).then_some(())
    });
    publisher.assert_healthy();
}

#[test]
fn applications_talk_by_signals() {
    let Some(stage) = Stage::new() else { return };
    let pipeline = format!("{PICTURE} ! {} appsrc name=in ! cam.data_1", stage.sink(""));
    let mut publisher = Publisher::start(&stage.server, &pipeline);
    let one = join(&stage, &publisher, listener(&["chat"]));
    one.has_channel("chat");
    one.send("chat", true, b"question".to_vec());
    let asked = eventually(SOON, "data-received", || {
        publisher.emissions("data-received").pop()
    });
    assert_eq!(
        (&asked[1], &asked[2], &asked[3]),
        (&"chat".into(), &"question".into(), &true.into())
    );
    let other = join(&stage, &publisher, listener(&["chat"]));
    other.has_channel("chat");
    let mut say = |pad: &str, peer: &str, text: &str| {
        publisher.ask(Command::Say {
            element: "cam".into(),
            pad: pad.into(),
            peer: peer.into(),
            text: text.into(),
        })
    };
    let peer = asked[0].as_str().unwrap();
    assert_eq!(say("data_1", peer, "answer"), true);
    assert_eq!(say("data_1", "nobody", "answer"), false);
    assert_eq!(say("no-such-pad", "", "answer"), false);
    let heard = |viewer: &Viewer, text: &str| {
        eventually(SOON, text, || {
            let messages = viewer.seen().messages;
            messages
                .iter()
                .any(|it| it.text && it.data == text.as_bytes())
                .then_some(())
        });
    };
    heard(&one, "answer");
    eventually(SOON, "to all", || {
        say("data_1", "", "to all");
        let messages = other.seen().messages;
        messages.iter().any(|it| it.data == b"to all").then_some(())
    });
    heard(&one, "to all");
    assert!(!other.seen().messages.iter().any(|it| it.data == b"answer"));
    publisher.assert_healthy();
}

#[test]
fn what_cannot_be_is_refused_with_a_sentence() {
    let Some(stage) = Stage::new() else { return };
    for (properties, reason) in [
        ("data_0::overflow=block", "overflow=block is for one peer"),
        (
            "data_0::negotiated=true",
            "negotiated=true and id go together",
        ),
        (
            "data_0::max-retransmits=1 data_0::max-packet-lifetime=1",
            "exclude each other",
        ),
    ] {
        let pipeline = format!("{} {properties} appsrc ! cam.data_0", stage.sink(""));
        let publisher = Publisher::start(&stage.server, &pipeline);
        let error = publisher.error();
        assert!(error.contains(reason), "{error}");
    }
}

/// The same while it runs: for one viewer it may be set, for several it may not.
#[test]
fn a_pad_is_not_made_to_wait_while_several_may_watch() {
    let Some(stage) = Stage::new() else { return };
    let mut several = talk(&stage, "");
    several.address();
    let set = |overflow: &str| Command::Set {
        element: "cam".into(),
        property: "data_0::overflow".into(),
        value: overflow.into(),
    };
    let before = several.get("cam", "data_0::overflow");
    several.ask(set("block"));
    several.warning("data_0: overflow=block is for one peer");
    assert_eq!(several.get("cam", "data_0::overflow"), before);
    several.ask(set("drop-newest"));
    assert_ne!(several.get("cam", "data_0::overflow"), before);
    several.assert_healthy();
    // A stop lets go of it: the next start says what is wrong, or takes it.
    for (most, healthy) in [("5", false), ("1", true)] {
        several.ask(Command::State {
            state: "null".into(),
        });
        several.ask(set("block"));
        several.ask(Command::Set {
            element: "cam".into(),
            property: "max-peers".into(),
            value: most.into(),
        });
        let started = several.request(Command::State {
            state: "playing".into(),
        });
        assert_eq!(started.is_ok(), healthy, "{started:?}");
    }
    several.ask(set("drop-oldest"));
    several.ask(set("block"));
}
