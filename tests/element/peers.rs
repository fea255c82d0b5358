//! Peers of another make: aiortc, which checks descriptions with care, takes
//! ECDSA certificates alone, and knows nothing of us.

use sigmund_tests::Publisher;
use sigmund_tests::peer::Peer;

use crate::scenes::{PICTURE, SOUND, Stage};

/// Pictures that are enough to believe in.
const FRAMES: &str = "30";

fn picture_and_sound(stage: &Stage) -> Publisher {
    let pipeline = format!("{PICTURE} ! {} {SOUND} ! cam.", stage.sink(""));
    Publisher::start(&stage.server, &pipeline)
}

#[test]
fn a_stranger_watches_by_whep() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = picture_and_sound(&stage);
    let endpoint = publisher.whep("cam");
    let counts = Peer::start(&stage.viewer, &["whep", &endpoint, FRAMES]).counts();
    assert!(counts["audio"].as_u64() > Some(0), "{counts}");
    publisher.assert_healthy();
}

/// It is the DTLS client, and offers ECDSA alone.
#[test]
fn a_stranger_watches_by_our_own_protocol() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = picture_and_sound(&stage);
    publisher.address();
    let socket = format!("ws://{}:8080/ws", stage.server.address());
    let counts = Peer::start(&stage.viewer, &["view", &socket, "cam", FRAMES]).counts();
    assert!(counts["audio"].as_u64() > Some(0), "{counts}");
    publisher.assert_healthy();
}

#[test]
fn a_strange_server_is_published_to_by_whip() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.viewer.address();
    let arguments = ["whip-server", &address.to_string(), "9000", FRAMES];
    let mut server = Peer::start(&stage.viewer, &arguments);
    assert_eq!(server.line(), "listening");
    let pipeline =
        format!("{PICTURE} ! rtcsink name=cam uri=whip+http://{address}:9000/whip {SOUND} ! cam.");
    let mut publisher = Publisher::start(&stage.server, &pipeline);
    assert_eq!(server.line(), "seen");
    publisher.assert_healthy();
    publisher.state("null");
    let counts = server.counts();
    assert!(counts["audio"].as_u64() > Some(0), "{counts}");
}
