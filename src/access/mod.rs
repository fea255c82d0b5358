//! Who may come in: tokens, origins, limits. Pure.
//!
//! | module | it decides |
//! |---|---|
//! | `authenticator` | what the bearer of a token may do |
//! | `grant` | rights, patterns of stream names, why not |
//! | [`jwt`] | tokens that carry their rights, signed |
//! | `turn` | ICE servers for one peer, credentials that end by themselves |
//! | `limits` | how much, for one and for all |
//! | `rate` | how often |
//!
//! Times are arguments: those that are compared with other machines' clocks are
//! seconds since 1970.

mod authenticator;
mod grant;
pub mod jwt;
mod limits;
mod rate;
#[cfg(test)]
mod tests;
mod turn;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

pub use authenticator::Authenticator;
pub use grant::{Action, Denied, Grant, Pattern, Rights};
pub use limits::{Limits, Slot};
pub use rate::{Bucket, Buckets, Rate};
pub use turn::{DEFAULT_TTL, IceServers, TurnSecret};

/// A secret that a peer presents. Compared in constant time, never shown.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Wraps the secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// Is `presented` this secret? Takes equally long whatever is presented,
    /// so that it cannot be guessed letter by letter.
    pub fn matches(&self, presented: &str) -> bool {
        // Digests are of equal length, which the comparison itself needs.
        Sha256::digest(&self.0)
            .ct_eq(&Sha256::digest(presented))
            .into()
    }

    /// Are both the same secret?
    pub fn same(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }

    /// The secret, to be presented to a server.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The token in an `Authorization` header (RFC 6750 section 2.1).
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' '))
        .then_some(token)
}

/// Why something is not allowed; says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccessError(pub String);

/// May a server be open on `address` with these settings? Whoever serves others
/// than this machine's own users must say whom.
pub fn check_exposure(
    address: IpAddr,
    token: bool,
    allow_anonymous: bool,
) -> Result<(), AccessError> {
    if is_loopback(address) || token || allow_anonymous {
        return Ok(());
    }
    Err(AccessError(format!(
        "listening on {address} lets everybody who reaches this machine in; set token=SECRET to serve those who know it, \
         or allow-anonymous=true to serve everybody, or listen on 127.0.0.1"
    )))
}

/// Does this address reach this machine alone?
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whose limits count for an address: its own, or for IPv6 those of its /64,
/// of which one customer has them all.
pub fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// Which names a server goes by, and which pages may speak to it.
///
/// A web page can send requests to 127.0.0.1 and to hosts of the local network
/// that its author cannot reach. The browser says whose page it is (`Origin`);
/// and a page whose own name has been pointed at this machine (DNS rebinding)
/// betrays itself by `Host`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Is the server reached by TLS? Then any `Host` will do: the browser has
    /// already found it in the certificate.
    pub tls: bool,
    /// Names that the server goes by, besides `localhost` and IP addresses; `*`
    /// for any.
    pub allowed_hosts: Vec<String>,
    /// Foreign pages that may speak to it (`https://example.org`); `*` for all.
    pub allowed_origins: Vec<String>,
}

impl Policy {
    /// Is the server meant? `host` is the `Host` header. An address is always
    /// right, as rebinding needs a name.
    pub fn check_host(&self, host: &str) -> Result<(), AccessError> {
        let Some((name, _)) = split_host(host) else {
            return Err(AccessError("the Host header makes no sense".into()));
        };
        let listed = |allowed: &String| {
            allowed == "*" || allowed.trim_end_matches('.').eq_ignore_ascii_case(&name)
        };
        if self.tls
            || name.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || self.allowed_hosts.iter().any(listed)
        {
            return Ok(());
        }
        Err(AccessError("this server does not go by that name; use its IP address, or list the name in `allowed-hosts`".into()))
    }

    /// May a page of `origin` speak to the server that it calls `host`?
    pub fn check_origin(&self, origin: &str, host: &str) -> Result<(), AccessError> {
        if self
            .allowed_origins
            .iter()
            .any(|allowed| allowed == "*" || same_origin(allowed, origin))
            || self.is_own(origin, host)
        {
            return Ok(());
        }
        Err(AccessError(
            "pages of that origin may not use this server; list it in `allowed-origins`".into(),
        ))
    }

    fn is_own(&self, origin: &str, host: &str) -> bool {
        let scheme = if self.tls { "https" } else { "http" };
        same_origin(&format!("{scheme}://{host}"), origin)
    }
}

/// RFC 6454 section 5; false when one of them is opaque (`null`) or malformed.
fn same_origin(one: &str, other: &str) -> bool {
    let read = |text: &str| Some(Url::parse(text).ok()?.origin()).filter(url::Origin::is_tuple);
    matches!((read(one), read(other)), (Some(one), Some(other)) if one == other)
}

/// Splits a `Host` header into the name, in lower case, without brackets and
/// trailing dot, and the port. `None` if it is none (RFC 9110 section 7.2).
pub fn split_host(host: &str) -> Option<(String, Option<u16>)> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse().ok()?)),
        _ => (host, None),
    };
    if let Some(address) = name.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some((address.to_string(), port));
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let usual = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (!name.is_empty() && name.len() <= 253 && name.chars().all(usual)).then_some((name, port))
}
