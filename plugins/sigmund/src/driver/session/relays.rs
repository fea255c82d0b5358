//! TURN servers: made reachable, let into the race when it is their turn, and
//! asked what is wrong where no relay comes of them.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sigmund::address::{IceScheme, IceServer, Transport};
use sigmund::session::ConnectionEvent;
use sigmund::turn_check;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::super::announce::Announcement;
use super::{Event, Task};
use crate::runtime;
use crate::webrtcbin::{self, Network};

/// How long a name server may take.
const LOOKUP: Duration = Duration::from_secs(3);

/// How long relays may take until it is asked what is wrong.
const PATIENCE: Duration = Duration::from_secs(2);

/// The relays of the present connection.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// The servers, as the user wrote them and as libnice reaches them.
    servers: Vec<(IceServer, IceServer)>,
    /// When to ask what is wrong, if no relay comes before.
    due: Option<Instant>,
}

impl Relays {
    /// A relay is there, or none is needed any more.
    pub(super) fn watch(&mut self, event: &ConnectionEvent) {
        let done = match event {
            ConnectionEvent::Candidate(line) => line.contains(" typ relay"),
            ConnectionEvent::DtlsConnected => true,
            _ => false,
        };
        if done {
            self.due = None;
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    fn expect(&mut self) {
        let some = !self.servers.is_empty();
        self.due = some.then(|| Instant::now() + PATIENCE);
    }
}

impl Task {
    /// Do our relays join the race later than direct paths?
    pub(super) async fn late_relays(&self) -> bool {
        let channel = self.info.channel.unwrap_or(self.shared.channel);
        let network = self.shared.network();
        let mut servers = network.ice_servers.iter();
        channel.trickle_out
            && network.trickle
            && !network.relay_only
            && servers.any(|it| it.scheme != IceScheme::Stun)
            && runtime::blocking(webrtcbin::takes_late_relays)
                .await
                .unwrap_or(false)
    }

    /// The network as libnice can use it: credentials minted, `turns:` servers
    /// behind tunnels, and what joins late by its address.
    pub(super) async fn network(&mut self) -> Network {
        let mut network = self.shared.network();
        network.late_relays = self.late_relays().await;
        let (mut servers, mut relays) = (Vec::new(), Vec::new());
        for written in std::mem::take(&mut network.ice_servers) {
            let server = self.with_credentials(written.clone());
            let server = match server.scheme {
                IceScheme::Stun => Some(server),
                IceScheme::Turns => self.through_tunnel(server).await,
                IceScheme::Turn if network.late_relays => self.resolved(server).await,
                IceScheme::Turn => Some(server),
            };
            if written.scheme != IceScheme::Stun {
                relays.extend(server.clone().map(|it| (written, it)));
            }
            servers.extend(server);
        }
        network.ice_servers = servers;
        self.relays = Relays {
            servers: relays,
            due: None,
        };
        if !network.late_relays {
            self.relays.expect();
        }
        network
    }

    /// What is minted is good for a while from now.
    fn with_credentials(&self, server: IceServer) -> IceServer {
        let secret = self.shared.network.turn_secret.as_ref();
        let Some(secret) = secret.filter(|_| server.username.is_none()) else {
            return server;
        };
        if server.scheme == IceScheme::Stun {
            return server;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let (user, password) = secret.mint("sigmund", now.unwrap_or_default().as_secs());
        IceServer {
            username: Some(user),
            password: Some(password),
            ..server
        }
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
    pub(super) async fn add_relays(&mut self) {
        if let Some(connection) = self.connection.clone() {
            runtime::blocking(move || connection.add_relays()).await;
        }
        self.relays.expect();
    }

    /// No relay has come: tells the user why, and ends a session that cannot
    /// do without.
    pub(super) fn check_relays(&mut self) {
        self.relays.due = None;
        let servers = self.relays.servers.clone();
        let (shared, events, number) = (self.shared.clone(), self.events.clone(), self.number);
        runtime::spawn(async move {
            let count = servers.len();
            let mut checks = JoinSet::new();
            for (written, server) in servers {
                checks.spawn(async move { (written, turn_check::check(&server).await) });
            }
            let mut troubles = Vec::new();
            while let Some(checked) = checks.join_next().await {
                if let Ok((server, Err(why))) = checked {
                    let text = format!("the TURN server {server:?} gives no relay: {why}");
                    if shared.is_news(&format!("{server:?}")) {
                        shared
                            .announcer
                            .announce(Announcement::Warning(text.clone()));
                    }
                    troubles.push(text);
                }
            }
            // Where one works after all, its relay is on its way.
            if shared.network.relay_only && troubles.len() == count {
                let failed = ConnectionEvent::Failed(troubles.join("; "));
                let _ = events.send(Event::Connection(number, failed)).await;
            }
        });
    }

    fn warn(&self, text: String) {
        self.shared.announcer.announce(Announcement::Warning(text));
    }
}
