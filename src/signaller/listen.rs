//! `listen://ADDR:PORT/STREAM`: the embedded server.
//!
//! | the owner | peers come by | who offers |
//! |---|---|---|
//! | sends | WHEP, `sigmund.v1` | by WHEP they, else we |
//! | receives, one peer at a time | WHIP | they |
//! | does both, with one peer at a time | `sigmund.v1` | we |
//!
//! By WHEP and WHIP candidates of theirs may come later; ours travel in the
//! answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{
    Capabilities, Connection, Incoming, OpenError, Options, Outgoing, Role, Signaller,
    SignallerError, envelope,
};
use crate::access::{check_exposure, is_loopback};
use crate::address::{IceServer, SignallingUri, check_stream_name, encode_part};
use crate::server::{Kind, Publication, Publisher, RESOURCE_CHANNEL, Server, Settings, own_names};

/// Of peers that come by WHEP and WHIP; others say theirs when they join.
pub(super) const CAPABILITIES: Capabilities = RESOURCE_CHANNEL;

/// Where it listens if the URI does not say.
const DEFAULT_PORT: u16 = 8080;
const DEFAULT_HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How many notes to peers may wait. All sessions may end at once, and the
/// queue is emptied without ever waiting.
const QUEUE: usize = 4096;

/// Makes a signaller for `uri`.
pub(super) fn open(
    uri: &SignallingUri,
    options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    let stream = uri
        .stream
        .clone()
        .unwrap_or_else(|| options.default_stream.clone());
    check_stream_name(&stream).map_err(|error| OpenError(error.to_string()))?;
    Ok(Box::new(Listen {
        host: uri.host.clone(),
        port: uri.port.unwrap_or(DEFAULT_PORT),
        stream,
        kind: match options.role {
            Role::Publish => Kind::Publish,
            Role::Subscribe => Kind::Receive,
            Role::Both => Kind::Call,
        },
        settings: Settings {
            token: options.token.clone(),
            allow_anonymous: options.allow_anonymous,
            tls: options.tls.clone(),
            allowed_hosts: options.allowed_hosts.clone(),
            allowed_origins: options.allowed_origins.clone(),
            ..Settings::default()
        },
        ice_servers: options.ice_servers.clone(),
        place: None,
        carrier: None,
    }))
}

struct Listen {
    host: String,
    port: u16,
    stream: String,
    kind: Kind,
    settings: Settings,
    ice_servers: Vec<IceServer>,
    /// Kept between connections, so that sessions are.
    place: Option<Place>,
    /// Carries the last connection's outgoing notes.
    carrier: Option<JoinHandle<()>>,
}

/// A stream on a server.
struct Place {
    publication: Publication,
    server: Arc<Server>,
}

#[async_trait]
impl Signaller for Listen {
    fn capabilities(&self) -> Capabilities {
        match self.kind {
            Kind::Publish | Kind::Receive => CAPABILITIES,
            Kind::Call => envelope::CHANNEL,
        }
    }

    async fn connect(&mut self) -> Result<Connection, SignallerError> {
        let incoming = match &self.place {
            Some(place) => place.publication.renew(),
            None => self.publish().await?,
        };
        let (outgoing, outgoing_out) = mpsc::channel(QUEUE);
        self.carrier = self.place.as_ref().map(|place| {
            tokio::spawn(carry(
                place.publication.hub(),
                self.stream.clone(),
                outgoing_out,
            ))
        });
        Ok(Connection {
            address: self.address(),
            incoming,
            outgoing,
        })
    }

    async fn close(&mut self) {
        // It ends when the owner has dropped its sender and all is delivered.
        if let Some(carrier) = self.carrier.take() {
            let _ = carrier.await;
        }
        if let Some(Place {
            publication,
            server,
        }) = self.place.take()
        {
            drop(publication);
            server.leave().await;
        }
    }
}

impl Listen {
    /// Takes the stream's place on its server.
    async fn publish(&mut self) -> Result<mpsc::Receiver<Incoming>, SignallerError> {
        let bind = SocketAddr::new(resolve(&self.host).await?, self.port);
        let settings = Settings {
            names: own_names(&self.host, bind.ip()),
            ..self.settings.clone()
        };
        check_exposure(
            bind.ip(),
            settings.token.is_some(),
            settings.allow_anonymous,
        )
        .map_err(|error| SignallerError::Permanent(error.0))?;
        let server = Server::open(bind, settings).await?;
        let hub = server.hub();
        let published = hub.publish(&self.stream, self.kind, &self.ice_servers, Publisher::Local);
        let (publication, incoming) = published.map_err(|_| {
            SignallerError::Permanent(format!(
                "there is a stream \"{}\" on {address} already; give this one another name \
                 (listen://{address}/OTHER), or give its element one",
                self.stream,
                address = server.address(),
            ))
        })?;
        self.place = Some(Place {
            publication,
            server,
        });
        Ok(incoming)
    }

    /// Where people can watch. Only the page knows the token, if there is one:
    /// this text is shown and logged.
    fn address(&self) -> Option<String> {
        let place = self.place.as_ref()?;
        let bound = place.server.address();
        let reached = SocketAddr::new(reachable(bound.ip()), bound.port());
        let scheme = if self.settings.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let fragment = if place.publication.is_alone() {
            String::new()
        } else {
            format!("#stream={}", encode_part(&self.stream))
        };
        Some(format!("{scheme}://{reached}/{fragment}"))
    }
}

/// Hands notes to the peers until the connection's owner is gone.
async fn carry(
    hub: Arc<crate::server::Hub>,
    stream: String,
    mut outgoing: mpsc::Receiver<Outgoing>,
) {
    while let Some(note) = outgoing.recv().await {
        hub.handle(&stream, note);
    }
}

/// The address that a host name stands for; IPv4 first, as `localhost` is both
/// and browsers try both.
async fn resolve(host: &str) -> Result<IpAddr, SignallerError> {
    if host.is_empty() || host.eq_ignore_ascii_case("localhost") {
        return Ok(DEFAULT_HOST);
    }
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let unknown = |why: &str| {
        SignallerError::Permanent(format!(
            "cannot listen on \"{host}\": {why}; write an address of this machine, as in listen://127.0.0.1:8080/camera"
        ))
    };
    let mut found = tokio::net::lookup_host((host, 0))
        .await
        .map_err(|error| unknown(&error.to_string()))?
        .collect::<Vec<_>>();
    found.sort_by_key(SocketAddr::is_ipv6);
    found
        .first()
        .map(SocketAddr::ip)
        .ok_or_else(|| unknown("it has no address"))
}

/// An address by which others reach what is bound to `bound`: that of the way
/// out, if there is one, or any of the machine's own.
pub(crate) fn reachable(bound: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    let usable = |address: &IpAddr| address.is_ipv4() || bound.is_ipv6();
    let mut own = if_addrs::get_if_addrs().unwrap_or_default();
    own.retain(|interface| !interface.is_loopback() && !interface.is_link_local());
    own.sort_by_key(|interface| interface.ip().is_ipv6());
    let own = own.iter().map(if_addrs::Interface::ip);
    way_out()
        .into_iter()
        .chain(own)
        .find(usable)
        .unwrap_or(DEFAULT_HOST)
}

/// The address that packets to the world leave from. Nothing is sent for it;
/// the destination is one that is never used (RFC 5737).
fn way_out() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
        .filter(|address| !is_loopback(*address) && !address.is_unspecified())
}
