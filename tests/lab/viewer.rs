//! A viewer made of str0m: WebRTC without GStreamer and without a browser.
//!
//! Each viewer is a thread on its host with one UDP socket. It can behave, or
//! not: see [`Manners`].

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, thread};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::ChannelId;
pub use str0m::channel::{ChannelConfig, Reliability};
use str0m::format::Codec;
use str0m::media::{Direction, MediaData, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::description;
use crate::eventually;
use crate::http::Response;
use crate::network::Host;
use crate::whep::{self, Resource};

/// How a viewer behaves.
#[derive(Clone, Debug)]
pub struct Manners {
    /// The video codecs that it offers.
    pub video: Vec<Codec>,
    /// Does it want sound?
    pub audio: bool,
    /// The DTLS role that it offers: `actpass`, `active`, `passive`.
    pub setup: &'static str,
    /// Announce a fingerprint of another certificate than it holds.
    pub impostor: bool,
    /// Never send a packet: neither ICE nor anything after it.
    pub mute: bool,
    /// Lose this many of a thousand arriving packets, evenly.
    pub loss_per_mille: u32,
    /// Keep the frames, for [`Seen::kept`].
    pub keep: bool,
    /// Offer these data channels, before all media.
    pub channels: Vec<ChannelConfig>,
    /// Do not look at the network for so long each time something has come.
    pub slowness: Duration,
    /// Offer H.264, High profile, as this payload type only.
    pub payload_type: Option<u8>,
    /// The Bearer token.
    pub token: Option<String>,
}

impl Default for Manners {
    /// A good viewer: VP8 or H.264 with Opus.
    fn default() -> Self {
        Self {
            video: vec![Codec::Vp8, Codec::H264],
            audio: true,
            setup: "actpass",
            impostor: false,
            mute: false,
            loss_per_mille: 0,
            keep: false,
            channels: Vec::new(),
            slowness: Duration::ZERO,
            payload_type: None,
            token: None,
        }
    }
}

impl Manners {
    /// A good viewer that wants no sound.
    pub fn silent() -> Self {
        Self {
            audio: false,
            ..Self::default()
        }
    }
}

/// What a viewer has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// From the POST to ICE and DTLS done.
    pub connected: Option<Duration>,
    /// From the POST to the first whole video frame, which must be a keyframe.
    pub first_frame: Option<Duration>,
    /// Whole video frames.
    pub frames: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Frames after which something was missing.
    pub broken: u64,
    /// The longest time between two video frames.
    pub longest_gap: Duration,
    /// Bytes of video frames.
    pub bytes: u64,
    /// The codec of the video.
    pub codec: Option<Codec>,
    /// Opus packets.
    pub sounds: u64,
    /// Datagrams that look like SRTP or SRTCP, decrypted or not.
    pub protected: u64,
    /// The far side has closed DTLS.
    pub closed: bool,
    /// Why it ended by itself.
    pub error: Option<String>,
    /// The data channels that are open, by their labels.
    pub channels: Vec<String>,
    /// Data channels that were closed.
    pub closed_channels: usize,
    /// Messages on data channels.
    pub messages: Vec<Message>,
    /// Messages of ours that wait to be sent.
    pub unsent: usize,
    /// The video frames as they came, if asked to keep them.
    pub kept: Vec<Frame>,
    last_frame: Option<Instant>,
}

/// A message on a data channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The channel.
    pub label: String,
    /// Was it text?
    pub text: bool,
    /// What it says.
    pub data: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes on {:?})", self.data.len(), self.label)
    }
}

/// What a viewer is told to do with its data channels.
pub(crate) enum Order {
    Send(Message),
    Close(String),
}

/// A frame that was kept.
#[derive(Clone)]
pub struct Frame {
    /// When it was whole.
    pub arrived: SystemTime,
    /// Since the POST.
    pub after: Duration,
    /// Its RTP time stamp.
    pub timestamp: u64,
    /// H.264 in Annex B, or a VP8 frame.
    pub data: Arc<[u8]>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes after {:?})", self.data.len(), self.after)
    }
}

/// A viewer at work. Dropping it is a killed process: nobody is told.
#[derive(Debug)]
pub struct Viewer {
    host: Host,
    resource: Resource,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    orders: mpsc::Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Viewer {
    /// Joins the stream of a WHEP endpoint, and must be let in.
    #[track_caller]
    pub fn join(host: &Host, endpoint: &str) -> Self {
        Self::try_join(host, endpoint, Manners::default()).expect("let in")
    }

    /// Joins a stream that has no sound, and must be let in.
    #[track_caller]
    pub fn join_silent(host: &Host, endpoint: &str) -> Self {
        Self::try_join(host, endpoint, Manners::silent()).expect("let in")
    }

    /// Joins with manners of its own; the server may refuse.
    pub fn try_join(host: &Host, endpoint: &str, manners: Manners) -> Result<Self, Response> {
        Self::negotiate(host, endpoint, manners, str::to_owned, str::to_owned)
    }

    /// Joins with an offer that was edited on its way, and an answer that was
    /// mended so that it fits the unedited one.
    #[track_caller]
    pub fn join_edited(
        host: &Host,
        endpoint: &str,
        manners: Manners,
        edit: impl FnOnce(&str) -> String,
        mend: impl FnOnce(&str) -> String,
    ) -> Self {
        Self::negotiate(host, endpoint, manners, edit, mend).expect("let in")
    }

    #[track_caller]
    fn negotiate(
        host: &Host,
        endpoint: &str,
        manners: Manners,
        edit: impl FnOnce(&str) -> String,
        mend: impl FnOnce(&str) -> String,
    ) -> Result<Self, Response> {
        let start = Instant::now();
        let socket = host.run(|| UdpSocket::bind((host.address(), 0)).expect("ports are left"));
        let mut rtc = build(&manners, &socket);
        let (pending, offer, channels) = make_offer(&mut rtc, &manners);
        let resource = whep::offer(host, endpoint, &edit(&offer), manners.token.as_deref())?;
        accept(&mut rtc, pending, &mend(&resource.answer));
        let (engine, orders) = Engine::new(rtc, socket, manners, start, channels);
        let (seen, stop) = (engine.seen.clone(), engine.stop.clone());
        let thread = thread::spawn(move || engine.live());
        Ok(Self {
            host: host.clone(),
            resource,
            seen,
            stop,
            orders,
            thread: Some(thread),
        })
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many messages have come on its data channels.
    pub fn count(&self) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.messages.len()
    }

    /// The session on the server.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Sends a message, when its channel is open and there is room.
    pub fn send(&self, label: &str, text: bool, data: Vec<u8>) {
        let label = label.to_owned();
        let _ = self.orders.send(Order::Send(Message { label, text, data }));
    }

    /// Closes a channel.
    pub fn close_channel(&self, label: &str) {
        let _ = self.orders.send(Order::Close(label.to_owned()));
    }

    /// Waits until a channel is open.
    #[track_caller]
    pub fn has_channel(&self, label: &str) {
        eventually(
            Duration::from_secs(20),
            &format!("a channel {label}"),
            || {
                let seen = self.seen();
                assert!(seen.error.is_none(), "{seen:?}");
                seen.channels.iter().any(|it| it == label).then_some(())
            },
        );
    }

    /// Waits for so many more video frames.
    #[track_caller]
    pub fn watch(&self, frames: u64) {
        let goal = self.seen().frames + frames;
        let what = format!("{frames} frames at a viewer");
        eventually(Duration::from_secs(20), &what, || {
            let seen = self.seen();
            assert!(seen.error.is_none(), "{what}: {seen:?}");
            (seen.frames >= goal).then_some(())
        });
    }

    /// Leaves as one should: by DELETE.
    #[track_caller]
    pub fn leave(self) {
        self.resource.delete(&self.host).expect(200);
    }

    /// Falls silent without a word, as a killed process does.
    pub fn vanish(self) {}
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The offer that a viewer with these manners would make, for other uses.
pub fn offer(host: &Host, manners: &Manners) -> String {
    let socket = host.run(|| UdpSocket::bind((host.address(), 0)).expect("ports are left"));
    make_offer(&mut build(manners, &socket), manners).1
}

pub(crate) fn build(manners: &Manners, socket: &UdpSocket) -> Rtc {
    let offers = |codec| manners.video.contains(&codec);
    let mut config = Rtc::builder()
        .clear_codecs()
        .enable_opus(true, false)
        .enable_vp8(offers(Codec::Vp8))
        .enable_vp9(offers(Codec::Vp9))
        .enable_h264(offers(Codec::H264));
    if let Some(payload_type) = manners.payload_type {
        let codecs = config.codec_config();
        codecs.add_h264(payload_type.into(), None, true, 0x64_00_1f);
    }
    let mut rtc = config.build(Instant::now());
    let address = socket.local_addr().expect("it is bound");
    let candidate = Candidate::host(address, "udp").expect("a lab's address is valid");
    rtc.add_local_candidate(candidate);
    rtc
}

/// Channels by their names.
pub(crate) type Channels = Vec<(ChannelId, String)>;

fn make_offer(rtc: &mut Rtc, manners: &Manners) -> (SdpPendingOffer, String, Channels) {
    let mut api = rtc.sdp_api();
    let channels = manners.channels.iter().map(|config| {
        let id = api.add_channel_with_config(config.clone());
        (id, config.label.clone())
    });
    let channels = channels.collect();
    if !manners.video.is_empty() || manners.payload_type.is_some() {
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    }
    if manners.audio {
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
    }
    let (offer, pending) = api.apply().expect("there is something to offer");
    let mut offer = description::with_attribute(&offer.to_sdp_string(), "setup", manners.setup);
    if manners.impostor {
        let lie = description::foreign_fingerprint();
        offer = description::with_attribute(&offer, "fingerprint", &lie);
    }
    (pending, offer, channels)
}

#[track_caller]
fn accept(rtc: &mut Rtc, pending: SdpPendingOffer, answer: &str) {
    let parsed = SdpAnswer::from_sdp_string(answer);
    let parsed = parsed.unwrap_or_else(|e| panic!("an answer that is none: {e}\n{answer}"));
    let accepted = rtc.sdp_api().accept_answer(pending, parsed);
    accepted.unwrap_or_else(|e| panic!("an answer that does not fit: {e}\n{answer}"));
}

/// What the thread of a viewer does.
pub(crate) struct Engine {
    rtc: Rtc,
    socket: UdpSocket,
    manners: Manners,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) stop: Arc<AtomicBool>,
    start: Instant,
    datagrams: u32,
    channels: Channels,
    to_do: mpsc::Receiver<Order>,
    unsent: VecDeque<Message>,
}

impl Engine {
    /// One that has negotiated, and where it takes orders.
    pub(crate) fn new(
        rtc: Rtc,
        socket: UdpSocket,
        manners: Manners,
        start: Instant,
        channels: Channels,
    ) -> (Self, mpsc::Sender<Order>) {
        let (orders, to_do) = mpsc::channel();
        let engine = Self {
            rtc,
            socket,
            manners,
            seen: Arc::default(),
            stop: Arc::default(),
            start,
            datagrams: 0,
            channels,
            to_do,
            unsent: VecDeque::new(),
        };
        (engine, orders)
    }

    /// Until it is stopped, or fails.
    pub(crate) fn live(mut self) {
        if let Err(error) = self.run() {
            self.seen().error = Some(error);
        }
    }

    fn run(&mut self) -> Result<(), String> {
        while !self.stop.load(Ordering::Relaxed) && self.rtc.is_alive() {
            self.obey()?;
            let wake = self.flush()?;
            self.receive(wake)?;
        }
        Ok(())
    }

    /// Does what it was told with its data channels, as far as it goes now.
    fn obey(&mut self) -> Result<(), String> {
        while let Ok(order) = self.to_do.try_recv() {
            match order {
                Order::Send(message) => self.unsent.push_back(message),
                Order::Close(label) => {
                    if let Some((id, _)) = self.channels.iter().find(|(_, it)| *it == label) {
                        self.rtc.direct_api().close_data_channel(*id);
                    }
                }
            }
        }
        for _ in 0..64 {
            let Some(message) = self.unsent.front() else {
                break;
            };
            let is_open = self.seen().channels.contains(&message.label);
            let found = self.channels.iter().find(|(_, it)| *it == message.label);
            let Some(mut channel) = found
                .filter(|_| is_open)
                .and_then(|(id, _)| self.rtc.channel(*id))
            else {
                break;
            };
            let sent = channel.write(!message.text, &message.data);
            if !sent.map_err(|e| e.to_string())? {
                break;
            }
            self.unsent.pop_front();
        }
        let unsent = self.unsent.len();
        self.seen().unsent = unsent;
        Ok(())
    }

    /// Does what str0m wants done; until when it wants nothing.
    fn flush(&mut self) -> Result<Instant, String> {
        loop {
            match self.rtc.poll_output().map_err(|e| e.to_string())? {
                Output::Timeout(wake) => return Ok(wake),
                Output::Transmit(datagram) => {
                    if !self.manners.mute {
                        // A far side that has gone makes this fail.
                        let _ = self
                            .socket
                            .send_to(&datagram.contents, datagram.destination);
                    }
                }
                Output::Event(event) => self.note(event),
            }
        }
    }

    /// Waits for a datagram, but no longer than `wake`.
    fn receive(&mut self, wake: Instant) -> Result<(), String> {
        // The stop flag is looked at five times a second at least, orders more
        // often where there may be any.
        let most = if self.channels.is_empty() { 200 } else { 5 };
        let wait = wake.saturating_duration_since(Instant::now());
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(most));
        self.socket
            .set_read_timeout(Some(wait))
            .map_err(|e| e.to_string())?;
        let mut buffer = [0; 2000];
        let input = match self.socket.recv_from(&mut buffer) {
            Ok((length, source)) => match self.admit(&buffer[..length], source) {
                Some(receive) => Input::Receive(Instant::now(), receive),
                None => return Ok(()),
            },
            Err(e) if is_quiet(e.kind()) => Input::Timeout(Instant::now()),
            Err(e) => return Err(e.to_string()),
        };
        self.rtc.handle_input(input).map_err(|e| e.to_string())
    }

    fn admit<'a>(&mut self, datagram: &'a [u8], source: SocketAddr) -> Option<Receive<'a>> {
        self.datagrams += 1;
        // RFC 7983: the first byte tells the protocols apart.
        if matches!(datagram.first(), Some(128..=191)) {
            self.seen().protected += 1;
            let due = |n: u32| n * self.manners.loss_per_mille / 1000;
            if due(self.datagrams) != due(self.datagrams - 1) {
                return None;
            }
        }
        let destination = self.socket.local_addr().ok()?;
        Receive::new(Protocol::Udp, source, destination, datagram).ok()
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::ChannelOpen(id, label) => {
                if !self.channels.iter().any(|(it, _)| *it == id) {
                    self.channels.push((id, label.clone()));
                }
                self.seen().channels.push(label);
            }
            Event::ChannelClose(id) => {
                let closed = self.channels.iter().position(|(it, _)| *it == id);
                let label = closed.map(|index| self.channels.swap_remove(index).1);
                let mut seen = self.seen();
                seen.closed_channels += 1;
                if let Some(label) = label {
                    seen.channels.retain(|it| *it != label);
                }
            }
            Event::ChannelData(data) => {
                let found = self.channels.iter().find(|(it, _)| *it == data.id);
                let label = found.map(|(_, label)| label.clone()).unwrap_or_default();
                thread::sleep(self.manners.slowness);
                self.seen().messages.push(Message {
                    label,
                    text: !data.binary,
                    data: data.data,
                });
            }
            Event::Connected => self.seen().connected = Some(self.start.elapsed()),
            Event::Closed => self.seen().closed = true,
            Event::MediaData(data) => self.note_media(data),
            _ => {}
        }
    }

    fn note_media(&self, data: MediaData) {
        let mut seen = self.seen();
        let codec = data.params.spec().codec;
        if !codec.is_video() {
            seen.sounds += 1;
            return;
        }
        let now = Instant::now();
        if let Some(last) = seen.last_frame.replace(now) {
            seen.longest_gap = seen.longest_gap.max(now - last);
        }
        seen.first_frame.get_or_insert(self.start.elapsed());
        seen.codec = Some(codec);
        seen.frames += 1;
        seen.keyframes += u64::from(data.is_keyframe());
        seen.broken += u64::from(!data.contiguous);
        seen.bytes += data.data.len() as u64;
        if self.manners.keep {
            seen.kept.push(Frame {
                arrived: SystemTime::now(),
                after: self.start.elapsed(),
                timestamp: data.time.numer(),
                data: data.data,
            });
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing came, or our last datagram found nobody: both pass.
fn is_quiet(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    matches!(
        kind,
        WouldBlock | TimedOut | Interrupted | ConnectionRefused
    )
}
