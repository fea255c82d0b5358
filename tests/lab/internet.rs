//! A small Internet: a public segment, and sites behind routers.
//!
//! ```text
//!   server 203.0.113.10    turn 203.0.113.11       (public hosts)
//!         └───────────┬──────────┘
//!                   core 203.0.113.1
//!            ┌────────┴────────┐
//!     router 203.0.113.101   router …102           (wan; nftables)
//!            │ lan             │ lan
//!     host 192.168.1.2       host 198.51.100.10    (behind NAT; with public addresses)
//! ```
//! IPv6 is `2001:db8::/64` on the segment, `2001:db8:N::/64` at site N, and is
//! never translated. All of it are addresses for documentation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::{fs, io};

use serde_json::Value;

use crate::nat::Nat;
use crate::network::{Host, Lab, bridge, ip};

/// Which addresses the hosts of a site have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
    /// Both.
    Dual,
}

impl Families {
    fn v4(self) -> bool {
        self != Self::V6
    }

    fn v6(self) -> bool {
        self != Self::V4
    }
}

/// A network of networks. Nothing leaves it; when it goes, all of it goes.
#[derive(Debug)]
pub struct Internet {
    lab: Lab,
    core: Host,
    public: u8,
    sites: u8,
}

/// Hosts behind one router.
#[derive(Debug)]
pub struct Site {
    label: String,
    number: u8,
    nat: Nat,
    families: Families,
    router: Host,
    hosts: Vec<Host>,
    /// How it looks from outside, where that is another one's address.
    outside: Option<Ipv4Addr>,
}

/// What a router has passed on to one far address, protocol and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Whom it went to.
    pub to: IpAddr,
    /// TCP, or else UDP.
    pub tcp: bool,
    /// The far port.
    pub port: u16,
    /// How many packets.
    pub packets: u64,
    /// Their bytes, with IP headers.
    pub bytes: u64,
}

impl Internet {
    /// A new one, with nobody in it; `None` as in [`Lab::new`].
    pub fn new() -> Option<Self> {
        let lab = Lab::new()?;
        let core = Host {
            namespace: lab.switch(),
            address: Ipv4Addr::new(203, 0, 113, 1),
            address6: Some(segment6(1)),
        };
        give(&core, "bridge", core.address, 24);
        give6(&core, "bridge", segment6(1));
        forward(&core, &["bridge"]);
        Some(Self {
            lab,
            core,
            public: 10,
            sites: 0,
        })
    }

    /// Adds a host with public addresses, IPv4 and IPv6.
    pub fn public(&mut self, label: &str) -> Host {
        let number = self.public;
        self.public += 1;
        let mut host = self
            .lab
            .namespace(label, Ipv4Addr::new(203, 0, 113, number));
        host.address6 = Some(segment6(number.into()));
        self.plug(&host, "eth0", number);
        give(&host, "eth0", host.address, 24);
        give6(&host, "eth0", segment6(number.into()));
        self.route_to_core(&host, Families::Dual);
        host
    }

    /// Adds a site with one host in it, IPv4.
    pub fn site(&mut self, label: &str, nat: Nat) -> Site {
        self.site_of(label, nat, Families::V4)
    }

    /// Adds a site with one host in it.
    pub fn site_of(&mut self, label: &str, nat: Nat, families: Families) -> Site {
        self.sites += 1;
        let number = self.sites;
        let wan = Ipv4Addr::new(203, 0, 113, 100 + number);
        let mut router = self.lab.namespace(&format!("{label}-router"), wan);
        router.address6 = Some(segment6(100 + u16::from(number)));
        self.plug(&router, "wan", 100 + number);
        give(&router, "wan", wan, 24);
        give6(&router, "wan", segment6(100 + u16::from(number)));
        self.route_to_core(&router, Families::Dual);
        let mut site = Site {
            label: label.to_owned(),
            number,
            nat,
            families,
            router,
            hosts: Vec::new(),
            outside: None,
        };
        self.furnish(&mut site);
        self.route_site(&site);
        site
    }

    /// Adds a site whose router stands in another site, which is a carrier's
    /// then: two routers in a row (RFC 6598). IPv4.
    pub fn behind(&mut self, carrier: &mut Site, label: &str, nat: Nat) -> Site {
        self.sites += 1;
        let router = self.join(carrier, &format!("{label}-router"));
        let link = |words: &[&str]| router.output("ip", &[&["link", "set"], words].concat());
        link(&["eth0", "down"]);
        link(&["eth0", "name", "wan"]);
        link(&["wan", "up"]);
        via(&router, "default", carrier.gateway());
        let mut site = Site {
            label: label.to_owned(),
            number: self.sites,
            nat,
            families: Families::V4,
            router,
            hosts: Vec::new(),
            outside: Some(carrier.router.address),
        };
        self.furnish(&mut site);
        site
    }

    /// A network behind a site's router, and the first host in it.
    fn furnish(&mut self, site: &mut Site) {
        let router = &site.router;
        bridge(&router.namespace, "lan");
        forward(router, &["wan", "lan"]);
        if site.families.v4() {
            give(router, "lan", site.address(1), site.prefix());
        }
        if site.families.v6() {
            give6(router, "lan", site.address6(1));
        }
        site.set_nat(site.nat);
        let label = site.label.clone();
        self.join(site, &label);
    }

    /// Adds another host to a site.
    pub fn join(&mut self, site: &mut Site, label: &str) -> Host {
        let last = u8::try_from(site.hosts.len() + 2).expect("few hosts at a site");
        let address = if site.families.v4() {
            site.address(last)
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        let mut host = self.lab.namespace(label, address);
        let port = format!("lan{last}");
        veth(&host, "eth0", &site.router.namespace, &port, "lan");
        if site.families.v4() {
            give(&host, "eth0", address, site.prefix());
            via(&host, "default", site.address(1).into());
        }
        if site.families.v6() {
            host.address6 = Some(site.address6(last));
            give6(&host, "eth0", site.address6(last));
            via(&host, "default", site.address6(1).into());
        }
        site.hosts.push(host.clone());
        host
    }

    /// Joins a namespace's new interface to the public segment.
    fn plug(&self, host: &Host, interface: &str, number: u8) {
        let port = format!("port{number}");
        veth(host, interface, &self.lab.switch(), &port, "bridge");
    }

    fn route_to_core(&self, host: &Host, families: Families) {
        if families.v4() {
            via(host, "default", self.core.address.into());
        }
        if families.v6() {
            via(host, "default", segment6(1).into());
        }
    }

    /// Tells the core which addresses are at a site.
    fn route_site(&self, site: &Site) {
        if site.nat == Nat::None && site.families.v4() {
            let net = format!("{}/30", site.address(0));
            via(&self.core, &net, site.router.address.into());
        }
        if site.families.v6() {
            let net = format!("{}/64", site.address6(0));
            let wan = segment6(100 + u16::from(site.number));
            via(&self.core, &net, wan.into());
        }
    }
}

impl Site {
    /// Its label, which is also the label of its first host.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its first host.
    pub fn host(&self) -> &Host {
        &self.hosts[0]
    }

    /// Its router.
    pub fn router(&self) -> &Host {
        &self.router
    }

    /// All of its hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Its router's address within: IPv4, where its hosts have that.
    pub fn gateway(&self) -> IpAddr {
        match self.families.v4() {
            true => self.address(1).into(),
            false => self.address6(1).into(),
        }
    }

    /// An address there that nobody has.
    pub fn spare(&self) -> Ipv4Addr {
        self.address(77)
    }

    /// What its router does.
    pub fn nat(&self) -> Nat {
        self.nat
    }

    /// Does its host send from this address, as others see it?
    pub fn owns(&self, address: IpAddr) -> bool {
        let inside = |host: &Host| {
            address == IpAddr::from(host.address)
                || host.address6.map(IpAddr::from) == Some(address)
        };
        let outside = self.outside.unwrap_or(self.router.address);
        address == IpAddr::from(outside) || self.hosts.iter().any(inside)
    }

    /// Keeps its hosts from each other, as networks for guests do: nothing but
    /// the router can be reached.
    pub fn isolate(&self) {
        for port in 2..self.hosts.len() + 2 {
            let port = format!("lan{port}");
            let arguments = ["link", "set", &port, "type", "bridge_slave"];
            self.router
                .output("ip", &[&arguments[..], &["isolated", "on"]].concat());
        }
    }

    /// Makes its full-cone router pass on what hosts within send to its outer
    /// address (RFC 4787 section 6).
    pub fn hairpin(&self) {
        let (wan, lan) = (self.router.address, self.address(0));
        let rules = format!(
            "add rule ip nat arriving iifname \"lan\" ip daddr {wan} meta l4proto udp \
             dnat to udp dport map @cone\n\
             add rule ip nat leaving oifname \"lan\" ip saddr {lan}/24 ct status dnat snat to {wan}"
        );
        self.router.output("nft", &[&rules]);
        // Where bridges look at IP, they would pass it on by themselves.
        let _ = self
            .router
            .run(|| fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "0"));
    }

    /// Lets no IPv6 pass, and says so to nobody: it looks as if it were there.
    pub fn break_ipv6(&self) {
        let rule = "add rule inet filter passing meta nfproto ipv6 drop";
        self.router.output("nft", &[rule]);
    }

    /// Makes its router another one, that remembers nothing.
    pub fn set_nat(&mut self, nat: Nat) {
        self.nat = nat;
        let rules = nat.rules();
        let file = std::env::temp_dir().join(format!("{}.nft", self.router.namespace));
        let path = file.to_string_lossy();
        fs::write(&file, rules).unwrap_or_else(|e| panic!("{path}: {e}"));
        self.router.output("nft", &["-f", &path]);
        let _ = fs::remove_file(&file);
    }

    /// What the router has passed on so far, by destination.
    pub fn flows(&self) -> Vec<Flow> {
        let listed = self
            .router
            .output("nft", &["-n", "-j", "list", "table", "inet", "watch"]);
        let listed: Value = serde_json::from_str(&listed).expect("nft writes JSON");
        let sets = listed["nftables"].as_array().into_iter().flatten();
        let elements = sets.filter_map(|it| it["set"]["elem"].as_array()).flatten();
        elements.filter_map(|it| flow(&it["elem"])).collect()
    }

    /// The address of host number `last` in IPv4; 0 is the network's.
    fn address(&self, last: u8) -> Ipv4Addr {
        if self.nat == Nat::None {
            Ipv4Addr::new(198, 51, 100, self.number * 4 + last)
        } else {
            Ipv4Addr::new(192, 168, self.number, last)
        }
    }

    fn prefix(&self) -> u8 {
        if self.nat == Nat::None { 30 } else { 24 }
    }

    fn address6(&self, last: u8) -> Ipv6Addr {
        let site = u16::from(self.number);
        Ipv6Addr::new(0x2001, 0xdb8, site, 0, 0, 0, 0, last.into())
    }
}

fn flow(element: &Value) -> Option<Flow> {
    let key = element["val"]["concat"].as_array()?;
    let counter = &element["counter"];
    Some(Flow {
        to: key.first()?.as_str()?.parse().ok()?,
        // By number or by name, as versions of nft like it.
        tcp: key.get(1)? == "tcp" || key.get(1)? == 6,
        port: u16::try_from(key.get(2)?.as_u64()?).ok()?,
        packets: counter["packets"].as_u64()?,
        bytes: counter["bytes"].as_u64()?,
    })
}

fn segment6(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number)
}

/// A cable from a new interface to a port of a bridge elsewhere.
fn veth(host: &Host, interface: &str, elsewhere: &str, port: &str, bridge: &str) {
    let ns = host.namespace.as_str();
    ip(&[
        "-n", ns, "link", "add", interface, "type", "veth", "peer", "name", port, "netns",
        elsewhere,
    ]);
    ip(&["-n", elsewhere, "link", "set", port, "master", bridge, "up"]);
    // See Lab::host.
    ip(&[
        "-n",
        ns,
        "link",
        "set",
        interface,
        "addrgenmode",
        "none",
        "up",
    ]);
}

fn give(host: &Host, interface: &str, address: Ipv4Addr, prefix: u8) {
    let address = format!("{address}/{prefix}");
    ip(&[
        "-n",
        &host.namespace,
        "address",
        "add",
        &address,
        "dev",
        interface,
    ]);
}

fn give6(host: &Host, interface: &str, address: Ipv6Addr) {
    let address = format!("{address}/64");
    ip(&[
        "-n",
        &host.namespace,
        "address",
        "add",
        &address,
        "dev",
        interface,
        "nodad",
    ]);
}

fn via(host: &Host, net: &str, router: IpAddr) {
    let router = router.to_string();
    let family = if router.contains(':') { "-6" } else { "-4" };
    ip(&[
        "-n",
        &host.namespace,
        family,
        "route",
        "add",
        net,
        "via",
        &router,
    ]);
}

/// Makes a host pass on what is not for it, between these interfaces.
fn forward(host: &Host, interfaces: &[&str]) {
    // For others it asks for neighbours from its link-local address only.
    for interface in interfaces {
        let last = host.address.octets()[3];
        let address = format!("fe80::{last}/64");
        host.output(
            "ip",
            &["address", "add", &address, "dev", interface, "nodad"],
        );
    }
    let set = || -> io::Result<()> {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")?;
        // One bridge is both sides of the core; hosts need no advice.
        fs::write("/proc/sys/net/ipv4/conf/all/send_redirects", "0")?;
        fs::write("/proc/sys/net/ipv4/conf/default/send_redirects", "0")
    };
    host.run(|| set().unwrap_or_else(|e| panic!("forwarding: {e}")));
}
