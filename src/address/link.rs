//! ICE servers in HTTP `Link` headers (RFC 9725 section 4.6, RFC 8288 section 3).

use super::IceServer;

/// How many are taken from one response.
const MAX: usize = 16;

impl IceServer {
    /// The ICE servers among the links that a response's `Link` headers hold.
    /// Others, and what makes no sense, are skipped.
    pub fn from_links<'a>(headers: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let links = headers
            .into_iter()
            .flat_map(|header| Links { rest: header });
        let servers = links.filter_map(|link| {
            let credentials = link.username.as_deref().zip(link.credential.as_deref());
            let is_server = link.rel.is_some_and(|rel| is_ice_server(&rel));
            is_server
                .then(|| Self::from_url(link.target, credentials).ok())
                .flatten()
        });
        servers.take(MAX).collect()
    }
}

fn is_ice_server(rel: &str) -> bool {
    let mut relations = rel.split_ascii_whitespace();
    relations.any(|it| it.eq_ignore_ascii_case("ice-server"))
}

/// One link, with the parameters that matter here.
#[derive(Default)]
struct Link<'a> {
    target: &'a str,
    rel: Option<String>,
    username: Option<String>,
    credential: Option<String>,
}

/// The links of one header.
struct Links<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        let (_, rest) = self.rest.split_once('<')?;
        let (target, rest) = rest.split_once('>')?;
        let mut link = Link {
            target: target.trim(),
            ..Link::default()
        };
        self.rest = rest.trim_start();
        while let Some(rest) = self.rest.strip_prefix(';') {
            let (name, value, rest) = parameter(rest);
            // The first of a name counts (RFC 8288 section 3).
            match name.to_ascii_lowercase().as_str() {
                "rel" if link.rel.is_none() => link.rel = Some(value),
                "username" if link.username.is_none() => link.username = Some(value),
                "credential" if link.credential.is_none() => link.credential = Some(value),
                _ => (),
            }
            self.rest = rest.trim_start();
        }
        Some(link)
    }
}

/// `name=value`, where the value may be quoted, and what follows.
fn parameter(text: &str) -> (&str, String, &str) {
    let end = text.find(['=', ';', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let Some(rest) = rest.strip_prefix('=') else {
        return (name.trim(), String::new(), rest);
    };
    let rest = rest.trim_start();
    if let Some(quoted) = rest.strip_prefix('"') {
        let (value, rest) = unquoted(quoted);
        return (name.trim(), value, rest);
    }
    let end = rest.find([';', ',']).unwrap_or(rest.len());
    let (value, rest) = rest.split_at(end);
    (name.trim(), value.trim().to_owned(), rest)
}

/// Up to the closing quote, and what follows (RFC 9110 section 5.6.4).
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, it)| it)),
            other => value.push(other),
        }
    }
    (value, "")
}
