//! The settings that all elements have: who passes the notes, who may join,
//! and how media find their way.

use std::time::Duration;

use gst::prelude::*;
use sigmund::access::Token;
use sigmund::address::{IceScheme, IceServer, Transport};
use sigmund::sdp::{Codec, Kind};
use sigmund::signaller::{Options, Role, TlsFiles};

use super::property::{Property, property};
use crate::driver::Network;

/// In ms.
const GIVE_UP_TIME: u32 = 30_000;

/// What the user set.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    uri: Option<String>,
    token: Option<String>,
    allow_anonymous: bool,
    allowed_origins: Option<String>,
    allowed_hosts: Option<String>,
    tls_certificate: Option<String>,
    tls_key: Option<String>,
    tls_ca: Option<String>,
    ice_servers: Option<String>,
    ice_transport_policy: IceTransportPolicy,
    ice_port_range: Option<String>,
    give_up_time: u32,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            uri: None,
            token: None,
            allow_anonymous: false,
            allowed_origins: None,
            allowed_hosts: None,
            tls_certificate: None,
            tls_key: None,
            tls_ca: None,
            ice_servers: None,
            ice_transport_policy: IceTransportPolicy::All,
            ice_port_range: None,
            give_up_time: GIVE_UP_TIME,
        }
    }
}

/// Settings that hold those of all elements.
pub(crate) trait HasCommon: 'static {
    /// To read.
    fn common(&self) -> &Common;
    /// To write.
    fn common_mut(&mut self) -> &mut Common;
}

/// Which candidates are used (W3C `RTCIceTransportPolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "SigmundIceTransportPolicy")]
#[repr(i32)]
pub enum IceTransportPolicy {
    /// Host, server-reflexive and relayed ones.
    #[default]
    All,
    /// Relayed ones only: peers never see our addresses.
    Relay,
}

impl Common {
    /// The URI, also that of an element that was not told any.
    pub(crate) fn uri(&self, element_name: &str) -> String {
        self.uri
            .clone()
            .unwrap_or_else(|| format!("listen://127.0.0.1:8080/{element_name}"))
    }

    /// What signalling is told.
    pub(crate) fn options(&self, role: Role, element_name: &str) -> Result<Options, String> {
        let tls = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles {
                certificate: certificate.into(),
                key: key.into(),
            }),
            (None, None) => None,
            _ => return Err("tls-certificate and tls-key go together; set both".into()),
        };
        Ok(Options {
            token: self.token.clone().map(Token::new),
            allow_anonymous: self.allow_anonymous,
            tls,
            tls_ca: self.tls_ca.clone().map(Into::into),
            allowed_origins: list(&self.allowed_origins),
            allowed_hosts: list(&self.allowed_hosts),
            ice_servers: self.ice_servers()?,
            ..Options::new(role, element_name)
        })
    }

    /// For how long a peer whose path is lost is given other connections.
    pub(crate) fn give_up(&self) -> Duration {
        Duration::from_millis(self.give_up_time.into())
    }

    /// What connections are told.
    pub(crate) fn network(&self) -> Result<Network, String> {
        Ok(Network {
            ice_servers: self.ice_servers()?,
            relay_only: self.ice_transport_policy == IceTransportPolicy::Relay,
            port_range: self.port_range()?,
            late_relays: false,
            tls_ca: self.tls_ca.clone().map(Into::into),
        })
    }

    fn ice_servers(&self) -> Result<Vec<IceServer>, String> {
        let servers = match &self.ice_servers {
            Some(list) => IceServer::parse_list(list).map_err(|e| format!("ice-servers: {e}"))?,
            None => Vec::new(),
        };
        let dtls =
            |it: &IceServer| it.scheme == IceScheme::Turns && it.transport == Some(Transport::Udp);
        if servers.iter().any(dtls) {
            return Err("ice-servers: turns: is TLS over TCP; leave out transport=udp".into());
        }
        Ok(servers)
    }

    fn port_range(&self) -> Result<Option<(u16, u16)>, String> {
        let Some(text) = &self.ice_port_range else {
            return Ok(None);
        };
        text.split_once('-')
            .and_then(|(min, max)| Some((min.trim().parse().ok()?, max.trim().parse().ok()?)))
            .filter(|(min, max)| *min > 0 && min <= max)
            .map(Some)
            .ok_or_else(|| {
                format!("ice-port-range takes FIRST-LAST, e.g. 50000-50100, not {text:?}")
            })
    }
}

fn list(text: &Option<String>) -> Vec<String> {
    let items = text.iter().flat_map(|text| text.split(',')).map(str::trim);
    items
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads a list of codecs of one kind, the value of `property`.
pub(crate) fn codecs(property: &str, kind: Kind, list: &str) -> Result<Vec<Codec>, String> {
    let known = [Codec::H264, Codec::Vp8, Codec::Opus];
    let fits = |codec: &&Codec| codec.kind() == kind;
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut of_kind = known.iter().filter(fits);
            of_kind
                .find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))
                .copied()
                .ok_or_else(|| {
                    let names = known.iter().filter(fits).map(|c| c.encoding_name());
                    let names: Vec<_> = names.collect();
                    format!(
                        "{property}: {name:?} is not known; there are {}",
                        names.join(", ")
                    )
                })
        })
        .collect()
}

/// A property that is a text.
pub(crate) fn text(
    name: &'static str,
    blurb: &'static str,
) -> glib::ParamSpecStringBuilder<'static> {
    glib::ParamSpecString::builder(name).blurb(blurb)
}

/// The rows that stand first in each element's table.
pub(crate) fn common_properties<S: HasCommon>() -> Vec<Property<S>> {
    let mut all = signalling_properties();
    all.extend(network_properties());
    all
}

fn signalling_properties<S: HasCommon>() -> Vec<Property<S>> {
    vec![
        property!(
            S: common.uri,
            text(
                "uri",
                "Who carries the notes between the peers, e.g. listen://0.0.0.0:8080/camera \
                 (embedded server: page, WHEP, WHIP). Default: listen://127.0.0.1:8080/<element name>"
            )
        ),
        property!(
            S: common.token,
            text(
                "token",
                "Secret that peers must present to us (Authorization: Bearer, or #token=… in the \
                 page's URL), or that we present to a server"
            )
        ),
        property!(
            S: common.allow_anonymous,
            glib::ParamSpecBoolean::builder("allow-anonymous").blurb(
                "Let anybody join who reaches the address, even from other machines, without a token"
            )
        ),
        property!(
            S: common.allowed_origins,
            text(
                "allowed-origins",
                "Web origins besides our own whose pages may join, separated by commas, \
                 e.g. https://example.org; * for any"
            )
        ),
        property!(
            S: common.allowed_hosts,
            text(
                "allowed-hosts",
                "Host names under which the embedded server may be reached, separated by commas; \
                 addresses and localhost always may"
            )
        ),
        property!(
            S: common.tls_certificate,
            text(
                "tls-certificate",
                "PEM file with the server's certificate chain; makes the embedded server speak HTTPS"
            )
        ),
        property!(
            S: common.tls_key,
            text("tls-key", "PEM file with the private key of tls-certificate")
        ),
        property!(
            S: common.tls_ca,
            text(
                "tls-ca",
                "PEM file with a certificate authority to trust besides the system's, for servers \
                 that we connect to"
            )
        ),
    ]
}

fn network_properties<S: HasCommon>() -> Vec<Property<S>> {
    vec![
        property!(
            S: common.ice_servers,
            text(
                "ice-servers",
                "STUN and TURN servers, separated by commas: stun://HOST[:PORT], \
                 turn://USER:PASSWORD@HOST[:PORT][?transport=udp|tcp], \
                 turns://USER:PASSWORD@HOST[:PORT] (TLS, verified), percent-encoded"
            )
        ),
        property!(
            S: common.ice_transport_policy,
            glib::ParamSpecEnum::builder_with_default(
                "ice-transport-policy",
                IceTransportPolicy::All
            )
            .blurb("Which ICE candidates are used; relay hides our addresses behind a TURN server")
        ),
        property!(
            S: common.ice_port_range,
            text(
                "ice-port-range",
                "UDP ports for media, FIRST-LAST, one for each peer and local address; default any"
            )
        ),
        property!(
            S: common.give_up_time,
            glib::ParamSpecUInt::builder("give-up-time")
                .default_value(GIVE_UP_TIME)
                .blurb(
                    "For how long (in ms) a peer whose network path is lost is given other \
                     connections, where it speaks sigmund.v1; 0 ends its session at once"
                )
        ),
    ]
}
