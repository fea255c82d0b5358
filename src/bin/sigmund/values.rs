//! What options hold: types that are read alike from the command line and from
//! a file, and that say what they take.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Deserializer};
use sigmund::access::{Limits, Slot};
use sigmund::address::{IceScheme, IceServer};

/// Reads through [`FromStr`], so that both sources have the same errors.
macro_rules! deserialize_from_text {
    ($($name:ty),+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                text(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
deserialize_from_text!(Listen, Time, Ice, Turn, NatsUrl, Anonymous, LogFormat);

/// A text. What is none (`8080`, `true`) is refused in words that say so.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match toml::Value::deserialize(from)? {
        toml::Value::String(text) => Ok(text),
        _ => Err(serde::de::Error::custom("it takes a text in quotes")),
    }
}

/// An address and port to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen(String);

impl Listen {
    /// The address that it stands for; IPv4 first, as names are often both.
    pub(crate) fn resolve(&self) -> Result<SocketAddr, String> {
        let found = self
            .0
            .to_socket_addrs()
            .map_err(|error| format!("cannot listen on {self}: {error}"))?;
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        found
            .first()
            .copied()
            .ok_or_else(|| format!("cannot listen on {self}: the name has no address"))
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let well = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok());
        if well {
            return Ok(Self(text.to_owned()));
        }
        Err(
            "it takes ADDRESS:PORT, such as 127.0.0.1:8080 (this machine alone), 0.0.0.0:8080 or [::]:8080 (everybody)"
                .into(),
        )
    }
}

/// A name or an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bracketed.is_some() || (!host.is_empty() && !host.contains([':', '/', '@', ' ']))
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// More than anybody means; dates so far away cannot be reckoned with.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// A span of time: `10s`, `500ms`, `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "it takes a time with its unit, such as 500ms, 10s, 5m, 12h or 7d";
        let time = humantime::parse_duration(text).map_err(|_| wrong())?;
        if time > LONGEST {
            return Err("it takes at most 100 years".into());
        }
        Ok(Self(time))
    }
}

/// An ICE server, with its credentials if it is a TURN server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ice(pub(crate) IceServer);

impl FromStr for Ice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        IceServer::parse(text)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

/// A TURN server whose credentials are minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn(pub(crate) IceServer);

impl FromStr for Turn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "it takes turn://HOST[:PORT][?transport=udp|tcp] or turns://…, without user and password, as these are minted"
                .to_owned()
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        if rest.contains('@') {
            return Err(wrong());
        }
        // What is put in here is replaced for each peer.
        IceServer::parse(&format!("{scheme}://minted:minted@{rest}"))
            .ok()
            .filter(|server| server.scheme != IceScheme::Stun)
            .map(Self)
            .ok_or_else(wrong)
    }
}

/// Where NATS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NatsUrl(pub(crate) String);

impl FromStr for NatsUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = url::Url::parse(text).ok().filter(|url| {
            let plain = ["", "/"].contains(&url.path()) && url.query().is_none();
            let open = url.username().is_empty() && url.password().is_none();
            ["nats", "nats+tls"].contains(&url.scheme()) && url.has_host() && plain && open
        });
        match read {
            Some(url) if url.host_str() != Some("") => {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            _ => Err(
                "it takes nats://HOST[:PORT] or nats+tls://HOST[:PORT]; what lets us in belongs into nats-token-file"
                    .into(),
            ),
        }
    }
}

/// What those without a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Anonymous {
    /// Nothing
    Nobody,
    /// Watch
    View,
    /// Watch and publish
    All,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line, for programs
    Json,
}

/// Reads the words that clap reads, so that there is one list of them.
fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let words = T::value_variants().iter().filter_map(T::to_possible_value);
        let words: Vec<_> = words.map(|word| word.get_name().to_owned()).collect();
        format!("it takes one of {}", words.join(", "))
    })
}

impl FromStr for Anonymous {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        choice(text)
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        choice(text)
    }
}

/// One limit and its new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or("it takes NAME=VALUE, such as connections=20000 or idle-timeout=45s")?;
        let limit = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
        };
        limit.set(&mut Limits::default())?;
        Ok(limit)
    }
}

impl Limit {
    /// Writes it into `limits`.
    pub(crate) fn set(&self, limits: &mut Limits) -> Result<(), String> {
        let Self { name, value } = self;
        let number = || {
            value
                .parse::<u32>()
                .map_err(|_| format!("limit {name}: it takes a whole number"))
        };
        match limits.slot(name) {
            Some(Slot::Size(slot)) => {
                *slot = usize::try_from(number()?).unwrap_or(usize::MAX);
            }
            Some(Slot::Count(slot)) => *slot = number()?,
            Some(Slot::Time(slot)) => {
                let Time(time) = value
                    .parse()
                    .map_err(|error| format!("limit {name}: {error}"))?;
                *slot = time;
            }
            None => {
                let known = Limits::NAMES.join(", ");
                return Err(format!("there is no limit {name}; there are: {known}"));
            }
        }
        Ok(())
    }
}

/// The table `[limits]` of a file.
pub(crate) fn limits<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Limit>, D::Error> {
    let table = toml::Table::deserialize(from)?;
    let read = |(name, value): (String, toml::Value)| {
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            _ => {
                return Err(format!(
                    "limit {name}: it takes a number or a time in quotes"
                ));
            }
        };
        let limit = Limit { name, value };
        limit.set(&mut Limits::default()).map(|()| limit)
    };
    table
        .into_iter()
        .map(read)
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

/// A list, or a single item without the brackets.
pub(crate) fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "it takes a text in quotes, or a list of such")]
    enum Items {
        One(String),
        Many(Vec<String>),
    }
    let items = match Items::deserialize(from)? {
        Items::One(one) => vec![one],
        Items::Many(many) => many,
    };
    items
        .iter()
        .map(|item| item.parse().map_err(serde::de::Error::custom))
        .collect()
}
