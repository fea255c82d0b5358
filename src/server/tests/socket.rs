//! `sigmund.v1` over real WebSockets, message by message.

use async_tungstenite::tungstenite::Message as Frame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::*;
use crate::access::{Limits, Token};
use crate::address::IceServer;
use crate::server::{Server, Settings};
use crate::signaller::dial::{self, Tls};

/// A server that takes publishers from elsewhere.
struct Relay(std::sync::Arc<Server>);

impl Relay {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn strict(limits: Limits) -> Self {
        Self::with(Settings {
            limits,
            ..Settings::default()
        })
        .await
    }

    async fn with(settings: Settings) -> Self {
        let settings = Settings {
            remote_publishers: true,
            ..settings
        };
        let anywhere = "127.0.0.1:0".parse().unwrap();
        Self(Server::open(anywhere, settings).await.unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.address()
    }

    async fn publisher(&self) -> Client {
        Client::welcomed(self.address(), hello("publish")).await.0
    }

    async fn viewer(&self) -> Client {
        Client::welcomed(self.address(), hello("view")).await.0
    }
}

fn hello(role: &str) -> Value {
    json!({"type": "hello", "version": "sigmund.v1", "role": role, "stream": "cam"})
}

fn with(mut message: Value, member: &str, value: impl Into<Value>) -> Value {
    message[member] = value.into();
    message
}

fn note(peer: &str, note: Value) -> Value {
    json!({"type": "note", "peer": peer, "note": note})
}

fn offer() -> Value {
    json!({"type": "offer", "sdp": "v=0 offer"})
}

fn answer() -> Value {
    json!({"type": "answer", "sdp": "v=0 answer"})
}

fn candidate(number: usize) -> Value {
    json!({"type": "candidate", "candidate": format!("candidate:{number}")})
}

/// Somebody at the other end of a WebSocket.
struct Client {
    socket: dial::WebSocket,
}

impl Client {
    async fn open(to: SocketAddr) -> Self {
        let url = format!("ws://{to}/ws").parse().unwrap();
        let opened = dial::websocket(&url, &Tls::default(), Some("sigmund.v1"), None).await;
        Self {
            socket: opened.unwrap(),
        }
    }

    async fn welcomed(to: SocketAddr, hello: Value) -> (Self, Value) {
        let mut client = Self::open(to).await;
        client.send(hello).await;
        let welcome = client.hear().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        (client, welcome)
    }

    /// What the server has against a hello, after which it has closed.
    async fn refused(to: SocketAddr, hello: Value) -> Value {
        let mut client = Self::open(to).await;
        client.send(hello).await;
        client.failure().await
    }

    async fn send(&mut self, message: Value) {
        self.text(message.to_string()).await;
    }

    async fn text(&mut self, text: String) {
        self.socket.send(Frame::text(text)).await.unwrap();
    }

    async fn frame(&mut self) -> Option<Frame> {
        let next = timeout(LONG, self.socket.next());
        next.await.expect("nothing was heard")?.ok()
    }

    async fn hear(&mut self) -> Value {
        loop {
            match self.frame().await {
                Some(Frame::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Frame::Ping(_) | Frame::Pong(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn closed(&mut self) -> (CloseCode, String) {
        match self.frame().await {
            Some(Frame::Close(Some(frame))) => (frame.code, frame.reason.to_string()),
            other => panic!("{other:?}"),
        }
    }

    /// An error, and a close frame that says the same.
    async fn failure(&mut self) -> Value {
        let error = self.hear().await;
        assert_eq!(error["type"], "error", "{error}");
        assert!(!error["text"].as_str().unwrap().is_empty());
        assert_eq!(self.closed().await.1, error["code"].as_str().unwrap());
        error
    }

    /// As publisher: the name of the next who joins.
    async fn joined(&mut self) -> (String, Value) {
        let joined = self.hear().await;
        assert_eq!(joined["type"], "joined", "{joined}");
        let peer = joined["peer"].as_str().unwrap().to_owned();
        (peer, joined["info"].clone())
    }

    async fn leave(mut self) {
        self.socket.close(None).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

async fn streams(to: SocketAddr) -> Value {
    let listed: Value = serde_json::from_str(&get(to, "/streams").await.body).unwrap();
    listed["streams"].clone()
}

#[tokio::test]
async fn a_viewer_and_the_element_trickle_both_ways() {
    let mut publisher = Publisher::new().await;
    let mut hello = hello("view");
    hello["receives"] = json!({"video": [{"codec": "VP8"}]});
    hello["agent"] = json!("test\u{7}er");
    let (mut viewer, _) = Client::welcomed(publisher.address(), hello).await;
    let Incoming::Joined { peer, info } = publisher.hear().await else {
        panic!("nobody joined");
    };
    assert_eq!(
        (info.protocol.as_str(), info.agent.as_deref()),
        ("v1", Some("tester"))
    );
    assert_eq!(info.receives.unwrap().video[0].codec, "VP8");
    assert_eq!(info.channel.unwrap().offerer, crate::signaller::Offerer::Us);
    assert!(info.address.unwrap().is_loopback());

    let say = |message| Outgoing::Message {
        peer: peer.clone(),
        message,
    };
    publisher
        .tell(say(serde_json::from_value(offer()).unwrap()))
        .await;
    publisher
        .tell(say(serde_json::from_value(candidate(1)).unwrap()))
        .await;
    assert_eq!(viewer.hear().await, note("publisher", offer()));
    assert_eq!(viewer.hear().await, note("publisher", candidate(1)));

    let notes = [answer(), candidate(2), json!({"type": "end-of-candidates"})];
    for sent in notes {
        viewer.send(note("publisher", sent.clone())).await;
        let Incoming::Message { message, .. } = publisher.hear().await else {
            panic!("no note");
        };
        assert_eq!(serde_json::to_value(message).unwrap(), sent);
    }
    assert_eq!(streams(publisher.address()).await[0]["viewers"], 1);

    viewer
        .send(note(
            "publisher",
            json!({"type": "bye", "reason": "enough"}),
        ))
        .await;
    assert_eq!(viewer.closed().await.0, CloseCode::Normal);
    let left = publisher.hear().await;
    assert!(
        matches!(&left, Incoming::Left { reason, .. } if reason == "enough"),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_publisher_from_elsewhere_has_viewers_of_both_kinds() {
    let relay = Relay::new().await;
    let (mut publisher, welcome) = Client::welcomed(relay.address(), hello("publish")).await;
    let page = format!("http://{}/#stream=cam", relay.address());
    assert_eq!(welcome["address"], page);
    assert!(welcome.get("sessions").is_none(), "it begins anew");

    let whep = tokio::spawn(post(relay.address(), "/whep/cam", OFFER));
    let (peer, info) = publisher.joined().await;
    assert_eq!(info["protocol"], "whep");
    assert_eq!(
        (&info["offers"], &info["trickle"]),
        (&json!(true), &json!(false))
    );
    let heard = publisher.hear().await;
    assert_eq!(heard, note(&peer, json!({"type": "offer", "sdp": OFFER})));
    publisher.send(note(&peer, answer())).await;
    let reply = whep.await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (201, "v=0 answer"));

    let mut viewer = relay.viewer().await;
    let (other, info) = publisher.joined().await;
    let program = concat!("sigmund/", env!("CARGO_PKG_VERSION"));
    assert_eq!(info, json!({"protocol": "v1", "agent": program}));
    publisher.send(note(&other, offer())).await;
    assert_eq!(viewer.hear().await, note("publisher", offer()));
    viewer.send(note("publisher", answer())).await;
    assert_eq!(publisher.hear().await, note(&other, answer()));
    assert_eq!(streams(relay.address()).await[0]["viewers"], 2);

    let end = json!({"type": "end", "peer": other, "reason": "enough"});
    publisher.send(end).await;
    assert_eq!(
        viewer.hear().await,
        json!({"type": "ended", "reason": "enough"})
    );
    assert_eq!(viewer.closed().await.0, CloseCode::Normal);
    publisher.leave().await;
    assert_eq!(streams(relay.address()).await, json!([]));
}

#[tokio::test]
async fn a_refusal_reaches_both_kinds_of_viewers() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let refuse = |peer: &str| json!({"type": "refuse", "peer": peer, "kind": "incompatible", "text": "H264 only"});
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    publisher.send(refuse(&peer)).await;
    let refused = viewer.hear().await;
    assert_eq!(
        refused,
        json!({"type": "refused", "kind": "incompatible", "text": "H264 only"})
    );
    let whep = tokio::spawn(post(relay.address(), "/whep/cam", OFFER));
    let (peer, _) = publisher.joined().await;
    publisher.send(refuse(&peer)).await;
    whep.await.unwrap().assert_problem(406);
}

#[tokio::test]
async fn a_viewer_that_comes_back_in_time_was_never_away() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let (viewer, welcome) = Client::welcomed(relay.address(), hello("view")).await;
    let (peer, _) = publisher.joined().await;
    drop(viewer);
    publisher.send(note(&peer, offer())).await;
    let again = with(hello("view"), "resume", welcome["resume"].clone());
    let (mut viewer, back) = Client::welcomed(relay.address(), again).await;
    assert_eq!(back["peer"], welcome["peer"]);
    assert_eq!(viewer.hear().await, note("publisher", offer()), "it waited");
    viewer.send(note("publisher", answer())).await;
    assert_eq!(publisher.hear().await, note(&peer, answer()), "nobody left");
}

#[tokio::test]
async fn a_viewer_that_stays_away_has_left() {
    let limits = Limits {
        resume_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let mut publisher = relay.publisher().await;
    let (viewer, welcome) = Client::welcomed(relay.address(), hello("view")).await;
    let (peer, _) = publisher.joined().await;
    drop(viewer);
    let left = publisher.hear().await;
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!(peer))
    );
    let again = with(hello("view"), "resume", welcome["resume"].clone());
    let error = Client::refused(relay.address(), again).await;
    assert_eq!(
        (&error["code"], &error["retry"]),
        (&json!("gone"), &json!(true))
    );
}

#[tokio::test]
async fn a_publisher_that_comes_back_in_time_has_its_sessions() {
    let relay = Relay::new().await;
    let (mut publisher, welcome) = Client::welcomed(relay.address(), hello("publish")).await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let gone = relay.viewer().await;
    let (lost, _) = publisher.joined().await;
    drop(publisher);
    gone.leave().await;
    let late = tokio::spawn(post(relay.address(), "/whep/cam", OFFER));
    viewer.send(note("publisher", answer())).await;

    let again = with(hello("publish"), "resume", welcome["resume"].clone());
    let (mut publisher, back) = Client::welcomed(relay.address(), again).await;
    let sessions = back["sessions"].as_array().unwrap();
    assert!(sessions.contains(&json!(peer)) && !sessions.contains(&json!(lost)));
    let mut heard = Vec::new();
    while heard.len() < 4 {
        heard.push(publisher.hear().await);
    }
    assert!(heard.contains(&note(&peer, answer())), "{heard:?}");
    let joined = heard.iter().find(|it| it["type"] == "joined").unwrap();
    publisher
        .send(note(joined["peer"].as_str().unwrap(), answer()))
        .await;
    assert_eq!(
        late.await.unwrap().status,
        201,
        "it waited for its publisher"
    );
    publisher.send(note(&peer, offer())).await;
    assert_eq!(viewer.hear().await, note("publisher", offer()));
}

#[tokio::test]
async fn a_publisher_that_stays_away_takes_its_stream_along() {
    let limits = Limits {
        resume_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let (publisher, welcome) = Client::welcomed(relay.address(), hello("publish")).await;
    let mut viewer = relay.viewer().await;
    drop(publisher);
    assert_eq!(viewer.hear().await["type"], "ended");
    assert_eq!(streams(relay.address()).await, json!([]));
    let again = with(hello("publish"), "resume", welcome["resume"].clone());
    let (_publisher, back) = Client::welcomed(relay.address(), again).await;
    assert!(back.get("sessions").is_none(), "it begins anew");
}

#[tokio::test]
async fn who_comes_back_before_its_loss_was_noticed_replaces_itself() {
    let relay = Relay::new().await;
    let (mut publisher, welcome) = Client::welcomed(relay.address(), hello("publish")).await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let again = with(hello("publish"), "resume", welcome["resume"].clone());
    let (mut second, back) = Client::welcomed(relay.address(), again).await;
    assert_eq!(back["sessions"], json!([peer]));
    assert_eq!(publisher.failure().await["code"], "gone");
    second.send(note(&peer, offer())).await;
    assert_eq!(viewer.hear().await, note("publisher", offer()));
}

#[tokio::test]
async fn a_secret_is_good_for_its_own_role_and_stream_alone() {
    let relay = Relay::new().await;
    let _publisher = relay.publisher().await;
    let (_viewer, welcome) = Client::welcomed(relay.address(), hello("view")).await;
    let stolen = with(hello("view"), "resume", welcome["resume"].clone());
    let other = with(stolen, "stream", "other");
    let error = Client::refused(relay.address(), other).await;
    assert_eq!(error["code"], "gone");
}

#[tokio::test]
async fn a_stream_has_one_publisher_unless_that_is_lost() {
    let relay = Relay::new().await;
    let publisher = relay.publisher().await;
    let error = Client::refused(relay.address(), hello("publish")).await;
    assert_eq!(
        (&error["code"], &error["retry"]),
        (&json!("taken"), &json!(true))
    );
    let mut viewer = relay.viewer().await;
    drop(publisher);
    let deadline = tokio::time::Instant::now() + LONG;
    let mut successor = loop {
        let mut client = Client::open(relay.address()).await;
        client.send(hello("publish")).await;
        if client.hear().await["type"] == "welcome" {
            break client;
        }
        assert!(tokio::time::Instant::now() < deadline);
    };
    assert_eq!(
        viewer.hear().await["type"],
        "ended",
        "its publisher is gone"
    );
    let _viewer = relay.viewer().await;
    successor.joined().await;
}

#[tokio::test]
async fn a_publisher_has_no_say_in_other_streams() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let mallory = with(hello("publish"), "stream", "other");
    let (mut mallory, _) = Client::welcomed(relay.address(), mallory).await;
    mallory.send(note(&peer, offer())).await;
    mallory
        .send(json!({"type": "end", "peer": peer, "reason": "ha"}))
        .await;
    // Whoever watches it now proves that both were read.
    let other = with(hello("view"), "stream", "other");
    let (_own, _) = Client::welcomed(relay.address(), other).await;
    mallory.joined().await;
    publisher.send(note(&peer, candidate(1))).await;
    assert_eq!(viewer.hear().await, note("publisher", candidate(1)));
}

#[tokio::test]
async fn the_token_comes_first() {
    let settings = Settings {
        token: Some(Token::new("hush")),
        ..Settings::default()
    };
    let relay = Relay::with(settings).await;
    for role in ["publish", "view"] {
        for hello in [hello(role), with(hello(role), "token", "hus")] {
            let error = Client::refused(relay.address(), hello).await;
            let expected = (&json!("unauthorized"), &json!(false));
            assert_eq!((&error["code"], &error["retry"]), expected);
        }
    }
    let right = with(hello("publish"), "token", "hush");
    Client::welcomed(relay.address(), right).await;
}

#[tokio::test]
async fn the_server_of_an_element_takes_no_publishers() {
    let publisher = Publisher::new().await;
    let other = with(hello("publish"), "stream", "other");
    let error = Client::refused(publisher.address(), other).await;
    assert_eq!(error["code"], "unsupported");
}

#[tokio::test]
async fn a_stream_that_is_not_there_may_come() {
    let relay = Relay::new().await;
    let error = Client::refused(relay.address(), hello("view")).await;
    assert_eq!(
        (&error["code"], &error["retry"]),
        (&json!("not-found"), &json!(true))
    );
}

#[tokio::test]
async fn ice_servers_are_told_to_viewers() {
    let servers = "stun://stun.example.net,turn://me:pass@turn.example.net?transport=udp";
    let relay = Relay::new().await;
    let servers = IceServer::parse_list(servers).unwrap();
    let local = crate::server::Publisher::Local;
    let _published = relay.0.hub().publish("cam", &servers, local).ok();
    let (_, welcome) = Client::welcomed(relay.address(), hello("view")).await;
    let expected = json!([
        {"urls": ["stun:stun.example.net:3478"]},
        {"urls": ["turn:turn.example.net:3478?transport=udp"], "username": "me", "credential": "pass"}
    ]);
    assert_eq!(welcome["iceServers"], expected);
}

#[tokio::test]
async fn what_breaks_the_protocol_is_told_why() {
    let relay = Relay::new().await;
    let _publisher = relay.publisher().await;
    let to = relay.address();
    for (first, code) in [
        (note("publisher", answer()), "malformed"),
        (json!("hello"), "malformed"),
        (with(hello("view"), "version", "sigmund.v9"), "unsupported"),
    ] {
        assert_eq!(Client::refused(to, first).await["code"], code);
    }
    let second = [
        hello("view").to_string(),
        json!({"type": "end", "peer": "p"}).to_string(),
        "{".to_owned(),
        "x".repeat(Limits::default().message + 1),
    ];
    for text in second {
        let mut viewer = relay.viewer().await;
        viewer.text(text).await;
        assert_eq!(viewer.failure().await["code"], "malformed");
    }
    let mut viewer = relay.viewer().await;
    viewer.socket.send(Frame::binary(vec![1])).await.unwrap();
    assert_eq!(viewer.failure().await["code"], "malformed");
}

#[tokio::test]
async fn what_is_unknown_does_no_harm() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    viewer.send(json!({"type": "applause", "volume": 11})).await;
    viewer
        .send(note("publisher", json!({"type": "wink"})))
        .await;
    publisher.send(note("nobody", offer())).await;
    viewer.send(note("publisher", candidate(1))).await;
    assert_eq!(publisher.hear().await, note(&peer, candidate(1)));
}

#[tokio::test]
async fn a_longest_message_passes_whole() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let long = note(
        &peer,
        json!({"type": "offer", "sdp": "x".repeat(crate::message::MAX_SDP)}),
    );
    publisher.send(long.clone()).await;
    assert_eq!(viewer.hear().await["note"], long["note"]);
}

#[tokio::test]
async fn who_says_too_much_is_turned_out() {
    let limits = Limits {
        message_burst: 20,
        messages_per_second: 1,
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let mut publisher = relay.publisher().await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    for number in 0..40 {
        let _ = viewer
            .socket
            .send(Frame::text(
                note("publisher", candidate(number)).to_string(),
            ))
            .await;
    }
    assert_eq!(viewer.failure().await["code"], "too-many");
    let mut heard = 0;
    let last = loop {
        let message = publisher.hear().await;
        if message["type"] != "note" {
            break message;
        }
        heard += 1;
    };
    assert!((20..=25).contains(&heard), "{heard}");
    assert_eq!(
        (&last["type"], &last["peer"]),
        (&json!("left"), &json!(peer))
    );
}

#[tokio::test]
async fn one_that_does_not_read_is_dropped_and_nobody_waits_for_it() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let slow = relay.viewer().await;
    let (stuck, _) = publisher.joined().await;
    let mut good = relay.viewer().await;
    let (other, _) = publisher.joined().await;
    let long = "x".repeat(crate::message::MAX_SDP);
    let flood = note(&stuck, json!({"type": "offer", "sdp": long}));
    let mut sent = 0;
    // The system's own buffers take some megabytes before anybody notices.
    let left = loop {
        publisher.send(flood.clone()).await;
        publisher.send(note(&other, candidate(sent))).await;
        assert_eq!(
            good.hear().await,
            note("publisher", candidate(sent)),
            "nobody waits"
        );
        sent += 1;
        if let Ok(left) = timeout(Duration::ZERO, publisher.hear()).await {
            break left;
        }
        assert!(sent < 10_000, "it is never dropped");
    };
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!(stuck))
    );
    assert!(left["reason"].as_str().unwrap().contains("slow"), "{left}");
    drop(slow);
}

#[tokio::test]
async fn a_connection_without_a_hello_is_closed() {
    let limits = Limits {
        head_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let mut silent = Client::open(relay.address()).await;
    assert_eq!(silent.failure().await["code"], "malformed");
}

#[tokio::test]
async fn one_that_is_not_heard_any_more_has_left() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(300),
        resume_timeout: Duration::from_millis(10),
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let mut publisher = relay.publisher().await;
    let dead = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let left = loop {
        // The publisher itself must be heard.
        publisher.send(json!({"type": "noise"})).await;
        if let Ok(left) = timeout(Duration::from_millis(50), publisher.hear()).await {
            break left;
        }
    };
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!(peer))
    );
    drop(dead);
}

#[tokio::test]
async fn sessions_and_streams_of_an_address_are_counted() {
    let limits = Limits {
        sessions_per_address: 2,
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let _publisher = relay.publisher().await;
    let _other = Client::welcomed(relay.address(), with(hello("publish"), "stream", "2")).await;
    let third = with(hello("publish"), "stream", "3");
    assert_eq!(
        Client::refused(relay.address(), third).await["code"],
        "too-many"
    );
    let (_one, _two) = (relay.viewer().await, relay.viewer().await);
    let error = Client::refused(relay.address(), hello("view")).await;
    assert_eq!(error["code"], "too-many");
}

#[tokio::test]
async fn websockets_count_as_connections() {
    let limits = Limits {
        connections_per_address: 3,
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let _open = [
        relay.publisher().await,
        relay.viewer().await,
        relay.viewer().await,
    ];
    let mut fourth = TcpStream::connect(relay.address()).await.unwrap();
    let mut text = String::new();
    let read = timeout(LONG, fourth.read_to_string(&mut text)).await;
    read.expect("it is closed").unwrap();
    assert!(text.starts_with("HTTP/1.1 503"), "{text}");
}

/// A handshake as browsers make it, with `headers` in place of those of the same name.
async fn handshake(to: SocketAddr, headers: &[(&str, &str)]) -> Reply {
    let usual = [
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "chat, sigmund.v1"),
    ];
    let host = to.to_string();
    let mut all = vec![("Host", host.as_str())];
    all.extend(usual);
    all.retain(|(name, _)| !headers.iter().any(|(other, _)| name == other));
    all.extend(headers);
    all.retain(|(_, value)| !value.is_empty());
    let lines = all
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let text = format!("GET /ws HTTP/1.1\r\n{}\r\n", lines.collect::<String>());
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|it| it == b"\r\n\r\n") {
        bytes.push(timeout(LONG, stream.read_u8()).await.unwrap().unwrap());
    }
    Reply::read(&bytes)
}

#[tokio::test]
async fn foreign_pages_and_names_do_not_get_in() {
    let publisher = Publisher::new().await;
    let to = publisher.address();
    let own = format!("http://{to}");
    let reply = handshake(to, &[("Origin", &own)]).await;
    assert_eq!(reply.status, 101);
    assert_eq!(reply.header("sec-websocket-protocol"), "sigmund.v1");
    assert_eq!(
        reply.header("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    for headers in [
        [("Origin", "https://evil.example")],
        [("Origin", "null")],
        [("Host", "evil.example")],
    ] {
        assert_eq!(handshake(to, &headers).await.status, 403, "{headers:?}");
    }
}

#[tokio::test]
async fn what_is_no_handshake_of_ours_is_told_what_to_do() {
    let publisher = Publisher::new().await;
    let to = publisher.address();
    for headers in [
        ("Upgrade", ""),
        ("Connection", "close"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Key", ""),
        ("Sec-WebSocket-Protocol", "chat"),
    ] {
        let reply = handshake(to, &[headers]).await;
        assert_eq!(reply.status, 426, "{headers:?}");
        assert_eq!(reply.header("upgrade"), "websocket");
    }
    assert_eq!(send(to, "POST", "/ws", "", "").await.status, 405);
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_leaves_the_port() {
    let publisher = Publisher::new().await;
    let to = publisher.address();
    let (mut viewer, _) = Client::welcomed(to, hello("view")).await;
    let (lost, _) = Client::welcomed(to, hello("view")).await;
    drop(lost);
    publisher.close().await;
    std::net::TcpListener::bind(to).expect("the port is free");
    assert_eq!(viewer.hear().await["type"], "ended");
}
