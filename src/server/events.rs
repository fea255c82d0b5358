//! What happens in a server, for those who count.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::message::v1::Report;

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Event<'a> {
    /// A client has opened a connection.
    Connected,
    /// A connection has ended.
    Disconnected,
    /// A connection was not taken.
    TurnedAway { cause: &'static str },
    /// A request or a hello was refused for want of a right.
    Denied { cause: &'static str },
    /// A stream is here.
    Published { stream: &'a str },
    /// A stream is gone.
    Unpublished { stream: &'a str },
    /// A viewer's offer was answered, or it answered one.
    Joined { protocol: &'a str, took: Duration },
    /// A publisher has reported of one of its sessions.
    Media(Media),
    /// A viewer's session did not come about.
    NotJoined {
        protocol: &'a str,
        cause: &'static str,
    },
}

/// How media went since the report before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Media {
    /// Bytes from the publisher to the peer.
    pub(crate) sent: u64,
    /// Bytes from the peer to the publisher.
    pub(crate) received: u64,
    /// Packets from the publisher to the peer.
    pub(crate) packets: u64,
    /// Those of them that were lost.
    pub(crate) lost: u64,
    /// The round-trip time, in seconds.
    pub(crate) rtt: Option<f64>,
}

impl Media {
    /// What has been added. Nobody can take away, nor add what cannot be.
    pub(crate) fn between(before: &Report, now: &Report) -> Self {
        let more = |before: u64, now: u64| now.saturating_sub(before).min(MOST);
        let packets = more(before.packets_sent, now.packets_sent);
        Self {
            sent: more(before.bytes_sent, now.bytes_sent),
            received: more(before.bytes_received, now.bytes_received),
            packets,
            lost: more(before.packets_lost, now.packets_lost).min(packets),
            rtt: now.rtt.filter(|it| (0.0..=60.0).contains(it)),
        }
    }
}

/// More than any session sends between two reports: what claims to be more is no
/// honest number, and would spoil the sums.
const MOST: u64 = 1 << 40;

/// Hears of events, on the spot: it must be quick. No lock is held meanwhile.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Fn(&Event<'_>) + Send + Sync>);

impl Observer {
    pub(crate) fn new(hear: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        (self.0)(event);
    }
}

impl Default for Observer {
    /// Hears nothing.
    fn default() -> Self {
        Self(Arc::new(|_| ()))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer(…)")
    }
}
