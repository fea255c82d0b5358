//! `gstwebrtc(s)://`: gst-plugins-rs' own elements watch, by their signalling
//! server and by ours.

use std::path::PathBuf;
use std::process::Command;

use sigmund_tests::process::Process;
use sigmund_tests::{Host, Publisher, Relay, eventually};

use super::theirs::{Screen, launch, plugin};
use super::{STAMPED, Stage, serve};
use crate::SOON;
use crate::server::{Authority, installed};

const PORT: u16 = 8443;

/// What shows the stream of that id, by the server at `url`.
fn webrtcsrc(url: &str, which: &str) -> String {
    format!("webrtcsrc stun-server=\"\" signaller::uri={url} {which}")
}

/// A server that knows one stream only gives that one.
const FIRST: &str = "connect-to-first-producer=true";

fn id(stream: &str) -> String {
    format!("signaller::producer-peer-id={stream}")
}

/// Their server.
fn theirs(host: &Host, tls: Option<&Authority>) -> Option<Process> {
    let package = "crate gst-plugin-webrtc-signalling";
    let program = installed("gst-webrtc-signalling-server", package)?;
    let mut command: Command = host.command(program.to_str().unwrap());
    command.args(["--host", &host.address().to_string()]);
    command.args(["--port", &PORT.to_string()]);
    if let Some(tls) = tls {
        command.args(["--cert", &tls.certificate(), "--key", &tls.key()]);
    }
    Some(serve("gst-signalling", host, PORT, command))
}

/// webrtcsrc looks for producers once: they must be there first.
#[track_caller]
fn await_log(line: &str, log: impl Fn() -> String) {
    eventually(SOON, line, || log().contains(line).then_some(()));
}

/// It leaves, and rtcsink knows.
#[track_caller]
fn leaves(screen: Screen, publisher: &mut Publisher) {
    drop(screen);
    eventually(SOON * 3, "it has left", || {
        (publisher.emissions("peer-removed").len() == 1).then_some(())
    });
    assert_eq!(publisher.emissions("peer-added").len(), 1);
    publisher.assert_healthy();
}

#[test]
fn webrtcsrc_watches_by_its_own_server() {
    let Some(plugin) = plugin() else { return };
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("signalling");
    let Some(server) = theirs(&host, None) else {
        return;
    };
    let sink = format!("rtcsink uri=gstwebrtc://{}:{PORT}/door", host.address());
    let mut publisher =
        Publisher::start(&stage.publisher, &format!("{STAMPED} ! {sink} name=sink"));
    await_log("registered as [Producer]", || server.log());
    let url = format!("ws://{}:{PORT}", host.address());
    let source = webrtcsrc(&url, FIRST);
    let mut screen = Screen::open(&stage.viewer, "webrtcsrc", &plugin, &source);
    screen.watch(60);
    leaves(screen, &mut publisher);
}

#[test]
fn webrtcsrc_watches_by_its_own_server_with_tls() {
    let Some(plugin) = plugin() else { return };
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("signalling");
    let tls = Authority::new("gstwebrtcs", &host.address().to_string());
    let Some(server) = theirs(&host, Some(&tls)) else {
        return;
    };
    let address = host.address();
    let sink = format!(
        "rtcsink name=sink uri=gstwebrtcs://{address}:{PORT}/door tls-ca={}",
        tls.ca()
    );
    let mut publisher = Publisher::start(&stage.publisher, &format!("{STAMPED} ! {sink}"));
    await_log("registered as [Producer]", || server.log());
    let which = format!("{FIRST} signaller::cafile={}", tls.ca());
    let source = webrtcsrc(&format!("wss://{address}:{PORT}"), &which);
    let mut screen = Screen::open(&stage.viewer, "webrtcsrc", &plugin, &source);
    screen.watch(60);
    leaves(screen, &mut publisher);
}

#[test]
fn webrtcsrc_watches_by_our_server() {
    let Some(plugin) = plugin() else { return };
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("relay");
    let relay = Relay::start(&host, &["--anonymous", "all"]);
    let address = host.address();
    // As their kind of producer, and as ours.
    for (stream, uri) in [
        ("door", format!("gstwebrtc://{address}:8080/door")),
        ("cam", relay.uri("cam")),
    ] {
        let pipeline = format!("{STAMPED} ! rtcsink name=sink uri={uri}");
        let mut publisher = Publisher::start(&stage.publisher, &pipeline);
        eventually(SOON, "the stream is listed", || {
            relay
                .streams(&stage.viewer)?
                .contains(&stream.to_owned())
                .then_some(())
        });
        let source = webrtcsrc(&format!("ws://{address}:8080"), &id(stream));
        let mut screen = Screen::open(&stage.viewer, "webrtcsrc", &plugin, &source);
        screen.watch(60);
        leaves(screen, &mut publisher);
    }
}

#[test]
fn webrtcsrc_watches_by_our_server_with_tls() {
    let Some(plugin) = plugin() else { return };
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("relay");
    let address = host.address();
    let tls = Authority::new("gstwebrtcs-ours", &address.to_string());
    let (certificate, key) = (tls.certificate(), tls.key());
    let files = ["--tls-certificate", &certificate, "--tls-key", &key];
    let words = [&["--anonymous", "all"], files.as_slice()].concat();
    let relay = Relay::start(&host, &words);
    let uri = format!("gstwebrtcs://{address}:8080/door tls-ca={}", tls.ca());
    let pipeline = format!("{STAMPED} ! rtcsink name=sink uri={uri}");
    let mut publisher = Publisher::start(&stage.publisher, &pipeline);
    await_log("a stream is here", || relay.log());
    let which = format!("{FIRST} signaller::cafile={}", tls.ca());
    let source = webrtcsrc(&format!("wss://{address}:8080"), &which);
    let mut screen = Screen::open(&stage.viewer, "webrtcsrc", &plugin, &source);
    screen.watch(60);
    leaves(screen, &mut publisher);
}

#[test]
fn webrtcsrc_watches_an_rtcsink_without_any_other_server() {
    let Some(plugin) = plugin() else { return };
    let Some(stage) = Stage::new() else { return };
    let address = stage.publisher.address();
    let uri = format!("listen://{address}:8080/cam allow-anonymous=true");
    let pipeline = format!("{STAMPED} ! rtcsink name=sink uri={uri}");
    let mut publisher = Publisher::start(&stage.publisher, &pipeline);
    publisher.address();
    let source = webrtcsrc(&format!("ws://{address}:8080"), &id("cam"));
    let mut screen = Screen::open(&stage.viewer, "webrtcsrc", &plugin, &source);
    screen.watch(60);
    leaves(screen, &mut publisher);
}

/// A moving picture and a tone by their element, listed as `door`.
fn webrtcsink(host: &Host, plugin: &PathBuf, url: &str) -> Process {
    let sink = format!(
        "webrtcsink name=w stun-server=\"\" signaller::uri={url} meta=meta,name=door \
         congestion-control=disabled"
    );
    let pipeline = format!(
        "{sink} videotestsrc is-live=true pattern=ball ! \
         video/x-raw,width=320,height=240,framerate=30/1 ! queue ! w. \
         audiotestsrc is-live=true freq=440 ! queue ! w."
    );
    Process::spawn("webrtcsink", launch(host, plugin, &pipeline))
}

/// What takes it all, raw.
fn rtcsrc(host: &Host, uri: &str) -> Publisher {
    let pipeline = format!(
        "rtcsrc name=src uri={uri} src. ! videoconvert ! video/x-raw,format=I420 ! \
         identity name=look ! fakesink sync=true src. ! audioconvert ! \
         audio/x-raw,format=S16LE ! identity name=look-sound ! fakesink sync=true"
    );
    Publisher::start(host, &pipeline)
}

/// So many more moving pictures, and sound.
#[track_caller]
fn receives(receiver: &mut Publisher, frames: u64) {
    let before = receiver.look("look").moved;
    let heard = receiver.look("look-sound").buffers;
    eventually(SOON * 3, "moving pictures and sound", || {
        let sight = receiver.look("look");
        let sound = receiver.look("look-sound");
        (sight.moved > before + frames && sound.buffers > heard + frames).then_some(())
    });
    let sight = receiver.look("look");
    assert_eq!((sight.starts, sight.ended), (1, false));
    let caps = sight.caps.last().unwrap();
    assert!(caps.contains("width=(int)320, height=(int)240"), "{caps}");
    receiver.assert_healthy();
}

#[test]
fn rtcsrc_watches_webrtcsink_by_its_own_server() {
    let Some(plugin) = plugin() else { return };
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("signalling");
    let Some(_server) = theirs(&host, None) else {
        return;
    };
    let address = host.address();
    // It is there first, and waits.
    let mut receiver = rtcsrc(&stage.viewer, &format!("gstwebrtc://{address}:{PORT}/door"));
    let url = format!("ws://{address}:{PORT}");
    let first = webrtcsink(&stage.publisher, &plugin, &url);
    receives(&mut receiver, 60);
    // Killed without a word; the next one goes on where it was.
    drop(first);
    eventually(SOON * 2, "it is missed", || {
        receiver.emissions("peer-removed").pop()
    });
    let _second = webrtcsink(&stage.publisher, &plugin, &url);
    receives(&mut receiver, 60);
    // Whoever comes later and wants no one in particular finds it.
    let mut other = rtcsrc(&stage.viewer, &format!("gstwebrtc://{address}:{PORT}"));
    receives(&mut other, 30);
}

#[test]
fn rtcsrc_watches_webrtcsink_by_our_server() {
    let Some(plugin) = plugin() else { return };
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("relay");
    let relay = Relay::start(&host, &["--anonymous", "all"]);
    let address = host.address();
    let _sink = webrtcsink(&stage.publisher, &plugin, &format!("ws://{address}:8080"));
    // As one of their kind, and as one of ours.
    for uri in [
        format!("gstwebrtc://{address}:8080/door"),
        relay.uri("door"),
    ] {
        let mut receiver = rtcsrc(&stage.viewer, &uri);
        receives(&mut receiver, 60);
    }
}
