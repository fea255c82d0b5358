//! How much one client, and all together, may take of a server.

use std::time::Duration;

/// The limits of a server. All are settings of `sigmund serve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections in all.
    pub connections: usize,
    /// Open connections of one address.
    pub connections_per_address: usize,
    /// Sessions of one address; loopback too, as a reverse proxy may stand there.
    pub sessions_per_address: usize,
    /// Streams in all that come from elsewhere.
    pub streams: usize,
    /// Viewers of one stream.
    pub viewers_per_stream: usize,
    /// How many sessions one address may begin at once …
    pub join_burst: u32,
    /// … and how many a second in the long run.
    pub joins_per_second: u32,
    /// The longest WebSocket message, in bytes.
    pub message: usize,
    /// How many messages a WebSocket may send at once …
    pub message_burst: u32,
    /// … and how many a second in the long run.
    pub messages_per_second: u32,
    /// The longest request body, in bytes.
    pub body: usize,
    /// The longest request head, in bytes.
    pub head: usize,
    /// How many header fields a request may have.
    pub header_fields: usize,
    /// How long a client may take for a request's head; also how long a
    /// connection may lie idle between requests, and how long a WebSocket may
    /// take to say who it is.
    pub head_timeout: Duration,
    /// How long a client may take for a request's body.
    pub body_timeout: Duration,
    /// How long a client may leave what we send unread, when no more of it can
    /// be sent ahead.
    pub write_timeout: Duration,
    /// How long a TLS handshake may take.
    pub tls_timeout: Duration,
    /// How long a client waits for an element's answer.
    pub answer_timeout: Duration,
    /// How long a WebSocket may be silent, pings included.
    pub idle_timeout: Duration,
    /// How long a WebSocket client that was lost may take to come back as the same.
    pub resume_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 128,
            sessions_per_address: 256,
            streams: 1024,
            viewers_per_stream: 1024,
            join_burst: 256,
            joins_per_second: 32,
            message: 128 * 1024,
            message_burst: 512,
            messages_per_second: 64,
            body: crate::message::MAX_SDP,
            head: 16 * 1024,
            header_fields: 64,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            tls_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(45),
            resume_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// For a server that does nothing but this, and for many.
    pub fn standalone() -> Self {
        Self {
            connections: 16 * 1024,
            ..Self::default()
        }
    }
}
