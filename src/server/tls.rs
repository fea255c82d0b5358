//! TLS out of PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::signaller::TlsFiles;

/// Reads the files. The error says which one is wrong, and how.
///
/// The cryptography is chosen here and not installed for the process, which is
/// not ours.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, String> {
    let (certificate, key) = (&files.certificate, &files.key);
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("tls-certificate", certificate, &error))?;
    if chain.is_empty() {
        return Err(unreadable(
            "tls-certificate",
            certificate,
            &pem::Error::NoItemsFound,
        ));
    }
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("tls-key", key, &error))?;
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

fn unreadable(property: &str, path: &Path, error: &pem::Error) -> String {
    let why = match error {
        pem::Error::NoItemsFound => "it holds none in PEM form".to_owned(),
        other => other.to_string(),
    };
    format!("cannot read {property}={}: {why}", path.display())
}
