//! `nats://HOST[:PORT]/STREAM`: `sigmund.v1` over the subjects of a NATS server.
//!
//! There is no server of ours: the publisher is what a server is elsewhere. It
//! lets viewers in and names them. Envelopes are those of [`v1`](crate::message::v1).
//!
//! | subject | who publishes | what |
//! |---|---|---|
//! | `sigmund.v1.STREAM.join` | viewer, reply: its inbox | `hello` |
//! | the viewer's inbox | publisher | `welcome` or `error`; then `note`, `refused`, `ended` |
//! | `sigmund.v1.STREAM.peer.PEER` | viewer, reply: its inbox | `note`; PEER as the welcome says |
//!
//! STREAM is percent-encoded, dots too. PEER has two tokens: the publisher's
//! own, which it keeps while it runs, and the viewer's. So a viewer of a
//! publisher that is gone learns that at once: NATS says that nobody listens.

mod publisher;
mod viewer;

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerError, Subject};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::publisher::Publisher;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use self::publisher::read;
use self::viewer::Viewer;
use super::dial::{Tls, quote};
use super::{
    Capabilities, Connection, Offerer, OpenError, Options, Role, Signaller, SignallerError,
};
use crate::access::Token;
use crate::address::{SignallingUri, check_stream_name, encode_part};
use crate::message::v1::Envelope;

/// Of a publisher; to a viewer its publisher offers.
pub(super) const CAPABILITIES: Capabilities = Capabilities {
    offerer: Offerer::Us,
    trickle_in: true,
    trickle_out: true,
};

/// Where NATS listens unless configured otherwise.
const PORT: u16 = 4222;

/// How many notes wait in each queue; several for each of hundreds of peers.
const QUEUE: usize = 4096;

/// How long NATS may take to let us in, and a publisher to answer a viewer.
const ENTRY: Duration = Duration::from_secs(10);

/// How often the NATS client tries by itself, other servers of the cluster
/// among them, before the supervisor takes over.
const RECONNECTS: usize = 6;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a note to ourselves may take.
const SETTLED: Duration = Duration::from_secs(1);

/// Makes a signaller for `uri`.
pub(super) fn open(
    uri: &SignallingUri,
    options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    if uri.host.is_empty() {
        return Err(OpenError(
            "write nats://HOST/STREAM, as in nats://127.0.0.1/camera".to_owned(),
        ));
    }
    let stream = uri.stream.as_ref().unwrap_or(&options.default_stream);
    check_stream_name(stream).map_err(|error| OpenError(error.to_string()))?;
    let side = match options.role {
        Role::Publish => Side::Publisher(Publisher::new(&options.ice_servers)),
        Role::Subscribe => Side::Viewer(Viewer::new(options.receives.as_ref())),
        Role::Both => {
            let why = "nats: publishes or watches; for both, use two elements";
            return Err(OpenError(why.to_owned()));
        }
    };
    let host = match uri.host.parse() {
        Ok(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        _ => uri.host.clone(),
    };
    Ok(Box::new(Nats {
        server: format!("{host}:{}", uri.port.unwrap_or(PORT)),
        encrypted: uri.scheme == "nats+tls",
        subjects: Subjects::new(stream),
        token: options.token.clone(),
        tls_ca: options.tls_ca.clone(),
        side,
        worked: false,
        carrier: None,
    }))
}

struct Nats {
    server: String,
    encrypted: bool,
    subjects: Subjects,
    token: Option<Token>,
    tls_ca: Option<std::path::PathBuf>,
    /// Keeps what outlives a connection.
    side: Side,
    /// Has it ever connected? Then it will again.
    worked: bool,
    /// Carries the last connection's notes.
    carrier: Option<JoinHandle<Outcome>>,
}

enum Side {
    Publisher(Publisher),
    Viewer(Viewer),
}

/// How a connection has ended: the owner has let go of it, or it was lost.
type Outcome = Result<Channel, SignallerError>;

/// The subjects of a stream.
#[derive(Clone)]
struct Subjects {
    stream: String,
    /// `sigmund.v1.STREAM`
    prefix: String,
}

impl Subjects {
    fn new(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            prefix: format!("sigmund.v1.{}", encode_part(stream).replace('.', "%2E")),
        }
    }

    fn join(&self) -> String {
        format!("{}.join", self.prefix)
    }

    /// Of one peer, or with `*` in its name of many.
    fn peer(&self, peer: &str) -> String {
        format!("{}.peer.{peer}", self.prefix)
    }
}

#[async_trait]
impl Signaller for Nats {
    fn capabilities(&self) -> Capabilities {
        let offerer = match self.side {
            Side::Publisher(_) => Offerer::Us,
            Side::Viewer(_) => Offerer::Them,
        };
        Capabilities {
            offerer,
            ..CAPABILITIES
        }
    }

    async fn connect(&mut self) -> Result<Connection, SignallerError> {
        // One that could not get rid of its notes is cut off.
        if let Some(carrier) = self.carrier.take() {
            carrier.abort();
        }
        let (incoming_in, incoming) = mpsc::channel(QUEUE);
        let (outgoing, outgoing_out) = mpsc::channel(QUEUE);
        let enter = async {
            let channel = self.dial().await?;
            Ok(match &self.side {
                Side::Publisher(side) => {
                    let carrier = side.enter(channel, &self.subjects, incoming_in).await?;
                    tokio::spawn(carrier.run(outgoing_out))
                }
                Side::Viewer(side) => {
                    let carrier = side.enter(channel, &self.subjects, incoming_in).await?;
                    tokio::spawn(carrier.run(outgoing_out))
                }
            })
        };
        let slow = || {
            let (server, wait) = (&self.server, ENTRY.as_secs());
            SignallerError::Transient(format!(
                "NATS at {server} did not let us in within {wait} s"
            ))
        };
        let entered = timeout(ENTRY, enter).await;
        let carrier = entered
            .unwrap_or_else(|_| Err(slow()))
            .map_err(|error| match error {
                // What worked once may work again.
                SignallerError::Permanent(text) if self.worked => SignallerError::Transient(text),
                error => error,
            })?;
        self.carrier = Some(carrier);
        self.worked = true;
        Ok(Connection {
            address: None,
            incoming,
            outgoing,
        })
    }

    async fn lost(&mut self) -> Option<SignallerError> {
        self.carrier.take()?.await.ok()?.err()
    }

    async fn close(&mut self) {
        // It ends when the owner has dropped its sender and all is said.
        let Some(carrier) = self.carrier.take() else {
            return;
        };
        let Ok(Ok(channel)) = carrier.await else {
            return;
        };
        let farewell = async {
            match &self.side {
                Side::Publisher(side) => side.leave(&channel).await,
                Side::Viewer(side) => side.leave(&channel, &self.subjects).await,
            }
            channel.flush().await;
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

impl Nats {
    async fn dial(&self) -> Result<Channel, SignallerError> {
        let (faults_in, faults) = mpsc::channel(8);
        let mut options = ConnectOptions::new()
            .name("sigmund")
            .connection_timeout(ENTRY)
            .ping_interval(Duration::from_secs(15))
            .subscription_capacity(QUEUE)
            .max_reconnects(RECONNECTS)
            .reconnect_delay_callback(|attempt| {
                let steps = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
                Duration::from_millis(100).saturating_mul(steps.min(10))
            })
            .event_callback(move |event| {
                let faults = faults_in.clone();
                async move {
                    if let Event::ServerError(ServerError::Other(text)) = event {
                        let _ = faults.try_send(text);
                    }
                }
            });
        let config = Tls::new(self.tls_ca.clone()).config().await?;
        options = options
            .tls_client_config((*config).clone())
            .require_tls(self.encrypted);
        if let Some(token) = &self.token {
            options = match token.reveal().split_once(':') {
                Some((user, password)) => {
                    options.user_and_password(user.to_owned(), password.to_owned())
                }
                None => options.token(token.reveal().to_owned()),
            };
        }
        let client = options
            .connect(&self.server)
            .await
            .map_err(|error| connect_error(&self.server, &error))?;
        Ok(Channel { client, faults })
    }
}

fn connect_error(server: &str, error: &async_nats::ConnectError) -> SignallerError {
    let why = super::dial::chain(error);
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            SignallerError::Permanent(format!(
                "NATS at {server} does not let us in ({why}); set the property `token` to its token, or to USER:PASSWORD"
            ))
        }
        ConnectErrorKind::Tls | ConnectErrorKind::Io
            if why.contains("invalid peer certificate") =>
        {
            SignallerError::Permanent(format!(
                "the certificate of {server} cannot be trusted: {why}; if it is signed by an authority of your own, name \
                 that authority's certificate in the property `tls-ca`"
            ))
        }
        _ => SignallerError::Transient(format!("cannot reach NATS at {server}: {why}")),
    }
}

/// A connection to NATS.
struct Channel {
    client: Client,
    /// What NATS has forbidden.
    faults: mpsc::Receiver<String>,
}

impl Channel {
    async fn say(
        &self,
        subject: impl Into<Subject>,
        reply: Option<&Subject>,
        envelope: &Envelope,
    ) -> Result<(), SignallerError> {
        let (subject, text) = (subject.into(), envelope.write().into());
        let said = match reply {
            Some(reply) => {
                self.client
                    .publish_with_reply(subject, reply.clone(), text)
                    .await
            }
            None => self.client.publish(subject, text).await,
        };
        said.map_err(|error| lost(&error))
    }

    /// Waits until NATS knows our subscriptions, so that what is said to us from
    /// now on finds us: it takes the requests of one connection in order, and a
    /// note to ourselves is the last of them. Where permissions do not let it
    /// pass, a moment has to do.
    async fn settle(&self) {
        let inbox = self.client.new_inbox();
        let Ok(mut probe) = self.client.subscribe(inbox.clone()).await else {
            return;
        };
        if self.client.publish(inbox, Bytes::new()).await.is_ok() {
            let _ = timeout(SETTLED, probe.next()).await;
        }
    }

    /// Waits until NATS has taken all that was said.
    async fn flush(&self) {
        if self.client.connection_state() == State::Connected {
            let _ = self.client.flush().await;
        }
    }
}

fn lost(error: &dyn std::error::Error) -> SignallerError {
    SignallerError::Transient(format!("the connection to NATS was lost: {error}"))
}

fn gone() -> SignallerError {
    SignallerError::Transient("the connection to NATS was lost".to_owned())
}

/// NATS says what we may not do.
fn forbidden(text: &str) -> SignallerError {
    SignallerError::Permanent(format!(
        "NATS forbids what signalling needs: {}; docs/signalling.md lists the subjects",
        quote(text.as_bytes())
    ))
}

/// `BYTES` random bytes as a token of a subject.
fn random_token<const BYTES: usize>() -> Result<String, SignallerError> {
    use base64::Engine;
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| SignallerError::Transient(format!("no random numbers: {error}")))?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests;
