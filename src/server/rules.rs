//! What a server goes by. It can be replaced as a whole while the server runs.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::access::{Authenticator, IceServers, Limits, Policy};

/// Whom a server listens to, and what it gives them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) auth: Authenticator,
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    /// For all streams; a stream may have some of its own.
    pub(crate) ice: IceServers,
}

/// The rules as they are now.
#[derive(Debug)]
pub(crate) struct Current(RwLock<Arc<Rules>>);

impl Current {
    pub(crate) fn new(rules: Rules) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(rules))))
    }

    /// Those that hold at this moment; who works with several must ask once.
    pub(crate) fn get(&self) -> Arc<Rules> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whoever asks from now on gets these.
    #[cfg_attr(
        not(feature = "serve"),
        expect(dead_code, reason = "elements' rules never change")
    )]
    pub(crate) fn set(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

/// Milliseconds since 1970, to tell what came first.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}

/// Seconds since 1970, as other machines know them.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
