//! One data pad, as sessions see it: how its channel is to be, who gets what
//! it sends, and where goes what comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sigmund::data::{Channel, FarSide, Kind, Overflow, Refused};
use sigmund::message::PeerId;

use super::lane::Ring;
use super::outbox::{Bell, Outbox, Posted};
use super::{Lane, Outlet};

/// A message on its way out. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) kind: Kind,
    pub(crate) bytes: glib::Bytes,
    /// Our wall-clock time that it belongs to, in ns since 1970.
    pub(crate) time: Option<u64>,
    /// Its caps, where they travel.
    pub(crate) caps: Option<Arc<str>>,
}

impl Outgoing {
    /// How many bytes it has with a frame around it.
    pub(crate) fn framed(&self) -> usize {
        sigmund::data::header(self.time) + self.bytes.len()
    }
}

/// What became of a message.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// How many peers it is on its way to.
    pub(crate) taken: usize,
    /// How many have been refused it.
    pub(crate) refused: usize,
    /// What the user should know, for people: once for each peer and reason.
    pub(crate) complaints: Vec<String>,
}

/// A track; all clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct DataTrack(Arc<Shared>);

struct Shared {
    name: String,
    settings: Mutex<(Channel, Overflow)>,
    outlet: Mutex<Option<Arc<Outlet>>>,
    outboxes: Mutex<Arc<[Arc<Outbox>]>>,
    bell: Arc<Bell>,
    /// Nobody is to wait.
    flushing: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DataTrack({})", self.name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DataTrack {
    /// A new one for the pad `name`.
    pub(crate) fn new(name: &str, channel: Channel, overflow: Overflow) -> Self {
        Self(Arc::new(Shared {
            name: name.to_owned(),
            settings: Mutex::new((channel, overflow)),
            outlet: Mutex::default(),
            outboxes: Mutex::new(Arc::new([])),
            bell: Arc::default(),
            flushing: AtomicBool::new(false),
        }))
    }

    /// The name of its pad.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// How its channel is to be; for peers that come from now on.
    pub(crate) fn settings(&self) -> (Channel, Overflow) {
        lock(&self.0.settings).clone()
    }

    /// What happens where a peer does not keep up.
    pub(crate) fn overflow(&self) -> Overflow {
        lock(&self.0.settings).1
    }

    /// Changes that.
    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Channel, &mut Overflow)) {
        let mut settings = lock(&self.0.settings);
        let (channel, overflow) = &mut *settings;
        change(channel, overflow);
    }

    /// What its channel is called where we open it.
    pub(crate) fn label(&self) -> String {
        let label = self.settings().0.label;
        label.unwrap_or_else(|| self.0.name.clone())
    }

    /// Are they the same track?
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Messages that come in go there from now on.
    pub(crate) fn set_outlet(&self, outlet: Option<Arc<Outlet>>) {
        let before = std::mem::replace(&mut *lock(&self.0.outlet), outlet);
        if let Some(before) = before {
            before.stop();
        }
    }

    /// A way in for one channel of a peer, while the element runs.
    pub(crate) fn lane(
        &self,
        peer: &PeerId,
        label: &str,
        reliable: bool,
        far: &Arc<std::sync::OnceLock<FarSide>>,
        ring: Ring,
    ) -> Option<Arc<Lane>> {
        let outlet = lock(&self.0.outlet).clone()?;
        Some(Lane::new(
            &self.0.name,
            peer,
            label,
            reliable,
            far,
            outlet,
            ring,
        ))
    }

    /// A peer's channel is open: it gets all that is sent from now on.
    pub(crate) fn join(&self, peer: &PeerId, far: FarSide, ring: Ring) -> Arc<Outbox> {
        let outbox = Outbox::new(peer, far, ring, self.0.bell.clone());
        self.change_outboxes(|all| all.push(outbox.clone()));
        self.0.bell.ring();
        outbox
    }

    /// The channel is over.
    pub(crate) fn leave(&self, outbox: &Arc<Outbox>) {
        outbox.close();
        self.change_outboxes(|all| all.retain(|it| !Arc::ptr_eq(it, outbox)));
    }

    fn change_outboxes(&self, change: impl FnOnce(&mut Vec<Arc<Outbox>>)) {
        let mut outboxes = lock(&self.0.outboxes);
        let mut changed = outboxes.to_vec();
        change(&mut changed);
        *outboxes = changed.into();
    }

    fn outboxes(&self) -> Arc<[Arc<Outbox>]> {
        lock(&self.0.outboxes).clone()
    }

    /// From now on nobody waits in [`send`](Self::send), or may again.
    pub(crate) fn set_flushing(&self, flushing: bool) {
        self.0.flushing.store(flushing, Ordering::SeqCst);
        self.0.bell.ring();
    }

    pub(crate) fn is_flushing(&self) -> bool {
        self.0.flushing.load(Ordering::SeqCst)
    }

    /// Sends a message to all peers that have the channel, or to one.
    ///
    /// With [`Overflow::Block`] it waits until there is a peer, and room. An
    /// error: it can be sent to nobody, ever.
    pub(crate) fn send(&self, message: &Outgoing, to: Option<&PeerId>) -> Result<Sent, Refused> {
        message.kind.check(&message.bytes)?;
        let overflow = self.overflow();
        let mut sent = Sent::default();
        loop {
            let seen = self.0.bell.now();
            let outboxes = self.outboxes();
            if overflow != Overflow::Block || to.is_some() || !outboxes.is_empty() {
                for outbox in outboxes.iter() {
                    if to.is_none_or(|to| to == outbox.peer()) {
                        self.post(outbox, message, overflow, &mut sent);
                    }
                }
                return Ok(sent);
            }
            if self.is_flushing() {
                return Ok(sent);
            }
            self.0.bell.wait(seen, None);
        }
    }

    fn post(&self, outbox: &Outbox, message: &Outgoing, overflow: Overflow, sent: &mut Sent) {
        let (name, peer) = (&self.0.name, outbox.peer());
        loop {
            let seen = self.0.bell.now();
            match outbox.post(message, overflow) {
                Posted::Taken => sent.taken += 1,
                Posted::Dropping => {
                    sent.taken += 1;
                    sent.complaints.push(format!(
                        "{name}: peer {peer} does not keep up; messages to it are dropped"
                    ));
                }
                Posted::Refused(refused, first) => {
                    sent.refused += 1;
                    if first {
                        sent.complaints
                            .push(format!("{name}, to peer {peer}: {refused}"));
                    }
                }
                Posted::Full if !self.is_flushing() => {
                    self.0.bell.wait(seen, None);
                    continue;
                }
                Posted::Full | Posted::Closed => (),
            }
            return;
        }
    }

    /// Waits until all that was sent has arrived, or `patience` is over.
    pub(crate) fn finish(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let outboxes = self.outboxes();
        for outbox in outboxes.iter() {
            outbox.finish();
        }
        loop {
            let seen = self.0.bell.now();
            let finished = outboxes.iter().all(|outbox| outbox.is_finished());
            if finished || self.is_flushing() || Instant::now() >= end {
                return;
            }
            self.0.bell.wait(seen, Some(end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Next;
    use super::*;

    const FAR: FarSide = FarSide {
        max_message: 65_536,
        framed: false,
    };

    fn message(bytes: Vec<u8>) -> Outgoing {
        Outgoing {
            kind: Kind::Binary,
            bytes: glib::Bytes::from_owned(bytes),
            time: None,
            caps: None,
        }
    }

    fn track(overflow: Overflow) -> DataTrack {
        DataTrack::new("data_0", Channel::default(), overflow)
    }

    fn peer(name: &str) -> PeerId {
        PeerId::new(name)
    }

    #[test]
    fn a_peer_that_cannot_take_it_stops_nobody_else() {
        let track = track(Overflow::DropOldest);
        let small = FarSide {
            max_message: 10,
            framed: false,
        };
        let outbox = track.join(&peer("a"), FAR, Arc::new(|| ()));
        track.join(&peer("b"), small, Arc::new(|| ()));
        let sent = track.send(&message(vec![1; 100]), None).unwrap();
        assert_eq!((sent.taken, sent.refused, sent.complaints.len()), (1, 1, 1));
        // Said once.
        let sent = track.send(&message(vec![2; 100]), None).unwrap();
        assert_eq!((sent.taken, sent.refused, sent.complaints.len()), (1, 1, 0));
        assert!(matches!(outbox.next(|_| true), Some(Next::Message(it)) if it.bytes[0] == 1));
        assert!(track.send(&message(vec![0; 300_000]), None).is_err());
    }

    #[test]
    fn a_slow_peer_loses_the_oldest_and_the_user_is_told_once() {
        let track = track(Overflow::DropOldest);
        let outbox = track.join(&peer("a"), FAR, Arc::new(|| ()));
        let mut complaints = 0;
        for number in 0..200_u8 {
            let sent = track.send(&message(vec![number; 65_536]), None).unwrap();
            complaints += sent.complaints.len();
        }
        assert_eq!(complaints, 1);
        let first = outbox.next(|_| true);
        assert!(matches!(first, Some(Next::Message(it)) if it.bytes[0] > 100));
    }

    #[test]
    fn who_may_lose_nothing_waits_for_room_and_for_a_peer() {
        let track = track(Overflow::Block);
        let sender = {
            let track = track.clone();
            std::thread::spawn(move || {
                for number in 0..200_u8 {
                    track.send(&message(vec![number; 65_536]), None).unwrap();
                }
                track.finish(Duration::from_secs(10));
            })
        };
        let outbox = track.join(&peer("a"), FAR, Arc::new(|| ()));
        let mut expected = 0;
        while !sender.is_finished() {
            match outbox.next(|_| true) {
                Some(Next::Message(it)) => {
                    assert_eq!(it.bytes[0], expected);
                    expected += 1;
                }
                Some(Next::Finish) => outbox.reach(),
                None => std::thread::yield_now(),
            }
        }
        assert_eq!(expected, 200);
        sender.join().unwrap();
    }

    #[test]
    fn nobody_waits_for_one_that_is_gone_or_while_flushing() {
        let track = track(Overflow::Block);
        let outbox = track.join(&peer("a"), FAR, Arc::new(|| ()));
        let sender = {
            let track = track.clone();
            std::thread::spawn(move || {
                for _ in 0..100 {
                    track
                        .send(&message(vec![0; 65_536]), Some(&peer("a")))
                        .unwrap();
                }
            })
        };
        while outbox.is_empty() {
            std::thread::yield_now();
        }
        track.leave(&outbox);
        sender.join().unwrap();
        track.set_flushing(true);
        assert_eq!(track.send(&message(vec![0]), None).unwrap().taken, 0);
    }
}
