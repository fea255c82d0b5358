//! Elements that make frames out of packets, and pictures out of frames.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use gst::prelude::*;
use sigmund::sdp::{Codec, Kind};

use super::impatience;

/// Decoders that have failed at work, while there is another.
static DISTRUSTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The elements that make frames out of RTP packets.
pub(super) fn depayloader(codec: Codec) -> Result<Vec<gst::Element>, String> {
    match codec {
        Codec::H264 => {
            let depayloader = keyframes_first(make("rtph264depay")?);
            // Only where it makes whole access units can it wait for keyframes.
            let caps = gst::Caps::builder("video/x-h264").field("alignment", "au");
            let filter = gst::ElementFactory::make("capsfilter").property("caps", caps.build());
            let filter = filter.build().map_err(|e| e.to_string())?;
            let parser = make("h264parse")?;
            parser.set_property("config-interval", -1i32);
            Ok(vec![depayloader, filter, parser])
        }
        Codec::Vp8 => Ok(vec![keyframes_first(make("rtpvp8depay")?)]),
        Codec::Opus => Ok(vec![make("rtpopusdepay")?]),
    }
}

/// After a loss no frame is passed on that cannot be decoded, and a keyframe is
/// asked for.
fn keyframes_first(depayloader: gst::Element) -> gst::Element {
    for property in ["wait-for-keyframe", "request-keyframe"] {
        depayloader.set_property(property, true);
    }
    impatience::watch(&depayloader);
    depayloader
}

/// A decoder for `codec` whose output one who takes `caps` can take, the best
/// there is: hardware first, then by rank. It is in READY.
pub(super) fn decoder(codec: Codec, caps: &gst::Caps) -> Result<gst::Element, String> {
    let found = factories(codec);
    let (distrusted, trusted): (Vec<_>, Vec<_>) = {
        let bad = DISTRUSTED.lock().unwrap_or_else(PoisonError::into_inner);
        found
            .into_iter()
            .partition(|it| bad.contains(it.name().as_str()))
    };
    for factory in trusted.iter().chain(&distrusted) {
        if !factory.can_src_any_caps(caps) {
            continue;
        }
        let Ok(decoder) = factory.create().build() else {
            continue;
        };
        // Those whose device is not there fail here.
        if decoder.set_state(gst::State::Ready).is_ok() {
            configure(&decoder);
            return Ok(decoder);
        }
        let _ = decoder.set_state(gst::State::Null);
    }
    Err(format!(
        "there is no decoder for {0}; install gstreamer1.0-libav or gstreamer1.0-plugins-good, \
         or leave {0} out of the codecs",
        codec.encoding_name()
    ))
}

/// Is there a decoder at all?
pub(crate) fn can_decode(codec: Codec) -> bool {
    !factories(codec).is_empty()
}

/// It has failed at work: others are tried first from now on.
pub(super) fn distrust(decoder: &gst::Element) {
    if let Some(factory) = decoder.factory() {
        let mut bad = DISTRUSTED.lock().unwrap_or_else(PoisonError::into_inner);
        bad.insert(factory.name().to_string());
    }
}

fn factories(codec: Codec) -> Vec<gst::ElementFactory> {
    let media = match codec.kind() {
        Kind::Video => gst::ElementFactoryType::MEDIA_VIDEO,
        Kind::Audio => gst::ElementFactoryType::MEDIA_AUDIO,
    };
    let kind = gst::ElementFactoryType::DECODER | media;
    let caps = match codec {
        Codec::H264 => gst::Caps::new_empty_simple("video/x-h264"),
        // There are decoders for films with a mask, which take nothing else.
        Codec::Vp8 => gst::Caps::builder("video/x-vp8")
            .field("codec-alpha", false)
            .build(),
        Codec::Opus => gst::Caps::new_empty_simple("audio/x-opus"),
    };
    let all = gst::ElementFactory::factories_with_type(kind, gst::Rank::MARGINAL);
    let mut fit: Vec<_> = all
        .into_iter()
        .filter(|factory| factory.can_sink_any_caps(&caps))
        .collect();
    fit.sort_by_key(|factory| {
        let klass = factory.metadata("klass").unwrap_or_default();
        let hardware = klass.contains("Hardware");
        std::cmp::Reverse((hardware, factory.rank()))
    });
    fit
}

/// Settings for lossy networks, where a decoder has them.
fn configure(decoder: &gst::Element) {
    for (property, value) in [
        ("automatic-request-sync-points", "true"),
        ("output-corrupt", "false"),
        ("plc", "true"),
        ("use-inband-fec", "true"),
    ] {
        if decoder.find_property(property).is_some() {
            decoder.set_property_from_str(property, value);
        }
    }
}

pub(super) fn make(factory: &str) -> Result<gst::Element, String> {
    gst::ElementFactory::make(factory).build().map_err(|_| {
        format!("{factory} is missing; install gstreamer1.0-plugins-base, -good, -bad")
    })
}
