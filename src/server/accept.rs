//! Accepts connections, within limits, and lets them go in good order.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::Service;

use super::events::{Event, Observer};
use super::rules::Current;
use super::tls::Certificate;
use crate::access::{Limits, client_of};

/// How long requests that are under way may take when the server stops.
const GRACE: Duration = Duration::from_millis(500);

/// How long to wait when the system has no descriptor for another connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// To a client that has too many connections open.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 2\r\n\
    content-type: application/problem+json\r\n\r\n\
    {\"status\":503,\"error\":\"too many connections\",\"hint\":\"close some, or try again in some seconds\"}";

/// Who sends a request; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client(pub(super) IpAddr);

/// What a connection becomes when its response is sent: an extension of every
/// request.
#[derive(Clone)]
pub(super) struct Handover {
    stop: watch::Receiver<()>,
    next: Arc<Mutex<Option<BoxFuture<'static, ()>>>>,
}

impl Handover {
    /// Runs `next` when HTTP is over, if it ends by an upgrade.
    pub(super) fn to(&self, next: impl Future<Output = ()> + Send + 'static) {
        *self.slot() = Some(next.boxed());
    }

    /// Its sender's end means that the server stops.
    pub(super) fn stop(&self) -> watch::Receiver<()> {
        self.stop.clone()
    }

    fn slot(&self) -> MutexGuard<'_, Option<BoxFuture<'static, ()>>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all connections share.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) tls: Option<Arc<Certificate>>,
    pub(super) router: Router,
    pub(super) rules: Arc<Current>,
    pub(super) observer: Observer,
    /// Its sender's end means that the server stops.
    pub(super) stop: watch::Receiver<()>,
}

/// Accepts until told to stop, then waits a little for what is under way.
/// `gone` is dropped when all is closed.
pub(super) async fn run(listener: TcpListener, connections: Connections, gone: watch::Sender<()>) {
    let mut open = JoinSet::new();
    let mut stop = connections.stop.clone();
    let clients = Clients::default();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.changed() => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let limits = connections.rules.get().limits;
                let place = if open.len() < limits.connections {
                    clients
                        .enter(from, limits.connections_per_address)
                        .ok_or("address")
                } else {
                    Err("all")
                };
                match place {
                    Ok(place) => {
                        let place = place.tell(connections.observer.clone());
                        open.spawn(serve(stream, from, connections.clone(), limits, place));
                    }
                    Err(cause) => {
                        connections.observer.tell(&Event::TurnedAway { cause });
                        turn_away(stream, connections.tls.is_some());
                    }
                }
            }
            Err(error) => {
                tracing::debug!("cannot accept a connection: {error}");
                sleep(EXHAUSTED).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(GRACE, async { while open.join_next().await.is_some() {} }).await;
    open.shutdown().await;
    drop(gone);
}

/// Best effort: whoever floods us is not waited for.
fn turn_away(stream: TcpStream, tls: bool) {
    if let (false, Ok(mut stream)) = (tls, stream.into_std()) {
        let _ = stream.write(TOO_MANY);
    }
}

async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    connections: Connections,
    limits: Limits,
    place: Place,
) {
    // Answers are small and awaited.
    let _ = stream.set_nodelay(true);
    let client = Client(from.ip().to_canonical());
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_timeout));
    let stream = Box::pin(stream);
    match &connections.tls {
        None => serve_http(stream, client, &connections, &limits).await,
        Some(tls) => match timeout(limits.tls_timeout, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => serve_http(stream, client, &connections, &limits).await,
            Ok(Err(error)) => tracing::debug!("TLS failed: {error}"),
            Err(_) => tracing::debug!("TLS took too long"),
        },
    }
    drop(place);
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: Client,
    connections: &Connections,
    limits: &Limits,
) {
    let handover = Handover {
        stop: connections.stop.clone(),
        next: Arc::default(),
    };
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(handover.clone());
        let mut router = connections.router.clone();
        async move {
            Ok::<Response<Body>, Infallible>(
                router
                    .call(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head)
        .max_headers(limits.header_fields)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut stop = connections.stop.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
        return;
    }
    let next = handover.slot().take();
    if let Some(next) = next {
        next.await;
    }
}

/// Counts the connections of each client.
#[derive(Clone, Default)]
struct Clients(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One counted connection.
struct Place {
    clients: Clients,
    client: IpAddr,
    observer: Observer,
}

impl Place {
    /// Tells of it, and when it is free again.
    fn tell(mut self, observer: Observer) -> Self {
        observer.tell(&Event::Connected);
        self.observer = observer;
        self
    }
}

impl Clients {
    fn enter(&self, from: SocketAddr, limit: usize) -> Option<Place> {
        let client = client_of(from.ip());
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place {
            clients: self.clone(),
            client,
            observer: Observer::default(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.observer.tell(&Event::Disconnected);
        let mut counts = self
            .clients
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}
