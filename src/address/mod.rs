//! Signalling URIs and ICE-server URIs. Pure.

/// A signalling URI that has been read: `SCHEME://HOST[:PORT][/STREAM]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignallingUri {
    /// Lower case, as registered: `listen`, `sigmund+ws`, …
    pub scheme: String,
    /// Host name or address, without brackets; empty for schemes without one.
    pub host: String,
    /// The port, if given.
    pub port: Option<u16>,
    /// The stream, percent-decoded; `None` when the path is empty.
    pub stream: Option<String>,
    /// The URI as the user wrote it.
    pub text: String,
}

/// Why an address cannot be used; says what is wrong and shows a right one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(pub String);

impl SignallingUri {
    /// Reads a URI.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        todo!("{text}")
    }
}

/// A STUN or TURN server: `stun://host[:port]`,
/// `turn(s)://user:pass@host[:port][?transport=udp|tcp]`, percent-encoded
/// (RFC 7064, RFC 7065, with the user info that GStreamer puts in).
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun`, `turn` or `turns`.
    pub scheme: IceScheme,
    /// Host name or address.
    pub host: String,
    /// The port; 3478, or 5349 for `turns`, unless given.
    pub port: u16,
    /// For TURN: the user name, decoded.
    pub username: Option<String>,
    /// For TURN: the password, decoded. Never shown by `Debug`.
    pub password: Option<String>,
    /// For TURN: `udp` or `tcp`, if given.
    pub transport: Option<Transport>,
}

/// The kind of an ICE server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceScheme {
    /// RFC 8489
    Stun,
    /// RFC 8656
    Turn,
    /// TURN over TLS
    Turns,
}

/// How a TURN server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `?transport=udp`
    Udp,
    /// `?transport=tcp`
    Tcp,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}:{}:{}", self.scheme, self.host, self.port)
    }
}
