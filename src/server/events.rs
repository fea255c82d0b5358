//! What happens in a server, for those who count.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
    /// A viewer's session did not come about.
    NotJoined {
        protocol: &'a str,
        cause: &'static str,
    },
}

/// Hears of events, on the spot: it must be quick. No lock is held meanwhile.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Fn(&Event<'_>) + Send + Sync>);

impl Observer {
    #[cfg_attr(
        not(feature = "serve"),
        allow(dead_code, reason = "the embedded server does not count")
    )]
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
