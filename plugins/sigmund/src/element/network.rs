//! The settings that say how media find their way: ICE, STUN and TURN.

use std::net::IpAddr;

use gst::prelude::*;
use sigmund::access::{DEFAULT_TTL, TurnSecret};
use sigmund::address::{IceScheme, IceServer, Transport};

use super::property::{Property, property};
use super::settings::{Common, GIVE_UP_TIME, HasCommon, list, text};
use crate::driver::Network;

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
    /// What connections are told.
    pub(crate) fn network(&self) -> Result<Network, String> {
        let secret = self.turn_secret.clone();
        Ok(Network {
            ice_servers: self.ice_servers()?,
            turn_secret: secret.map(|it| TurnSecret::new(it, DEFAULT_TTL)),
            relay_only: self.ice_transport_policy == IceTransportPolicy::Relay,
            port_range: self.port_range()?,
            interfaces: list(&self.ice_interfaces),
            external: self.external()?,
            tcp: self.ice_tcp,
            trickle: self.trickle,
            late_relays: false,
            tls_ca: self.tls_ca(),
        })
    }

    fn ice_servers(&self) -> Result<Vec<IceServer>, String> {
        let written = self.ice_servers.as_deref().unwrap_or_default();
        let servers = match &self.turn_secret {
            Some(_) => IceServer::parse_bare_list(written),
            None => IceServer::parse_list(written),
        };
        let servers = servers.map_err(|e| match self.turn_secret {
            Some(_) => format!("ice-servers: {e}"),
            None => format!("ice-servers: {e} (or turn-secret says how to make them)"),
        })?;
        let dtls =
            |it: &IceServer| it.scheme == IceScheme::Turns && it.transport == Some(Transport::Udp);
        if servers.iter().any(dtls) {
            return Err("ice-servers: turns: is TLS over TCP; leave out transport=udp".into());
        }
        Ok(servers)
    }

    /// Those that peers are told of, too. What is minted is for us alone: it
    /// would have ended when a late one comes.
    pub(super) fn shared_ice_servers(&self) -> Result<Vec<IceServer>, String> {
        let mut servers = self.ice_servers()?;
        servers.retain(|it| it.scheme == IceScheme::Stun || it.username.is_some());
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

    fn external(&self) -> Result<Vec<IpAddr>, String> {
        let items = list(&self.ice_external_address).into_iter();
        items
            .map(|item| {
                item.parse().map_err(|_| {
                    format!("ice-external-address takes addresses, e.g. 203.0.113.5, not {item:?}")
                })
            })
            .collect()
    }
}

fn ice_servers<S: HasCommon>() -> Property<S> {
    Property {
        // Whatever lists properties (dot files, logs) shows them to anybody.
        get: |settings: &S| {
            let written = settings.common().ice_servers.as_deref();
            written.map(IceServer::without_passwords).to_value()
        },
        ..property!(
            S: common().ice_servers,
            text(
                "ice-servers",
                "STUN and TURN servers, separated by commas: stun://HOST[:PORT], \
                 turn://USER:PASSWORD@HOST[:PORT][?transport=udp|tcp], \
                 turns://USER:PASSWORD@HOST[:PORT] (TLS, verified), percent-encoded; read \
                 back, passwords are hidden"
            )
        )
    }
}

/// How media find their way.
pub(super) fn network_properties<S: HasCommon>() -> Vec<Property<S>> {
    vec![
        ice_servers(),
        property!(
            S: common().turn_secret,
            text(
                "turn-secret",
                "Secret that the TURN servers share with us (coturn's static-auth-secret): makes \
                 time-limited credentials, anew for each connection, for those in ice-servers \
                 that have none; those are not told to peers; cannot be read back"
            )
            .write_only()
        ),
        property!(
            S: common().ice_transport_policy,
            glib::ParamSpecEnum::builder_with_default(
                "ice-transport-policy",
                IceTransportPolicy::All
            )
            .blurb("Which ICE candidates are used; relay hides our addresses behind a TURN server")
        ),
        property!(
            S: common().ice_port_range,
            text(
                "ice-port-range",
                "UDP ports for media, FIRST-LAST, one for each peer and local address; default any"
            )
        ),
        property!(
            S: common().ice_interfaces,
            text(
                "ice-interfaces",
                "Network interfaces to use, by name or address, separated by commas, e.g. \
                 eth0,192.168.1.7; default all but loopback and link-local addresses"
            )
        ),
        property!(
            S: common().ice_external_address,
            text(
                "ice-external-address",
                "Addresses to announce besides our own, separated by commas, where a router or a \
                 container's host passes on to us what comes there, port by port (NAT 1:1); goes \
                 with ice-port-range"
            )
        ),
        property!(
            S: common().ice_tcp,
            glib::ParamSpecBoolean::builder("ice-tcp").blurb(
                "Gather candidates over TCP, too (RFC 6544): a direct path where UDP is blocked \
                 and one side can be reached"
            )
        ),
        property!(
            S: common().trickle,
            glib::ParamSpecBoolean::builder("trickle")
                .default_value(true)
                .blurb(
                    "Send candidates one by one as they are found (RFC 8838), where signalling \
                     can; else they go into the description, which waits for them half a second \
                     at most. Those of the far side are taken either way"
                )
        ),
        property!(
            S: common().give_up_time,
            glib::ParamSpecUInt::builder("give-up-time")
                .default_value(GIVE_UP_TIME)
                .blurb(
                    "For how long (in ms) a peer whose network path is lost is given other \
                     connections, where it speaks sigmund.v1; 0 ends its session at once"
                )
        ),
    ]
}
