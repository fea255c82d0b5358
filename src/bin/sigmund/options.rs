//! The options of `sigmund serve`: the same names on the command line and in a
//! file, and one place for each.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::values::{Anonymous, Ice, Limit, Listen, LogFormat, NatsUrl, Time, Turn, limits, list};

/// Everything that can be said on the command line or in a file.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, short, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<Listen>,

    /// PEM file with the certificate chain, for https and wss; read again when it changes
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// PEM file with its private key
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) tls_key: Option<PathBuf>,

    /// What those without a token may do [default: all on a loopback address without tokens and
    /// keys, else nobody]
    #[arg(long, value_name = "WHO", help_heading = "Who may do what")]
    pub(crate) anonymous: Option<Anonymous>,
    /// File of tokens, on each line: TOKEN RIGHTS STREAMS, as in `s3cret publish,view cam*`; read
    /// again when it changes
    #[arg(long, value_name = "FILE", help_heading = "Who may do what")]
    pub(crate) token_file: Option<PathBuf>,
    /// Key that JSON Web Tokens are signed with: a secret (HS256), or an Ed25519 key in PEM form
    /// (EdDSA, the public one is enough); may be given again
    #[arg(long, value_name = "FILE", help_heading = "Who may do what")]
    #[serde(deserialize_with = "list")]
    pub(crate) key_file: Vec<PathBuf>,
    /// Name that the server goes by, if it has no TLS; `*` for any; may be given again
    #[arg(long, value_name = "NAME", help_heading = "Who may do what")]
    #[serde(deserialize_with = "list")]
    pub(crate) allowed_host: Vec<String>,
    /// Foreign web page that may use the server, such as https://example.org; `*` for all; may be
    /// given again
    #[arg(long, value_name = "ORIGIN", help_heading = "Who may do what")]
    #[serde(deserialize_with = "list")]
    pub(crate) allowed_origin: Vec<String>,

    /// STUN or TURN server for all peers: stun://HOST, turn://USER:PASSWORD@HOST; may be given
    /// again
    #[arg(long, value_name = "URI", help_heading = "ICE servers")]
    #[serde(deserialize_with = "list")]
    pub(crate) ice_server: Vec<Ice>,
    /// TURN server whose credentials are made for each peer from the secret: turn://HOST; may be
    /// given again
    #[arg(long, value_name = "URI", help_heading = "ICE servers")]
    #[serde(deserialize_with = "list")]
    pub(crate) turn_server: Vec<Turn>,
    /// File with the secret that these TURN servers know (coturn: static-auth-secret)
    #[arg(long, value_name = "FILE", help_heading = "ICE servers")]
    pub(crate) turn_secret_file: Option<PathBuf>,
    /// How long such credentials are good [default: 12h]
    #[arg(long, value_name = "TIME", help_heading = "ICE servers")]
    pub(crate) turn_ttl: Option<Time>,

    /// Join other servers that name the same NATS server: a publisher on one of them, viewers on
    /// any. nats://HOST[:PORT] or nats+tls://…; may be given again, for a cluster of NATS
    #[arg(long, value_name = "URL", help_heading = "Several servers as one")]
    #[serde(deserialize_with = "list")]
    pub(crate) nats: Vec<NatsUrl>,
    /// File with what lets us in at NATS: a token, or USER:PASSWORD
    #[arg(long, value_name = "FILE", help_heading = "Several servers as one")]
    pub(crate) nats_token_file: Option<PathBuf>,
    /// PEM file of certificates that are trusted for NATS, besides the system's roots
    #[arg(long, value_name = "FILE", help_heading = "Several servers as one")]
    pub(crate) nats_ca: Option<PathBuf>,

    /// Serve the metrics here too, to everybody who can reach it; without this, /metrics is for
    /// loopback and for tokens with the right `metrics`
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Running it")]
    pub(crate) metrics_listen: Option<Listen>,
    /// What to log: error, warn, info, debug, trace, or a list such as info,sigmund::server=debug
    /// [default: info]
    #[arg(long, value_name = "FILTER", help_heading = "Running it")]
    pub(crate) log: Option<String>,
    /// How to log [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Running it")]
    pub(crate) log_format: Option<LogFormat>,
    /// Change a limit, such as connections=20000; a wrong name lists them all; may be given again
    #[arg(long = "limit", value_name = "NAME=VALUE", help_heading = "Running it")]
    #[serde(deserialize_with = "limits")]
    pub(crate) limits: Vec<Limit>,
}

impl Options {
    /// Reads a file. The error names it, the line, and what is wanted there,
    /// and never repeats what stands there, which may be a secret.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or_default();
            let line = before.matches('\n').count();
            let key = key(text.lines().nth(line).unwrap_or_default());
            let key = key.map_or_else(String::new, |key| format!("{key}: "));
            format!("{}:{}: {key}{}", file.display(), line + 1, error.message())
        })
    }

    /// These, and where they say nothing, `others`. A list counts as a whole,
    /// limits one by one.
    pub(crate) fn or(self, others: Self) -> Self {
        fn either<T>(one: Vec<T>, other: Vec<T>) -> Vec<T> {
            if one.is_empty() { other } else { one }
        }
        Self {
            listen: self.listen.or(others.listen),
            tls_certificate: self.tls_certificate.or(others.tls_certificate),
            tls_key: self.tls_key.or(others.tls_key),
            anonymous: self.anonymous.or(others.anonymous),
            token_file: self.token_file.or(others.token_file),
            key_file: either(self.key_file, others.key_file),
            allowed_host: either(self.allowed_host, others.allowed_host),
            allowed_origin: either(self.allowed_origin, others.allowed_origin),
            ice_server: either(self.ice_server, others.ice_server),
            turn_server: either(self.turn_server, others.turn_server),
            turn_secret_file: self.turn_secret_file.or(others.turn_secret_file),
            turn_ttl: self.turn_ttl.or(others.turn_ttl),
            nats: either(self.nats, others.nats),
            nats_token_file: self.nats_token_file.or(others.nats_token_file),
            nats_ca: self.nats_ca.or(others.nats_ca),
            metrics_listen: self.metrics_listen.or(others.metrics_listen),
            log: self.log.or(others.log),
            log_format: self.log_format.or(others.log_format),
            // Later ones win.
            limits: [others.limits, self.limits].concat(),
        }
    }
}

/// The key of a line, without what follows it.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!key.is_empty() && key.chars().all(bare)).then_some(key)
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
