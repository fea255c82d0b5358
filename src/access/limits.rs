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

/// One limit, to be changed.
#[derive(Debug)]
pub enum Slot<'a> {
    /// So many, or so many bytes.
    Size(&'a mut usize),
    /// So many, or so many a second.
    Count(&'a mut u32),
    /// So long.
    Time(&'a mut Duration),
}

impl Limits {
    /// What they are called in settings.
    pub const NAMES: [&'static str; 20] = [
        "connections",
        "connections-per-address",
        "sessions-per-address",
        "streams",
        "viewers-per-stream",
        "join-burst",
        "joins-per-second",
        "message",
        "message-burst",
        "messages-per-second",
        "body",
        "head",
        "header-fields",
        "head-timeout",
        "body-timeout",
        "write-timeout",
        "tls-timeout",
        "answer-timeout",
        "idle-timeout",
        "resume-timeout",
    ];

    /// The limit of that name.
    pub fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        Some(match name {
            "connections" => Slot::Size(&mut self.connections),
            "connections-per-address" => Slot::Size(&mut self.connections_per_address),
            "sessions-per-address" => Slot::Size(&mut self.sessions_per_address),
            "streams" => Slot::Size(&mut self.streams),
            "viewers-per-stream" => Slot::Size(&mut self.viewers_per_stream),
            "join-burst" => Slot::Count(&mut self.join_burst),
            "joins-per-second" => Slot::Count(&mut self.joins_per_second),
            "message" => Slot::Size(&mut self.message),
            "message-burst" => Slot::Count(&mut self.message_burst),
            "messages-per-second" => Slot::Count(&mut self.messages_per_second),
            "body" => Slot::Size(&mut self.body),
            "head" => Slot::Size(&mut self.head),
            "header-fields" => Slot::Size(&mut self.header_fields),
            "head-timeout" => Slot::Time(&mut self.head_timeout),
            "body-timeout" => Slot::Time(&mut self.body_timeout),
            "write-timeout" => Slot::Time(&mut self.write_timeout),
            "tls-timeout" => Slot::Time(&mut self.tls_timeout),
            "answer-timeout" => Slot::Time(&mut self.answer_timeout),
            "idle-timeout" => Slot::Time(&mut self.idle_timeout),
            "resume-timeout" => Slot::Time(&mut self.resume_timeout),
            _ => return None,
        })
    }

    /// For a server that does nothing but this, and for many.
    pub fn standalone() -> Self {
        Self {
            connections: 16 * 1024,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_name_of_its_own() {
        let mut limits = Limits::default();
        let mut seen = std::collections::HashSet::new();
        for name in Limits::NAMES {
            let slot = match limits.slot(name) {
                Some(Slot::Size(slot)) => std::ptr::from_mut(slot).addr(),
                Some(Slot::Count(slot)) => std::ptr::from_mut(slot).addr(),
                Some(Slot::Time(slot)) => std::ptr::from_mut(slot).addr(),
                None => panic!("{name}"),
            };
            assert!(seen.insert(slot), "{name} is another's");
        }
        assert!(limits.slot("other").is_none());
        // A field that is not listed has no name.
        let fields = format!("{limits:?}").matches(": ").count();
        assert_eq!(fields, Limits::NAMES.len());
    }
}
