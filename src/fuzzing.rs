//! Everything that reads what comes from elsewhere, in one list: `fuzz/` throws
//! all it can think of at each, and the tests below mutate honest examples.
//!
//! A parser may refuse; it must not panic, hang or grow. What it takes must
//! survive being written and read again, where it can be written.

use std::sync::Arc;

use crate::access::jwt::Key;
use crate::access::{Action, Authenticator, Policy, bearer, split_host};
use crate::address::{IceServer, SignallingUri, decode_part};
use crate::message::v1::Envelope;
use crate::sdp::{
    Brings, CallLines, Codec, CodecOffer, Kind, MediaPlan, OfferPlan, Receives, TrackOffer,
    accept_answer, check_candidate, own_offer, trickle_fragment,
};

/// One of them.
#[derive(Clone, Copy)]
pub struct Parser {
    /// What it is called, also the fuzz target.
    pub name: &'static str,
    /// Hands it these bytes.
    pub read: fn(&[u8]),
    /// Honest examples.
    pub examples: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const PARSERS: &[Parser] = &[
    parser("offer", offer, offers),
    parser("answer", answer, answers),
    parser("candidate", candidate, candidates),
    parser("fragment", fragment, fragments),
    parser("message", message, messages),
    parser("uri", uri, uris),
    parser("ice_server", ice_server, ice_servers),
    parser("token", token, tokens),
    parser("token_file", token_file, token_files),
    parser("header", header, headers),
    #[cfg(feature = "net")]
    parser(
        "gstwebrtc",
        crate::signaller::hostile::gstwebrtc,
        gstwebrtc_notes,
    ),
    #[cfg(feature = "net")]
    parser("janus", crate::signaller::hostile::janus, janus_packets),
    #[cfg(all(feature = "net", unix))]
    parser("lines", crate::signaller::hostile::lines, lines),
    #[cfg(feature = "nats")]
    parser("nats", crate::signaller::hostile::nats, messages),
    #[cfg(feature = "net")]
    parser("location", crate::signaller::hostile::location, locations),
    #[cfg(feature = "net")]
    parser("request", crate::server::hostile::request, requests),
];

const fn parser(name: &'static str, read: fn(&[u8]), examples: fn() -> Vec<Vec<u8>>) -> Parser {
    Parser {
        name,
        read,
        examples,
    }
}

/// Hands `bytes` to the parser of that name.
///
/// # Panics
/// If there is none, or if it has a defect.
pub fn run(name: &str, bytes: &[u8]) {
    let found = PARSERS.iter().find(|it| it.name == name);
    (found.expect("a fuzz target is named after its parser").read)(bytes);
}

fn text(bytes: &[u8]) -> &str {
    // What is not UTF-8 is refused before it comes to any of these.
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn tracks() -> [TrackOffer; 2] {
    let codec = |codec| CodecOffer {
        codec,
        profile: None,
    };
    [
        TrackOffer {
            kind: Kind::Video,
            codecs: vec![codec(Codec::H264), codec(Codec::Vp8)],
        },
        TrackOffer {
            kind: Kind::Audio,
            codecs: vec![codec(Codec::Opus)],
        },
    ]
}

const RECEIVED: [Codec; 3] = [Codec::H264, Codec::Vp8, Codec::Opus];

fn offer(bytes: &[u8]) {
    let offer = text(bytes);
    let plans = [
        OfferPlan::new(offer, &tracks()),
        OfferPlan::both_ways(offer, &tracks(), &RECEIVED),
        OfferPlan::with_data(offer, &[], &RECEIVED),
    ];
    for plan in plans.into_iter().flatten() {
        let narrowed = OfferPlan::with_data(&plan.narrowed, &tracks(), &RECEIVED);
        assert!(narrowed.is_ok(), "what we wrote must be read");
        let _ = plan.answer(&plan.narrowed, &[], true);
    }
    in_a_call(offer);
}

/// The first offer of a call, and one that follows another.
fn in_a_call(offer: &str) {
    let tracks = tracks();
    let brings = Brings {
        tracks: &tracks,
        gone: &[],
        receives: &RECEIVED,
        data: true,
    };
    if let Ok(plan) = OfferPlan::reply(offer, brings, None) {
        let narrowed = OfferPlan::reply(&plan.narrowed, brings, None);
        assert!(narrowed.is_ok(), "what we wrote must be read");
        let again = OfferPlan::reply(offer, brings, Some(&plan));
        assert_eq!(again.as_ref(), Ok(&plan), "nothing has changed");
        let _ = plan.answer(&plan.narrowed, &[], true);
    }
    for (_, fixture) in FIXTURES {
        let Ok(before) = OfferPlan::reply(fixture, brings, None) else {
            continue;
        };
        if let Ok(plan) = OfferPlan::reply(offer, brings, Some(&before)) {
            let stays = |(it, now): (&MediaPlan, &MediaPlan)| {
                (it.codec, it.payload_type, &it.mid) == (now.codec, now.payload_type, &now.mid)
            };
            assert!(plan.media.len() >= before.media.len());
            assert!(before.media.iter().zip(&plan.media).all(stays));
        }
    }
}

fn answer(bytes: &[u8]) {
    for (_, offer) in FIXTURES {
        if let Ok(accepted) = accept_answer(offer, text(bytes)) {
            let again = accept_answer(offer, &accepted.mended);
            assert!(again.is_ok(), "what we wrote must be read");
        }
        let call = CallLines::new(&tracks(), None, &RECEIVED, false);
        if let Ok(mut call) = call
            && let Ok(accepted) = call.accept(offer, text(bytes))
        {
            assert!(accepted.sending.len() <= call.flows().len());
        }
    }
}

fn candidate(bytes: &[u8]) {
    let _ = check_candidate(text(bytes));
}

fn fragment(bytes: &[u8]) {
    let _ = trickle_fragment(text(bytes));
}

fn message(bytes: &[u8]) {
    let Ok(Some(read)) = Envelope::read(text(bytes)) else {
        return;
    };
    assert_eq!(Envelope::read(&read.write()), Ok(Some(read.clone())));
    if let Envelope::Hello(hello) = read {
        let receives: Option<&Receives> = hello.receives.as_ref();
        let _ = own_offer(&tracks(), receives, true);
    }
}

fn uri(bytes: &[u8]) {
    if let Ok(read) = SignallingUri::parse(text(bytes)) {
        assert_eq!(SignallingUri::parse(&read.text), Ok(read));
    }
    let _ = decode_part(text(bytes));
}

fn ice_server(bytes: &[u8]) {
    for server in IceServer::parse_list(text(bytes)).unwrap_or_default() {
        let _ = server.to_gstreamer_uri();
        let link = server.to_link_header();
        assert!(!link.contains(['\r', '\n']), "a header of one line");
    }
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn key() -> Key {
    Key::parse(SECRET).expect("it is long enough")
}

fn token(bytes: &[u8]) {
    let auth = Authenticator::new().allow_signed(Arc::new(key()));
    let _ = auth.check(Some(text(bytes)), Action::View, Some("cam"), 1000);
    let _ = Key::parse(text(bytes));
    // What stands between the dots, well signed.
    let _ = key().check(&key().sign_text(text(bytes)), 1000);
}

fn token_file(bytes: &[u8]) {
    let _ = Authenticator::new().allow_file(text(bytes));
}

fn header(bytes: &[u8]) {
    let value = text(bytes);
    let policy = Policy::default();
    let _ = (bearer(value), split_host(value), policy.check_host(value));
    let _ = policy.check_origin(value, value);
}

/// Descriptions as browsers make them.
const FIXTURES: [(&str, &str); 4] = [
    ("chromium", include_str!("sdp/fixtures/chromium-av.sdp")),
    (
        "chromium, data",
        include_str!("sdp/fixtures/chromium-data-last.sdp"),
    ),
    ("firefox", include_str!("sdp/fixtures/firefox-av.sdp")),
    (
        "firefox, both ways",
        include_str!("sdp/fixtures/firefox-sendrecv.sdp"),
    ),
];

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|it| it.as_bytes().to_vec()).collect()
}

fn offers() -> Vec<Vec<u8>> {
    bytes(&FIXTURES.map(|(_, offer)| offer))
}

fn answers() -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    for (_, offer) in FIXTURES {
        let plan = OfferPlan::with_data(offer, &tracks(), &RECEIVED);
        let answer = plan.and_then(|plan| plan.answer(&plan.narrowed, &[], true));
        answers.extend(answer.map(String::into_bytes));
        // Its own offer, turned round, is close to an answer.
        let turned = offer
            .replace("actpass", "active")
            .replace("recvonly", "sendonly");
        answers.push(turned.into_bytes());
    }
    answers
}

const CANDIDATE: &str = "candidate:1 1 UDP 2122252543 192.0.2.1 50000 typ host";

fn candidates() -> Vec<Vec<u8>> {
    bytes(&[
        CANDIDATE,
        "candidate:2 1 udp 1686052607 198.51.100.4 50001 typ srflx raddr 192.0.2.1 rport 50000 generation 0",
        "candidate:3 1 tcp 1518280447 2001:db8::1 9 typ host tcptype active",
        "candidate:4 1 udp 2113937151 0b3a6f8e-0000-4000-8000-000000000000.local 50000 typ host",
    ])
}

fn fragments() -> Vec<Vec<u8>> {
    let text = format!(
        "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na={CANDIDATE}\r\na=end-of-candidates\r\n"
    );
    bytes(&[&text])
}

fn messages() -> Vec<Vec<u8>> {
    let vectors = include_str!("message/vectors/v1.json");
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(vectors).expect("the examples are JSON");
    let messages = vectors.iter().map(|it| it["message"].to_string());
    messages.map(String::into_bytes).collect()
}

fn uris() -> Vec<Vec<u8>> {
    bytes(&[
        "listen://127.0.0.1:8080/camera",
        "sigmund+wss://[2001:db8::1]:8443/front%20door",
        "whip+https://example.net/whip/live?x=1",
        "janus+ws://janus.example.net/1234",
        "stdio:?in=3&out=4",
        "nats://127.0.0.1/camera",
        "app:",
    ])
}

fn ice_servers() -> Vec<Vec<u8>> {
    bytes(&[
        "stun://stun.example.net,turn://me:p%40ss@turn.example.net:3478?transport=udp",
        "turns://me:pass@[2001:db8::1]:5349?transport=tcp",
    ])
}

fn tokens() -> Vec<Vec<u8>> {
    let claims = r#"{"streams":["cam*","stage"],"view":true,"exp":2000,"nbf":10,"max_bitrate":1}"#;
    let signed = key().sign_text(claims);
    bytes(&[
        &signed,
        claims,
        r#"{"streams":"cam","publish":true,"exp":1e9}"#,
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n",
    ])
}

fn token_files() -> Vec<Vec<u8>> {
    bytes(&["# all\n\ns3cret view,data cam*,stage\nother all *\n"])
}

fn headers() -> Vec<Vec<u8>> {
    bytes(&[
        "Bearer abc.def",
        "example.org:8080",
        "[2001:db8::1]:80",
        "https://example.org:8443",
        "null",
    ])
}

#[cfg(feature = "net")]
fn gstwebrtc_notes() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"type":"setPeerStatus","roles":["producer"],"meta":{"name":"cam"},"peerId":"p"}"#,
        r#"{"type":"startSession","peerId":"p","offer":"v=0\r\n"}"#,
        r#"{"type":"peer","sessionId":"s","sdp":{"type":"offer","sdp":"v=0\r\n"}}"#,
        r#"{"type":"peer","sessionId":"s","ice":{"candidate":"candidate:1 1 UDP 1 192.0.2.1 5 typ host","sdpMLineIndex":0}}"#,
        r#"{"type":"sessionStarted","peerId":"p","sessionId":"s"}"#,
        r#"{"type":"list","producers":[{"id":"p","meta":null}]}"#,
        r#"{"type":"welcome","peerId":"p"}"#,
        r#"{"type":"endSession","sessionId":"s"}"#,
    ])
}

#[cfg(feature = "net")]
fn janus_packets() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"janus":"success","transaction":"1","data":{"id":1}}"#,
        r#"{"janus":"event","sender":7,"plugindata":{"plugin":"janus.plugin.videoroom","data":{"videoroom":"event","configured":"ok"}},"jsep":{"type":"answer","sdp":"v=0\r\n"}}"#,
        r#"{"janus":"success","plugindata":{"plugin":"janus.plugin.videoroom","data":{"videoroom":"success","list":[{"room":1234,"videocodec":"vp8,h264","audiocodec":"opus","h264_profile":"42e01f"}]}}}"#,
        r#"{"janus":"trickle","sender":7,"candidate":{"sdpMid":"0","sdpMLineIndex":0,"candidate":"candidate:1 1 UDP 1 192.0.2.1 5 typ host"}}"#,
        r#"{"janus":"trickle","sender":7,"candidate":{"completed":true}}"#,
        r#"{"janus":"hangup","sender":7,"reason":"DTLS alert"}"#,
        r#"{"janus":"error","error":{"code":458,"reason":"No such session"}}"#,
    ])
}

#[cfg(all(feature = "net", unix))]
fn lines() -> Vec<Vec<u8>> {
    bytes(&[
        "noise\nv=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n\r\nmore\n",
        "{\"type\":\"answer\",\"sdp\":\"v=0\\r\\n\"}\n{\"type\":\"note\",\"peer\":\"p\",\"note\":{\"type\":\"please-offer\"}}\n",
    ])
}

#[cfg(feature = "net")]
fn locations() -> Vec<Vec<u8>> {
    bytes(&[
        "/whip/session/1",
        "https://other.example.net/x?y#z",
        "../a",
        "//host/x",
    ])
}

#[cfg(feature = "net")]
fn requests() -> Vec<Vec<u8>> {
    let offer = FIXTURES[0].1;
    let with_offer = |line: &str| format!("{line}\r\ncontent-type: application/sdp\r\n\r\n{offer}");
    let patch = "PATCH /whep/cam/x HTTP/1.1\r\nhost: localhost\r\nif-match: \"y\"\r\n\
                 content-type: application/trickle-ice-sdpfrag\r\n\r\na=ice-ufrag:EsAw\r\n";
    bytes(&[
        &with_offer("POST /whep/cam HTTP/1.1\r\nhost: localhost"),
        &with_offer("POST /whip/cam HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x"),
        patch,
        "DELETE /whep/cam/x HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "OPTIONS /whep/cam HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\naccess-control-request-method: POST\r\n\r\n",
        "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-protocol: sigmund.v1\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET /streams HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;
    use proptest::test_runner::{Config, TestRunner};

    use super::*;

    /// What has a meaning somewhere.
    const WORDS: &[&str] = &[
        "",
        "\0",
        "\r\n",
        "\n\n",
        "\"",
        "\\u0000",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "=",
        "/",
        "%",
        "%zz",
        "*",
        "#",
        "?",
        "@",
        "-1",
        "0",
        "65536",
        "4294967296",
        "18446744073709551616",
        "1e400",
        "null",
        "true",
        "[[[[[[[[",
        "{\"a\":",
        "é",
        "\u{feff}",
        "a=",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
        "a=mid:0\r\n",
        "a=group:BUNDLE 0 0\r\n",
        "a=setup:actpass\r\n",
        "\"type\":\"note\"",
        "..",
        "://",
        "typ host",
        "Bearer ",
    ];

    /// One change.
    #[derive(Clone, Debug)]
    enum Change {
        Put(Index, u8),
        Insert(Index, Vec<u8>),
        Remove(Index, Index),
        Repeat(Index, Index, u8),
        Cut(Index),
    }

    impl Change {
        fn any() -> impl Strategy<Value = Self> {
            let at = any::<Index>;
            let word = prop::sample::select(WORDS).prop_map(|it| it.as_bytes().to_vec());
            let inserted = prop_oneof![3 => word, 1 => prop::collection::vec(any::<u8>(), 0..16)];
            prop_oneof![
                4 => (at(), any::<u8>()).prop_map(|(at, byte)| Self::Put(at, byte)),
                4 => (at(), inserted).prop_map(|(at, what)| Self::Insert(at, what)),
                2 => (at(), at()).prop_map(|(from, to)| Self::Remove(from, to)),
                2 => (at(), at(), 1..9_u8).prop_map(|(from, to, times)| Self::Repeat(from, to, times)),
                1 => at().prop_map(Self::Cut),
            ]
        }

        fn apply(&self, bytes: &mut Vec<u8>) {
            let place = |at: &Index| at.index(bytes.len() + 1);
            let range = |one: &Index, other: &Index| {
                let (one, other) = (place(one), place(other));
                // Short ones keep most of what makes sense.
                one.min(other)..(one.min(other) + 200).min(one.max(other))
            };
            match self {
                Self::Put(at, byte) => {
                    let at = place(at);
                    if let Some(slot) = bytes.get_mut(at) {
                        *slot = *byte;
                    }
                }
                Self::Insert(at, what) => {
                    let at = place(at);
                    bytes.splice(at..at, what.iter().copied());
                }
                Self::Remove(from, to) => {
                    let range = range(from, to);
                    bytes.drain(range);
                }
                Self::Repeat(from, to, times) => {
                    let range = range(from, to);
                    let at = range.end;
                    let again = bytes[range].repeat(usize::from(*times));
                    bytes.splice(at..at, again);
                }
                Self::Cut(at) => {
                    let at = place(at);
                    bytes.truncate(at);
                }
            }
        }
    }

    /// `PROPTEST_CASES=100000` runs that many for each parser.
    #[test]
    fn no_parser_panics_whatever_is_changed_in_honest_examples() {
        for parser in PARSERS {
            let examples = (parser.examples)();
            for example in &examples {
                (parser.read)(example);
            }
            let example = prop::sample::select(examples);
            let changed = (example, prop::collection::vec(Change::any(), 0..6));
            let strategy = changed.prop_map(|(mut bytes, changes)| {
                for change in changes {
                    change.apply(&mut bytes);
                }
                bytes
            });
            let mut runner = TestRunner::new(Config {
                failure_persistence: None,
                ..Config::default()
            });
            let done = runner.run(&strategy, |bytes| {
                (parser.read)(&bytes);
                Ok(())
            });
            if let Err(error) = done {
                panic!("{}: {error}", parser.name);
            }
        }
    }

    #[test]
    fn no_parser_panics_on_noise() {
        for parser in PARSERS {
            let mut runner = TestRunner::new(Config {
                failure_persistence: None,
                ..Config::default()
            });
            let done = runner.run(&prop::collection::vec(any::<u8>(), 0..300), |bytes| {
                (parser.read)(&bytes);
                Ok(())
            });
            if let Err(error) = done {
                panic!("{}: {error}", parser.name);
            }
        }
    }

    #[test]
    #[ignore = "scripts/fuzz.sh wants them"]
    fn examples_are_written_for_fuzzers() {
        let corpus = std::path::PathBuf::from(std::env::var_os("SIGMUND_CORPUS").unwrap());
        for parser in PARSERS {
            let folder = corpus.join(parser.name);
            std::fs::create_dir_all(&folder).unwrap();
            for (number, example) in (parser.examples)().into_iter().enumerate() {
                std::fs::write(folder.join(format!("example-{number}")), example).unwrap();
            }
        }
    }

    #[test]
    fn each_parser_has_a_fuzz_target() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
        let manifest = std::fs::read_to_string(format!("{folder}/Cargo.toml")).unwrap();
        let targets = std::fs::read_dir(format!("{folder}/fuzz_targets")).unwrap();
        assert!(targets.count() >= PARSERS.len());
        for parser in PARSERS {
            let target = format!("fuzz_targets/{}.rs", parser.name);
            assert!(manifest.contains(&target), "{target}");
            let text = std::fs::read_to_string(format!("{folder}/{target}")).unwrap();
            assert!(text.contains(&format!("\"{}\"", parser.name)), "{target}");
        }
    }

    #[test]
    fn examples_are_honest() {
        for (name, good) in [
            ("offer", OfferPlan::new(FIXTURES[0].1, &tracks()).is_ok()),
            (
                "answer",
                accept_answer(FIXTURES[0].1, text(&answers()[0])).is_ok(),
            ),
            ("candidate", check_candidate(CANDIDATE).is_ok()),
            ("fragment", trickle_fragment(text(&fragments()[0])).is_ok()),
            ("token", key().check(text(&tokens()[0]), 1000).is_ok()),
        ] {
            assert!(good, "{name}");
        }
    }
}
