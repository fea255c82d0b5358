//! Signalling URIs and ICE-server URIs. Pure.

mod ice;
mod link;
#[cfg(test)]
mod tests;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

pub use ice::{IceScheme, IceServer, Transport};

/// The longest URI that is read, in bytes.
pub const MAX_URI: usize = 2048;

/// The longest stream name, in characters.
pub const MAX_STREAM_NAME: usize = 128;

/// All but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Shown by errors.
const EXAMPLE: &str = "a right one is listen://127.0.0.1:8080/camera";

/// A signalling URI that has been read: `SCHEME://HOST[:PORT][/STREAM]`, or
/// `SCHEME:STREAM` for schemes without a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignallingUri {
    /// Lower case, as registered: `listen`, `sigmund+ws`, …
    pub scheme: String,
    /// Host name or address, without brackets; empty for schemes without one.
    pub host: String,
    /// The port, if given.
    pub port: Option<u16>,
    /// Other servers that do as well, for schemes that know several
    /// (`sigmund+wss://a.example,b.example:8443/cam`).
    pub others: Vec<(String, Option<u16>)>,
    /// The stream, percent-decoded; `None` when the path is empty, and for
    /// `…+http(s)` and `stdio`, whose rest is their own affair.
    pub stream: Option<String>,
    /// The URI as the user wrote it.
    pub text: String,
}

/// Why an address cannot be used; says what is wrong and shows a right one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(pub String);

impl AddressError {
    fn new(what: impl std::fmt::Display) -> Self {
        Self(format!("{what}; {EXAMPLE}"))
    }
}

impl SignallingUri {
    /// Reads a URI.
    ///
    /// A URI with user info is refused: secrets belong into properties, as
    /// URIs are logged and shown.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_URI {
            return Err(AddressError::new(format_args!(
                "the URI is longer than {MAX_URI} bytes"
            )));
        }
        // The URL parser would silently drop some of these.
        if text.chars().any(char::is_control) || text.trim() != text {
            return Err(AddressError::new(
                "the URI has control characters, or spaces around it",
            ));
        }
        let scheme = read_scheme(text)?;
        let rest = &text[scheme.len() + 1..];
        let (mut hosts, path) = match rest.strip_prefix("//") {
            Some(rest) => read_authorities(&scheme, text, rest)?,
            None => (vec![(String::new(), None)], rest.to_owned()),
        };
        let (host, port) = hosts.remove(0);
        let own_affair = ["+http", "+https", "stdio"];
        let stream = if own_affair.iter().any(|it| scheme.ends_with(it)) {
            None
        } else {
            read_stream(&path)?
        };
        Ok(Self {
            scheme,
            host,
            port,
            others: hosts,
            stream,
            text: text.to_owned(),
        })
    }
}

/// Checks a stream's name as people see it, percent-decoded.
///
/// It must be 1 to [`MAX_STREAM_NAME`] characters without control characters
/// and slashes, and not `.` or `..`, which vanish out of URLs.
pub fn check_stream_name(name: &str) -> Result<(), AddressError> {
    if name.is_empty() || name == "." || name == ".." {
        return Err(AddressError::new(
            "a stream's name must not be empty, \".\" or \"..\"",
        ));
    }
    if name.chars().count() > MAX_STREAM_NAME {
        return Err(AddressError::new(format_args!(
            "a stream's name has at most {MAX_STREAM_NAME} characters"
        )));
    }
    if name
        .chars()
        .any(|c| c.is_control() || c == '/' || c == '\\')
    {
        return Err(AddressError::new(
            "a stream's name has no slashes and no control characters",
        ));
    }
    Ok(())
}

/// Writes `text` so that it can stand in any one part of a URI: all but
/// letters, digits and `-_.~` percent-encoded.
pub fn encode_part(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Undoes [`encode_part`]. `None` for a stray `%` and for what is not UTF-8.
pub fn decode_part(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let stray = |at: usize| !matches!(bytes.get(at + 1..at + 3), Some(hex) if hex.iter().all(u8::is_ascii_hexdigit));
    if text.match_indices('%').any(|(at, _)| stray(at)) {
        return None;
    }
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

/// RFC 3986 section 3.1.
fn read_scheme(text: &str) -> Result<String, AddressError> {
    let Some((scheme, _)) = text.split_once(':') else {
        return Err(AddressError::new("that is no URI, it has no scheme"));
    };
    let starts_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well
        || !scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        return Err(AddressError::new(
            "that is no URI, what stands before the colon is no scheme",
        ));
    }
    Ok(scheme.to_ascii_lowercase())
}

/// Schemes whose URIs may name several servers.
const SEVERAL: [&str; 4] = ["ws", "wss", "sigmund+ws", "sigmund+wss"];

/// How many.
const MAX_HOSTS: usize = 16;

/// A server: its host, without brackets, and its port, if given.
type Host = (String, Option<u16>);

/// The same as [`read_authority`] for URIs that may name several, at least one.
fn read_authorities(
    scheme: &str,
    text: &str,
    rest: &str,
) -> Result<(Vec<Host>, String), AddressError> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !SEVERAL.contains(&scheme) || !authority.contains(',') {
        let (host, port, path) = read_authority(text, rest)?;
        return Ok((vec![(host, port)], path));
    }
    let parts: Vec<_> = authority.split(',').collect();
    if parts.len() > MAX_HOSTS || parts.iter().any(|it| it.is_empty()) {
        return Err(AddressError::new(format_args!(
            "several servers stand as HOST,HOST:PORT, at most {MAX_HOSTS}"
        )));
    }
    let one = |part: &&str| {
        let rest = format!("{part}{path}");
        let (host, port, _) = read_authority(&format!("{scheme}://{rest}"), &rest)?;
        Ok((host, port))
    };
    let hosts = parts.iter().map(one).collect::<Result<_, _>>()?;
    Ok((hosts, path.to_owned()))
}

/// Splits `text`, whose part after `//` is `rest`, into host, port and path.
fn read_authority(text: &str, rest: &str) -> Result<(String, Option<u16>, String), AddressError> {
    if rest.starts_with(':') {
        return Err(AddressError::new(
            "the URI has a port but no address; write 127.0.0.1 for this machine alone, 0.0.0.0 or [::] for everyone",
        ));
    }
    let url =
        Url::parse(text).map_err(|error| AddressError::new(format_args!("bad URI: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::new(
            "a signalling URI holds no user or password; use the property `token`",
        ));
    }
    let host = match url.host() {
        Some(url::Host::Ipv6(address)) => address.to_string(),
        Some(host) => host.to_string(),
        None => String::new(),
    };
    // Not `url.path()`: it resolves dot segments, which would hide them.
    let path = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]);
    Ok((host, url.port(), path.to_owned()))
}

fn read_stream(path: &str) -> Result<Option<String>, AddressError> {
    if path.contains(['?', '#']) {
        return Err(AddressError::new("this URI takes no query and no fragment"));
    }
    let segment = path.strip_prefix('/').unwrap_or(path);
    if segment.is_empty() {
        return Ok(None);
    }
    if segment.contains('/') {
        return Err(AddressError::new(
            "a stream's name is one path segment, without a slash",
        ));
    }
    let name = decode_part(segment).ok_or_else(|| {
        AddressError::new("the stream's name is not percent-encoded UTF-8; write % as %25")
    })?;
    check_stream_name(&name)?;
    Ok(Some(name))
}
