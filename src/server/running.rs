//! A server at work, whoever owns it.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

#[cfg(feature = "serve")]
use super::cluster;
#[cfg(feature = "serve")]
use super::elsewhere::Elsewhere;
use super::events::Observer;
use super::hub::Hub;
use super::metrics::Metrics;
use super::rules::Current;
use super::tls::Certificate;
use super::{accept, routes};
use crate::access::is_loopback;
use crate::signaller::SignallerError;

/// What a server is made of.
pub(super) struct Plan {
    pub(super) tls: Option<Arc<Certificate>>,
    pub(super) rules: Arc<Current>,
    pub(super) observer: Observer,
    /// Shown at `/metrics`.
    pub(super) metrics: Arc<Metrics>,
    /// May streams come from elsewhere, by WebSocket?
    pub(super) remote_publishers: bool,
    /// By what it is joined to other servers.
    #[cfg(feature = "serve")]
    pub(super) nats: Option<cluster::Nats>,
}

/// A running server. Dropped, it stops; [`stop`](Self::stop) waits for that.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) hub: Arc<Hub>,
    /// Its sender's end means that the port is free again.
    pub(super) gone: watch::Receiver<()>,
    /// Ends when other servers have been told that it stops.
    #[cfg(feature = "serve")]
    joined: Option<tokio::task::JoinHandle<()>>,
    /// Dropped with the server, which tells all its tasks to stop.
    #[cfg_attr(
        not(feature = "serve"),
        allow(dead_code, reason = "only `sigmund serve` has others")
    )]
    stop: watch::Sender<()>,
}

impl Running {
    /// Serves the page and all the rest on `listener`.
    pub(super) fn start(listener: TcpListener, plan: Plan) -> Result<Self, SignallerError> {
        #[cfg(feature = "serve")]
        let (elsewhere, asks) = plan.nats.as_ref().map(|_| Elsewhere::new()).unzip();
        let app = routes::App {
            metrics: plan.metrics,
            #[cfg(feature = "serve")]
            elsewhere,
            ..routes::App::new(
                plan.rules.clone(),
                plan.observer.clone(),
                plan.remote_publishers,
            )
        };
        let (hub, rules) = (app.hub.clone(), plan.rules);
        #[cfg(feature = "serve")]
        let slots = app.slots.clone();
        let router = routes::router(Arc::new(app));
        #[cfg_attr(
            not(feature = "serve"),
            allow(clippy::redundant_clone, reason = "nobody is joined")
        )]
        let running = Self::run(
            listener,
            plan.tls,
            router,
            rules.clone(),
            plan.observer,
            hub,
        )?;
        #[cfg(feature = "serve")]
        let running = match (plan.nats, asks) {
            (Some(nats), Some(asks)) => running.join(nats, rules, slots, asks),
            _ => running,
        };
        Ok(running)
    }

    /// Joins it to other servers.
    #[cfg(feature = "serve")]
    fn join(
        mut self,
        nats: cluster::Nats,
        rules: Arc<Current>,
        slots: super::socket::Slots,
        asks: tokio::sync::mpsc::Receiver<super::elsewhere::Ask>,
    ) -> Self {
        let house = cluster::House {
            hub: self.hub.clone(),
            slots,
            rules,
            asks,
            stop: self.stop.subscribe(),
        };
        self.joined = Some(tokio::spawn(cluster::run(nats, house)));
        self
    }

    /// Serves `router` alone on `listener`.
    #[cfg(feature = "serve")]
    pub(super) fn serve(
        listener: TcpListener,
        router: Router,
        rules: Arc<Current>,
    ) -> Result<Self, SignallerError> {
        let observer = Observer::default();
        let hub = Hub::new(rules.clone(), observer.clone(), false);
        Self::run(listener, None, router, rules, observer, hub)
    }

    fn run(
        listener: TcpListener,
        tls: Option<Arc<Certificate>>,
        router: Router,
        rules: Arc<Current>,
        observer: Observer,
        hub: Arc<Hub>,
    ) -> Result<Self, SignallerError> {
        let address = listener
            .local_addr()
            .map_err(|error| SignallerError::Transient(error.to_string()))?;
        let (stop_in, stop) = watch::channel(());
        let (gone_in, gone) = watch::channel(());
        if let Some(certificate) = &tls {
            tokio::spawn(certificate.clone().follow(stop.clone()));
        }
        let connections = accept::Connections {
            tls,
            router,
            rules,
            observer,
            stop,
        };
        tokio::spawn(accept::run(listener, connections, gone_in));
        Ok(Self {
            address,
            hub,
            gone,
            #[cfg(feature = "serve")]
            joined: None,
            stop: stop_in,
        })
    }

    /// Stops it and waits until its port is free.
    #[cfg(feature = "serve")]
    pub(super) async fn stop(mut self) {
        let mut gone = self.gone.clone();
        let joined = self.joined.take();
        drop(self);
        let _ = gone.changed().await;
        if let Some(joined) = joined {
            let _ = joined.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Before its tasks learn that it stops, which they do next.
        self.hub.shut();
    }
}

/// The names that a server goes by, besides those that are listed: the one that
/// it was told to listen on, and off loopback those of the machine.
pub(crate) fn own_names(host: &str, bound: IpAddr) -> Vec<String> {
    let mut names = Vec::new();
    if host.parse::<IpAddr>().is_err() && !host.is_empty() {
        names.push(host.to_owned());
    }
    if let (false, Some(name)) = (is_loopback(bound), gethostname::gethostname().to_str()) {
        names.extend([name.to_owned(), format!("{name}.local")]);
    }
    names
}

/// Binds, so that no task has to wait before the server is in the table.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, SignallerError> {
    let bound = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => SignallerError::Permanent(format!(
            "{address} is in use by another program; choose another port, or port 0 for any free one ({}:0)",
            host(address)
        )),
        ErrorKind::PermissionDenied => SignallerError::Permanent(format!(
            "this user may not listen on {address}; ports below 1024 need a privilege, choose a higher one ({}:8080)",
            host(address)
        )),
        ErrorKind::AddrNotAvailable => SignallerError::Permanent(format!(
            "this machine has no address {}; use one of its own, or 0.0.0.0 for all of them",
            address.ip()
        )),
        _ => SignallerError::Transient(format!("cannot listen on {address}: {error}")),
    })
}

/// As it stands in a URI.
fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}
