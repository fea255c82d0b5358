use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use proptest::prelude::*;

use super::super::{Capabilities, Offerer};
use super::*;
use crate::message::PeerId;

/// Ends of a connection that a test holds.
struct Ends {
    incoming: mpsc::Sender<Incoming>,
    outgoing: mpsc::Receiver<Outgoing>,
}

/// What the next attempts yield; an empty script never connects.
#[derive(Clone, Default)]
struct Script {
    attempts: Arc<Mutex<VecDeque<Result<Connection, SignallerError>>>>,
    closed: Arc<Mutex<bool>>,
    lost: Arc<Mutex<Option<SignallerError>>>,
    never_closes: bool,
}

impl Script {
    fn add_connection(&self, queue: usize) -> Ends {
        let (incoming_in, incoming) = mpsc::channel(8);
        let (outgoing, outgoing_out) = mpsc::channel(queue);
        self.attempts.lock().unwrap().push_back(Ok(Connection {
            address: None,
            incoming,
            outgoing,
        }));
        Ends {
            incoming: incoming_in,
            outgoing: outgoing_out,
        }
    }

    fn add_failure(&self, error: SignallerError) {
        self.attempts.lock().unwrap().push_back(Err(error));
    }

    fn spawn(&self) -> Supervisor {
        Supervisor::spawn(Box::new(self.clone()))
    }

    fn is_closed(&self) -> bool {
        *self.closed.lock().unwrap()
    }
}

#[async_trait]
impl Signaller for Script {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            offerer: Offerer::Us,
            trickle_in: true,
            trickle_out: true,
        }
    }

    async fn connect(&mut self) -> Result<Connection, SignallerError> {
        let next = self.attempts.lock().unwrap().pop_front();
        match next {
            Some(next) => next,
            None => std::future::pending().await,
        }
    }

    async fn lost(&mut self) -> Option<SignallerError> {
        self.lost.lock().unwrap().take()
    }

    async fn close(&mut self) {
        if self.never_closes {
            std::future::pending::<()>().await;
        }
        *self.closed.lock().unwrap() = true;
    }
}

const UP: Option<Event> = Some(Event::Up { address: None });
const DEADLINE: Duration = Duration::from_secs(5);

fn left(number: usize) -> Incoming {
    Incoming::Left {
        peer: PeerId::new("p"),
        reason: number.to_string(),
    }
}

fn note() -> Outgoing {
    Outgoing::End {
        peer: PeerId::new("p"),
        reason: String::new(),
    }
}

async fn down(supervisor: &mut Supervisor) -> (String, Duration) {
    match supervisor.events.recv().await {
        Some(Event::Down {
            reason, retry_in, ..
        }) => (reason, retry_in),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn it_connects_carries_and_reconnects() {
    let script = Script::default();
    let first = script.add_connection(8);
    let mut second = script.add_connection(8);
    let mut supervisor = script.spawn();
    assert_eq!(supervisor.events.recv().await, UP);
    first.incoming.send(left(1)).await.unwrap();
    assert_eq!(
        supervisor.events.recv().await,
        Some(Event::Incoming(left(1)))
    );
    drop(first);
    down(&mut supervisor).await;
    let numbered = |number: usize| Outgoing::End {
        peer: PeerId::new("p"),
        reason: number.to_string(),
    };
    assert!(supervisor.send(numbered(0)), "it waits for the channel");
    assert!(supervisor.send(numbered(1)));
    assert_eq!(supervisor.events.recv().await, UP);
    assert!(supervisor.send(numbered(2)));
    for number in 0..3 {
        assert_eq!(second.outgoing.recv().await, Some(numbered(number)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_reached_is_not_lost() {
    let script = Script::default();
    let refuse = || script.add_failure(SignallerError::Transient("refused".into()));
    refuse();
    let first = script.add_connection(8);
    refuse();
    let mut supervisor = script.spawn();
    let mut reached = Vec::new();
    drop(first);
    while reached.len() < 3 {
        match supervisor.events.recv().await {
            Some(Event::Down { reached: it, .. }) => reached.push(it),
            other => assert_eq!(other, UP),
        }
    }
    assert_eq!(reached, [false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn waits_grow_while_it_fails_and_shrink_after_a_good_life() {
    let script = Script::default();
    for _ in 0..8 {
        script.add_failure(SignallerError::Transient("refused".into()));
    }
    let ends = script.add_connection(8);
    let mut supervisor = script.spawn();
    for attempt in 0..8 {
        let before = Instant::now();
        let (reason, retry_in) = down(&mut supervisor).await;
        assert_eq!(reason, "refused");
        assert!(
            retry_in <= backoff(attempt) && retry_in >= backoff(attempt) / 2,
            "{attempt}: {retry_in:?}"
        );
        assert!(
            before.elapsed() <= backoff(attempt),
            "the wait before was not longer than announced"
        );
    }
    assert_eq!(supervisor.events.recv().await, UP);
    tokio::time::advance(GOOD_LIFE).await;
    drop(ends);
    assert!(down(&mut supervisor).await.1 <= FIRST_WAIT);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_flaps_is_not_hammered() {
    let script = Script::default();
    let mut supervisor = script.spawn();
    let mut last = Duration::ZERO;
    for _ in 0..6 {
        drop(script.add_connection(8));
        if last == Duration::ZERO {
            // The first attempt found an empty script; begin anew.
            supervisor = script.spawn();
        }
        assert_eq!(supervisor.events.recv().await, UP);
        last = down(&mut supervisor).await.1;
        script.attempts.lock().unwrap().clear();
    }
    assert!(last >= backoff(5) / 2, "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_channel_is_bounded() {
    let script = Script::default();
    script.add_failure(SignallerError::Transient("refused".into()));
    let mut supervisor = script.spawn();
    down(&mut supervisor).await;
    let taken = (0..10_000).filter(|_| supervisor.send(note())).count();
    assert_eq!(taken, BACKLOG);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_returns_within_minutes_is_found_within_two_seconds() {
    let eager: Duration = (0..EAGER).map(backoff).sum();
    assert!(
        eager / 2 >= Duration::from_secs(120),
        "with the greatest jitter"
    );
    assert!((0..EAGER).all(|attempt| backoff(attempt) < Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_told_once_and_ends_it() {
    let script = Script::default();
    let error = SignallerError::Permanent("the port is in use".into());
    script.add_failure(error.clone());
    let mut supervisor = script.spawn();
    assert_eq!(supervisor.events.recv().await, Some(Event::Failed(error)));
    assert_eq!(supervisor.events.recv().await, None);
    supervisor.close(DEADLINE).await;
    assert!(script.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_told_with_its_reason_and_a_permanent_one_ends_it() {
    for (loss, ends) in [
        (SignallerError::Transient("kicked".into()), false),
        (SignallerError::Permanent("banned".into()), true),
    ] {
        let script = Script::default();
        *script.lost.lock().unwrap() = Some(loss.clone());
        drop(script.add_connection(8));
        let mut supervisor = script.spawn();
        assert_eq!(supervisor.events.recv().await, UP);
        if ends {
            assert_eq!(supervisor.events.recv().await, Some(Event::Failed(loss)));
            assert_eq!(supervisor.events.recv().await, None);
        } else {
            assert_eq!(down(&mut supervisor).await.0, "kicked");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_replaces_the_channel() {
    let script = Script::default();
    let _stuck = script.add_connection(1);
    let _good = script.add_connection(1);
    let mut supervisor = script.spawn();
    assert_eq!(supervisor.events.recv().await, UP);
    assert!(supervisor.send(note()));
    assert!(!supervisor.send(note()));
    assert!(!supervisor.send(note()));
    let (reason, _) = down(&mut supervisor).await;
    assert!(reason.contains("does not take"), "{reason}");
    assert_eq!(supervisor.events.recv().await, UP);
    assert!(supervisor.send(note()));
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_does_not_read_can_still_close() {
    let script = Script::default();
    let ends = script.add_connection(8);
    let supervisor = script.spawn();
    let flood = async {
        for number in 0.. {
            if ends.incoming.send(left(number)).await.is_err() {
                break;
            }
        }
    };
    // Idle with time paused means: every queue is full and all tasks wait.
    assert!(timeout(DEADLINE, flood).await.is_err());
    let before = Instant::now();
    supervisor.close(DEADLINE).await;
    assert!(script.is_closed());
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn close_has_a_deadline() {
    let script = Script {
        never_closes: true,
        ..Script::default()
    };
    let supervisor = script.spawn();
    let before = Instant::now();
    supervisor.close(DEADLINE).await;
    assert!(before.elapsed() >= DEADLINE && before.elapsed() < DEADLINE * 2);
}

#[tokio::test(start_paused = true)]
async fn dropping_it_ends_the_channel() {
    let script = Script::default();
    let ends = script.add_connection(8);
    let mut supervisor = script.spawn();
    assert_eq!(supervisor.events.recv().await, UP);
    drop(supervisor);
    ends.incoming.closed().await;
}

proptest! {
    #[test]
    fn waits_never_shrink_and_are_bounded(attempt in any::<u32>()) {
        prop_assert!(backoff(attempt) <= backoff(attempt.saturating_add(1)));
        prop_assert!(backoff(attempt) >= FIRST_WAIT && backoff(attempt) <= LONGEST_WAIT);
    }

    #[test]
    fn jitter_keeps_between_half_and_all(attempt in 0..20_u32, random in any::<u32>()) {
        let (nominal, wait) = (backoff(attempt), with_jitter(backoff(attempt), random));
        prop_assert!(wait >= nominal / 2 && wait <= nominal);
    }
}
