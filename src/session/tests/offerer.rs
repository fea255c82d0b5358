//! The offerer's side, step by step.

use super::*;

/// An offerer whose local description is made.
fn described(config: Config) -> Bench {
    let mut bench = Bench::new(config);
    assert_eq!(bench.actions(), [Action::CreateOffer]);
    let actions = bench.report(ConnectionEvent::Created(CHROMIUM.to_owned()));
    let sdp = CHROMIUM.to_owned();
    assert_eq!(actions, [Action::SetLocal { offer: true, sdp }]);
    bench
}

fn awaiting_answer() -> Bench {
    let mut bench = described(trickling(offering()));
    bench.report(ConnectionEvent::LocalSet);
    assert_eq!(bench.phase(), Phase::AwaitingAnswer);
    bench
}

#[test]
fn the_offer_leaves_at_once_and_its_candidates_follow() {
    let mut bench = described(trickling(offering()));
    let actions = bench.report(ConnectionEvent::LocalSet);
    let [Action::Send(Message::Offer { sdp })] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(sdp.lines().count(), CHROMIUM.lines().count());
    let actions = bench.report(ConnectionEvent::Candidate(HOST.to_owned()));
    assert_eq!(actions, [Action::Send(candidate(HOST))]);
}

#[test]
fn without_trickle_the_offer_waits_for_its_candidates() {
    let mut bench = described(offering());
    bench.report(ConnectionEvent::LocalSet);
    bench.report(ConnectionEvent::Candidate(HOST.to_owned()));
    assert_eq!(bench.phase(), Phase::Gathering);
    bench.wait(milliseconds(10));
    let actions = bench.actions();
    let [Action::Send(Message::Offer { sdp })] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert!(sdp.contains(HOST));
    assert_eq!(bench.phase(), Phase::AwaitingAnswer);
}

#[test]
fn the_answer_is_mended_and_set_and_early_candidates_follow_it() {
    let mut bench = awaiting_answer();
    assert_eq!(bench.hear(candidate(HOST)), []);
    let Message::Answer { sdp } = answer() else {
        unreachable!()
    };
    let accepted = sdp::accept_answer(CHROMIUM, &sdp).unwrap();
    assert_eq!(
        bench.hear(Message::Answer { sdp }),
        [Action::SetRemote {
            offer: false,
            sdp: accepted.mended
        }]
    );
    assert_eq!(bench.session.identity(), Some(&accepted.identity));
    let added = Action::AddCandidate(HOST.to_owned());
    assert_eq!(bench.report(ConnectionEvent::RemoteSet), [added]);
    bench.report(ConnectionEvent::IdentityProven);
    assert_eq!(
        bench.report(ConnectionEvent::DtlsConnected),
        [Action::StartMedia]
    );
}

#[test]
fn an_answer_that_rejects_or_makes_no_sense_is_misbehaviour() {
    let Message::Answer { sdp } = answer() else {
        unreachable!()
    };
    for sdp in ["nonsense".to_owned(), sdp.replace(" 9 UDP", " 0 UDP")] {
        let actions = awaiting_answer().hear(Message::Answer { sdp });
        assert!(matches!(ended(actions), EndReason::Misbehaved(_)));
    }
}

#[test]
fn a_plea_for_an_offer_changes_nothing() {
    let mut bench = awaiting_answer();
    assert_eq!(bench.hear(Message::please_offer()), []);
    assert_eq!(bench.phase(), Phase::AwaitingAnswer);
}

#[test]
fn offers_and_untimely_answers_are_misbehaviour() {
    for (mut bench, note) in [
        (described(offering()), answer()),
        (described(offering()), offer()),
        (awaiting_answer(), offer()),
    ] {
        assert!(matches!(ended(bench.hear(note)), EndReason::Misbehaved(_)));
    }
}

#[test]
fn every_phase_times_out_saying_what_it_was_at() {
    type Prepare = fn() -> Bench;
    let table: [(Prepare, &str); 3] = [
        (|| Bench::new(offering()), "making the offer"),
        (awaiting_answer, "waiting for its answer"),
        (
            || {
                let mut bench = awaiting_answer();
                bench.hear(answer());
                bench
            },
            "taking its description",
        ),
    ];
    for (prepare, doing) in table {
        let mut bench = prepare();
        bench.actions();
        bench.wait(Duration::from_secs(15));
        let expected = EndReason::TimedOut(Duration::from_secs(15), doing);
        assert_eq!(ended(bench.actions()), expected);
    }
}
