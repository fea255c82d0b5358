//! TURN servers: made reachable, and let into the race when it is their turn.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sigmund::address::{IceScheme, IceServer, Transport};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::super::announce::Announcement;
use super::Task;
use crate::runtime;
use crate::webrtcbin::{self, Network};

/// How long a name server may take.
const LOOKUP: Duration = Duration::from_secs(3);

impl Task {
    /// Do our relays join the race later than direct paths?
    pub(super) fn late_relays(&self) -> bool {
        let channel = self.info.channel.unwrap_or(self.shared.channel);
        let network = self.shared.network();
        let mut servers = network.ice_servers.iter();
        channel.trickle_out
            && !network.relay_only
            && servers.any(|it| it.scheme != IceScheme::Stun)
            && webrtcbin::takes_late_relays()
    }

    /// The network as libnice can use it: `turns:` servers behind tunnels, and
    /// what joins late by its address.
    pub(super) async fn network(&self) -> Network {
        let mut network = self.shared.network();
        network.late_relays = self.late_relays();
        let mut servers = Vec::new();
        for server in std::mem::take(&mut network.ice_servers) {
            let server = match server.scheme {
                IceScheme::Stun => Some(server),
                IceScheme::Turns => self.through_tunnel(server).await,
                IceScheme::Turn if network.late_relays => self.resolved(server).await,
                IceScheme::Turn => Some(server),
            };
            servers.extend(server);
        }
        network.ice_servers = servers;
        network
    }

    async fn through_tunnel(&self, server: IceServer) -> Option<IceServer> {
        let v6 = !webrtcbin::has_ipv4();
        let door = self
            .shared
            .tunnels
            .door(&server.host, server.port, v6)
            .await;
        match door {
            Ok(door) => Some(IceServer {
                scheme: IceScheme::Turn,
                host: door.ip().to_string(),
                port: door.port(),
                transport: Some(Transport::Tcp),
                ..server
            }),
            Err(error) => {
                self.warn(format!(
                    "the TURN server {server:?} cannot be used: {error}"
                ));
                None
            }
        }
    }

    async fn resolved(&self, server: IceServer) -> Option<IceServer> {
        if server.host.parse::<IpAddr>().is_ok() {
            return Some(server);
        }
        let found = timeout(LOOKUP, lookup_host((server.host.as_str(), server.port))).await;
        let addresses: Vec<SocketAddr> = match found {
            Ok(Ok(addresses)) => addresses.collect(),
            _ => Vec::new(),
        };
        let v4 = webrtcbin::has_ipv4();
        let fitting = addresses.iter().find(|it| it.is_ipv4() == v4);
        let Some(address) = fitting.or(addresses.first()) else {
            self.warn(format!("the TURN server {server:?} has no address (DNS)"));
            return None;
        };
        Some(IceServer {
            host: address.ip().to_string(),
            ..server
        })
    }

    /// Direct paths have had their head start.
    pub(super) async fn add_relays(&self) {
        if let Some(connection) = self.connection.clone() {
            runtime::blocking(move || connection.add_relays()).await;
        }
    }

    fn warn(&self, text: String) {
        self.shared.announcer.announce(Announcement::Warning(text));
    }
}
