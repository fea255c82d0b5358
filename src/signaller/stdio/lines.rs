//! Notes among other text. Pure.

use serde::Deserialize;

use crate::message::v1::{Envelope, MAX_TO_SERVER};
use crate::message::{MAX_SDP, Message};

/// What is found.
#[derive(Debug, PartialEq)]
pub(in crate::signaller) enum Note {
    /// An object on a line.
    Message(Message),
    /// A bare description.
    Description(String),
}

/// Reads text as it comes. Holds no more than the longest note.
#[derive(Default)]
pub(in crate::signaller) struct Lines {
    line: Vec<u8>,
    /// Is the line too long already?
    skipped: bool,
    description: Option<String>,
}

impl Lines {
    /// The notes that end in `chunk`.
    pub(in crate::signaller) fn take(&mut self, chunk: &[u8]) -> Vec<Note> {
        let mut notes = Vec::new();
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (part, ended) = match part.strip_suffix(b"\n") {
                Some(part) => (part, true),
                None => (part, false),
            };
            if self.line.len() + part.len() > MAX_TO_SERVER {
                self.skipped = true;
                self.line.clear();
            }
            if !self.skipped {
                self.line.extend_from_slice(part);
            }
            if ended {
                let line = std::mem::take(&mut self.line);
                if !std::mem::take(&mut self.skipped) {
                    self.read(String::from_utf8_lossy(&line).trim(), &mut notes);
                }
            }
        }
        notes
    }

    fn read(&mut self, line: &str, notes: &mut Vec<Note>) {
        if let Some(description) = &mut self.description {
            if is_description(line) && description.len() + line.len() + 2 <= MAX_SDP {
                description.push_str(line);
                description.push_str("\r\n");
                return;
            }
            notes.extend(self.description.take().map(Note::Description));
        }
        if line == "v=0" {
            self.description = Some("v=0\r\n".to_owned());
        } else if line.starts_with('{') {
            notes.extend(message(line).map(Note::Message));
        }
    }
}

/// `x=…` (RFC 8866 section 5).
fn is_description(line: &str) -> bool {
    let mut bytes = line.bytes();
    bytes.next().is_some_and(|it| it.is_ascii_lowercase()) && bytes.next() == Some(b'=')
}

/// A note as it is, or within an envelope.
fn message(line: &str) -> Option<Message> {
    let mut values = serde_json::Deserializer::from_str(line);
    let message = match Message::deserialize(&mut values) {
        Ok(message) => message,
        Err(_) => match Envelope::read(line) {
            Ok(Some(Envelope::Note { note, .. })) => note,
            _ => return None,
        },
    };
    message.check().ok().map(|()| message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer(sdp: &str) -> Note {
        Note::Message(Message::Offer { sdp: sdp.into() })
    }

    #[test]
    fn notes_are_found_among_other_text() {
        let text = "Setting pipeline to PLAYING ...\r\n\
            {\"type\":\"offer\",\"sdp\":\"v=0\"}\n\
            { \"this\": \"is json\" }\n{not json}\n\
            \x1b[0m0:00:01 DEBUG {\"type\":\"bye\"}\n\
            {\"type\":\"note\",\"peer\":\"publisher\",\"note\":{\"type\":\"please-offer\"}}\n";
        let notes = Lines::default().take(text.as_bytes());
        assert_eq!(
            notes,
            [offer("v=0"), Note::Message(Message::please_offer())]
        );
    }

    #[test]
    fn a_bare_description_ends_where_it_ends() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\ns=-\n"), []);
        let whole = Note::Description("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n".into());
        assert_eq!(lines.take(b"\n"), [whole]);
        let both = lines.take(b"v=0\n{\"type\":\"please-offer\"}\n");
        assert_eq!(both[0], Note::Description("v=0\r\n".into()));
        assert_eq!(both.len(), 2);
    }

    #[test]
    fn nothing_grows_without_bound() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            assert_eq!(lines.take(&[b'x'; 8192]), []);
            assert!(lines.line.len() <= MAX_TO_SERVER);
        }
        lines.take(b"\nv=0\n");
        for _ in 0..100 {
            let line = format!("a={}\n", "x".repeat(8192));
            lines.take(line.as_bytes());
            assert!(
                lines
                    .description
                    .as_ref()
                    .is_none_or(|it| it.len() <= MAX_SDP)
            );
        }
        let note = lines.take(b"\n{\"type\":\"offer\",\"sdp\":\"v=0\"}\n");
        assert_eq!(note.last(), Some(&offer("v=0")));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_pieces_read_like_the_whole(
            text in prop::collection::vec(
                prop_oneof!["v=0\r?\n", "a=[a-z]{0,5}\n", "\\{\"type\":\"please-offer\"\\}\n", "\\PC{0,9}\n?"],
                0..20,
            ),
            size in 1_usize..9,
        ) {
            let text = text.concat();
            let whole = Lines::default().take(text.as_bytes());
            let mut lines = Lines::default();
            let pieces = text.as_bytes().chunks(size).flat_map(|it| lines.take(it));
            prop_assert_eq!(pieces.collect::<Vec<_>>(), whole);
        }
    }
}
