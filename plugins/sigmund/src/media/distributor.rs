//! The thread of an encoding: owns its elements and its fan-out.
//!
//! Frames, joins, leaves, keyframe requests and errors arrive as commands;
//! nothing here is shared, so nothing is locked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use gst::prelude::*;
use sigmund::fanout::{self, FanOut, FrameInfo, ViewerId};
use sigmund::ladder;
use sigmund::sdp::{Codec, Kind};

use super::encoders::{self, Encoder};
use super::encoding::EncodingSpec;
use super::feeder::Feeder;
use super::{chain, track};
use crate::isolate::IsolatedBin;

/// Frames between encoder and this thread; more means that it hangs.
const MAX_FRAMES: usize = 256;

/// Two keyframes in less than this would starve the frames between them.
const KEYFRAME_FLOOR: Duration = Duration::from_millis(500);

/// 10 s at 25 Mbit/s; a longer group is not worth sending to a joiner.
const CACHE_BYTES: usize = 32 << 20;

/// A joiner of a 10 s group is at live within a second.
const BURST_SPEED: f64 = 12.0;

/// A viewer with more than this waiting has lost touch with live.
const MAX_QUEUED: Duration = Duration::from_millis(500);

/// Bins of encoders started so far, in this process.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Command {
    /// With its running time.
    Frame(gst::Buffer, Duration),
    Join(Feeder),
    Leave(ViewerId),
    Keyframe(ViewerId),
    Estimate(ViewerId, u32),
    Error(String),
    Stop,
}

/// Starts the thread.
pub(super) fn spawn(spec: EncodingSpec) -> Result<mpsc::Sender<Command>, String> {
    let (commands, inbox) = mpsc::channel();
    let to_self = commands.clone();
    std::thread::Builder::new()
        .name(format!("fan-{}", spec.track.name()))
        .spawn(move || Distributor::new(spec, to_self).run(&inbox))
        .map_err(|e| format!("no thread for an encoding: {e}"))?;
    Ok(commands)
}

struct Distributor {
    spec: EncodingSpec,
    commands: mpsc::Sender<Command>,
    /// Frames on their way to us.
    in_flight: Arc<AtomicUsize>,
    fanout: FanOut<gst::Buffer>,
    feeders: BTreeMap<ViewerId, Feeder>,
    estimates: BTreeMap<ViewerId, u32>,
    bitrate: u32,
    /// The latest frame's, to notice frames that come out of order.
    newest: Duration,
    warned: bool,
    chain: Option<Chain>,
}

/// The elements of an encoding.
struct Chain {
    bin: IsolatedBin,
    input: gst_app::AppSrc,
    output: gst_app::AppSink,
    encoder: Option<(&'static Encoder, gst::Element)>,
}

impl Distributor {
    fn new(spec: EncodingSpec, commands: mpsc::Sender<Command>) -> Self {
        let config = fanout::Config {
            intra_only: spec.codec.kind() == Kind::Audio,
            keyframe_floor: KEYFRAME_FLOOR,
            cache_fresh: (!spec.passthrough).then_some(KEYFRAME_FLOOR),
            cache_bytes: CACHE_BYTES,
            burst_speed: BURST_SPEED,
            max_queued: MAX_QUEUED,
        };
        Self {
            commands,
            in_flight: Arc::default(),
            fanout: FanOut::new(config),
            feeders: BTreeMap::new(),
            estimates: BTreeMap::new(),
            bitrate: ladder::shared_bitrate(spec.limits, []),
            newest: Duration::ZERO,
            warned: false,
            chain: None,
            spec,
        }
    }

    fn run(mut self, inbox: &mpsc::Receiver<Command>) {
        self.build();
        loop {
            let now = Instant::now();
            let wait = match self.fanout.poll_timeout() {
                Some(at) => at.saturating_duration_since(now),
                None => Duration::from_secs(3600),
            };
            match inbox.recv_timeout(wait) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(command) => self.handle(command),
                Err(RecvTimeoutError::Timeout) => self.fanout.handle_timeout(Instant::now()),
            }
            self.act();
        }
        self.tear_down();
    }

    fn handle(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Frame(frame, pts) => {
                self.in_flight.fetch_sub(1, Ordering::Relaxed);
                self.handle_frame(now, frame, pts);
            }
            Command::Join(feeder) => {
                let viewer = feeder.id();
                gst::debug!(
                    super::CAT,
                    "{} takes {:?} of {}",
                    viewer.0,
                    self.spec.codec,
                    self.spec.track.name()
                );
                self.feeders.insert(viewer, feeder);
                self.fanout.handle_join(now, viewer);
            }
            Command::Leave(viewer) => {
                self.feeders.remove(&viewer);
                self.fanout.handle_leave(viewer);
                self.estimates.remove(&viewer);
                self.follow_estimates();
            }
            Command::Keyframe(viewer) => self.fanout.handle_keyframe_request(now, viewer),
            Command::Estimate(viewer, bitrate) => {
                self.estimates.insert(viewer, bitrate);
                self.follow_estimates();
            }
            Command::Error(text) => self.replace(&text),
            Command::Stop => (),
        }
    }

    fn handle_frame(&mut self, now: Instant, frame: gst::Buffer, pts: Duration) {
        self.check_order(pts);
        gst::trace!(
            super::CAT,
            "{} {:?}: frame {pts:?}, {} bytes{}",
            self.spec.track.name(),
            self.spec.codec,
            frame.size(),
            if is_keyframe(self.spec.codec, &frame) {
                ", keyframe"
            } else {
                ""
            }
        );
        let info = FrameInfo {
            pts,
            keyframe: is_keyframe(self.spec.codec, &frame),
            bytes: frame.size(),
        };
        let feeders = &self.feeders;
        self.fanout.handle_frame(now, info, frame, &mut |viewer| {
            feeders.get(&viewer).map(Feeder::queued).unwrap_or_default()
        });
    }

    /// Frames out of order are B-frames: WebRTC has no decoding timestamps, so
    /// browsers show them late and unevenly.
    fn check_order(&mut self, pts: Duration) {
        if pts < self.newest && !self.warned {
            self.warned = true;
            (self.spec.on_warning)(format!(
                "{}: this stream has B-frames, which browsers play unevenly; make it without \
                 (x264enc tune=zerolatency), or decode it before rtcsink",
                self.spec.track.name()
            ));
        }
        self.newest = self.newest.max(pts);
    }

    fn act(&mut self) {
        while let Some(action) = self.fanout.poll_action() {
            match action {
                fanout::Action::Push {
                    viewer,
                    frame,
                    pts,
                    discont,
                } => {
                    if let Some(feeder) = self.feeders.get(&viewer) {
                        feeder.push(&frame, pts, discont);
                    }
                }
                fanout::Action::RequestKeyframe if self.spec.passthrough => {
                    self.spec.track.request_keyframe();
                }
                fanout::Action::RequestKeyframe => {
                    let pad = self
                        .chain
                        .as_ref()
                        .and_then(|c| c.output.static_pad("sink"));
                    if let Some(pad) = pad {
                        pad.push_event(track::force_key_unit());
                    }
                }
            }
        }
    }

    /// All share one bitrate: see [`ladder::shared_bitrate`]. Changes of a few
    /// percent are not worth an encoder's reconfiguration.
    fn follow_estimates(&mut self) {
        let bitrate = ladder::shared_bitrate(self.spec.limits, self.estimates.values().copied());
        if bitrate.abs_diff(self.bitrate) < self.bitrate / 20 {
            return;
        }
        self.bitrate = bitrate;
        if let Some((row, element)) = self.chain.as_ref().and_then(|c| c.encoder.as_ref()) {
            row.set_bitrate(element, bitrate);
        }
    }

    /// The first of the codec's encoders that starts.
    fn build(&mut self) {
        if self.spec.passthrough {
            match self.start(None) {
                Ok(()) => (),
                Err(error) => (self.spec.on_failed)(error),
            }
            return;
        }
        for row in encoders::working(self.spec.codec) {
            match self.start(Some(row)) {
                Ok(()) => return,
                Err(error) => {
                    gst::warning!(super::CAT, "{} does not start: {error}", row.factory);
                    row.distrust();
                }
            }
        }
        encoders::forgive(self.spec.codec);
        (self.spec.on_failed)(format!(
            "no encoder for {} works; install gstreamer1.0-plugins-good, -bad and -ugly",
            self.spec.codec.encoding_name()
        ));
    }

    /// The encoder failed at work: the next one takes over, viewers stay.
    fn replace(&mut self, error: &str) {
        let failed = self.chain.as_ref().and_then(|c| c.encoder.as_ref());
        if let Some((row, _)) = failed {
            gst::warning!(super::CAT, "{} failed: {error}", row.factory);
            row.distrust();
        }
        self.tear_down();
        self.fanout.handle_reset();
        if self.spec.passthrough {
            (self.spec.on_failed)(error.to_owned());
        } else {
            self.build();
        }
    }

    fn start(&mut self, row: Option<&'static Encoder>) -> Result<(), String> {
        let host = self.spec.host.upgrade().ok_or("the element is gone")?;
        let errors = self.commands.clone();
        // The one before may still be on its way out of the host, where names
        // are unique.
        let name = format!(
            "{}-{}-{}",
            self.spec.track.name(),
            self.spec.codec.encoding_name(),
            STARTED.fetch_add(1, Ordering::Relaxed)
        );
        let bin = IsolatedBin::new(
            &name.to_lowercase(),
            Arc::new(move |text| {
                let _ = errors.send(Command::Error(text));
            }),
        );
        let encoder =
            row.map(|row| Ok::<_, String>((row, row.build(self.spec.settings.as_ref())?)));
        let encoder = encoder.transpose()?;
        if let Some((row, element)) = &encoder {
            row.set_bitrate(element, self.bitrate);
            (self.spec.on_setup)(element, self.spec.track.name(), self.spec.codec);
        }
        let (input, output) = self.fill(&bin, encoder.as_ref())?;
        if let Err(error) = bin.start_in(&host, &self.spec.time) {
            bin.stop_in(&host);
            return Err(error);
        }
        self.spec.track.add_input(&input);
        self.chain = Some(Chain {
            bin,
            input,
            output,
            encoder,
        });
        Ok(())
    }

    fn fill(
        &self,
        bin: &IsolatedBin,
        encoder: Option<&(&'static Encoder, gst::Element)>,
    ) -> Result<(gst_app::AppSrc, gst_app::AppSink), String> {
        let input = gst_app::AppSrc::builder()
            .name("frames")
            .format(gst::Format::Time)
            .is_live(true)
            .max_time(gst::ClockTime::from_mseconds(400))
            .leaky_type(gst_app::AppLeakyType::Downstream)
            .build();
        input.set_max_bytes(0);
        let output = self.collector();
        bin.add_many([input.upcast_ref::<gst::Element>(), output.upcast_ref()])
            .map_err(|e| e.to_string())?;
        let mut last: gst::Element = input.clone().upcast();
        let encoded = encoder
            .map(|(row, element)| chain::encoder(bin.upcast_ref(), row, Some(element.clone())))
            .transpose()?;
        let parsed = chain::parser(bin.upcast_ref(), self.spec.codec)?;
        for (first, end) in encoded.into_iter().chain(parsed) {
            last.link(&first).map_err(|e| e.to_string())?;
            last = end;
        }
        last.link(&output).map_err(|e| e.to_string())?;
        Ok((input, output))
    }

    /// The sink that hands encoded frames to this thread.
    fn collector(&self) -> gst_app::AppSink {
        let (commands, in_flight) = (self.commands.clone(), self.in_flight.clone());
        gst_app::AppSink::builder()
            .name("encoded")
            .sync(false)
            .async_(false)
            .max_buffers(1)
            .enable_last_sample(false)
            .callbacks(
                gst_app::AppSinkCallbacks::builder()
                    .new_sample(move |appsink| {
                        let sample = appsink
                            .pull_sample()
                            .map_err(|_| gst::FlowError::Flushing)?;
                        if in_flight.load(Ordering::Relaxed) < MAX_FRAMES
                            && let Some((frame, pts)) = frame_of(&sample)
                        {
                            in_flight.fetch_add(1, Ordering::Relaxed);
                            let _ = commands.send(Command::Frame(frame, pts));
                        }
                        Ok(gst::FlowSuccess::Ok)
                    })
                    .build(),
            )
            .build()
    }

    fn tear_down(&mut self) {
        let Some(chain) = self.chain.take() else {
            return;
        };
        self.spec.track.remove_input(&chain.input);
        match self.spec.host.upgrade() {
            Some(host) => chain.bin.stop_in(&host),
            None => drop(chain.bin.set_state(gst::State::Null)),
        }
    }
}

/// A frame and its running time. Through the segment: x264enc moves its
/// timestamps by 1000 h, and the segment with them.
fn frame_of(sample: &gst::Sample) -> Option<(gst::Buffer, Duration)> {
    let frame = without_delimiter(sample.buffer_owned()?);
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let running = segment.to_running_time(frame.pts()?)?;
    Some((frame, Duration::from_nanos(running.nseconds())))
}

/// A byte-stream frame without the H.264 access unit delimiter in front: RTP
/// has its own (RFC 6184 section 5.1, marker bit), and there are receivers
/// that only look at the first NAL unit to tell a keyframe.
fn without_delimiter(frame: gst::Buffer) -> gst::Buffer {
    let mut head = [0u8; 6];
    // Silence in Opus has three bytes; reading more than there is panics.
    let read = frame.size() >= head.len() && frame.copy_to_slice(0, &mut head).is_ok();
    match head {
        [0, 0, 0, 1, 9, _] if read => {
            let Ok(mut rest) = frame.copy_region(gst::BufferCopyFlags::all(), head.len()..) else {
                return frame;
            };
            // Only copies from the start on keep them.
            let buffer = rest.make_mut();
            buffer.set_pts(frame.pts());
            buffer.set_dts(frame.dts());
            buffer.set_duration(frame.duration());
            rest
        }
        _ => frame,
    }
}

/// Can decoding start here? VP8 says so in its first bit (RFC 6386 section
/// 9.1), which demuxers' flags do not always repeat.
fn is_keyframe(codec: Codec, frame: &gst::Buffer) -> bool {
    match codec {
        Codec::Opus => true,
        Codec::H264 => frame.map_readable().is_ok_and(|data| {
            data.windows(4)
                .any(|w| w[..3] == [0, 0, 1] && w[3] & 0x1f == 5)
        }),
        Codec::Vp8 => {
            let mut first = [0u8];
            let read = frame.size() > 0 && frame.copy_to_slice(0, &mut first).is_ok();
            read && first[0] & 1 == 0
        }
    }
}
