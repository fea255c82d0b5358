//! One incoming stream on its way to its outlet: `queue`, then what the peer of
//! the pad asks for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use gst::prelude::*;
use sigmund::sdp::Codec;

use super::decoders::{self, make};
use super::form::Form;
use super::outlet::Outlet;
use crate::isolate::{HouseTime, IsolatedBin};
use crate::webrtcbin::{IncomingStream, discard};

/// Packets that wait for a slow reader, at most; the oldest go first. The
/// jitterbuffer in front of it would keep them all.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(3);
const BYTES: u32 = 16 << 20;

/// How long a push that is under way may take to come back.
const STILL: Duration = Duration::from_secs(2);

/// A stream of a session. All that it does may block.
#[derive(Debug)]
pub(crate) struct Inlet {
    bin: IsolatedBin,
    /// webrtcbin's pad.
    source: gst::Pad,
    queue: gst::Element,
    codec: Codec,
    outlet: Outlet,
    time: HouseTime,
    chain: Chain,
    /// The name of the next part; names are not used twice.
    parts: u32,
}

/// What stands between queue and outlet.
#[derive(Debug)]
struct Chain {
    form: Form,
    elements: Vec<gst::Element>,
    /// What the outlet is attached to.
    exit: Option<gst::GhostPad>,
    decoder: Option<Decoder>,
}

#[derive(Debug)]
struct Decoder {
    element: gst::Element,
    worked: std::sync::Arc<AtomicBool>,
}

impl Inlet {
    /// Leads `stream` to `outlet`.
    pub(crate) fn open(
        bin: &IsolatedBin,
        stream: IncomingStream,
        codec: Codec,
        outlet: Outlet,
        time: HouseTime,
    ) -> Result<Self, String> {
        let name = stream.pad().name();
        let queue = gst::ElementFactory::make("queue")
            .name(format!("in-{name}"))
            .property_from_str("leaky", "downstream")
            .property("max-size-buffers", 0u32)
            .property("max-size-bytes", BYTES)
            .property("max-size-time", PATIENCE.nseconds())
            .build()
            .map_err(|e| e.to_string())?;
        bin.add(&queue).map_err(|e| e.to_string())?;
        let mut inlet = Self {
            bin: bin.clone(),
            source: stream.pad().clone(),
            queue,
            codec,
            outlet,
            time,
            chain: Chain {
                form: Form::Nothing,
                elements: Vec::new(),
                exit: None,
                decoder: None,
            },
            parts: 0,
        };
        let (form, caps) = inlet.outlet.wanted(codec);
        let opened = inlet.build(form, &caps).and_then(|()| inlet.enter());
        match opened {
            Ok(()) => {
                stream.open();
                Ok(inlet)
            }
            Err(error) => {
                stream.refuse();
                inlet.clear();
                Err(error)
            }
        }
    }

    fn enter(&self) -> Result<(), String> {
        let sink = self
            .queue
            .static_pad("sink")
            .ok_or("a queue without sink pad")?;
        self.source.link(&sink).map_err(|e| e.to_string())?;
        self.queue
            .sync_state_with_parent()
            .map_err(|e| e.to_string())
    }

    /// Where it leads.
    pub(crate) fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// What comes in.
    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Somebody has linked or unlinked the pad: its peer's wish may be another.
    pub(crate) fn adapt(&mut self) -> Result<(), String> {
        let (form, caps) = self.outlet.wanted(self.codec);
        if form == self.chain.form {
            return Ok(());
        }
        let source = self
            .queue
            .static_pad("src")
            .ok_or("a queue without src pad")?;
        let block = self.be_still(&source);
        self.dismantle();
        let built = self.build(form, &caps);
        if let Some(block) = block {
            source.remove_probe(block);
        }
        built
    }

    /// Another stream takes its place, or the session is over; its elements go
    /// with the session's bin.
    pub(crate) fn close(mut self) {
        discard(&self.source);
        if let Some(source) = self.queue.static_pad("src") {
            let _block = self.be_still(&source);
            self.dismantle();
        }
        self.clear();
    }

    /// Lets go of the outlet, so that nothing of ours waits for what is linked.
    pub(crate) fn detach(&self) {
        if let Some(exit) = &self.chain.exit {
            self.outlet.detach(exit.upcast_ref());
        }
    }

    /// The session has failed at a decoder that never worked: others are
    /// tried first from now on.
    pub(crate) fn blame_decoder(&self) {
        if let Some(decoder) = &self.chain.decoder
            && !decoder.worked.load(Ordering::Relaxed)
        {
            decoders::distrust(&decoder.element);
        }
    }

    /// Waits until the queue's thread is not in what follows, and keeps it out.
    fn be_still(&self, source: &gst::Pad) -> Option<gst::PadProbeId> {
        self.detach();
        let (idle, is_idle) = mpsc::channel();
        let block = source.add_probe(gst::PadProbeType::IDLE, move |_, _| {
            let _ = idle.send(());
            gst::PadProbeReturn::Ok
        });
        if is_idle.recv_timeout(STILL).is_err() {
            gst::warning!(super::CAT, "{}: does not come to rest", self.queue.name());
        }
        block
    }

    fn build(&mut self, form: Form, caps: &gst::Caps) -> Result<(), String> {
        let mut elements = match form {
            Form::Nothing | Form::Rtp => Vec::new(),
            Form::Raw | Form::Encoded => decoders::depayloader(self.codec)?,
        };
        self.chain.form = form;
        self.chain.decoder = None;
        match form {
            Form::Nothing => {
                let sink = make("fakesink")?;
                for property in ["sync", "async", "enable-last-sample"] {
                    sink.set_property(property, false);
                }
                elements.push(sink);
            }
            Form::Raw => {
                let decoder = decoders::decoder(self.codec, caps)?;
                self.chain.decoder = Some(watched(&decoder));
                elements.push(decoder);
            }
            Form::Encoded | Form::Rtp => (),
        }
        self.bin.add_many(&elements).map_err(|e| e.to_string())?;
        self.chain.elements.clone_from(&elements);
        elements.insert(0, self.queue.clone());
        if form != Form::Nothing {
            let last = elements.last().and_then(|last| last.static_pad("src"));
            self.exit(&last.ok_or("a chain without an end")?)?;
        }
        gst::Element::link_many(&elements).map_err(|e| e.to_string())?;
        for element in self.chain.elements.iter().rev() {
            element
                .sync_state_with_parent()
                .map_err(|e| e.to_string())?;
        }
        gst::debug!(
            super::CAT,
            "{}: {:?} as {form:?}",
            self.outlet.name(),
            self.codec
        );
        Ok(())
    }

    fn exit(&mut self, last: &gst::Pad) -> Result<(), String> {
        self.parts += 1;
        let exit = gst::GhostPad::builder_with_target(last)
            .map_err(|e| e.to_string())?
            .name(format!("{}-{}", self.queue.name(), self.parts))
            .build();
        exit.set_active(true).map_err(|e| e.to_string())?;
        self.bin.add_pad(&exit).map_err(|e| e.to_string())?;
        self.outlet
            .attach(exit.upcast_ref(), self.chain.form, &self.time)?;
        self.chain.exit = Some(exit);
        Ok(())
    }

    /// Takes apart what follows the queue, which is still.
    fn dismantle(&mut self) {
        self.detach();
        if let Some(exit) = self.chain.exit.take() {
            let _ = exit.set_active(false);
            let _ = self.bin.remove_pad(&exit);
        }
        for element in self.chain.elements.drain(..) {
            element.set_locked_state(true);
            let _ = element.set_state(gst::State::Null);
            let _ = self.bin.remove(&element);
        }
    }

    fn clear(&mut self) {
        self.dismantle();
        self.queue.set_locked_state(true);
        let _ = self.queue.set_state(gst::State::Null);
        let _ = self.bin.remove(&self.queue);
    }
}

/// Notes whether a decoder has ever put something out.
fn watched(decoder: &gst::Element) -> Decoder {
    let worked = std::sync::Arc::new(AtomicBool::new(false));
    if let Some(pad) = decoder.static_pad("src") {
        let works = worked.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            works.store(true, Ordering::Relaxed);
            gst::PadProbeReturn::Remove
        });
    }
    Decoder {
        element: decoder.clone(),
        worked,
    }
}
