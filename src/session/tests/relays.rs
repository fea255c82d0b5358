//! Direct paths first.

use super::*;

const RELAYED: &str =
    "candidate:3 1 UDP 16777215 203.0.113.11 50000 typ relay raddr 203.0.113.9 rport 40678";
const HIDDEN: &str = "candidate:4 1 UDP 2113937151 \
     0b5a6a0c-4bf1-4d5c-8d3e-5f2b3a6d7c1e.local 50001 typ host";

fn adds(line: &str) -> Action {
    let Ok(sdp::CandidateLine::Usable(line)) = sdp::check_candidate(line) else {
        panic!("{line}")
    };
    Action::AddCandidate(line)
}

fn connecting(config: Config) -> Bench {
    let mut bench = gathering(config);
    bench.report(ConnectionEvent::LocalSet);
    bench
}

fn connecting_with_relays() -> Bench {
    let config = Config {
        late_relays: true,
        ..trickling(answering())
    };
    let mut bench = gathering(config);
    bench.report(ConnectionEvent::LocalSet);
    bench
}

#[test]
fn relays_of_both_sides_wait_for_the_head_start() {
    let mut bench = connecting_with_relays();
    assert_eq!(bench.hear(candidate(RELAYED)), []);
    assert_eq!(bench.hear(candidate(HOST)), [adds(HOST)]);
    bench.wait(milliseconds(599));
    assert_eq!(bench.actions(), []);
    bench.wait(milliseconds(1));
    assert_eq!(bench.actions(), [Action::AddRelays, adds(RELAYED)]);
    // Once.
    bench.wait(milliseconds(1000));
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.hear(candidate(RELAYED)), [adds(RELAYED)]);
}

#[test]
fn who_is_connected_needs_no_relay() {
    let mut bench = connecting_with_relays();
    bench.hear(candidate(RELAYED));
    bench.report(ConnectionEvent::IdentityProven);
    assert_eq!(
        bench.report(ConnectionEvent::DtlsConnected),
        [Action::StartMedia]
    );
    bench.wait(milliseconds(2000));
    assert_eq!(bench.actions(), []);
}

#[test]
fn our_candidates_end_when_no_relay_can_follow() {
    let mut bench = connecting_with_relays();
    assert_eq!(bench.report(ConnectionEvent::GatheringComplete), []);
    bench.report(ConnectionEvent::IdentityProven);
    assert_eq!(
        bench.report(ConnectionEvent::DtlsConnected),
        [Action::StartMedia, Action::Send(Message::EndOfCandidates)]
    );
}

#[test]
fn candidates_of_late_relays_are_sent() {
    let mut bench = connecting_with_relays();
    bench.report(ConnectionEvent::GatheringComplete);
    bench.wait(milliseconds(600));
    assert_eq!(bench.actions(), [Action::AddRelays]);
    assert_eq!(
        bench.report(ConnectionEvent::Candidate(RELAYED.to_owned())),
        [Action::Send(candidate(RELAYED))]
    );
}

#[test]
fn a_far_side_that_has_relays_only_is_not_kept_waiting() {
    let mut bench = connecting_with_relays();
    bench.hear(candidate(RELAYED));
    assert_eq!(
        bench.hear(Message::EndOfCandidates),
        [Action::AddRelays, adds(RELAYED)]
    );
    // A hidden one may be reached directly.
    let mut bench = connecting_with_relays();
    bench.hear(candidate(RELAYED));
    bench.hear(candidate(HIDDEN));
    assert_eq!(bench.hear(Message::EndOfCandidates), []);
}

#[test]
fn without_trickle_nothing_waits() {
    let mut bench = gathering(answering());
    bench.report(ConnectionEvent::LocalSet);
    bench.report(ConnectionEvent::Candidate(HOST.to_owned()));
    bench.report(ConnectionEvent::GatheringComplete);
    assert_eq!(bench.phase(), Phase::Connecting);
    assert_eq!(bench.hear(candidate(RELAYED)), [adds(RELAYED)]);
}

#[test]
fn without_any_address_there_is_no_waiting() {
    let config = Config {
        no_candidate: milliseconds(2000),
        ..trickling(answering())
    };
    let deaf = |config: Config| {
        let mut bench = gathering(config);
        bench.report(ConnectionEvent::LocalSet);
        bench.wait(milliseconds(1999));
        assert_eq!(bench.actions(), []);
        bench
    };
    let mut bench = deaf(config.clone());
    bench.wait(milliseconds(1));
    let said = bench.actions();
    let [Action::End(EndReason::Failed(text))] = said.as_slice() else {
        panic!("{said:?}");
    };
    assert!(text.contains("ice-port-range"), "{text}");
    // Relays take their time.
    let mut bench = deaf(Config {
        relay_only: true,
        ..config.clone()
    });
    bench.wait(milliseconds(1000));
    assert_eq!(bench.actions(), []);
    let mut bench = deaf(Config {
        no_candidate: milliseconds(3000),
        ..config
    });
    bench.report(ConnectionEvent::Candidate(RELAYED.to_owned()));
    bench.wait(milliseconds(5000));
    assert!(!matches!(bench.actions().last(), Some(Action::End(_))));
}

#[test]
fn addresses_of_routers_are_announced_besides() {
    let config = Config {
        external: vec!["203.0.113.5".parse().unwrap()],
        ..trickling(answering())
    };
    let mut bench = gathering(config);
    bench.report(ConnectionEvent::LocalSet);
    let host = "candidate:1 1 UDP 2015363327 192.0.2.7 40000 typ host";
    let sent = bench.report(ConnectionEvent::Candidate(host.to_owned()));
    let outside =
        "candidate:x1 1 UDP 1579155711 203.0.113.5 40000 typ srflx raddr 192.0.2.7 rport 40000";
    assert_eq!(
        sent,
        [host, outside].map(|line| Action::Send(candidate(line)))
    );
}

#[test]
fn candidates_over_tcp_are_taken_where_they_are_used() {
    let tcp = "candidate:1 1 TCP 1015021823 192.0.2.9 9 typ host tcptype active";
    for used in [false, true] {
        let mut bench = connecting(Config {
            tcp: used,
            ..trickling(answering())
        });
        let expected: Vec<_> = used
            .then(|| Action::AddCandidate(tcp.to_owned()))
            .into_iter()
            .collect();
        assert_eq!(bench.hear(candidate(tcp)), expected);
    }
}
