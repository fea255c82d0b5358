//! Messages into and out of a pipeline.

use gst::prelude::*;
use serde_json::{Value, json};
use sigmund_tests::messages::{Heard, digest, pattern};
use sigmund_tests::stamp::Stamp;

/// One buffer, with the caps of its kind.
pub(crate) fn push(
    element: &gst::Element,
    seed: u64,
    size: usize,
    text: bool,
) -> Result<(), String> {
    let appsrc = element.downcast_ref::<gst_app::AppSrc>();
    let appsrc = appsrc.ok_or("that is no appsrc")?;
    let caps = match text {
        true => gst::Caps::builder("text/x-raw")
            .field("format", "utf8")
            .build(),
        false => gst::Caps::new_empty_simple("application/x-anything"),
    };
    let buffer = gst::Buffer::from_slice(pattern(seed, size, text));
    let sample = gst::Sample::builder().buffer(&buffer).caps(&caps).build();
    let pushed = appsrc.push_sample(&sample);
    pushed.map(drop).map_err(|error| error.to_string())
}

/// Each picture with a stamp is followed by a message into `appsrc`, of the
/// same time: [`pattern`] of its number, which its size tells, too.
pub(crate) fn note(stamp: &gst::Element, appsrc: &gst::Element) {
    let pad = stamp.static_pad("src");
    let appsrc = appsrc.clone().downcast::<gst_app::AppSrc>();
    let (Some(pad), Ok(appsrc)) = (pad, appsrc) else {
        return;
    };
    appsrc.set_caps(Some(
        &gst::Caps::builder("meta/x-klv")
            .field("parsed", true)
            .build(),
    ));
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let number = pad.current_caps().and_then(|caps| {
            let video = gst_video::VideoInfo::from_caps(&caps).ok()?;
            let buffer = info.buffer()?;
            let map = buffer.map_readable().ok()?;
            let stride = video.stride()[0] as usize;
            let (width, height) = (video.width() as usize, video.height() as usize);
            Some((
                Stamp::read(&map, stride, width, height)?.number,
                buffer.pts(),
            ))
        });
        if let Some((number, time)) = number {
            let mut buffer =
                gst::Buffer::from_slice(pattern(number.into(), 8 + usize::from(number), false));
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_pts(time);
            }
            let _ = appsrc.push_buffer(buffer);
        }
        gst::PadProbeReturn::Ok
    });
}

/// What is there, or comes within a moment.
pub(crate) fn pull(element: &gst::Element, most: usize) -> Result<Value, String> {
    let appsink = element.downcast_ref::<gst_app::AppSink>();
    let appsink = appsink.ok_or("that is no appsink")?;
    let wait = gst::ClockTime::from_mseconds(100);
    let samples = std::iter::from_fn(|| appsink.try_pull_sample(wait));
    let heard: Vec<_> = samples.take(most).filter_map(|it| heard(&it)).collect();
    Ok(json!(heard))
}

fn heard(sample: &gst::Sample) -> Option<Heard> {
    let buffer = sample.buffer()?;
    let bytes = buffer.map_readable().ok()?;
    let caps = sample.caps()?.structure(0)?;
    let format = caps.get::<&str>("format").ok();
    let meta = gst::meta::CustomMeta::from_buffer(buffer, "SigmundDataMeta").ok();
    let told = |name| meta.as_ref()?.structure().get::<String>(name).ok();
    Some(Heard {
        text: caps.name() == "text/x-raw" && format == Some("utf8"),
        size: bytes.len(),
        digest: digest(&bytes),
        peer: told("peer"),
        label: told("label"),
        time: buffer.pts().map(gst::ClockTime::nseconds),
    })
}
