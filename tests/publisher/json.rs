//! GLib's values as JSON.

use gst::glib;
use gst::prelude::*;
use serde_json::{Map, Value};

/// A structure as an object; its name is left out.
pub(crate) fn structure(structure: &gst::StructureRef) -> Value {
    let fields = structure
        .iter()
        .map(|(name, v)| (name.to_string(), value(v)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// Numbers, texts (also those of bytes), structures and lists as such; objects as
/// their names;
/// anything else as GStreamer writes it.
pub(crate) fn value(value: &glib::Value) -> Value {
    macro_rules! plain {
        ($($kind:ty),*) => {
            $(if let Ok(plain) = value.get::<$kind>() {
                return plain.into();
            })*
        };
    }
    plain!(bool, i32, u32, i64, u64, f32, f64, Option<String>);
    if let Ok(inner) = value.get::<Option<gst::Structure>>() {
        return inner.map_or(Value::Null, |s| structure(&s));
    }
    if let Ok(list) = value.get::<gst::List>() {
        return list.iter().map(|v| self::value(v)).collect();
    }
    if let Ok(array) = value.get::<gst::Array>() {
        return array.iter().map(|v| self::value(v)).collect();
    }
    if let Ok(bytes) = value.get::<glib::Bytes>() {
        return String::from_utf8_lossy(&bytes).into();
    }
    if let Ok(object) = value.get::<Option<gst::Object>>() {
        return object.map_or(Value::Null, |o| o.name().as_str().into());
    }
    value
        .serialize()
        .map_or(Value::Null, |text| text.as_str().into())
}
