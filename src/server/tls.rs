//! TLS out of PEM files, which are read again when they change.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::signaller::TlsFiles;

/// How often the files are looked at.
const LOOK: Duration = if cfg!(test) {
    Duration::from_millis(20)
} else {
    Duration::from_secs(5)
};

/// The longest file that is read, in bytes; a chain has some thousands.
const MAX_FILE: u64 = 1024 * 1024;

/// A certificate and its key, as the files held them last. Connections that are
/// open keep the one that they began with.
pub(super) struct Certificate {
    files: TlsFiles,
    acceptor: RwLock<TlsAcceptor>,
}

/// What the two files hold.
#[derive(Clone, PartialEq)]
struct Texts {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// Reads the files. The error says which one is wrong, and how.
    pub(super) fn load(files: &TlsFiles) -> Result<Arc<Self>, String> {
        let texts = Texts::read(files)?;
        Ok(Arc::new(Self {
            acceptor: RwLock::new(acceptor(files, &texts)?),
            files: files.clone(),
        }))
    }

    /// For the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks at the files until `stop`'s sender is gone. What cannot be used
    /// (as when one file is new and the other is not yet) leaves the old one in
    /// place, is warned of once, and looked at again when it changes.
    pub(super) async fn follow(self: Arc<Self>, mut stop: watch::Receiver<()>) {
        let mut known: Option<Texts> = None;
        loop {
            let certificate = self.clone();
            let before = known.clone();
            let look = tokio::task::spawn_blocking(move || certificate.look(before));
            known = look.await.unwrap_or(known);
            tokio::select! {
                _ = stop.changed() => return,
                () = sleep(LOOK) => {}
            }
        }
    }

    /// Takes what the files hold, if that is not `known`. Returns it.
    fn look(&self, known: Option<Texts>) -> Option<Texts> {
        // They may be missing for a moment while they are replaced.
        let Ok(texts) = Texts::read(&self.files) else {
            return known;
        };
        if known.as_ref() == Some(&texts) {
            return known;
        }
        match acceptor(&self.files, &texts) {
            Ok(acceptor) => {
                *self
                    .acceptor
                    .write()
                    .unwrap_or_else(PoisonError::into_inner) = acceptor;
                if known.is_some() {
                    tracing::info!("the TLS certificate has been read again");
                }
            }
            Err(error) => tracing::warn!("the old TLS certificate stays in use: {error}"),
        }
        Some(texts)
    }
}

impl Texts {
    fn read(files: &TlsFiles) -> Result<Self, String> {
        let read = |property: &str, path: &Path| {
            let mut text = Vec::new();
            std::fs::File::open(path)
                .and_then(|file| file.take(MAX_FILE).read_to_end(&mut text))
                .map(|_| text)
                .map_err(|error| unreadable(property, path, &error.to_string()))
        };
        Ok(Self {
            certificate: read("tls-certificate", &files.certificate)?,
            key: read("tls-key", &files.key)?,
        })
    }
}

/// The cryptography is chosen here and not installed for the process, which is
/// not ours.
fn acceptor(files: &TlsFiles, texts: &Texts) -> Result<TlsAcceptor, String> {
    let (certificate, key) = (&files.certificate, &files.key);
    let chain = CertificateDer::pem_slice_iter(&texts.certificate)
        .collect::<Result<Vec<_>, _>>()
        .and_then(|chain| {
            if chain.is_empty() {
                Err(pem::Error::NoItemsFound)
            } else {
                Ok(chain)
            }
        })
        .map_err(|error| not_pem("tls-certificate", certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_slice(&texts.key)
        .map_err(|error| not_pem("tls-key", key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, secret))
        .map_err(|error| {
            format!(
                "tls-certificate={} and tls-key={} do not work together: {error}",
                certificate.display(),
                key.display()
            )
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn not_pem(property: &str, path: &Path, error: &pem::Error) -> String {
    let why = match error {
        pem::Error::NoItemsFound => "it holds none in PEM form".to_owned(),
        other => other.to_string(),
    };
    unreadable(property, path, &why)
}

fn unreadable(property: &str, path: &Path, why: &str) -> String {
    format!("cannot read {property}={}: {why}", path.display())
}
