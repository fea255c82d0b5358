//! Messages of data channels: what can be sent to whom, how our own ends frame
//! and credit them, and how much waits where. Pure.
//!
//! | file | it holds |
//! |---|---|
//! | `message` | a message's kind, and whether a far side can take it |
//! | `frame` | what our own ends put around a message |
//! | `credit` | how much may be under way to a reader that is slow |
//! | `caps` | caps of timed metadata, as they travel |
//! | `queue` | what waits to be sent, and what is dropped |
//! | `channel` | which channel belongs to which pad |
//! | `heartbeat` | a question that any SCTP endpoint answers |
//! | `navigation` | pointer and keys, as a page sends them |
//!
//! A browser gets each message as it is. Two ends of ours, which recognise each
//! other by an attribute in their descriptions, put a [`Frame`] around it: that
//! carries empty messages, text with NULs, the time of the message, and credits.

mod caps;
mod channel;
mod credit;
mod frame;
mod heartbeat;
mod message;
mod navigation;
mod queue;

pub use caps::{CapsValue, DataCaps, MEDIA};
pub use channel::{Channel, MAX_ID, agreed_channels, find_channel};
pub use credit::{Budget, Receipt, WINDOW};
pub use frame::{Frame, FrameError, HEADER, header, whole};
pub use heartbeat::{Head, head, heartbeat};
pub use message::{FarSide, Kind, Refused};
pub use navigation::{Navigation, NavigationError};
pub use queue::{Overflow, Pushed, Queue};

/// The largest message, in bytes. It reaches those who announce that they take
/// as much: browsers do; and our own ends.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// The largest message that arrives in one piece, in bytes. GStreamer's SCTP
/// hands over larger ones in several, so we ask nobody else to send them.
pub const MAX_PIECE: usize = 64 * 1024;

/// How much of messages may wait for one reader, in bytes.
pub const MAX_WAITING: usize = 4 * 1024 * 1024;

/// How many messages may wait for one reader.
pub const MAX_COUNT: usize = 16 * 1024;
