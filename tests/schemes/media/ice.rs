//! ICE servers that signalling hands out, with coturn.

use std::time::{Duration, Instant};

use sigmund_tests::viewer::Viewer;
use sigmund_tests::{Publisher, Relay};

use super::{PICTURE, Stage, serve};
use crate::server::{Folder, installed};

const PORT: u16 = 3478;

/// How long credentials are good for.
const LIFE: Duration = Duration::from_secs(8);

/// The element knows no ICE server, and may use nothing but relays.
#[test]
fn a_publisher_uses_the_relay_that_its_server_names_and_the_next_credentials() {
    let Some(program) = installed("turnserver", "Debian package coturn") else {
        return;
    };
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let (turn, host) = (stage.lab.host("turn"), stage.lab.host("relay"));
    let folder = Folder::new("turn-media");
    let (address, here) = (turn.address(), folder.0.display());
    folder.write(
        "turn.conf",
        &format!(
            "listening-ip={address}\nrelay-ip={address}\nlistening-port={PORT}\nuse-auth-secret\n\
             static-auth-secret=hush\nrealm=example.org\nno-tls\nno-dtls\nno-cli\nno-stdout-log\n\
             log-file={here}/turn.log\npidfile={here}/turn.pid\nuserdb={here}/turn.db\n"
        ),
    );
    folder.write("secret", "hush");
    let mut command = turn.command(program.to_str().unwrap());
    command.arg("-c").arg(folder.0.join("turn.conf"));
    let _coturn = serve("coturn", &turn, PORT, command);

    let (life, server) = (
        format!("{}s", LIFE.as_secs()),
        format!("turn://{address}:{PORT}"),
    );
    let secret = folder.0.join("secret").display().to_string();
    let relay = Relay::start(
        &host,
        &[
            "--anonymous",
            "all",
            "--turn-server",
            &server,
            "--turn-secret-file",
            &secret,
            "--turn-ttl",
            &life,
        ],
    );
    let began = Instant::now();
    let uri = relay.uri("cam");
    let mut publisher = Publisher::start(
        &stage.publisher,
        &format!("{PICTURE} ice-transport-policy=relay uri={uri}"),
    );
    let whep = format!("http://{}:8080/whep/cam", host.address());
    sigmund_tests::eventually(crate::SOON, "the stream is listed", || {
        (relay.streams(&stage.viewer)? == ["cam"]).then_some(())
    });
    let viewer = Viewer::join_silent(&stage.viewer, &whep);
    viewer.watch(30);
    assert!(viewer.resource().answer.contains("typ relay"));
    assert!(!viewer.resource().answer.contains("typ host"));
    // The first credentials have ended.
    std::thread::sleep(
        (began + LIFE + Duration::from_secs(2)).saturating_duration_since(Instant::now()),
    );
    let late = Viewer::join_silent(&stage.viewer, &whep);
    late.watch(30);
    publisher.assert_healthy();
}
