//! `sigmund.v1` over real WebSockets, message by message.

mod calls;
mod handshake;
mod limits;
mod resume;

use async_tungstenite::tungstenite::Message as Frame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::*;
use crate::access::{Limits, Token};
use crate::address::IceServer;
use crate::server::{Kind, Server, Settings};
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
    let (other, mut info) = publisher.joined().await;
    assert!(info["mark"].take().is_string(), "{info}");
    let program = concat!("sigmund/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        info,
        json!({"protocol": "v1", "agent": program, "mark": null})
    );
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
    let _published = relay
        .0
        .hub()
        .publish("cam", Kind::Publish, &servers, local)
        .ok();
    let (_, welcome) = Client::welcomed(relay.address(), hello("view")).await;
    let expected = json!([
        {"urls": ["stun:stun.example.net:3478"]},
        {"urls": ["turn:turn.example.net:3478?transport=udp"], "username": "me", "credential": "pass"}
    ]);
    assert_eq!(welcome["iceServers"], expected);
}
