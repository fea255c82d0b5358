use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::protocol::{News, Packet};
use super::*;
use crate::message::{Candidate, Message};
use crate::sdp::ReceivableCodec;
use crate::signaller::Outgoing;
use crate::signaller::fake::{End, Server, mutated};

const SOON: Duration = Duration::from_secs(5);

fn signaller(server: &Server, token: Option<&str>) -> Box<dyn Signaller> {
    let mut options = Options::new(Role::Publish, "camera");
    options.token = token.map(Token::new);
    let uri = format!("janus+ws://{}/1234", server.address);
    open(&SignallingUri::parse(&uri).unwrap(), &options).unwrap()
}

/// The next request, which must be of `kind`; answers its transaction.
async fn asked(end: &mut End, kind: &str) -> (Value, String) {
    loop {
        let request = end.recv().await;
        let transaction = request["transaction"].as_str().unwrap().to_owned();
        if request["janus"] == kind {
            return (request, transaction);
        }
        assert_eq!(request["janus"], "keepalive", "{request}");
    }
}

async fn succeed(end: &mut End, transaction: &str, id: u64) {
    end.send(json!({"janus": "success", "transaction": transaction, "data": {"id": id}}))
        .await;
}

fn event(transaction: Option<&str>, data: Value) -> Value {
    json!({"janus": "event", "sender": 22, "transaction": transaction,
        "plugindata": {"plugin": "janus.plugin.videoroom", "data": data}})
}

/// Lets a client into its room.
async fn admit(end: &mut End) -> Value {
    let (_, transaction) = asked(end, "create").await;
    succeed(end, &transaction, 11).await;
    let (attach, transaction) = asked(end, "attach").await;
    assert_eq!(attach["session_id"], 11);
    succeed(end, &transaction, 22).await;
    let (list, transaction) = asked(end, "message").await;
    assert_eq!(list["body"]["request"], "list");
    let rooms = json!([{"room": 1}, {"room": 1234, "videocodec": "vp9,h264", "audiocodec": "opus", "h264_profile": "42e01f"}]);
    end.send(
        json!({"janus": "success", "transaction": transaction, "sender": 22, "plugindata":
        {"plugin": "janus.plugin.videoroom", "data": {"videoroom": "success", "list": rooms}}}),
    )
    .await;
    let (join, transaction) = asked(end, "message").await;
    end.send(json!({"janus": "ack", "transaction": transaction}))
        .await;
    let joined = json!({"videoroom": "joined", "room": 1234, "id": 5, "publishers": []});
    end.send(event(Some(&transaction), joined)).await;
    join
}

async fn recv(connection: &mut Connection) -> Option<Incoming> {
    timeout(SOON, connection.incoming.recv()).await.unwrap()
}

async fn joined(connection: &mut Connection) -> PeerId {
    match recv(connection).await {
        Some(Incoming::Joined { peer, .. }) => peer,
        other => panic!("{other:?}"),
    }
}

/// A session that has begun.
async fn up(server: &Server) -> (Box<dyn Signaller>, Connection, PeerId, End) {
    let mut signaller = signaller(server, None);
    let admit = async {
        let mut end = server.accept().await;
        admit(&mut end).await;
        end
    };
    let (connection, end) = tokio::join!(signaller.connect(), admit);
    let mut connection = connection.unwrap();
    let peer = joined(&mut connection).await;
    (signaller, connection, peer, end)
}

async fn say(connection: &Connection, peer: &PeerId, message: Message) {
    let peer = peer.clone();
    let note = Outgoing::Message { peer, message };
    connection.outgoing.send(note).await.unwrap();
}

fn offer() -> Message {
    Message::Offer {
        sdp: "offer".to_owned(),
    }
}

// rules: long because it is one conversation, told in order.
#[tokio::test]
async fn the_way_in_and_the_notes_are_as_janus_wants_them() {
    let server = Server::new().await;
    let mut signaller = signaller(&server, Some("secret"));
    let admit = async {
        let mut end = server.accept().await;
        assert_eq!(
            end.request.headers()["sec-websocket-protocol"],
            "janus-protocol"
        );
        let join = admit(&mut end).await;
        (end, join)
    };
    let (connection, (mut end, join)) = tokio::join!(signaller.connect(), admit);
    let mut connection = connection.unwrap();
    assert_eq!(
        join["body"],
        json!({"request": "join", "ptype": "publisher", "room": 1234, "display": "camera",
            "pin": "secret", "token": "secret"})
    );
    assert_eq!(
        (&join["apisecret"], &join["handle_id"]),
        (&json!("secret"), &json!(22))
    );
    let Some(Incoming::Joined { peer, info }) = recv(&mut connection).await else {
        panic!("nobody joined")
    };
    let codec = |codec: &str, profile: Option<&str>| ReceivableCodec {
        codec: codec.to_owned(),
        profile: profile.map(str::to_owned),
    };
    let receives = Receives {
        video: vec![codec("VP9", None), codec("H264", Some("42e01f"))],
        audio: vec![codec("OPUS", None)],
        data: false,
    };
    assert_eq!(info.receives, Some(receives));

    say(&connection, &peer, offer()).await;
    let (publish, transaction) = asked(&mut end, "message").await;
    assert_eq!(publish["body"]["request"], "publish");
    assert_eq!(publish["jsep"], json!({"type": "offer", "sdp": "offer"}));
    let mut answer = event(
        Some(&transaction),
        json!({"videoroom": "event", "configured": "ok"}),
    );
    answer["jsep"] = json!({"type": "answer", "sdp": "answer"});
    end.send(answer).await;
    let message = Message::Answer {
        sdp: "answer".to_owned(),
    };
    assert_eq!(
        recv(&mut connection).await,
        Some(Incoming::Message {
            peer: peer.clone(),
            message
        })
    );

    let candidate = Candidate {
        candidate: "candidate:1".to_owned(),
        sdp_mid: Some("0".to_owned()),
        sdp_m_line_index: Some(0),
    };
    say(&connection, &peer, Message::Candidate(candidate)).await;
    let (trickle, _) = asked(&mut end, "trickle").await;
    let wire = json!({"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0});
    assert_eq!(trickle["candidate"], wire);
    say(&connection, &peer, Message::EndOfCandidates).await;
    let (trickle, _) = asked(&mut end, "trickle").await;
    assert_eq!(trickle["candidate"], json!({"completed": true}));

    drop(connection);
    let bye = async {
        let (destroy, _) = asked(&mut end, "destroy").await;
        assert_eq!(
            (&destroy["session_id"], &destroy["handle_id"]),
            (&json!(11), &Value::Null)
        );
        end.closed().await;
    };
    tokio::join!(signaller.close(), bye);
}

#[tokio::test]
async fn a_refused_offer_ends_the_session() {
    let server = Server::new().await;
    let (mut signaller, mut connection, peer, mut end) = up(&server).await;
    say(&connection, &peer, offer()).await;
    let (_, transaction) = asked(&mut end, "message").await;
    let fault = json!({"videoroom": "event", "error_code": 437, "error": "no\nway"});
    end.send(event(Some(&transaction), fault)).await;
    let left = recv(&mut connection).await;
    assert!(
        matches!(&left, Some(Incoming::Left { reason, .. }) if reason.contains("no way")),
        "{left:?}"
    );
    assert_eq!(recv(&mut connection).await, None);
    assert!(
        signaller
            .lost()
            .await
            .unwrap()
            .to_string()
            .contains("no way")
    );
}

#[tokio::test]
async fn a_lost_websocket_is_replaced_and_the_session_claimed() {
    let server = Server::new().await;
    let (mut signaller, mut connection, peer, end) = up(&server).await;
    drop(end);
    assert_eq!(recv(&mut connection).await, None, "the peer has not left");
    assert!(matches!(
        signaller.lost().await,
        Some(SignallerError::Transient(_))
    ));
    let claim = async {
        let mut end = server.accept().await;
        let (claim, transaction) = asked(&mut end, "claim").await;
        assert_eq!(claim["session_id"], 11);
        // What happened meanwhile is not lost.
        end.send(json!({"janus": "hangup", "sender": 22, "reason": "DTLS alert"}))
            .await;
        end.send(json!({"janus": "success", "transaction": transaction}))
            .await;
        end
    };
    let (connection, _end) = tokio::join!(signaller.connect(), claim);
    let left = recv(&mut connection.unwrap()).await;
    let Some(Incoming::Left { peer: left, reason }) = left else {
        panic!("{left:?}")
    };
    assert_eq!(left, peer);
    assert!(reason.contains("DTLS alert"), "{reason}");
}

#[tokio::test]
async fn a_session_that_is_forgotten_is_followed_by_another() {
    let server = Server::new().await;
    let (mut signaller, mut connection, peer, end) = up(&server).await;
    drop(end);
    assert_eq!(recv(&mut connection).await, None);
    signaller.lost().await;
    let admit = async {
        let mut end = server.accept().await;
        let (_, transaction) = asked(&mut end, "claim").await;
        let error = json!({"code": 458, "reason": "No such session"});
        end.send(json!({"janus": "error", "transaction": transaction, "error": error}))
            .await;
        admit(&mut end).await;
        end
    };
    let (connection, _end) = tokio::join!(signaller.connect(), admit);
    let mut connection = connection.unwrap();
    let left = recv(&mut connection).await;
    assert!(
        matches!(&left, Some(Incoming::Left { peer: left, .. }) if *left == peer),
        "{left:?}"
    );
    assert_ne!(joined(&mut connection).await, peer);
}

#[tokio::test(start_paused = true)]
async fn a_janus_that_says_nothing_is_given_up() {
    let server = Server::new().await;
    let mut signaller = signaller(&server, None);
    let (connected, _end) = tokio::join!(signaller.connect(), server.accept());
    assert!(matches!(connected, Err(SignallerError::Transient(_))));
}

#[test]
fn a_uri_without_a_room_shows_a_right_one() {
    let uri = SignallingUri::parse("janus+ws://127.0.0.1").unwrap();
    let error = open(&uri, &Options::new(Role::Publish, "x")).err().unwrap();
    assert!(error.0.contains("janus+ws://127.0.0.1/1234"), "{error}");
}

fn news(packet: Value) -> Option<News> {
    serde_json::from_value::<Packet>(packet).unwrap().news(22)
}

#[test]
fn packets_mean_what_they_say() {
    let over = |packet: Value| matches!(news(packet), Some(News::Over(_)));
    assert!(over(
        json!({"janus": "hangup", "sender": 22, "reason": "ICE failed"})
    ));
    assert!(over(json!({"janus": "detached", "sender": 22})));
    assert!(over(json!({"janus": "timeout", "session_id": 11})));
    assert!(over(event(
        None,
        json!({"videoroom": "destroyed", "room": 1234})
    )));
    assert!(over(event(
        None,
        json!({"videoroom": "event", "leaving": "ok", "reason": "kicked"})
    )));
    // Of others, or of no interest.
    assert_eq!(news(json!({"janus": "hangup", "sender": 23})), None);
    assert_eq!(
        news(event(None, json!({"videoroom": "event", "leaving": 77}))),
        None
    );
    assert_eq!(
        news(event(
            None,
            json!({"videoroom": "event", "unpublished": 77})
        )),
        None
    );
    assert_eq!(news(json!({"janus": "webrtcup", "sender": 22})), None);
    assert_eq!(
        news(json!({"janus": "media", "sender": 22, "receiving": true})),
        None
    );

    let end = Some(News::Note(Message::EndOfCandidates));
    for candidate in [json!({"completed": true}), json!({"candidate": ""})] {
        assert_eq!(
            news(json!({"janus": "trickle", "sender": 22, "candidate": candidate})),
            end
        );
    }
}

#[test]
fn errors_say_what_to_do_and_whether_to_try_again() {
    let refused = |code: i64| {
        let packet = json!({"janus": "error", "error": {"code": code, "reason": "no"}});
        let packet = serde_json::from_value::<Packet>(packet).unwrap();
        protocol::refused(&packet.fault().unwrap())
    };
    for (code, hint) in [
        (403, "API secret"),
        (426, "janus.plugin.videoroom.jcfg"),
        (429, "PIN"),
        (430, "string_ids"),
        (433, "PIN"),
        (460, "VideoRoom"),
    ] {
        match refused(code) {
            SignallerError::Permanent(text) => assert!(text.contains(hint), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    // A full room, and what nobody knows.
    for code in [432, 490] {
        assert!(matches!(refused(code), SignallerError::Transient(_)));
    }
}

fn packets() -> Vec<Value> {
    vec![
        json!({"janus": "success", "transaction": "1", "data": {"id": 1}}),
        json!({"janus": "error", "transaction": "1", "error": {"code": 458, "reason": "r"}}),
        json!({"janus": "trickle", "sender": 22, "candidate": {"candidate": "c", "sdpMid": "0", "sdpMLineIndex": 0}}),
        json!({"janus": "hangup", "sender": 22, "reason": "r"}),
        json!({"janus": "event", "sender": 22, "jsep": {"type": "answer", "sdp": "s"},
            "plugindata": {"plugin": "p", "data": {"videoroom": "event", "leaving": "ok", "error_code": 1, "error": "e",
                "list": [{"room": 1234, "videocodec": "vp8", "audiocodec": "opus"}]}}}),
    ]
}

proptest! {
    #[test]
    fn no_packet_causes_a_panic(value in mutated(packets())) {
        if let Ok(packet) = serde_json::from_value::<Packet>(value) {
            let _ = packet.fault().map(|fault| protocol::refused(&fault));
            packet.created();
            packet.codecs("1234");
            packet.news(22);
        }
    }

    #[test]
    fn no_text_causes_a_panic(text in ".{0,200}") {
        let _ = serde_json::from_str::<Packet>(&text);
    }
}
