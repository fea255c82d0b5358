//! `GET /ws`: clients that stay connected and speak `sigmund.v1`, as viewers
//! and, where that is allowed, as publishers.
//!
//! | module | it is |
//! |---|---|
//! | [`admission`] | who is let in, as what |
//! | [`resume`] | what of a client outlives its connection |
//! | [`carry`] | one connection at work |

mod admission;
mod carry;
pub(super) mod resume;

use std::sync::Arc;
use std::time::Duration;

use async_tungstenite::tokio::TokioAdapter;
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use async_tungstenite::{WebSocketReceiver, WebSocketSender, WebSocketStream};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::timeout;

use super::accept::{Client, Handover};
use super::problem::Problem;
use super::routes::{App, text};
use crate::message::VERSION;
use crate::message::v1::{Code, Envelope, Failure, MAX_TO_CLIENT};

pub(super) use admission::Caller;
pub(super) use resume::Slots;

use carry::Ending;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is read at a time. Thousands of clients are idle.
const READ_BUFFER: usize = 4 * 1024;

type Io = TokioAdapter<TokioIo<Upgraded>>;

/// Both directions of a WebSocket.
pub(super) struct Wire {
    pub(super) sender: WebSocketSender<Io>,
    pub(super) receiver: WebSocketReceiver<Io>,
}

/// A WebSocket that speaks `sigmund.v1`.
pub(super) async fn endpoint(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let shared = app.clone();
    upgrade(
        &app,
        request,
        Some(VERSION),
        |wire, caller, stop| async move {
            serve(wire, &shared, caller, stop).await;
        },
    )
}

/// Turns the connection into a WebSocket (RFC 6455 section 4.2), which `serve`
/// gets.
pub(super) fn upgrade<F>(
    app: &Arc<App>,
    mut request: Request,
    subprotocol: Option<&'static str>,
    serve: impl FnOnce(Wire, Caller, watch::Receiver<()>) -> F + Send + 'static,
) -> Result<Response, Problem>
where
    F: Future<Output = ()> + Send,
{
    let accept = check(request.headers(), subprotocol)?;
    let extensions = request.extensions();
    let handover = extensions.get::<Handover>().cloned();
    let client = extensions.get::<Client>().copied();
    let (Some(handover), Some(client)) = (handover, client) else {
        return Err(no_websocket("this connection cannot become a WebSocket"));
    };
    let caller = Caller {
        address: client.0,
        host: text(request.headers(), &header::HOST).map(str::to_owned),
        agent: text(request.headers(), &header::USER_AGENT).map(str::to_owned),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let (app, stop) = (app.clone(), handover.stop());
    handover.to(async move {
        match upgrade.await {
            Ok(upgraded) => serve(open(upgraded, &app).await, caller, stop).await,
            Err(error) => tracing::debug!("a WebSocket did not come about: {error}"),
        }
    });
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(subprotocol) = subprotocol {
        let spoken = HeaderValue::from_static(subprotocol);
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, spoken);
    }
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response())
}

/// What to answer a WebSocket's handshake with, if it is one of ours.
fn check(headers: &HeaderMap, subprotocol: Option<&str>) -> Result<HeaderValue, Problem> {
    let lists = |name, wanted: &str| {
        let values = headers.get_all(name).iter();
        let mut items = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        items.any(|item| item.trim().eq_ignore_ascii_case(wanted))
    };
    if !lists(header::CONNECTION, "upgrade") || !lists(header::UPGRADE, "websocket") {
        return Err(no_websocket("this is a place for WebSockets"));
    }
    if !lists(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(no_websocket("only version 13 of WebSocket is spoken here")
            .with(header::SEC_WEBSOCKET_VERSION, "13"));
    }
    if subprotocol.is_some_and(|it| !lists(header::SEC_WEBSOCKET_PROTOCOL, it)) {
        return Err(no_websocket(
            "only the subprotocol sigmund.v1 is spoken here",
        ));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let accept = key.map(|key| derive_accept_key(key.as_bytes()));
    accept
        .and_then(|accept| HeaderValue::from_str(&accept).ok())
        .ok_or_else(|| no_websocket("Sec-WebSocket-Key is missing"))
}

fn no_websocket(error: &'static str) -> Problem {
    let hint = "open a WebSocket here with the subprotocol sigmund.v1";
    Problem::new(StatusCode::UPGRADE_REQUIRED, error, hint).with(header::UPGRADE, "websocket")
}

async fn open(upgraded: Upgraded, app: &App) -> Wire {
    let limit = app.rules().limits.message;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_TO_CLIENT)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    let io = TokioAdapter::new(TokioIo::new(upgraded));
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let (sender, receiver) = socket.split();
    Wire { sender, receiver }
}

/// One connection from its first message to its end.
async fn serve(mut wire: Wire, app: &App, caller: Caller, mut stop: watch::Receiver<()>) {
    let first = tokio::select! {
        first = timeout(app.rules().limits.head_timeout, wire.first()) => first,
        _ = stop.changed() => return wire.close(Some(stopping())).await,
    };
    let admitted = match first {
        Ok(Ok(hello)) => {
            let waiting = stop.clone();
            tokio::select! {
                admitted = admission::admit(app, hello, caller, &waiting) => admitted,
                _ = stop.changed() => Err(stopping()),
            }
        }
        Ok(Err(Some(failure))) => Err(failure),
        Ok(Err(None)) => return,
        Err(_) => Err(malformed("no hello came")),
    };
    let (mut kept, welcome) = match admitted {
        Ok(admitted) => admitted,
        Err(failure) => return wire.close(Some(failure)).await,
    };
    let ending = match wire.send(&Envelope::Welcome(welcome)).await {
        Ok(()) => carry::run(&mut wire, &mut kept, app, &mut stop).await,
        Err(()) => Ending::Lost,
    };
    match ending {
        Ending::Over => wire.close(None).await,
        Ending::Failed(failure) => {
            drop(kept);
            wire.close(Some(failure)).await;
        }
        Ending::Lost | Ending::Silent => {
            kept.client.set_lost(matches!(ending, Ending::Lost));
            tokio::spawn(kept.park(app.rules().limits.resume_timeout, stop));
        }
        Ending::Claimed(request) => {
            if let Err(kept) = request.send(kept) {
                // Whoever asked has gone meanwhile.
                tokio::spawn(kept.park(app.rules().limits.resume_timeout, stop));
            }
            let text = "the client has come back by another connection";
            wire.close(Some(failure(Code::Gone, text, false))).await;
        }
    }
}

impl Wire {
    /// Sends one message. Fails when the connection is lost.
    async fn send(&mut self, envelope: &Envelope) -> Result<(), ()> {
        let message = Message::text(envelope.write());
        self.sender.send(message).await.map_err(drop)
    }

    /// The first message, if it is a hello. The error is `None` when the
    /// connection is lost.
    async fn first(&mut self) -> Result<crate::message::v1::Hello, Option<Failure>> {
        match carry::receive(&mut self.receiver).await {
            carry::Received::Message(Some(Envelope::Hello(hello))) => Ok(hello),
            carry::Received::Message(_) | carry::Received::Alive => {
                Err(Some(malformed("the first message must be a hello")))
            }
            carry::Received::Failed(failure) => Err(Some(failure)),
            carry::Received::Closed | carry::Received::Lost => Err(None),
        }
    }

    /// Says why, closes, and gives the client a little time to hear it.
    pub(super) async fn close(mut self, why: Option<Failure>) {
        let farewell = async {
            if let Some(failure) = &why {
                self.send(&Envelope::Error(failure.clone())).await?;
            }
            let frame = CloseFrame {
                code: close_code(why.as_ref().map(|it| it.code)),
                reason: why.as_ref().map_or("", |it| it.code.as_str()).into(),
            };
            self.sender.close(Some(frame)).await.map_err(drop)?;
            while let Some(Ok(message)) = self.receiver.next().await {
                if message.is_close() {
                    return Ok(());
                }
            }
            // To close while bytes lie unread would take back what was said.
            let Ok(socket) = WebSocketStream::reunite(self.sender, self.receiver) else {
                return Err(());
            };
            let mut rest = socket.into_inner().into_inner();
            let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
            Ok(())
        };
        let _: Result<Result<(), ()>, _> = timeout(FAREWELL, farewell).await;
    }
}

/// RFC 6455 section 7.4.1.
fn close_code(why: Option<Code>) -> CloseCode {
    match why {
        None => CloseCode::Normal,
        Some(Code::Malformed) => CloseCode::Protocol,
        Some(Code::Busy) => CloseCode::Again,
        Some(Code::Gone) => CloseCode::Away,
        Some(_) => CloseCode::Policy,
    }
}

fn failure(code: Code, text: impl Into<String>, retry: bool) -> Failure {
    Failure {
        code,
        text: text.into(),
        retry,
    }
}

fn malformed(text: impl Into<String>) -> Failure {
    failure(Code::Malformed, text, false)
}

fn stopping() -> Failure {
    failure(Code::Gone, "the server stops", true)
}
