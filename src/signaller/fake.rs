//! A WebSocket server for tests: it says what the test says. And mutated JSON.

use std::net::SocketAddr;
use std::time::Duration;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tokio::{TokioAdapter, accept_hdr_async};
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::handshake::server::{Request, Response};
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use futures_util::StreamExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);

pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// The server's end of one connection.
pub(crate) struct End {
    socket: WebSocketStream<TokioAdapter<TcpStream>>,
    /// What the client asked for with.
    pub(crate) request: Request,
}

impl Server {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// The next connection, whatever subprotocol it wants.
    pub(crate) async fn accept(&self) -> End {
        let (stream, _) = timeout(SOON, self.listener.accept())
            .await
            .unwrap()
            .unwrap();
        let mut seen = None;
        #[allow(clippy::result_large_err, reason = "the library wants it so")]
        let shake = |request: &Request, mut response: Response| {
            let wanted = request.headers().get(SEC_WEBSOCKET_PROTOCOL);
            if let Some(wanted) = wanted.cloned() {
                response
                    .headers_mut()
                    .insert(SEC_WEBSOCKET_PROTOCOL, wanted);
            }
            seen = Some(request.clone());
            Ok(response)
        };
        let socket = accept_hdr_async(stream, shake).await.unwrap();
        let request = seen.unwrap();
        End { socket, request }
    }
}

impl End {
    /// What the client says next.
    pub(crate) async fn recv(&mut self) -> Value {
        loop {
            let message = timeout(SOON, self.socket.next()).await.unwrap();
            match message.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
                Message::Ping(_) | Message::Pong(_) => (),
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn send(&mut self, value: Value) {
        self.say(&value.to_string()).await;
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.socket.send(text.into()).await.unwrap();
    }

    /// Waits for the client's farewell.
    pub(crate) async fn closed(mut self) {
        while let Some(Ok(message)) = timeout(SOON, self.socket.next()).await.unwrap() {
            assert!(!message.is_text(), "{message:?}");
        }
    }
}

/// One of `templates`, with up to three of its values replaced by others.
pub(crate) fn mutated(templates: Vec<Value>) -> impl Strategy<Value = Value> {
    let other = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!([1, "a"])),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just("x".repeat(100_000)).prop_map(Value::from),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), other), 0..=3);
    (prop::sample::select(templates), changes).prop_map(|(mut value, changes)| {
        for (place, other) in changes {
            let mut at = place.index(count(&value));
            replace(&mut value, &mut at, other);
        }
        value
    })
}

/// How many values there are in it, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// Replaces the value number `at`, counted downwards from 0. Returns `other` if
/// there are fewer, and `at` less by their number.
fn replace(value: &mut Value, at: &mut usize, other: Value) -> Option<Value> {
    if *at == 0 {
        *value = other;
        return None;
    }
    *at -= 1;
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(members) => members.values_mut().collect(),
        _ => Vec::new(),
    };
    let mut other = Some(other);
    for child in children {
        other = replace(child, at, other?);
    }
    other
}
