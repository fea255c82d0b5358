//! What the element tells: signals, messages, statistics, graphs.

use std::time::{Duration, Instant};

use sigmund_tests::publisher::{Command, Event};
use sigmund_tests::viewer::Viewer;
use sigmund_tests::{Host, Publisher, Relay, eventually};

use crate::scenes::{PICTURE, SOON, Stage};

fn warnings(publisher: &Publisher) -> Vec<String> {
    let events = publisher.events().into_iter();
    let texts = events.filter_map(|event| match event {
        Event::Warning { text, .. } => Some(text),
        _ => None,
    });
    texts.collect()
}

/// The first warning of a picture that is sent by `uri`.
fn first_warning(host: &Host, uri: &str) -> String {
    let publisher = Publisher::start(host, &format!("{PICTURE} ! rtcsink uri={uri}"));
    publisher.wait_for(uri, |event| match event {
        Event::Warning { text, .. } => Some(text.clone()),
        Event::Error { text, .. } => panic!("{uri}: {text}"),
        _ => None,
    })
}

fn message(publisher: &Publisher, wanted: &str) -> serde_json::Value {
    publisher.wait_for(wanted, |event| match event {
        Event::Message { name, fields } if name == wanted => Some(fields.clone()),
        _ => None,
    })
}

#[test]
fn coming_and_going_is_told_by_signals_and_messages() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.show("");
    let viewer = Viewer::join_silent(&stage.viewer, &publisher.whep("cam"));
    viewer.watch(10);
    let added = publisher.emissions("peer-added");
    assert_eq!(added.len(), 1);
    let (id, info) = (&added[0][0], &added[0][1]);
    assert_eq!(info["protocol"], "whep");
    assert_eq!(info["address"], stage.viewer.address().to_string());
    assert_eq!(&message(&publisher, "sigmund-peer-added")["id"], id);

    let ready = publisher.emissions("webrtcbin-ready");
    assert_eq!(ready.len(), 1);
    assert_eq!(&ready[0][0], id);
    let setup = publisher.emissions("encoder-setup");
    assert_eq!(setup.len(), 1);
    assert_eq!(setup[0][1], "video_0");
    assert!(
        ["H264", "VP8"].iter().any(|codec| setup[0][2] == *codec),
        "{setup:?}"
    );

    viewer.leave();
    let removed = eventually(SOON, "peer-removed", || {
        publisher.emissions("peer-removed").pop()
    });
    assert_eq!(&removed[0], id);
    assert!(!removed[1].as_str().unwrap().is_empty());
    let told = message(&publisher, "sigmund-peer-removed");
    assert_eq!((&told["id"], &told["reason"]), (id, &removed[1]));
    publisher.assert_healthy();
}

#[test]
fn statistics_have_an_entry_for_each_viewer() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.show("");
    assert_eq!(publisher.get("cam", "stats")["peers"], 0);
    let endpoint = publisher.whep("cam");
    let viewers = [0, 1].map(|_| Viewer::join_silent(&stage.viewer, &endpoint));
    viewers.iter().for_each(|viewer| viewer.watch(30));
    for id in publisher
        .emissions("peer-added")
        .iter()
        .map(|added| added[0].as_str().unwrap())
    {
        let peer = eventually(SOON, "a report of this viewer", || {
            let stats = publisher.get("cam", "stats");
            let sent = stats[id]["bitrate"].as_u64().filter(|&bitrate| bitrate > 0);
            sent.and(stats[id]["loss"].as_f64())
                .map(|_| stats[id].clone())
        });
        assert_eq!(peer["protocol"], "whep");
        assert_eq!(peer["codecs"].as_array().unwrap().len(), 1);
        assert!(peer["packets-sent"].as_u64().unwrap() > 10, "{peer}");
        assert!(peer["loss"].as_f64().unwrap() < 0.01, "{peer}");
    }
    let [one, _other] = viewers;
    one.leave();
    eventually(SOON, "one entry goes", || {
        (publisher.get("cam", "stats")["peers"] == 1).then_some(())
    });
    publisher.assert_healthy();
}

#[test]
fn a_graph_shows_the_peers_by_name() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.show("");
    let viewer = Viewer::join_silent(&stage.viewer, &publisher.whep("cam"));
    viewer.watch(5);
    let added = publisher.emissions("peer-added");
    let id = added[0][0].as_str().unwrap();
    let graph = publisher.ask(Command::Dot);
    let graph = graph.as_str().unwrap();
    assert!(
        graph.contains(&format!("peer-{id}")),
        "no peer-{id} in the graph"
    );
    assert!(
        graph.len() < 400_000,
        "{} bytes are not readable",
        graph.len()
    );
}

#[test]
fn nothing_secret_is_logged_at_info() {
    let Some(stage) = Stage::new() else { return };
    let sink = stage.sink("ice-servers=turn://user:hunter2@10.77.0.9");
    let pipeline = format!("{} ! {sink}", PICTURE);
    let debug = [("GST_DEBUG", "rtc*:4,sigmund*:4,GST_ELEMENT*:2")];
    let mut publisher = Publisher::start_with(&stage.server, &pipeline, &debug);
    let viewer = Viewer::join_silent(&stage.viewer, &publisher.whep("cam"));
    viewer.watch(10);
    let graph = publisher.ask(Command::Dot);
    assert!(!graph.as_str().unwrap().contains("hunter2"), "{graph}");
    viewer.leave();
    eventually(SOON, "the end is logged", || {
        publisher.emissions("peer-removed").pop()
    });
    let log = publisher.log();
    assert!(!log.is_empty(), "nothing is logged at all");
    for secret in ["hunter2", "a=fingerprint", "ice-pwd", "10.77.0.2"] {
        assert!(!log.contains(secret), "{secret} in the log:\n{log}");
    }
}

#[test]
fn a_pad_without_caps_keeps_nobody_waiting() {
    let Some(stage) = Stage::new() else { return };
    let silent = "appsrc is-live=true ! audioconvert ! cam.";
    let pipeline = format!("{PICTURE} ! {} {silent}", stage.sink(""));
    let mut publisher = Publisher::start(&stage.server, &pipeline);
    publisher.wait_for("the user is told", |event| match event {
        Event::Warning { text, .. } => text.contains("audio_").then_some(()),
        _ => None,
    });
    let start = Instant::now();
    let viewer = Viewer::join(&stage.viewer, &publisher.whep("cam"));
    let joined = start.elapsed();
    assert!(joined < Duration::from_secs(3), "it waited for {joined:?}");
    viewer.watch(10);
    publisher.assert_healthy();
}

#[test]
fn a_server_that_was_never_there_cannot_be_reached() {
    let Some(stage) = Stage::new() else { return };
    let host = &stage.server;
    let refused = format!("{}:9", host.address());
    for (scheme, path) in [
        ("sigmund+ws", "/cam"),
        ("sigmund+wss", "/cam"),
        ("whip+http", "/cam"),
        ("janus+ws", "/1234"),
        ("gstwebrtc", ""),
        ("nats", "/cam"),
    ] {
        for (place, why) in [
            (refused.as_str(), "refused"),
            ("nowhere.invalid:9", "lookup"),
        ] {
            let uri = format!("{scheme}://{place}{path}");
            let said = first_warning(host, &uri);
            assert!(
                said.contains("cannot be reached") && !said.contains("lost"),
                "{uri}: {said}"
            );
            assert!(said.contains(why), "{uri}: {said}");
        }
    }
}

#[test]
fn a_server_that_was_there_is_lost() {
    let Some(stage) = Stage::new() else { return };
    let mut relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let uri = relay.uri("cam");
    let publisher = Publisher::start(
        &stage.viewer,
        &format!("{PICTURE} ! rtcsink name=cam uri={uri}"),
    );
    publisher.address();
    relay.kill();
    publisher.warning("signalling was lost");
    let said = warnings(&publisher);
    let never = said.iter().any(|it| it.contains("cannot be reached ("));
    assert!(!never, "{said:?}");
}

#[test]
fn interfaces_that_are_not_here_are_named_at_the_start() {
    let Some(stage) = Stage::new() else { return };
    let publisher = stage.show("ice-interfaces=eth9,eth0");
    publisher.warning("eth9");
    let said = warnings(&publisher);
    let of_it: Vec<_> = said.iter().filter(|it| it.contains("eth9")).collect();
    assert_eq!(of_it.len(), 1, "{said:?}");
    let (absent, here) = of_it[0].split_once(';').unwrap();
    assert!(
        !absent.contains("eth0") && here.contains("eth0"),
        "{said:?}"
    );
    // The other one does.
    let viewer = Viewer::join_silent(&stage.viewer, &publisher.whep("cam"));
    viewer.watch(5);
}

#[test]
fn pictures_on_a_pad_for_data_are_an_error_unless_it_is_named() {
    let Some(stage) = Stage::new() else { return };
    let jpeg = "videotestsrc is-live=true ! video/x-raw,framerate=30/1 ! jpegenc";
    for element in ["rtcsink", "rtcpeer"] {
        let to = format!("{element} name=cam uri=listen://127.0.0.1:0/cam");
        let meant = Publisher::start(&stage.server, &format!("{jpeg} ! {to}"));
        let error = meant.error();
        assert!(
            ["image/jpeg", "H.264", "decoder", "cam.data_0"]
                .iter()
                .all(|it| error.contains(it)),
            "{error}"
        );
        let wanted = format!("{to} {jpeg} ! identity name=look ! cam.data_0");
        let mut wanted = Publisher::start(&stage.server, &wanted);
        eventually(SOON, "they flow as data", || {
            (wanted.look("look").buffers > 20).then_some(())
        });
        wanted.assert_healthy();
    }
}
