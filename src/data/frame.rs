//! What our own ends put around a message.
//!
//! One byte says what it is; then, if its bit is set, eight bytes of time; then
//! the message. All frames are binary messages on the wire.
//!
//! ```text
//! 0x00 binary message    0x01 text    +0x10: the time follows, ns since 1970, big-endian
//! 0x02 credit            eight bytes follow: how much has been read so far, big-endian
//! 0x03 finish            nothing follows
//! 0x04 caps              JSON follows: the caps of all messages from here on; none: bytes
//! ```

use super::{Kind, MAX_MESSAGE};

/// The most that a frame has around its message, in bytes.
pub const HEADER: usize = 13;

const BINARY: u8 = 0x00;
const TEXT: u8 = 0x01;
const CREDIT: u8 = 0x02;
const FINISH: u8 = 0x03;
const CAPS: u8 = 0x04;
const TIMED: u8 = 0x10;

/// What two ends of ours say on a data channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message.
    Message {
        /// Text or bytes.
        kind: Kind,
        /// The wall-clock time of the sender that it belongs to, in ns since
        /// 1970: the scale of RTCP sender reports, so it goes with the frames.
        time: Option<u64>,
        /// The message itself.
        bytes: &'a [u8],
    },
    /// How much of messages has been read since the channel opened, as
    /// [`cost`](super::credit) counts.
    Credit(u64),
    /// Nothing follows for now: when all has been read, that is to be said.
    Finish,
    /// The [caps](super::DataCaps) of all binary messages from here on, as they
    /// are written; none: bytes.
    Caps(&'a [u8]),
}

/// Why a message is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It ends too soon.
    #[error("a frame of {0} bytes is too short")]
    Short(usize),
    /// It says that it has another length.
    #[error("a frame that is not as long as it says")]
    Length,
    /// Nobody knows what it is.
    #[error("a frame of an unknown kind, {0:#04x}")]
    Unknown(u8),
    /// It should be text, and is not.
    #[error("a text that is not UTF-8")]
    NotUtf8,
}

/// How much is around a message with such a time, in bytes.
pub fn header(time: Option<u64>) -> usize {
    5 + time.map_or(0, |_| 8)
}

/// How long a frame is of which this is the beginning; `None` if it is no
/// message, or more than anybody sends.
pub fn whole(beginning: &[u8]) -> Option<usize> {
    let (first, rest) = beginning.split_first()?;
    if ![BINARY, TEXT].contains(&(first & !TIMED)) {
        return None;
    }
    let length = u32::from_be_bytes(*rest.first_chunk()?);
    let length = usize::try_from(length)
        .ok()
        .filter(|it| *it <= MAX_MESSAGE)?;
    Some(length + if first & TIMED == 0 { 5 } else { HEADER })
}

impl<'a> Frame<'a> {
    /// Reads one.
    pub fn read(wire: &'a [u8]) -> Result<Self, FrameError> {
        let short = FrameError::Short(wire.len());
        let (&first, rest) = wire.split_first().ok_or(short)?;
        let number = |bytes: &'a [u8]| -> Result<(u64, &'a [u8]), FrameError> {
            let (number, rest) = bytes.split_first_chunk().ok_or(short)?;
            Ok((u64::from_be_bytes(*number), rest))
        };
        let kind = match first & !TIMED {
            BINARY => Kind::Binary,
            TEXT => Kind::Text,
            CREDIT if first == CREDIT => return Ok(Self::Credit(number(rest)?.0)),
            FINISH if first == FINISH => return Ok(Self::Finish),
            CAPS if first == CAPS => return Ok(Self::Caps(rest)),
            _ => return Err(FrameError::Unknown(first)),
        };
        if whole(wire) != Some(wire.len()) {
            return Err(FrameError::Length);
        }
        let rest = rest.get(4..).ok_or(short)?;
        let (time, bytes) = match first & TIMED {
            0 => (None, rest),
            _ => number(rest).map(|(time, rest)| (Some(time), rest))?,
        };
        if kind == Kind::Text && std::str::from_utf8(bytes).is_err() {
            return Err(FrameError::NotUtf8);
        }
        Ok(Self::Message { kind, time, bytes })
    }

    /// Writes it.
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Finish => vec![FINISH],
            Self::Caps(text) => [&[CAPS], *text].concat(),
            Self::Credit(read) => {
                let mut wire = vec![CREDIT];
                wire.extend(read.to_be_bytes());
                wire
            }
            Self::Message { kind, time, bytes } => {
                let kind = match kind {
                    Kind::Binary => BINARY,
                    Kind::Text => TEXT,
                };
                let mut wire = Vec::with_capacity(HEADER + bytes.len());
                wire.push(kind | time.map_or(0, |_| TIMED));
                // Nobody sends more than MAX_MESSAGE.
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                wire.extend(length.to_be_bytes());
                wire.extend(time.iter().flat_map(|time| time.to_be_bytes()));
                wire.extend_from_slice(bytes);
                wire
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(Frame::read(&[]), Err(FrameError::Short(0)));
        assert_eq!(Frame::read(&[0x10, 1, 2]), Err(FrameError::Length));
        let longer = [BINARY, 0, 0, 0, 3, 1, 2];
        assert_eq!(Frame::read(&longer), Err(FrameError::Length));
        assert_eq!(whole(&longer), Some(8));
        assert_eq!(whole(&[BINARY, 0xff, 0, 0, 0]), None);
        assert_eq!(Frame::read(&[CREDIT, 1]), Err(FrameError::Short(2)));
        assert_eq!(Frame::read(&[0x12; 9]), Err(FrameError::Unknown(0x12)));
        assert_eq!(Frame::read(&[0x80]), Err(FrameError::Unknown(0x80)));
        let text = [TEXT, 0, 0, 0, 1, 0xff];
        assert_eq!(Frame::read(&text), Err(FrameError::NotUtf8));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text: bool, time: Option<u64>, body in "\\PC*", read: u64) {
            let message = Frame::Message {
                kind: if text { Kind::Text } else { Kind::Binary },
                time,
                bytes: body.as_bytes(),
            };
            let wire = message.write();
            prop_assert!(wire.len() <= HEADER + body.len());
            prop_assert_eq!(Frame::read(&wire), Ok(message));
            prop_assert_eq!(whole(&wire[..5]), Some(wire.len()));
            let credit = Frame::Credit(read).write();
            prop_assert_eq!(Frame::read(&credit), Ok(Frame::Credit(read)));
            let caps = Frame::Caps(body.as_bytes());
            let wire = caps.write();
            prop_assert_eq!(Frame::read(&wire), Ok(caps));
            let finish = Frame::Finish.write();
            prop_assert_eq!(Frame::read(&finish), Ok(Frame::Finish));
        }

        #[test]
        fn nothing_on_the_wire_panics(wire: Vec<u8>) {
            let _ = (Frame::read(&wire), whole(&wire));
        }
    }
}
