//! What a data sink pad takes: one buffer is one message.

use std::time::{Duration, SystemTime};

use gst::prelude::*;
use sigmund::data::{Kind, Overflow, Refused};

use super::{DataTrack, Outgoing};

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
    /// Its element is to be put into `host`, which tells the user.
    pub(crate) fn new(track: &DataTrack, host: &gst::Element) -> Self {
        let appsink = gst_app::AppSink::builder()
            .name(format!("input-{}", track.name()))
            .max_buffers(1)
            // Messages come when they come: nobody waits for the first one.
            .async_(false)
            .enable_last_sample(false)
            .build();
        let (taker, host) = (track.clone(), host.downgrade());
        let ender = track.clone();
        appsink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |appsink| take(&taker, appsink, &host))
                .eos(move |_| {
                    let all = ender.settings().1 == Overflow::Block;
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
    let kind = sample.caps().map_or(Kind::Binary, kind_of);
    let time = time_of(appsink, &sample, &buffer);
    let bytes = buffer
        .into_mapped_buffer_readable()
        .map_err(|_| gst::FlowError::Error)?;
    let bytes = glib::Bytes::from_owned(bytes);
    match track.send(&Outgoing { kind, bytes, time }, None) {
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

fn refuse(track: &DataTrack, host: &gst::Element, refused: &Refused) {
    gst::element_error!(
        host,
        gst::StreamError::WrongType,
        ("{}: {refused}", track.name())
    );
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
