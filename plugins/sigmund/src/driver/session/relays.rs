//! TURN servers: made reachable, let into the race when it is their turn, and
//! asked what is wrong where no relay comes of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sigmund::address::{IceScheme, IceServer, Transport};
use sigmund::session::ConnectionEvent;
use sigmund::turn_check;
use tokio::net::lookup_host;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::super::announce::Announcement;
use super::{Event, Task};
use crate::runtime;
use crate::webrtcbin::{self, Network};

/// How long a name server may take, for relays that join later.
const LOOKUP: Duration = Duration::from_secs(3);

/// The same where everything waits for it.
const LOOKUP_BRIEF: Duration = Duration::from_millis(200);

/// How long relays may take until it is asked what is wrong.
const PATIENCE: Duration = Duration::from_secs(2);

/// The relays of the present connection.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// The servers, as the user wrote them and as libnice reaches them.
    servers: Vec<(IceServer, IceServer)>,
    /// Those that join late, when name servers have answered.
    late: Option<JoinHandle<Vec<IceServer>>>,
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
    /// behind tunnels, and names looked up.
    pub(super) async fn network(&mut self) -> Network {
        let mut network = self.shared.network();
        network.late_relays = self.late_relays().await;
        let (mut servers, mut relays) = (Vec::new(), Vec::new());
        for written in std::mem::take(&mut network.ice_servers) {
            let server = self.with_credentials(written.clone());
            let server = match server.scheme {
                IceScheme::Turns => self.through_tunnel(server).await,
                IceScheme::Stun | IceScheme::Turn => Some(server),
            };
            if written.scheme != IceScheme::Stun {
                relays.extend(server.clone().map(|it| (written, it)));
            }
            servers.extend(server);
        }
        let late = match network.late_relays {
            true => {
                let relays = relays.iter().map(|it| it.1.clone());
                Some(runtime::spawn(by_address(relays.collect(), LOOKUP)))
            }
            false => {
                servers = by_address(servers, LOOKUP_BRIEF).await;
                None
            }
        };
        network.ice_servers = servers;
        self.relays = Relays {
            servers: relays,
            late,
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

    /// Direct paths have had their head start.
    pub(super) async fn add_relays(&mut self) {
        if let (Some(connection), Some(late)) = (&self.connection, self.relays.late.take()) {
            let connection = Arc::downgrade(connection);
            runtime::spawn(async move {
                let servers = late.await.unwrap_or_default();
                if let Some(connection) = connection.upgrade() {
                    runtime::blocking(move || connection.add_relays(&servers)).await;
                }
            });
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

/// TURN servers by their addresses, one of each family, in the same order:
/// libnice keeps the relay that answers first, and would look up one name while
/// it asks another server already. Which names are not known in time it looks up
/// by itself.
async fn by_address(servers: Vec<IceServer>, limit: Duration) -> Vec<IceServer> {
    let end = Instant::now() + limit;
    let is_name =
        |it: &&IceServer| it.scheme == IceScheme::Turn && it.host.parse::<IpAddr>().is_err();
    let mut lookups = JoinSet::new();
    for server in servers.iter().filter(is_name) {
        let (host, port) = (server.host.clone(), server.port);
        lookups.spawn(async move {
            let found = lookup_host((host.as_str(), port)).await;
            let found = found.map(|it| it.map(|it| it.ip()).collect::<Vec<_>>());
            (host, found.unwrap_or_default())
        });
    }
    let mut known = HashMap::new();
    while let Ok(Some(found)) = timeout_at(end, lookups.join_next()).await {
        known.extend(found);
    }
    let addressed = servers.into_iter().flat_map(|server| {
        let all = known.get(&server.host).map_or(&[][..], Vec::as_slice);
        let one = |v4: bool| all.iter().find(|it| it.is_ipv4() == v4);
        let chosen: Vec<_> = [one(true), one(false)].into_iter().flatten().collect();
        if chosen.is_empty() {
            return vec![server];
        }
        let at = |address: &IpAddr| IceServer {
            host: address.to_string(),
            ..server.clone()
        };
        chosen.into_iter().map(at).collect()
    });
    addressed.collect()
}
