//! The elements between a track's raw or encoded frames and the fan-out.

use std::str::FromStr;

use gst::prelude::*;
use sigmund::sdp::{Codec, Kind};

use super::encoders::Encoder;
use super::feeder::encoded_caps;

/// Puts `convert ! caps ! encoder ! caps` into `bin`; its two ends.
pub(super) fn encoder(
    bin: &gst::Bin,
    row: &Encoder,
    prepared: Option<gst::Element>,
) -> Result<(gst::Element, gst::Element), String> {
    let element = match prepared {
        Some(element) => element,
        None => row.build(None)?,
    };
    let mut elements = match row.codec.kind() {
        // It scales too, by a pixel, where an encoder takes even sizes only.
        Kind::Video => vec![make("videoconvertscale")?],
        Kind::Audio => vec![make("audioconvert")?, make("audioresample")?],
    };
    elements.push(filter(row.input())?);
    elements.push(element);
    elements.push(filter(row.output())?);
    link(bin, elements)
}

/// Puts the elements behind the encoder into `bin`: they bring a stream into
/// the form that payloaders are fed, with parameter sets before each keyframe.
pub(super) fn parser(
    bin: &gst::Bin,
    codec: Codec,
) -> Result<Option<(gst::Element, gst::Element)>, String> {
    let parser = match codec {
        Codec::H264 => {
            let parser = make("h264parse")?;
            parser.set_property("config-interval", -1i32);
            parser
        }
        Codec::Vp8 | Codec::Opus => return Ok(None),
    };
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", encoded_caps(codec))
        .build()
        .map_err(|e| e.to_string())?;
    link(bin, vec![parser, filter]).map(Some)
}

fn link(
    bin: &gst::Bin,
    elements: Vec<gst::Element>,
) -> Result<(gst::Element, gst::Element), String> {
    bin.add_many(&elements).map_err(|e| e.to_string())?;
    gst::Element::link_many(&elements).map_err(|e| e.to_string())?;
    match (elements.first(), elements.last()) {
        (Some(first), Some(last)) => Ok((first.clone(), last.clone())),
        _ => Err("an empty chain".into()),
    }
}

fn make(factory: &str) -> Result<gst::Element, String> {
    gst::ElementFactory::make(factory).build().map_err(|_| {
        format!("{factory} is missing; install gstreamer1.0-plugins-base, -good, -bad")
    })
}

fn filter(caps: &str) -> Result<gst::Element, String> {
    let caps = gst::Caps::from_str(caps).map_err(|e| e.to_string())?;
    gst::ElementFactory::make("capsfilter")
        .property("caps", caps)
        .build()
        .map_err(|e| e.to_string())
}
