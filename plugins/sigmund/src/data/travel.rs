//! Caps of timed metadata, between GStreamer's and those that travel.

use sigmund::data::{CapsValue, DataCaps};

/// What the far side is told of such caps; `None`: they do not travel.
pub(super) fn told(caps: &gst::CapsRef) -> Option<String> {
    let plain = caps.size() == 1 && caps.features(0).is_none_or(is_plain);
    let structure = caps.structure(0).filter(|_| plain)?;
    let fields = structure
        .iter()
        .map(|(name, value)| Some((name.to_string(), value_of(value)?)));
    let media = structure.name().to_string();
    DataCaps {
        media,
        fields: fields.collect::<Option<_>>()?,
    }
    .write()
}

fn is_plain(features: &gst::CapsFeaturesRef) -> bool {
    features.is_equal(gst::CAPS_FEATURES_MEMORY_SYSTEM_MEMORY.as_ref())
}

fn value_of(value: &glib::SendValue) -> Option<CapsValue> {
    let text = || value.get::<String>().ok().map(CapsValue::Text);
    let number = || value.get::<i32>().ok().map(CapsValue::Int);
    let part = || {
        let part = value.get::<gst::Fraction>().ok()?;
        Some(CapsValue::Fraction(part.numer(), part.denom()))
    };
    let truth = value.get::<bool>().ok().map(CapsValue::Bool);
    truth.or_else(number).or_else(part).or_else(text)
}

/// The caps that the far side has told of.
pub(super) fn caps(told: &DataCaps) -> gst::Caps {
    let mut structure = gst::Structure::new_empty(&told.media);
    for (name, value) in &told.fields {
        match value {
            CapsValue::Bool(it) => structure.set(name, *it),
            CapsValue::Int(it) => structure.set(name, *it),
            CapsValue::Fraction(of, part) => structure.set(name, gst::Fraction::new(*of, *part)),
            CapsValue::Text(it) => structure.set(name, it),
        }
    }
    gst::Caps::builder_full().structure(structure).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_travel_or_they_do_not() {
        gst::init().unwrap();
        let there_and_back = |text: &str| {
            let told = told(&text.parse::<gst::Caps>().unwrap())?;
            Some(caps(&DataCaps::read(told.as_bytes())?).to_string())
        };
        for text in [
            "meta/x-klv, parsed=(boolean)true",
            "closedcaption/x-cea-708, format=(string)cc_data, framerate=(fraction)30/1",
        ] {
            assert_eq!(there_and_back(text).as_deref(), Some(text));
        }
        for text in [
            "application/octet-stream",
            "text/x-raw, format=utf8",
            "video/x-raw",
            "ANY",
            "meta/x-klv, parsed={ (boolean)true, (boolean)false }",
            "meta/x-klv(memory:CUDAMemory), parsed=true",
            "meta/x-klv; application/x-json",
        ] {
            assert_eq!(there_and_back(text), None, "{text}");
        }
    }
}
