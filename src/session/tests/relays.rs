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
    bench.wait(milliseconds(399));
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
    bench.wait(milliseconds(400));
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
