//! The settings that all elements have: who passes the notes, who may join,
//! and how media find their way.

use std::path::PathBuf;
use std::time::Duration;

use gst::prelude::*;
use sigmund::access::Token;
use sigmund::signaller::{Options, Role, TlsFiles};

use super::network::IceTransportPolicy;
use super::network::network_properties;
use super::property::{Property, property};

/// In ms.
pub(super) const GIVE_UP_TIME: u32 = 30_000;

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
    pub(super) ice_servers: Option<String>,
    pub(super) turn_secret: Option<String>,
    pub(super) ice_transport_policy: IceTransportPolicy,
    pub(super) ice_port_range: Option<String>,
    pub(super) ice_interfaces: Option<String>,
    pub(super) ice_external_address: Option<String>,
    pub(super) ice_tcp: bool,
    pub(super) trickle: bool,
    pub(super) give_up_time: u32,
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
            turn_secret: None,
            ice_transport_policy: IceTransportPolicy::All,
            ice_port_range: None,
            ice_interfaces: None,
            ice_external_address: None,
            ice_tcp: false,
            trickle: true,
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
            ice_servers: self.shared_ice_servers()?,
            ..Options::new(role, element_name)
        })
    }

    pub(super) fn tls_ca(&self) -> Option<PathBuf> {
        self.tls_ca.clone().map(Into::into)
    }

    /// For how long a peer whose path is lost is given other connections.
    pub(crate) fn give_up(&self) -> Duration {
        Duration::from_millis(self.give_up_time.into())
    }
}

pub(super) fn list(text: &Option<String>) -> Vec<String> {
    let items = text.iter().flat_map(|text| text.split(',')).map(str::trim);
    items
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
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
            S: common().uri,
            text(
                "uri",
                "Who carries the notes between the peers, e.g. listen://0.0.0.0:8080/camera \
                 (embedded server: page, WHEP, WHIP). Default: listen://127.0.0.1:8080/<element name>"
            )
        ),
        property!(
            S: common().token,
            text(
                "token",
                "Secret that peers must present to us (Authorization: Bearer, or #token=… in the \
                 page's URL), or that we present to a server; cannot be read back"
            )
            .write_only()
        ),
        property!(
            S: common().allow_anonymous,
            glib::ParamSpecBoolean::builder("allow-anonymous").blurb(
                "Let anybody join who reaches the address, even from other machines, without a token"
            )
        ),
        property!(
            S: common().allowed_origins,
            text(
                "allowed-origins",
                "Web origins besides our own whose pages may join, separated by commas, \
                 e.g. https://example.org; * for any"
            )
        ),
        property!(
            S: common().allowed_hosts,
            text(
                "allowed-hosts",
                "Host names under which the embedded server may be reached, separated by commas; \
                 addresses and localhost always may"
            )
        ),
        property!(
            S: common().tls_certificate,
            text(
                "tls-certificate",
                "PEM file with the server's certificate chain; makes the embedded server speak HTTPS"
            )
        ),
        property!(
            S: common().tls_key,
            text("tls-key", "PEM file with the private key of tls-certificate")
        ),
        property!(
            S: common().tls_ca,
            text(
                "tls-ca",
                "PEM file with a certificate authority to trust besides the system's, for servers \
                 that we connect to"
            )
        ),
    ]
}
