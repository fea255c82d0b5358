use std::net::SocketAddr;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const BODY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// A server that answers each connection's first request with `response`.
async fn server(response: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, response.clone()));
        }
    });
    address
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, response: String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A TLS server for `localhost`, and its certificate.
async fn tls_server() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
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
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, BODY.to_owned()).await;
                }
            });
        }
    });
    (address, made.cert.pem())
}

/// A file that goes with its owner.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sigmund-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn get(url: &str, tls: &Tls) -> Result<Response<Bytes>, SignallerError> {
    http(Request::get(url).body(Bytes::new()).unwrap(), tls).await
}

fn permanent<T: std::fmt::Debug>(result: Result<T, SignallerError>) -> String {
    match result {
        Err(SignallerError::Permanent(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn transient<T: std::fmt::Debug>(result: Result<T, SignallerError>) -> String {
    match result {
        Err(SignallerError::Transient(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_whole_response_arrives() {
    let address = server(BODY.to_owned()).await;
    let response = get(&format!("http://{address}/a?b"), &Tls::default()).await;
    let response = response.unwrap();
    assert_eq!(
        (response.status(), &response.body()[..]),
        (StatusCode::OK, &b"hi"[..])
    );
}

#[tokio::test]
async fn a_certificate_is_trusted_only_if_its_authority_is() {
    let (address, certificate) = tls_server().await;
    let url = format!("https://localhost:{}/", address.port());
    let text = permanent(get(&url, &Tls::default()).await);
    assert!(text.contains("tls-ca"), "{text}");

    let ca = File::new("ca.pem", &certificate);
    let tls = Tls::new(Some(ca.0.clone()));
    assert_eq!(get(&url, &tls).await.unwrap().status(), StatusCode::OK);

    let text = permanent(get(&format!("https://{address}/"), &tls).await);
    assert!(
        text.contains("cannot be trusted"),
        "the name is wrong: {text}"
    );
}

#[tokio::test]
async fn an_authority_that_cannot_be_read_is_named() {
    let (address, _) = tls_server().await;
    let empty = File::new("empty.pem", "nothing");
    for path in ["/nonexistent/ca.pem".into(), empty.0.clone()] {
        let tls = Tls::new(Some(path));
        let text = permanent(get(&format!("https://{address}/"), &tls).await);
        assert!(text.contains("tls-ca="), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_falls_back_to_clear_text() {
    let address = server(BODY.to_owned()).await;
    transient(get(&format!("https://{address}/"), &Tls::default()).await);
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let text = transient(get(&format!("http://{address}/"), &Tls::default()).await);
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    transient(get(&format!("http://{address}/"), &Tls::default()).await);
    let url = Url::parse(&format!("ws://{address}/")).unwrap();
    transient(websocket(&url, &Tls::default(), None, None).await.map(drop));
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let long = "x".repeat(MAX_MESSAGE + 1);
    let address = server(format!("HTTP/1.1 200 OK\r\n\r\n{long}")).await;
    let text = transient(get(&format!("http://{address}/"), &Tls::default()).await);
    assert!(text.contains("limit"), "{text}");
}

#[tokio::test]
async fn what_is_no_websocket_says_why() {
    let refusal = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 9\r\n\r\nno\r\ntoken";
    let address = server(refusal.to_owned()).await;
    let url = Url::parse(&format!("ws://{address}/")).unwrap();
    let text = permanent(websocket(&url, &Tls::default(), None, None).await.map(drop));
    assert!(text.contains("401") && text.contains("no token"), "{text}");

    let address = server(BODY.replace("200", "503")).await;
    let url = Url::parse(&format!("ws://{address}/")).unwrap();
    transient(websocket(&url, &Tls::default(), None, None).await.map(drop));
}

#[tokio::test]
async fn a_server_that_ignores_the_subprotocol_is_a_wrong_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = async {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = async_tungstenite::tokio::accept_async(stream).await;
    };
    let url = Url::parse(&format!("ws://{address}/")).unwrap();
    let tls = Tls::default();
    let (opened, ()) = tokio::join!(websocket(&url, &tls, Some("sigmund.v1"), None), accept);
    let text = permanent(opened.map(drop));
    assert!(text.contains("another protocol"), "{text}");
}

#[tokio::test]
async fn messages_travel_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = async_tungstenite::tokio::accept_async(stream)
            .await
            .unwrap();
        while let Some(Ok(message)) = socket.next().await {
            socket.send(message).await.unwrap();
        }
    });
    let url = Url::parse(&format!("ws://{address}/")).unwrap();
    let mut socket = websocket(&url, &Tls::default(), None, None).await.unwrap();
    socket.send("hello".into()).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap().to_text().unwrap(),
        "hello"
    );
}

#[test]
fn a_servers_words_are_one_short_line() {
    assert_eq!(quote(b"a\r\n\x1b[31m\0b\xff"), "a [31m b\u{fffd}");
    assert_eq!(
        quote("ü".repeat(1000).as_bytes()).chars().count(),
        MAX_QUOTE
    );
}
