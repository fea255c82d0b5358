//! `whip+http://`: rtcsink as a WHIP client of our own server, which passes it on
//! to the one that waits.

use std::time::Duration;

use sigmund_tests::{Publisher, Relay};

use super::theirs::{Screen, plugin};
use super::{PICTURE, PLAIN, STAMPED, Stage, Viewer, documented, on};

/// Long enough to be there, and waiting.
const WAITS: Duration = Duration::from_secs(2);

#[test]
fn a_server_passes_media_on_to_the_one_that_waits() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("relay");
    let relay = Relay::start(&host, &["--anonymous", "all"]);
    let whip = format!("whip+http://{}:8080/whip/cam", host.address());
    let pipeline = format!("{PICTURE} uri={whip}");
    let mut publisher = None;
    on(&stage.viewer, || async {
        // A WHIP client that comes to nobody is turned away for good.
        let uri = relay.uri("cam");
        let mut joining = Box::pin(Viewer::join(&stage.viewer, &uri));
        let early = tokio::time::timeout(WAITS, &mut joining).await;
        assert!(early.is_err());
        let publisher = publisher.insert(Publisher::start(&stage.publisher, &pipeline));
        let viewer = joining.await;
        viewer.watch(30).await;
        assert_eq!(publisher.emissions("peer-added")[0][0], "whip-1");
        viewer.signal.close().await;
        drop(viewer.answerer);
        // One that has been served comes back until somebody waits again.
        let next = Viewer::join(&stage.viewer, &uri).await;
        next.watch(30).await;
    });
    publisher.unwrap().assert_healthy();
}

/// The command of the documents, at a WHIP server of another make.
#[test]
fn a_server_of_another_make_shows_moving_pictures() {
    let Some(plugin) = plugin() else { return };
    let Some(stage) = Stage::new() else { return };
    let server = format!("http://{}:8190", stage.viewer.address());
    let source = format!("whipserversrc stun-server=\"\" signaller::host-addr={server}");
    let mut screen = Screen::open(&stage.viewer, "whipserversrc", &plugin, &source);
    let pipeline = documented::pipeline(
        "whip+https",
        &[
            (
                "https://sfu.example/whip/live",
                &format!("{server}/whip/endpoint"),
            ),
            (PLAIN, STAMPED),
        ],
    );
    let mut publisher = Publisher::start(&stage.publisher, &pipeline);
    screen.watch(60);
    assert_eq!(publisher.emissions("peer-added").len(), 1);
    publisher.assert_healthy();
}
