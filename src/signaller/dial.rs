//! Dials servers: HTTP and WebSocket, with and without TLS.
//!
//! TLS verifies the server by the system's roots and by those of
//! [`Options::tls_ca`](super::Options::tls_ca); nothing falls back to clear
//! text. The cryptography is chosen here and not installed for the process,
//! which is not ours.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tokio::{TokioAdapter, client_async_with_config};
use async_tungstenite::tungstenite::client::IntoClientRequest;
use async_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use axum::http::header::{AUTHORIZATION, HOST, SEC_WEBSOCKET_PROTOCOL, USER_AGENT};
use axum::http::{HeaderValue, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::Service;
use url::Url;

use super::SignallerError;
use crate::access::Token;

/// How long a connection may take, until TLS and the WebSocket stand.
const CONNECT: Duration = Duration::from_secs(10);

/// How long one address of a server may take, before the next one's turn.
const CONNECT_ONE: Duration = Duration::from_secs(5);

/// How long a whole HTTP exchange may take: servers answer an offer when their
/// own side is ready, which ours allows 20 s.
const EXCHANGE: Duration = Duration::from_secs(30);

/// How long a server may leave what we send unread.
const WRITE: Duration = Duration::from_secs(10);

/// The longest message or body that is taken from a server, in bytes. A
/// description has at most 64 KiB, which JSON may double; lists of rooms and of
/// producers are longer where there are thousands.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;

/// How much of a server's own words an error repeats, in characters.
const MAX_QUOTE: usize = 300;

/// How we name ourselves.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("sigmund/", env!("CARGO_PKG_VERSION")));

/// A WebSocket to a server. Writes that the server does not take fail after 10 s.
pub(crate) type WebSocket = WebSocketStream<TokioAdapter<Box<dyn Stream>>>;

/// A byte stream, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// This end's address.
    fn address(&self) -> Option<IpAddr>;
}

/// TCP, on which writes that are not taken fail.
type Tcp = Pin<Box<TimeoutStream<TcpStream>>>;

impl Stream for Tcp {
    fn address(&self) -> Option<IpAddr> {
        self.get_ref().local_addr().ok().map(|it| it.ip())
    }
}

impl Stream for TlsStream<Tcp> {
    fn address(&self) -> Option<IpAddr> {
        self.get_ref().0.address()
    }
}

/// How servers are verified. Roots are read when they are needed first; a new
/// one reads them anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    ca: Option<PathBuf>,
    config: Arc<OnceCell<Arc<ClientConfig>>>,
}

impl Tls {
    /// Trusts the system's roots, and the certificates in the PEM file `ca`.
    pub(crate) fn new(ca: Option<PathBuf>) -> Self {
        Self {
            ca,
            config: Arc::default(),
        }
    }

    /// The configuration for rustls; ALPN is left to the caller.
    pub(crate) async fn config(&self) -> Result<Arc<ClientConfig>, SignallerError> {
        let load = || async {
            let ca = self.ca.clone();
            // Hundreds of files, on some systems.
            let loaded = tokio::task::spawn_blocking(move || load(ca.as_deref())).await;
            loaded.unwrap_or_else(|error| Err(SignallerError::Transient(error.to_string())))
        };
        self.config.get_or_try_init(load).await.cloned()
    }
}

/// What is wrong with a file for [`Tls::new`].
pub(super) fn check_ca(ca: &Path) -> Result<(), String> {
    add_ca(&mut RootCertStore::empty(), ca)
}

fn add_ca(roots: &mut RootCertStore, ca: &Path) -> Result<(), String> {
    let unreadable =
        |why: &dyn std::fmt::Display| format!("cannot read tls-ca={}: {why}", ca.display());
    let added = CertificateDer::pem_file_iter(ca)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| match error {
            pem::Error::NoItemsFound => unreadable(&"it holds no certificate in PEM form"),
            pem::Error::Io(error) => unreadable(&error),
            error => unreadable(&error),
        })?;
    if added.is_empty() {
        return Err(unreadable(&"it holds no certificate in PEM form"));
    }
    for certificate in added {
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    Ok(())
}

fn load(ca: Option<&Path>) -> Result<Arc<ClientConfig>, SignallerError> {
    let mut roots = RootCertStore::empty();
    // Some of the system's may be unreadable to us; the others do.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca) = ca {
        add_ca(&mut roots, ca).map_err(SignallerError::Permanent)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SignallerError::Permanent(format!("TLS cannot be used: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// `SCHEME://HOST:PORT/`, for a host name or an address without brackets.
pub(crate) fn url(scheme: &str, host: &str, port: u16) -> Option<Url> {
    let host = match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    Url::parse(&format!("{scheme}://{host}:{port}/"))
        .ok()
        .filter(Url::has_host)
}

/// `Authorization: Bearer …` (RFC 6750 section 2.1), marked as a secret.
pub(crate) fn bearer(token: &Token) -> Result<HeaderValue, SignallerError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).map_err(|_| {
        SignallerError::Permanent(
            "the token has characters that no HTTP header can hold".to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Opens a WebSocket at `url` (`ws` or `wss`). A server that does not speak
/// `subprotocol` is an error.
pub(crate) async fn websocket(
    url: &Url,
    tls: &Tls,
    subprotocol: Option<&'static str>,
    token: Option<&Token>,
) -> Result<WebSocket, SignallerError> {
    let place = place(url);
    let open = async {
        let stream = connect(url, tls).await?;
        let mut request = url
            .as_str()
            .into_client_request()
            .map_err(|error| SignallerError::Permanent(format!("bad address {place}: {error}")))?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, AGENT);
        if let Some(subprotocol) = subprotocol {
            headers.insert(
                SEC_WEBSOCKET_PROTOCOL,
                HeaderValue::from_static(subprotocol),
            );
        }
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, bearer(token)?);
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(8 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * MAX_MESSAGE)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let opened = client_async_with_config(request, stream, Some(config)).await;
        let (socket, _) = opened.map_err(|error| handshake_error(&place, error))?;
        Ok(socket)
    };
    timeout(CONNECT, open)
        .await
        .unwrap_or_else(|_| Err(too_slow(&place, CONNECT)))
}

/// Sends one request (absolute URI, `http` or `https`) and waits for all of its
/// response. Redirects are the caller's affair.
pub(crate) async fn http(
    mut request: Request<Bytes>,
    tls: &Tls,
) -> Result<Response<Bytes>, SignallerError> {
    let bad =
        |why: &dyn std::fmt::Display| SignallerError::Permanent(format!("bad address: {why}"));
    let url = Url::parse(&request.uri().to_string()).map_err(|error| bad(&error))?;
    let place = place(&url);
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let host = HeaderValue::from_str(host).map_err(|error| bad(&error))?;
    let path = Uri::try_from(&url[url::Position::BeforePath..url::Position::AfterQuery])
        .map_err(|error| bad(&error))?;
    *request.uri_mut() = path;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(USER_AGENT, AGENT);
    let failed =
        |error: &dyn Error| SignallerError::Transient(format!("{place}: {}", chain(error)));
    let exchange = async {
        let stream = timeout(CONNECT, connect(&url, tls))
            .await
            .unwrap_or_else(|_| Err(too_slow(&place, CONNECT)))?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(64 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(&error))?;
        let respond = async {
            let response = sender.send_request(request.map(Full::new)).await;
            let (head, body) = response.map_err(|error| failed(&error))?.into_parts();
            let body = Limited::new(body, MAX_MESSAGE)
                .collect()
                .await
                .map_err(|error| failed(error.as_ref()))?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        // The connection's own errors reach the sender, too.
        tokio::pin!(respond);
        tokio::select! {
            response = &mut respond => response,
            _ = connection => respond.await,
        }
    };
    timeout(EXCHANGE, exchange)
        .await
        .unwrap_or_else(|_| Err(too_slow(&place, EXCHANGE)))
}

/// What an HTTP error means for us, with the server's own words.
pub(crate) fn refused(what: &str, status: StatusCode, body: &[u8]) -> SignallerError {
    let mut text = format!("{what} answered {status}");
    let said = quote(body);
    if !said.is_empty() {
        text = format!("{text}: {said}");
    }
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; set the property `token` to one that it accepts"
        }
        StatusCode::NOT_FOUND => "; check the path of the URI",
        _ => "",
    };
    text.push_str(hint);
    let again = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::CONFLICT
                | StatusCode::TOO_EARLY
                | StatusCode::TOO_MANY_REQUESTS
        );
    if again {
        SignallerError::Transient(text)
    } else {
        SignallerError::Permanent(text)
    }
}

/// A server's words, fit to stand in an error: one short line.
pub(crate) fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_QUOTE)]);
    // Control characters could forge lines of a log.
    let words = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_QUOTE).collect()
}

/// Connects, and encrypts if the scheme says so.
async fn connect(url: &Url, tls: &Tls) -> Result<Box<dyn Stream>, SignallerError> {
    let place = place(url);
    let bad = |why: &dyn std::fmt::Display| {
        SignallerError::Permanent(format!("bad address {place}: {why}"))
    };
    let encrypted = match url.scheme() {
        "http" | "ws" => false,
        "https" | "wss" => true,
        other => return Err(bad(&format_args!("nothing is known of {other}://"))),
    };
    let host = url.host().ok_or_else(|| bad(&"it has no host"))?;
    let port = url
        .port_or_known_default()
        .ok_or_else(|| bad(&"it has no port"))?;
    let uri = Uri::try_from(format!("http://{host}:{port}/")).map_err(|error| bad(&error))?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_ONE));
    let connected = connector.call(uri).await.map_err(|error| {
        SignallerError::Transient(format!("cannot reach {place}: {}", chain(&error)))
    })?;
    let mut stream = TimeoutStream::new(connected.into_inner());
    stream.set_write_timeout(Some(WRITE));
    let stream = Box::pin(stream);
    if !encrypted {
        return Ok(Box::new(stream));
    }
    let name = host.to_string();
    let name = name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = ServerName::try_from(name).map_err(|error| bad(&error))?;
    let mut config = ClientConfig::clone(&*tls.config().await?);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let encrypted = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    Ok(Box::new(
        encrypted.map_err(|error| tls_error(&place, &error))?,
    ))
}

fn tls_error(place: &str, error: &io::Error) -> SignallerError {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(why)) => SignallerError::Permanent(format!(
            "the certificate of {place} cannot be trusted: {why}; if it is signed by an authority of your own, name that \
             authority's certificate in the property `tls-ca`"
        )),
        _ => SignallerError::Transient(format!("TLS with {place} failed: {error}")),
    }
}

fn handshake_error(place: &str, error: WsError) -> SignallerError {
    match error {
        WsError::Http(response) => refused(
            place,
            response.status(),
            response.body().as_deref().unwrap_or_default(),
        ),
        WsError::Protocol(ProtocolError::SecWebSocketSubProtocolError(why)) => {
            SignallerError::Permanent(format!(
                "{place} speaks another protocol than this URI's scheme: {why}"
            ))
        }
        WsError::Protocol(
            error @ (ProtocolError::HttparseError(_)
            | ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::WrongHttpVersion),
        ) => SignallerError::Permanent(format!("there is no WebSocket at {place}: {error}")),
        error => SignallerError::Transient(format!("{place}: {error}")),
    }
}

fn too_slow(place: &str, limit: Duration) -> SignallerError {
    SignallerError::Transient(format!(
        "{place} did not answer within {} s",
        limit.as_secs()
    ))
}

/// A server's name for errors, without path and query, which may hold secrets.
fn place(url: &Url) -> String {
    url[url::Position::BeforeScheme..url::Position::AfterPort].to_owned()
}

/// An error and what caused it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
