//! One source pad of the element. It stays while sessions come and go: the
//! stream that leaves it begins once and ends with the element.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gst::prelude::*;
use sigmund::sdp::{Codec, Kind};
use tokio::sync::watch;

use super::form::Form;
use super::outlets::OnProblem;
use crate::isolate::HouseTime;
use crate::webrtcbin::discard;

/// What waits between a decoder and a slow reader.
const FRAMES: u32 = 4;

/// The same for what is not a picture.
const TIME: gst::ClockTime = gst::ClockTime::from_mseconds(200);

/// A source pad; cheap to clone, all clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Outlet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kind: Kind,
    pad: gst::GhostPad,
    /// Decouples sessions from what is downstream, which may hold a buffer for
    /// as long as the pipeline is paused.
    queue: gst::Element,
    /// Changes with each link and unlink of the pad.
    links: watch::Sender<u64>,
    stream: Arc<Stream>,
}

/// What the functions of the pad share.
struct Stream {
    element: glib::WeakRef<gst::Element>,
    name: String,
    stream_id: String,
    group: gst::GroupId,
    /// What the jitterbuffers add.
    latency: gst::ClockTime,
    /// Running time 0 of what comes in, on the clock of the house.
    base: AtomicU64,
    started: AtomicBool,
    ended: AtomicBool,
    complained: AtomicBool,
    on_problem: OnProblem,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What an outlet is made of.
pub(super) struct OutletSpec<'a> {
    pub(super) element: &'a gst::Element,
    pub(super) template: &'a gst::PadTemplate,
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) group: gst::GroupId,
    pub(super) latency: std::time::Duration,
    pub(super) on_problem: OnProblem,
}

impl Outlet {
    /// A new one, not yet part of the element.
    pub(super) fn new(spec: OutletSpec<'_>) -> Result<Self, String> {
        let queue = gst::ElementFactory::make("queue")
            .name(format!("out-{}", spec.name))
            .property("max-size-buffers", 0u32)
            .property("max-size-bytes", 0u32)
            .property("max-size-time", TIME.nseconds())
            .build()
            .map_err(|e| e.to_string())?;
        let stream = Arc::new(Stream {
            element: spec.element.downgrade(),
            stream_id: format!("sigmund-{:08x}/{}", crate::random(), spec.name),
            name: spec.name,
            group: spec.group,
            latency: gst::ClockTime::try_from(spec.latency).unwrap_or_default(),
            base: AtomicU64::new(0),
            started: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            complained: AtomicBool::new(false),
            on_problem: spec.on_problem,
        });
        let pad = pad(spec.template, &stream);
        let links = watch::Sender::new(0);
        let (linked, unlinked) = (links.clone(), links.clone());
        pad.connect_linked(move |_, _| linked.send_modify(|count| *count += 1));
        pad.connect_unlinked(move |_, _| unlinked.send_modify(|count| *count += 1));
        Ok(Self(Arc::new(Shared {
            kind: spec.kind,
            pad,
            queue,
            links,
            stream,
        })))
    }

    /// What comes out of it.
    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The pad's name.
    pub(crate) fn name(&self) -> &str {
        &self.0.stream.name
    }

    /// Are they the same?
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Changes whenever somebody links or unlinks the pad.
    pub(crate) fn links(&self) -> watch::Receiver<u64> {
        self.0.links.subscribe()
    }

    /// The form that what is linked takes now, and its caps. Blocks.
    pub(super) fn wanted(&self, codec: Codec) -> (Form, gst::Caps) {
        let Some(peer) = self.0.pad.peer() else {
            return (Form::Nothing, gst::Caps::new_empty());
        };
        let caps = peer.query_caps(None);
        let form = Form::wanted(&caps, codec).unwrap_or_else(|| {
            self.0.stream.complain(&format!(
                "what is linked to {} takes neither {} nor raw {} nor RTP",
                self.name(),
                codec.encoding_name(),
                self.0.kind
            ));
            Form::Nothing
        });
        (form, caps)
    }

    /// Sends what comes out of `source` from now on, a pad of a session's bin
    /// whose running time is that of the house; the one before is let go.
    pub(super) fn attach(
        &self,
        source: &gst::Pad,
        form: Form,
        time: &HouseTime,
    ) -> Result<(), String> {
        let sink = self.sink()?;
        if let Some(before) = sink.peer() {
            self.detach(&before);
        }
        self.0
            .stream
            .base
            .store(time.base.nseconds(), Ordering::Relaxed);
        let frames = if form == Form::Raw && self.0.kind == Kind::Video {
            (FRAMES, gst::ClockTime::ZERO)
        } else {
            (0, TIME)
        };
        self.limit(frames.0, frames.1);
        source
            .link(&sink)
            .map(drop)
            .map_err(|e| format!("{}: {e}", self.name()))
    }

    /// Lets go of `source`, if it is the one that is attached. A push that waits
    /// in it returns.
    pub(super) fn detach(&self, source: &gst::Pad) {
        let Ok(sink) = self.sink() else { return };
        if sink.peer().as_ref() == Some(source) {
            // Without limits nobody waits for room.
            self.limit(0, gst::ClockTime::ZERO);
            discard(source);
            let _ = source.unlink(&sink);
        }
    }

    fn sink(&self) -> Result<gst::Pad, String> {
        self.0
            .queue
            .static_pad("sink")
            .ok_or_else(|| "a queue without sink pad".to_owned())
    }

    fn limit(&self, buffers: u32, time: gst::ClockTime) {
        self.0.queue.set_property("max-size-time", time.nseconds());
        self.0.queue.set_property("max-size-buffers", buffers);
    }

    /// Puts the pad onto the element; its `pad-added` runs in here. Blocks.
    pub(super) fn expose(&self, host: &gst::Bin) -> Result<(), String> {
        // Unlinks what was linked before.
        host.add(&self.0.queue).map_err(|e| e.to_string())?;
        let source = self.0.queue.static_pad("src");
        let source = source.ok_or("a queue without src pad")?;
        let pad = &self.0.pad;
        pad.set_target(Some(&source)).map_err(|e| e.to_string())?;
        self.0
            .queue
            .sync_state_with_parent()
            .map_err(|e| e.to_string())?;
        self.0.pad.set_active(true).map_err(|e| e.to_string())?;
        host.add_pad(&self.0.pad).map_err(|e| e.to_string())
    }

    /// Takes it off the element again. Blocks.
    pub(super) fn remove(&self, host: &gst::Bin) {
        self.end();
        self.limit(0, gst::ClockTime::ZERO);
        let _ = self.0.pad.set_active(false);
        let _ = host.remove_pad(&self.0.pad);
        self.0.queue.set_locked_state(true);
        let _ = self.0.queue.set_state(gst::State::Null);
        if self.0.queue.parent().as_ref() == Some(host.upcast_ref()) {
            let _ = host.remove(&self.0.queue);
        }
    }

    /// Nothing comes any more.
    pub(super) fn end(&self) -> bool {
        self.0.stream.ended.swap(true, Ordering::Relaxed)
    }

    /// Ends the stream for what is downstream. Blocks while that is busy.
    pub(super) fn send_eos(&self) {
        if self.end() {
            return;
        }
        let pad = &self.0.pad;
        if !self.0.stream.started.swap(true, Ordering::Relaxed) {
            pad.push_event(self.0.stream.start());
        }
        if pad.sticky_event::<gst::event::Segment>(0).is_none() {
            let segment = gst::FormattedSegment::<gst::ClockTime>::new();
            pad.push_event(gst::event::Segment::new(&segment));
        }
        pad.push_event(gst::event::Eos::new());
    }
}

impl Stream {
    fn start(&self) -> gst::Event {
        gst::event::StreamStart::builder(&self.stream_id)
            .group_id(self.group)
            .build()
    }

    /// A time of a session's bin on the element's present base time, which moves
    /// when the pipeline pauses.
    fn to_host(&self, time: gst::ClockTime) -> gst::ClockTime {
        let base = gst::ClockTime::from_nseconds(self.base.load(Ordering::Relaxed));
        let host = self
            .element
            .upgrade()
            .and_then(|element| element.base_time());
        (time + base).saturating_sub(host.unwrap_or(base))
    }

    fn push(
        &self,
        pad: &gst::ProxyPad,
        parent: Option<&gst::Object>,
        mut buffer: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if self.ended.load(Ordering::Relaxed) {
            return Ok(gst::FlowSuccess::Ok);
        }
        let meta = buffer.make_mut();
        meta.set_pts(meta.pts().map(|time| self.to_host(time)));
        meta.set_dts(meta.dts().map(|time| self.to_host(time)));
        match gst::ProxyPad::chain_default(pad, parent, buffer) {
            Err(gst::FlowError::NotNegotiated) => {
                self.complain(&format!(
                    "what is linked to {} does not take the media",
                    self.name
                ));
            }
            // Not linked, flushing, at its end, or an error that it has posted
            // itself: nobody upstream is to stop for that.
            Err(error) => gst::trace!(super::CAT, "{}: {error}", self.name),
            Ok(_) => (),
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn event(&self, pad: &gst::ProxyPad, parent: Option<&gst::Object>, event: gst::Event) -> bool {
        let event = match event.view() {
            gst::EventView::StreamStart(_) => {
                if self.started.swap(true, Ordering::Relaxed) {
                    return true;
                }
                self.start()
            }
            // A far side's good-bye is no end: it may come back.
            gst::EventView::Eos(_)
            | gst::EventView::FlushStart(_)
            | gst::EventView::FlushStop(_)
            | gst::EventView::StreamCollection(_) => return true,
            gst::EventView::Gap(gap) => {
                let (time, duration) = gap.get();
                gst::event::Gap::builder(self.to_host(time))
                    .duration(duration)
                    .build()
            }
            _ => event,
        };
        gst::Pad::event_default(pad, parent, event)
    }

    fn complain(&self, text: &str) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            (self.on_problem)(text.to_owned());
        }
    }
}

fn pad(template: &gst::PadTemplate, stream: &Arc<Stream>) -> gst::GhostPad {
    let (chain, list, event) = (stream.clone(), stream.clone(), stream.clone());
    let latency = stream.latency;
    gst::GhostPad::builder_from_template(template)
        .name(&stream.name)
        .proxy_pad_chain_function(move |pad, parent, buffer| chain.push(pad, parent, buffer))
        .proxy_pad_chain_list_function(move |pad, parent, buffers| {
            for buffer in buffers.iter_owned() {
                list.push(pad, parent, buffer)?;
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .proxy_pad_event_function(move |pad, parent, inner| event.event(pad, parent, inner))
        .event_function(|pad, parent, event| {
            // Live: there is nowhere to seek to.
            event.type_() != gst::EventType::Seek && gst::Pad::event_default(pad, parent, event)
        })
        .query_function(move |pad, parent, query| answer(pad, parent, query, latency))
        .build()
}

fn answer(
    pad: &gst::GhostPad,
    parent: Option<&gst::Object>,
    query: &mut gst::QueryRef,
    latency: gst::ClockTime,
) -> bool {
    match query.view_mut() {
        // All that it could be, not what it happens to be: that follows the peer.
        gst::QueryViewMut::Caps(question) => {
            let caps = pad.pad_template_caps();
            let filtered = question.filter().map(|filter| caps.intersect(filter));
            question.set_result(filtered.as_ref().unwrap_or(&caps));
            true
        }
        // Live: it goes on by itself, and has no end.
        gst::QueryViewMut::Seeking(question) if question.format() == gst::Format::Time => {
            question.set(false, gst::ClockTime::ZERO, gst::ClockTime::NONE);
            true
        }
        gst::QueryViewMut::Seeking(_) => false,
        gst::QueryViewMut::Latency(_) => {
            if !gst::Pad::query_default(pad, parent, query)
                && let gst::QueryViewMut::Latency(question) = query.view_mut()
            {
                // No session yet.
                question.set(true, latency, gst::ClockTime::NONE);
            }
            true
        }
        _ => gst::Pad::query_default(pad, parent, query),
    }
}
