//! The HTTP server: the page, WHEP, WHIP, and the streams they offer and take.
//!
//! | module | it is |
//! |---|---|
//! | [`hub`] | which streams there are, who has joined them |
//! | [`accept`] | connections and their limits |
//! | [`routes`] | the routes, and whom the server listens to |
//! | [`resource`] | the endpoints of WHEP and WHIP, and their sessions |
//! | [`socket`] | WebSockets of viewers and publishers: `sigmund.v1` |
//! | [`gstwebrtc`] | WebSockets of gst-plugins-rs' clients |
//! | [`assets`], [`page`] | the web page |
//! | [`problem`] | errors as HTTP says them |
//! | [`elsewhere`] | the way to other servers |
//! | `cluster` | `nats`: several servers as one |
//! | [`mark`] | by what a client is known again |
//! | [`rules`] | what a server goes by, which can change while it runs |
//! | [`tls`] | certificates |
//! | [`events`] | what happens, for those who count |
//! | [`running`] | a server at work |
//! | `metrics` | what is counted, as Prometheus reads it |
//! | `standalone` | `serve`: the server without an element |
//!
//! A server is shared by all signallers of the process that name its address,
//! and stops with the last of them.

mod accept;
mod assets;
#[cfg(feature = "serve")]
pub mod cluster;
#[cfg_attr(
    not(feature = "serve"),
    allow(dead_code, reason = "only `sigmund serve` has others")
)]
mod elsewhere;
mod events;
mod gstwebrtc;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod hostile;
mod hub;
mod mark;
mod metrics;
mod page;
mod problem;
mod resource;
mod routes;
mod rules;
mod running;
mod socket;
#[cfg(feature = "serve")]
pub mod standalone;
mod tls;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use crate::access::{Authenticator, Grant, IceServers, Limits, Policy, Rights, Token};
use crate::signaller::{SignallerError, TlsFiles};

#[cfg(test)]
mod tests;

pub(crate) use hub::{Hub, Kind, Publication, Publisher};
pub(crate) use resource::CHANNEL as RESOURCE_CHANNEL;
use rules::{Current, Rules};
pub(crate) use running::own_names;
use running::{Plan, Running, bind};

/// All servers of the process, by the address that they are bound to. Never
/// held across a wait.
static SERVERS: LazyLock<Mutex<HashMap<SocketAddr, Entry>>> = LazyLock::new(Mutex::default);

struct Entry {
    server: Weak<Server>,
    /// Its sender's end means that the port is free again.
    gone: watch::Receiver<()>,
}

fn servers() -> MutexGuard<'static, HashMap<SocketAddr, Entry>> {
    SERVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a server behaves. All who share one must agree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) token: Option<Token>,
    pub(crate) allow_anonymous: bool,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) allowed_hosts: Vec<String>,
    /// Names that it goes by anyhow. Those of who starts it count.
    pub(crate) names: Vec<String>,
    pub(crate) allowed_origins: Vec<String>,
    /// May streams come from elsewhere, by WebSocket?
    pub(crate) remote_publishers: bool,
    pub(crate) limits: Limits,
}

impl Settings {
    fn rules(&self) -> Rules {
        let auth = match &self.token {
            Some(token) => Authenticator::new().allow(token, Grant::everywhere(Rights::ALL)),
            // Whoever may watch need not know who else does.
            None => Authenticator::new().allow_anonymous(Rights {
                metrics: false,
                ..Rights::ALL
            }),
        };
        Rules {
            auth,
            policy: Policy {
                tls: self.tls.is_some(),
                allowed_hosts: [&self.names[..], &self.allowed_hosts].concat(),
                allowed_origins: self.allowed_origins.clone(),
            },
            limits: self.limits,
            ice: IceServers::default(),
        }
    }

    /// The property in which the two differ.
    fn clash(&self, other: &Self) -> Option<&'static str> {
        let same_token = match (&self.token, &other.token) {
            (Some(one), Some(other)) => one.same(other),
            (None, None) => true,
            _ => false,
        };
        let same = [
            ("token", same_token),
            (
                "allow-anonymous",
                self.allow_anonymous == other.allow_anonymous,
            ),
            ("tls-certificate or tls-key", self.tls == other.tls),
            ("allowed-hosts", self.allowed_hosts == other.allowed_hosts),
            (
                "allowed-origins",
                self.allowed_origins == other.allowed_origins,
            ),
        ];
        same.into_iter()
            .find(|(_, same)| !same)
            .map(|(property, _)| property)
    }
}

/// A running server. It stops when the last handle is dropped;
/// [`leave`](Self::leave) waits for that.
pub(crate) struct Server {
    settings: Settings,
    running: Running,
}

impl Server {
    /// The server at `address`, which is started if there is none. Port 0
    /// always starts one.
    pub(crate) async fn open(
        address: SocketAddr,
        settings: Settings,
    ) -> Result<Arc<Self>, SignallerError> {
        loop {
            let mut gone = {
                let mut servers = servers();
                servers.retain(|_, entry| {
                    entry.server.strong_count() > 0 || entry.gone.has_changed().is_ok()
                });
                match servers
                    .get(&address)
                    .map(|entry| (entry.server.upgrade(), entry.gone.clone()))
                {
                    Some((Some(server), _)) => return server.share(&settings),
                    Some((None, gone)) => gone,
                    None => return Self::start(address, settings, &mut servers),
                }
            };
            // One that is stopping still has the port.
            let _ = gone.changed().await;
        }
    }

    fn share(self: Arc<Self>, settings: &Settings) -> Result<Arc<Self>, SignallerError> {
        match self.settings.clash(settings) {
            None => Ok(self),
            Some(property) => Err(SignallerError::Permanent(format!(
                "another element of this process serves {} with another {property}; elements that share an address must agree, \
                 or choose another port",
                self.address()
            ))),
        }
    }

    fn start(
        address: SocketAddr,
        settings: Settings,
        servers: &mut HashMap<SocketAddr, Entry>,
    ) -> Result<Arc<Self>, SignallerError> {
        let tls = settings
            .tls
            .as_ref()
            .map(tls::Certificate::load)
            .transpose()
            .map_err(SignallerError::Permanent)?;
        let rules = Current::new(settings.rules());
        let metrics = Arc::new(metrics::Metrics::new());
        let plan = Plan {
            tls,
            rules,
            observer: metrics.observer(),
            metrics,
            remote_publishers: settings.remote_publishers,
            #[cfg(feature = "serve")]
            nats: None,
        };
        let running = Running::start(bind(address)?, plan)?;
        let (address, gone) = (running.address, running.gone.clone());
        let server = Arc::new(Self { settings, running });
        servers.insert(
            address,
            Entry {
                server: Arc::downgrade(&server),
                gone,
            },
        );
        Ok(server)
    }

    /// Drops this handle; if it was the last one, waits until the port is free.
    pub(crate) async fn leave(self: Arc<Self>) {
        let address = self.address();
        let gone = {
            let servers = servers();
            drop(self);
            servers
                .get(&address)
                .filter(|entry| entry.server.strong_count() == 0)
                .map(|entry| entry.gone.clone())
        };
        if let Some(mut gone) = gone {
            let _ = gone.changed().await;
        }
    }

    /// Where it listens, with the real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// Its streams.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.running.hub
    }
}
