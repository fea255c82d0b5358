//! Peers whose path is lost, and who of them gets another connection.

use super::*;

const GIVE_UP: Duration = Duration::from_secs(30);

/// A connected session of a peer that knows `again`, or does not.
struct Peer {
    bench: Bench,
    recovery: Recovery,
}

impl Peer {
    fn new(able: bool, give_up: Duration) -> Self {
        let bench = connected();
        let mut recovery = Recovery::new(able, give_up, bench.now);
        recovery.handle_connected();
        Self { bench, recovery }
    }

    fn able() -> Self {
        Self::new(true, GIVE_UP)
    }

    fn hear(&mut self, message: Message) -> Vec<Action> {
        let now = self.bench.now;
        self.recovery
            .handle_message(&mut self.bench.session, now, message);
        self.bench.actions()
    }

    fn report(&mut self, event: ConnectionEvent) -> Vec<Action> {
        let now = self.bench.now;
        self.recovery
            .handle_connection(&mut self.bench.session, now, event);
        self.bench.actions()
    }

    /// What the owner does with the end of a session: the note to send first, or
    /// why the peer is gone.
    fn end(&mut self, actions: Vec<Action>) -> Result<Message, EndReason> {
        let now = self.bench.now;
        let note = self.recovery.handle_end(now, ended(actions))?;
        let timeout = self.recovery.begin(now);
        let config = Config {
            negotiation_timeout: timeout,
            ..trickling(answering())
        };
        self.bench.session = Session::new(config, now);
        Ok(note)
    }

    /// Until something is to be done, `time` at most.
    fn wait(&mut self, time: Duration) -> Vec<Action> {
        let end = self.bench.now + time;
        loop {
            let due = self.recovery.poll_timeout(&self.bench.session);
            let Some(due) = due.filter(|due| *due <= end) else {
                self.bench.now = end;
                return Vec::new();
            };
            self.bench.now = self.bench.now.max(due);
            let now = self.bench.now;
            self.recovery.handle_timeout(&mut self.bench.session, now);
            let actions = self.bench.actions();
            if !actions.is_empty() {
                return actions;
            }
        }
    }
}

fn again(round: u32) -> Message {
    Message::Again { round }
}

fn silent() -> ConnectionEvent {
    ConnectionEvent::Silent(Duration::from_secs(8))
}

#[test]
fn a_lost_path_is_followed_by_another_round() {
    for loss in [silent(), ConnectionEvent::IceFailed] {
        let mut peer = Peer::able();
        let over = peer.report(loss);
        assert_eq!(peer.end(over), Ok(again(2)));
        assert_eq!(peer.bench.phase(), Phase::AwaitingOffer);
    }
}

#[test]
fn notes_of_the_round_before_do_not_count() {
    let mut peer = Peer::able();
    let over = peer.report(silent());
    peer.end(over).unwrap();
    assert_eq!(peer.hear(candidate(HOST)), []);
    assert_eq!(peer.hear(offer()), []);
    assert_eq!(peer.hear(again(2)), []);
    // The far side has arrived.
    assert!(matches!(peer.hear(offer())[..], [Action::Prepare(_)]));
}

#[test]
fn who_is_called_to_a_round_follows() {
    let mut peer = Peer::able();
    let over = peer.hear(again(5));
    assert_eq!(peer.end(over), Ok(again(5)));
    assert!(matches!(peer.hear(offer())[..], [Action::Prepare(_)]));
    // Said twice, it is one call.
    assert_eq!(peer.hear(again(5)), []);
    assert_eq!(peer.hear(again(4)), []);
}

#[test]
fn who_is_called_before_media_flow_follows_and_gives_up_in_time() {
    let mut peer = Peer::able();
    peer.recovery = Recovery::new(true, GIVE_UP, peer.bench.now);
    let over = peer.hear(again(2));
    assert_eq!(peer.end(over), Ok(again(2)));
    assert!(peer.recovery.poll_timeout(&peer.bench.session).is_some());
}

#[test]
fn rounds_follow_each_other_until_the_time_is_up() {
    let mut peer = Peer::able();
    let start = peer.bench.now;
    let mut over = peer.report(silent());
    for round in 2.. {
        match peer.end(over) {
            Ok(note) => assert_eq!(note, again(round)),
            Err(reason) => {
                assert_eq!(reason, EndReason::GaveUp(GIVE_UP));
                // 8 s each.
                assert_eq!(round, 6);
                break;
            }
        }
        over = peer.wait(GIVE_UP);
    }
    assert_eq!(peer.bench.now - start, GIVE_UP);
}

#[test]
fn a_peer_that_calls_for_rounds_without_end_is_given_up_all_the_same() {
    let mut peer = Peer::able();
    let start = peer.bench.now;
    let mut rounds = 2..;
    let reason = loop {
        let over = peer.hear(again(rounds.next().unwrap()));
        if let Err(reason) = peer.end(over) {
            break reason;
        }
        assert!(peer.recovery.not_before() > peer.bench.now);
        peer.bench.now = peer.recovery.not_before();
    };
    assert_eq!(reason, EndReason::GaveUp(GIVE_UP));
    assert!(peer.bench.now - start < GIVE_UP + Duration::from_secs(1));
}

#[test]
fn media_that_flow_again_start_the_time_anew() {
    let mut peer = Peer::able();
    let over = peer.report(silent());
    peer.end(over).unwrap();
    assert_eq!(peer.wait(Duration::from_secs(5)), []);
    peer.recovery.handle_connected();
    peer.bench.session = connected().session;
    assert_eq!(peer.wait(GIVE_UP * 2), []);
    let over = peer.report(silent());
    assert_eq!(peer.end(over), Ok(again(3)));
}

#[test]
fn a_closed_connection_may_be_the_end_of_a_round() {
    let mut peer = Peer::able();
    assert_eq!(peer.report(ConnectionEvent::DtlsClosed), []);
    assert_eq!(peer.wait(milliseconds(900)), []);
    let over = peer.hear(again(2));
    assert_eq!(peer.end(over), Ok(again(2)));
    // That it was closed has nothing to do with what follows.
    assert_eq!(peer.wait(Duration::from_secs(5)), []);
}

#[test]
fn a_connection_that_stays_closed_is_the_end_of_the_peer() {
    let mut peer = Peer::able();
    let start = peer.bench.now;
    peer.report(ConnectionEvent::DtlsClosed);
    let over = peer.wait(GIVE_UP);
    assert_eq!(peer.bench.now - start, Duration::from_secs(1));
    assert!(matches!(peer.end(over), Err(EndReason::Left(_))));
}

#[test]
fn what_is_not_the_paths_fault_ends_the_peer() {
    let text = || "x".to_owned();
    for event in [
        ConnectionEvent::IdentityMismatch,
        ConnectionEvent::Failed(text()),
    ] {
        let mut peer = Peer::able();
        let over = peer.report(event);
        peer.end(over).unwrap_err();
    }
    let mut peer = Peer::able();
    let over = peer.hear(Message::Bye { reason: text() });
    peer.end(over).unwrap_err();
}

#[test]
fn a_connection_that_never_came_about_is_not_followed() {
    let mut peer = Peer::able();
    peer.recovery = Recovery::new(true, GIVE_UP, peer.bench.now);
    peer.bench.session = Session::new(answering(), peer.bench.now);
    let over = peer.wait(GIVE_UP);
    assert!(matches!(peer.end(over), Err(EndReason::TimedOut(..))));
}

#[test]
fn who_does_not_know_again_or_may_not_has_one_connection() {
    for (able, give_up) in [(false, GIVE_UP), (true, Duration::ZERO)] {
        let mut peer = Peer::new(able, give_up);
        let over = peer.report(silent());
        assert!(matches!(peer.end(over), Err(EndReason::Silent(_))));
        let mut peer = Peer::new(able, give_up);
        let over = peer.report(ConnectionEvent::DtlsClosed);
        assert!(matches!(peer.end(over), Err(EndReason::Left(_))));
        let mut peer = Peer::new(able, give_up);
        let over = peer.hear(again(2));
        assert!(matches!(peer.end(over), Err(EndReason::Left(_))));
    }
}
