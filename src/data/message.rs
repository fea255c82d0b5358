//! A message's kind, and whether a far side can take it.

use super::{HEADER, MAX_MESSAGE};

/// Text or bytes: data channels keep them apart (RFC 8831 section 6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Anything.
    Binary,
}

/// What a far side takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FarSide {
    /// The largest message on the wire, in bytes.
    pub max_message: usize,
    /// Is it one of ours, with which we frame messages?
    pub framed: bool,
}

/// Why a message is not sent. The texts are for whoever sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// It has no bytes.
    #[error("an empty message cannot be sent to a peer that is not Sigmund's own")]
    Empty,
    /// Nobody takes that much.
    #[error(
        "a message has {0} bytes, and nobody takes more than {MAX_MESSAGE}; one buffer is one \
         message, so send smaller buffers"
    )]
    TooLarge(usize),
    /// This far side does not take that much.
    #[error("a message has {size} bytes, and the peer takes at most {limit}")]
    TooLargeForPeer {
        /// Of the message, in bytes.
        size: usize,
        /// The most that the far side takes, in bytes.
        limit: usize,
    },
    /// Text with a NUL.
    #[error(
        "a text with a NUL in it cannot be sent to a peer that is not Sigmund's own; send it as binary"
    )]
    Nul,
    /// It should be text, and is not.
    #[error("a message with caps text/x-raw is not UTF-8")]
    NotUtf8,
}

impl Kind {
    /// Can a message be sent at all, whoever takes it?
    pub fn check(self, bytes: &[u8]) -> Result<(), Refused> {
        if bytes.len() > MAX_MESSAGE {
            return Err(Refused::TooLarge(bytes.len()));
        }
        match self {
            Self::Text if std::str::from_utf8(bytes).is_err() => Err(Refused::NotUtf8),
            _ => Ok(()),
        }
    }
}

impl FarSide {
    /// Does it take such a message, which passed [`Kind::check`]?
    pub fn check(&self, kind: Kind, bytes: &[u8]) -> Result<(), Refused> {
        let around = if self.framed { HEADER } else { 0 };
        let limit = self.max_message.saturating_sub(around).min(MAX_MESSAGE);
        if bytes.len() > limit {
            let size = bytes.len();
            return Err(Refused::TooLargeForPeer { size, limit });
        }
        if self.framed {
            return Ok(());
        }
        if bytes.is_empty() {
            return Err(Refused::Empty);
        }
        if kind == Kind::Text && bytes.contains(&0) {
            return Err(Refused::Nul);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: FarSide = FarSide {
        max_message: 64 * 1024,
        framed: false,
    };
    const BROWSER: FarSide = FarSide {
        max_message: MAX_MESSAGE,
        framed: false,
    };
    const OURS: FarSide = FarSide {
        max_message: MAX_MESSAGE + HEADER,
        framed: true,
    };

    #[test]
    fn each_size_reaches_whom_the_table_says() {
        const K: usize = 1024;
        for (size, any, browser, ours) in [
            (0, false, false, true),
            (1, true, true, true),
            (16 * K, true, true, true),
            (64 * K, true, true, true),
            (64 * K + 1, false, true, true),
            (256 * K, false, true, true),
        ] {
            let bytes = vec![b'x'; size];
            for kind in [Kind::Text, Kind::Binary] {
                assert_eq!(kind.check(&bytes), Ok(()));
                let taken = [ANY, BROWSER, OURS].map(|far| far.check(kind, &bytes).is_ok());
                assert_eq!(taken, [any, browser, ours], "{size} {kind:?}");
            }
        }
        let bytes = vec![0; MAX_MESSAGE + 1];
        assert_eq!(
            Kind::Binary.check(&bytes),
            Err(Refused::TooLarge(MAX_MESSAGE + 1))
        );
    }

    #[test]
    fn text_is_what_it_says() {
        assert_eq!(Kind::Text.check(&[0xff]), Err(Refused::NotUtf8));
        assert_eq!(Kind::Binary.check(&[0xff]), Ok(()));
        assert_eq!(BROWSER.check(Kind::Text, b"a\0b"), Err(Refused::Nul));
        assert_eq!(BROWSER.check(Kind::Binary, b"a\0b"), Ok(()));
        assert_eq!(OURS.check(Kind::Text, b"a\0b"), Ok(()));
    }

    #[test]
    fn a_far_side_that_takes_next_to_nothing_is_believed() {
        let tiny = FarSide {
            max_message: 1,
            framed: false,
        };
        assert_eq!(tiny.check(Kind::Binary, b"x"), Ok(()));
        let limit = Refused::TooLargeForPeer { size: 2, limit: 1 };
        assert_eq!(tiny.check(Kind::Binary, b"xx"), Err(limit));
    }
}
