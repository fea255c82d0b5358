use proptest::prelude::*;

use super::publisher::{forbidden_inbox, is_inbox, read};
use super::viewer::is_subject;
use super::*;
use crate::message::v1::MAX_TO_SERVER;

#[test]
fn a_stream_is_one_token_of_a_subject() {
    for (stream, token) in [
        ("camera", "camera"),
        ("front door", "front%20door"),
        ("a.b", "a%2Eb"),
        ("*", "%2A"),
        (">", "%3E"),
        ("tür", "t%C3%BCr"),
    ] {
        let subjects = Subjects::new(stream);
        assert_eq!(subjects.join(), format!("sigmund.v1.{token}.join"));
        assert_eq!(subjects.peer("a.*"), format!("sigmund.v1.{token}.peer.a.*"));
    }
}

#[test]
fn a_viewer_cannot_make_us_speak_to_others() {
    assert!(is_inbox("_INBOX.abc"));
    assert!(is_inbox("mine.abc"));
    for reply in ["sigmund.v1.camera.join", "$SYS.REQ", "$JS.API"] {
        assert!(!is_inbox(reply), "{reply}");
    }
}

#[test]
fn only_what_we_need_is_a_fault_of_ours() {
    let own = r#"Permissions Violation for Publish to "sigmund.v1.camera.join""#;
    let heard = r#"Permissions Violation for Subscription to "_INBOX.a""#;
    for fault in [own, heard, "Maximum Payload Violation", r#"publish to ""#] {
        assert_eq!(forbidden_inbox(fault), None, "{fault}");
    }
    let theirs = r#"Permissions Violation for Publish to "secrets.all""#;
    assert_eq!(forbidden_inbox(theirs), Some("secrets.all"));
}

#[test]
fn a_publisher_cannot_name_more_than_one_peer() {
    assert!(is_subject("aB-_9.x"));
    for name in ["", "a.*", "a.>", "a b", "a..b", ".", "a\r\nPUB x"] {
        assert!(!is_subject(name), "{name:?}");
    }
}

#[test]
fn what_is_too_long_or_no_text_is_not_read() {
    assert!(read(&vec![b' '; MAX_TO_SERVER + 1]).is_err());
    assert!(read(b"\xff").is_err());
    assert!(read(br#"{"type":"bye"}"#).is_ok());
}

#[test]
fn random_tokens_can_stand_in_subjects() {
    let (one, other) = (random_token::<16>().unwrap(), random_token::<16>().unwrap());
    assert!(one != other && is_subject(&one), "{one} {other}");
}

#[test]
fn the_uri_needs_a_host() {
    let options = Options::new(Role::Publish, "camera");
    let uri = SignallingUri::parse("nats:camera").unwrap();
    assert!(
        open(&uri, &options)
            .err()
            .unwrap()
            .0
            .contains("nats://127.0.0.1/camera")
    );
    for (role, offerer) in [
        (Role::Publish, Offerer::Us),
        (Role::Subscribe, Offerer::Them),
    ] {
        let uri = SignallingUri::parse("nats://[::1]:4222/a").unwrap();
        let signaller = open(&uri, &Options::new(role, "camera")).unwrap();
        assert_eq!(signaller.capabilities().offerer, offerer);
    }
}

proptest! {
    #[test]
    fn no_payload_causes_a_panic(payload in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&payload);
    }

    #[test]
    fn any_stream_is_one_token(stream in "[^/\\\\\\p{Cc}]{1,40}") {
        let subjects = Subjects::new(&stream);
        prop_assert_eq!(subjects.join().split('.').count(), 4);
        prop_assert!(!subjects.join().contains([' ', '*', '>']));
    }
}
