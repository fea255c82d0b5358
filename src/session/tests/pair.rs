//! An offerer and an answerer, wired in memory.

use super::*;

/// Two sessions, each with an owner that does what it is told.
struct Pair {
    offerer: Bench,
    answerer: Bench,
    media: [bool; 2],
}

impl Pair {
    fn new(offerer: Config, answerer: Config) -> Self {
        Self {
            offerer: Bench::new(offerer),
            answerer: Bench::new(answerer),
            media: [false; 2],
        }
    }

    /// Runs until neither has anything to do.
    fn run(&mut self) {
        loop {
            let ours = self.offerer.actions();
            let theirs = self.answerer.actions();
            if ours.is_empty() && theirs.is_empty() {
                return;
            }
            for action in ours {
                self.carry_out(0, action);
            }
            for action in theirs {
                self.carry_out(1, action);
            }
        }
    }

    fn carry_out(&mut self, side: usize, action: Action) {
        let (own, other) = match side {
            0 => (&mut self.offerer, &mut self.answerer),
            _ => (&mut self.answerer, &mut self.offerer),
        };
        let event = match action {
            Action::Prepare(_) => ConnectionEvent::Prepared,
            Action::SetRemote { .. } => ConnectionEvent::RemoteSet,
            Action::CreateOffer => ConnectionEvent::Created(CHROMIUM.to_owned()),
            Action::CreateAnswer => {
                let plan = OfferPlan::new(CHROMIUM, &tracks()).unwrap();
                ConnectionEvent::Created(webrtcbin_answer(&plan))
            }
            Action::SetLocal { .. } => {
                let now = own.now;
                own.session
                    .handle_connection(now, ConnectionEvent::LocalSet);
                ConnectionEvent::Candidate(HOST.to_owned())
            }
            Action::Send(message) => {
                let now = other.now;
                return other.session.handle_message(now, message);
            }
            Action::AddCandidate(line) => {
                assert_eq!(line, HOST);
                return;
            }
            Action::StartMedia => {
                self.media[side] = true;
                return;
            }
            other => panic!("{other:?}"),
        };
        let now = own.now;
        own.session.handle_connection(now, event);
    }

    fn wait(&mut self, time: Duration) {
        self.offerer.wait(time);
        self.answerer.wait(time);
        self.run();
    }

    fn report(&mut self, event: &ConnectionEvent) {
        for bench in [&mut self.offerer, &mut self.answerer] {
            bench.session.handle_connection(bench.now, event.clone());
        }
        self.run();
    }

    fn phases(&self) -> [Phase; 2] {
        [self.offerer.phase(), self.answerer.phase()]
    }
}

#[test]
fn two_sessions_connect_with_and_without_trickle() {
    for (ours, theirs) in [(true, true), (true, false), (false, true), (false, false)] {
        let config = |config: Config, trickle_out| Config {
            trickle_out,
            ..config
        };
        let mut pair = Pair::new(config(offering(), ours), config(answering(), theirs));
        pair.run();
        // Each side that has no trickle waits for its candidates to settle.
        pair.wait(milliseconds(10));
        pair.wait(milliseconds(10));
        assert_eq!(pair.phases(), [Phase::Connecting; 2], "{ours} {theirs}");
        pair.report(&ConnectionEvent::DtlsConnected);
        assert_eq!(pair.media, [false; 2]);
        pair.report(&ConnectionEvent::IdentityProven);
        assert_eq!(pair.media, [true; 2]);
        assert_eq!(pair.phases(), [Phase::Connected; 2]);
    }
}

#[test]
fn one_that_leaves_ends_the_other() {
    let mut pair = Pair::new(trickling(offering()), trickling(answering()));
    pair.run();
    let bye = Message::Bye {
        reason: "bye".to_owned(),
    };
    let actions = pair.answerer.hear(bye);
    assert_eq!(ended(actions), EndReason::Left("bye".to_owned()));
}
