//! One connection at work: notes both ways until one side has enough.

use std::time::Duration;

use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::error::{Error, ProtocolError};
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::{WebSocketReceiver, WebSocketSender};
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::admission::ice_servers;
use super::resume::{Client, Kept, Request};
use super::{Io, Wire, failure, malformed, stopping};
use crate::access::{Bucket, Limits, Rate};
use crate::message::v1::{Code, Envelope, Failure, PUBLISHER, ReadError};
use crate::message::{self, PeerId};
use crate::server::hub::{Hub, Note, SayError, Seat, Voice};
use crate::server::routes::App;
use crate::signaller::{Incoming, envelope};

/// How often a client is asked whether it is there.
const PING: Duration = Duration::from_secs(15);

/// How often it is looked whether there are other rules for credentials.
const LOOK: Duration = Duration::from_secs(60);

/// A publisher speaks for all its viewers.
const PUBLISHER_SHARE: u32 = 64;

/// How a connection ends.
pub(super) enum Ending {
    /// All is said.
    Over,
    /// The client is turned out.
    Failed(Failure),
    /// The connection is closed under the client, which may come back.
    Lost,
    /// The client is not heard any more. It may come back, or may not even have
    /// noticed.
    Silent,
    /// It has come back already, by another connection.
    Claimed(Request),
}

/// What a client sends.
pub(super) enum Received {
    /// A message; `None` for one of an unknown type.
    Message(Option<Envelope>),
    /// A ping, or the answer to one.
    Alive,
    /// It leaves.
    Closed,
    /// It is gone, and may come back.
    Lost,
    /// It broke the protocol.
    Failed(Failure),
}

/// What a client is to be told.
enum Queue<'a> {
    Viewer(&'a mut mpsc::Receiver<Note>),
    Publisher(&'a mut mpsc::Receiver<Incoming>),
}

/// Carries notes until the connection ends.
///
/// Reading and writing do not wait for each other, and neither keeps the client
/// from being turned out.
pub(super) async fn run(
    wire: &mut Wire,
    kept: &mut Kept,
    app: &App,
    stop: &mut watch::Receiver<()>,
) -> Ending {
    let Kept {
        client, requests, ..
    } = kept;
    let limits = &app.rules().limits;
    let renewals = Renewals::new(app, client);
    let (sender, receiver) = (&mut wire.sender, &mut wire.receiver);
    let work = async {
        match client {
            Client::Viewer(Seat {
                voice,
                notes,
                slow,
                waits,
                ..
            }) => tokio::select! {
                biased;
                // Who was away may have been told of its end already.
                Ok(()) = &mut *slow, if !slow.is_terminated() => Ending::Failed(too_slow()),
                ending = read(receiver, limits, 1, |it| from_viewer(voice, *waits, it)) => ending,
                ending = write(sender, Queue::Viewer(notes), renewals) => ending,
            },
            Client::Publisher(publication, incoming) => {
                let (hub, stream) = (publication.hub(), publication.name());
                let take = |it| from_publisher(&hub, stream, it);
                tokio::select! {
                    biased;
                    ending = read(receiver, limits, PUBLISHER_SHARE, take) => ending,
                    ending = write(sender, Queue::Publisher(incoming), renewals) => ending,
                }
            }
        }
    };
    tokio::select! {
        // Who has a last note to get gets it before the server stops.
        biased;
        ending = work => ending,
        Some(request) = requests.recv() => Ending::Claimed(request),
        _ = stop.changed() => Ending::Failed(stopping()),
    }
}

/// Takes what the client sends, `share` times as much as one of the many may.
async fn read(
    receiver: &mut WebSocketReceiver<Io>,
    limits: &Limits,
    share: u32,
    mut take: impl FnMut(Envelope) -> Option<Ending>,
) -> Ending {
    let rate = Rate {
        burst: limits.message_burst.saturating_mul(share),
        per_second: limits.messages_per_second.saturating_mul(share),
    };
    let mut bucket = Bucket::default();
    loop {
        let Ok(received) = timeout(limits.idle_timeout, receive(receiver)).await else {
            return Ending::Silent;
        };
        if bucket.take(rate, Instant::now().into_std()).is_err() {
            let text = format!("more than {} messages a second", rate.per_second);
            return Ending::Failed(failure(Code::TooMany, text, true));
        }
        let ending = match received {
            Received::Message(Some(envelope)) => take(envelope),
            Received::Message(None) | Received::Alive => None,
            Received::Closed => Some(Ending::Over),
            Received::Lost => Some(Ending::Lost),
            Received::Failed(failure) => Some(Ending::Failed(failure)),
        };
        if let Some(ending) = ending {
            return ending;
        }
    }
}

/// The next of what the client sends. Cancel safe.
pub(super) async fn receive(receiver: &mut WebSocketReceiver<Io>) -> Received {
    let message = match receiver.next().await {
        Some(Ok(message)) => message,
        Some(Err(error)) => return broken(&error),
        None => return Received::Lost,
    };
    match message {
        Message::Text(text) => match Envelope::read(&text) {
            Ok(envelope) => Received::Message(envelope),
            Err(ReadError::Malformed(text)) => Received::Failed(malformed(text)),
            Err(error @ ReadError::Unsupported) => {
                Received::Failed(failure(Code::Unsupported, error.to_string(), false))
            }
        },
        Message::Binary(_) => Received::Failed(malformed("messages are text, not binary")),
        Message::Close(None) => Received::Closed,
        Message::Close(Some(frame)) if frame.code == CloseCode::Normal => Received::Closed,
        Message::Close(Some(_)) => Received::Lost,
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Received::Alive,
    }
}

fn broken(error: &Error) -> Received {
    match error {
        Error::Capacity(error) => Received::Failed(malformed(error.to_string())),
        Error::Utf8(_) => Received::Failed(malformed("that is no UTF-8 text")),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Received::Lost,
        Error::Protocol(error) => Received::Failed(malformed(error.to_string())),
        _ => Received::Lost,
    }
}

/// Sends what the client is to be told, and pings.
async fn write(
    sender: &mut WebSocketSender<Io>,
    mut queue: Queue<'_>,
    mut renewals: Renewals<'_>,
) -> Ending {
    let mut ping = interval_at(Instant::now() + PING, PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let envelope = tokio::select! {
            biased;
            _ = ping.tick() => None,
            envelope = renewals.next() => Some(envelope),
            envelope = queue.next() => match envelope {
                Some(envelope) => Some(envelope),
                None => return Ending::Over,
            },
        };
        let last = matches!(
            envelope,
            Some(Envelope::Refused { .. } | Envelope::Ended { .. })
        );
        let message = match envelope {
            Some(envelope) => Message::text(envelope.write()),
            None => Message::Ping(Vec::new().into()),
        };
        match sender.send(message).await {
            Ok(()) if last => return Ending::Over,
            Ok(()) => {}
            Err(_) => return Ending::Lost,
        }
    }
}

/// Gives a client new credentials for TURN well before the old ones end.
struct Renewals<'a> {
    app: &'a App,
    stream: String,
    peer: PeerId,
    /// When the present ones were made.
    since: Instant,
}

impl<'a> Renewals<'a> {
    fn new(app: &'a App, client: &Client) -> Self {
        let (stream, peer) = match client {
            Client::Viewer(seat) => (seat.stream.clone(), seat.voice.peer.clone()),
            Client::Publisher(it, _) => (it.name().to_owned(), PeerId::new(PUBLISHER)),
        };
        Self {
            app,
            stream,
            peer,
            since: Instant::now(),
        }
    }

    /// Cancel safe.
    async fn next(&mut self) -> Envelope {
        loop {
            // The rules may change meanwhile.
            let due = self.app.rules().ice.renew_after().map(|it| self.since + it);
            let look = Instant::now() + LOOK;
            sleep_until(due.map_or(look, |due| due.min(look))).await;
            if due.is_some_and(|due| due <= Instant::now()) {
                self.since = Instant::now();
                let ice_servers = ice_servers(self.app, &self.stream, &self.peer);
                return Envelope::IceServers { ice_servers };
            }
        }
    }
}

impl Queue<'_> {
    /// Cancel safe.
    async fn next(&mut self) -> Option<Envelope> {
        match self {
            Self::Viewer(notes) => Some(match notes.recv().await? {
                Note::Came(info) => Envelope::Joined {
                    peer: PeerId::new(PUBLISHER),
                    info: info.into(),
                },
                Note::Went(reason) => Envelope::Left {
                    peer: PeerId::new(PUBLISHER),
                    reason: envelope::cut(reason),
                },
                Note::Message(note) => Envelope::Note {
                    peer: PeerId::new(PUBLISHER),
                    note,
                },
                Note::Refused(refusal) => {
                    let (kind, text) = envelope::kind_of(refusal);
                    Envelope::Refused { kind, text }
                }
                Note::Ended(reason) => Envelope::Ended {
                    reason: envelope::cut(reason),
                },
            }),
            Self::Publisher(incoming) => incoming.recv().await.map(Envelope::from),
        }
    }
}

fn from_viewer(voice: &Voice, waits: bool, envelope: Envelope) -> Option<Ending> {
    let note = match envelope {
        Envelope::Note { note, .. } => note,
        Envelope::Refuse { kind, text, .. } if waits => {
            voice.dismiss(Note::Refused(envelope::refusal_of(kind, text)));
            return None;
        }
        Envelope::End { reason, .. } if waits => {
            voice.dismiss(Note::Ended(reason));
            return None;
        }
        _ => return Some(Ending::Failed(malformed("viewers send notes only"))),
    };
    if let message::Message::Bye { reason } = note {
        voice.leave(&reason);
        return Some(Ending::Over);
    }
    let failed = match voice.say(note) {
        Ok(()) => return None,
        Err(SayError::Full) => {
            let text = "the publisher of the stream has too much to do";
            failure(Code::Busy, text, true)
        }
        Err(SayError::TooMany) => failure(Code::TooMany, "too many candidates", false),
        // Its last note is on its way.
        Err(SayError::Unknown) => return None,
    };
    Some(Ending::Failed(failed))
}

fn from_publisher(hub: &Hub, stream: &str, envelope: Envelope) -> Option<Ending> {
    match envelope::to_outgoing(envelope) {
        Some(note) => {
            hub.handle(stream, note);
            None
        }
        None => Some(Ending::Failed(malformed(
            "publishers send note, refuse, end and report only",
        ))),
    }
}

fn too_slow() -> Failure {
    let text = "you do not read what you are sent; the session is over";
    failure(Code::Slow, text, true)
}
