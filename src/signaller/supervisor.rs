//! Runs one signaller for its owner: connects, reconnects, closes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::{Connection, Incoming, Outgoing, Signaller, SignallerError};

/// How many events wait for the owner before the signaller has to wait.
const EVENTS: usize = 256;

/// The first wait after a loss.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait at first: who was lost with a server is back within two
/// seconds of its return.
const EAGER_WAIT: Duration = Duration::from_secs(1);

/// How many attempts are eager: four to five minutes of them.
const EAGER: u32 = 300;

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How many notes wait for the channel while it is down.
const BACKLOG: usize = 1024;

/// A connection that lived this long counts as good: the next wait is short.
const GOOD_LIFE: Duration = Duration::from_secs(10);

/// How long a signaller may take to say why its connection was lost.
const LOST: Duration = Duration::from_secs(1);

/// What the supervisor tells the owner.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The channel is open (again).
    Up {
        /// Where people can watch, when that is known.
        address: Option<String>,
    },
    /// Something arrived.
    Incoming(Incoming),
    /// The channel was lost, or could not be opened; another attempt follows.
    Down {
        /// Why.
        reason: String,
        /// Was it ever open?
        reached: bool,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// It cannot be opened; the supervisor has stopped.
    Failed(SignallerError),
}

/// A running supervisor. Dropping it aborts it; [`close`](Self::close) is the polite way.
///
/// [`Event::Failed`] is the last event there is.
#[derive(Debug)]
pub struct Supervisor {
    /// What it tells. An owner that stops reading holds up the signaller, but
    /// never [`close`](Self::close).
    pub events: mpsc::Receiver<Event>,
    /// Where notes leave; `None` while the channel is down.
    outgoing: watch::Receiver<Option<mpsc::Sender<Outgoing>>>,
    /// Notes that wait for the channel. Never held across a wait.
    backlog: Arc<Mutex<Vec<Outgoing>>>,
    /// Tells the task that the queue of the present connection is full.
    overflow: mpsc::Sender<()>,
    stop: oneshot::Sender<()>,
    task: Aborting,
}

/// A task that ends with its handle.
#[derive(Debug)]
struct Aborting(JoinHandle<()>);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Supervisor {
    /// Starts it on the current tokio runtime.
    pub fn spawn(signaller: Box<dyn Signaller>) -> Self {
        let (events_in, events) = mpsc::channel(EVENTS);
        let (outgoing_in, outgoing) = watch::channel(None);
        let backlog = Arc::<Mutex<Vec<_>>>::default();
        let (overflow, overflowed) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let worker = Worker {
            signaller,
            events: events_in,
            outgoing: outgoing_in,
            backlog: backlog.clone(),
            overflowed,
        };
        let task = Aborting(tokio::spawn(worker.run(stopped)));
        Self {
            events,
            outgoing,
            backlog,
            overflow,
            stop,
            task,
        }
    }

    /// Queues a note. Never waits. While the channel is down notes are kept, up
    /// to 1024 of them, as peers may outlive it. When there is no room the note
    /// is dropped and `false` returned. A full queue means that the far side does
    /// not read; the channel is then replaced.
    pub fn send(&self, note: Outgoing) -> bool {
        // Held while the channel is looked up, so that notes keep their order.
        let mut backlog = lock(&self.backlog);
        let sent = match &*self.outgoing.borrow() {
            Some(outgoing) => outgoing.try_send(note),
            None if matches!(note, Outgoing::Report { .. }) => return false,
            None if backlog.len() < BACKLOG => {
                backlog.push(note);
                return true;
            }
            None => return false,
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = sent {
            // It holds one wish, and one is enough.
            let _ = self.overflow.try_send(());
        }
        sent.is_ok()
    }

    /// Closes the signaller, waiting at most `deadline`. Notes that were
    /// queued before are still handed to it.
    pub async fn close(self, deadline: Duration) {
        let Self { stop, mut task, .. } = self;
        // It has no receiver when the task has ended by itself.
        let _ = stop.send(());
        let _ = timeout(deadline, &mut task.0).await;
    }
}

struct Worker {
    signaller: Box<dyn Signaller>,
    events: mpsc::Sender<Event>,
    outgoing: watch::Sender<Option<mpsc::Sender<Outgoing>>>,
    backlog: Arc<Mutex<Vec<Outgoing>>>,
    overflowed: mpsc::Receiver<()>,
}

impl Worker {
    async fn run(mut self, stopped: oneshot::Receiver<()>) {
        tokio::select! {
            biased;
            _ = stopped => {}
            () = self.keep_up() => {}
        }
        self.outgoing.send_replace(None);
        self.signaller.close().await;
    }

    /// Ends when the signaller fails for good. Cancel safe.
    async fn keep_up(&mut self) {
        let mut attempt = 0;
        let mut reached = false;
        loop {
            let loss = match self.signaller.connect().await {
                Ok(connection) => {
                    let since = Instant::now();
                    let loss = self.carry(connection).await;
                    reached = reached || self.signaller.is_proven();
                    if since.elapsed() >= GOOD_LIFE {
                        attempt = 0;
                    }
                    loss
                }
                Err(error) => error,
            };
            let SignallerError::Transient(reason) = loss else {
                return self.tell(Event::Failed(loss)).await;
            };
            let retry_in = with_jitter(backoff(attempt), random());
            attempt = attempt.saturating_add(1);
            let down = Event::Down {
                reason,
                reached,
                retry_in,
            };
            self.tell(down).await;
            sleep(retry_in).await;
        }
    }

    /// Uses one connection until it is lost; returns why.
    async fn carry(&mut self, connection: Connection) -> SignallerError {
        let Connection {
            address,
            mut incoming,
            outgoing,
        } = connection;
        // A wish that was meant for the connection before.
        while self.overflowed.try_recv().is_ok() {}
        self.open(outgoing);
        self.tell(Event::Up { address }).await;
        let reason = loop {
            tokio::select! {
                _ = self.overflowed.recv() => break Some("the far side does not take our messages"),
                arrived = incoming.recv() => match arrived {
                    Some(arrived) => self.tell(Event::Incoming(arrived)).await,
                    None => break None,
                },
            }
        };
        self.outgoing.send_replace(None);
        let lost = match reason {
            Some(reason) => return SignallerError::Transient(reason.to_owned()),
            None => timeout(LOST, self.signaller.lost()).await,
        };
        let unknown = || SignallerError::Transient("the connection was lost".to_owned());
        lost.ok().flatten().unwrap_or_else(unknown)
    }

    /// Lets notes flow again, those that have waited first.
    fn open(&self, outgoing: mpsc::Sender<Outgoing>) {
        let mut backlog = lock(&self.backlog);
        for note in backlog.drain(..) {
            // A queue that is that short takes what it can.
            let _ = outgoing.try_send(note);
        }
        self.outgoing.send_replace(Some(outgoing));
    }

    /// An owner that has dropped its receiver is not told any more.
    async fn tell(&mut self, event: Event) {
        let _ = self.events.send(event).await;
    }
}

fn lock(backlog: &Mutex<Vec<Outgoing>>) -> MutexGuard<'_, Vec<Outgoing>> {
    backlog.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait before attempt number `attempt`, counted from 0, without
/// jitter: doubled each time, bounded closely for some minutes and then less so.
pub fn backoff(attempt: u32) -> Duration {
    let doubled = |wait: Duration, times| wait.saturating_mul(2_u32.saturating_pow(times));
    match attempt.checked_sub(EAGER) {
        None => doubled(FIRST_WAIT, attempt).min(EAGER_WAIT),
        Some(late) => doubled(EAGER_WAIT, late).min(LONGEST_WAIT),
    }
}

/// Between half of `nominal` and all of it, as `random` says, so that clients
/// that were lost together do not come back together.
pub fn with_jitter(nominal: Duration, random: u32) -> Duration {
    nominal.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// Without randomness waits are merely not spread.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
