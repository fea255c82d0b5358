use std::sync::Mutex as SyncMutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A TLS server for 127.0.0.1 that says back what it is told. Its address, its
/// certificate in a file, and the first bytes of each connection as they came.
async fn server(name: &str) -> (SocketAddr, PathBuf, Arc<SyncMutex<Vec<u8>>>) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let firsts = Arc::new(SyncMutex::new(Vec::new()));
    let seen = firsts.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut first = [0];
            let _ = stream.peek(&mut first).await;
            seen.lock().unwrap().push(first[0]);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let (mut reader, mut writer) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    let file = std::env::temp_dir().join(format!("sigmund-tunnel-{}-{name}", std::process::id()));
    std::fs::write(&file, made.cert.pem()).unwrap();
    (address, file, firsts)
}

fn listening(ca: Option<PathBuf>) -> (Tunnels, Arc<SyncMutex<Vec<String>>>) {
    let troubles = Arc::new(SyncMutex::new(Vec::new()));
    let heard = troubles.clone();
    let trouble = Arc::new(move |text| heard.lock().unwrap().push(text));
    (Tunnels::new(ca, trouble), troubles)
}

async fn echo(door: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(door).await?;
    stream.write_all(b"allocate").await?;
    let mut answer = vec![0; 8];
    timeout(Duration::from_secs(10), stream.read_exact(&mut answer)).await??;
    Ok(answer)
}

#[tokio::test]
async fn what_goes_in_comes_out_encrypted() {
    let (address, ca, firsts) = server("trusted").await;
    let (tunnels, troubles) = listening(Some(ca.clone()));
    let door = tunnels
        .door("127.0.0.1", address.port(), false)
        .await
        .unwrap();
    assert!(door.ip().is_loopback());
    for _ in 0..3 {
        assert_eq!(echo(door).await.unwrap(), b"allocate");
    }
    // A TLS handshake (RFC 8446 section 5.1), not a word of ours.
    assert_eq!(*firsts.lock().unwrap(), [22, 22, 22]);
    assert_eq!(*troubles.lock().unwrap(), [""; 0]);
    let again = tunnels
        .door("127.0.0.1", address.port(), false)
        .await
        .unwrap();
    assert_eq!(again, door, "one door a server");
    std::fs::remove_file(ca).unwrap();
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_told_once() {
    let (address, ca, _) = server("unknown").await;
    let (tunnels, troubles) = listening(None);
    let door = tunnels
        .door("127.0.0.1", address.port(), false)
        .await
        .unwrap();
    for _ in 0..2 {
        assert!(echo(door).await.is_err());
    }
    let troubles = troubles.lock().unwrap();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert!(troubles[0].contains("certificate"), "{troubles:?}");
    std::fs::remove_file(ca).unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (address, ca, _) = server("named").await;
    let (tunnels, troubles) = listening(Some(ca.clone()));
    let door = tunnels
        .door("localhost", address.port(), false)
        .await
        .unwrap();
    assert!(echo(door).await.is_err());
    assert_eq!(troubles.lock().unwrap().len(), 1);
    std::fs::remove_file(ca).unwrap();
}

#[tokio::test]
async fn nobody_gets_more_tunnels_than_there_are() {
    let (tunnels, _) = listening(None);
    for port in 1..=16 {
        tunnels.door("127.0.0.1", port, false).await.unwrap();
    }
    assert!(tunnels.door("127.0.0.1", 17, false).await.is_err());
    assert!(tunnels.door("127.0.0.1", 1, false).await.is_ok());
}

#[tokio::test]
async fn a_tunnel_ends_with_its_owner() {
    let (address, ca, _) = server("owner").await;
    let (tunnels, _) = listening(Some(ca.clone()));
    let door = tunnels
        .door("127.0.0.1", address.port(), false)
        .await
        .unwrap();
    echo(door).await.unwrap();
    drop(tunnels);
    // The task is gone once the runtime has seen to it.
    let closed = async {
        while TcpStream::connect(door).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), closed).await.unwrap();
    std::fs::remove_file(ca).unwrap();
}

/// An error response to an allocation, that names 192.0.2.7:5349.
fn refusal(class: u8, number: u8) -> Vec<u8> {
    let mut answer = vec![1, 0x13, 0, 20, 0x21, 0x12, 0xa4, 0x42];
    answer.extend([7; 12]);
    // ERROR-CODE and ALTERNATE-SERVER (RFC 8489 sections 14.8 and 14.15).
    answer.extend([0, 9, 0, 4, 0, 0, class, number]);
    answer.extend([0x80, 0x23, 0, 8, 0, 1, 0x14, 0xe5, 192, 0, 2, 7]);
    answer
}

#[tokio::test]
async fn another_server_that_is_named_is_told_and_not_passed_on() {
    let (address, ca, _) = server("alternate").await;
    let (tunnels, troubles) = listening(Some(ca.clone()));
    let door = tunnels
        .door("127.0.0.1", address.port(), false)
        .await
        .unwrap();
    let patience = Duration::from_secs(10);
    let mut stream = TcpStream::connect(door).await.unwrap();
    // The server says back what it is told: as if it refused.
    let wanted = refusal(4, 1);
    let (one, other) = wanted.split_at(13);
    stream.write_all(one).await.unwrap();
    stream.write_all(other).await.unwrap();
    let mut answer = vec![0; wanted.len()];
    let read = timeout(patience, stream.read_exact(&mut answer));
    read.await.unwrap().unwrap();
    assert_eq!(answer, wanted);
    assert_eq!(*troubles.lock().unwrap(), [""; 0]);
    stream.write_all(&refusal(3, 0)).await.unwrap();
    let read = timeout(patience, stream.read(&mut answer)).await;
    assert_eq!(read.unwrap().unwrap_or(0), 0);
    let troubles = troubles.lock().unwrap();
    assert!(troubles[0].contains("192.0.2.7:5349 (300)"), "{troubles:?}");
    std::fs::remove_file(ca).unwrap();
}
