//! What comes in on one channel, until its pad has read it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sigmund::data::{DataCaps, FarSide, Frame, Kind, Receipt, header, whole};
use sigmund::message::PeerId;

use super::Outlet;

/// A message that has come in.
#[derive(Clone, Debug)]
pub(crate) struct DataMessage {
    pub(crate) kind: Kind,
    pub(crate) bytes: glib::Bytes,
    /// The far side's wall-clock time that it belongs to, in ns since 1970.
    pub(crate) time: Option<u64>,
    /// Its caps, where they have travelled with it.
    pub(crate) caps: Option<Arc<DataCaps>>,
}

/// Tells the session's task that there is something to do. Never waits.
pub(crate) type Ring = Arc<dyn Fn() + Send + Sync>;

/// One channel's way in. Its writer is a callback of webrtcbin, which never
/// waits; its reader is the thread of its [`Outlet`].
pub(crate) struct Lane {
    pad: String,
    peer: PeerId,
    label: String,
    /// Does every message arrive?
    reliable: bool,
    /// Known before the first channel opens.
    far: Arc<OnceLock<FarSide>>,
    outlet: Arc<Outlet>,
    ring: Ring,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<DataMessage>,
    /// Made when the first message comes.
    receipt: Option<Receipt>,
    /// To be told to the far side.
    grant: Option<u64>,
    /// The far side wants to know when all is read.
    asked: bool,
    /// What the far side has granted last.
    granted: Option<u64>,
    /// The caps of what comes.
    caps: Option<Arc<DataCaps>>,
    /// The beginning of a frame whose rest is to come.
    partial: Vec<u8>,
    /// Why the channel is to be closed.
    fault: Option<String>,
    closed: bool,
}

impl State {
    /// Says that all is read, if that is asked and so.
    fn settle(&mut self) {
        let Some(receipt) = self.receipt.as_mut().filter(|_| self.asked) else {
            return;
        };
        if let Some(read) = receipt.settle() {
            self.grant = Some(read);
            self.asked = false;
        }
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lane({} of {})", self.label, self.peer)
    }
}

impl Lane {
    pub(crate) fn new(
        pad: &str,
        peer: &PeerId,
        label: &str,
        reliable: bool,
        far: &Arc<OnceLock<FarSide>>,
        outlet: Arc<Outlet>,
        ring: Ring,
    ) -> Arc<Self> {
        Arc::new(Self {
            pad: pad.to_owned(),
            peer: peer.clone(),
            label: label.to_owned(),
            reliable,
            far: far.clone(),
            outlet,
            ring,
            state: Mutex::default(),
        })
    }

    /// The name of its pad.
    pub(crate) fn pad(&self) -> &str {
        &self.pad
    }

    /// Who sends on it.
    pub(crate) fn peer(&self) -> &PeerId {
        &self.peer
    }

    /// The channel's label.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Does every message arrive?
    pub(crate) fn is_reliable(&self) -> bool {
        self.reliable
    }

    /// Do both ends heed credits on it?
    pub(crate) fn is_credited(&self) -> bool {
        self.reliable && self.is_framed()
    }

    fn is_framed(&self) -> bool {
        self.far.get().is_some_and(|far| far.framed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the session's task.
    pub(crate) fn ring(&self) {
        (self.ring)();
    }

    /// Its pad is there from now on.
    pub(crate) fn enter(self: &Arc<Self>) {
        self.outlet.add(self.clone());
    }

    /// A message has come. Under PC_LOCK.
    pub(crate) fn hear(&self, kind: Kind, bytes: glib::Bytes) {
        if !self.is_framed() {
            let sound = kind == Kind::Binary || std::str::from_utf8(&bytes).is_ok();
            let message = DataMessage {
                kind,
                bytes,
                time: None,
                caps: None,
            };
            return match sound {
                true => self.take(message, None),
                false => self.fail("it sent a text that is not UTF-8".to_owned()),
            };
        }
        match kind {
            Kind::Binary => match self.join(bytes) {
                Some(frame) => self.hear_frame(frame),
                None => self.ring(),
            },
            Kind::Text => self.fail("it sent a text where frames were agreed".to_owned()),
        }
    }

    /// Puts the pieces of a frame together: GStreamer hands over what has more
    /// than 64 KiB in several, one after the other.
    fn join(&self, bytes: glib::Bytes) -> Option<glib::Bytes> {
        let mut state = self.state();
        if state.partial.is_empty() {
            let Some(length) = whole(&bytes).filter(|length| *length > bytes.len()) else {
                return Some(bytes);
            };
            state.partial.reserve_exact(length);
            state.partial.extend_from_slice(&bytes);
            return None;
        }
        state.partial.extend_from_slice(&bytes);
        let length = whole(&state.partial)?;
        (state.partial.len() >= length)
            .then(|| glib::Bytes::from_owned(std::mem::take(&mut state.partial)))
    }

    fn hear_frame(&self, frame: glib::Bytes) {
        let cost = frame.len();
        match Frame::read(&frame) {
            Ok(Frame::Credit(read)) => {
                self.state().granted = Some(read);
                self.ring();
            }
            Ok(Frame::Finish) => {
                let mut state = self.state();
                state.asked = true;
                state.settle();
                drop(state);
                self.ring();
            }
            Ok(Frame::Caps(text)) => {
                // What we do not know is not known to our pads either.
                self.state().caps = DataCaps::read(text).map(Arc::new);
            }
            Ok(Frame::Message {
                kind,
                time,
                bytes: body,
            }) => {
                let from = cost - body.len();
                let bytes = glib::Bytes::from_owned(Tail { bytes: frame, from });
                let caps = self.state().caps.clone();
                let message = DataMessage {
                    kind,
                    bytes,
                    time,
                    caps: caps.filter(|_| kind == Kind::Binary),
                };
                self.take(message, Some(cost));
            }
            Err(error) => self.fail(format!("it sent {error}")),
        }
    }

    fn take(&self, message: DataMessage, framed: Option<usize>) {
        let credited = self.is_credited();
        let cost = framed.unwrap_or(message.bytes.len());
        let mut state = self.state();
        if state.closed || state.fault.is_some() {
            return;
        }
        // Where something waits already, the reader knows.
        let first = state.waiting.is_empty();
        let receipt = state.receipt.get_or_insert_with(|| Receipt::new(credited));
        match receipt.arrive(cost) {
            Ok(()) => state.waiting.push_back(message),
            // What may be lost on the way may be lost here.
            Err(_) if !self.reliable => {
                receipt.read(cost);
                return;
            }
            Err(why) => {
                drop(state);
                return self.fail(why.to_owned());
            }
        }
        drop(state);
        if first {
            self.outlet.ring();
        }
    }

    fn fail(&self, why: String) {
        self.state().fault.get_or_insert(why);
        self.ring();
    }

    /// Reader: some of what waits, oldest first.
    pub(super) fn read(&self) -> Vec<DataMessage> {
        let mut state = self.state();
        let most = state.waiting.len().min(32);
        state.waiting.drain(..most).collect()
    }

    /// Reader: a message has gone its way.
    pub(super) fn done(&self, message: &DataMessage) {
        let framed = self.is_framed();
        let around = if framed { header(message.time) } else { 0 };
        let cost = message.bytes.len() + around;
        let mut state = self.state();
        let grant = state.receipt.as_mut().and_then(|it| it.read(cost));
        let due = grant.is_some();
        state.grant = grant.or(state.grant);
        state.settle();
        let due = due || state.grant.is_some();
        drop(state);
        if due {
            self.ring();
        }
    }

    /// Is it closed and read?
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.closed && state.waiting.is_empty()
    }

    /// Session: what to grant the far side.
    pub(crate) fn take_grant(&self) -> Option<u64> {
        self.state().grant.take()
    }

    /// Session: what the far side has granted.
    pub(crate) fn take_granted(&self) -> Option<u64> {
        self.state().granted.take()
    }

    /// Session: why to close the channel.
    pub(crate) fn fault(&self) -> Option<String> {
        self.state().fault.clone()
    }

    /// Session: no more will come. What waits is still read, unless it is at
    /// fault.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        if state.fault.is_some() {
            state.waiting.clear();
        }
        drop(state);
        self.outlet.ring();
    }
}

/// Bytes behind a header, without copying them.
struct Tail {
    bytes: glib::Bytes,
    from: usize,
}

impl AsRef<[u8]> for Tail {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.from..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(framed: bool, reliable: bool) -> Arc<Lane> {
        let far = FarSide {
            max_message: 65_536,
            framed,
        };
        let far = Arc::new(OnceLock::from(far));
        let peer = PeerId::new("p");
        Lane::new(
            "data_0",
            &peer,
            "l",
            reliable,
            &far,
            Outlet::idle(),
            Arc::new(|| ()),
        )
    }

    fn bytes(bytes: &[u8]) -> glib::Bytes {
        glib::Bytes::from(bytes)
    }

    #[test]
    fn a_flood_is_a_fault_and_frees_what_it_brought() {
        let lane = lane(false, true);
        let message = bytes(&[0; 65_536]);
        for _ in 0..1000 {
            lane.hear(Kind::Binary, message.clone());
        }
        assert!(lane.fault().unwrap().contains("faster"));
        lane.close();
        assert!(lane.is_over());
    }

    #[test]
    fn where_messages_may_be_lost_a_flood_loses_them() {
        let lane = lane(false, false);
        for _ in 0..1000 {
            lane.hear(Kind::Binary, bytes(&[0; 65_536]));
        }
        assert_eq!(lane.fault(), None);
        assert!(!lane.read().is_empty());
    }

    #[test]
    fn garbage_is_a_fault() {
        let unframed = lane(false, true);
        unframed.hear(Kind::Text, bytes(&[0xff, 0xfe]));
        assert!(unframed.fault().is_some());
        for wire in [&[][..], &[0x77, 1], &[0x11, 2, 3]] {
            let lane = lane(true, true);
            lane.hear(Kind::Binary, bytes(wire));
            assert!(lane.fault().is_some(), "{wire:?}");
        }
    }

    #[test]
    fn a_frame_that_comes_in_pieces_is_put_together() {
        let lane = lane(true, true);
        let body: Vec<u8> = (0..200_000_u32).map(|it| it as u8).collect();
        let frame = Frame::Message {
            kind: Kind::Binary,
            time: Some(1),
            bytes: &body,
        };
        let wire = frame.write();
        for _ in 0..2 {
            for piece in wire.chunks(66_536) {
                assert!(lane.read().is_empty());
                lane.hear(Kind::Binary, bytes(piece));
            }
            assert_eq!(&*lane.read()[0].bytes, &*body);
        }
        assert_eq!(lane.fault(), None);
    }

    #[test]
    fn frames_are_unwrapped_and_credited() {
        let lane = lane(true, true);
        let frame = Frame::Message {
            kind: Kind::Text,
            time: Some(7),
            bytes: b"hello",
        };
        lane.hear(Kind::Binary, bytes(&frame.write()));
        let read = lane.read();
        assert_eq!((&*read[0].bytes, read[0].time), (&b"hello"[..], Some(7)));
        let big = Frame::Message {
            kind: Kind::Binary,
            time: None,
            bytes: &[0; 200_000],
        };
        let mut granted = 0;
        for _ in 0..50 {
            lane.hear(Kind::Binary, bytes(&big.write()));
            for message in lane.read() {
                lane.done(&message);
            }
            granted = lane.take_grant().unwrap_or(granted);
        }
        assert_eq!(lane.fault(), None);
        assert!(granted > 9_000_000, "{granted}");
    }
}
