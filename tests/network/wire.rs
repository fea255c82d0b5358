//! What goes over the wire in a whole session, and what does not.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use sigmund_tests::capture::{Capture, Class, Datagram, classify};
use sigmund_tests::coturn::Accounts;
use sigmund_tests::viewer::Viewer;
use sigmund_tests::{Stage, eventually};

fn stage() -> Option<Stage> {
    Stage::new(
        &Accounts::Users(vec![("joe".to_owned(), "secret".to_owned())]),
        "",
    )
}

/// A whole session with a viewer, as the publisher's wire has it.
fn session(stage: &Stage, stream: &str, properties: &str) -> (Vec<Datagram>, String) {
    let capture = Capture::start(&stage.publisher, stream);
    let publisher = stage.publish(&[(stream, properties)]);
    let viewer = Viewer::join(&stage.viewer, &stage.whep(stream));
    viewer.watch(45);
    let answer = viewer.resource().answer.clone();
    viewer.leave();
    let removed = || (!publisher.emissions("peer-removed").is_empty()).then_some(());
    eventually(Duration::from_secs(10), "the viewer has left", removed);
    drop(publisher);
    (capture.finish(), answer)
}

fn classes<'a>(all: impl Iterator<Item = &'a [u8]>) -> BTreeMap<Class, usize> {
    let mut counted = BTreeMap::new();
    for payload in all {
        *counted.entry(classify(payload)).or_default() += 1;
    }
    counted
}

/// DTLS 1.2 is done when both have said ChangeCipherSpec (content type 20): the
/// certificates, and the proof that they are held, come before.
fn assert_nothing_before_identity(inner: &[(Datagram, Vec<u8>)], us: IpAddr) {
    let media = |it: &(Datagram, Vec<u8>)| {
        matches!(classify(&it.1), Class::Rtp | Class::Rtcp) && it.0.ends[0].0 == us
    };
    let first = inner.iter().position(media).expect("there are media");
    let switched = |ours: bool| {
        let before = inner[..first].iter();
        let of_side = before.filter(move |it| (it.0.ends[0].0 == us) == ours);
        of_side.filter(|it| has_change_cipher_spec(&it.1)).count()
    };
    assert!(
        switched(true) > 0 && switched(false) > 0,
        "media before identity"
    );
}

/// Is there a record of that type in a DTLS datagram (RFC 6347 section 4.1)?
fn has_change_cipher_spec(payload: &[u8]) -> bool {
    let mut rest = payload;
    while let (Some(kind), Some(high), Some(low)) = (rest.first(), rest.get(11), rest.get(12)) {
        if !(20..=63).contains(kind) {
            return false;
        }
        if *kind == 20 {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = rest.get(13 + length..).unwrap_or_default();
    }
    false
}

#[test]
fn a_direct_session_is_stun_dtls_and_srtp_and_nothing_else() {
    let Some(stage) = stage() else { return };
    let (datagrams, answer) = session(&stage, "direct", "");
    let us = IpAddr::from(stage.publisher.address());
    let them = IpAddr::from(stage.viewer.address());
    // All UDP there is: no UPnP, no mDNS, no name server is asked.
    let strangers = datagrams
        .iter()
        .filter(|it| it.ends.iter().any(|end| end.0 != us && end.0 != them));
    assert_eq!(strangers.collect::<Vec<_>>(), Vec::<&Datagram>::new());
    let counted = classes(datagrams.iter().map(|it| it.payload.as_slice()));
    eprintln!("direct: {counted:?}");
    for class in [Class::Stun, Class::Dtls, Class::Rtp, Class::Rtcp] {
        assert!(counted.get(&class).copied().unwrap_or(0) > 2, "{counted:?}");
    }
    assert_eq!(counted.get(&Class::Other), None);
    assert_eq!(counted.get(&Class::Channel), None);
    let inner: Vec<_> = datagrams
        .into_iter()
        .map(|it| (it.clone(), it.payload))
        .collect();
    assert_nothing_before_identity(&inner, us);
    assert_no_host_name(&answer);
}

#[test]
fn a_relayed_session_is_turn_with_the_same_inside_and_never_meets_the_peer() {
    let Some(stage) = stage() else { return };
    let turn = stage.turn.host().address();
    let server = format!("turn://joe:secret@{turn}?transport=udp");
    let policy = format!("ice-transport-policy=relay ice-servers={server}");
    let (datagrams, answer) = session(&stage, "relayed", &policy);
    let us = IpAddr::from(stage.publisher.address());
    let others = datagrams.iter().filter(|it| {
        it.ends
            .iter()
            .any(|end| end.0 != us && end.0 != IpAddr::from(turn))
    });
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&Datagram>::new());
    let outer = classes(datagrams.iter().map(|it| it.payload.as_slice()));
    eprintln!("relayed, outside: {outer:?}");
    let framing = |class: &Class| matches!(class, Class::Stun | Class::Channel);
    assert!(outer.keys().all(framing), "{outer:?}");
    let inner: Vec<_> = datagrams
        .into_iter()
        .map(|it| (it.clone(), it.inner()))
        .collect();
    let counted = classes(inner.iter().map(|it| it.1.as_slice()));
    eprintln!("relayed, inside: {counted:?}");
    assert!(
        counted[&Class::Dtls] > 2 && counted[&Class::Rtp] > 2,
        "{counted:?}"
    );
    assert_eq!(counted.get(&Class::Other), None);
    assert_nothing_before_identity(&inner, us);
    assert_no_host_name(&answer);
    assert!(
        !answer.contains(&us.to_string()),
        "our address is hidden: {answer}"
    );
}

fn assert_no_host_name(answer: &str) {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let name = name.trim();
    assert!(answer.contains("cname:"), "{answer}");
    assert!(name.is_empty() || !answer.contains(name), "{answer}");
}

/// Who announces one certificate and holds another gets nothing but the handshake.
#[test]
fn an_impostor_sees_no_media_on_the_wire() {
    let Some(stage) = stage() else { return };
    let capture = Capture::start(&stage.publisher, "impostor");
    let publisher = stage.publish(&[("cam", "")]);
    let manners = sigmund_tests::viewer::Manners {
        impostor: true,
        ..sigmund_tests::viewer::Manners::silent()
    };
    let _viewer = Viewer::try_join(&stage.viewer, &stage.whep("cam"), manners).unwrap();
    eventually(Duration::from_secs(15), "the impostor is found out", || {
        publisher.log().contains("impostor").then_some(())
    });
    let counted = capture.finish();
    let counted = classes(counted.iter().map(|it| it.payload.as_slice()));
    eprintln!("impostor: {counted:?}");
    assert!(counted[&Class::Dtls] > 0, "{counted:?}");
    assert_eq!(
        (counted.get(&Class::Rtp), counted.get(&Class::Rtcp)),
        (None, None)
    );
}
