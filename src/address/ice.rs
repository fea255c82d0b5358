//! STUN and TURN servers as users write them, as GStreamer and as HTTP want them.

use std::fmt;

use super::{AddressError, decode_part, encode_part};

/// The longest user name or password, in bytes (RFC 8489 section 14.3 allows
/// 508 for the name).
const MAX_CREDENTIAL: usize = 508;

/// A STUN or TURN server: `stun://host[:port]`,
/// `turn(s)://user:pass@host[:port][?transport=udp|tcp]`, percent-encoded
/// (RFC 7064, RFC 7065, with the user info that GStreamer puts in). The
/// browsers' form without `//` is read too.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun`, `turn` or `turns`.
    pub scheme: IceScheme,
    /// Host name or address, without brackets.
    pub host: String,
    /// The port; 3478, or 5349 for `turns`, unless given.
    pub port: u16,
    /// For TURN: the user name, decoded.
    pub username: Option<String>,
    /// For TURN: the password, decoded. Never shown by `Debug`.
    pub password: Option<String>,
    /// For TURN: `udp` or `tcp`, if given.
    pub transport: Option<Transport>,
}

/// The kind of an ICE server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceScheme {
    /// RFC 8489
    Stun,
    /// RFC 8656
    Turn,
    /// TURN over TLS
    Turns,
}

impl IceScheme {
    /// As it stands in URIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stun => "stun",
            Self::Turn => "turn",
            Self::Turns => "turns",
        }
    }

    fn default_port(self) -> u16 {
        if self == Self::Turns { 5349 } else { 3478 }
    }
}

/// How a TURN server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `?transport=udp`
    Udp,
    /// `?transport=tcp`
    Tcp,
}

impl Transport {
    /// As it stands in URIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}:{}", self.scheme, self.host, self.port)
    }
}

impl IceServer {
    /// Reads one server. Errors never repeat what was written, as a password
    /// may be anywhere in it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let server = Self::read(text)?;
        match (server.scheme, &server.username) {
            (IceScheme::Turn | IceScheme::Turns, None) => {
                Err(bad("TURN needs a user and a password"))
            }
            _ => Ok(server),
        }
    }

    /// The same; TURN servers may come without user and password, which are to
    /// be [minted](crate::access::TurnSecret) then.
    fn read(text: &str) -> Result<Self, AddressError> {
        if text.len() > super::MAX_URI || text.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            return Err(bad("it is too long, or has spaces or control characters"));
        }
        let (scheme, rest) = read_scheme(text)?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (user_info, rest) = match rest.rsplit_once('@') {
            Some((user_info, rest)) => (Some(user_info), rest),
            None => (None, rest),
        };
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query)),
            None => (rest, None),
        };
        let (host, port) = read_authority(authority.strip_suffix('/').unwrap_or(authority))?;
        let (credentials, transport) = match (scheme, user_info, query) {
            (IceScheme::Stun, None, None) => (None, None),
            (IceScheme::Stun, ..) => return Err(bad("STUN takes no user and no query")),
            (_, user_info, query) => (
                user_info.map(read_credentials).transpose()?,
                query.map(read_query).transpose()?,
            ),
        };
        let (username, password) = credentials.unzip();
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
            username,
            password,
            transport,
        })
    }

    /// Reads a URL as browsers take it (RFC 7064, RFC 7065), with user and
    /// password beside it; STUN needs none.
    pub fn from_url(url: &str, credentials: Option<(&str, &str)>) -> Result<Self, AddressError> {
        let (scheme, _) = read_scheme(url)?;
        match (scheme, url.split_once(':'), credentials) {
            _ if url.contains('@') => Err(bad("user and password stand beside the URL")),
            (IceScheme::Stun, ..) | (_, None, _) | (_, _, None) => Self::parse(url),
            (_, Some((scheme, rest)), Some((user, password))) => {
                let (user, password) = (encode_part(user), encode_part(password));
                Self::parse(&format!("{scheme}:{user}:{password}@{rest}"))
            }
        }
    }

    /// Reads a list of servers, separated by commas. A comma in a password is
    /// written `%2C`.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, AddressError> {
        Self::each(text, Self::parse)
    }

    /// The same for those who mint credentials: TURN servers may come without.
    pub fn parse_bare_list(text: &str) -> Result<Vec<Self>, AddressError> {
        Self::each(text, Self::read)
    }

    /// Such a list as it can be shown, with stars for passwords; all stars where it
    /// cannot be read, as a password may be anywhere in it.
    pub fn without_passwords(list: &str) -> String {
        const HIDDEN: &str = "***";
        if !list.contains('@') {
            return list.to_owned();
        }
        let shown = |server: &Self| {
            let user = server.username.as_deref().map(encode_part);
            let user = user.map_or_else(String::new, |it| format!("{it}:{HIDDEN}@"));
            let scheme = server.scheme.as_str();
            let (authority, query) = (server.authority(), server.query());
            format!("{scheme}://{user}{authority}{query}")
        };
        match Self::parse_bare_list(list) {
            Ok(servers) => servers.iter().map(shown).collect::<Vec<_>>().join(","),
            Err(_) => HIDDEN.to_owned(),
        }
    }

    fn each(
        text: &str,
        parse: impl Fn(&str) -> Result<Self, AddressError>,
    ) -> Result<Vec<Self>, AddressError> {
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        items
            .enumerate()
            .map(|(at, item)| {
                parse(item).map_err(|e| AddressError(format!("number {}: {e}", at + 1)))
            })
            .collect()
    }

    /// As GStreamer wants it: all reserved characters of user and password
    /// percent-encoded, so that a `:` in the user name (TURN REST's
    /// `expiry:name`) does not cut it in two.
    pub fn to_gstreamer_uri(&self) -> String {
        let user_info = match (&self.username, &self.password) {
            (Some(user), Some(password)) => {
                format!("{}:{}@", encode_part(user), encode_part(password))
            }
            _ => String::new(),
        };
        format!(
            "{}://{user_info}{}{}",
            self.scheme.as_str(),
            self.authority(),
            self.query()
        )
    }

    /// As browsers want it, without user and password: `turn:host:port?transport=udp`
    /// (RFC 7064, RFC 7065).
    pub fn to_url(&self) -> String {
        format!(
            "{}:{}{}",
            self.scheme.as_str(),
            self.authority(),
            self.query()
        )
    }

    /// As an HTTP `Link` header's value (RFC 9725 section 4.6). It holds the
    /// password: it is for peers that have been let in.
    pub fn to_link_header(&self) -> String {
        let mut link = format!("<{}>; rel=\"ice-server\"", self.to_url());
        if let (Some(user), Some(password)) = (&self.username, &self.password) {
            let (user, password) = (quoted(user), quoted(password));
            link +=
                &format!("; username={user}; credential={password}; credential-type=\"password\"");
        }
        link
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn query(&self) -> String {
        self.transport.map_or(String::new(), |transport| {
            format!("?transport={}", transport.as_str())
        })
    }
}

fn bad(what: &str) -> AddressError {
    AddressError(format!(
        "bad ICE server, {what}; right ones are stun://stun.example.net and turn://user:password@turn.example.net:3478?transport=udp, \
         with reserved characters of user and password percent-encoded"
    ))
}

fn read_scheme(text: &str) -> Result<(IceScheme, &str), AddressError> {
    let (scheme, rest) = text
        .split_once(':')
        .ok_or_else(|| bad("it has no scheme"))?;
    let known = [IceScheme::Stun, IceScheme::Turn, IceScheme::Turns];
    let found = known
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known.as_str()));
    found
        .map(|found| (found, rest))
        .ok_or_else(|| bad("its scheme is none of stun, turn and turns"))
}

fn read_authority(text: &str) -> Result<(String, Option<u16>), AddressError> {
    let (host, port) = match text.rsplit_once(':') {
        // A colon within brackets belongs to an IPv6 address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = port.map(|port| port.parse().ok().filter(|port| *port != 0));
    if port == Some(None) {
        return Err(bad("its port is no number from 1 to 65535"));
    }
    let host = match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) => name,
        Ok(url::Host::Ipv4(address)) => address.to_string(),
        Ok(url::Host::Ipv6(address)) => address.to_string(),
        Err(_) => {
            return Err(bad(
                "its host is no name or address (IPv6 goes into brackets)",
            ));
        }
    };
    Ok((host, port.flatten()))
}

fn read_credentials(user_info: &str) -> Result<(String, String), AddressError> {
    let (user, password) = user_info
        .split_once(':')
        .ok_or_else(|| bad("TURN needs a password too"))?;
    if password.contains(':') {
        return Err(bad("a colon in the user or the password is written %3A"));
    }
    let decode = |part| {
        decode_part(part)
            .ok_or_else(|| bad("a percent sign in the user or the password is written %25"))
    };
    let (user, password) = (decode(user)?, decode(password)?);
    let usable = |part: &String| {
        !part.is_empty() && part.len() <= MAX_CREDENTIAL && !part.chars().any(char::is_control)
    };
    if usable(&user) && usable(&password) {
        Ok((user, password))
    } else {
        Err(bad(
            "the user or the password is empty, too long, or has control characters",
        ))
    }
}

fn read_query(query: &str) -> Result<Transport, AddressError> {
    match query.to_ascii_lowercase().as_str() {
        "transport=udp" => Ok(Transport::Udp),
        "transport=tcp" => Ok(Transport::Tcp),
        _ => Err(bad(
            "after the question mark only transport=udp or transport=tcp may stand",
        )),
    }
}

/// RFC 9110 section 5.6.4.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
