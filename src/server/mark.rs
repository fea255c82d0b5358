//! By what a server knows a client again, even if it has forgotten everything:
//! the digest of a secret that the client alone has. The publisher keeps the
//! mark, and brings it along when it comes back (`docs/sigmund-v1.md`, "Leaving,
//! and coming back").

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Half of the digest is enough: whoever wants another secret with the same mark
/// must try 2^128.
const BYTES: usize = 16;

/// Before the digest, in text.
const STAYS: char = 's';
const CALLS: char = 'c';

/// See the module's documentation. A look-up by it tells nothing of the secret,
/// however long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mark {
    kind: char,
    digest: [u8; BYTES],
}

impl Mark {
    /// Of a client that stays connected, and must come back in time.
    pub(super) fn of_connection(secret: &str) -> Self {
        Self::new(STAYS, secret)
    }

    /// Of a client that calls when it needs something, as WHEP's do.
    pub(super) fn of_resource(secret: &str) -> Self {
        Self::new(CALLS, secret)
    }

    fn new(kind: char, secret: &str) -> Self {
        let mut digest = [0; BYTES];
        digest.copy_from_slice(&Sha256::digest(secret)[..BYTES]);
        Self { kind, digest }
    }

    /// Has its client no connection that could be lost?
    pub(super) fn is_of_resource(self) -> bool {
        self.kind == CALLS
    }

    /// Reads what [`text`](Self::text) has written.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let kind = text.chars().next()?;
        let digest = text.strip_prefix([STAYS, CALLS])?;
        let digest = URL_SAFE_NO_PAD.decode(digest).ok()?.try_into().ok()?;
        Some(Self { kind, digest })
    }

    /// As publishers keep it.
    pub(super) fn text(self) -> String {
        format!("{}{}", self.kind, URL_SAFE_NO_PAD.encode(self.digest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kinds_and_secrets_are_told_apart() {
        let (one, other) = (Mark::of_connection("a"), Mark::of_connection("b"));
        assert_ne!(one, other);
        assert_ne!(one, Mark::of_resource("a"));
        assert!(Mark::of_resource("a").is_of_resource() && !one.is_of_resource());
        assert!(!one.text().contains("secret"));
        for wrong in ["", "s", "x", "sAAAA", "é"] {
            assert_eq!(Mark::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(secret: String) {
            for mark in [Mark::of_connection(&secret), Mark::of_resource(&secret)] {
                prop_assert_eq!(Mark::parse(&mark.text()), Some(mark));
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = Mark::parse(&text);
        }
    }
}
