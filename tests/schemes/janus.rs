//! `janus+ws://` against Janus.

use std::path::{Path, PathBuf};
use std::process::Command;

use sigmund::message::Message;
use sigmund::signaller::{Options, Role};

use crate::Signal;
use crate::server::{Authority, Folder, Server, free_port, installed};

/// Where Debian puts Janus' modules.
const MODULES: &str = "/usr/lib/x86_64-linux-gnu/janus";

struct Janus {
    server: Server,
    _folder: Folder,
}

/// With a room 1234, a room 2345 with the PIN `pin`, and what `general` adds to
/// `janus.jcfg`.
fn janus(name: &str, general: &str, string_ids: bool) -> Option<Janus> {
    let program = installed("janus", "Debian package janus")?;
    let port = free_port();
    let folder = Folder::new(name);
    configure(&folder, "127.0.0.1", port, general, string_ids);
    let config = folder.0.clone();
    let server = Server::start("janus", port, move || {
        let mut command = Command::new(&program);
        command.args(arguments(&config));
        command
    });
    Some(Janus {
        server,
        _folder: folder,
    })
}

/// What Janus is started with.
pub(crate) fn arguments(config: &Path) -> [PathBuf; 4] {
    let file = config.join("janus.jcfg");
    ["-F".into(), config.to_owned(), "-C".into(), file]
}

/// Writes the configuration of a Janus that has the one address.
pub(crate) fn configure(
    folder: &Folder,
    address: &str,
    port: u16,
    general: &str,
    string_ids: bool,
) {
    let here = folder.0.display();
    // Only what is used is loaded: other plugins open ports of their own.
    folder.write(
        "janus.jcfg",
        &format!(
            "general: {{\n configs_folder = \"{here}\"\n plugins_folder = \"{here}/plugins\"\n \
             transports_folder = \"{here}/transports\"\n events_folder = \"{here}/events\"\n \
             loggers_folder = \"{here}/loggers\"\n log_to_stdout = true\n debug_level = 4\n {general}\n}}\n\
             nat: {{\n ice_enforce_list = \"{address}\"\n ignore_mdns = true\n}}\n"
        ),
    );
    folder.write(
        "janus.transport.websockets.jcfg",
        &format!(
            "general: {{\n ws = true\n ws_port = {port}\n ws_ip = \"{address}\"\n wss = false\n}}\n"
        ),
    );
    folder.write(
        "janus.plugin.videoroom.jcfg",
        &format!(
            "general: {{\n string_ids = {string_ids}\n}}\n\
             room-1234: {{\n description = \"open\"\n publishers = 6\n videocodec = \"vp8,h264\"\n}}\n\
             room-2345: {{\n description = \"locked\"\n publishers = 6\n pin = \"pin\"\n}}\n"
        ),
    );
    for (kind, module) in [
        ("plugins", "libjanus_videoroom.so"),
        ("transports", "libjanus_websockets.so"),
    ] {
        let kind_folder = folder.0.join(kind);
        std::fs::create_dir_all(&kind_folder).unwrap();
        let link = kind_folder.join(module);
        std::os::unix::fs::symlink(format!("{MODULES}/{kind}/{module}"), link).unwrap();
    }
}

impl Janus {
    fn uri(&self, room: &str) -> String {
        format!("janus+ws://127.0.0.1:{}/{room}", self.server.port)
    }
}

#[tokio::test]
async fn an_offer_is_answered_and_candidates_travel() {
    let Some(janus) = janus("janus-offer", "", false) else {
        return;
    };
    let mut signal = Signal::publish(&janus.uri("1234"), None);
    let (peer, info) = signal.joined().await;
    assert_eq!(info.protocol, "janus");
    let takes = info.receives.unwrap().video;
    let names: Vec<_> = takes.iter().map(|it| it.codec.as_str()).collect();
    assert_eq!(names, ["VP8", "H264"]);
    signal.offer(&peer);
    let (_, message) = signal.message().await;
    let Message::Answer { sdp } = message else {
        panic!("{message:?}")
    };
    assert!(sdp.contains("VP8") && sdp.contains("a=recvonly"), "{sdp}");
    signal.trickle(&peer);
    signal.say(&peer, Message::EndOfCandidates);
    signal.close().await;
}

#[tokio::test]
async fn rooms_may_be_named_by_texts() {
    let Some(janus) = janus("janus-texts", "", true) else {
        return;
    };
    let mut signal = Signal::publish(&janus.uri("1234"), None);
    let (peer, _) = signal.joined().await;
    signal.offer(&peer);
    assert!(matches!(signal.message().await.1, Message::Answer { .. }));
}

#[tokio::test]
async fn a_room_that_is_not_there_says_how_it_is_made() {
    let Some(janus) = janus("janus-room", "", false) else {
        return;
    };
    let text = Signal::publish(&janus.uri("99"), None).failed().await;
    assert!(
        text.contains("426") && text.contains("janus.plugin.videoroom.jcfg"),
        "{text}"
    );
    let text = Signal::publish(&janus.uri("lobby"), None).failed().await;
    assert!(text.contains("string_ids"), "{text}");
}

#[tokio::test]
async fn a_locked_room_wants_its_pin() {
    let Some(janus) = janus("janus-pin", "", false) else {
        return;
    };
    for wrong in [None, Some("nip")] {
        let text = Signal::publish(&janus.uri("2345"), wrong).failed().await;
        assert!(text.contains("token"), "{text}");
    }
    Signal::publish(&janus.uri("2345"), Some("pin"))
        .joined()
        .await;
}

#[tokio::test]
async fn a_janus_with_a_secret_wants_it() {
    let Some(janus) = janus("janus-secret", "api_secret = \"secret\"", false) else {
        return;
    };
    let text = Signal::publish(&janus.uri("1234"), Some("guess"))
        .failed()
        .await;
    assert!(text.contains("403") && text.contains("token"), "{text}");
    Signal::publish(&janus.uri("1234"), Some("secret"))
        .joined()
        .await;
}

#[tokio::test]
async fn a_janus_with_tls_is_verified() {
    let Some(program) = installed("janus", "Debian package janus") else {
        return;
    };
    let (plain, port) = (free_port(), free_port());
    let folder = Folder::new("janus-tls");
    configure(&folder, "127.0.0.1", plain, "", false);
    let tls = Authority::new("janus-ca", "127.0.0.1");
    folder.write(
        "janus.transport.websockets.jcfg",
        &format!(
            "general: {{\n ws = false\n wss = true\n wss_port = {port}\n wss_ip = \"127.0.0.1\"\n}}\n\
             certificates: {{\n cert_pem = \"{}\"\n cert_key = \"{}\"\n}}\n",
            tls.certificate(),
            tls.key()
        ),
    );
    let config = folder.0.clone();
    let _server = Server::start("janus", port, move || {
        let mut command = Command::new(&program);
        command.args(arguments(&config));
        command
    });
    let uri = format!("janus+wss://127.0.0.1:{port}/1234");
    let mut options = Options::new(Role::Publish, "camera");
    let text = Signal::open(&uri, &options).failed().await;
    assert!(text.contains("tls-ca"), "{text}");
    options.tls_ca = Some(tls.ca().into());
    let mut signal = Signal::open(&uri, &options);
    let (peer, _) = signal.joined().await;
    signal.offer(&peer);
    assert!(matches!(signal.message().await.1, Message::Answer { .. }));
}

#[tokio::test]
async fn a_session_that_ends_is_followed_by_another() {
    let Some(janus) = janus("janus-next", "", false) else {
        return;
    };
    let mut signal = Signal::publish(&janus.uri("1234"), None);
    let (peer, _) = signal.joined().await;
    signal.offer(&peer);
    signal.message().await;
    signal.end(&peer, "no network path");
    assert_eq!(signal.left().await.0, peer);
    let (next, _) = signal.joined().await;
    assert_ne!(next, peer);
    signal.offer(&next);
    assert!(matches!(signal.message().await.1, Message::Answer { .. }));
}

#[tokio::test]
async fn a_janus_that_was_killed_is_joined_again() {
    let Some(mut janus) = janus("janus-kill", "", false) else {
        return;
    };
    let mut signal = Signal::publish(&janus.uri("1234"), None);
    let (peer, _) = signal.joined().await;
    signal.offer(&peer);
    signal.message().await;
    janus.server.kill();
    signal.down().await;
    janus.server.restart();
    assert_eq!(signal.left().await.0, peer);
    let (next, _) = signal.joined().await;
    signal.offer(&next);
    assert!(matches!(signal.message().await.1, Message::Answer { .. }));
}
