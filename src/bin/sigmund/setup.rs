//! Makes out of options what the server takes, and reads the files that they name.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sigmund::access::jwt::Key;
use sigmund::access::{
    Authenticator, DEFAULT_TTL, IceServers, Limits, Rights, Token, TurnSecret, is_loopback,
};
use sigmund::server::cluster::{Nats, NatsToken};
use sigmund::server::standalone::{Place, Terms};
use sigmund::signaller::TlsFiles;

use crate::options::Options;
use crate::values::{Anonymous, Listen};

/// They are renewed before they end: without a life, that would never stop.
const SHORTEST_TTL: Duration = Duration::from_secs(1);

/// Where the server listens if nothing else is said.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// The options of the command line over those of the file.
pub(crate) fn options(config: Option<&Path>, flags: &Options) -> Result<Options, String> {
    let Some(file) = config else {
        return Ok(flags.clone());
    };
    let mut options = Options::read(file)?;
    let base = file.parent().unwrap_or(Path::new(""));
    let paths = [
        &mut options.tls_certificate,
        &mut options.tls_key,
        &mut options.token_file,
        &mut options.turn_secret_file,
        &mut options.nats_token_file,
        &mut options.nats_ca,
    ];
    let paths = paths.into_iter().flatten();
    for path in paths.chain(&mut options.key_file) {
        // A file's relative paths begin where the file is.
        *path = base.join(&*path);
    }
    Ok(flags.clone().or(options))
}

/// What cannot change while the server runs.
pub(crate) fn place(options: &Options) -> Result<Place, String> {
    let default = || DEFAULT_LISTEN.parse();
    let listen: Listen = options.listen.clone().map_or_else(default, Ok)?;
    let tls = match (&options.tls_certificate, &options.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        (None, None) => None,
        (Some(_), None) => return Err("tls-certificate needs tls-key too".into()),
        (None, Some(_)) => return Err("tls-key needs tls-certificate too".into()),
    };
    let metrics = options.metrics_listen.as_ref();
    Ok(Place {
        listen: listen.resolve()?,
        tls,
        metrics: metrics.map(Listen::resolve).transpose()?,
        nats: nats(options)?,
    })
}

fn nats(options: &Options) -> Result<Option<Nats>, String> {
    if options.nats.is_empty() {
        return match (&options.nats_token_file, &options.nats_ca) {
            (None, None) => Ok(None),
            _ => Err("nats-token-file and nats-ca need nats too".into()),
        };
    }
    let token = match &options.nats_token_file {
        Some(file) => {
            let text = read("nats-token-file", file)?;
            Some(NatsToken(Token::new(text.trim())))
        }
        None => None,
    };
    Ok(Some(Nats {
        servers: options.nats.iter().map(|it| it.0.clone()).collect(),
        token,
        tls_ca: options.nats_ca.clone(),
    }))
}

/// What can, for a server at `place`.
pub(crate) fn terms(options: &Options, place: &Place) -> Result<Terms, String> {
    let mut limits = Limits::standalone();
    for limit in &options.limits {
        limit.set(&mut limits)?;
    }
    Ok(Terms {
        auth: authenticator(options, place)?,
        allowed_hosts: options.allowed_host.clone(),
        allowed_origins: options.allowed_origin.clone(),
        limits,
        ice: ice(options)?,
    })
}

fn authenticator(options: &Options, place: &Place) -> Result<Authenticator, String> {
    let mut auth = Authenticator::new();
    if let Some(file) = &options.token_file {
        let text = read("token-file", file)?;
        auth = auth
            .allow_file(&text)
            .map_err(|error| named("token-file", file, &error))?;
    }
    for file in &options.key_file {
        let key = Key::parse(&read("key-file", file)?);
        let key = key.map_err(|error| named("key-file", file, &error))?;
        auth = auth.allow_signed(Arc::new(key));
    }
    let unguarded = options.token_file.is_none() && options.key_file.is_empty();
    let default = if unguarded && is_loopback(place.listen.ip()) {
        Anonymous::All
    } else {
        Anonymous::Nobody
    };
    Ok(match options.anonymous.unwrap_or(default) {
        Anonymous::Nobody => auth,
        Anonymous::View => auth.allow_anonymous(Rights::VIEW),
        Anonymous::All => auth.allow_anonymous(Rights {
            metrics: false,
            ..Rights::ALL
        }),
    })
}

fn ice(options: &Options) -> Result<IceServers, String> {
    let ttl = options.turn_ttl.map_or(DEFAULT_TTL, |time| time.0);
    if ttl < SHORTEST_TTL {
        return Err("turn-ttl: credentials are good for a second at least".into());
    }
    let secret = match (&options.turn_secret_file, options.turn_server.is_empty()) {
        (Some(file), false) => {
            let text = read("turn-secret-file", file)?;
            let secret = text.trim();
            if secret.is_empty() {
                return Err(named("turn-secret-file", file, &"it is empty"));
            }
            Some(TurnSecret::new(secret, ttl))
        }
        (None, true) => None,
        (Some(_), true) => return Err("turn-secret-file needs a turn-server too".into()),
        (None, false) => {
            return Err(
                "turn-server needs turn-secret-file too; a TURN server with a fixed user and password is an ice-server"
                    .into(),
            );
        }
    };
    Ok(IceServers {
        fixed: options.ice_server.iter().map(|it| it.0.clone()).collect(),
        minted: options.turn_server.iter().map(|it| it.0.clone()).collect(),
        secret,
    })
}

/// The files whose change counts at once.
pub(crate) fn followed(options: &Options) -> Vec<PathBuf> {
    let files = options.token_file.iter().chain(&options.key_file);
    files.chain(&options.turn_secret_file).cloned().collect()
}

fn read(option: &str, file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| named(option, file, &error))
}

fn named(option: &str, file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{option} {}: {error}", file.display())
}
