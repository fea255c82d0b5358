//! The thread that reads what comes in for one pad.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::{DataMessage, Lane};

/// How long a stop waits for a reader that is busy.
const PATIENCE: Duration = Duration::from_secs(2);

/// From so many messages in a [`BEAT`] on, the reader is not woken for each one.
const MANY: u32 = 16;
const BEAT: Duration = Duration::from_millis(1);

/// How long it lets them gather then.
const NAP: Duration = Duration::from_micros(200);

/// Where messages go. Called from the outlet's thread alone; may block, which
/// makes writers wait that heed credits.
pub(crate) trait Reader: Send {
    /// The first channel is open.
    fn begin(&mut self) {}

    /// A message from `lane`.
    fn read(&mut self, lane: &Lane, message: &DataMessage);
}

/// All that comes in for one pad, from all peers in turn.
pub(crate) struct Outlet {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    lanes: Vec<Arc<Lane>>,
    /// Until the thread has it.
    reader: Option<Box<dyn Reader>>,
    running: bool,
    rung: bool,
    /// The thread waits to be told.
    asleep: bool,
    stopped: bool,
}

impl Outlet {
    /// Its thread begins with the first channel.
    pub(crate) fn new(reader: Box<dyn Reader>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                reader: Some(reader),
                ..State::default()
            }),
            news: Condvar::new(),
        })
    }

    #[cfg(test)]
    pub(super) fn idle() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            news: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(self: &Arc<Self>, lane: Arc<Lane>) {
        let mut state = self.state();
        if state.stopped {
            return;
        }
        state.lanes.push(lane);
        state.rung = true;
        if let Some(reader) = state.reader.take() {
            let outlet = Arc::downgrade(self);
            let thread = std::thread::Builder::new().name("sigmund-data".into());
            state.running = thread.spawn(move || run(&outlet, reader)).is_ok();
        }
        drop(state);
        self.news.notify_all();
    }

    /// Something has come. Never waits for long.
    pub(super) fn ring(&self) {
        let mut state = self.state();
        state.rung = true;
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.news.notify_all();
        }
    }

    /// Reads no more, and waits until the thread has seen it: its pad must be
    /// flushing by then.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        state.reader = None;
        state.lanes.clear();
        self.news.notify_all();
        let ended = self
            .news
            .wait_timeout_while(state, PATIENCE, |state| state.running);
        drop(ended);
    }

    /// Is it over?
    fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Waits for something to read; the lanes, or `None` at the end.
    fn wait(&self) -> Option<Vec<Arc<Lane>>> {
        let mut state = self.state();
        // Looked at now and then, since whoever holds it may be gone.
        let wait = Duration::from_secs(1);
        if !state.rung && !state.stopped {
            state.asleep = true;
            let waited = self.news.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.asleep = false;
        }
        state.rung = false;
        state.lanes.retain(|lane| !lane.is_over());
        (!state.stopped).then(|| state.lanes.clone())
    }
}

fn run(outlet: &Weak<Outlet>, mut reader: Box<dyn Reader>) {
    let stopped = || outlet.upgrade().is_none_or(|it| it.is_stopped());
    if !stopped() {
        reader.begin();
    }
    let mut pace = Pace::default();
    while let Some(lanes) = outlet.upgrade().and_then(|outlet| outlet.wait()) {
        let mut idle = true;
        for lane in &lanes {
            for message in lane.read() {
                idle = false;
                if stopped() {
                    break;
                }
                reader.read(lane, &message);
                lane.done(&message);
                pace.count += 1;
            }
        }
        if !idle {
            // There may be more.
            outlet.upgrade().inspect(|outlet| outlet.ring());
        } else if pace.is_fast() {
            std::thread::sleep(NAP);
        }
    }
    drop(reader);
    if let Some(outlet) = outlet.upgrade() {
        outlet.state().running = false;
        outlet.news.notify_all();
    }
}

/// How fast messages come.
#[derive(Default)]
struct Pace {
    began: Option<Instant>,
    count: u32,
}

impl Pace {
    /// Did more come than one is to be woken for, since this was last asked?
    fn is_fast(&mut self) -> bool {
        let now = Instant::now();
        let beats = self.began.map_or(1.0, |began| {
            (now - began).as_secs_f64() / BEAT.as_secs_f64()
        });
        let fast = f64::from(self.count) > beats.max(0.1) * f64::from(MANY);
        *self = Self {
            began: Some(now),
            count: 0,
        };
        fast
    }
}
