//! Two people who want to meet, each behind a router of some kind, and what
//! is on the Internet to help them: signalling on port 443, STUN and TURN.

use std::fmt;
use std::net::IpAddr;

use crate::coturn::{Accounts, Coturn};
use crate::internet::{Flow, Internet, Site};
use crate::names::Names;
use crate::nat::Nat;
use crate::publisher::Publisher;
use crate::relay::Relay;

/// Everybody's password.
const PASSWORD: &str = "correct-horse";

/// The user name of viewers.
pub const VIEWER: &str = "viewer";

/// What the signalling server is called, where it has a name.
pub const SERVER: &str = "server.example.net";

/// What the TURN server is called, where it has a name.
pub const TURN: &str = "turn.example.net";

/// A small moving picture.
pub const PICTURE: &str = "videotestsrc is-live=true pattern=ball ! \
     video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! identity name=stamp ! queue";

/// An Internet with a signalling server and a TURN server.
#[derive(Debug)]
pub struct World {
    /// All of it.
    pub internet: Internet,
    /// `sigmund serve`, on 203.0.113.10:443.
    pub relay: Relay,
    /// coturn, on 203.0.113.11.
    pub turn: Coturn,
    /// Those of sites that know names.
    names: Vec<Names>,
}

/// How the media go, as routers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// From one router to the other.
    Direct(Leg),
    /// By way of the TURN server: how the publisher reaches it, and how the
    /// viewer does.
    Relay(Leg, Leg),
}

/// How one side's packets leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leg {
    /// UDP
    Udp,
    /// TCP
    Tcp,
    /// TCP to port 443, which is TLS
    Tls,
}

impl World {
    /// A new one; `None` as in [`crate::Lab::new`].
    pub fn new() -> Option<Self> {
        Self::with_users(&[])
    }

    /// One where these may use the TURN server, besides those of
    /// [`publisher`](Self::publisher) and [`VIEWER`].
    pub fn with_users(more: &[&str]) -> Option<Self> {
        Self::build(more, false)
    }

    /// One where [`SERVER`] and [`TURN`] are known by name, with IPv4 and IPv6,
    /// to those whom [`acquaint`](Self::acquaint) has told.
    pub fn named() -> Option<Self> {
        Self::build(&[], true)
    }

    fn build(more: &[&str], named: bool) -> Option<Self> {
        let mut internet = Internet::new()?;
        let (server, turn) = (internet.public("server"), internet.public("turn"));
        let mut names: Vec<_> = Nat::ALL.into_iter().map(Nat::name).collect();
        names.push(VIEWER);
        names.extend(more);
        let users = names
            .iter()
            .map(|&name| (name.to_owned(), PASSWORD.to_owned()))
            .collect();
        let turn = Coturn::start(&turn, &Accounts::Users(users), "");
        let servers = match named {
            true => ice_servers(TURN, VIEWER),
            false => ice_servers(&turn.host().address().to_string(), VIEWER),
        };
        let mut arguments = vec!["--anonymous", "all"];
        for server in &servers {
            arguments.extend(["--ice-server", server]);
        }
        let relay = match named {
            true => {
                arguments.extend(["--allowed-host", "*"]);
                Relay::start_everywhere(&server, 443, &arguments)
            }
            false => Relay::start_on(&server, 443, &arguments),
        };
        Some(Self {
            internet,
            relay,
            turn,
            names: Vec::new(),
        })
    }

    /// The `ice-servers` for a user: STUN, and TURN by UDP, TCP and TLS.
    pub fn ice_servers(&self, user: &str) -> String {
        ice_servers(&self.turn.host().address().to_string(), user).join(",")
    }

    /// The same by name.
    pub fn named_ice_servers(user: &str) -> String {
        ice_servers(TURN, user).join(",")
    }

    /// Lets the hosts of a site know the servers' names.
    pub fn acquaint(&mut self, site: &Site) {
        let servers = [(SERVER, self.relay.host()), (TURN, self.turn.host())];
        let addresses = servers.into_iter().flat_map(|(name, server)| {
            let v6 = server.address6().map(IpAddr::from);
            [Some(server.address().into()), v6]
                .into_iter()
                .flatten()
                .map(move |address| (name, address))
        });
        let names = Names::start(site, &addresses.collect::<Vec<_>>());
        self.names.push(names);
    }

    /// Starts a publisher at a site. The stream is called like the site.
    pub fn publish(&self, site: &Site, user: &str, properties: &str) -> Publisher {
        let sink = format!(
            "rtcsink name=sink uri={} ice-servers={} tls-ca={} {properties}",
            self.relay.uri(site.label()),
            self.ice_servers(user),
            self.turn.certificate(),
        );
        Publisher::start(site.host(), &format!("{PICTURE} ! {sink}"))
    }
}

fn ice_servers(host: &str, user: &str) -> Vec<String> {
    vec![
        format!("stun://{host}"),
        format!("turn://{user}:{PASSWORD}@{host}?transport=udp"),
        format!("turn://{user}:{PASSWORD}@{host}?transport=tcp"),
        format!("turns://{user}:{PASSWORD}@{host}:443?transport=tcp"),
    ]
}

impl Leg {
    /// The best way out of a network: UDP before TCP, and TLS where nothing
    /// else passes.
    fn best(nat: Nat) -> Self {
        match nat {
            Nat::UdpBlocked => Self::Tcp,
            Nat::Only443 => Self::Tls,
            _ => Self::Udp,
        }
    }

    fn of(flow: &Flow) -> Self {
        match (flow.tcp, flow.port) {
            (false, _) => Self::Udp,
            (true, 443 | 5349) => Self::Tls,
            (true, _) => Self::Tcp,
        }
    }
}

impl Path {
    /// What theory expects between two networks.
    ///
    /// A packet gets through when the other side's router has seen one leave
    /// for where this one comes from. Where one router takes another port for
    /// each destination, the other cannot know which to send to, and only a
    /// router that does not mind the port lets the first packet in.
    pub fn expected(publisher: Nat, viewer: Nat) -> Self {
        use Nat::{PortRestricted, Symmetric};
        let stuck = matches!(
            (publisher, viewer),
            (Symmetric, Symmetric | PortRestricted) | (PortRestricted, Symmetric)
        );
        if stuck || !publisher.passes_udp() || !viewer.passes_udp() {
            Self::Relay(Leg::best(publisher), Leg::best(viewer))
        } else {
            Self::Direct(Leg::Udp)
        }
    }

    /// What happened between two readings of both routers, judged by where
    /// most of the bytes went. `None` if hardly anything was sent.
    pub fn observed(
        publisher: (&Site, &[Flow], &[Flow]),
        viewer: (&Site, &[Flow], &[Flow]),
        turn: &[IpAddr],
    ) -> Option<Self> {
        let sent = busiest(publisher.1, publisher.2)?;
        let back = busiest(viewer.1, viewer.2)?;
        if viewer.0.owns(sent.to) && publisher.0.owns(back.to) {
            // Media and reports of one connection.
            return (Leg::of(&sent) == Leg::of(&back)).then(|| Self::Direct(Leg::of(&sent)));
        }
        let relayed = turn.contains(&sent.to) && turn.contains(&back.to);
        relayed.then(|| Self::Relay(Leg::of(&sent), Leg::of(&back)))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leg = |leg: &Leg| match leg {
            Leg::Udp => "udp",
            Leg::Tcp => "tcp",
            Leg::Tls => "tls",
        };
        f.pad(&match self {
            Self::Direct(Leg::Udp) => "direct".to_owned(),
            Self::Direct(it) => format!("direct {}", leg(it)),
            Self::Relay(one, other) if one == other => format!("relay {}", leg(one)),
            Self::Relay(one, other) => format!("relay {}/{}", leg(one), leg(other)),
        })
    }
}

/// The flow that most bytes went into between two readings, of those that may
/// be media; signalling is on TCP, to another host.
pub fn busiest(before: &[Flow], after: &[Flow]) -> Option<Flow> {
    let same = |a: &Flow, b: &Flow| (a.to, a.tcp, a.port) == (b.to, b.tcp, b.port);
    let grown = after.iter().map(|flow| {
        let old = before.iter().find(|it| same(it, flow));
        Flow {
            packets: flow.packets - old.map_or(0, |it| it.packets),
            bytes: flow.bytes - old.map_or(0, |it| it.bytes),
            ..*flow
        }
    });
    grown
        .filter(|flow| flow.packets > 0)
        .max_by_key(|flow| flow.bytes)
}
