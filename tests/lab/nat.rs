//! What stands between a home and the Internet: routers' rules of each kind.
//!
//! A router's interfaces are called `lan` and `wan`. IPv4 is translated, IPv6
//! is not: there a router lets in what was asked for, as those of homes do.

use std::fmt;

/// What a router does to those behind it. The names are RFC 3489's, as people
/// know them; in words of RFC 4787 they are a mapping and a filtering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Nat {
    /// Public addresses, and everything passes.
    None,
    /// Endpoint-independent mapping, endpoint-independent filtering.
    FullCone,
    /// Endpoint-independent mapping, address-dependent filtering.
    AddressRestricted,
    /// Endpoint-independent mapping, address- and port-dependent filtering.
    PortRestricted,
    /// Address- and port-dependent mapping and filtering: for each address that
    /// is sent to another port.
    Symmetric,
    /// Port-restricted, and no UDP at all.
    UdpBlocked,
    /// Nothing but TCP to port 443.
    Only443,
}

impl Nat {
    /// All of them, from the friendliest on.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::UdpBlocked,
        Self::Only443,
    ];

    /// As it is called in names of streams and scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FullCone => "full-cone",
            Self::AddressRestricted => "address-restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::UdpBlocked => "udp-blocked",
            Self::Only443 => "only-443",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|nat| nat.name() == name)
    }

    /// Does UDP pass, in some way?
    pub fn passes_udp(self) -> bool {
        !matches!(self, Self::UdpBlocked | Self::Only443)
    }

    /// The rules of a router of this kind, for `nft -f`.
    pub(crate) fn rules(self) -> String {
        let translation = match self {
            Self::None => String::new(),
            Self::FullCone => cone("", ""),
            Self::AddressRestricted => cone("udp dport . ip saddr @known", KNOWN),
            Self::PortRestricted | Self::UdpBlocked | Self::Only443 => leaving("masquerade"),
            Self::Symmetric => leaving("masquerade fully-random"),
        };
        let filter = match self {
            Self::None => "",
            Self::UdpBlocked => "meta l4proto udp drop",
            Self::Only443 => "oifname \"wan\" tcp dport 443 accept\n ct state new drop",
            _ => "",
        };
        let arriving = match self {
            Self::None => "",
            // What is dropped leaves no trace: a check that comes too early
            // must not change what a later packet of ours is mapped to.
            _ => "iifname \"wan\" ct state new ct status and dnat != dnat drop",
        };
        format!(
            "flush ruleset\n{translation}\n\
             table inet filter {{\n chain arriving {{ type filter hook input priority 0\n \
             {arriving}\n }}\n \
             chain passing {{ type filter hook forward priority 0\n {filter}\n {arriving}\n }}\n }}\n\
             {FLOWS}"
        )
    }
}

impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Linux keeps the port where it can, so that every destination sees the same.
fn leaving(how: &str) -> String {
    format!(
        "table ip nat {{\n chain leaving {{ type nat hook postrouting priority srcnat\n \
         oifname \"wan\" {how}\n }}\n }}"
    )
}

/// Who may answer an address-restricted mapping: by port and far address.
const KNOWN: &str = "set known { type inet_service . ipv4_addr; flags dynamic,timeout; \
     timeout 5m; size 65535; }\n \
     chain notes { type filter hook forward priority 5\n \
     oifname \"wan\" meta l4proto udp update @known { udp sport . ip daddr }\n }";

/// A mapping that others than the first destination may use, too: Linux has
/// none by itself, so each one is written into a map as it is made.
fn cone(admitted: &str, more: &str) -> String {
    format!(
        "table ip nat {{\n {more}\n \
         map cone {{ type inet_service : ipv4_addr . inet_service; flags timeout; timeout 5m; \
         size 65535; }}\n \
         chain arriving {{ type nat hook prerouting priority dstnat\n \
         iifname \"wan\" meta l4proto udp {admitted} dnat to udp dport map @cone\n }}\n \
         chain leaving {{ type nat hook postrouting priority srcnat\n \
         oifname \"wan\" meta l4proto udp update @cone {{ udp sport : ip saddr . udp sport }}\n \
         oifname \"wan\" masquerade\n }}\n }}"
    )
}

/// Counts what passes, by far address, protocol and far port.
const FLOWS: &str = "table inet watch {\n \
     set sent { type ipv4_addr . inet_proto . inet_service; flags dynamic; counter; size 4096; }\n \
     set sent6 { type ipv6_addr . inet_proto . inet_service; flags dynamic; counter; size 4096; }\n \
     chain passing { type filter hook forward priority 10\n \
     oifname \"wan\" meta l4proto { tcp, udp } update @sent { ip daddr . meta l4proto . th dport }\n \
     oifname \"wan\" meta l4proto { tcp, udp } update @sent6 { ip6 daddr . meta l4proto . th dport }\n \
     }\n }";
