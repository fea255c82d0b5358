//! Pointer and keys, as a page sends them on the channel [`LABEL`].
//!
//! One JSON object a message: `{"event":"mouse-move","x":0.5,"y":0.25}`. Places
//! are parts of the picture, 0 to 1, from its upper left corner.

use serde::Deserialize;

/// The longest message, in bytes.
const MAX: usize = 1024;

/// The longest name of a key, in bytes: those of X keysyms have less than 40.
const MAX_KEY: usize = 64;

/// What somebody does at the picture.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(missing_docs)] // the fields are those of GstNavigation
pub enum Navigation {
    /// The pointer has moved.
    MouseMove { x: f64, y: f64 },
    /// A button is down.
    MouseButtonPress { button: u8, x: f64, y: f64 },
    /// A button is up.
    MouseButtonRelease { button: u8, x: f64, y: f64 },
    /// The wheel has turned, in pixels.
    MouseScroll { x: f64, y: f64, dx: f64, dy: f64 },
    /// A key is down, by its name as GStreamer has it (X keysyms).
    KeyPress { key: String },
    /// A key is up.
    KeyRelease { key: String },
    /// A finger is down.
    TouchDown { id: u32, x: f64, y: f64 },
    /// A finger has moved.
    TouchMotion { id: u32, x: f64, y: f64 },
    /// A finger is up.
    TouchUp { id: u32, x: f64, y: f64 },
}

/// Why a message is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NavigationError(String);

impl Navigation {
    /// The label of its channel.
    pub const LABEL: &str = "sigmund-navigation";

    /// Reads one.
    pub fn read(message: &[u8]) -> Result<Self, NavigationError> {
        let error = |text: &str| NavigationError(text.to_owned());
        if message.len() > MAX {
            return Err(error("the message is too long"));
        }
        let read: Self = serde_json::from_slice(message)
            .map_err(|it| NavigationError(it.to_string().chars().take(100).collect()))?;
        match &read {
            Self::KeyPress { key } | Self::KeyRelease { key }
                if key.is_empty() || key.len() > MAX_KEY || key.chars().any(char::is_control) =>
            {
                Err(error("that is no key's name"))
            }
            Self::MouseButtonPress { button, .. } | Self::MouseButtonRelease { button, .. }
                if !(1..=15).contains(button) =>
            {
                Err(error("mice have buttons 1 to 15"))
            }
            _ if read
                .place()
                .is_some_and(|(x, y)| !is_within(x) || !is_within(y)) =>
            {
                Err(error("that place is not in the picture"))
            }
            _ => Ok(read),
        }
    }

    /// Where it happens, as parts of the picture.
    pub fn place(&self) -> Option<(f64, f64)> {
        match *self {
            Self::KeyPress { .. } | Self::KeyRelease { .. } => None,
            Self::MouseMove { x, y }
            | Self::MouseButtonPress { x, y, .. }
            | Self::MouseButtonRelease { x, y, .. }
            | Self::MouseScroll { x, y, .. }
            | Self::TouchDown { x, y, .. }
            | Self::TouchMotion { x, y, .. }
            | Self::TouchUp { x, y, .. } => Some((x, y)),
        }
    }
}

fn is_within(part: f64) -> bool {
    (0.0..=1.0).contains(&part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_says_is_understood() {
        let read = |text: &str| Navigation::read(text.as_bytes());
        let press = Navigation::MouseButtonPress {
            button: 1,
            x: 0.5,
            y: 1.0,
        };
        let text = r#"{"event":"mouse-button-press","button":1,"x":0.5,"y":1}"#;
        assert_eq!(read(text), Ok(press));
        let key = Navigation::KeyPress { key: "Left".into() };
        assert_eq!(read(r#"{"event":"key-press","key":"Left"}"#), Ok(key));
    }

    #[test]
    fn nonsense_is_not() {
        for text in [
            "",
            "null",
            r#"{"event":"explode"}"#,
            r#"{"event":"mouse-move","x":2,"y":0}"#,
            r#"{"event":"mouse-move","x":-0.1,"y":0}"#,
            r#"{"event":"mouse-move","x":1e999,"y":0}"#,
            r#"{"event":"mouse-button-press","button":99,"x":0,"y":0}"#,
            r#"{"event":"key-press","key":""}"#,
            r#"{"event":"touch-up","id":-1,"x":0,"y":0}"#,
        ] {
            assert!(Navigation::read(text.as_bytes()).is_err(), "{text}");
        }
        let long = format!(r#"{{"event":"key-press","key":"{}"}}"#, "x".repeat(2000));
        assert!(Navigation::read(long.as_bytes()).is_err());
    }
}
