//! `rtcpeer` talks with `rtcpeer`, each in a process of its own.

use sigmund_tests::publisher::Command;
use sigmund_tests::sight::Sight;
use sigmund_tests::{Host, Publisher, Relay, eventually};

use crate::scenes::{PICTURE, SMALL, SOON, SOUND, Stage};

/// Where pictures are looked at.
const LOOK: &str = "call.video_src_0 ! videoconvert ! video/x-raw,format=I420 ! \
    identity name=look ! fakesink sync=true async=false";

/// Where sound is listened to.
const LISTEN: &str = "call.audio_src_0 ! audioconvert ! audio/x-raw,format=S16LE ! \
    identity name=look-sound ! fakesink sync=true async=false";

/// 880 Hz.
const OTHER_SOUND: &str = "audiotestsrc is-live=true freq=880 ! queue name=sound";

/// One that sends `media`, looks and listens.
fn caller(host: &Host, uri: &str, media: &[&str]) -> Publisher {
    let media: Vec<_> = media.iter().map(|it| format!("{it} ! call.")).collect();
    let media = media.join(" ");
    Publisher::start_with(
        host,
        &format!("rtcpeer name=call uri={uri} {media} {LOOK} {LISTEN}"),
        &[("GST_DEBUG", "rtcsession:4")],
    )
}

/// The one that others can reach.
fn listening(stage: &Stage, media: &[&str]) -> Publisher {
    let address = stage.server.address();
    let uri = format!("listen://{address}:8080/door allow-anonymous=true");
    let host = caller(&stage.server, &uri, media);
    host.address();
    host
}

fn calling(stage: &Stage, media: &[&str]) -> Publisher {
    let uri = format!("sigmund+ws://{}:8080/door", stage.server.address());
    caller(&stage.viewer, &uri, media)
}

/// Waits until `done` likes what has come by.
#[track_caller]
fn seen(caller: &mut Publisher, look: &str, what: &str, done: impl Fn(&Sight) -> bool) -> Sight {
    eventually(3 * SOON, what, || {
        let sight = caller.look(look);
        done(&sight).then_some(sight)
    })
}

#[track_caller]
fn sees(caller: &mut Publisher) {
    let before = caller.look("look").buffers;
    let sight = seen(caller, "look", "pictures", |it| {
        it.buffers > before + 60 && it.pictures.len() > 45
    });
    let numbers = sight.numbers();
    let last = &numbers[numbers.len() - 30..];
    assert!(last.windows(2).all(|it| it[1] > it[0]), "{last:?}");
}

#[track_caller]
fn hears(caller: &mut Publisher, pitch: f64) {
    let right = |it: &f64| (pitch - 15.0..pitch + 15.0).contains(it);
    seen(
        caller,
        "look-sound",
        &format!("a tone of {pitch} Hz"),
        |it| it.pitches.len() > 50 && it.pitches.iter().rev().take(25).all(right),
    );
}

#[test]
fn pictures_and_sound_go_both_ways_over_a_server_of_our_own() {
    let Some(stage) = Stage::new() else { return };
    let mut host = listening(&stage, &[PICTURE, SOUND]);
    let mut guest = calling(&stage, &[PICTURE, OTHER_SOUND]);
    sees(&mut host);
    sees(&mut guest);
    hears(&mut host, 880.0);
    hears(&mut guest, 440.0);
    host.assert_healthy();
    guest.assert_healthy();
}

#[test]
fn the_same_over_a_server_between_them() {
    let Some(stage) = Stage::new() else { return };
    let relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let uri = relay.uri("door");
    let mut host = caller(&stage.server, &uri, &[PICTURE, SOUND]);
    let mut guest = caller(&stage.viewer, &uri, &[PICTURE, OTHER_SOUND]);
    sees(&mut host);
    sees(&mut guest);
    // Who was first does not matter.
    hears(&mut host, 880.0);
    hears(&mut guest, 440.0);
    host.assert_healthy();
    guest.assert_healthy();
}

fn add(name: &str, description: &str, template: &str) -> Command {
    Command::Add {
        name: name.into(),
        description: description.into(),
        to: "call".into(),
        template: template.into(),
    }
}

/// A second picture comes, and moves.
#[track_caller]
fn shows_another(caller: &mut Publisher) {
    let attach = Command::Attach {
        name: "other".into(),
        description: "videoconvert ! fakesink name=other-picture async=false".into(),
        to: "call".into(),
        pad: "video_src_1".into(),
    };
    eventually(SOON, "a second picture", || {
        caller.request(attach.clone()).ok()
    });
    eventually(SOON, "it moves", || {
        let stats = caller.get("other-picture", "stats");
        (stats["rendered"].as_u64()? > 30).then_some(())
    });
}

#[test]
fn tracks_are_added_in_the_middle_of_a_call_and_taken_away() {
    let Some(stage) = Stage::new() else { return };
    let mut host = listening(&stage, &[PICTURE]);
    let mut guest = calling(&stage, &[PICTURE]);
    sees(&mut host);
    sees(&mut guest);
    // The guest asks for an offer, the host makes one.
    let tone = |freq: u32| format!("audiotestsrc is-live=true freq={freq}");
    guest.ask(add("late", &tone(880), "audio_%u"));
    hears(&mut host, 880.0);
    host.ask(add("late", &tone(440), "audio_%u"));
    hears(&mut guest, 440.0);
    // Another picture has an m-line of its own, and a pad of its own.
    let ball = "videotestsrc is-live=true ! capsfilter caps=video/x-raw,width=320,height=240,framerate=15/1";
    guest.ask(add("second", ball, "video_%u"));
    let attach = Command::Attach {
        name: "other".into(),
        description: "videoconvert ! fakesink name=other-picture".into(),
        to: "call".into(),
        pad: "video_src_1".into(),
    };
    eventually(SOON, "a second picture", || {
        host.request(attach.clone()).ok()
    });
    eventually(SOON, "it moves", || {
        let stats = host.get("other-picture", "stats");
        (stats["rendered"].as_u64()? > 30).then_some(())
    });
    // What goes takes nothing else with it, and may come back.
    guest.ask(Command::Remove {
        name: "late".into(),
    });
    eventually(SOON, "silence", || {
        let before = host.look("look-sound").buffers;
        std::thread::sleep(std::time::Duration::from_millis(500));
        (host.look("look-sound").buffers == before).then_some(())
    });
    hears(&mut guest, 440.0);
    sees(&mut host);
    guest.ask(add("back", &tone(660), "audio_%u"));
    hears(&mut host, 660.0);
    assert_eq!(host.emissions("peer-added").len(), 1, "it is one call");
    assert_eq!(host.ask(Command::Connections), 1);
    host.assert_healthy();
    guest.assert_healthy();
}

/// Waits for pictures of another sender: they are [`SMALL`].
#[track_caller]
fn sees_another(caller: &mut Publisher, before: &Sight) {
    let after = seen(caller, "look", "pictures of the next", |sight| {
        let small = sight.caps.iter().any(|it| it.contains("width=(int)320"));
        small && sight.buffers > before.buffers + 60
    });
    assert_eq!(
        (after.starts, after.ended),
        (1, false),
        "the stream goes on"
    );
    let times: Vec<_> = after.pictures.iter().map(|it| it.time).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_guest_that_is_killed_makes_way_for_the_next_and_pads_continue() {
    let Some(stage) = Stage::new() else { return };
    let mut host = listening(&stage, &[PICTURE, SOUND]);
    let mut guest = calling(&stage, &[PICTURE, OTHER_SOUND]);
    sees(&mut host);
    sees(&mut guest);
    let before = host.look("look");
    drop(guest);
    let mut next = calling(&stage, &[SMALL, OTHER_SOUND]);
    sees(&mut next);
    hears(&mut next, 440.0);
    sees_another(&mut host, &before);
    hears(&mut host, 880.0);
    // The same for one that says good-bye, and comes back.
    next.state("null");
    eventually(SOON, "it has left", || {
        (host.emissions("peer-removed").len() == 2).then_some(())
    });
    let before = host.look("look").buffers;
    next.state("playing");
    seen(&mut host, "look", "pictures", |it| it.buffers > before + 60);
    assert_eq!(host.look("look").starts, 1);
    assert_eq!(host.ask(Command::Connections), 1);
    host.assert_healthy();
}

#[test]
fn who_stays_when_the_host_is_killed_is_called_by_the_next() {
    let Some(stage) = Stage::new() else { return };
    let relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let uri = relay.uri("door");
    let host = caller(&stage.server, &uri, &[PICTURE]);
    eventually(SOON, "the first is there", || {
        (relay.streams(&stage.viewer)? == ["door"]).then_some(())
    });
    let mut guest = caller(&stage.viewer, &uri, &[PICTURE]);
    sees(&mut guest);
    let before = guest.look("look");
    drop(host);
    let mut next = caller(&stage.server, &uri, &[SMALL]);
    sees(&mut next);
    sees_another(&mut guest, &before);
    guest.assert_healthy();
    next.assert_healthy();
}

#[test]
fn a_second_guest_is_told_that_the_place_is_taken() {
    let Some(stage) = Stage::new() else { return };
    let mut host = listening(&stage, &[PICTURE]);
    let mut guest = calling(&stage, &[PICTURE]);
    sees(&mut host);
    let second = calling(&stage, &[PICTURE]);
    let warned = second.wait_for("a warning", |event| match event {
        sigmund_tests::publisher::Event::Warning { text, .. } => Some(text.clone()),
        _ => None,
    });
    assert!(warned.contains("taken"), "{warned}");
    sees(&mut guest);
    host.assert_healthy();
}

/// The m-line of the data channels stands in the midst then.
#[test]
fn tracks_are_added_behind_data_channels_which_go_on() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let chat = "data_0::label=chat appsrc name=in format=time is-live=true ! call.data_0 \
        call.data_src_0 ! appsink name=out sync=false async=false";
    let with_data = |host: &Host, uri: &str| {
        let media = format!("{PICTURE} ! call. {LOOK} {LISTEN}");
        Publisher::start(host, &format!("rtcpeer name=call uri={uri} {chat} {media}"))
    };
    let listens = format!("listen://{address}:8080/door allow-anonymous=true");
    let mut host = with_data(&stage.server, &listens);
    host.address();
    let mut guest = with_data(&stage.viewer, &format!("sigmund+ws://{address}:8080/door"));
    let says = |from: &mut Publisher, to: &mut Publisher, seed: u64| {
        let got = eventually(SOON, "a message", || {
            from.push("in", seed, 5, true, 1);
            to.pull("out", 9).pop()
        });
        assert_eq!(got.label.as_deref(), Some("chat"));
    };
    sees(&mut host);
    sees(&mut guest);
    says(&mut host, &mut guest, 1);
    says(&mut guest, &mut host, 2);
    guest.ask(add(
        "late",
        "audiotestsrc is-live=true freq=880",
        "audio_%u",
    ));
    hears(&mut host, 880.0);
    let small = "videotestsrc is-live=true ! capsfilter caps=video/x-raw,width=320,height=240,framerate=15/1";
    host.ask(add("second", small, "video_%u"));
    shows_another(&mut guest);
    says(&mut host, &mut guest, 3);
    says(&mut guest, &mut host, 4);
    sees(&mut host);
    host.assert_healthy();
    guest.assert_healthy();
}

/// Another connection under the same name, with the tracks of this moment.
#[test]
fn a_lost_path_is_mended_and_what_was_added_is_there_again() {
    let Some(stage) = Stage::new() else { return };
    let mut host = listening(&stage, &[PICTURE]);
    let mut guest = calling(&stage, &[PICTURE]);
    sees(&mut host);
    guest.ask(add(
        "late",
        "audiotestsrc is-live=true freq=880",
        "audio_%u",
    ));
    hears(&mut host, 880.0);
    let wall = "table inet wall { chain arriving { type filter hook input priority 0; \
        meta l4proto udp drop; }; }";
    stage.viewer.output("nft", &[wall]);
    eventually(3 * SOON, "another connection", || {
        let log = host.log() + &guest.log();
        log.contains("gets another connection").then_some(())
    });
    stage
        .viewer
        .output("nft", &["delete", "table", "inet", "wall"]);
    sees(&mut host);
    sees(&mut guest);
    hears(&mut host, 880.0);
    assert_eq!(host.emissions("peer-added").len(), 1);
    assert_eq!(host.emissions("peer-removed").len(), 0);
    assert_eq!(host.look("look").starts, 1);
    host.assert_healthy();
    guest.assert_healthy();
}
