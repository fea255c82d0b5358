//! A WebSocket to a server that carries one JSON object a text message, and
//! that notices when the far side is gone.

use std::net::IpAddr;
use std::time::Duration;

use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::error::Error;
use async_tungstenite::tungstenite::protocol::CloseFrame;
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::SignallerError;
use super::dial::{WebSocket, quote};

/// How often the far side is asked whether it is there.
const PING: Duration = Duration::from_secs(4);

/// A far side that was not heard for this long is gone. Media wait for the notes
/// that make them another path, so it is short; to connect again costs little,
/// as sessions are resumed.
const IDLE: Duration = Duration::from_secs(10);

/// How often it is looked whether this machine still has the address that the
/// connection was made from. TCP does not tell: what is sent just vanishes.
const LOOK: Duration = Duration::from_secs(1);

/// How long a polite end may take.
const CLOSE: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub(crate) struct Socket {
    socket: WebSocket,
    ping: Interval,
    look: Interval,
    heard: Instant,
    /// Ours, where it is known.
    address: Option<IpAddr>,
}

impl Socket {
    /// Wraps an open WebSocket.
    pub(crate) fn new(socket: WebSocket) -> Self {
        let now = Instant::now();
        let every = |period| {
            let mut interval = interval_at(now + period, period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        Self {
            address: socket.get_ref().get_ref().address(),
            socket,
            ping: every(PING),
            look: every(LOOK),
            heard: now,
        }
    }

    /// Sends one object.
    pub(crate) async fn send<T: Serialize + Sync>(
        &mut self,
        note: &T,
    ) -> Result<(), SignallerError> {
        let text = serde_json::to_string(note)
            .map_err(|error| SignallerError::Transient(format!("cannot be written: {error}")))?;
        self.socket
            .send(text.into())
            .await
            .map_err(|error| lost(&error))
    }

    /// The next text. Answers and sends pings meanwhile. Cancel safe.
    pub(crate) async fn receive(&mut self) -> Result<String, SignallerError> {
        loop {
            let message = tokio::select! {
                message = self.socket.next() => message,
                _ = self.ping.tick() => {
                    if self.heard.elapsed() >= IDLE {
                        return Err(SignallerError::Transient(format!(
                            "the server was not heard for {} s",
                            IDLE.as_secs()
                        )));
                    }
                    let ping = Message::Ping(Vec::new().into());
                    self.socket.send(ping).await.map_err(|error| lost(&error))?;
                    continue;
                }
                _ = self.look.tick() => match self.address.filter(|it| !are_ours(&[*it])) {
                    Some(gone) => return Err(SignallerError::Transient(format!(
                        "this machine does not have the address {gone} any more"
                    ))),
                    None => continue,
                },
            };
            self.heard = Instant::now();
            match message {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => return Err(closed(frame)),
                // Pings are answered by the library.
                Some(Ok(_)) => (),
                Some(Err(error)) => return Err(lost(&error)),
                None => return Err(closed(None)),
            }
        }
    }

    /// The next object; what is no `T` is skipped, and noted at debug level
    /// without its content. Cancel safe.
    pub(crate) async fn receive_json<T: DeserializeOwned>(&mut self) -> Result<T, SignallerError> {
        loop {
            match serde_json::from_str(&self.receive().await?) {
                Ok(note) => return Ok(note),
                Err(error) => {
                    tracing::debug!("a message that makes no sense: {:?}", error.classify())
                }
            }
        }
    }

    /// Says farewell and waits a little until the far side has heard it.
    pub(crate) async fn close(mut self) {
        let farewell = async {
            if self.socket.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        let _ = timeout(CLOSE, farewell).await;
    }
}

/// Has this machine all of these addresses at present? Where nobody knows which
/// there are, it may well have them.
pub fn are_ours(addresses: &[IpAddr]) -> bool {
    let Ok(all) = if_addrs::get_if_addrs() else {
        return true;
    };
    let is_here = |address: &IpAddr| all.iter().any(|it| it.ip() == *address);
    addresses.iter().all(is_here)
}

fn lost(error: &Error) -> SignallerError {
    SignallerError::Transient(match error {
        Error::ConnectionClosed | Error::AlreadyClosed => {
            "the server closed the connection".to_owned()
        }
        error => format!("the connection was lost: {error}"),
    })
}

fn closed(frame: Option<CloseFrame>) -> SignallerError {
    let said = frame
        .map(|frame| quote(frame.reason.as_bytes()))
        .unwrap_or_default();
    SignallerError::Transient(if said.is_empty() {
        "the server closed the connection".to_owned()
    } else {
        format!("the server closed the connection: {said}")
    })
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
