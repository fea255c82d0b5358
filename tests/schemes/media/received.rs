//! `rtcsrc` watches: what elements of another make publish, and by schemes that
//! need no server of ours.

use std::io::Write;
use std::process::ChildStdin;

use sigmund_tests::process::Process;
use sigmund_tests::publisher::plugin_directory;
use sigmund_tests::{Host, Publisher, Relay, eventually};

use super::janus::Gateway;
use super::theirs::plugin;
use super::{PICTURE, STAMPED, Stage, nats, with_plugin};
use crate::SOON;
use crate::server::Folder;

/// Where pictures are looked at.
const LOOK: &str =
    "videoconvert ! video/x-raw,format=I420 ! identity name=look ! fakesink sync=true";

/// A source whose pictures are looked at.
pub(super) fn watch(host: &Host, source: &str) -> Publisher {
    Publisher::start(host, &format!("{source} ! {LOOK}"))
}

fn rtcsrc(host: &Host, uri: &str) -> Publisher {
    watch(host, &format!("rtcsrc uri={uri}"))
}

/// So many more pictures, each newer than the one before.
#[track_caller]
pub(super) fn assert_moving(receiver: &mut Publisher, more: u64) {
    let goal = receiver.look("look").buffers + more;
    let sight = eventually(SOON * 2, "moving pictures", || {
        let sight = receiver.look("look");
        (sight.buffers >= goal).then_some(sight)
    });
    let numbers = sight.numbers();
    let forward = numbers.windows(2).all(|pair| pair[1] > pair[0]);
    assert!(forward && numbers.len() > 20, "{numbers:?}");
    receiver.assert_healthy();
}

/// A pipeline with elements of theirs whose pictures are stamped.
fn theirs(host: &Host, pipeline: &str) -> Option<Publisher> {
    let plugin = plugin()?;
    let (ours, theirs) = (plugin_directory(), plugin.display());
    let path = format!("{}:{theirs}", ours.display());
    let registry = format!("{theirs}/registry-with-ours.bin");
    let environment = [
        ("GST_PLUGIN_PATH", path.as_str()),
        ("GST_REGISTRY", &registry),
    ];
    Some(Publisher::start_with(host, pipeline, &environment))
}

#[test]
fn webrtcsink_is_watched_by_our_server() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("relay");
    let address = host.address();
    let relay = Relay::start(&host, &["--anonymous", "all"]);
    let pipeline = format!(
        "{STAMPED} ! webrtcsink stun-server=\"\" video-caps=video/x-vp8 meta=meta,name=door \
         signaller::uri=ws://{address}:8080"
    );
    let Some(mut sender) = theirs(&stage.publisher, &pipeline) else {
        return;
    };
    eventually(SOON, "the stream is listed", || {
        (relay.streams(&stage.viewer)? == ["door"]).then_some(())
    });
    for uri in [
        relay.uri("door"),
        format!("whep+http://{address}:8080/whep/door"),
    ] {
        let mut receiver = rtcsrc(&stage.viewer, &uri);
        assert_moving(&mut receiver, 60);
    }
    sender.assert_healthy();
}

#[test]
fn whepserversink_is_watched_by_whep() {
    let Some(stage) = Stage::new() else { return };
    let server = format!("http://{}:8190", stage.publisher.address());
    let pipeline = format!(
        "{STAMPED} ! whepserversink stun-server=\"\" video-caps=video/x-vp8 \
         signaller::host-addr={server}"
    );
    let Some(mut sender) = theirs(&stage.publisher, &pipeline) else {
        return;
    };
    let mut receiver = rtcsrc(&stage.viewer, &format!("whep+{server}/whep/endpoint"));
    assert_moving(&mut receiver, 60);
    sender.assert_healthy();
}

#[test]
fn nats_alone_brings_both_ends_together() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let Some(mut server) = nats::Nats::start(&mut stage) else {
        return;
    };
    let uri = server.uri("front%20door");
    let sink = format!("{STAMPED} ! rtcsink name=sink uri={uri}");
    let mut sender = Publisher::start(&stage.publisher, &sink);
    let mut receiver = rtcsrc(&stage.viewer, &uri);
    assert_moving(&mut receiver, 60);
    server.kill();
    assert_moving(&mut receiver, 60);
    server.restart();
    let mut late = rtcsrc(&stage.viewer, &uri);
    assert_moving(&mut late, 60);
    assert_moving(&mut receiver, 30);
    sender.assert_healthy();
}

/// Janus offers; who publishes changes, and Janus itself dies.
#[test]
fn whoever_publishes_to_a_room_of_janus_is_watched() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let Some(mut janus) = Gateway::start(&mut stage) else {
        return;
    };
    let uri = janus.uri();
    let publish = |host: &Host| {
        let sink = format!("{STAMPED} ! rtcsink name=sink video-codecs=VP8 uri={uri}");
        Publisher::start(host, &sink)
    };
    let mut receiver = rtcsrc(&stage.viewer, &uri);
    receiver.warning("nobody publishes");
    let mut first = publish(&stage.publisher);
    assert_moving(&mut receiver, 60);
    // Whose connection is merely cut Janus keeps for a minute.
    first.state("null");
    let mut second = publish(&stage.publisher);
    assert_goes_on(&mut receiver);
    janus.kill();
    janus.restart();
    assert_goes_on(&mut receiver);
    second.assert_healthy();
}

/// Another one's pictures come, whose numbers begin anew.
#[track_caller]
fn assert_goes_on(receiver: &mut Publisher) {
    let goal = receiver.look("look").buffers + 90;
    eventually(SOON * 2, "more pictures", || {
        (receiver.look("look").buffers >= goal).then_some(())
    });
    receiver.assert_healthy();
}

/// One line each way, carried by somebody's hand: whatever is needed is in it.
#[test]
fn two_lines_copied_and_pasted_are_enough() {
    let Some(stage) = Stage::new() else { return };
    let sink = format!("{PICTURE} uri=stdio:");
    let (sender, mut sender_in) = launch(&stage.publisher, "sender", &sink);
    let folder = Folder::new("pasted");
    let frames = folder.0.join("frames");
    let source = format!(
        "rtcsrc uri=stdio: ! videoconvert ! video/x-raw,format=I420,width=320,height=240 ! \
         filesink buffer-mode=unbuffered location={}",
        frames.display()
    );
    let (receiver, mut receiver_in) = launch(&stage.viewer, "receiver", &source);
    let offer = copied(&sender);
    assert!(
        offer.contains(r#""type":"offer""#) && offer.contains("a=candidate:"),
        "{offer}"
    );
    writeln!(receiver_in, "{offer}").unwrap();
    let answer = copied(&receiver);
    assert!(
        answer.contains(r#""type":"answer""#) && answer.contains("a=candidate:"),
        "{answer}"
    );
    writeln!(sender_in, "{answer}").unwrap();
    eventually(SOON, "60 pictures", || {
        let length = std::fs::metadata(&frames).ok()?.len();
        (length >= 60 * 320 * 240 * 3 / 2).then_some(())
    });
    for process in [&sender, &receiver] {
        assert_eq!(notes(process).len(), 1, "{}", process.log());
    }
}

/// gst-launch with our plugin, which shows its notes and waits for others'.
fn launch(host: &Host, name: &str, pipeline: &str) -> (Process, ChildStdin) {
    let mut command = with_plugin(host, "gst-launch-1.0");
    // Standard error is a file here, and others write to it: nothing is lost.
    command.env("GST_DEBUG", "rtcsession:5");
    command.arg("-q").args(pipeline.split_whitespace());
    let mut process = Process::piped(name, command);
    let stdin = process.stdin();
    (process, stdin)
}

/// The notes on its standard error.
fn notes(process: &Process) -> Vec<String> {
    let log = process.log();
    let notes = log.lines().filter(|line| line.starts_with(r#"{"type":"#));
    notes.map(str::to_owned).collect()
}

#[track_caller]
fn copied(process: &Process) -> String {
    eventually(SOON, "a note to copy", || notes(process).pop())
}
