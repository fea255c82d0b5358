//! Caps of timed metadata, as one end of ours tells them to the other.
//!
//! One JSON object, as nobody parses caps of strangers: a medium of
//! [`MEDIA`], and some plain fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What travels. All else comes out as bytes.
pub const MEDIA: [&str; 7] = [
    "meta/x-klv",
    "meta/x-id3",
    "application/x-json",
    "application/x-onvif-metadata",
    "application/x-teletext",
    "closedcaption/x-cea-608",
    "closedcaption/x-cea-708",
];

/// The longest text, in bytes; the most fields; and the longest name or value.
const MAX: usize = 1024;
const MAX_FIELDS: usize = 16;
const MAX_WORD: usize = 64;

/// Caps of one structure, with nothing in them but plain values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataCaps {
    /// The media type.
    pub media: String,
    /// The fields.
    #[serde(default)]
    pub fields: BTreeMap<String, CapsValue>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CapsValue {
    /// `(boolean)`
    Bool(bool),
    /// `(int)`
    Int(i32),
    /// `(fraction)`
    Fraction(i32, i32),
    /// `(string)`
    Text(String),
}

impl DataCaps {
    /// Reads what the far side says; `None` if those are none that travel.
    pub fn read(text: &[u8]) -> Option<Self> {
        if text.len() > MAX {
            return None;
        }
        serde_json::from_slice(text).ok().filter(Self::travels)
    }

    /// Writes them; `None` if they do not travel.
    pub fn write(&self) -> Option<String> {
        let text = serde_json::to_string(self)
            .ok()
            .filter(|_| self.travels())?;
        (text.len() <= MAX).then_some(text)
    }

    fn travels(&self) -> bool {
        let is_name = |it: &str| is_word(it) && it.starts_with(|it: char| it.is_ascii_alphabetic());
        MEDIA.contains(&self.media.as_str())
            && self.fields.len() <= MAX_FIELDS
            && self
                .fields
                .iter()
                .all(|(name, value)| is_name(name) && value.is_plain())
    }
}

impl CapsValue {
    fn is_plain(&self) -> bool {
        match self {
            Self::Bool(_) | Self::Int(_) => true,
            Self::Fraction(_, part) => *part > 0,
            Self::Text(text) => is_word(text),
        }
    }
}

fn is_word(text: &str) -> bool {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_./+:".contains(it);
    !text.is_empty() && text.len() <= MAX_WORD && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let fields = [
            ("parsed", CapsValue::Bool(true)),
            ("format", CapsValue::Text("cc_data".into())),
            ("framerate", CapsValue::Fraction(30, 1)),
            ("version", CapsValue::Int(2)),
        ];
        let caps = DataCaps {
            media: "closedcaption/x-cea-708".into(),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        };
        let text = caps.write().unwrap();
        assert_eq!(DataCaps::read(text.as_bytes()), Some(caps));
    }

    #[test]
    fn what_is_none_of_ours_does_not_travel() {
        let long = "x".repeat(65);
        let many: Vec<_> = (0..17).map(|it| format!(r#""f{it}":1"#)).collect();
        for text in [
            String::new(),
            "null".into(),
            "meta/x-klv, parsed=true".into(),
            r#"{"media":"video/x-raw"}"#.into(),
            r#"{"media":"meta/x-klv(memory:CUDAMemory)"}"#.into(),
            r#"{"media":"meta/x-klv","more":1}"#.into(),
            r#"{"media":"meta/x-klv","fields":{"a":[1,0]}}"#.into(),
            r#"{"media":"meta/x-klv","fields":{"a":{"b":1}}}"#.into(),
            r#"{"media":"meta/x-klv","fields":{"a":99999999999}}"#.into(),
            r#"{"media":"meta/x-klv","fields":{"a":"b; c"}}"#.into(),
            r#"{"media":"meta/x-klv","fields":{"1":1}}"#.into(),
            format!(r#"{{"media":"meta/x-klv","fields":{{"a":"{long}"}}}}"#),
            format!(
                r#"{{"media":"meta/x-klv","fields":{{{}}}}}"#,
                many.join(",")
            ),
            format!(r#"{{"media":"meta/x-klv"{}}}"#, " ".repeat(1024)),
            "[".repeat(1000),
        ] {
            assert_eq!(DataCaps::read(text.as_bytes()), None, "{text}");
        }
        let klv = DataCaps::read(br#"{"media":"meta/x-klv"}"#).unwrap();
        assert!(klv.fields.is_empty());
    }

    proptest! {
        /// Whatever a far side says is no panic, and what is understood can be said.
        #[test]
        fn whatever_is_said_is_no_harm(
            media in prop::sample::select(&MEDIA[..]), name in "\\PC{0,3}|[a-z]{1,5}", value in "\\PC*",
            junk in prop::collection::vec(any::<u8>(), 0..2000)
        ) {
            prop_assert_eq!(DataCaps::read(&junk), None);
            let value = serde_json::to_string(&value).unwrap();
            let name = serde_json::to_string(&name).unwrap();
            let text = format!(r#"{{"media":"{media}","fields":{{{name}:{value}}}}}"#);
            if let Some(caps) = DataCaps::read(text.as_bytes()) {
                let said = caps.write().unwrap();
                prop_assert_eq!(DataCaps::read(said.as_bytes()), Some(caps));
            }
        }
    }
}
