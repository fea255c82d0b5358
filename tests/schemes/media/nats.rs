//! `nats://`: a publisher and viewers that both only reach a NATS server.

use sigmund_tests::Publisher;

use super::{PICTURE, Stage, Viewer, on, serve};
use crate::server::{Folder, installed};

const PORT: u16 = 4222;

#[test]
fn frames_arrive_and_go_on_when_the_server_is_killed() {
    let Some(program) = installed("nats-server", "Debian package nats-server") else {
        return;
    };
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let host = stage.lab.host("nats");
    let folder = Folder::new("nats-media");
    folder.write(
        "nats.conf",
        &format!("listen: \"{}:{PORT}\"\n", host.address()),
    );
    let start = || {
        let mut command = host.command(program.to_str().unwrap());
        command.arg("--config").arg(folder.0.join("nats.conf"));
        serve("nats", &host, PORT, command)
    };
    let mut server = start();
    let uri = format!("nats://{}:{PORT}/front%20door", host.address());
    let mut publisher = Publisher::start(&stage.publisher, &format!("{PICTURE} uri={uri}"));
    on(&stage.viewer, || async {
        let viewer = Viewer::join(&stage.viewer, &uri).await;
        viewer.watch(30).await;
        server.kill();
        let before = viewer.answerer.seen();
        viewer.watch(60).await;
        server = start();
        // Who comes now finds the publisher, under the name that it has.
        let late = Viewer::join(&stage.viewer, &uri).await;
        late.watch(30).await;
        let after = viewer.answerer.seen();
        assert_eq!(after.broken, before.broken, "{after:?}");
        assert!(!after.closed);
        assert_eq!(publisher.emissions("peer-removed").len(), 0);
        // It leaves by a note, which finds its way again.
        viewer.signal.end(&viewer.publisher, "it has seen enough");
        viewer.signal.close().await;
        sigmund_tests::eventually(crate::SOON, "the first has left", || {
            (publisher.emissions("peer-removed").len() == 1).then_some(())
        });
        late.watch(30).await;
    });
    publisher.assert_healthy();
}
