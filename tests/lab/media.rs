//! The clips, files made once, and frames taken apart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, fs};

use gst::prelude::*;
use gst_video::prelude::*;
use str0m::format::Codec;

use crate::process::build_directory;
use crate::stamp::Stamp;
use crate::viewer::Frame;

/// Longer than any file of ours takes to make.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(120);

/// A real clip: H.264 main profile 1280×720 at 25 frames a second with AAC 5.1,
/// 5 s. (Big Buck Bunny, © Blender Foundation, CC-BY 3.0.)
pub fn clip() -> PathBuf {
    let directory = env::var_os("SIGMUND_MEDIA").map(PathBuf::from);
    let beside = build_directory()
        .parent()
        .map(|target| target.join("media"));
    let places = directory.into_iter().chain(beside);
    let mut clips = places.map(|place| place.join("bigbuckbunny.mp4"));
    let clip = clips.find(|clip| clip.is_file());
    clip.unwrap_or_else(|| panic!("bigbuckbunny.mp4 is needed: `make test` fetches it"))
}

/// A file that a pipeline makes, once. The description ends before the
/// filesink; an `identity name=stamp` in it gets the stamps drawn in.
pub fn file(name: &str, description: &str) -> PathBuf {
    let directory = build_directory().join("sigmund-tests");
    let path = directory.join(name);
    if path.is_file() {
        return path;
    }
    fs::create_dir_all(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    // Another test binary may be making the same: the last one wins.
    let partial = directory.join(format!("{}-{name}", std::process::id()));
    gst::init().expect("GStreamer is installed");
    let description = format!("{description} ! filesink name=file");
    let pipeline = gst::parse::launch(&description).unwrap_or_else(|e| panic!("{e}"));
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .expect("it has two elements at least");
    let sink = pipeline
        .by_name("file")
        .expect("it stands in the description");
    sink.set_property("location", partial.to_string_lossy().as_ref());
    if let Some(stamp) = pipeline.by_name("stamp") {
        draw_stamps(&stamp, Arc::default());
    }
    run_to_end(&pipeline);
    fs::rename(&partial, &path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path
}

fn run_to_end(pipeline: &gst::Pipeline) {
    pipeline
        .set_state(gst::State::Playing)
        .expect("the pipeline starts");
    let bus = pipeline.bus().expect("a pipeline has a bus");
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = bus.timed_pop_filtered(PATIENCE, &ends);
    let _ = pipeline.set_state(gst::State::Null);
    match end.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) => {}
        other => panic!("the pipeline does not end well: {other:?}"),
    }
}

/// Draws a [`Stamp`] into each frame that leaves `element`, and counts them.
/// Frames of formats without a plane of brightness pass as they are.
pub fn draw_stamps(element: &gst::Element, count: Arc<AtomicU64>) {
    let pad = element.static_pad("src").expect("an identity has one");
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let caps = pad.current_caps();
        let video = caps.and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
        if let (Some(video), Some(buffer)) = (video, info.buffer_mut()) {
            let number = count.fetch_add(1, Ordering::Relaxed);
            draw_stamp(buffer, &video, number);
        }
        gst::PadProbeReturn::Ok
    });
}

fn draw_stamp(buffer: &mut gst::Buffer, video: &gst_video::VideoInfo, number: u64) {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // Both wrap on purpose.
    let stamp = Stamp {
        number: (number & 0xffff) as u16,
        millis: (clock.map_or(0, |d| d.as_millis()) & 0xffff) as u16,
    };
    let buffer = buffer.make_mut();
    let frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, video);
    let Ok(mut frame) = frame else {
        return;
    };
    let (width, height) = (video.width() as usize, video.height() as usize);
    let stride = frame.plane_stride()[0] as usize;
    if let Ok(luma) = frame.plane_data_mut(0) {
        stamp.draw(luma, stride, width, height);
    }
}

/// A stamp in a frame that a viewer kept.
#[derive(Clone, Copy, Debug)]
pub struct Decoded {
    /// Since the viewer's POST.
    pub after: Duration,
    /// The frame's number.
    pub number: u16,
    /// From drawing it to its arrival, decoding not counted.
    pub latency: Duration,
}

/// Decodes frames that a viewer kept; the stamps in those that are whole.
pub fn decode(codec: Codec, frames: &[Frame]) -> Vec<Decoded> {
    let samples = samples(codec, frames);
    samples
        .iter()
        .filter_map(|sample| stamp_of(sample, frames))
        .collect()
}

/// Decodes frames that a viewer kept; the sizes of the picture, one after the
/// other.
pub fn sizes(codec: Codec, frames: &[Frame]) -> Vec<(u32, u32)> {
    let samples = samples(codec, frames);
    let videos = samples
        .iter()
        .filter_map(|s| gst_video::VideoInfo::from_caps(s.caps()?).ok());
    let mut sizes: Vec<_> = videos
        .map(|video| (video.width(), video.height()))
        .collect();
    sizes.dedup();
    sizes
}

fn samples(codec: Codec, frames: &[Frame]) -> Vec<gst::Sample> {
    gst::init().expect("GStreamer is installed");
    let (caps, decoder) = match codec {
        Codec::H264 => (
            "video/x-h264,stream-format=byte-stream",
            "h264parse ! avdec_h264",
        ),
        Codec::Vp8 => ("video/x-vp8", "vp8dec"),
        other => panic!("no decoder for {other}"),
    };
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=in format=time max-bytes=0 caps={caps} ! {decoder} ! videoconvert ! \
         video/x-raw,format=I420 ! appsink name=out sync=false"
    ));
    let pipeline = pipeline.unwrap_or_else(|e| panic!("{e}"));
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .expect("it has elements");
    let input = pipeline
        .by_name("in")
        .and_downcast::<gst_app::AppSrc>()
        .expect("an appsrc");
    let output = pipeline
        .by_name("out")
        .and_downcast::<gst_app::AppSink>()
        .expect("an appsink");
    pipeline
        .set_state(gst::State::Playing)
        .expect("decoders start");
    for (frame, second) in frames.iter().zip(0..) {
        let mut buffer = gst::Buffer::from_slice(frame.data.clone());
        let time = gst::ClockTime::from_seconds(second);
        buffer.get_mut().expect("it is new").set_pts(time);
        input.push_buffer(buffer).expect("the pipeline runs");
    }
    input.end_of_stream().expect("the pipeline runs");
    let samples = std::iter::from_fn(|| output.pull_sample().ok()).collect();
    let _ = pipeline.set_state(gst::State::Null);
    samples
}

fn stamp_of(sample: &gst::Sample, frames: &[Frame]) -> Option<Decoded> {
    let buffer = sample.buffer()?;
    let frame = &frames[usize::try_from(buffer.pts()?.seconds()).ok()?];
    let video = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
    let picture = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &video).ok()?;
    let (width, height) = (video.width() as usize, video.height() as usize);
    let stride = picture.plane_stride()[0] as usize;
    let stamp = Stamp::read(picture.plane_data(0).ok()?, stride, width, height)?;
    let clock = frame.arrived.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let arrived = (clock.as_millis() & 0xffff) as u16;
    Some(Decoded {
        after: frame.after,
        number: stamp.number,
        latency: Duration::from_millis(arrived.wrapping_sub(stamp.millis).into()),
    })
}

/// A path as it may stand in a pipeline description.
pub fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}
