//! The whole table of edges.

use super::*;
use exchange::Stage;

const PHASES: [Phase; 10] = [
    Phase::AwaitingOffer,
    Phase::Preparing,
    Phase::Applying,
    Phase::Answering,
    Phase::Describing,
    Phase::Gathering,
    Phase::AwaitingAnswer,
    Phase::Connecting,
    Phase::Connected,
    Phase::Ended,
];

const EVENTS: [Event; 10] = [
    Event::Offer,
    Event::Answer,
    Event::PleaseOffer,
    Event::Prepared,
    Event::RemoteSet,
    Event::Created,
    Event::LocalSet,
    Event::Sent,
    Event::Secured,
    Event::Over,
];

/// Every edge that there is, but those to and from `Ended`.
fn table(side: &Side) -> Vec<(Phase, Event, Phase)> {
    use Event::*;
    use Phase::*;
    match side {
        Side::Answerer { .. } => vec![
            (AwaitingOffer, Offer, Preparing),
            (Preparing, Prepared, Applying),
            (Applying, RemoteSet, Answering),
            (Answering, Created, Answering),
            (Answering, LocalSet, Gathering),
            (Gathering, Sent, Connecting),
            (Connecting, Secured, Connected),
        ],
        Side::Offerer => vec![
            (Describing, Created, Describing),
            (Describing, LocalSet, Gathering),
            (Gathering, Sent, AwaitingAnswer),
            (AwaitingAnswer, Answer, Applying),
            (Applying, RemoteSet, Connecting),
            (Connecting, Secured, Connected),
        ],
    }
}

#[test]
fn there_are_the_edges_of_the_table_and_no_others() {
    for side in [answering().side, Side::Offerer] {
        let table = table(&side);
        for (phase, event) in PHASES
            .into_iter()
            .flat_map(|phase| EVENTS.map(|event| (phase, event)))
        {
            let listed = table
                .iter()
                .find(|(from, by, _)| (*from, *by) == (phase, event))
                .map(|(_, _, to)| *to);
            let expected = match (&side, phase, event) {
                (_, Phase::Ended, _) | (_, _, Event::Over) => Some(Phase::Ended),
                (Side::Offerer, phase, Event::PleaseOffer) => Some(phase),
                _ => listed,
            };
            let found = edge(phase, &side, event).ok();
            assert_eq!(found, expected, "{phase:?} on {event:?} as {side:?}");
        }
    }
}

/// The stages of the exchanges that follow the first.
#[test]
fn further_exchanges_have_these_stages_and_no_others() {
    use Event::*;
    use Stage::*;
    let stages = [
        Rest,
        Preparing,
        Describing,
        AwaitingAnswer,
        Applying,
        Answering,
    ];
    let answers = [
        (Rest, Offer, Preparing),
        (Preparing, Prepared, Applying),
        (Applying, RemoteSet, Answering),
        (Answering, Created, Answering),
        (Answering, LocalSet, Rest),
    ];
    let offers = [
        (Rest, PleaseOffer, Preparing),
        (Preparing, Prepared, Describing),
        (Describing, Created, Describing),
        (Describing, LocalSet, AwaitingAnswer),
        (AwaitingAnswer, Answer, Applying),
        (Applying, RemoteSet, Rest),
    ];
    for (we_offer, table) in [(false, &answers[..]), (true, &offers[..])] {
        for (stage, event) in stages
            .into_iter()
            .flat_map(|stage| EVENTS.map(|event| (stage, event)))
        {
            let listed = table
                .iter()
                .find(|(from, by, _)| (*from, *by) == (stage, event));
            let expected = listed.map(|(_, _, to)| *to);
            let found = exchange::next(stage, we_offer, event);
            assert_eq!(found, expected, "{stage:?} on {event:?}, {we_offer}");
        }
    }
}

#[test]
fn a_misplaced_note_is_the_far_sides_fault_and_the_rest_is_ours() {
    for side in [answering().side, Side::Offerer] {
        for phase in PHASES {
            for event in EVENTS {
                let Err(misstep) = edge(phase, &side, event) else {
                    continue;
                };
                let note = [Event::Offer, Event::Answer, Event::PleaseOffer].contains(&event);
                match EndReason::from(misstep) {
                    EndReason::Misbehaved(text) => assert!(note && !text.is_empty()),
                    EndReason::Failed(text) => assert!(!note && !text.is_empty()),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
