//! `whip+http://`: rtcsink as a WHIP client of our own server, which passes it on
//! to the one that waits.

use sigmund_tests::process::Process;
use sigmund_tests::{Publisher, Relay};

use super::theirs::{Screen, launch, plugin};
use super::{PICTURE, PLAIN, STAMPED, Stage, Viewer, documented, on, received};
use crate::server::{Authority, Folder};

/// The publisher is there first: nobody waits yet.
#[test]
fn a_server_passes_media_on_to_the_one_that_waits() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("relay");
    let relay = Relay::start(&host, &["--anonymous", "all"]);
    let whip = format!("whip+http://{}:8080/whip/cam", host.address());
    let pipeline = format!("{PICTURE} uri={whip}");
    let mut publisher = Publisher::start(&stage.publisher, &pipeline);
    publisher.warning("404");
    assert_eq!(publisher.emissions("peer-added").len(), 0);
    on(&stage.viewer, || async {
        let uri = relay.uri("cam");
        let viewer = Viewer::join(&stage.viewer, &uri).await;
        viewer.watch(30).await;
        assert_eq!(publisher.emissions("peer-added").len(), 1);
        viewer.signal.close().await;
        drop(viewer.answerer);
        // It comes back until somebody waits again.
        let next = Viewer::join(&stage.viewer, &uri).await;
        next.watch(30).await;
    });
    publisher.assert_healthy();
}

/// What is said for good ends the attempts.
#[test]
fn a_server_that_wants_a_token_is_an_error_that_says_so() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("relay");
    let _relay = Relay::start(&host, &["--anonymous", "view"]);
    let whip = format!("whip+http://{}:8080/whip/cam", host.address());
    let publisher = Publisher::start(&stage.publisher, &format!("{PICTURE} uri={whip}"));
    let error = publisher.error();
    assert!(error.contains("403") && error.contains("token"), "{error}");
}

/// The command of the documents, just so: with a token, and with TLS all the way.
#[test]
fn a_token_and_tls_are_all_that_a_strict_server_wants() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("sfu");
    let address = host.address().to_string();
    let tls = Authority::new("whip-https", &address);
    let folder = Folder::new("whip-tokens");
    folder.write("tokens", "SECRET publish live\nVIEW view live\n");
    let tokens = folder.0.join("tokens").display().to_string();
    let (certificate, key) = (tls.certificate(), tls.key());
    let tls_files = ["--tls-certificate", &certificate, "--tls-key", &key];
    let words = [&["--token-file", &tokens], tls_files.as_slice()].concat();
    let _relay = Relay::start(&host, &words);
    let ca = tls.ca();
    let source = format!("rtcsrc uri=sigmund+wss://{address}:8080/live token=VIEW tls-ca={ca}");
    let mut receiver = received::watch(&stage.viewer, &source);
    let at = format!("{address}:8080");
    let replaced = [("sfu.example", at.as_str()), (PLAIN, STAMPED)];
    let pipeline = documented::pipeline("whip+https", &replaced);
    let pipeline = format!("{pipeline} tls-ca={ca}");
    let mut publisher = Publisher::start(&stage.publisher, &pipeline);
    received::assert_moving(&mut receiver, 60);
    publisher.assert_healthy();
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

/// The other way round: a client of another make, at our server.
#[test]
fn a_client_of_another_make_is_passed_on_to_the_one_that_waits() {
    let Some(plugin) = plugin() else { return };
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("relay");
    let relay = Relay::start(&host, &["--anonymous", "all"]);
    let sink = format!(
        "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! \
         whipclientsink stun-server=\"\" video-caps=video/x-vp8 \
         signaller::whip-endpoint=http://{}:8080/whip/cam",
        host.address()
    );
    on(&stage.viewer, || async {
        let uri = relay.uri("cam");
        let joining = Viewer::join(&stage.viewer, &uri);
        let client = async {
            // It asks once.
            while relay.streams(&stage.viewer).is_none_or(|it| it.is_empty()) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            Process::spawn("whipclientsink", launch(&stage.publisher, &plugin, &sink))
        };
        let (viewer, _client) = tokio::join!(joining, client);
        viewer.watch(30).await;
    });
}
