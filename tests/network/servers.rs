//! TURN servers as people write them, and as they behave.

use std::net::IpAddr;
use std::time::Duration;

use sigmund_tests::capture::{Capture, Class};
use sigmund_tests::coturn::{Accounts, Coturn};
use sigmund_tests::viewer::{Manners, Viewer};
use sigmund_tests::world::TURN;
use sigmund_tests::{Publisher, Stage, eventually};

/// A user name and a password that are hard to write.
const NAME: &str = "jo@e/x?y%z&ü";
const PASSWORD: &str = "p:@/?%&=+,é";

/// The same in a URI.
const USER: &str = "jo%40e%2Fx%3Fy%25z%26%C3%BC:p%3A%40%2F%3F%25%26%3D%2B%2C%C3%A9";

fn accounts() -> Accounts {
    let users = [("joe", "secret"), (NAME, PASSWORD)];
    Accounts::Users(users.map(|(name, word)| (name.into(), word.into())).into())
}

/// Relays only, at these servers.
fn relays(stage: &Stage, servers: &str) -> String {
    let ca = stage.turn.certificate();
    format!("ice-transport-policy=relay tls-ca={ca} ice-servers={servers}")
}

/// Streams whose servers are to work: one viewer each, at the same time.
fn all_work(stage: &Stage, servers: &[(&str, String)]) {
    let written = servers.iter().map(|it| relays(stage, &it.1));
    let written: Vec<_> = written.collect();
    let streams = servers.iter().zip(&written);
    let streams: Vec<_> = streams
        .map(|(it, written)| (it.0, written.as_str()))
        .collect();
    let _publisher = stage.publish(&streams);
    let viewers: Vec<_> = servers
        .iter()
        .map(|(name, _)| Viewer::join_silent(&stage.viewer, &stage.whep(name)))
        .collect();
    for (viewer, (name, _)) in viewers.iter().zip(servers) {
        eprintln!("{name}");
        viewer.watch(20);
    }
}

/// Streams whose servers are not to work, and what is said then.
fn all_refuse(stage: &Stage, servers: &[(&str, String, &[&str])]) {
    let written = servers.iter().map(|it| relays(stage, &it.1));
    let written: Vec<_> = written.collect();
    let streams = servers.iter().zip(&written);
    let streams: Vec<_> = streams
        .map(|(it, written)| (it.0, written.as_str()))
        .collect();
    let publisher = stage.publish(&streams);
    for (name, _, words) in servers {
        let refused = Viewer::try_join(&stage.viewer, &stage.whep(name), Manners::silent());
        let refused = refused.expect_err("nobody is let in without a path");
        assert!(refused.status >= 500, "{name}: {refused:?}");
        let said = Stage::warning(&publisher, name, words);
        eprintln!("{name}: {said}");
    }
}

#[test]
fn names_families_ports_and_signs_that_need_care() {
    let Some(stage) = Stage::new(&accounts(), "") else {
        return;
    };
    let turn = stage.turn.host();
    let (v4, v6) = (turn.address(), turn.address6().unwrap());
    stage
        .publisher
        .knows(&[(TURN, v6.into()), (TURN, v4.into())]);
    all_work(
        &stage,
        &[
            ("v6-udp", format!("turn://joe:secret@[{v6}]?transport=udp")),
            (
                "v6-tcp",
                format!("turn://joe:secret@[{v6}]:3478?transport=tcp"),
            ),
            ("v6-tls", format!("turns://joe:secret@[{v6}]")),
            ("name", format!("turn://joe:secret@{TURN}")),
            ("name-tls", format!("turns://joe:secret@{TURN}:443")),
            (
                "browsers",
                format!("turn:joe:secret@{TURN}:3478?transport=udp"),
            ),
            (
                "port-443",
                format!("turn://joe:secret@{v4}:443?transport=tcp"),
            ),
            ("either", format!("turn://joe:secret@{v4}")),
            ("signs", format!("turn://{USER}@{v4}?transport=udp")),
            ("signs-tls", format!("turns://{USER}@{TURN}?transport=tcp")),
        ],
    );
}

#[test]
fn of_two_servers_one_may_refuse() {
    let Some(stage) = Stage::new(&accounts(), "realm=other.example") else {
        return;
    };
    let at = stage.turn.host().address();
    let right = format!("turn://joe:secret@{at}?transport=udp");
    let wrong = format!("turn://joe:wrong@{at}?transport=tcp");
    let nobody = "turn://joe:secret@nobody.example.net?transport=udp";
    all_work(
        &stage,
        &[
            ("wrong-first", format!("{wrong},{right}")),
            ("wrong-last", format!("{right},{wrong}")),
            ("unknown-first", format!("{nobody},{right}")),
        ],
    );
}

#[test]
fn what_cannot_work_is_told_in_words() {
    let Some(stage) = Stage::new(&accounts(), "no-udp-relay") else {
        return;
    };
    let v4 = stage.turn.host().address();
    stage.publisher.knows(&[("wrong.example.net", v4.into())]);
    let closed = stage.viewer.address();
    all_refuse(
        &stage,
        &[
            (
                "no-relay",
                format!("turn://joe:secret@{v4}?transport=udp"),
                &["442", "UDP"],
            ),
            (
                "another-name",
                "turns://joe:secret@wrong.example.net".to_owned(),
                &[
                    "cannot be reached by TLS",
                    "certificate",
                    "wrong.example.net",
                ],
            ),
            (
                "unknown",
                "turn://joe:secret@nobody.example.net?transport=udp".to_owned(),
                &["nobody.example.net", "DNS"],
            ),
            (
                "closed",
                format!("turn://joe:secret@{closed}?transport=tcp"),
                &["cannot be reached"],
            ),
            (
                "no-tls",
                format!("turns://joe:secret@{closed}:3478"),
                &["cannot be reached by TLS"],
            ),
        ],
    );
}

#[test]
fn garbage_is_refused_before_anything_starts() {
    let Some(stage) = Stage::new(&accounts(), "") else {
        return;
    };
    for (servers, words) in [
        (
            "turn://joe:hush@192.0.2.1?transport=sctp",
            "transport=udp or transport=tcp",
        ),
        ("turn://joe@192.0.2.1", "password"),
        ("turns://joe:hush@192.0.2.1?transport=udp", "TLS over TCP"),
        ("turn://joe:hu:sh@192.0.2.1", "%3A"),
        ("turn://joe:hush@2001:db8::1", "brackets"),
        ("http://192.0.2.1", "stun, turn and turns"),
    ] {
        let publisher = Publisher::start(
            &stage.publisher,
            &format!("videotestsrc is-live=true ! rtcsink ice-servers={servers}"),
        );
        let said = publisher.error();
        assert!(said.contains(words), "{servers}: {said}");
        assert!(!said.contains("hush"), "{said}");
    }
}

/// A server that names another one (300, RFC 8656 section 5): it is gone to
/// where that needs no trust. By TLS it would have to prove who it is.
#[test]
fn a_server_that_names_another_one() {
    let Some(mut stage) = Stage::new(&accounts(), "") else {
        return;
    };
    let host = stage.internet.public("first");
    let second = stage.turn.host().address();
    let more = format!("alternate-server={second}:3478\ntls-alternate-server={second}:5349");
    let first = Coturn::start(&host, &accounts(), &more);
    let at = host.address();
    all_work(
        &stage,
        &[
            ("udp", format!("turn://joe:secret@{at}?transport=udp")),
            ("tcp", format!("turn://joe:secret@{at}?transport=tcp")),
        ],
    );
    let capture = Capture::start(&stage.publisher, "alternate");
    let publisher = stage.publish(&[(
        "tls",
        &format!(
            "ice-transport-policy=relay tls-ca={} ice-servers=turns://joe:secret@{at}",
            first.certificate()
        ),
    )]);
    let refused = Viewer::try_join(&stage.viewer, &stage.whep("tls"), Manners::silent());
    let refused = refused.expect_err("nobody is let in without a path");
    assert!(refused.status >= 500, "{refused:?}");
    Stage::warning(&publisher, "tls", &["300", &format!("{second}:5349")]);
    let all = capture.finish();
    let servers = [IpAddr::from(at), IpAddr::from(second)];
    let to_turn = all
        .iter()
        .filter(|it| it.ends.iter().any(|end| servers.contains(&end.0)));
    let in_clear: Vec<_> = to_turn.filter(|it| it.class() != Class::Tls).collect();
    assert!(in_clear.is_empty(), "{in_clear:#?}");
}

/// It has forgotten everything while media went through it, and some may not use
/// it any more.
#[test]
fn a_user_that_is_removed_is_told_when_it_matters() {
    let Some(mut stage) = Stage::new(&accounts(), "") else {
        return;
    };
    let at = stage.turn.host().address();
    let server = format!("turn://joe:secret@{at}?transport=udp");
    let streams = relays(&stage, &server);
    let publisher = stage.publish(&[("cam", &streams)]);
    let viewer = Viewer::join_silent(&stage.viewer, &stage.whep("cam"));
    viewer.watch(10);
    let others = Accounts::Users(vec![("jim".into(), "secret".into())]);
    stage.turn.restart_for(&others);
    // A WHEP viewer has to join again by itself, which str0m does not.
    let removed = || (!publisher.emissions("peer-removed").is_empty()).then_some(());
    eventually(Duration::from_secs(20), "the viewer is given up", removed);
    let refused = Viewer::try_join(&stage.viewer, &stage.whep("cam"), Manners::silent());
    let refused = refused.expect_err("nobody is let in without a path");
    assert!(refused.body.contains("401"), "{refused:?}");
    Stage::warning(&publisher, "cam", &["user name and password", "401"]);
}
