//! TLS: certificates that work, that do not, and that change.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::signaller::TlsFiles;

/// A self-signed certificate in files.
struct Certificate {
    directory: std::path::PathBuf,
    pem: String,
}

impl Certificate {
    fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["cam.example".to_owned()]).unwrap();
        let directory =
            std::env::temp_dir().join(format!("sigmund-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let new = Self {
            directory,
            pem: made.cert.pem(),
        };
        new.write_key(&made.signing_key.serialize_pem());
        new.write_certificate();
        new
    }

    fn write_certificate(&self) {
        std::fs::write(self.files().certificate, &self.pem).unwrap();
    }

    fn write_key(&self, pem: &str) {
        std::fs::write(self.files().key, pem).unwrap();
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.directory.join("cert.pem"),
            key: self.directory.join("key.pem"),
        }
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A connection by a client that trusts this certificate alone.
async fn connect(to: SocketAddr, pem: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(to).await.unwrap();
    let name = ServerName::try_from("cam.example").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Asks for the streams. `last`: the server shall close the connection then.
async fn ask(stream: &mut TlsStream<TcpStream>, last: bool) -> Reply {
    let end = if last { "Connection: close\r\n" } else { "" };
    let text = format!("GET /healthz HTTP/1.1\r\nHost: cam.example\r\n{end}\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "it is open");
    }
    Reply::read(&bytes)
}

#[tokio::test]
async fn it_speaks_tls() {
    let certificate = Certificate::new("speaks");
    let mut options = options();
    options.tls = Some(certificate.files());
    let publisher = Publisher::open("listen://127.0.0.1:0/cam", &options).await;
    assert!(
        publisher.url.starts_with("https://127.0.0.1:"),
        "{}",
        publisher.url
    );
    let mut stream = connect(publisher.address(), &certificate.pem)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let text = "GET /streams HTTP/1.1\r\nHost: cam.example\r\nOrigin: https://cam.example\r\nConnection: close\r\n\r\n";
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    assert_eq!(Reply::read(&bytes).status, 200);
    assert!(
        rustls::crypto::CryptoProvider::get_default().is_none(),
        "we are a guest in this process"
    );
}

#[tokio::test]
async fn bad_certificates_are_explained() {
    let (one, other) = (Certificate::new("one"), Certificate::new("other"));
    let cases = [
        (
            TlsFiles {
                certificate: "/nowhere/cert.pem".into(),
                key: one.files().key,
            },
            "tls-certificate=/nowhere/cert.pem",
        ),
        (
            TlsFiles {
                certificate: one.files().certificate,
                key: "/nowhere/key.pem".into(),
            },
            "tls-key=/nowhere/key.pem",
        ),
        (
            TlsFiles {
                certificate: one.files().key,
                key: one.files().key,
            },
            "holds none",
        ),
        (
            TlsFiles {
                certificate: one.files().certificate,
                key: one.files().certificate,
            },
            "holds none",
        ),
        (
            TlsFiles {
                certificate: one.files().certificate,
                key: other.files().key,
            },
            "do not work together",
        ),
    ];
    for (files, words) in cases {
        let mut options = options();
        options.tls = Some(files);
        let text = failure(Publisher::try_open("listen://127.0.0.1:0", &options).await);
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_old_connections_live_on() {
    let (old, new) = (Certificate::new("old"), Certificate::new("new"));
    let mut options = options();
    options.tls = Some(old.files());
    let publisher = Publisher::open("listen://127.0.0.1:0/cam", &options).await;
    let to = publisher.address();
    let mut before = connect(to, &old.pem).await.unwrap();
    assert_eq!(ask(&mut before, false).await.status, 200);
    // Certificate and key do not change at one instant.
    std::fs::copy(new.files().certificate, old.files().certificate).unwrap();
    assert!(connect(to, &old.pem).await.is_ok(), "half a change is none");
    std::fs::copy(new.files().key, old.files().key).unwrap();
    let renewed = async {
        while connect(to, &new.pem).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, renewed).await.expect("the new one is used");
    assert!(connect(to, &old.pem).await.is_err());
    assert_eq!(ask(&mut before, true).await.status, 200);
    // Nonsense changes nothing.
    old.write_key("nonsense");
    assert!(connect(to, &new.pem).await.is_ok());
}
