//! Nothing goes to, or comes from, who cannot prove to be whom it says it is.

use std::time::Duration;

use sigmund_tests::eventually;
use sigmund_tests::http;
use sigmund_tests::publisher::Command;
use sigmund_tests::viewer::{Manners, Viewer};

use crate::scenes::{SOON, Stage};

/// First with a certificate other than its description names, then with the
/// right one. `setup` is what the viewer offers: `active` makes the element the
/// DTLS server, `passive` the client.
fn certificate_decides(setup: &'static str) {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.show("");
    let manners = |impostor| Manners {
        setup,
        impostor,
        ..Manners::silent()
    };
    let endpoint = publisher.whep("cam");
    let impostor = Viewer::try_join(&stage.viewer, &endpoint, manners(true)).unwrap();
    let resource = impostor.resource().url.clone();
    eventually(
        Duration::from_secs(25),
        "the impostor's session ends",
        || {
            let session = http::request(&stage.viewer, "GET", &resource, &[], "");
            (session.status == 404).then_some(())
        },
    );
    let seen = impostor.seen();
    assert_eq!(seen.protected, 0, "SRTP reached the impostor: {seen:?}");
    assert_eq!(seen.frames, 0);
    drop(impostor);
    let listened = publisher.count(Command::Decrypted);
    assert_eq!(listened, 0, "the impostor was listened to");

    let honest = Viewer::try_join(&stage.viewer, &endpoint, manners(false)).unwrap();
    honest.watch(30);
    // The very counter that stayed at 0 counts what an honest viewer sends.
    eventually(SOON, "its reports are read", || {
        (publisher.count(Command::Decrypted) > 0).then_some(())
    });
    assert_eq!(publisher.emissions("peer-added").len(), 1);
    publisher.assert_healthy();
}

#[test]
fn the_certificate_decides_where_we_are_the_server() {
    certificate_decides("active");
}

#[test]
fn the_certificate_decides_where_we_are_the_client() {
    certificate_decides("passive");
}

#[test]
fn the_certificate_decides_where_we_may_choose() {
    certificate_decides("actpass");
}

#[test]
fn an_impostor_disturbs_nobody() {
    let Some(stage) = Stage::alone() else { return };
    let mut publisher = stage.show("");
    let endpoint = publisher.whep("cam");
    let viewer = Viewer::join_silent(&stage.viewer, &endpoint);
    viewer.watch(10);
    let impostor = Manners {
        impostor: true,
        ..Manners::silent()
    };
    let impostors: Vec<_> = (0..4)
        .map(|_| Viewer::try_join(&stage.viewer, &endpoint, impostor.clone()).unwrap())
        .collect();
    viewer.watch(90);
    let seen = viewer.seen();
    assert_eq!(seen.broken, 0);
    assert!(seen.longest_gap < Duration::from_millis(500), "{seen:?}");
    assert!(impostors.iter().all(|i| i.seen().protected == 0));
    publisher.assert_healthy();
}
