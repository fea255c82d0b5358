//! What is reported without being asked, and counted for when it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gst::glib;
use gst::prelude::*;
use sigmund_tests::media::draw_stamps;
use sigmund_tests::publisher::Event;

use crate::look::{self, Sights};
use crate::{data, json, report};

/// What is counted from the start on.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Frames out of each encoder there ever was.
    pub(crate) encoders: Mutex<Vec<(glib::WeakRef<gst::Element>, Arc<AtomicU64>)>>,
    /// Packets, RTP or RTCP, that left a DTLS-SRTP decoder.
    pub(crate) decrypted: Arc<AtomicU64>,
    /// Frames that got a stamp.
    pub(crate) stamped: Arc<AtomicU64>,
    /// What those who look have seen.
    pub(crate) sights: Mutex<Sights>,
}

/// Counts what the elements do that are there now or will be.
pub(crate) fn counts(pipeline: &gst::Pipeline) -> Arc<Counts> {
    let counts = Arc::new(Counts::default());
    for element in pipeline.iterate_recurse().into_iter().flatten() {
        consider(&counts, &element);
    }
    let handle = counts.clone();
    pipeline.connect_deep_element_added(move |_, _, element| consider(&handle, element));
    if let Some(stamp) = pipeline.by_name("stamp") {
        draw_stamps(&stamp, counts.stamped.clone());
        if let Some(notes) = pipeline.by_name("notes") {
            data::note(&stamp, &notes);
        }
        report_navigation(&stamp);
    }
    counts
}

/// Reports what comes upstream of somebody's pointer and keys.
fn report_navigation(element: &gst::Element) {
    let Some(pad) = element.static_pad("src") else {
        return;
    };
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, |_, info| {
        let structure = info.event().and_then(|event| event.structure());
        let name = "application/x-gst-navigation";
        if let Some(structure) = structure.filter(|it| it.name() == name) {
            report(&Event::Message {
                name: "navigation".to_owned(),
                fields: json::structure(structure),
            });
        }
        gst::PadProbeReturn::Ok
    });
}

fn consider(counts: &Counts, element: &gst::Element) {
    let Some(factory) = element.factory() else {
        return;
    };
    if element.name().starts_with("look") {
        let mut sights = counts.sights.lock().expect("nobody panics with it");
        sights.insert(element.name().to_string(), look::at(element));
    }
    let class = factory.metadata("klass").unwrap_or_default();
    if class.contains("Encoder/Video") || class.contains("Encoder/Audio") {
        let frames = Arc::new(AtomicU64::new(0));
        count_buffers(element, "src", frames.clone());
        let mut encoders = counts.encoders.lock().expect("nobody panics with it");
        encoders.push((element.downgrade(), frames));
    }
    if factory.name() == "dtlssrtpdec" {
        count_buffers(element, "rtp_src", counts.decrypted.clone());
        count_buffers(element, "rtcp_src", counts.decrypted.clone());
    }
}

fn count_buffers(element: &gst::Element, pad: &str, count: Arc<AtomicU64>) {
    let Some(pad) = element.static_pad(pad) else {
        return;
    };
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(mask, move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
}

/// Reports the signals of our elements in the pipeline.
pub(crate) fn signals(pipeline: &gst::Pipeline) {
    let names = [
        "peer-added",
        "peer-removed",
        "encoder-setup",
        "webrtcbin-ready",
        "data-received",
    ];
    for element in pipeline.iterate_recurse().into_iter().flatten() {
        let ours = ["rtcsink", "rtcsrc", "rtcpeer"];
        if element
            .factory()
            .is_none_or(|f| !ours.contains(&f.name().as_str()))
        {
            continue;
        }
        // Where messages are counted, each report would cost more than the message.
        let quiet = std::env::var_os("SIGMUND_QUIET").is_some();
        for name in names {
            let unwanted = quiet && name == "data-received";
            if unwanted || glib::subclass::SignalId::lookup(name, element.type_()).is_none() {
                continue;
            }
            element.connect(name, false, move |values| {
                let arguments = values[1..].iter().map(argument).collect();
                let name = name.to_owned();
                report(&Event::Signal { name, arguments });
                None
            });
        }
    }
}

/// Of a large message, the length is told.
fn argument(value: &glib::Value) -> serde_json::Value {
    match value.get::<glib::Bytes>() {
        Ok(bytes) if bytes.len() > 1024 => serde_json::json!(bytes.len()),
        _ => json::value(value),
    }
}

/// Reports what is said on the bus, until the pipeline is gone.
pub(crate) fn bus(bus: &gst::Bus) {
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        let source = || {
            message
                .src()
                .map(|s| s.name().to_string())
                .unwrap_or_default()
        };
        let event = match message.view() {
            gst::MessageView::Error(error) => Event::Error {
                source: source(),
                text: error.error().to_string(),
                debug: error.debug().map(Into::into).unwrap_or_default(),
            },
            gst::MessageView::Warning(warning) => Event::Warning {
                source: source(),
                text: warning.error().to_string(),
            },
            gst::MessageView::Eos(_) => Event::Eos,
            gst::MessageView::Element(element) => match element.structure() {
                Some(structure) => Event::Message {
                    name: structure.name().to_string(),
                    fields: json::structure(structure),
                },
                None => continue,
            },
            _ => continue,
        };
        report(&event);
    }
}
