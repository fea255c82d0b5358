//! Both ends of one peer count its connections alike.

use crate::message::Message;
use crate::session::{Heard, Rounds};

fn number(note: &Message) -> u32 {
    match note {
        Message::Again { round } => *round,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_one_that_notices_takes_the_other_along() {
    let (mut viewer, mut publisher) = (Rounds::default(), Rounds::default());
    assert!(viewer.is_current() && publisher.is_current());

    let said = viewer.again().unwrap();
    assert_eq!(number(&said), 2);
    // What the publisher still says of round 1 is not for round 2.
    assert!(!viewer.is_current());
    assert_eq!(publisher.hear(number(&said)), Heard::Begin);
    assert!(publisher.is_current());
    assert_eq!(viewer.hear(number(&publisher.note())), Heard::Arrived);
    assert!(viewer.is_current());
}

#[test]
fn both_that_notice_at_once_meet_in_the_same_round() {
    let (mut one, mut other) = (Rounds::default(), Rounds::default());
    let (a, b) = (one.again().unwrap(), other.again().unwrap());
    assert_eq!(one.hear(number(&b)), Heard::Arrived);
    assert_eq!(other.hear(number(&a)), Heard::Arrived);
    assert_eq!(one, other);
    assert!(one.is_current());
}

#[test]
fn what_was_said_before_is_stale() {
    let mut rounds = Rounds::default();
    rounds.again().unwrap();
    rounds.again().unwrap();
    assert_eq!(rounds.hear(2), Heard::Stale);
    assert!(!rounds.is_current());
    assert_eq!(rounds.hear(3), Heard::Arrived);
    assert_eq!(rounds.hear(3), Heard::Stale);
    assert_eq!(rounds.hear(0), Heard::Stale);
    assert!(rounds.is_current());
}

#[test]
fn numbers_run_out_in_good_order() {
    let mut rounds = Rounds::default();
    assert_eq!(rounds.hear(u32::MAX), Heard::Begin);
    assert_eq!(rounds.again(), None);
}
