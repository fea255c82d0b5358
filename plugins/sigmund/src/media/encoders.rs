//! The encoders as a table: one row each, realtime settings as data.
//!
//! A row is trusted after its encoder has encoded a frame here and now: a
//! hardware encoder may be registered and have no session left.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use gst::prelude::*;
use sigmund::sdp::{Codec, Kind};

/// How an encoder is used.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// What it makes.
    pub(crate) codec: Codec,
    /// Its element factory.
    pub(crate) factory: &'static str,
    /// Raw caps it is fed.
    input: &'static str,
    /// Caps it is made to produce, so that what we promise in SDP is true.
    output: &'static str,
    /// Settings for live use. Those that this version does not have are left out.
    settings: &'static [(&'static str, &'static str)],
    /// The property for the bitrate, and how many bit/s its unit is.
    bitrate: (&'static str, u32),
}

/// Rows of one codec are tried from top to bottom.
const TABLE: &[Encoder] = &[
    Encoder {
        codec: Codec::H264,
        factory: "x264enc",
        input: "video/x-raw,format={I420,NV12},width=[2,32768,2],height=[2,32768,2]",
        output: "video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au",
        settings: &[
            ("tune", "zerolatency"),
            ("speed-preset", "ultrafast"),
            ("bframes", "0"),
            ("key-int-max", "2147483647"),
            ("vbv-buf-capacity", "300"),
            ("aud", "false"),
            // Slice threads cost latency and quality below 1080p; two are enough.
            ("threads", "2"),
            ("sliced-threads", "true"),
        ],
        bitrate: ("bitrate", 1000),
    },
    Encoder {
        codec: Codec::H264,
        factory: "openh264enc",
        input: "video/x-raw,format=I420,width=[2,32768,2],height=[2,32768,2]",
        output: "video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au",
        settings: &[
            ("usage-type", "camera"),
            ("complexity", "low"),
            ("rate-control", "bitrate"),
            ("enable-frame-skip", "true"),
            ("gop-size", "0"),
        ],
        bitrate: ("bitrate", 1),
    },
    Encoder {
        codec: Codec::Vp8,
        factory: "vp8enc",
        input: "video/x-raw,format=I420",
        output: "video/x-vp8",
        settings: &[
            ("deadline", "1"),
            ("cpu-used", "8"),
            ("end-usage", "cbr"),
            ("error-resilient", "default"),
            ("keyframe-max-dist", "2147483647"),
            ("lag-in-frames", "0"),
            ("threads", "2"),
            ("buffer-size", "1000"),
            ("buffer-initial-size", "500"),
            ("buffer-optimal-size", "600"),
            ("undershoot", "95"),
            ("static-threshold", "100"),
            ("max-quantizer", "56"),
        ],
        bitrate: ("target-bitrate", 1),
    },
    Encoder {
        codec: Codec::Opus,
        factory: "opusenc",
        input: "audio/x-raw,rate=48000,channels=2",
        output: "audio/x-opus",
        settings: &[
            ("frame-size", "20"),
            ("bitrate-type", "constrained-vbr"),
            ("complexity", "5"),
            ("inband-fec", "true"),
            ("packet-loss-percentage", "5"),
            ("bitrate", "96000"),
        ],
        bitrate: ("", 1),
    },
];

/// Is there an encoder for `codec` that works? Probes at the first call; blocks.
pub(crate) fn can_encode(codec: Codec) -> bool {
    working(codec).next().is_some()
}

/// All have failed at work: was it them, or what they were given? The next
/// viewer's try will tell.
pub(crate) fn forgive(codec: Codec) {
    let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    for row in TABLE.iter().filter(|row| row.codec == codec) {
        verdicts.remove(row.factory);
    }
}

/// The encoders of `codec` that work, best first.
pub(crate) fn working(codec: Codec) -> impl Iterator<Item = &'static Encoder> {
    TABLE
        .iter()
        .filter(move |row| row.codec == codec && row.works())
}

static VERDICTS: LazyLock<Mutex<HashMap<&'static str, bool>>> = LazyLock::new(Mutex::default);

impl Encoder {
    /// Strikes it off: it failed at work. See [`forgive`].
    pub(crate) fn distrust(&self) {
        self.judge(false);
    }

    fn judge(&self, works: bool) {
        let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.insert(self.factory, works);
    }

    fn works(&self) -> bool {
        let known = VERDICTS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(self.factory)
            .copied();
        known.unwrap_or_else(|| {
            let works = self.probe().is_ok();
            gst::info!(
                super::CAT,
                "{} {}",
                self.factory,
                if works { "works" } else { "does not work" }
            );
            self.judge(works);
            works
        })
    }

    /// Encodes a frame in a pipeline of its own.
    fn probe(&self) -> Result<(), String> {
        let source = match self.codec.kind() {
            Kind::Video => "videotestsrc num-buffers=2 ! video/x-raw,width=320,height=240",
            Kind::Audio => "audiotestsrc num-buffers=4",
        };
        let pipeline = gst::parse::launch(&format!("{source} ! identity name=in"))
            .map_err(|e| e.to_string())?
            .downcast::<gst::Pipeline>()
            .map_err(|_| "not a pipeline")?;
        let sink = gst::ElementFactory::make("fakesink")
            .property("sync", false)
            .build()
            .map_err(|e| e.to_string())?;
        let (first, last) = super::chain::encoder(pipeline.upcast_ref(), self, None)?;
        pipeline.add(&sink).map_err(|e| e.to_string())?;
        let linked = pipeline
            .by_name("in")
            .is_some_and(|source| source.link(&first).is_ok())
            && last.link(&sink).is_ok();
        if !linked {
            return Err(format!("{} cannot be linked", self.factory));
        }
        let outcome = Self::run(&pipeline);
        let _ = pipeline.set_state(gst::State::Null);
        outcome
    }

    fn run(pipeline: &gst::Pipeline) -> Result<(), String> {
        let bus = pipeline.bus().ok_or("a pipeline without bus")?;
        pipeline
            .set_state(gst::State::Playing)
            .map_err(|e| e.to_string())?;
        let message = bus.timed_pop_filtered(
            gst::ClockTime::from_seconds(5),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        );
        match message {
            Some(message) if message.type_() == gst::MessageType::Eos => Ok(()),
            Some(_) => Err("it failed".into()),
            None => Err("it made no frame in 5 s".into()),
        }
    }

    /// The element with its settings; the user's `extra` ones come last.
    pub(crate) fn build(&self, extra: Option<&gst::Structure>) -> Result<gst::Element, String> {
        let element = gst::ElementFactory::make(self.factory)
            .build()
            .map_err(|_| format!("{} is missing", self.factory))?;
        for (name, value) in self.settings {
            if element.find_property(name).is_some() {
                element.set_property_from_str(name, value);
            }
        }
        for (name, value) in extra.into_iter().flat_map(|s| s.iter()) {
            let Some(spec) = element.find_property(name) else {
                gst::warning!(super::CAT, "{} has no property {name}", self.factory);
                continue;
            };
            match value.transform_with_type(spec.value_type()) {
                Ok(value) => element.set_property_from_value(name, &value),
                Err(_) => {
                    gst::warning!(super::CAT, "{name} of {} takes no such value", self.factory)
                }
            }
        }
        Ok(element)
    }

    /// Sets the bitrate in bit/s, while it runs or before.
    pub(crate) fn set_bitrate(&self, element: &gst::Element, bitrate: u32) {
        let (name, unit) = self.bitrate;
        if name.is_empty() {
            return;
        }
        element.set_property_from_str(name, &(bitrate / unit).to_string());
    }

    /// Raw caps it is fed.
    pub(crate) fn input(&self) -> &'static str {
        self.input
    }

    /// Caps it is made to produce.
    pub(crate) fn output(&self) -> &'static str {
        self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_names_settings_that_its_encoder_has() {
        gst::init().unwrap();
        for row in TABLE {
            let Ok(element) = gst::ElementFactory::make(row.factory).build() else {
                panic!("{} is not installed", row.factory);
            };
            for (name, _) in row.settings {
                assert!(
                    element.find_property(name).is_some(),
                    "{} {name}",
                    row.factory
                );
            }
        }
    }

    #[test]
    fn every_codec_has_an_encoder_that_works() {
        gst::init().unwrap();
        for codec in [Codec::H264, Codec::Vp8, Codec::Opus] {
            assert!(can_encode(codec), "{codec:?}");
        }
    }
}
