//! `nats://` against nats-server.

use std::io::Write;
use std::process::Command;

use sigmund::message::Message;
use sigmund::signaller::{Incoming, Options, Role};

use crate::server::{Folder, Server, free_port, installed};
use crate::{CANDIDATE, OFFER, Signal};

const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";

struct Nats {
    server: Server,
    folder: Folder,
}

/// With `config` in its configuration file, where `FOLDER` is its folder.
fn nats(name: &str, config: &str) -> Option<Nats> {
    let program = installed("nats-server", "Debian package nats-server")?;
    let port = free_port();
    let folder = Folder::new(name);
    let config = config.replace("FOLDER", &folder.0.display().to_string());
    folder.write(
        "nats.conf",
        &format!("listen: \"127.0.0.1:{port}\"\n{config}\n"),
    );
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    folder.write("certificate.pem", &made.cert.pem());
    folder.write("key.pem", &made.signing_key.serialize_pem());
    let file = folder.0.join("nats.conf");
    let server = Server::start("nats", port, move || {
        let mut command = Command::new(&program);
        command.arg("--config").arg(&file);
        command
    });
    Some(Nats { server, folder })
}

impl Nats {
    fn uri(&self) -> String {
        format!("nats://127.0.0.1:{}/front%20door", self.server.port)
    }

    fn publish(&self) -> Signal {
        Signal::publish(&self.uri(), None)
    }

    fn watch(&self) -> Signal {
        Signal::open(&self.uri(), &Options::new(Role::Subscribe, "rtcsrc0"))
    }
}

/// Offers to a viewer that has joined and takes its answer, with candidates.
async fn negotiate(publisher: &mut Signal, viewer: &mut Signal) {
    let (publisher_name, info) = viewer.joined().await;
    assert_eq!(
        (publisher_name.as_str(), info.protocol.as_str()),
        ("publisher", "nats")
    );
    let (peer, info) = publisher.joined().await;
    assert_eq!(info.protocol, "nats");
    assert!(info.agent.unwrap().starts_with("sigmund/"));
    publisher.offer(&peer);
    publisher.trickle(&peer);
    assert_eq!(
        viewer.message().await.1,
        Message::Offer {
            sdp: OFFER.to_owned()
        }
    );
    let (_, message) = viewer.message().await;
    assert!(
        matches!(&message, Message::Candidate(it) if it.candidate == CANDIDATE),
        "{message:?}"
    );
    let answer = || Message::Answer {
        sdp: ANSWER.to_owned(),
    };
    viewer.say(&publisher_name, answer());
    viewer.trickle(&publisher_name);
    assert_eq!(publisher.message().await, (peer.clone(), answer()));
    assert!(matches!(publisher.message().await.1, Message::Candidate(_)));
}

#[tokio::test]
async fn viewers_join_and_notes_travel_both_ways() {
    let Some(nats) = nats("nats-join", "") else {
        return;
    };
    let mut publisher = nats.publish();
    publisher.up().await;
    let mut first = nats.watch();
    negotiate(&mut publisher, &mut first).await;
    let mut second = nats.watch();
    negotiate(&mut publisher, &mut second).await;
    // The one's end is not the other's.
    first.close().await;
    publisher.left().await;
    publisher.close().await;
    second.left().await;
}

#[tokio::test]
async fn a_viewer_waits_for_its_publisher() {
    let Some(nats) = nats("nats-wait", "") else {
        return;
    };
    let mut viewer = nats.watch();
    let reason = viewer.down().await;
    assert!(reason.contains("nobody publishes"), "{reason}");
    let mut publisher = nats.publish();
    negotiate(&mut publisher, &mut viewer).await;
}

#[tokio::test]
async fn a_stream_has_one_publisher() {
    let Some(nats) = nats("nats-rival", "") else {
        return;
    };
    let mut first = nats.publish();
    first.up().await;
    let text = nats.publish().failed().await;
    assert!(text.contains("already"), "{text}");
    first.close().await;
    nats.publish().up().await;
}

#[tokio::test]
async fn sessions_outlive_a_server_that_is_killed() {
    let Some(mut nats) = nats("nats-kill", "") else {
        return;
    };
    let mut publisher = nats.publish();
    publisher.up().await;
    let mut viewer = nats.watch();
    viewer.up().await;
    let (peer, _) = publisher.joined().await;
    let (publisher_name, _) = viewer.joined().await;
    nats.server.kill();
    publisher.down().await;
    viewer.down().await;
    nats.server.restart();
    publisher.up().await;
    viewer.up().await;
    // Nobody has left or joined: these are the next things that happen.
    publisher.offer(&peer);
    let message = Message::Offer {
        sdp: OFFER.to_owned(),
    };
    let note = Incoming::Message {
        peer: publisher_name.clone(),
        message,
    };
    assert_eq!(viewer.incoming().await, note);
    viewer.trickle(&publisher_name);
    let note = publisher.incoming().await;
    assert!(
        matches!(&note, Incoming::Message { peer: from, .. } if *from == peer),
        "{note:?}"
    );
}

#[tokio::test]
async fn a_publisher_that_vanished_is_noticed_when_it_is_spoken_to() {
    let Some(nats) = nats("nats-vanish", "") else {
        return;
    };
    let mut publisher = nats.publish();
    publisher.up().await;
    let mut viewer = nats.watch();
    let (publisher_name, _) = viewer.joined().await;
    publisher.joined().await;
    // Without a farewell.
    drop(publisher);
    let mut next = nats.publish();
    next.up().await;
    viewer.trickle(&publisher_name);
    let (_, reason) = viewer.left().await;
    assert!(reason.contains("gone"), "{reason}");
    negotiate(&mut next, &mut viewer).await;
}

#[tokio::test]
async fn a_token_or_a_user_lets_in() {
    let token = "authorization { token: secret }";
    let user = "authorization { user: camera, password: \"a:b\" }";
    for (config, right, wrong) in [(token, "secret", "guess"), (user, "camera:a:b", "camera:c")] {
        let Some(nats) = nats("nats-token", config) else {
            return;
        };
        Signal::publish(&nats.uri(), Some(right)).up().await;
        for wrong in [None, Some(wrong)] {
            let text = Signal::publish(&nats.uri(), wrong).failed().await;
            assert!(text.contains("token") && !text.contains("guess"), "{text}");
        }
    }
}

#[tokio::test]
async fn what_nats_forbids_is_told() {
    let config = "authorization { users: [{ user: a, password: b, permissions: { publish: \">\", subscribe: \"_INBOX.>\" } }] }";
    let Some(nats) = nats("nats-forbid", config) else {
        return;
    };
    let mut publisher = Signal::publish(&nats.uri(), Some("a:b"));
    let pick = |event| match event {
        sigmund::signaller::supervisor::Event::Failed(error) => Some(error.to_string()),
        _ => None,
    };
    let text = publisher.next("failure", pick).await;
    assert!(
        text.contains("forbids") && text.contains("sigmund.v1.front%20door"),
        "{text}"
    );
}

#[tokio::test]
async fn a_viewer_that_may_not_be_answered_harms_nobody_else() {
    let config = "authorization { users: [\
        { user: a, password: b, permissions: { publish: [\"sigmund.>\", \"_INBOX.>\"], subscribe: \">\" } }, \
        { user: c, password: d } ] }";
    let Some(nats) = nats("nats-inbox", config) else {
        return;
    };
    let mut publisher = Signal::publish(&nats.uri(), Some("a:b"));
    publisher.up().await;
    // Its inbox is where the publisher may not speak.
    let hello = r#"{"type":"hello","version":"sigmund.v1","role":"view","stream":"front door"}"#;
    let words = format!(
        "CONNECT {{\"verbose\":false,\"user\":\"c\",\"pass\":\"d\"}}\r\n\
         PUB sigmund.v1.front%20door.join secrets.all {}\r\n{hello}\r\nPING\r\n",
        hello.len()
    );
    let mut mallory = std::net::TcpStream::connect(("127.0.0.1", nats.server.port)).unwrap();
    mallory.write_all(words.as_bytes()).unwrap();
    let (peer, _) = publisher.joined().await;
    let (left, reason) = publisher.left().await;
    assert_eq!(left, peer);
    assert!(reason.contains("NATS"), "{reason}");
    let mut options = Options::new(Role::Subscribe, "rtcsrc0");
    options.token = Some(sigmund::access::Token::new("c:d"));
    let mut viewer = Signal::open(&nats.uri(), &options);
    negotiate(&mut publisher, &mut viewer).await;
}

#[tokio::test]
async fn a_certificate_is_trusted_only_if_its_authority_is() {
    let config = "tls { cert_file: \"FOLDER/certificate.pem\", key_file: \"FOLDER/key.pem\" }";
    let Some(nats) = nats("nats-tls", config) else {
        return;
    };
    let uri = format!("nats+tls://localhost:{}/camera", nats.server.port);
    let mut options = Options::new(Role::Publish, "camera");
    let text = Signal::open(&uri, &options).failed().await;
    assert!(text.contains("tls-ca"), "{text}");
    options.tls_ca = Some(nats.folder.0.join("certificate.pem"));
    Signal::open(&uri, &options).up().await;
}

#[tokio::test]
async fn nothing_falls_back_to_clear_text() {
    let Some(nats) = nats("nats-clear", "") else {
        return;
    };
    let uri = format!("nats+tls://127.0.0.1:{}/camera", nats.server.port);
    Signal::publish(&uri, Some("secret")).down().await;
}
