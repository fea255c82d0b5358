//! `nats://`: a publisher and viewers that both only reach a NATS server.

use std::path::PathBuf;

use sigmund_tests::process::Process;
use sigmund_tests::{Host, Publisher};

use super::{PICTURE, Stage, Viewer, on, serve};
use crate::server::{Folder, installed};

const PORT: u16 = 4222;

/// A NATS server on a host of its own.
pub(super) struct Nats {
    process: Process,
    program: PathBuf,
    host: Host,
    folder: Folder,
}

impl Nats {
    pub(super) fn start(stage: &mut Stage) -> Option<Self> {
        let program = installed("nats-server", "Debian package nats-server")?;
        let host = stage.lab.host("nats");
        let folder = Folder::new("nats-media");
        let listen = format!("listen: \"{}:{PORT}\"\n", host.address());
        folder.write("nats.conf", &listen);
        Some(Self {
            process: spawn(&host, &program, &folder),
            program,
            host,
            folder,
        })
    }

    pub(super) fn uri(&self, stream: &str) -> String {
        format!("nats://{}:{PORT}/{stream}", self.host.address())
    }

    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    pub(super) fn restart(&mut self) {
        self.process = spawn(&self.host, &self.program, &self.folder);
    }
}

fn spawn(host: &Host, program: &std::path::Path, folder: &Folder) -> Process {
    let mut command = host.command(program.to_str().unwrap());
    command.arg("--config").arg(folder.0.join("nats.conf"));
    serve("nats", host, PORT, command)
}

#[test]
fn frames_arrive_and_go_on_when_the_server_is_killed() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let Some(mut server) = Nats::start(&mut stage) else {
        return;
    };
    let uri = server.uri("front%20door");
    let mut publisher = Publisher::start(&stage.publisher, &format!("{PICTURE} uri={uri}"));
    on(&stage.viewer, || async {
        let viewer = Viewer::join(&stage.viewer, &uri).await;
        viewer.watch(30).await;
        server.kill();
        let before = viewer.answerer.seen();
        viewer.watch(60).await;
        server.restart();
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
