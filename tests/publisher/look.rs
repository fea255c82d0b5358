//! Looks at what flows through an `identity name=look…`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use gst::prelude::*;
use sigmund_tests::sight::{Picture, Sight, strongest};
use sigmund_tests::stamp::Stamp;

/// How much is kept of what is kept one by one.
const KEPT: usize = 1000;

/// Sound louder than this is a tick.
const LOUD: f64 = 0.2;

/// Sound louder than this is listened to.
const MURMUR: f64 = 0.05;

/// What each such element has seen.
pub(crate) type Sights = HashMap<String, Arc<Mutex<Look>>>;

/// A sight, and what it takes to go on.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) sight: Sight,
    caps: Option<gst::Caps>,
    quiet: bool,
    /// A moment that is not quiet, until it is long enough.
    moment: Vec<f64>,
    /// How many samples pass before the next one.
    rest: usize,
    /// Number of the last RTP packet.
    last: Option<u16>,
    /// Of the last raw picture.
    digest: u64,
}

/// Looks at an element from now on.
pub(crate) fn at(element: &gst::Element) -> Arc<Mutex<Look>> {
    let look = Arc::<Mutex<Look>>::default();
    let pad = element.static_pad("src").expect("an identity has one");
    let seen = look.clone();
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(mask, move |_, info| {
        let mut look = seen.lock().expect("nobody panics with it");
        if let Some(event) = info.event() {
            look.event(event);
        } else if let Some(buffer) = info.buffer() {
            look.buffer(buffer);
        }
        gst::PadProbeReturn::Ok
    });
    look
}

impl Look {
    fn event(&mut self, event: &gst::Event) {
        match event.view() {
            gst::EventView::StreamStart(_) => self.sight.starts += 1,
            gst::EventView::Eos(_) => self.sight.ended = true,
            gst::EventView::Caps(caps) => {
                self.sight.caps.push(caps.caps().to_string());
                self.caps = Some(caps.caps_owned());
            }
            _ => {}
        }
    }

    fn buffer(&mut self, buffer: &gst::Buffer) {
        self.sight.buffers += 1;
        self.sight.bytes += buffer.size() as u64;
        let delta = buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        self.sight.keyframes += u64::from(!delta);
        if let Some(meta) = buffer.meta::<gst::ReferenceTimestampMeta>() {
            self.sight.references += 1;
            self.sight.reference = Some(meta.timestamp().mseconds());
        }
        let Some(caps) = self.caps.clone() else {
            return;
        };
        let name = caps.structure(0).map(|s| s.name().as_str());
        match name {
            Some("video/x-raw") => self.picture(&caps, buffer),
            Some("audio/x-raw") => self.sound(&caps, buffer),
            Some("application/x-rtp") => self.packet(buffer),
            _ => {}
        }
    }

    /// Sequence numbers: RFC 3550 section 5.1.
    fn packet(&mut self, buffer: &gst::Buffer) {
        let mut head = [0; 4];
        if buffer.copy_to_slice(0, &mut head).is_err() {
            return;
        }
        let number = u16::from_be_bytes([head[2], head[3]]);
        if let Some(last) = self.last.replace(number) {
            self.sight.missing += u64::from(number.wrapping_sub(last).wrapping_sub(1));
        }
    }

    fn picture(&mut self, caps: &gst::Caps, buffer: &gst::Buffer) {
        use gst_video::prelude::*;
        let Ok(video) = gst_video::VideoInfo::from_caps(caps) else {
            return;
        };
        let Ok(frame) = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &video) else {
            return;
        };
        let (width, height) = (video.width() as usize, video.height() as usize);
        let stride = frame.plane_stride()[0] as usize;
        let luma = frame.plane_data(0).unwrap_or_default();
        // Every 61st sample, which is in another column in each line.
        let sampled = luma.iter().step_by(61);
        let digest = sampled.fold(0_u64, |sum, it| sum.rotate_left(7) ^ u64::from(*it));
        self.sight.moved += u64::from(digest != std::mem::replace(&mut self.digest, digest));
        let Some(stamp) = Stamp::read(luma, stride, width, height) else {
            return;
        };
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = (clock.map_or(0, |d| d.as_millis()) & 0xffff) as u16;
        let picture = Picture {
            number: stamp.number,
            age: now.wrapping_sub(stamp.millis),
            time: buffer.pts().map_or(0, gst::ClockTime::mseconds),
        };
        keep(&mut self.sight.pictures, picture);
    }

    /// Of interleaved S16LE.
    fn sound(&mut self, caps: &gst::Caps, buffer: &gst::Buffer) {
        let field = |name| caps.structure(0).and_then(|s| s.get::<i32>(name).ok());
        let (Some(rate), Some(channels)) = (field("rate"), field("channels")) else {
            return;
        };
        let Ok(map) = buffer.map_readable() else {
            return;
        };
        let frames = map.chunks_exact(2 * channels as usize);
        let samples: Vec<f64> = frames
            .map(|frame| f64::from(i16::from_le_bytes([frame[0], frame[1]])) / 32768.0)
            .collect();
        let start = buffer.pts().map_or(0, gst::ClockTime::mseconds);
        for (index, sample) in samples.iter().enumerate() {
            self.sight.loudest = self.sight.loudest.max(sample.abs());
            let loud = sample.abs() > LOUD;
            if loud && self.quiet {
                let time = start + index as u64 * 1000 / rate as u64;
                if self.sight.ticks.last().is_none_or(|last| time > last + 100) {
                    keep(&mut self.sight.ticks, time);
                }
            }
            self.quiet = !loud;
        }
        for sample in &samples {
            self.listen(*sample, rate.unsigned_abs());
        }
        let ups: Vec<_> = (1..samples.len())
            .filter(|&i| samples[i - 1] < 0.0 && samples[i] >= 0.0)
            .collect();
        if let (Some(first), Some(last)) = (ups.first(), ups.last())
            && last > first
        {
            let periods = (ups.len() - 1) as f64;
            let pitch = periods * f64::from(rate) / (last - first) as f64;
            keep(&mut self.sight.pitches, pitch);
        }
    }
}

impl Look {
    /// Of what is not quiet, 40 ms now and then: as much as the beep of a browser's
    /// microphone that is none lies in.
    fn listen(&mut self, sample: f64, rate: u32) {
        if self.rest > 0 {
            self.rest -= 1;
        } else if !self.moment.is_empty() || sample.abs() > MURMUR {
            self.moment.push(sample);
        }
        if self.moment.len() >= rate as usize / 25 {
            keep(&mut self.sight.tones, strongest(&self.moment, rate));
            self.moment.clear();
            self.rest = rate as usize / 10;
        }
    }
}

fn keep<T>(list: &mut Vec<T>, item: T) {
    list.push(item);
    if list.len() > KEPT {
        list.remove(0);
    }
}
