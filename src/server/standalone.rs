//! The server without an element: streams of publishers elsewhere.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use super::metrics::{Metrics, page};
use super::rules::{Current, Rules};
use super::tls::Certificate;
use super::{Plan, Running, bind, own_names};
use crate::access::{AccessError, Authenticator, IceServers, Limits, Policy, check_exposure};
use crate::signaller::{SignallerError, TlsFiles};

/// What cannot change while a server runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Where to listen; port 0 for any free one.
    pub listen: SocketAddr,
    /// The certificate, for https and wss.
    pub tls: Option<TlsFiles>,
    /// Another address to serve the metrics at, to everybody who reaches it.
    pub metrics: Option<SocketAddr>,
    /// By what it is joined to other servers.
    pub nats: Option<super::cluster::Nats>,
}

/// What can.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Who may do what.
    pub auth: Authenticator,
    /// Names that the server goes by, besides `localhost`, addresses and the
    /// machine's own; `*` for any.
    pub allowed_hosts: Vec<String>,
    /// Foreign web pages that may use it; `*` for all.
    pub allowed_origins: Vec<String>,
    /// How much.
    pub limits: Limits,
    /// Handed to all peers.
    pub ice: IceServers,
}

impl Terms {
    /// May a server with these terms be open at this address?
    pub fn check(&self, listen: IpAddr) -> Result<(), AccessError> {
        let auth = &self.auth;
        check_exposure(listen, auth.has_tokens(), auth.has_anonymous()).map_err(|_| {
            AccessError(format!(
                "listening on {listen} lets everybody who reaches this machine in: say who may come with token-file or key-file, \
                 or that everybody may with anonymous=view (watch) or anonymous=all (watch and publish)"
            ))
        })
    }

    fn rules(&self, place: &Place) -> Rules {
        let names = own_names("", place.listen.ip());
        Rules {
            auth: self.auth.clone(),
            policy: Policy {
                tls: place.tls.is_some(),
                allowed_hosts: [&names[..], &self.allowed_hosts].concat(),
                allowed_origins: self.allowed_origins.clone(),
            },
            limits: self.limits,
            ice: self.ice.clone(),
        }
    }
}

/// A running server that stands alone.
pub struct Standalone {
    place: Place,
    running: Running,
    metrics: Option<Running>,
    rules: Arc<Current>,
}

impl Standalone {
    /// Starts it, within a tokio runtime.
    pub fn start(place: Place, terms: &Terms) -> Result<Self, SignallerError> {
        terms
            .check(place.listen.ip())
            .map_err(|error| SignallerError::Permanent(error.to_string()))?;
        let tls = place
            .tls
            .as_ref()
            .map(Certificate::load)
            .transpose()
            .map_err(SignallerError::Permanent)?;
        let listener = bind(place.listen)?;
        let beside = place.metrics.map(bind).transpose()?;
        let rules = Current::new(terms.rules(&place));
        let metrics = Arc::new(Metrics::new());
        let plan = Plan {
            tls,
            rules: rules.clone(),
            observer: metrics.observer(),
            metrics: metrics.clone(),
            remote_publishers: true,
            nats: place.nats.clone(),
        };
        let running = Running::start(listener, plan)?;
        let hub = running.hub.clone();
        let beside = beside.map(|listener| {
            let page = move || async move { page(&metrics.text(&hub)) };
            let router = Router::new().route("/metrics", get(page));
            Running::serve(listener, router, rules.clone())
        });
        Ok(Self {
            place,
            running,
            metrics: beside.transpose()?,
            rules,
        })
    }

    /// Where it listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// Where else the metrics are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|running| running.address)
    }

    /// Where people find its page.
    pub fn url(&self) -> String {
        let address = self.address();
        let ip = crate::signaller::reachable(address.ip());
        let scheme = if self.place.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}/", SocketAddr::new(ip, address.port()))
    }

    /// Goes by these terms from now on. Sessions that have begun go on.
    pub fn change(&self, terms: &Terms) -> Result<(), AccessError> {
        terms.check(self.place.listen.ip())?;
        self.rules.set(terms.rules(&self.place));
        Ok(())
    }

    /// Stops it: connections are closed in good order, media sessions go on.
    pub async fn stop(self) {
        self.running.stop().await;
        if let Some(metrics) = self.metrics {
            metrics.stop().await;
        }
    }
}
