//! Publishers and viewers against a real server.

#[path = "v1_calls_tests.rs"]
mod calls;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::supervisor::{Event, Supervisor};
use super::super::{PeerInfo, Registry, TlsFiles};
use super::*;
use crate::access::Limits;
use crate::server::{Server, Settings};

/// Longer than anything should take; only a failure waits for it.
const LONG: Duration = Duration::from_secs(20);

async fn server(at: SocketAddr, settings: Settings) -> Arc<Server> {
    let settings = Settings {
        remote_publishers: true,
        ..settings
    };
    Server::open(at, settings).await.unwrap()
}

async fn plain() -> Arc<Server> {
    server("127.0.0.1:0".parse().unwrap(), Settings::default()).await
}

fn publisher(address: SocketAddr) -> Supervised {
    supervised(
        &format!("ws://{address}/cam"),
        Options::new(Role::Publish, "x"),
    )
}

fn viewer(address: SocketAddr) -> Supervised {
    supervised(
        &format!("ws://{address}/cam"),
        Options::new(Role::Subscribe, "x"),
    )
}

fn supervised(uri: &str, options: Options) -> Supervised {
    Supervised(Supervisor::spawn(
        Registry::builtin().open(uri, &options).unwrap(),
    ))
}

/// An element without media.
struct Supervised(Supervisor);

impl Supervised {
    async fn event(&mut self) -> Event {
        let event = timeout(LONG, self.0.events.recv()).await;
        event.expect("nothing happened").expect("it runs")
    }

    async fn up(&mut self) {
        let event = self.event().await;
        assert!(matches!(event, Event::Up { .. }), "{event:?}");
    }

    async fn down(&mut self) {
        let event = self.event().await;
        assert!(matches!(event, Event::Down { .. }), "{event:?}");
    }

    /// The channel is found again, after any number of attempts.
    async fn down_and_up(&mut self) {
        loop {
            match self.event().await {
                Event::Down { .. } => {}
                Event::Up { .. } => return,
                other => panic!("{other:?}"),
            }
        }
    }

    async fn heard(&mut self) -> Incoming {
        match self.event().await {
            Event::Incoming(note) => note,
            other => panic!("{other:?}"),
        }
    }

    async fn joined(&mut self) -> (PeerId, PeerInfo) {
        match self.heard().await {
            Incoming::Joined { peer, info } => (peer, info),
            other => panic!("{other:?}"),
        }
    }

    async fn left(&mut self) -> PeerId {
        match self.heard().await {
            Incoming::Left { peer, .. } => peer,
            other => panic!("{other:?}"),
        }
    }

    async fn message(&mut self) -> (PeerId, Message) {
        match self.heard().await {
            Incoming::Message { peer, message } => (peer, message),
            other => panic!("{other:?}"),
        }
    }

    fn tell(&self, peer: &PeerId, message: Message) {
        let peer = peer.clone();
        assert!(self.0.send(Outgoing::Message { peer, message }));
    }

    fn end(&self, peer: &PeerId) {
        assert!(self.0.send(Outgoing::End {
            peer: peer.clone(),
            reason: "enough".into()
        }));
    }
}

fn offer() -> Message {
    Message::Offer { sdp: "v=0".into() }
}

fn answer() -> Message {
    Message::Answer { sdp: "v=0".into() }
}

/// A stretch of network that can be cut.
struct Network {
    address: SocketAddr,
    /// Is it whole?
    whole: watch::Sender<bool>,
}

impl Network {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (whole, seen) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut seen = seen.clone();
                tokio::spawn(async move {
                    if !*seen.borrow_and_update() {
                        return;
                    }
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = seen.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { address, whole }
    }

    fn cut(&self) {
        self.whole.send_replace(false);
    }

    fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn streams(address: SocketAddr) -> Vec<Value> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /streams HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let list: Value = serde_json::from_str(body).unwrap();
    list["streams"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_publisher_and_a_viewer_meet_and_part() {
    let server = plain().await;
    let mut publisher = publisher(server.address());
    let page = format!("http://{}/#stream=cam", server.address());
    assert_eq!(
        publisher.event().await,
        Event::Up {
            address: Some(page)
        }
    );
    let mut options = Options::new(Role::Subscribe, "x");
    let receives = r#"{"video":[{"codec":"VP8"}],"audio":[]}"#;
    options.receives = serde_json::from_str(receives).unwrap();
    let mut viewer = supervised(&format!("ws://{}/cam", server.address()), options.clone());
    viewer.up().await;

    let (peer, info) = publisher.joined().await;
    assert_eq!(
        (info.protocol.as_str(), info.receives),
        ("v1", options.receives)
    );
    assert_eq!(info.channel, Some(CHANNEL));
    let (far, info) = viewer.joined().await;
    assert_eq!(info.channel.unwrap().offerer, Offerer::Them);

    publisher.tell(&peer, offer());
    assert_eq!(viewer.message().await, (far.clone(), offer()));
    viewer.tell(&far, answer());
    assert_eq!(publisher.message().await, (peer.clone(), answer()));
    let end = Message::EndOfCandidates;
    publisher.tell(&peer, end.clone());
    assert_eq!(viewer.message().await, (far.clone(), end));

    publisher.end(&peer);
    assert_eq!(viewer.left().await, far);
    viewer.down().await;
    viewer.down_and_up().await;
    let (far, _) = viewer.joined().await;
    publisher.joined().await;
    viewer.end(&far);
    publisher.left().await;
    viewer.0.close(LONG).await;
    publisher.0.close(LONG).await;
    assert!(streams(server.address()).await.is_empty());
}

#[tokio::test]
async fn a_viewer_that_closes_has_left_at_once() {
    let server = plain().await;
    let mut publisher = publisher(server.address());
    publisher.up().await;
    let mut viewer = viewer(server.address());
    viewer.up().await;
    let (peer, _) = publisher.joined().await;
    viewer.0.close(LONG).await;
    assert_eq!(publisher.left().await, peer);
}

#[tokio::test]
async fn a_whep_viewer_is_forwarded_with_the_way_it_is_reached() {
    let server = plain().await;
    let mut publisher = publisher(server.address());
    publisher.up().await;
    let address = server.address();
    let viewer = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST /whep/cam HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    });
    let (peer, info) = publisher.joined().await;
    assert_eq!(info.channel, Some(crate::server::RESOURCE_CHANNEL));
    assert_eq!(publisher.message().await, (peer.clone(), offer()));
    publisher.tell(&peer, answer());
    let response = viewer.await.unwrap();
    assert!(response.starts_with("HTTP/1.1 201"), "{response}");
}

#[tokio::test]
async fn sessions_go_on_when_the_network_was_cut() {
    let server = plain().await;
    let network = Network::to(server.address()).await;
    let mut publisher = publisher(network.address);
    publisher.up().await;
    let viewers = [viewer(server.address()), viewer(server.address())];
    let [mut one, mut other] = viewers;
    let (mut names, mut peers) = (Vec::new(), Vec::new());
    for viewer in [&mut one, &mut other] {
        viewer.up().await;
        names.push(viewer.joined().await.0);
        peers.push(publisher.joined().await.0);
    }

    network.cut();
    publisher.down().await;
    // Told while nobody can hear it.
    publisher.tell(&peers[0], offer());
    publisher.end(&peers[1]);
    one.tell(&names[0], Message::EndOfCandidates);
    network.mend();
    publisher.down_and_up().await;

    assert_eq!(one.message().await, (names[0].clone(), offer()));
    assert_eq!(other.left().await, names[1]);
    let heard = publisher.message().await;
    assert_eq!(
        heard,
        (peers[0].clone(), Message::EndOfCandidates),
        "nobody joined or left"
    );
}

#[tokio::test]
async fn who_left_while_the_network_was_cut_is_told() {
    let server = plain().await;
    let network = Network::to(server.address()).await;
    let mut publisher = publisher(network.address);
    publisher.up().await;
    let mut viewer = viewer(server.address());
    viewer.up().await;
    let (peer, _) = publisher.joined().await;
    network.cut();
    publisher.down().await;
    viewer.0.close(LONG).await;
    network.mend();
    publisher.down_and_up().await;
    assert_eq!(publisher.left().await, peer);
}

#[tokio::test]
async fn a_viewer_whose_network_was_cut_keeps_its_session() {
    let server = plain().await;
    let mut publisher = publisher(server.address());
    publisher.up().await;
    let network = Network::to(server.address()).await;
    let mut viewer = viewer(network.address);
    viewer.up().await;
    let (far, _) = viewer.joined().await;
    let (peer, _) = publisher.joined().await;
    network.cut();
    viewer.down().await;
    publisher.tell(&peer, offer());
    network.mend();
    viewer.down_and_up().await;
    assert_eq!(viewer.message().await, (far, offer()));
}

#[tokio::test]
async fn a_viewer_that_was_away_too_long_joins_anew_when_its_media_has_ended() {
    let settings = Settings {
        limits: Limits {
            resume_timeout: Duration::ZERO,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let server = server("127.0.0.1:0".parse().unwrap(), settings).await;
    let mut publisher = publisher(server.address());
    publisher.up().await;
    let network = Network::to(server.address()).await;
    let mut viewer = viewer(network.address);
    viewer.up().await;
    let (far, _) = viewer.joined().await;
    let (peer, _) = publisher.joined().await;
    network.cut();
    assert_eq!(publisher.left().await, peer);
    network.mend();
    viewer.down().await;
    viewer.down_and_up().await;
    viewer.tell(&far, Message::EndOfCandidates);
    viewer.end(&far);
    viewer.down().await;
    viewer.down_and_up().await;
    viewer.joined().await;
    assert_ne!(publisher.joined().await.0, peer);
}

#[tokio::test]
async fn a_server_that_was_restarted_lists_its_publishers_within_two_seconds() {
    let first = plain().await;
    let address = first.address();
    let mut publisher = publisher(address);
    publisher.up().await;
    let mut viewer = viewer(address);
    viewer.up().await;
    let (far, _) = viewer.joined().await;
    let (old, _) = publisher.joined().await;
    first.leave().await;
    publisher.down().await;
    publisher.tell(&old, offer());

    let second = server(address, Settings::default()).await;
    let returned = tokio::time::Instant::now();
    publisher.down_and_up().await;
    assert_eq!(streams(address).await[0]["name"], "cam");
    assert!(returned.elapsed() < Duration::from_secs(2));
    // Nobody says that the session has ended, and it goes on.
    viewer.down_and_up().await;
    assert_eq!(viewer.message().await, (far.clone(), offer()));
    viewer.tell(&far, answer());
    assert_eq!(publisher.message().await, (old.clone(), answer()));
    // Whoever comes has another name.
    let mut late = self::viewer(address);
    late.up().await;
    let (new, _) = publisher.joined().await;
    assert_ne!(new, old);
    publisher.end(&old);
    assert_eq!(viewer.left().await, far);
    drop(second);
}

#[tokio::test]
async fn a_wrong_token_is_told_once() {
    let settings = Settings {
        token: Some(Token::new("hush")),
        ..Settings::default()
    };
    let server = server("127.0.0.1:0".parse().unwrap(), settings).await;
    let uri = format!("ws://{}/cam", server.address());
    for token in [None, Some(Token::new("shout"))] {
        let mut options = Options::new(Role::Publish, "x");
        options.token = token;
        let Event::Failed(SignallerError::Permanent(text)) =
            supervised(&uri, options).event().await
        else {
            panic!("it did not fail");
        };
        assert!(
            text.contains("`token`") && !text.contains("shout"),
            "{text}"
        );
    }
    let mut options = Options::new(Role::Publish, "x");
    options.token = Some(Token::new("hush"));
    supervised(&uri, options).up().await;
}

#[tokio::test]
async fn a_stream_that_is_taken_is_waited_for() {
    let server = plain().await;
    let mut first = publisher(server.address());
    first.up().await;
    let mut second = publisher(server.address());
    let Event::Down { reason, .. } = second.event().await else {
        panic!("it was not refused");
    };
    assert!(reason.contains("taken"), "{reason}");
    first.0.close(LONG).await;
    second.down_and_up().await;
}

#[tokio::test]
async fn tls_is_verified_and_never_left_out() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let directory = std::env::temp_dir().join(format!("sigmund-v1-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let files = TlsFiles {
        certificate: directory.join("certificate.pem"),
        key: directory.join("key.pem"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let settings = Settings {
        tls: Some(files.clone()),
        ..Settings::default()
    };
    let encrypted = server("127.0.0.1:0".parse().unwrap(), settings).await;
    let uri = format!("sigmund+wss://localhost:{}/cam", encrypted.address().port());

    let stranger = supervised(&uri, Options::new(Role::Publish, "x"))
        .event()
        .await;
    let Event::Failed(SignallerError::Permanent(text)) = stranger else {
        panic!("{stranger:?}");
    };
    assert!(text.contains("tls-ca"), "{text}");

    let mut options = Options::new(Role::Publish, "x");
    options.tls_ca = Some(files.certificate.clone());
    supervised(&uri, options.clone()).up().await;

    let clear = plain().await;
    let uri = format!("wss://localhost:{}/cam", clear.address().port());
    let event = supervised(&uri, options).event().await;
    assert!(matches!(event, Event::Down { .. }), "{event:?}");
    assert!(streams(clear.address()).await.is_empty());
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn the_uri_says_where() {
    for (text, expected) in [
        (
            "sigmund+ws://relay.example.net/cam",
            "ws://relay.example.net/ws",
        ),
        (
            "wss://relay.example.net:8443/cam",
            "wss://relay.example.net:8443/ws",
        ),
        ("sigmund+wss://[2001:db8::1]/cam", "wss://[2001:db8::1]/ws"),
        (
            "sigmund+wss://a.example,[2001:db8::1]:8443/cam",
            "wss://a.example/ws wss://[2001:db8::1]:8443/ws",
        ),
    ] {
        let uri = SignallingUri::parse(text).unwrap();
        let servers = servers(&uri).unwrap();
        let urls: Vec<_> = servers.iter().map(Url::as_str).collect();
        assert_eq!(urls.join(" "), expected);
    }
    let error = |uri: &str, role| {
        let opened = Registry::builtin().open(uri, &Options::new(role, "x"));
        opened.err().expect("refused").0
    };
    assert!(error("ws:cam", Role::Publish).contains("sigmund+wss://"));
}

#[tokio::test]
async fn the_next_server_is_taken_when_one_is_gone() {
    let (one, other) = (plain().await, plain().await);
    let uri = format!("ws://{},{}/cam", one.address(), other.address());
    let mut publisher = supervised(&uri, Options::new(Role::Publish, "x"));
    publisher.up().await;
    assert_eq!(streams(one.address()).await.len(), 1);
    one.leave().await;
    publisher.down_and_up().await;
    assert_eq!(streams(other.address()).await[0]["name"], "cam");
}

#[tokio::test]
async fn an_address_that_would_steer_a_terminal_is_not_shown() {
    let server = crate::signaller::fake::Server::new().await;
    for (address, shown) in [("http://a/", true), ("http://a/\u{1b}[2J", false)] {
        let uri = format!("ws://{}/cam", server.address);
        let options = Options::new(Role::Publish, "cam");
        let mut signaller = Registry::builtin().open(&uri, &options).unwrap();
        let welcome = async {
            let mut end = server.accept().await;
            end.recv().await;
            let welcome = json!({"type": "welcome", "version": VERSION, "peer": "publisher", "resume": "r", "address": address});
            end.send(welcome).await;
            end
        };
        let (connection, _end) = tokio::join!(signaller.connect(), welcome);
        assert_eq!(connection.unwrap().address.is_some(), shown);
    }
}
