//! What holds whatever happens, in whatever order.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Hear(Message),
    Report(ConnectionEvent),
    Wait(u64),
    Close,
}

fn some_step() -> impl Strategy<Value = Step> {
    let plan = OfferPlan::new(CHROMIUM, &tracks()).unwrap();
    let notes = prop::sample::select(vec![
        offer(),
        answer(),
        Message::please_offer(),
        candidate(HOST),
        candidate("garbage"),
        Message::EndOfCandidates,
    ]);
    let events = prop::sample::select(vec![
        ConnectionEvent::Prepared,
        ConnectionEvent::RemoteSet,
        ConnectionEvent::Created(webrtcbin_answer(&plan)),
        ConnectionEvent::Created(CHROMIUM.to_owned()),
        ConnectionEvent::LocalSet,
        ConnectionEvent::Candidate(HOST.to_owned()),
        ConnectionEvent::GatheringComplete,
        ConnectionEvent::IdentityProven,
        ConnectionEvent::DtlsConnected,
        ConnectionEvent::IceFailed,
    ]);
    let ends = prop::sample::select(vec![
        ConnectionEvent::IdentityMismatch,
        ConnectionEvent::DtlsClosed,
        ConnectionEvent::Silent(Duration::from_secs(10)),
    ]);
    prop_oneof![
        6 => notes.prop_map(Step::Hear),
        20 => events.prop_map(Step::Report),
        1 => ends.prop_map(Step::Report),
        3 => (0u64..20_000).prop_map(Step::Wait),
        1 => Just(Step::Close),
    ]
}

/// What an owner would report next of what it was told to do.
fn obey(action: &Action, plan: &OfferPlan) -> Option<ConnectionEvent> {
    Some(match action {
        Action::Prepare(_) => ConnectionEvent::Prepared,
        Action::SetRemote { .. } => ConnectionEvent::RemoteSet,
        Action::CreateOffer => ConnectionEvent::Created(CHROMIUM.to_owned()),
        Action::CreateAnswer => ConnectionEvent::Created(webrtcbin_answer(plan)),
        Action::SetLocal { .. } => ConnectionEvent::LocalSet,
        _ => return None,
    })
}

fn apply(bench: &mut Bench, step: Step) {
    match step {
        Step::Hear(message) => bench.session.handle_message(bench.now, message),
        Step::Report(event) => bench.session.handle_connection(bench.now, event),
        Step::Wait(time) => bench.wait(milliseconds(time)),
        Step::Close => bench.session.close(EndReason::NoPath),
    }
}

proptest! {
    #[test]
    fn it_ends_once_and_media_wait_for_proof(
        steps in prop::collection::vec(some_step(), 0..40),
        is_offerer: bool,
        trickle_out: bool,
        ice_servers: bool,
        obedient: bool,
    ) {
        let side = if is_offerer { offering() } else { answering() };
        let mut bench = Bench::new(Config { trickle_out, ice_servers, ..side });
        let plan = OfferPlan::new(CHROMIUM, &tracks()).unwrap();
        let mut proven = false;
        let mut seen: Vec<Action> = Vec::new();
        for step in steps {
            proven |= matches!(step, Step::Report(ConnectionEvent::IdentityProven));
            let mut next = Some(step);
            while let Some(step) = next.take() {
                apply(&mut bench, step);
                while let Some(action) = bench.session.poll_action() {
                    let over = matches!(seen.last(), Some(Action::End(_)));
                    prop_assert!(!over, "{action:?} after the end");
                    prop_assert!(action != Action::StartMedia || proven);
                    if obedient {
                        next = obey(&action, &plan).map(Step::Report).or(next);
                    }
                    seen.push(action);
                }
                let ended = matches!(seen.last(), Some(Action::End(_)));
                prop_assert_eq!(ended, bench.phase() == Phase::Ended);
            }
        }
        let starts = seen.iter().filter(|it| **it == Action::StartMedia).count();
        prop_assert!(starts <= 1);
        bench.session.close(EndReason::NoPath);
        seen.extend(bench.actions());
        let ends = seen.iter().filter(|it| matches!(it, Action::End(_))).count();
        prop_assert_eq!(ends, 1);
        prop_assert_eq!(bench.due(), None);
    }
}
