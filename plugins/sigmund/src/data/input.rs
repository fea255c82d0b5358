//! What a data sink pad takes: one buffer is one message.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gst::prelude::*;
use sigmund::data::{Kind, Overflow, Refused};

use super::{DataTrack, Outgoing, travel};

/// How long the end of a stream waits until all has arrived. Where messages
/// may be dropped, a peer that does not read holds up nobody for long.
const FINISH: Duration = Duration::from_secs(5);
const FINISH_ALL: Duration = Duration::from_secs(60);

/// The element behind a data sink pad.
#[derive(Clone, Debug)]
pub(crate) struct DataInput {
    track: DataTrack,
    appsink: gst_app::AppSink,
}

impl DataInput {
    /// Its element is to be put into `host`, which tells the user. One that was
    /// not `named` takes no pictures and no sound: who links them without a name
    /// wants them shown.
    pub(crate) fn new(track: &DataTrack, host: &gst::Element, named: bool) -> Self {
        let appsink = gst_app::AppSink::builder()
            .name(format!("input-{}", track.name()))
            .max_buffers(1)
            // Messages come when they come: nobody waits for the first one.
            .async_(false)
            .enable_last_sample(false)
            // To take one costs no time: the user is not told to add queues.
            .processing_deadline(gst::ClockTime::ZERO)
            .build();
        let (taker, host) = (track.clone(), host.downgrade());
        let mut known = None;
        let ender = track.clone();
        appsink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |appsink| take(&taker, appsink, &host, named, &mut known))
                .eos(move |_| {
                    let all = ender.overflow() == Overflow::Block;
                    ender.finish(if all { FINISH_ALL } else { FINISH });
                })
                .build(),
        );
        let input = Self {
            track: track.clone(),
            appsink,
        };
        input.watch_events();
        input
    }

    /// The track that it feeds.
    pub(crate) fn track(&self) -> &DataTrack {
        &self.track
    }

    /// The sink element behind the ghost pad.
    pub(crate) fn element(&self) -> &gst::Element {
        self.appsink.upcast_ref()
    }

    /// A flush ends all waiting; and where upstream is live the clock has been
    /// met there.
    fn watch_events(&self) {
        let Some(pad) = self.appsink.static_pad("sink") else {
            return;
        };
        let (track, appsink) = (self.track.clone(), self.appsink.downgrade());
        let mask = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::EVENT_FLUSH;
        pad.add_probe(mask, move |pad, info| {
            match info.event().map(|event| event.type_()) {
                Some(gst::EventType::FlushStart) => track.set_flushing(true),
                Some(gst::EventType::FlushStop) => track.set_flushing(false),
                Some(gst::EventType::Segment) => {
                    let mut query = gst::query::Latency::new();
                    let live = pad.peer_query(&mut query) && query.result().0;
                    if let Some(appsink) = appsink.upgrade() {
                        appsink.set_sync(!live);
                    }
                }
                _ => (),
            }
            gst::PadProbeReturn::Ok
        });
    }
}

fn take(
    track: &DataTrack,
    appsink: &gst_app::AppSink,
    host: &glib::WeakRef<gst::Element>,
    named: bool,
    known: &mut Option<Known>,
) -> Result<gst::FlowSuccess, gst::FlowError> {
    let sample = appsink
        .pull_sample()
        .map_err(|_| gst::FlowError::Flushing)?;
    let host = host.upgrade().ok_or(gst::FlowError::Flushing)?;
    let Some(buffer) = sample.buffer_owned() else {
        return Ok(gst::FlowSuccess::Ok);
    };
    // A place where nothing happens, not a message.
    if buffer.size() == 0 && buffer.flags().contains(gst::BufferFlags::GAP) {
        return Ok(gst::FlowSuccess::Ok);
    }
    if let Some(medium) = sample.caps().filter(|_| !named).and_then(medium) {
        misled(track, &host, medium);
        return Err(gst::FlowError::Error);
    }
    let (kind, caps) = Known::look(known, sample.caps());
    let time = time_of(appsink, &sample, &buffer);
    let bytes = buffer
        .into_mapped_buffer_readable()
        .map_err(|_| gst::FlowError::Error)?;
    let bytes = glib::Bytes::from_owned(bytes);
    match track.send(
        &Outgoing {
            kind,
            bytes,
            time,
            caps,
        },
        None,
    ) {
        Ok(sent) => {
            for complaint in sent.complaints {
                gst::element_warning!(host, gst::StreamError::Failed, ("{complaint}"));
            }
            if track.is_flushing() {
                return Err(gst::FlowError::Flushing);
            }
            Ok(gst::FlowSuccess::Ok)
        }
        Err(refused) => {
            refuse(track, &host, &refused);
            Err(gst::FlowError::Error)
        }
    }
}

/// What the caps of the last message mean, for the next one's are mostly the
/// same.
struct Known {
    caps: gst::Caps,
    kind: Kind,
    told: Option<Arc<str>>,
}

impl Known {
    fn look(known: &mut Option<Self>, caps: Option<&gst::CapsRef>) -> (Kind, Option<Arc<str>>) {
        let Some(caps) = caps else {
            return (Kind::Binary, None);
        };
        let same = |it: &Self| std::ptr::eq(it.caps.as_ptr(), caps.as_ptr());
        let known = match known.take().filter(same) {
            Some(it) => known.insert(it),
            None => known.insert(Self {
                caps: caps.to_owned(),
                kind: kind_of(caps),
                told: travel::told(caps).map(Arc::from),
            }),
        };
        (known.kind, known.told.clone())
    }
}

fn refuse(track: &DataTrack, host: &gst::Element, refused: &Refused) {
    gst::element_error!(
        host,
        gst::StreamError::WrongType,
        ("{}: {refused}", track.name())
    );
}

/// Pictures or sound of a format that no media pad takes have come here.
fn misled(track: &DataTrack, host: &gst::Element, medium: &str) {
    let (host_name, name) = (host.name(), track.name());
    gst::element_error!(
        host,
        gst::StreamError::WrongType,
        ("{host_name} shows nobody {medium}: it takes raw video and audio, H.264, VP8 and Opus; \
             put a decoder before it. To send {medium} as data, name the pad: {host_name}.{name}")
    );
}

/// The name of caps that are to be seen or heard.
fn medium(caps: &gst::CapsRef) -> Option<&str> {
    let first = caps.structure(0)?.name().as_str();
    let media = ["video/", "audio/", "image/"];
    let is_medium = media.iter().any(|prefix| first.starts_with(prefix));
    is_medium.then_some(first)
}

/// Text, if the caps say so; any others are those of bytes.
pub(super) fn kind_of(caps: &gst::CapsRef) -> Kind {
    match caps.structure(0) {
        Some(it) if it.name() == "text/x-raw" => match it.get::<&str>("format") {
            Ok("utf8") | Err(_) => Kind::Text,
            Ok(_) => Kind::Binary,
        },
        _ => Kind::Binary,
    }
}

/// The wall-clock time at which a buffer's running time is now, on the scale of
/// the sender reports of its pictures.
fn time_of(appsink: &gst_app::AppSink, sample: &gst::Sample, buffer: &gst::Buffer) -> Option<u64> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let running = segment.to_running_time(buffer.pts()?)?;
    let now = appsink.current_running_time()?;
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let wall = u64::try_from(wall.ok()?.as_nanos()).ok()?;
    let time = wall.checked_add(running.nseconds())?;
    time.checked_sub(now.nseconds())
}
