//! Sessions in virtual time. Nothing here sleeps.

mod answerer;
mod calls;
mod edges;
mod offerer;
mod pair;
mod properties;
mod recovery;
mod relays;
mod rounds;

use std::time::Duration;

use super::*;
use crate::sdp::tests::{CHROMIUM, tracks, webrtcbin_answer};

const HOST: &str = "candidate:1 1 UDP 2015363327 192.0.2.7 40000 typ host";
const SERVER_REFLEXIVE: &str =
    "candidate:2 1 UDP 1677729535 203.0.113.9 40678 typ srflx raddr 192.0.2.7 rport 40000";

fn answering() -> Config {
    Config {
        side: Side::Answerer {
            tracks: tracks().to_vec(),
            receives: Vec::new(),
            data: false,
        },
        no_candidate: Duration::MAX,
        ..Config::default()
    }
}

fn trickling(config: Config) -> Config {
    Config {
        trickle_out: true,
        ..config
    }
}

fn offering() -> Config {
    Config {
        side: Side::Offerer,
        no_candidate: Duration::MAX,
        ..Config::default()
    }
}

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn candidate(line: &str) -> Message {
    Message::Candidate(Candidate {
        candidate: line.to_owned(),
        sdp_mid: Some("0".to_owned()),
        sdp_m_line_index: Some(0),
    })
}

fn offer() -> Message {
    Message::Offer {
        sdp: CHROMIUM.to_owned(),
    }
}

/// An answer to `CHROMIUM` as a far side would send it.
fn answer() -> Message {
    let plan = OfferPlan::new(CHROMIUM, &tracks()).unwrap();
    let sdp = plan.answer(&webrtcbin_answer(&plan), &[], true).unwrap();
    Message::Answer { sdp }
}

/// A session with its clock, and an owner that does nothing by itself.
struct Bench {
    session: Session,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(config: Config) -> Self {
        let now = Instant::now();
        Self {
            session: Session::new(config, now),
            start: now,
            now,
        }
    }

    /// Moves the clock, as an owner does that sleeps until it is called for.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let before = (self.session.phase(), self.session.poll_timeout());
            self.session.handle_timeout(self.now);
            let after = (self.session.phase(), self.session.poll_timeout());
            assert_ne!(
                before, after,
                "a time-out that changes nothing comes for ever"
            );
        }
        self.now = end;
    }

    fn hear(&mut self, message: Message) -> Vec<Action> {
        self.session.handle_message(self.now, message);
        self.actions()
    }

    fn report(&mut self, event: ConnectionEvent) -> Vec<Action> {
        self.session.handle_connection(self.now, event);
        self.actions()
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.session.poll_action()).collect()
    }

    /// When the session wants to be called, since the beginning.
    fn due(&self) -> Option<Duration> {
        let due = self.session.poll_timeout();
        due.map(|due| due.saturating_duration_since(self.start))
    }

    fn phase(&self) -> Phase {
        self.session.phase()
    }
}

/// An answerer whose local description is set and waits for candidates.
fn gathering(config: Config) -> Bench {
    let mut bench = Bench::new(config);
    let Some(Action::Prepare(plan)) = bench.hear(offer()).pop() else {
        panic!("no plan");
    };
    bench.report(ConnectionEvent::Prepared);
    bench.report(ConnectionEvent::RemoteSet);
    bench.report(ConnectionEvent::Created(webrtcbin_answer(&plan)));
    bench
}

/// An answerer whose answer has left.
fn connecting() -> Bench {
    let mut bench = gathering(trickling(answering()));
    bench.report(ConnectionEvent::LocalSet);
    assert_eq!(bench.phase(), Phase::Connecting);
    bench
}

fn connected() -> Bench {
    let mut bench = connecting();
    bench.report(ConnectionEvent::IdentityProven);
    let actions = bench.report(ConnectionEvent::DtlsConnected);
    assert_eq!(actions, [Action::StartMedia]);
    bench
}

/// The reason, where the actions are an end and nothing else.
fn ended(actions: Vec<Action>) -> EndReason {
    match <[Action; 1]>::try_from(actions) {
        Ok([Action::End(reason)]) => reason,
        other => panic!("{other:?}"),
    }
}
