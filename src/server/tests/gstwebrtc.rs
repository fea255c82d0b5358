//! The protocol of gst-plugins-rs over real WebSockets, message by message.

use std::sync::Arc;

use async_tungstenite::tungstenite::Message as Frame;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::*;
use crate::access::Token;
use crate::message::Candidate;
use crate::server::{Server, Settings};
use crate::signaller::dial::{self, Tls};
use crate::signaller::{Offerer, PeerInfo};

/// A description that can be mended.
const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n";

/// A server that takes producers from elsewhere.
async fn relay(settings: Settings) -> Arc<Server> {
    let settings = Settings {
        remote_publishers: true,
        ..settings
    };
    Server::open("127.0.0.1:0".parse().unwrap(), settings)
        .await
        .unwrap()
}

/// A client of gst-plugins-rs.
struct Client {
    socket: dial::WebSocket,
    /// What it was welcomed as.
    id: String,
}

impl Client {
    async fn new(to: SocketAddr) -> Self {
        Self::with(to, None).await
    }

    async fn with(to: SocketAddr, token: Option<&str>) -> Self {
        let url = format!("ws://{to}/any/path?peer-id=x").parse().unwrap();
        let token = token.map(Token::new);
        let opened = dial::websocket(&url, &Tls::default(), None, token.as_ref()).await;
        let mut client = Self {
            socket: opened.unwrap(),
            id: String::new(),
        };
        let welcome = client.hear().await;
        assert_eq!(welcome["type"], "welcome");
        client.id = welcome["peerId"].as_str().unwrap().to_owned();
        client
    }

    /// One whose stream is on the server.
    async fn producer(to: SocketAddr, name: &str) -> Self {
        let mut client = Self::new(to).await;
        client.set_roles(&["producer"], name).await;
        let (id, listed) = (client.id.clone(), client.list().await);
        assert!(listed.contains(&(id, name.to_owned())), "{listed:?}");
        client
    }

    async fn set_roles(&mut self, roles: &[&str], name: &str) {
        let status = json!({"type": "setPeerStatus", "roles": roles, "meta": {"name": name}});
        self.send(status).await;
    }

    /// The names and titles of the producers.
    async fn list(&mut self) -> Vec<(String, String)> {
        self.send(json!({"type": "list"})).await;
        let list = self.hear().await;
        assert_eq!(list["type"], "list", "{list}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let producers = list["producers"].as_array().unwrap().iter();
        let read = producers.map(|it| (text(&it["id"]), text(&it["meta"]["name"])));
        read.collect()
    }

    /// Begins a session, and answers its name.
    async fn start(&mut self, stream: &str, offer: Option<&str>) -> String {
        self.send(json!({"type": "startSession", "peerId": stream, "offer": offer}))
            .await;
        let started = self.hear().await;
        assert_eq!(started["type"], "sessionStarted", "{started}");
        assert_eq!(started["peerId"], stream);
        started["sessionId"].as_str().unwrap().to_owned()
    }

    async fn say(&mut self, session: &str, kind: &str, body: Value) {
        let mut note = json!({"type": "peer", "sessionId": session});
        note[kind] = body;
        self.send(note).await;
    }

    async fn send(&mut self, message: Value) {
        self.text(&message.to_string()).await;
    }

    async fn text(&mut self, text: &str) {
        self.socket.send(Frame::text(text)).await.unwrap();
    }

    async fn frame(&mut self) -> Option<Frame> {
        let next = timeout(LONG, self.socket.next());
        next.await.expect("nothing was heard")?.ok()
    }

    async fn hear(&mut self) -> Value {
        loop {
            match self.frame().await.expect("the connection is open") {
                Frame::Text(text) => return serde_json::from_str(&text).unwrap(),
                Frame::Ping(_) | Frame::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// What was wrong with what it said last.
    async fn error(&mut self) -> String {
        let error = self.hear().await;
        assert_eq!(error["type"], "error", "{error}");
        error["details"].as_str().unwrap().to_owned()
    }

    async fn closed(&mut self) {
        while let Some(frame) = self.frame().await {
            assert!(!frame.is_text(), "{frame:?}");
        }
    }
}

fn sdp(kind: &str, sdp: &str) -> Value {
    json!({"type": kind, "sdp": sdp})
}

fn ice(candidate: &str) -> Value {
    json!({"candidate": candidate, "sdpMLineIndex": 0})
}

impl Publisher {
    /// The next peer, before it has said anything.
    async fn consumer(&mut self) -> (PeerId, PeerInfo) {
        match self.hear().await {
            Incoming::Joined { peer, info } => (peer, info),
            other => panic!("{other:?}"),
        }
    }

    async fn message(&mut self) -> Message {
        match self.hear().await {
            Incoming::Message { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    async fn say(&self, peer: &PeerId, message: Message) {
        let peer = peer.clone();
        self.tell(Outgoing::Message { peer, message }).await;
    }
}

#[tokio::test]
async fn a_consumer_watches_our_stream() {
    let mut publisher = Publisher::new().await;
    let mut client = Client::new(publisher.address()).await;
    assert_eq!(client.list().await, [("cam".to_owned(), "cam".to_owned())]);
    let session = client.start("cam", None).await;
    let (peer, info) = publisher.consumer().await;
    assert_eq!(
        (peer.as_str(), info.protocol.as_str()),
        (session.as_str(), "gstwebrtc")
    );
    assert_eq!(info.channel.unwrap().offerer, Offerer::Us);

    publisher
        .say(&peer, Message::Offer { sdp: "o".into() })
        .await;
    let note = client.hear().await;
    assert_eq!(
        note,
        json!({"type": "peer", "sessionId": session, "sdp": sdp("offer", "o")})
    );
    client.say(&session, "sdp", sdp("answer", "a")).await;
    assert_eq!(
        publisher.message().await,
        Message::Answer { sdp: "a".into() }
    );
    client.say(&session, "ice", ice("candidate:1")).await;
    assert!(matches!(publisher.message().await, Message::Candidate(_)));
    let candidate = Candidate {
        candidate: "candidate:2".into(),
        sdp_mid: None,
        sdp_m_line_index: None,
    };
    publisher.say(&peer, Message::Candidate(candidate)).await;
    assert_eq!(client.hear().await["ice"], ice("candidate:2"));
    client
        .send(json!({"type": "endSession", "sessionId": session}))
        .await;
    assert_eq!(publisher.left().await, peer);
}

#[tokio::test]
async fn a_consumer_may_bring_its_own_offer() {
    let mut publisher = Publisher::new().await;
    let mut client = Client::new(publisher.address()).await;
    client.start("cam", Some("o")).await;
    let (_, info) = publisher.consumer().await;
    assert_eq!(info.channel.unwrap().offerer, Offerer::Them);
    assert_eq!(
        publisher.message().await,
        Message::Offer { sdp: "o".into() }
    );
}

#[tokio::test]
async fn whoever_speaks_version_1_1_is_told_why() {
    let mut publisher = Publisher::new().await;
    for version in [None, Some("v1_1")] {
        let mut client = Client::new(publisher.address()).await;
        if let Some(version) = version {
            client
                .send(json!({"type": "setProtocolVersion", "version": version}))
                .await;
        }
        let session = client.start("cam", None).await;
        let (peer, _) = publisher.consumer().await;
        publisher
            .tell(Outgoing::End {
                peer,
                reason: "no path".into(),
            })
            .await;
        let end = match version {
            None => json!({"type": "endSession", "sessionId": session}),
            Some(_) => json!({"type": "endSessionV1_1", "sessionId": session, "error": "no path"}),
        };
        assert_eq!(client.hear().await, end);
    }
}

#[tokio::test]
async fn last_words_that_come_together_are_all_heard() {
    let mut publisher = Publisher::new().await;
    let mut client = Client::new(publisher.address()).await;
    let session = client.start("cam", None).await;
    let (peer, _) = publisher.consumer().await;
    let other = client.start("cam", None).await;
    let (stays, _) = publisher.consumer().await;
    // Both are there before the server's task for the client runs again.
    for note in [
        Outgoing::Message {
            peer: peer.clone(),
            message: Message::Offer { sdp: "o".into() },
        },
        Outgoing::End {
            peer,
            reason: "no path".into(),
        },
    ] {
        publisher.outgoing.try_send(note).unwrap();
    }
    assert_eq!(client.hear().await["sdp"], sdp("offer", "o"));
    assert_eq!(
        client.hear().await,
        json!({"type": "endSession", "sessionId": session})
    );
    // What becomes of one session is nothing to another.
    publisher
        .say(&stays, Message::Offer { sdp: "p".into() })
        .await;
    assert_eq!(client.hear().await["sessionId"], other);
}

#[tokio::test]
async fn a_consumer_that_vanishes_has_left() {
    let mut publisher = Publisher::new().await;
    let mut client = Client::new(publisher.address()).await;
    for _ in 0..2 {
        client.start("cam", None).await;
    }
    let (first, _) = publisher.consumer().await;
    let (second, _) = publisher.consumer().await;
    drop(client);
    let mut left = [publisher.left().await, publisher.left().await];
    let mut there = [first, second];
    left.sort();
    there.sort();
    assert_eq!(left, there);
}

#[tokio::test]
async fn a_producer_serves_consumers_of_its_own_kind() {
    let relay = relay(Settings::default()).await;
    let mut producer = Client::producer(relay.address(), "door").await;
    let mut consumer = Client::new(relay.address()).await;
    let session = consumer.start("door", None).await;
    let start = producer.hear().await;
    assert_eq!(
        (&start["type"], &start["sessionId"]),
        (&json!("startSession"), &json!(session))
    );
    assert_eq!(start["offer"], Value::Null);
    producer.say(&session, "sdp", sdp("offer", "o")).await;
    assert_eq!(consumer.hear().await["sdp"], sdp("offer", "o"));
    consumer.say(&session, "sdp", sdp("answer", "a")).await;
    assert_eq!(producer.hear().await["sdp"], sdp("answer", "a"));
    consumer
        .send(json!({"type": "endSession", "sessionId": session}))
        .await;
    assert_eq!(
        producer.hear().await,
        json!({"type": "endSession", "sessionId": session})
    );
    let session = consumer.start("door", None).await;
    producer.hear().await;
    drop(producer);
    assert_eq!(
        consumer.hear().await,
        json!({"type": "endSession", "sessionId": session})
    );
    assert_eq!(consumer.list().await, []);
}

#[tokio::test]
async fn a_producer_answers_a_whep_viewer_with_all_its_candidates() {
    let relay = relay(Settings::default()).await;
    for end in [true, false] {
        let mut producer = Client::producer(relay.address(), "door").await;
        let viewer = tokio::spawn(post(relay.address(), "/whep/door", OFFER));
        let start = producer.hear().await;
        assert_eq!(start["offer"], OFFER);
        let session = start["sessionId"].as_str().unwrap();
        producer.say(session, "sdp", sdp("answer", ANSWER)).await;
        producer
            .say(
                session,
                "ice",
                ice("candidate:1 1 UDP 1 192.0.2.1 9 typ host"),
            )
            .await;
        if end {
            producer.say(session, "ice", ice("")).await;
        }
        let reply = viewer.await.unwrap();
        assert_eq!(reply.status, 201, "{reply:?}");
        assert!(reply.body.contains("a=candidate:1 1 UDP"), "{reply:?}");
        assert_eq!(reply.body.contains("a=end-of-candidates"), end, "{reply:?}");
    }
}

#[tokio::test]
async fn a_listener_is_told_who_comes_and_goes() {
    let relay = relay(Settings::default()).await;
    let mut listener = Client::new(relay.address()).await;
    listener.set_roles(&["listener"], "me").await;
    let own = listener.hear().await;
    assert_eq!(
        (&own["type"], &own["peerId"]),
        (&json!("peerStatusChanged"), &json!(listener.id))
    );
    assert_eq!(own["roles"], json!(["listener"]));
    let producer = Client::producer(relay.address(), "door").await;
    let told = |roles: Value| json!({"type": "peerStatusChanged", "peerId": "door", "meta": {"name": "door"}, "roles": roles});
    assert_eq!(listener.hear().await, told(json!(["producer"])));
    drop(producer);
    assert_eq!(listener.hear().await, told(json!([])));
}

#[tokio::test]
async fn a_producer_that_stops_producing_takes_its_stream_along() {
    let relay = relay(Settings::default()).await;
    let mut producer = Client::producer(relay.address(), "door").await;
    producer.set_roles(&["producer"], "gate").await;
    assert_eq!(
        producer.list().await,
        [(producer.id.clone(), "gate".to_owned())]
    );
    producer.set_roles(&[], "gate").await;
    assert_eq!(producer.list().await, []);
}

#[tokio::test]
async fn what_cannot_be_is_told_and_nothing_breaks() {
    let relay = relay(Settings::default()).await;
    let mut taken = Client::producer(relay.address(), "door").await;
    let mut client = Client::new(relay.address()).await;
    client.set_roles(&["producer"], "door").await;
    assert!(client.error().await.contains("already"));
    client.set_roles(&["producer"], "a/b").await;
    assert!(client.error().await.contains("name"));
    client.set_roles(&["producer", "consumer"], "c").await;
    assert!(client.error().await.contains("both"));
    client
        .send(json!({"type": "startSession", "peerId": "gate"}))
        .await;
    assert!(client.error().await.contains("gate"));
    let session = client.start("door", None).await;
    client.say(&session, "sdp", sdp("offer", "o")).await;
    assert!(client.error().await.contains("offers"));
    // No word is lost on what nobody understands.
    for text in [
        "{",
        "[]",
        r#"{"type":"newPeer"}"#,
        r#"{"type":"peer","sessionId":"x","ice":{}}"#,
    ] {
        client.text(text).await;
    }
    client
        .send(json!({"type": "endSession", "sessionId": "none"}))
        .await;
    client.send(json!({"type": "listConsumers"})).await;
    assert_eq!(
        client.hear().await,
        json!({"type": "listConsumers", "consumers": []})
    );
    taken.hear().await;
}

#[tokio::test]
async fn nobody_speaks_in_anothers_session() {
    let relay = relay(Settings::default()).await;
    let mut producer = Client::producer(relay.address(), "door").await;
    let mut consumer = Client::new(relay.address()).await;
    let session = consumer.start("door", None).await;
    producer.hear().await;
    let mut stranger = Client::producer(relay.address(), "gate").await;
    stranger.say(&session, "sdp", sdp("offer", "evil")).await;
    stranger
        .send(json!({"type": "endSession", "sessionId": session}))
        .await;
    // Its answer shows that the server has dealt with both.
    stranger.list().await;
    producer.say(&session, "sdp", sdp("offer", "good")).await;
    assert_eq!(consumer.hear().await["sdp"], sdp("offer", "good"));
}

#[tokio::test]
async fn an_elements_own_server_takes_no_producers() {
    let publisher = Publisher::new().await;
    let mut client = Client::new(publisher.address()).await;
    client.set_roles(&["producer"], "door").await;
    assert!(client.error().await.contains("sigmund serve"));
}

#[tokio::test]
async fn a_token_comes_in_the_header() {
    let mut options = options();
    options.token = Some(Token::new("secret"));
    let mut publisher = Publisher::open("listen://127.0.0.1:0/cam", &options).await;
    for token in [None, Some("guess")] {
        let mut client = Client::with(publisher.address(), token).await;
        client.send(json!({"type": "list"})).await;
        assert!(client.error().await.contains("Authorization"));
        client
            .send(json!({"type": "startSession", "peerId": "cam"}))
            .await;
        assert!(client.error().await.contains("Authorization"));
    }
    let mut client = Client::with(publisher.address(), Some("secret")).await;
    client.start("cam", None).await;
    publisher.consumer().await;
}

#[tokio::test]
async fn who_floods_is_turned_out() {
    let limits = crate::access::Limits {
        message_burst: 3,
        messages_per_second: 1,
        ..crate::access::Limits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let relay = relay(settings).await;
    let mut client = Client::new(relay.address()).await;
    for _ in 0..3 {
        client.list().await;
    }
    client.send(json!({"type": "list"})).await;
    assert!(client.error().await.contains("a second"));
    client.closed().await;
}

#[tokio::test]
async fn who_is_silent_is_turned_out_however_much_it_is_told() {
    let limits = crate::access::Limits {
        idle_timeout: Duration::from_millis(300),
        ..crate::access::Limits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let relay = relay(settings).await;
    let mut listener = Client::new(relay.address()).await;
    listener.set_roles(&["listener"], "me").await;
    let hub = relay.hub().clone();
    let busy = tokio::spawn(async move {
        loop {
            let kind = crate::server::Kind::Publish;
            let publisher = crate::server::Publisher::Local;
            let stream = hub.publish("door", kind, &[], publisher);
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(stream);
        }
    });
    let told = async { while listener.frame().await.is_some() {} };
    timeout(LONG, told).await.expect("it is closed");
    busy.abort();
}

#[tokio::test]
async fn our_own_client_is_at_home_here() {
    let relay = relay(Settings::default()).await;
    let uri = format!("gstwebrtc://{}/door", relay.address());
    let mut signaller = signaller(&uri, &options());
    let mut connection = signaller.connect().await.unwrap();
    let mut consumer = Client::new(relay.address()).await;
    let session = consumer.start("door", None).await;
    let joined = timeout(LONG, connection.incoming.recv()).await.unwrap();
    assert!(
        matches!(&joined, Some(Incoming::Joined { peer, .. }) if peer.as_str() == session),
        "{joined:?}"
    );
    drop(connection);
    signaller.close().await;
    assert_eq!(consumer.hear().await["type"], "endSession");
}
