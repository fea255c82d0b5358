//! What goes over the wire in a whole session, and what does not.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::capture::{Capture, Carrier, Class, Datagram, classify};
use sigmund_tests::coturn::Accounts;
use sigmund_tests::viewer::Viewer;
use sigmund_tests::world::{Leg, PICTURE, Path, World};
use sigmund_tests::{Nat, Publisher, Stage, eventually, page};

/// Where the publisher's own signalling is, by TCP in clear text.
const SIGNALLING: u16 = 8080;

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
    (without(SIGNALLING, capture.finish()), answer)
}

/// What goes by TCP to or from a port is signalling; the rest.
fn without(port: u16, mut all: Vec<Datagram>) -> Vec<Datagram> {
    let signalling =
        |it: &Datagram| it.carrier == Carrier::Stranger && it.ends.iter().any(|end| end.1 == port);
    let count = all.len();
    all.retain(|it| !signalling(it));
    assert!(all.len() < count, "signalling was not captured");
    all
}

fn count(all: impl Iterator<Item = Class>) -> BTreeMap<Class, usize> {
    let mut counted = BTreeMap::new();
    for class in all {
        *counted.entry(class).or_default() += 1;
    }
    counted
}

/// As they are on the wire.
fn outside(all: &[Datagram]) -> BTreeMap<Class, usize> {
    count(all.iter().map(Datagram::class))
}

/// Out of TURN's wrapping.
fn inside(all: &[(Datagram, Vec<u8>)]) -> BTreeMap<Class, usize> {
    count(all.iter().map(|it| classify(&it.1)))
}

/// Between whom something went that are not these.
fn strangers<'a>(all: &'a [Datagram], known: &[IpAddr]) -> Vec<&'a Datagram> {
    let is_known = |end: &(IpAddr, u16)| known.contains(&end.0);
    let strange = all.iter().filter(|it| !it.ends.iter().all(is_known));
    strange.collect()
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
    // All UDP and TCP there is: no UPnP, no mDNS, no name server is asked.
    assert_eq!(strangers(&datagrams, &[us, them]), Vec::<&Datagram>::new());
    assert!(datagrams.iter().all(|it| it.carrier == Carrier::Udp));
    let counted = outside(&datagrams);
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

/// The same inside of TURN's framing, by UDP and by TCP.
#[test]
fn a_relayed_session_is_turn_with_the_same_inside_and_never_meets_the_peer() {
    let Some(stage) = stage() else { return };
    for (transport, carrier) in [("udp", Carrier::Udp), ("tcp", Carrier::Turn)] {
        let turn = stage.turn.host().address();
        let server = format!("turn://joe:secret@{turn}?transport={transport}");
        let policy = format!("ice-transport-policy=relay ice-servers={server}");
        let (datagrams, answer) = session(&stage, transport, &policy);
        let us = IpAddr::from(stage.publisher.address());
        let known = [us, IpAddr::from(turn)];
        assert_eq!(strangers(&datagrams, &known), Vec::<&Datagram>::new());
        assert!(datagrams.iter().all(|it| it.carrier == carrier));
        let outer = outside(&datagrams);
        eprintln!("relayed by {transport}, outside: {outer:?}");
        let framing = |class: &Class| matches!(class, Class::Stun | Class::Channel);
        assert!(outer.keys().all(framing), "{outer:?}");
        let inner: Vec<_> = datagrams
            .into_iter()
            .map(|it| (it.clone(), it.inner()))
            .collect();
        let counted = inside(&inner);
        eprintln!("relayed by {transport}, inside: {counted:?}");
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
}

/// By `turns:` nothing of TURN can be read at all.
#[test]
fn a_session_by_tls_is_records_of_tls_and_nothing_else() {
    let Some(stage) = stage() else { return };
    let turn = stage.turn.host().address();
    let policy = format!(
        "ice-transport-policy=relay ice-servers=turns://joe:secret@{turn} tls-ca={}",
        stage.turn.certificate()
    );
    let (datagrams, _) = session(&stage, "tls", &policy);
    let known = [IpAddr::from(stage.publisher.address()), IpAddr::from(turn)];
    assert_eq!(strangers(&datagrams, &known), Vec::<&Datagram>::new());
    let counted = outside(&datagrams);
    eprintln!("relayed by TLS: {counted:?}");
    assert_eq!(counted.keys().collect::<Vec<_>>(), [&Class::Tls]);
    assert!(counted[&Class::Tls] > 30, "{counted:?}");
    let ports = |it: &Datagram| it.ends.iter().any(|end| end.1 == 5349);
    assert!(datagrams.iter().all(ports));
}

/// The publisher can be reached, the viewer may use no UDP, and there is no TURN
/// server that the viewer may use: the same by TCP between them (RFC 6544).
#[test]
fn over_tcp_there_is_a_direct_path_where_udp_is_blocked() {
    let Some(mut world) = World::new() else {
        return;
    };
    let site = world.internet.site("cam", Nat::None);
    let home = world.internet.site("home", Nat::UdpBlocked);
    let capture = Capture::start(site.host(), "frames");
    let publisher = Publisher::start(
        site.host(),
        &format!(
            "{} ! rtcsink uri={} ice-tcp=true",
            PICTURE,
            world.relay.uri("cam")
        ),
    );
    eventually(Duration::from_secs(20), "the stream is there", || {
        (world.relay.streams(world.turn.host())?.len() == 1).then_some(())
    });
    let no_turn = format!(
        "add rule inet filter passing ip daddr {} drop",
        world.turn.host().address()
    );
    home.router().output("nft", &[&no_turn]);
    let browser = Browser::start(home.host(), Kind::Chromium);
    browser.open(&world.relay.page("cam"));
    page::await_playing(&browser);
    let before = (site.flows(), home.flows());
    assert!(page::frames(&browser, 2) > 10);
    let path = Path::observed(
        (&site, &before.0, &site.flows()),
        (&home, &before.1, &home.flows()),
        &[world.turn.host().address().into()],
    );
    assert_eq!(path, Some(Path::Direct(Leg::Tcp)));
    drop((browser, publisher));
    let us = IpAddr::from(site.host().address());
    let mut datagrams = without(443, capture.finish());
    // What is tried before: candidates of its other networks, by UDP.
    datagrams.retain(|it| it.carrier != Carrier::Udp);
    assert!(datagrams.iter().all(|it| it.carrier == Carrier::Ice));
    let counted = outside(&datagrams);
    eprintln!("by TCP between peers: {counted:?}");
    for class in [Class::Stun, Class::Dtls, Class::Rtp, Class::Rtcp] {
        assert!(counted.get(&class).copied().unwrap_or(0) > 2, "{counted:?}");
    }
    assert_eq!(counted.get(&Class::Other), None);
    let inner: Vec<_> = datagrams
        .into_iter()
        .map(|it| (it.clone(), it.payload))
        .collect();
    assert_nothing_before_identity(&inner, us);
}

fn assert_no_host_name(answer: &str) {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let name = name.trim();
    assert!(answer.contains("cname:"), "{answer}");
    // What is random may have a short name in it by chance.
    let random = ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:"];
    let mut lines = answer
        .lines()
        .filter(|line| !random.iter().any(|it| line.starts_with(it)));
    assert!(
        name.is_empty() || !lines.any(|line| line.contains(name)),
        "{answer}"
    );
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
    let counted = outside(&capture.finish());
    eprintln!("impostor: {counted:?}");
    assert!(counted[&Class::Dtls] > 0, "{counted:?}");
    assert_eq!(
        (counted.get(&Class::Rtp), counted.get(&Class::Rtcp)),
        (None, None)
    );
}
