//! The answerer's side, step by step.

use super::*;

fn sent_answer(actions: &[Action]) -> &str {
    match actions.first() {
        Some(Action::Send(Message::Answer { sdp })) => sdp,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_offer_is_planned_narrowed_answered_and_sent() {
    let mut bench = Bench::new(answering());
    let plan = OfferPlan::new(CHROMIUM, &tracks()).unwrap();
    let ours = webrtcbin_answer(&plan);
    assert_eq!(bench.phase(), Phase::AwaitingOffer);
    assert_eq!(
        bench.hear(offer()),
        [Action::Prepare(Box::new(plan.clone()))]
    );
    assert_eq!(bench.session.identity(), Some(&plan.identity));
    assert_eq!(bench.phase(), Phase::Preparing);
    assert_eq!(
        bench.report(ConnectionEvent::Prepared),
        [Action::SetRemote {
            offer: true,
            sdp: plan.narrowed.clone()
        }]
    );
    assert_eq!(bench.phase(), Phase::Applying);
    assert_eq!(
        bench.report(ConnectionEvent::RemoteSet),
        [Action::CreateAnswer]
    );
    assert_eq!(bench.phase(), Phase::Answering);
    assert_eq!(
        bench.report(ConnectionEvent::Created(ours.clone())),
        [Action::SetLocal {
            offer: false,
            sdp: ours.clone()
        }]
    );
    assert_eq!(bench.report(ConnectionEvent::LocalSet), []);
    assert_eq!(bench.phase(), Phase::Gathering);
    assert_eq!(
        bench.report(ConnectionEvent::Candidate(HOST.to_owned())),
        []
    );
    let sdp = plan.answer(&ours, &[HOST.to_owned()], true).unwrap();
    assert_eq!(
        bench.report(ConnectionEvent::GatheringComplete),
        [Action::Send(Message::Answer { sdp })]
    );
    assert_eq!(bench.phase(), Phase::Connecting);
}

#[test]
fn the_answer_leaves_when_host_candidates_have_settled() {
    let mut bench = gathering(answering());
    bench.report(ConnectionEvent::LocalSet);
    bench.wait(milliseconds(7));
    bench.report(ConnectionEvent::Candidate(HOST.to_owned()));
    bench.wait(milliseconds(9));
    bench.report(ConnectionEvent::Candidate(SERVER_REFLEXIVE.to_owned()));
    assert_eq!(bench.due(), Some(milliseconds(26)));
    bench.wait(milliseconds(9));
    assert_eq!(bench.actions(), []);
    bench.wait(milliseconds(1));
    let actions = bench.actions();
    let answer = sent_answer(&actions);
    assert_eq!(actions.len(), 1);
    assert!(answer.contains(HOST) && answer.contains(SERVER_REFLEXIVE));
    assert!(!answer.contains("end-of-candidates"));
}

#[test]
fn candidates_that_come_before_the_description_is_set_are_kept() {
    let mut bench = gathering(answering());
    bench.report(ConnectionEvent::Candidate(HOST.to_owned()));
    bench.wait(milliseconds(50));
    let actions = bench.report(ConnectionEvent::LocalSet);
    assert!(sent_answer(&actions).contains(HOST));

    let mut bench = gathering(trickling(answering()));
    bench.report(ConnectionEvent::Candidate(HOST.to_owned()));
    bench.report(ConnectionEvent::GatheringComplete);
    let actions = bench.report(ConnectionEvent::LocalSet);
    assert_eq!(
        actions[1..],
        [
            Action::Send(candidate(HOST)),
            Action::Send(Message::EndOfCandidates)
        ]
    );
}

#[test]
fn with_ice_servers_a_pause_means_nothing_but_the_bound_holds() {
    let mut bench = gathering(Config {
        ice_servers: true,
        ..answering()
    });
    bench.report(ConnectionEvent::LocalSet);
    bench.report(ConnectionEvent::Candidate(HOST.to_owned()));
    bench.wait(milliseconds(499));
    assert_eq!(bench.actions(), []);
    bench.wait(milliseconds(1));
    assert!(sent_answer(&bench.actions()).contains(HOST));
}

#[test]
fn without_any_candidate_the_session_fails_at_the_bound() {
    let mut bench = gathering(answering());
    bench.report(ConnectionEvent::LocalSet);
    bench.wait(milliseconds(499));
    assert_eq!(bench.phase(), Phase::Gathering);
    bench.wait(milliseconds(1));
    let reason = ended(bench.actions());
    let EndReason::Failed(text) = reason else {
        panic!("{reason:?}")
    };
    assert!(text.starts_with("no local network address"), "{text}");

    let mut bench = gathering(answering());
    bench.report(ConnectionEvent::LocalSet);
    let actions = bench.report(ConnectionEvent::GatheringComplete);
    assert!(matches!(ended(actions), EndReason::Failed(_)));
}

#[test]
fn without_trickle_later_candidates_are_dropped() {
    let mut bench = gathering(answering());
    bench.report(ConnectionEvent::LocalSet);
    bench.report(ConnectionEvent::Candidate(HOST.to_owned()));
    bench.wait(milliseconds(10));
    assert_eq!(bench.actions().len(), 1);
    let late = ConnectionEvent::Candidate(SERVER_REFLEXIVE.to_owned());
    assert_eq!(bench.report(late), []);
    assert_eq!(bench.report(ConnectionEvent::GatheringComplete), []);
}

#[test]
fn with_trickle_the_answer_leaves_at_once_and_candidates_follow() {
    let mut bench = gathering(trickling(answering()));
    let actions = bench.report(ConnectionEvent::LocalSet);
    assert!(!sent_answer(&actions).contains("a=candidate"));
    assert_eq!(actions.len(), 1);
    let first = ConnectionEvent::Candidate(HOST.to_owned());
    assert_eq!(bench.report(first.clone()), [Action::Send(candidate(HOST))]);
    assert_eq!(
        bench.report(ConnectionEvent::GatheringComplete),
        [Action::Send(Message::EndOfCandidates)]
    );
    // The end is said once, whatever follows.
    assert_eq!(bench.report(ConnectionEvent::Candidate(String::new())), []);
    assert_eq!(bench.report(first), []);
}

#[test]
fn our_candidates_name_the_m_line_of_the_original_offer() {
    let mut bench = Bench::new(trickling(answering()));
    let sdp = CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 1 0");
    let Some(Action::Prepare(plan)) = bench.hear(Message::Offer { sdp }).pop() else {
        panic!("no plan");
    };
    bench.report(ConnectionEvent::Prepared);
    bench.report(ConnectionEvent::RemoteSet);
    bench.report(ConnectionEvent::Created(webrtcbin_answer(&plan)));
    bench.report(ConnectionEvent::LocalSet);
    let actions = bench.report(ConnectionEvent::Candidate(HOST.to_owned()));
    let expected = Candidate {
        candidate: HOST.to_owned(),
        sdp_mid: Some("1".to_owned()),
        sdp_m_line_index: Some(1),
    };
    assert_eq!(actions, [Action::Send(Message::Candidate(expected))]);
}

#[test]
fn their_candidates_wait_for_the_remote_description() {
    let mut bench = Bench::new(answering());
    assert_eq!(bench.hear(candidate(SERVER_REFLEXIVE)), []);
    assert_eq!(bench.hear(offer()).len(), 1);
    assert_eq!(bench.hear(candidate(HOST)), []);
    assert_eq!(bench.report(ConnectionEvent::Prepared).len(), 1);
    assert_eq!(
        bench.report(ConnectionEvent::RemoteSet),
        [
            Action::AddCandidate(SERVER_REFLEXIVE.to_owned()),
            Action::AddCandidate(HOST.to_owned()),
            Action::CreateAnswer
        ]
    );
    let added = Action::AddCandidate(HOST.to_owned());
    assert_eq!(bench.hear(candidate(HOST)), [added]);
}

#[test]
fn bad_candidates_are_counted_and_not_fatal() {
    let mut bench = Bench::new(Config {
        max_candidates: 2,
        ..answering()
    });
    for line in [
        "garbage",
        "",
        HOST,
        "candidate:1 1 UDP 1 phone.local 9 typ host",
        "candidate:1 1 TCP 1 192.0.2.1 9 typ host tcptype active",
        HOST,
        HOST,
        SERVER_REFLEXIVE,
    ] {
        assert_eq!(bench.hear(candidate(line)), []);
    }
    assert_eq!(bench.hear(Message::EndOfCandidates), []);
    let expected = CandidateCounts {
        taken: 2,
        skipped: 2,
        ignored: 3,
    };
    assert_eq!(bench.session.candidates(), expected);
    bench.hear(offer());
    bench.report(ConnectionEvent::Prepared);
    let actions = bench.report(ConnectionEvent::RemoteSet);
    let added = |it: &&Action| matches!(it, Action::AddCandidate(_));
    assert_eq!(actions.iter().filter(added).count(), 2);
}

#[test]
fn an_offer_that_cannot_be_answered_is_refused() {
    let mut bench = Bench::new(answering());
    let sdp = "nonsense".to_owned();
    let error = OfferPlan::new(&sdp, &tracks()).unwrap_err();
    assert_eq!(
        bench.hear(Message::Offer { sdp }),
        [
            Action::Refuse(error.clone()),
            Action::End(EndReason::Refused(error))
        ]
    );
    assert_eq!(bench.phase(), Phase::Ended);
    assert_eq!(bench.hear(offer()), []);
}

#[test]
fn a_second_offer_and_an_answer_are_misbehaviour() {
    for mut bench in [gathering(answering()), connecting(), connected()] {
        assert!(matches!(
            ended(bench.hear(offer())),
            EndReason::Misbehaved(_)
        ));
    }
    for note in [answer(), Message::please_offer()] {
        let mut bench = Bench::new(answering());
        assert!(matches!(ended(bench.hear(note)), EndReason::Misbehaved(_)));
    }
}

#[test]
fn media_start_once_both_proof_and_keys_are_there() {
    for order in [
        [
            ConnectionEvent::IdentityProven,
            ConnectionEvent::DtlsConnected,
        ],
        [
            ConnectionEvent::DtlsConnected,
            ConnectionEvent::IdentityProven,
        ],
    ] {
        let mut bench = connecting();
        assert_eq!(bench.report(order[0].clone()), []);
        assert_eq!(bench.phase(), Phase::Connecting);
        assert_eq!(bench.report(order[1].clone()), [Action::StartMedia]);
        assert_eq!(bench.phase(), Phase::Connected);
        // DTLS tells it twice in a handshake.
        assert_eq!(bench.report(order[0].clone()), []);
        assert_eq!(bench.due(), None);
    }
}

#[test]
fn keys_without_proof_never_start_media() {
    let mut bench = connecting();
    bench.report(ConnectionEvent::DtlsConnected);
    bench.wait(Duration::from_secs(15));
    let reason = ended(bench.actions());
    assert_eq!(
        reason.to_string(),
        "no connection after 15 s, while checking its certificate"
    );
}

#[test]
fn an_early_connection_starts_media_when_the_answer_has_left() {
    let mut bench = gathering(answering());
    bench.report(ConnectionEvent::IdentityProven);
    bench.report(ConnectionEvent::DtlsConnected);
    bench.report(ConnectionEvent::LocalSet);
    bench.report(ConnectionEvent::Candidate(HOST.to_owned()));
    let actions = bench.report(ConnectionEvent::GatheringComplete);
    assert!(matches!(
        actions[..],
        [Action::Send(Message::Answer { .. }), Action::StartMedia]
    ));
}

#[test]
fn an_impostor_ends_it_in_every_phase() {
    let benches = [
        Bench::new(answering()),
        gathering(answering()),
        connecting(),
        connected(),
    ];
    for mut bench in benches {
        let actions = bench.report(ConnectionEvent::IdentityMismatch);
        assert_eq!(ended(actions), EndReason::Impostor);
        assert_eq!(bench.report(ConnectionEvent::IdentityProven), []);
        assert_eq!(bench.report(ConnectionEvent::DtlsConnected), []);
    }
}

#[test]
fn lost_paths_are_provisional_until_connected() {
    let mut bench = connecting();
    assert_eq!(bench.report(ConnectionEvent::IceFailed), []);
    bench.report(ConnectionEvent::IdentityProven);
    assert_eq!(
        bench.report(ConnectionEvent::DtlsConnected),
        [Action::StartMedia]
    );
    let actions = bench.report(ConnectionEvent::IceFailed);
    assert_eq!(ended(actions), EndReason::NoPath);

    let mut bench = connecting();
    bench.report(ConnectionEvent::IceFailed);
    bench.wait(Duration::from_secs(15));
    let text = ended(bench.actions()).to_string();
    assert!(text.contains("none of the addresses works"), "{text}");
}

#[test]
fn every_phase_times_out_saying_what_it_was_at() {
    type Prepare = fn() -> Bench;
    let table: [(Prepare, &str); 5] = [
        (|| Bench::new(answering()), "waiting for its offer"),
        (
            || {
                let mut bench = Bench::new(answering());
                bench.hear(offer());
                bench
            },
            "preparing to send",
        ),
        (
            || {
                let mut bench = Bench::new(answering());
                bench.hear(offer());
                bench.report(ConnectionEvent::Prepared);
                bench
            },
            "taking its description",
        ),
        (|| gathering(answering()), "making the answer"),
        (connecting, "looking for a network path (ICE)"),
    ];
    for (prepare, doing) in table {
        let mut bench = prepare();
        bench.actions();
        bench.wait(milliseconds(14_999));
        assert_eq!(bench.actions(), [], "{doing}");
        bench.wait(milliseconds(1));
        let expected = EndReason::TimedOut(Duration::from_secs(15), doing);
        assert_eq!(ended(bench.actions()), expected);
        assert_eq!(bench.due(), None);
    }
}

#[test]
fn it_ends_for_whatever_reason_is_given() {
    let bye = Message::Bye {
        reason: format!("tab\r\nclosed{}", "!".repeat(1000)),
    };
    let EndReason::Left(text) = ended(connected().hear(bye)) else {
        panic!("not left");
    };
    assert!(text.starts_with("tabclosed!") && text.len() == 200);
    for (event, expected) in [
        (
            ConnectionEvent::DtlsClosed,
            EndReason::Left("closed the connection".to_owned()),
        ),
        (
            ConnectionEvent::Silent(Duration::from_secs(10)),
            EndReason::Silent(Duration::from_secs(10)),
        ),
        (
            ConnectionEvent::Failed("no encoder".to_owned()),
            EndReason::Failed("no encoder".to_owned()),
        ),
    ] {
        assert_eq!(ended(connected().report(event)), expected);
    }
    let mut bench = connected();
    let reason = EndReason::Closed("the element stops".to_owned());
    bench.session.close(reason.clone());
    bench.session.close(EndReason::NoPath);
    assert_eq!(ended(bench.actions()), reason);
}

#[test]
fn what_was_to_be_done_is_not_done_after_the_end() {
    let mut bench = Bench::new(answering());
    bench.session.handle_message(bench.now, offer());
    bench.session.close(EndReason::NoPath);
    assert_eq!(ended(bench.actions()), EndReason::NoPath);
}

#[test]
fn reports_out_of_turn_are_our_failure() {
    for event in [
        ConnectionEvent::Prepared,
        ConnectionEvent::RemoteSet,
        ConnectionEvent::Created(String::new()),
        ConnectionEvent::LocalSet,
    ] {
        let actions = connected().report(event);
        assert!(matches!(ended(actions), EndReason::Failed(_)));
    }
    // webrtcbin made something else than was asked for.
    let mut bench = gathering(trickling(answering()));
    let mut other = Bench::new(answering());
    assert_eq!(other.hear(offer()).len(), 1);
    other.report(ConnectionEvent::Prepared);
    other.report(ConnectionEvent::RemoteSet);
    other.report(ConnectionEvent::Created("v=0\r\n".to_owned()));
    other.report(ConnectionEvent::LocalSet);
    other.report(ConnectionEvent::Candidate(HOST.to_owned()));
    let actions = other.report(ConnectionEvent::GatheringComplete);
    let EndReason::Failed(text) = ended(actions) else {
        panic!("not failed");
    };
    assert!(text.starts_with("our own answer"), "{text}");
    // Twice.
    let actions = bench.report(ConnectionEvent::Created(String::new()));
    assert!(matches!(ended(actions), EndReason::Failed(_)));
}

#[test]
fn a_limitless_negotiation_has_no_deadline() {
    let bench = Bench::new(Config {
        negotiation_timeout: Duration::MAX,
        ..answering()
    });
    assert_eq!(bench.due(), None);
}
