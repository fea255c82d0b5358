//! Who may come in: tokens, origins, limits. Pure.

use std::fmt;

/// A secret that a peer presents. Compared in constant time, never shown.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Wraps the secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
