use proptest::prelude::*;

use super::super::tests::some_json;
use super::*;

/// The examples that others test their own implementations with.
const VECTORS: &str = include_str!("vectors/v1.json");

fn vectors() -> Vec<Value> {
    serde_json::from_str(VECTORS).unwrap()
}

#[test]
fn the_examples_are_read_and_written_as_they_say() {
    for vector in vectors() {
        let about = &vector["about"];
        let message = &vector["message"];
        let read = Envelope::read(&message.to_string());
        match vector["read"].as_str() {
            Some("skipped") => assert_eq!(read, Ok(None), "{about}"),
            Some("unsupported") => assert_eq!(read, Err(ReadError::Unsupported), "{about}"),
            Some("malformed") => {
                assert!(
                    matches!(read, Err(ReadError::Malformed(_))),
                    "{about}: {read:?}"
                );
            }
            Some(other) => panic!("{about}: {other}"),
            None => {
                let envelope = read
                    .unwrap()
                    .unwrap_or_else(|| panic!("{about} was skipped"));
                let written: Value = serde_json::from_str(&envelope.write()).unwrap();
                assert_eq!(
                    &written,
                    vector.get("written").unwrap_or(message),
                    "{about}"
                );
            }
        }
    }
}

#[test]
fn every_type_has_an_example() {
    let vectors = vectors();
    for kind in TYPES {
        assert!(
            vectors.iter().any(|it| it["message"]["type"] == kind),
            "{kind}"
        );
    }
    for note in NOTES {
        let has = |it: &Value| it["message"]["note"]["type"] == note && it.get("read").is_none();
        assert!(vectors.iter().any(has), "{note}");
    }
}

#[test]
fn secrets_are_not_shown() {
    for vector in vectors() {
        if let Ok(Some(envelope)) = Envelope::read(&vector["message"].to_string()) {
            let shown = format!("{envelope:?}");
            for secret in ["hush", "S3cr3t", "\"pass\""] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
}

#[test]
fn what_is_too_long_is_malformed() {
    let long = |length: usize| "x".repeat(length);
    let hello = |member: &str, value: Value| {
        let mut hello = serde_json::json!({"type": "hello", "version": VERSION, "role": "view", "stream": "cam"});
        hello[member] = value;
        hello
    };
    let codec = serde_json::json!({"codec": "VP8"});
    let offer = |length| serde_json::json!({"type": "note", "peer": "p", "note": {"type": "offer", "sdp": long(length)}});
    let table = [
        (
            hello("token", long(MAX_TOKEN).into()),
            hello("token", long(MAX_TOKEN + 1).into()),
        ),
        (
            hello("resume", long(MAX_RESUME).into()),
            hello("resume", long(MAX_RESUME + 1).into()),
        ),
        (
            hello(
                "receives",
                serde_json::json!({"video": vec![&codec; MAX_CODECS]}),
            ),
            hello(
                "receives",
                serde_json::json!({"audio": vec![&codec; MAX_CODECS + 1]}),
            ),
        ),
        (
            hello(
                "receives",
                serde_json::json!({"video": [{"codec": long(MAX_CODEC)}]}),
            ),
            hello(
                "receives",
                serde_json::json!({"video": [{"codec": "H264", "profile": long(MAX_CODEC + 1)}]}),
            ),
        ),
        (
            offer(super::super::MAX_SDP),
            offer(super::super::MAX_SDP + 1),
        ),
        (
            serde_json::json!({"type": "left", "peer": long(MAX_PEER), "reason": long(MAX_REASON)}),
            serde_json::json!({"type": "left", "peer": long(MAX_PEER + 1)}),
        ),
    ];
    for (right, wrong) in table {
        assert!(matches!(Envelope::read(&right.to_string()), Ok(Some(_))));
        assert!(matches!(
            Envelope::read(&wrong.to_string()),
            Err(ReadError::Malformed(_))
        ));
    }
}

#[test]
fn a_description_of_the_greatest_length_fits_into_a_message() {
    // Lines of SDP are about 30 bytes and longer.
    let sdp = "a=x123456789012345678901234567\r\n".repeat(super::super::MAX_SDP / 32);
    let peer = PeerId::new("p".repeat(MAX_PEER));
    let note = Message::Offer { sdp };
    assert_eq!(note.check(), Ok(()));
    assert!(Envelope::Note { peer, note }.write().len() <= MAX_TO_SERVER);
}

#[test]
fn an_error_does_not_repeat_much() {
    let text = serde_json::json!({"type": "hello", "version": VERSION, "role": "x".repeat(9999)});
    let Err(ReadError::Malformed(error)) = Envelope::read(&text.to_string()) else {
        panic!("it was read");
    };
    assert!(error.chars().count() <= 200, "{error}");
}

/// One of the examples, with one member at some depth replaced or removed.
fn mutated() -> impl Strategy<Value = Value> {
    let messages: Vec<Value> = vectors()
        .into_iter()
        .map(|it| it["message"].clone())
        .collect();
    let replaced = prop_oneof![3 => some_json().prop_map(Some), 1 => Just(None)];
    (
        prop::sample::select(messages),
        any::<prop::sample::Index>(),
        replaced,
    )
        .prop_map(|(mut message, at, value)| {
            let mut paths = Vec::new();
            collect(&message, String::new(), &mut paths);
            if let Some(path) = paths.get(at.index(paths.len().max(1))) {
                replace(&mut message, path, value);
            }
            message
        })
}

fn collect(value: &Value, path: String, into: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(k, v)| (k.to_string(), v))
            .collect(),
        _ => Vec::new(),
    };
    for (key, value) in inner {
        let path = format!("{path}/{key}");
        into.push(path.clone());
        collect(value, path, into);
    }
}

fn replace(message: &mut Value, path: &str, value: Option<Value>) {
    match (value, path.rsplit_once('/')) {
        (Some(value), _) => {
            if let Some(at) = message.pointer_mut(path) {
                *at = value;
            }
        }
        (None, Some((parent, key))) => {
            if let Some(Value::Object(members)) = message.pointer_mut(parent) {
                members.remove(key);
            }
        }
        (None, None) => {}
    }
}

// `PROPTEST_CASES=100000` runs that many of each.
proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = Envelope::read(&text);
    }

    #[test]
    fn no_bytes_out_of_place_panic(
        at in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        new: u8,
    ) {
        let vectors = vectors();
        let mut text = vectors[at.index(vectors.len())]["message"].to_string().into_bytes();
        let byte = byte.index(text.len());
        text[byte] = new;
        let _ = Envelope::read(&String::from_utf8_lossy(&text));
    }

    #[test]
    fn no_mutation_panics_and_what_is_read_is_written_the_same(message in mutated()) {
        if let Ok(Some(read)) = Envelope::read(&message.to_string()) {
            prop_assert_eq!(Envelope::read(&read.write()), Ok(Some(read)));
        }
    }
}
