use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn candidate() -> Candidate {
    Candidate {
        candidate: "candidate:1 1 UDP 1 192.0.2.1 9 typ host".to_owned(),
        sdp_mid: Some("0".to_owned()),
        sdp_m_line_index: Some(0),
    }
}

#[test]
fn notes_have_the_json_of_the_protocol() {
    let sdp = || "v=0\r\n".to_owned();
    let table = [
        (
            Message::Offer { sdp: sdp() },
            json!({"type": "offer", "sdp": "v=0\r\n"}),
        ),
        (
            Message::Answer { sdp: sdp() },
            json!({"type": "answer", "sdp": "v=0\r\n"}),
        ),
        (Message::please_offer(), json!({"type": "please-offer"})),
        (
            Message::Candidate(candidate()),
            json!({
                "type": "candidate",
                "candidate": "candidate:1 1 UDP 1 192.0.2.1 9 typ host",
                "sdpMid": "0",
                "sdpMLineIndex": 0
            }),
        ),
        (
            Message::EndOfCandidates,
            json!({"type": "end-of-candidates"}),
        ),
        (
            Message::Again { round: 2 },
            json!({"type": "again", "round": 2}),
        ),
        (
            Message::Bye {
                reason: "done".to_owned(),
            },
            json!({"type": "bye", "reason": "done"}),
        ),
    ];
    for (message, expected) in table {
        assert_eq!(serde_json::to_value(&message).unwrap(), expected);
        let read: Message = serde_json::from_value(expected).unwrap();
        assert_eq!(read, message);
        assert_eq!(read.check(), Ok(()));
    }
}

#[test]
fn a_browsers_candidate_is_read_as_it_serialises_it() {
    let text = r#"{"type":"candidate","candidate":"candidate:1","sdpMid":null,
                   "sdpMLineIndex":null,"usernameFragment":"abcd"}"#;
    let Message::Candidate(read) = serde_json::from_str(text).unwrap() else {
        panic!("not a candidate");
    };
    assert_eq!((read.sdp_mid, read.sdp_m_line_index), (None, None));
    let bare = Candidate {
        sdp_mid: None,
        sdp_m_line_index: None,
        ..candidate()
    };
    let written = serde_json::to_value(Message::Candidate(bare)).unwrap();
    assert_eq!(written.as_object().map(|it| it.len()), Some(2));
}

#[test]
fn what_is_no_note_is_refused() {
    for text in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"type":"offer"}"#,
        r#"{"type":"Offer","sdp":""}"#,
        r#"{"type":"offer","sdp":1}"#,
        r#"{"type":"candidate","candidate":"x","sdpMLineIndex":-1}"#,
        r#"{"type":"rollback"}"#,
    ] {
        assert!(serde_json::from_str::<Message>(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_too_long_is_told() {
    let sdp = |length| Message::Offer {
        sdp: "x".repeat(length),
    };
    assert_eq!(sdp(MAX_SDP).check(), Ok(()));
    assert_eq!(
        sdp(MAX_SDP + 1).check().unwrap_err().to_string(),
        "the description has 65537 bytes; at most 65536 are taken"
    );
    for message in [
        Message::Answer {
            sdp: "x".repeat(MAX_SDP + 1),
        },
        Message::Candidate(Candidate {
            candidate: "x".repeat(MAX_CANDIDATE + 1),
            ..candidate()
        }),
        Message::Candidate(Candidate {
            sdp_mid: Some("x".repeat(MAX_MID + 1)),
            ..candidate()
        }),
        Message::Bye {
            reason: "x".repeat(MAX_REASON + 1),
        },
    ] {
        assert!(message.check().is_err(), "{message:?}");
    }
}

#[test]
fn a_peer_is_its_name() {
    let peer = PeerId::new("ada");
    assert_eq!(peer.to_string(), "ada");
    assert_eq!(format!("{peer:?}"), "PeerId(ada)");
    assert_eq!(serde_json::to_value(&peer).unwrap(), json!("ada"));
    assert_eq!(
        serde_json::from_value::<PeerId>(json!("ada")).unwrap(),
        peer
    );
}

pub(super) fn some_json() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "type",
        "sdp",
        "candidate",
        "sdpMid",
        "sdpMLineIndex",
        "reason",
        "other",
    ]);
    let text = prop::sample::select(vec!["offer", "candidate", "bye", "please-offer", "x"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 6, move |inner| {
        let members = prop::collection::vec((name.clone(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|it| {
                Value::Object(it.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = serde_json::from_str::<Message>(&text);
    }

    #[test]
    fn no_json_panics_and_what_is_read_is_written_the_same(value in some_json()) {
        if let Ok(read) = serde_json::from_value::<Message>(value) {
            let _ = read.check();
            let written = serde_json::to_value(&read).unwrap();
            prop_assert_eq!(serde_json::from_value::<Message>(written).unwrap(), read);
        }
    }
}

#[test]
fn a_peer_asks_for_so_many_places_and_no_more() {
    let ask = |count: usize, codec: &str| {
        let place = Place {
            kind: Kind::Video,
            codec: Some(codec.to_owned()),
        };
        let add = vec![place; count];
        Message::PleaseOffer { add }.check()
    };
    assert_eq!(ask(MAX_PLACES, "VP8"), Ok(()));
    assert!(ask(MAX_PLACES + 1, "VP8").is_err());
    assert!(ask(1, &"V".repeat(MAX_CODEC + 1)).is_err());
}
