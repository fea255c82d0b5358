//! `gstwebrtc://` against gst-plugins-rs' signalling server.

use std::process::Command;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tokio::{TokioAdapter, client_async};
use futures_util::StreamExt;
use serde_json::{Value, json};
use sigmund::message::Message;
use sigmund::signaller::{Incoming, Offerer};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server::{Server, free_port, installed};
use crate::{CANDIDATE, OFFER, SOON, Signal};

const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";

fn server() -> Option<Server> {
    let package = "crate gst-plugin-webrtc-signalling";
    let program = installed("gst-webrtc-signalling-server", package)?;
    let port = free_port();
    Some(Server::start("gst-signalling", port, move || {
        let mut command = Command::new(&program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command
    }))
}

fn uri(server: &Server) -> String {
    format!("gstwebrtc://127.0.0.1:{}/door", server.port)
}

/// A consumer that knows nothing of our code.
struct Consumer {
    socket: WebSocketStream<TokioAdapter<TcpStream>>,
}

impl Consumer {
    async fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (socket, _) = client_async(format!("ws://127.0.0.1:{port}/"), stream)
            .await
            .unwrap();
        let mut consumer = Self { socket };
        consumer.recv("welcome").await;
        consumer
    }

    /// The next message of that type; others are passed over.
    async fn recv(&mut self, kind: &str) -> Value {
        let search = async {
            loop {
                let message = self.socket.next().await.unwrap().unwrap();
                let Ok(text) = message.to_text() else {
                    continue;
                };
                let value: Value = serde_json::from_str(text).unwrap_or_default();
                assert_ne!(value["type"], "error", "{value}");
                if value["type"] == kind {
                    return value;
                }
            }
        };
        timeout(SOON, search)
            .await
            .unwrap_or_else(|_| panic!("there is no {kind}"))
    }

    async fn send(&mut self, value: Value) {
        self.socket.send(value.to_string().into()).await.unwrap();
    }

    /// Asks for a session with the producer of that name.
    async fn start(&mut self, name: &str, offer: Option<&str>) -> String {
        let peer = loop {
            self.send(json!({"type": "list"})).await;
            let list = self.recv("list").await;
            let producers = list["producers"].as_array().unwrap();
            if let Some(found) = producers.iter().find(|it| it["meta"]["name"] == name) {
                break found["id"].clone();
            }
        };
        let mut start = json!({"type": "startSession", "peerId": peer});
        if let Some(offer) = offer {
            start["offer"] = offer.into();
        }
        self.send(start).await;
        let started = self.recv("sessionStarted").await;
        started["sessionId"].as_str().unwrap().to_owned()
    }

    async fn say(&mut self, session: &str, name: &str, body: Value) {
        let mut note = json!({"type": "peer", "sessionId": session});
        note[name] = body;
        self.send(note).await;
    }
}

#[tokio::test]
async fn a_consumer_gets_an_offer_and_candidates_travel_both_ways() {
    let Some(server) = server() else { return };
    let mut signal = Signal::publish(&uri(&server), None);
    signal.up().await;
    let mut consumer = Consumer::new(server.port).await;
    let session = consumer.start("door", None).await;
    let (peer, info) = signal.joined().await;
    assert_eq!((peer.as_str(), info.channel), (session.as_str(), None));

    signal.offer(&peer);
    signal.trickle(&peer);
    let note = consumer.recv("peer").await;
    assert_eq!(note["sdp"], json!({"type": "offer", "sdp": OFFER}));
    let note = consumer.recv("peer").await;
    assert_eq!(
        note["ice"],
        json!({"candidate": CANDIDATE, "sdpMLineIndex": 0})
    );

    consumer
        .say(&session, "sdp", json!({"type": "answer", "sdp": ANSWER}))
        .await;
    assert_eq!(
        signal.message().await.1,
        Message::Answer {
            sdp: ANSWER.to_owned()
        }
    );
    let ice = json!({"candidate": CANDIDATE, "sdpMid": "0", "sdpMLineIndex": 0});
    consumer.say(&session, "ice", ice).await;
    let (_, message) = signal.message().await;
    assert!(
        matches!(&message, Message::Candidate(it) if it.candidate == CANDIDATE),
        "{message:?}"
    );

    consumer
        .send(json!({"type": "endSession", "sessionId": session}))
        .await;
    assert_eq!(signal.left().await.0, peer);
    signal.close().await;
}

#[tokio::test]
async fn a_consumer_may_offer() {
    let Some(server) = server() else { return };
    let mut signal = Signal::publish(&uri(&server), None);
    signal.up().await;
    let mut consumer = Consumer::new(server.port).await;
    consumer.start("door", Some(OFFER)).await;
    let (peer, info) = signal.joined().await;
    assert_eq!(info.channel.unwrap().offerer, Offerer::Them);
    assert_eq!(
        signal.message().await.1,
        Message::Offer {
            sdp: OFFER.to_owned()
        }
    );
    signal.say(
        &peer,
        Message::Answer {
            sdp: ANSWER.to_owned(),
        },
    );
    let note = consumer.recv("peer").await;
    assert_eq!(note["sdp"], json!({"type": "answer", "sdp": ANSWER}));
    signal.end(&peer, "enough");
    consumer.recv("endSession").await;
}

#[tokio::test]
async fn consumers_that_vanish_have_left_and_a_producer_that_closes_ends_all() {
    let Some(server) = server() else { return };
    let mut signal = Signal::publish(&uri(&server), None);
    signal.up().await;
    let mut stays = Consumer::new(server.port).await;
    stays.start("door", None).await;
    let mut goes = Consumer::new(server.port).await;
    let session = goes.start("door", None).await;
    drop(goes);
    assert_eq!(signal.left().await.0.as_str(), session);
    signal.close().await;
    stays.recv("endSession").await;
}

#[tokio::test]
async fn a_server_that_was_killed_is_joined_again_and_nobody_has_left() {
    let Some(mut server) = server() else { return };
    let mut signal = Signal::publish(&uri(&server), None);
    signal.up().await;
    let mut consumer = Consumer::new(server.port).await;
    consumer.start("door", None).await;
    signal.joined().await;
    server.kill();
    signal.down().await;
    server.restart();
    signal.up().await;
    let mut again = Consumer::new(server.port).await;
    let session = again.start("door", None).await;
    // The first thing that happens: media of the other session flow on.
    let joined = signal.incoming().await;
    assert!(
        matches!(&joined, Incoming::Joined { peer, .. } if peer.as_str() == session),
        "{joined:?}"
    );
}
