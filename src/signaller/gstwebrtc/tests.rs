use proptest::prelude::*;
use serde_json::Value;

use super::heard::Heard;
use super::producer::Sessions;
use super::*;
use crate::message::{Candidate, MAX_SDP, Message, PeerId};
use crate::signaller::fake::{End, Server, mutated};
use crate::signaller::{Incoming, Outgoing, PeerInfo, Refusal};

fn signaller(server: &Server, path: &str) -> Box<dyn Signaller> {
    let mut options = Options::new(Role::Publish, "camera");
    options.token = Some(Token::new("secret"));
    let uri = format!("gstwebrtc://{}{path}", server.address);
    open(&SignallingUri::parse(&uri).unwrap(), &options).unwrap()
}

/// Lets a producer in.
async fn admit(server: &Server) -> (End, Value) {
    let mut end = server.accept().await;
    end.send(json!({"type": "welcome", "peerId": "own"})).await;
    let status = end.recv().await;
    assert_eq!(end.recv().await, json!({"type": "list"}));
    end.send(json!({"type": "startSession", "peerId": "quick", "sessionId": "s0"}))
        .await;
    let producers = json!([{"id": "own", "meta": {"name": "x"}}, {"id": "other", "meta": null}]);
    end.send(json!({"type": "list", "producers": producers}))
        .await;
    (end, status)
}

fn message(peer: &str, message: Message) -> Outgoing {
    let peer = PeerId::new(peer);
    Outgoing::Message { peer, message }
}

#[tokio::test]
async fn a_producer_registers_and_hears_of_its_consumers() {
    let server = Server::new().await;
    for (path, name) in [("", "camera"), ("/door", "door")] {
        let mut signaller = signaller(&server, path);
        let (connection, (mut end, status)) = tokio::join!(signaller.connect(), admit(&server));
        let mut connection = connection.unwrap();
        assert_eq!(end.request.headers()["authorization"], "Bearer secret");
        assert_eq!(
            status,
            json!({"type": "setPeerStatus", "roles": ["producer"], "meta": {"name": name}, "peerId": "own"})
        );
        let joined = connection.incoming.recv().await;
        assert!(
            matches!(&joined, Some(Incoming::Joined { peer, .. }) if peer.as_str() == "s0"),
            "{joined:?}"
        );
        let offer = Message::Offer {
            sdp: "o".to_owned(),
        };
        connection
            .outgoing
            .send(message("s0", offer))
            .await
            .unwrap();
        let wire = json!({"type": "peer", "sessionId": "s0", "sdp": {"type": "offer", "sdp": "o"}});
        assert_eq!(end.recv().await, wire);
        drop(connection);
        tokio::join!(signaller.close(), end.closed());
    }
}

#[tokio::test]
async fn a_server_that_refuses_says_why() {
    let server = Server::new().await;
    let mut signaller = signaller(&server, "");
    let refuse = async {
        let mut end = server.accept().await;
        end.send(json!({"type": "welcome", "peerId": "own"})).await;
        end.recv().await;
        end.send(json!({"type": "error", "details": "no\nproducers"}))
            .await;
        end
    };
    let (connected, _end) = tokio::join!(signaller.connect(), refuse);
    match connected {
        Err(SignallerError::Permanent(text)) => assert!(text.contains("no producers"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lost_websocket_ends_the_channel_and_no_peer() {
    let server = Server::new().await;
    let mut signaller = signaller(&server, "");
    let (connection, (end, _)) = tokio::join!(signaller.connect(), admit(&server));
    let mut connection = connection.unwrap();
    connection.incoming.recv().await.unwrap();
    drop(end);
    assert_eq!(connection.incoming.recv().await, None);
    assert!(matches!(
        signaller.lost().await,
        Some(SignallerError::Transient(_))
    ));
}

fn hear(sessions: &mut Sessions, note: Value) -> Heard {
    sessions.hear(serde_json::from_value(note).unwrap())
}

fn started(offer: Option<&str>) -> (Sessions, Heard) {
    let mut sessions = Sessions::default();
    let note = json!({"type": "startSession", "peerId": "p", "sessionId": "s", "offer": offer});
    let heard = hear(&mut sessions, note);
    (sessions, heard)
}

#[test]
fn a_consumer_may_bring_its_own_offer() {
    let joined = |channel| Incoming::Joined {
        peer: PeerId::new("s"),
        info: PeerInfo {
            protocol: "gstwebrtc".to_owned(),
            channel,
            ..PeerInfo::default()
        },
    };
    assert_eq!(started(None).1.notes, [joined(None)]);
    let theirs = Capabilities {
        offerer: Offerer::Them,
        ..CAPABILITIES
    };
    let offer = Incoming::Message {
        peer: PeerId::new("s"),
        message: Message::Offer {
            sdp: "o".to_owned(),
        },
    };
    assert_eq!(started(Some("o")).1.notes, [joined(Some(theirs)), offer]);
}

#[test]
fn notes_are_translated_both_ways() {
    let candidate = |mid: Option<&str>| {
        Message::Candidate(Candidate {
            candidate: "candidate:1".to_owned(),
            sdp_mid: mid.map(str::to_owned),
            sdp_m_line_index: Some(1),
        })
    };
    let answer = || Message::Answer {
        sdp: "a".to_owned(),
    };
    let ice = json!({"type": "peer", "sessionId": "s", "ice": {"candidate": "candidate:1", "sdpMLineIndex": 1}});
    let sdp = json!({"type": "peer", "sessionId": "s", "sdp": {"type": "answer", "sdp": "a"}});
    let (mut sessions, _) = started(None);
    for (wire, said, heard) in [
        (ice, candidate(Some("m")), candidate(None)),
        (sdp, answer(), answer()),
    ] {
        let written = sessions.say(message("s", said)).unwrap();
        assert_eq!(serde_json::to_value(written).unwrap(), wire);
        let note = Incoming::Message {
            peer: PeerId::new("s"),
            message: heard,
        };
        assert_eq!(hear(&mut sessions, wire).notes, [note]);
    }
    // As the web client says it.
    let ice = json!({"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "x"});
    let heard = hear(
        &mut sessions,
        json!({"type": "peer", "sessionId": "s", "ice": ice}),
    );
    let end = Incoming::Message {
        peer: PeerId::new("s"),
        message: Message::EndOfCandidates,
    };
    assert_eq!(heard.notes, [end]);
}

#[test]
fn sessions_end_once_from_either_side() {
    let end = json!({"type": "endSession", "sessionId": "s"});
    let why = json!({"type": "endSessionV1_1", "sessionId": "s", "error": "bad\nluck"});
    for (note, expected) in [(end.clone(), "left"), (why, "bad luck")] {
        let (mut sessions, _) = started(None);
        let heard = hear(&mut sessions, note.clone());
        assert!(
            matches!(&heard.notes[..], [Incoming::Left { reason, .. }] if reason.contains(expected)),
            "{heard:?}"
        );
        assert_eq!(hear(&mut sessions, note), Heard::default());
        assert_eq!(
            sessions.say(message("s", Message::Answer { sdp: String::new() })),
            None
        );
    }
    let (peer, reason) = (PeerId::new("s"), "r".to_owned());
    let refusal = Refusal::Busy("b".to_owned());
    for note in [
        Outgoing::End {
            peer: peer.clone(),
            reason: reason.clone(),
        },
        Outgoing::Refuse { peer, refusal },
        message("s", Message::Bye { reason }),
    ] {
        let (mut sessions, _) = started(None);
        let written = sessions.say(note.clone()).unwrap();
        assert_eq!(serde_json::to_value(written).unwrap(), end);
        assert_eq!(sessions.say(note), None, "it is over already");
    }
}

#[test]
fn what_is_too_long_ends_its_session() {
    let (mut sessions, _) = started(None);
    let sdp = json!({"type": "answer", "sdp": "x".repeat(MAX_SDP + 1)});
    let heard = hear(
        &mut sessions,
        json!({"type": "peer", "sessionId": "s", "sdp": sdp}),
    );
    assert!(
        matches!(&heard.notes[..], [Incoming::Left { .. }]),
        "{heard:?}"
    );
    assert!(matches!(heard.answer, Some(ToServer::EndSession { .. })));
    for name in [String::new(), "x".repeat(200), "a\nb".into(), "a\0".into()] {
        let note = json!({"type": "startSession", "peerId": "p", "sessionId": name});
        assert_eq!(hear(&mut sessions, note), Heard::default(), "{name:?}");
    }
}

#[test]
fn there_is_an_end_to_sessions() {
    let mut sessions = Sessions::default();
    let mut refused = 0;
    for number in 0..5000 {
        let note = json!({"type": "startSession", "peerId": "p", "sessionId": number.to_string()});
        refused += usize::from(hear(&mut sessions, note).answer.is_some());
    }
    assert_eq!(refused, 5000 - 4096);
}

fn notes() -> Vec<Value> {
    vec![
        json!({"type": "welcome", "peerId": "p"}),
        json!({"type": "startSession", "peerId": "p", "sessionId": "t", "offer": "o"}),
        json!({"type": "peer", "sessionId": "s", "ice": {"candidate": "candidate:1", "sdpMLineIndex": 0}}),
        json!({"type": "peer", "sessionId": "s", "sdp": {"type": "answer", "sdp": "a"}}),
        json!({"type": "endSessionV1_1", "sessionId": "s", "error": "e"}),
        json!({"type": "peerStatusChanged", "roles": ["producer"], "meta": {"a": [1]}, "peerId": "p"}),
        json!({"type": "list", "producers": [{"id": "p", "meta": null}]}),
        json!({"type": "error", "details": "d"}),
    ]
}

fn requests() -> Vec<Value> {
    vec![
        json!({"type": "setProtocolVersion", "version": "v1_1"}),
        json!({"type": "setPeerStatus", "roles": ["producer", "listener"], "meta": {"name": "n"}, "peerId": "p"}),
        json!({"type": "startSession", "peerId": "p", "offer": "o"}),
        json!({"type": "endSessionV1_1", "sessionId": "s", "error": "e"}),
        json!({"type": "peer", "sessionId": "s", "ice": {"candidate": "c", "sdpMLineIndex": 0}}),
        json!({"type": "listConsumers"}),
    ]
}

proptest! {
    #[test]
    fn no_request_causes_a_panic(value in mutated(requests())) {
        if let Ok(note) = serde_json::from_value::<ToServer>(value) {
            let written = serde_json::to_value(&note).unwrap();
            prop_assert_eq!(serde_json::from_value::<ToServer>(written).unwrap(), note);
        }
    }

    #[test]
    fn no_note_causes_a_panic(value in mutated(notes())) {
        let (mut sessions, _) = started(None);
        if let Ok(note) = serde_json::from_value::<ToPeer>(value) {
            sessions.hear(note);
        }
    }

    #[test]
    fn what_is_read_is_written_the_same(value in mutated(notes())) {
        if let Ok(note) = serde_json::from_value::<ToPeer>(value) {
            let written = serde_json::to_value(&note).unwrap();
            prop_assert_eq!(serde_json::from_value::<ToPeer>(written).unwrap(), note);
        }
    }
}
