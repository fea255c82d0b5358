//! TURN: by which way, with which credentials, and what is said when it fails.

use std::time::{Duration, Instant};

use sigmund_tests::coturn::Accounts;
use sigmund_tests::viewer::{Manners, Viewer};
use sigmund_tests::{Stage, eventually};

const SOON: Duration = Duration::from_secs(20);

fn joe() -> Accounts {
    Accounts::Users(vec![("joe".to_owned(), "secret".to_owned())])
}

/// Relays only, at these servers.
fn relays(servers: &str) -> String {
    format!("ice-transport-policy=relay ice-servers={servers}")
}

fn only_relays(answer: &str) -> bool {
    let mut candidates = answer.lines().filter(|it| it.starts_with("a=candidate:"));
    candidates.clone().count() > 0 && candidates.all(|it| it.contains(" typ relay"))
}

#[test]
fn media_go_by_udp_tcp_and_tls_and_no_other_way() {
    let Some(stage) = Stage::new(&joe(), "") else {
        return;
    };
    let at = stage.turn.host().address();
    let ca = stage.turn.certificate();
    let ways = [
        (
            "udp",
            format!("turn://joe:secret@{at}?transport=udp"),
            "udp",
            3478,
        ),
        (
            "tcp",
            format!("turn://joe:secret@{at}?transport=tcp"),
            "tcp",
            3478,
        ),
        ("tls", format!("turns://joe:secret@{at}"), "tcp", 5349),
        ("https", format!("turns://joe:secret@{at}:443"), "tcp", 443),
    ];
    let properties: Vec<_> = ways
        .iter()
        .map(|way| format!("{} tls-ca={ca}", relays(&way.1)))
        .collect();
    let streams = ways.iter().zip(&properties);
    let streams: Vec<_> = streams.map(|(way, it)| (way.0, it.as_str())).collect();
    let _publisher = stage.publish(&streams);
    stage.count();
    let viewers: Vec<_> = ways
        .iter()
        .map(|way| Viewer::join_silent(&stage.viewer, &stage.whep(way.0)))
        .collect();
    for (viewer, (name, _, transport, port)) in viewers.iter().zip(&ways) {
        assert!(only_relays(&viewer.resource().answer), "{name}");
        viewer.watch(30);
        let sent = stage.to_turn(transport, *port);
        assert!(sent > 20_000, "{name}: {sent} bytes to the TURN server");
    }
    assert_eq!(stage.direct(), 0, "packets to the viewer itself");
}

#[test]
fn who_the_server_is_must_be_proven() {
    let Some(stage) = Stage::new(&joe(), "") else {
        return;
    };
    let at = stage.turn.host().address();
    // Its certificate is its own, and nobody was told to trust it.
    let publisher = stage.publish(&[("tls", &relays(&format!("turns://joe:secret@{at}")))]);
    stage.count();
    let refused = Viewer::try_join(&stage.viewer, &stage.whep("tls"), Manners::silent());
    let refused = refused.expect_err("nobody is let in without a path");
    assert!(refused.status >= 500, "{refused:?}");
    let said = Stage::warning(
        &publisher,
        "tls",
        &["cannot be reached by TLS", "certificate"],
    );
    assert!(said.contains(&at.to_string()), "{said}");
    // An allocation in clear text would be longer than no handshake at all.
    assert_eq!(stage.to_turn("tcp", 3478) + stage.to_turn("udp", 3478), 0);
}

#[test]
fn wrong_and_expired_credentials_are_told() {
    let Some(stage) = Stage::new(&Accounts::Secret("north".to_owned()), "") else {
        return;
    };
    let at = stage.turn.host().address();
    let bare = format!("turn://{at}?transport=udp");
    let minted = |secret: &str| format!("{} turn-secret={secret}", relays(&bare));
    let expired = relays(&format!(
        "turn://1500000000%3Ajoe:secret@{at}?transport=udp"
    ));
    let publisher = stage.publish(&[
        ("right", &minted("north")),
        ("wrong", &minted("south")),
        ("expired", &expired),
    ]);
    let viewer = Viewer::join_silent(&stage.viewer, &stage.whep("right"));
    viewer.watch(30);
    for (stream, words) in [
        ("wrong", ["user name and password", "401"]),
        ("expired", ["have expired", "turn-secret"]),
    ] {
        let refused = Viewer::try_join(&stage.viewer, &stage.whep(stream), Manners::silent());
        let refused = refused.expect_err("nobody is let in without a path");
        assert!(refused.status >= 500, "{refused:?}");
        Stage::warning(&publisher, stream, &words);
    }
    viewer.watch(30);
}

#[test]
fn a_quota_that_is_reached_stops_only_those_that_come_later() {
    let Some(stage) = Stage::new(&joe(), "user-quota=2") else {
        return;
    };
    let at = stage.turn.host().address();
    let server = format!("turn://joe:secret@{at}?transport=udp");
    let publisher = stage.publish(&[("cam", &relays(&server))]);
    let join = || Viewer::try_join(&stage.viewer, &stage.whep("cam"), Manners::silent());
    let (first, second) = (join().unwrap(), join().unwrap());
    first.watch(10);
    second.watch(10);
    let refused = join().expect_err("there is no third relay");
    assert!(refused.status >= 500, "{refused:?}");
    Stage::warning(&publisher, "cam", &["quota", "486"]);
    first.watch(30);
    second.watch(30);
    // One leaves, and there is room again.
    first.leave();
    let third = eventually(SOON, "the place that was left is free", || join().ok());
    third.watch(30);
}

/// Allocations end after 20 s unless they are refreshed, and a nonce is good for
/// 5 s: then the server wants another one (438, RFC 8489 section 9.2.5).
#[test]
fn allocations_are_refreshed_with_new_nonces() {
    let Some(stage) = Stage::new(&joe(), "max-allocate-lifetime=20\nstale-nonce=5") else {
        return;
    };
    let at = stage.turn.host().address();
    let udp = relays(&format!("turn://joe:secret@{at}?transport=udp"));
    let tcp = relays(&format!("turn://joe:secret@{at}?transport=tcp"));
    let ca = stage.turn.certificate();
    let tls = relays(&format!("turns://joe:secret@{at} tls-ca={ca}"));
    let names = ["udp", "tcp", "tls"];
    let streams = [("udp", udp.as_str()), ("tcp", &tcp), ("tls", &tls)];
    let _publisher = stage.publish(&streams);
    let viewers = names.map(|name| Viewer::join_silent(&stage.viewer, &stage.whep(name)));
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        for viewer in &viewers {
            viewer.watch(10);
        }
    }
    let log = stage.turn.log();
    let refreshed = log.matches("refreshed, realm=").count();
    assert!(refreshed >= names.len(), "{refreshed} refreshed");
    assert!(log.contains("438"), "a nonce was refused");
}

#[test]
fn of_two_servers_one_may_be_dead() {
    let Some(stage) = Stage::new(&joe(), "") else {
        return;
    };
    let at = stage.turn.host().address();
    let dead = stage.viewer.address();
    let servers =
        format!("turn://joe:secret@{dead}?transport=udp,turn://joe:secret@{at}?transport=udp");
    let _publisher = stage.publish(&[("cam", &relays(&servers))]);
    // A dead one answers nothing, not even that nobody listens.
    stage.viewer.output(
        "nft",
        &[
            "table ip dead {\n chain arriving { type filter hook input priority 0\n \
           udp dport 3478 drop\n }\n }",
        ],
    );
    let start = Instant::now();
    let viewer = Viewer::join_silent(&stage.viewer, &stage.whep("cam"));
    viewer.watch(30);
    eprintln!(
        "with a dead TURN server: 30 frames after {:?}",
        start.elapsed()
    );
}
