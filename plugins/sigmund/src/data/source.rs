//! A data source pad: each message that comes in is one buffer.

use std::sync::Arc;

use gst::prelude::*;
use sigmund::data::{DataCaps, Kind};

use super::{CAT, DataMessage, Lane, travel};

/// The meta of each buffer: a structure with `peer`, who sent it, and `label`,
/// on which channel. `gst_buffer_get_custom_meta` reads it, in any binding.
pub(crate) const META: &str = "SigmundDataMeta";

/// A sometimes pad of an element, made when the first channel opens.
pub(crate) struct DataSource {
    element: glib::WeakRef<gst::Element>,
    template: gst::PadTemplate,
    name: String,
    pad: Option<gst::Pad>,
    /// What flows at present.
    flows: Option<(Kind, Option<Arc<DataCaps>>)>,
    /// How a far side's time becomes a running time of ours.
    timing: Option<Timing>,
    failing: bool,
}

/// The running time of ours that a far side's wall-clock time (ns since 1970)
/// stands for, where that is known.
pub(crate) type Timing = Box<dyn Fn(u64) -> Option<gst::ClockTime> + Send>;

impl DataSource {
    pub(crate) fn new(
        element: &gst::Element,
        template: gst::PadTemplate,
        name: String,
        timing: Option<Timing>,
    ) -> Self {
        Self {
            element: element.downgrade(),
            template,
            name,
            pad: None,
            flows: None,
            timing,
            failing: false,
        }
    }

    /// Shows the pad.
    pub(crate) fn expose(&mut self) {
        let Some(element) = self.element.upgrade() else {
            return;
        };
        let pad = gst::Pad::builder_from_template(&self.template)
            .name(&self.name)
            .query_function(|pad, parent, query| match query.view_mut() {
                gst::QueryViewMut::Latency(latency) => {
                    latency.set(true, gst::ClockTime::ZERO, gst::ClockTime::NONE);
                    true
                }
                _ => gst::Pad::query_default(pad, parent, query),
            })
            .build();
        let active = pad.set_active(true);
        let id = format!("{}/{:08x}", self.name, crate::random());
        pad.push_event(gst::event::StreamStart::builder(&id).build());
        if active.is_err() || element.add_pad(&pad).is_err() {
            gst::warning!(CAT, "{}: no pad for what comes in", self.name);
            return;
        }
        self.pad = Some(pad);
    }

    /// Pushes a message; waits as long as whoever reads it takes.
    pub(crate) fn push(&mut self, lane: &Lane, message: &DataMessage) {
        let (Some(element), Some(pad)) = (self.element.upgrade(), &self.pad) else {
            return;
        };
        let flows = Some((message.kind, message.caps.clone()));
        if self.flows != flows {
            self.flows = flows;
            let first = pad.sticky_event::<gst::event::Segment>(0).is_none();
            let told = message.caps.as_deref().map(travel::caps);
            let caps = told.unwrap_or_else(|| caps(message.kind));
            pad.push_event(gst::event::Caps::new(&caps));
            if first {
                let segment = gst::FormattedSegment::<gst::ClockTime>::new();
                pad.push_event(gst::event::Segment::new(&segment));
            }
        }
        let mapped = match (&self.timing, message.time) {
            (Some(timing), Some(time)) => timing(time),
            _ => None,
        };
        let buffer = buffer(lane, message, mapped.or(element.current_running_time()));
        match pad.push(buffer) {
            Ok(_) => self.failing = false,
            // Nobody listens, or no more: no reason to stop the others.
            Err(gst::FlowError::NotLinked | gst::FlowError::Flushing | gst::FlowError::Eos) => (),
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    gst::warning!(CAT, obj = pad, "a message was not taken: {error}");
                }
            }
        }
    }
}

fn caps(kind: Kind) -> gst::Caps {
    match kind {
        Kind::Text => gst::Caps::builder("text/x-raw")
            .field("format", "utf8")
            .build(),
        Kind::Binary => gst::Caps::new_empty_simple("application/octet-stream"),
    }
}

fn buffer(lane: &Lane, message: &DataMessage, pts: Option<gst::ClockTime>) -> gst::Buffer {
    let mut buffer = match message.bytes.is_empty() {
        true => gst::Buffer::new(),
        false => gst::Buffer::from_slice(message.bytes.clone()),
    };
    let writable = buffer.make_mut();
    writable.set_pts(pts);
    if let Ok(mut meta) = gst::meta::CustomMeta::add(writable, META) {
        let structure = meta.mut_structure();
        structure.set("peer", lane.peer().as_str());
        structure.set("label", lane.label());
    }
    buffer
}

/// To be called once, before any buffer is made.
pub(crate) fn register_meta() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| gst::meta::CustomMeta::register(META, &[]));
}
