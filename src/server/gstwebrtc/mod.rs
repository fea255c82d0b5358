//! WebSockets without a subprotocol: clients of gst-plugins-rs (`webrtcsink`,
//! `webrtcsrc`, `gstwebrtc-api`), as if this were their signalling server.
//!
//! | module | it is |
//! |---|---|
//! | [`peer`] | one client: what it does, what it may |
//! | [`producer`] | its stream, if it has one |
//! | [`sessions`] | the streams that it watches |
//!
//! A stream is a producer of the same name; a session's name is that of the
//! hub's peer. A token comes in the request's `Authorization` header, as the
//! protocol has no place for it. Who awaits a call (the role `consumer`) is let
//! be, but our publishers call nobody.

mod peer;
mod producer;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use async_tungstenite::tungstenite::Message;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use self::peer::Peer;
use super::problem::Problem;
use super::routes::{App, text};
use super::socket::{self, Wire};
use crate::access::{self, Bucket, Rate};
use crate::signaller::gstwebrtc::protocol::{ToPeer, ToServer};

/// How often a client is asked whether it is there.
const PING: Duration = Duration::from_secs(15);

/// Is it a WebSocket that is asked for?
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    text(headers, &header::UPGRADE).is_some_and(|it| it.eq_ignore_ascii_case("websocket"))
}

/// Turns the connection into a WebSocket.
pub(super) fn endpoint(app: &Arc<App>, request: Request) -> Result<Response, Problem> {
    let token = text(request.headers(), &header::AUTHORIZATION)
        .and_then(access::bearer)
        .map(str::to_owned);
    let shared = app.clone();
    socket::upgrade(app, request, None, |wire, caller, stop| async move {
        if let Some(peer) = Peer::new(shared, caller, token) {
            serve(wire, peer, stop).await;
        }
    })
}

/// One connection to its end.
async fn serve(mut wire: Wire, mut peer: Peer, mut stop: watch::Receiver<()>) {
    let mut ping = interval_at(Instant::now() + PING, PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut bucket = Bucket::default();
    // What it is told meanwhile is no sign of life.
    let mut heard = Instant::now();
    let mut notes = vec![peer.welcome()];
    loop {
        if send(&mut wire, std::mem::take(&mut notes)).await.is_err() {
            return;
        }
        let limits = peer.limits();
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            received = wire.receiver.next() => {
                let Some(Ok(message)) = received else { break };
                heard = Instant::now();
                let rate = Rate {
                    // A producer speaks for all its consumers.
                    burst: limits.message_burst.saturating_mul(peer.share()),
                    per_second: limits.messages_per_second.saturating_mul(peer.share()),
                };
                if bucket.take(rate, Instant::now().into_std()).is_err() {
                    let details = format!("more than {} messages a second", rate.per_second);
                    let _ = send(&mut wire, vec![ToPeer::Error { details }]).await;
                    break;
                }
                match message {
                    Message::Text(text) => notes = hear(&mut peer, &text),
                    Message::Binary(_) | Message::Close(_) => break,
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => (),
                }
            }
            () = sleep_until(heard + limits.idle_timeout) => break,
            told = peer.told() => notes = told,
            _ = ping.tick() => {
                if wire.sender.send(Message::Ping(Vec::new().into())).await.is_err() {
                    return;
                }
            }
        }
    }
    drop(peer);
    wire.close(None).await;
}

fn hear(peer: &mut Peer, text: &str) -> Vec<ToPeer> {
    match serde_json::from_str::<ToServer>(text) {
        Ok(note) => peer.hear(note),
        // Their server skips what it does not know, too.
        Err(error) => {
            tracing::debug!("a message that makes no sense: {:?}", error.classify());
            Vec::new()
        }
    }
}

async fn send(wire: &mut Wire, notes: Vec<ToPeer>) -> Result<(), ()> {
    for note in notes {
        // Texts, numbers and lists of them: nothing that JSON cannot say.
        let text = serde_json::to_string(&note).unwrap_or_default();
        wire.sender.send(Message::text(text)).await.map_err(drop)?;
    }
    Ok(())
}
