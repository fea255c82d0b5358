//! `rtcsrc` receives what our own `rtcsink` sends.

use std::time::Duration;

use sigmund_tests::publisher::{Command, Event};
use sigmund_tests::sight::Sight;
use sigmund_tests::{Publisher, Relay, eventually};

use crate::scenes::{self, PICTURE, SOON, SOUND, Stage};

/// Where pictures are looked at.
const LOOK: &str =
    "videoconvert ! video/x-raw,format=I420 ! identity name=look ! fakesink sync=true";

/// Where sound is listened to.
const LISTEN: &str =
    "audioconvert ! audio/x-raw,format=S16LE ! identity name=look-sound ! fakesink sync=true";

fn source(endpoint: &str, properties: &str) -> String {
    let uri = endpoint.replacen("http", "whep+http", 1);
    format!("rtcsrc name=src uri={uri} {properties}")
}

/// Waits until `done` likes what has come by.
#[track_caller]
fn seen(
    receiver: &mut Publisher,
    look: &str,
    what: &str,
    mut done: impl FnMut(&Sight) -> bool,
) -> Sight {
    eventually(2 * SOON, what, || {
        let sight = receiver.look(look);
        done(&sight).then_some(sight)
    })
}

/// The picture moves on, frame by frame, and none comes twice.
#[track_caller]
fn assert_moving(sight: &Sight) {
    let numbers = sight.numbers();
    assert!(
        numbers.windows(2).all(|pair| pair[1] > pair[0]),
        "{numbers:?}"
    );
    let span = usize::from(numbers[numbers.len() - 1] - numbers[0]);
    assert!(
        span < numbers.len() * 3 / 2,
        "frames are missing: {numbers:?}"
    );
}

#[test]
fn pictures_and_sound_come_out_raw() {
    let Some(stage) = Stage::alone() else { return };
    let sender = stage.publish(&format!("{PICTURE} ! cam. {SOUND}"));
    let source = source(&sender.whep("cam"), "");
    let mut receiver = Publisher::start(
        &stage.viewer,
        &format!("{source} src. ! {LOOK} src. ! {LISTEN}"),
    );
    let sight = seen(&mut receiver, "look", "pictures", |it| {
        it.pictures.len() > 90
    });
    assert_moving(&sight);
    assert!(sight.caps[0].contains("width=(int)640"), "{:?}", sight.caps);
    // What jitterbuffers hold back at most is what sinks wait for.
    let latency = receiver.count(Command::Latency);
    assert!((200..1500).contains(&latency), "{latency} ms");
    let sound = seen(&mut receiver, "look-sound", "sound", |it| {
        it.pitches.len() > 60
    });
    let right = |pitch: &&f64| (430.0..450.0).contains(*pitch);
    let rights = sound.pitches.iter().filter(right).count();
    assert!(rights * 10 > sound.pitches.len() * 9, "{:?}", sound.pitches);
    receiver.assert_healthy();
}

#[test]
fn what_is_linked_decides_the_form() {
    let Some(stage) = Stage::new() else { return };
    let sender = stage.show("video-codecs=VP8");
    let source = source(&sender.whep("cam"), "");
    for (filter, caps) in [
        ("video/x-vp8", "video/x-vp8"),
        ("application/x-rtp", "application/x-rtp"),
        ("video/x-raw,format=I420", "video/x-raw"),
        ("identity", "video/x-raw"),
    ] {
        let pipeline = format!("{source} src. ! {filter} ! identity name=look ! fakesink");
        let mut receiver = Publisher::start(&stage.viewer, &pipeline);
        let sight = seen(&mut receiver, "look", filter, |it| it.buffers > 30);
        assert!(
            sight.caps[0].starts_with(caps),
            "{filter}: {:?}",
            sight.caps
        );
        receiver.assert_healthy();
    }
}

#[test]
fn both_codecs_are_received_as_they_are() {
    for (name, filter) in [
        ("H264", "video/x-h264,stream-format=avc"),
        ("VP8", "video/x-vp8"),
    ] {
        let Some(stage) = Stage::new() else { return };
        let sender = stage.publish(&scenes::encoded(name));
        let source = source(&sender.whep("cam"), "");
        let pipeline = format!(
            "{source} src. ! {filter} ! identity name=look ! decodebin ! videoconvert ! \
             video/x-raw,format=I420 ! identity name=look-decoded ! fakesink"
        );
        let mut receiver = Publisher::start(&stage.viewer, &pipeline);
        let sight = seen(&mut receiver, "look-decoded", name, |it| {
            it.pictures.len() > 60
        });
        assert_moving(&sight);
        receiver.assert_healthy();
    }
}

#[test]
fn pads_that_nobody_links_hold_up_nobody() {
    let Some(stage) = Stage::new() else { return };
    let sender = stage.publish(&format!("{PICTURE} ! cam. {SOUND}"));
    let source = source(&sender.whep("cam"), "");
    let mut receiver = Publisher::start(&stage.viewer, &format!("{source} src.audio_0 ! {LISTEN}"));
    seen(&mut receiver, "look-sound", "sound", |it| it.buffers > 200);
    // Linked late, the other one flows too; unlinked, the first goes on.
    let branch = |name: &str, description: &str| Command::Attach {
        name: name.into(),
        description: description.into(),
        to: "src".into(),
        pad: "video_0".into(),
    };
    let raw = "videoconvert ! fakesink name=pictures";
    receiver.ask(branch("late", raw));
    let rendered = |receiver: &mut Publisher, name: &str| {
        let stats = receiver.get(name, "stats");
        stats["rendered"].as_u64().unwrap_or(0)
    };
    eventually(SOON, "pictures", || {
        (rendered(&mut receiver, "pictures") > 30).then_some(())
    });
    let name = "late".to_owned();
    receiver.ask(Command::Detach { name });
    let before = receiver.look("look-sound").buffers;
    seen(&mut receiver, "look-sound", "more sound", |it| {
        it.buffers > before + 100
    });
    // Another form for who comes next.
    receiver.ask(branch(
        "again",
        "capsfilter caps=video/x-h264 ! fakesink name=frames",
    ));
    eventually(SOON, "frames", || {
        (rendered(&mut receiver, "frames") > 30).then_some(())
    });
    receiver.assert_healthy();
}

#[test]
fn a_publisher_that_comes_back_continues_on_the_same_pads() {
    let Some(stage) = Stage::new() else { return };
    let mut relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let uri = relay.uri("cam");
    let start = || {
        let sink = format!("rtcsink name=cam uri={uri}");
        Publisher::start(&stage.server, &format!("{PICTURE} ! {sink}"))
    };
    let sender = start();
    let mut receiver = Publisher::start(
        &stage.viewer,
        &format!("rtcsrc name=src uri={uri} src. ! {LOOK}"),
    );
    seen(&mut receiver, "look", "pictures", |it| {
        it.pictures.len() > 30
    });
    // Killed without a word; the next one begins to count anew.
    drop(sender);
    let before = receiver.look("look");
    let _sender = start();
    let after = eventually(4 * SOON, "pictures of the second", || {
        let sight = receiver.look("look");
        let again = sight
            .pictures
            .windows(2)
            .any(|pair| pair[1].number < pair[0].number);
        (again && sight.pictures.len() > before.pictures.len() + 30).then_some(sight)
    });
    assert_eq!((after.starts, after.ended), (1, false));
    let times: Vec<_> = after.pictures.iter().map(|it| it.time).collect();
    assert!(times.is_sorted(), "{times:?}");
    let pads: Vec<_> = receiver.events();
    assert!(!pads.iter().any(|event| matches!(event, Event::Eos)));
    receiver.assert_healthy();
    relay.kill();
}

/// A publisher by WHIP into a pipeline that listens; both are killed once.
#[test]
fn a_publisher_by_whip_is_followed_by_the_next() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let mut receiver = Publisher::start(
        &stage.server,
        &format!(
            "rtcsrc name=src uri=listen://{address}:8080/cam allow-anonymous=true \
             src. ! {LOOK} src. ! {LISTEN}"
        ),
    );
    let publish = || {
        let sink = format!("rtcsink name=cam uri=whip+http://{address}:8080/whip/cam");
        let pipeline = format!("{PICTURE} ! {sink} {SOUND} ! cam.");
        Publisher::start(&stage.viewer, &pipeline)
    };
    let first = publish();
    let before = seen(&mut receiver, "look", "pictures", |it| {
        it.pictures.len() > 30
    });
    assert_moving(&before);
    drop(first);
    eventually(2 * SOON, "it is missed", || {
        receiver.emissions("peer-removed").pop()
    });
    let before = receiver.look("look");
    let _second = publish();
    let after = seen(&mut receiver, "look", "pictures of the second", |it| {
        it.buffers > before.buffers + 30
    });
    assert_eq!((after.starts, after.ended), (1, false));
    seen(&mut receiver, "look-sound", "sound", |it| it.buffers > 100);
    receiver.assert_healthy();
}

#[test]
fn a_server_to_watch_at_may_come_later_and_go() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let uri = format!("whep+http://{address}:8080/whep/cam");
    let mut receiver = Publisher::start(
        &stage.viewer,
        &format!("rtcsrc name=src uri={uri} src. ! {LOOK}"),
    );
    let sender = stage.show("");
    let before = seen(&mut receiver, "look", "pictures", |it| {
        it.pictures.len() > 30
    });
    drop(sender);
    let _sender = stage.show("");
    let after = eventually(4 * SOON, "pictures of the second", || {
        let sight = receiver.look("look");
        (sight.buffers > before.buffers + 60).then_some(sight)
    });
    assert_eq!((after.starts, after.ended), (1, false));
    receiver.assert_healthy();
}

/// Players need nothing but the address.
#[test]
fn players_play_it() {
    let Some(stage) = Stage::new() else { return };
    let relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let uri = relay.uri("cam");
    let _sender = Publisher::start(
        &stage.server,
        &format!("{PICTURE} ! rtcsink name=cam uri={uri} {SOUND} ! cam."),
    );
    let pipeline = format!("uridecodebin3 uri={uri} name=src src. ! {LOOK} src. ! {LISTEN}");
    let mut player = Publisher::start(&stage.viewer, &pipeline);
    let sight = seen(&mut player, "look", "pictures", |it| it.pictures.len() > 30);
    assert_moving(&sight);
    seen(&mut player, "look-sound", "sound", |it| {
        it.pitches.len() > 30
    });
    player.assert_healthy();
    drop(player);
    let pipeline = format!(
        "playbin3 name=player uri={uri} video-sink=\"videoconvert ! \
         video/x-raw,format=I420 ! identity name=look ! fakesink sync=true\" \
         audio-sink=\"audioconvert ! audio/x-raw,format=S16LE ! identity name=look-sound ! \
         fakesink sync=true\""
    );
    let mut player = Publisher::start(&stage.viewer, &pipeline);
    let sight = seen(&mut player, "look", "pictures", |it| it.pictures.len() > 30);
    assert_moving(&sight);
    player.assert_healthy();
}

#[test]
fn playlists_open_no_port() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    for scheme in ["listen", "stdio", "app"] {
        let uri = format!("{scheme}://{address}:8080/cam");
        let pipeline = format!("uridecodebin3 uri={uri} ! fakesink");
        let player = Publisher::start(&stage.server, &pipeline);
        player.wait_for("an error", |event| match event {
            Event::Error { text, .. } => text.contains("URI").then_some(()),
            _ => None,
        });
    }
}

#[test]
fn a_request_from_downstream_brings_a_keyframe() {
    let Some(stage) = Stage::alone() else { return };
    let sender = stage.show("");
    for codec in ["h264", "vp8"] {
        let source = source(&sender.whep("cam"), &format!("video-codecs={codec}"));
        let pipeline = format!("{source} src. ! video/x-{codec} ! identity name=look ! fakesink");
        let mut receiver = Publisher::start(&stage.viewer, &pipeline);
        // Where nobody asks, none comes.
        let mut last = Sight::default();
        let calm = seen(&mut receiver, "look", "frames, and no keyframe", |it| {
            let (frames, keyframes) = (it.buffers - last.buffers, it.keyframes - last.keyframes);
            if keyframes > 0 {
                last = it.clone();
            }
            keyframes == 0 && frames > 60
        });
        receiver.ask(Command::AskForKeyframe {
            element: "look".into(),
        });
        seen(&mut receiver, "look", "a keyframe", |it| {
            it.keyframes > calm.keyframes
        });
        receiver.assert_healthy();
    }
}

#[test]
fn sound_and_picture_stay_together_and_tell_when_they_were_made() {
    let Some(stage) = Stage::alone() else { return };
    let sender = stage.publish(&format!("{PICTURE} ! cam. {SOUND}"));
    let source = source(&sender.whep("cam"), "");
    let pipeline = format!("{source} src. ! {LOOK} src. ! {LISTEN}");
    let mut receiver = Publisher::start(&stage.viewer, &pipeline);
    let sight = seen(&mut receiver, "look", "reference timestamps", |it| {
        it.references > 30 && it.pictures.len() > 30
    });
    // NTP counts from 1900; our picture is not older than a second.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ntp = now.unwrap() + Duration::from_secs(2_208_988_800);
    let age = ntp.as_millis() as i64 - sight.reference.unwrap() as i64;
    assert!((0..3000).contains(&age), "{age} ms");
}

/// Of a hundred packets ten are lost, and sent again; also of a codec that is not
/// the first of its m-line.
#[test]
fn what_is_lost_is_sent_again() {
    let Some(stage) = Stage::alone() else { return };
    let sender = stage.show("video-codecs=VP8");
    let source = source(&sender.whep("cam"), "latency=1000");
    let pipeline = format!("{source} src. ! application/x-rtp ! identity name=look ! fakesink");
    let mut receiver = Publisher::start(&stage.viewer, &pipeline);
    seen(&mut receiver, "look", "packets", |it| it.buffers > 60);
    stage.viewer.lose(10);
    let before = receiver.look("look");
    let after = eventually(4 * SOON, "packets through loss", || {
        let sight = receiver.look("look");
        (sight.buffers > before.buffers + 300).then_some(sight)
    });
    let missing = after.missing - before.missing;
    eprintln!("{missing} of {} missing", after.buffers - before.buffers);
    // Those that were lost twice; else it would be 30.
    assert!(missing < 10, "{missing} packets are missing");
    receiver.assert_healthy();
}

/// The sender's picture n is made at n/30 s, and its tick k at k s. They come out
/// as far apart.
#[test]
fn ticks_and_pictures_come_out_in_sync() {
    let Some(stage) = Stage::alone() else { return };
    let ticks = "audiotestsrc is-live=true wave=ticks ! queue name=sound";
    let sender = stage.publish(&format!("{PICTURE} ! cam. {ticks}"));
    let source = source(&sender.whep("cam"), "");
    let pipeline = format!("{source} src. ! {LOOK} src. ! {LISTEN}");
    let mut receiver = Publisher::start(&stage.viewer, &pipeline);
    let sound = seen(&mut receiver, "look-sound", "ticks", |it| {
        it.ticks.len() > 10
    });
    let sight = receiver.look("look");
    // By how much each is later than it was made, in ms, of a second.
    let pictures = sight.pictures.iter().rev().take(60);
    let late = pictures.map(|it| it.time as i64 - i64::from(it.number) * 1000 / 30);
    let (pictures, ticks) = (
        median(late.map(|it| it.rem_euclid(1000)).collect()),
        median(
            sound.ticks[5..]
                .iter()
                .map(|it| *it as i64 % 1000)
                .collect(),
        ),
    );
    let apart = (pictures - ticks + 500).rem_euclid(1000) - 500;
    eprintln!("the picture is {apart} ms later than the sound");
    assert!(apart.abs() < 80, "{apart} ms");
    receiver.assert_healthy();
}

fn median(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// As they come: nothing is decoded, and what is in the file is what was sent.
#[test]
fn a_file_is_recorded_as_it_comes() {
    let Some(stage) = Stage::new() else { return };
    let sender = stage.publish(&format!("{PICTURE} ! cam. {SOUND}"));
    let path = sigmund_tests::process::log_directory().join("received.mkv");
    let path = path.display();
    let source = source(&sender.whep("cam"), "");
    let pipeline = format!(
        "matroskamux name=file ! filesink location={path} {source} \
         src.video_0 ! queue ! identity name=look ! file.video_0 \
         src.audio_0 ! queue ! identity name=look-sound ! file.audio_0"
    );
    let mut recorder = Publisher::start(&stage.viewer, &pipeline);
    seen(&mut recorder, "look", "frames", |it| it.buffers > 60);
    seen(&mut recorder, "look-sound", "sound", |it| it.buffers > 60);
    let graph = recorder.ask(Command::Dot);
    let graph = graph.as_str().unwrap();
    for decoder in ["avdec", "openh264dec", "vp8dec", "opusdec", "enc-"] {
        assert!(!graph.contains(decoder), "{decoder} is at work");
    }
    recorder.ask(Command::Eos);
    recorder.wait_for("EOS", |event| matches!(event, Event::Eos).then_some(()));
    recorder.assert_healthy();
    drop(recorder);
    let player = format!(
        "filesrc location={path} ! decodebin name=file file. ! videoconvert ! \
         video/x-raw,format=I420 ! identity name=look ! fakesink file. ! audioconvert ! \
         audio/x-raw,format=S16LE ! identity name=look-sound ! fakesink"
    );
    let mut player = Publisher::start(&stage.viewer, &player);
    player.wait_for("EOS", |event| matches!(event, Event::Eos).then_some(()));
    let sight = player.look("look");
    assert!(sight.pictures.len() > 50, "{}", sight.pictures.len());
    assert_moving(&sight);
    assert!(player.look("look-sound").pitches.len() > 50);
}

#[test]
fn the_application_can_end_the_stream() {
    let Some(stage) = Stage::new() else { return };
    let sender = stage.publish(&format!("{PICTURE} ! cam. {SOUND}"));
    let source = source(&sender.whep("cam"), "");
    let pipeline = format!(
        "matroskamux name=mux ! fakesink {source} \
         src.video_0 ! queue ! identity name=look ! mux.video_0 \
         src.audio_0 ! queue ! identity name=look-sound ! mux.audio_0"
    );
    let mut receiver = Publisher::start(&stage.viewer, &pipeline);
    seen(&mut receiver, "look", "frames", |it| it.buffers > 30);
    seen(&mut receiver, "look-sound", "sound", |it| it.buffers > 30);
    receiver.ask(Command::Eos);
    receiver.wait_for("EOS", |event| matches!(event, Event::Eos).then_some(()));
    receiver.assert_healthy();
}

#[test]
fn over_sigmund_v1_it_says_what_it_takes() {
    let Some(stage) = Stage::new() else { return };
    let relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let uri = relay.uri("cam");
    let _sender = Publisher::start(
        &stage.server,
        &format!("{PICTURE} ! rtcsink name=cam uri={uri}"),
    );
    let mut receiver = Publisher::start(
        &stage.viewer,
        &format!(
            "rtcsrc name=src video-codecs=VP8 uri={uri} src. ! identity name=look-frames ! video/x-vp8 ! fakesink"
        ),
    );
    seen(&mut receiver, "look-frames", "VP8", |it| it.buffers > 30);
    receiver.assert_healthy();
}
