use async_tungstenite::tokio::accept_async;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use url::Url;

use super::*;
use crate::signaller::dial::{Tls, websocket};

/// A socket, and its far side's stream that has shaken hands.
async fn pair() -> (
    Socket,
    async_tungstenite::WebSocketStream<
        async_tungstenite::tokio::TokioAdapter<tokio::net::TcpStream>,
    >,
) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = Url::parse(&format!("ws://{address}/")).unwrap();
    let accept = async {
        accept_async(listener.accept().await.unwrap().0)
            .await
            .unwrap()
    };
    let tls = Tls::default();
    let (near, far) = tokio::join!(websocket(&url, &tls, None, None), accept);
    (Socket::new(near.unwrap()), far)
}

impl crate::signaller::dial::Stream for DuplexStream {
    fn address(&self) -> Option<IpAddr> {
        Some(IpAddr::from([127, 0, 0, 1]))
    }
}

/// A socket whose far side says nothing at all, on virtual time.
async fn deaf() -> (Socket, DuplexStream) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let stream: Box<dyn crate::signaller::dial::Stream> = Box::new(near);
    let stream = async_tungstenite::tokio::TokioAdapter::new(stream);
    let role = async_tungstenite::tungstenite::protocol::Role::Client;
    let socket = async_tungstenite::WebSocketStream::from_raw_socket(stream, role, None).await;
    (Socket::new(socket), far)
}

#[tokio::test]
async fn objects_travel_and_nonsense_is_skipped() {
    let (mut near, mut far) = pair().await;
    near.send(&json!({"a": 1})).await.unwrap();
    assert_eq!(
        far.next().await.unwrap().unwrap().to_text().unwrap(),
        r#"{"a":1}"#
    );
    for text in ["{", "\"\\ud800\"", r#"{"b":2}"#] {
        far.send(text.into()).await.unwrap();
    }
    assert_eq!(near.receive_json::<Value>().await.unwrap(), json!({"b": 2}));
}

#[tokio::test]
async fn a_servers_farewell_is_told() {
    let (mut near, mut far) = pair().await;
    let frame = CloseFrame {
        code: 1013.into(),
        reason: "come\nback later".into(),
    };
    far.close(Some(frame)).await.unwrap();
    let error = near.receive().await.unwrap_err();
    assert!(error.to_string().contains("come back later"), "{error}");
    assert!(matches!(error, SignallerError::Transient(_)));
}

#[tokio::test]
async fn a_farewell_arrives() {
    let (near, mut far) = pair().await;
    let hear = async {
        let first = far.next().await.unwrap().unwrap();
        assert!(matches!(first, Message::Close(_)), "{first:?}");
        while far.next().await.is_some() {}
    };
    tokio::join!(hear, near.close());
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_gone_is_noticed_within_a_second() {
    let (mut near, _far) = deaf().await;
    let begun = Instant::now();
    near.address = Some("192.0.2.77".parse().unwrap());
    let error = near.receive().await.unwrap_err();
    assert!(error.to_string().contains("192.0.2.77"), "{error}");
    assert_eq!(begun.elapsed(), LOOK);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_not_heard_is_gone() {
    let (mut near, _far) = deaf().await;
    let begun = Instant::now();
    let error = near.receive().await.unwrap_err();
    assert!(error.to_string().contains("not heard"), "{error}");
    assert!(begun.elapsed() >= IDLE && begun.elapsed() <= IDLE + PING);
}

#[tokio::test(start_paused = true)]
async fn a_farewell_has_a_deadline() {
    let (near, _far) = deaf().await;
    let begun = Instant::now();
    near.close().await;
    assert!(begun.elapsed() <= CLOSE * 2);
}
