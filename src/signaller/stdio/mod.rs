//! `stdio:`: notes by pipes, files, ssh, or copy and paste.
//!
//! `stdio:?in=END&out=END`, where an end is the number of an open descriptor or
//! the path of a named pipe, a terminal or a file. The default is standard
//! input and standard error: programs print on standard output.
//!
//! Each note is a line, an object `{"type":"offer","sdp":…}` just as browsers
//! write `JSON.stringify(connection.localDescription)`; candidates travel in
//! it. A bare description is understood, too: it ends at an empty line. What
//! else stands in the input is skipped, so it may be somebody's whole output.
//!
//! A publisher offers at once, and again whenever a session is over.

mod ends;
pub(super) mod lines;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    Capabilities, Connection, Incoming, Offerer, OpenError, Options, Outgoing, PeerInfo, Role,
    Signaller, SignallerError,
};
use crate::address::SignallingUri;
use crate::message::{Message, PeerId};
use ends::{Ends, Input, Output};
use lines::{Lines, Note};

/// Of a publisher.
pub(super) const CAPABILITIES: Capabilities = Capabilities {
    offerer: Offerer::Us,
    trickle_in: false,
    trickle_out: false,
};

/// How many notes wait in each queue.
const QUEUE: usize = 64;

/// How long somebody may take to carry a note to the far side and another back.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Between the end of a session and the next offer, at first and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long the far side may leave a line unread.
const WRITE: Duration = Duration::from_secs(10);

/// How often an input that has ended is looked at, as more may come.
const LOOK: Duration = Duration::from_millis(200);

/// Makes a signaller for `uri`.
pub(super) fn open(
    uri: &SignallingUri,
    options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    let publishes = match options.role {
        Role::Publish => true,
        Role::Subscribe => false,
        Role::Both => return Err(OpenError("stdio: sends or receives, not both".to_owned())),
    };
    Ok(Box::new(Stdio {
        ends: Ends::parse(&uri.text).map_err(OpenError)?,
        publishes,
        joined: Arc::default(),
        talk: None,
    }))
}

struct Stdio {
    ends: Ends,
    publishes: bool,
    /// Counts peers, for their names.
    joined: Arc<AtomicU64>,
    talk: Option<JoinHandle<SignallerError>>,
}

#[async_trait]
impl Signaller for Stdio {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            offerer: if self.publishes {
                Offerer::Us
            } else {
                Offerer::Them
            },
            ..CAPABILITIES
        }
    }

    async fn connect(&mut self) -> Result<Connection, SignallerError> {
        if let Some(talk) = self.talk.take() {
            // It has the input still, if our owner had enough of it.
            talk.abort();
            let _ = talk.await;
        }
        let (input, output) = self.ends.open()?;
        let (incoming_in, incoming) = mpsc::channel(QUEUE);
        let (outgoing, outgoing_out) = mpsc::channel(QUEUE);
        let talk = Talk {
            publishes: self.publishes,
            channel: self.capabilities(),
            output,
            incoming: incoming_in,
            joined: self.joined.clone(),
            session: None,
            begin_at: self.publishes.then(Instant::now),
            pause: PAUSE,
        };
        self.talk = Some(tokio::spawn(talk.run(input, outgoing_out)));
        Ok(Connection {
            address: None,
            incoming,
            outgoing,
        })
    }

    async fn lost(&mut self) -> Option<SignallerError> {
        self.talk.take()?.await.ok()
    }

    async fn close(&mut self) {
        // It ends when the owner has dropped its sender and all is delivered.
        if let Some(talk) = self.talk.take() {
            let _ = talk.await;
        }
    }
}

/// One open pair of ends.
struct Talk {
    publishes: bool,
    channel: Capabilities,
    output: Output,
    incoming: mpsc::Sender<Incoming>,
    joined: Arc<AtomicU64>,
    session: Option<Session>,
    /// When the next session begins, where that is up to us.
    begin_at: Option<Instant>,
    pause: Duration,
}

struct Session {
    peer: PeerId,
    /// Does the far side know of it?
    said: bool,
}

/// The owner listens no longer.
struct Deaf;

impl Talk {
    /// Carries notes until the channel is lost; returns why.
    async fn run(
        mut self,
        mut input: Input,
        mut outgoing: mpsc::Receiver<Outgoing>,
    ) -> SignallerError {
        let mut lines = Lines::default();
        let mut chunk = vec![0; 4096];
        loop {
            let begin_at = self.begin_at;
            let heard = tokio::select! {
                note = outgoing.recv() => match note {
                    Some(note) => match self.say(note).await {
                        Ok(()) => Ok(()),
                        Err(error) => return error,
                    },
                    None => return SignallerError::Transient("closed".to_owned()),
                },
                read = input.read(&mut chunk) => match read {
                    Ok(0) => {
                        sleep(LOOK).await;
                        Ok(())
                    }
                    Ok(length) => self.hear(lines.take(&chunk[..length])).await,
                    Err(error) => {
                        let why = format!("stdio: cannot read: {error}");
                        return SignallerError::Transient(why);
                    }
                },
                () = at(begin_at) => self.begin().await,
            };
            if let Err(Deaf) = heard {
                // Its sender ends as well; what is queued is still said.
                self.begin_at = None;
            }
        }
    }

    async fn say(&mut self, note: Outgoing) -> Result<(), SignallerError> {
        let Some(session) = self.session.as_mut().filter(|it| it.peer == *note.peer()) else {
            return Ok(());
        };
        let reason = match note {
            Outgoing::Message { message, .. } => {
                session.said = true;
                return self.write(&message).await;
            }
            Outgoing::Refuse { refusal, .. } => refusal.to_string(),
            Outgoing::End { reason, .. } => reason,
            Outgoing::Report { .. } => return Ok(()),
        };
        let said = session.said;
        self.over();
        if said {
            self.write(&Message::Bye { reason }).await?;
        }
        Ok(())
    }

    async fn write(&mut self, message: &Message) -> Result<(), SignallerError> {
        let failed = |why: &dyn std::fmt::Display| {
            SignallerError::Transient(format!("stdio: cannot write: {why}"))
        };
        let mut line = serde_json::to_string(message).map_err(|error| failed(&error))?;
        line.push('\n');
        let write = async {
            self.output.write_all(line.as_bytes()).await?;
            self.output.flush().await
        };
        match timeout(WRITE, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&"nobody reads")),
        }
    }

    async fn hear(&mut self, notes: Vec<Note>) -> Result<(), Deaf> {
        for note in notes {
            let message = match note {
                Note::Message(message) => message,
                Note::Description(sdp) if self.publishes => Message::Answer { sdp },
                Note::Description(sdp) => Message::Offer { sdp },
            };
            self.take(message).await?;
        }
        Ok(())
    }

    async fn take(&mut self, message: Message) -> Result<(), Deaf> {
        match (&message, self.publishes) {
            // Our own words: both sides may share a terminal.
            (Message::Offer { .. }, true) | (Message::Answer { .. }, false) => return Ok(()),
            (Message::Offer { .. }, false) | (Message::PleaseOffer { .. }, true) => {
                self.leave("the far side begins anew").await?;
                self.begin().await?;
                if self.publishes {
                    return Ok(());
                }
            }
            (Message::Bye { reason }, _) => return self.leave(reason).await,
            (Message::Answer { .. }, true) => self.pause = PAUSE,
            _ => {}
        }
        let Some(session) = &self.session else {
            return Ok(());
        };
        let peer = session.peer.clone();
        self.tell(Incoming::Message { peer, message }).await
    }

    /// A session begins.
    async fn begin(&mut self) -> Result<(), Deaf> {
        self.begin_at = None;
        let number = self.joined.fetch_add(1, Ordering::Relaxed) + 1;
        let peer = PeerId::new(format!("stdio-{number}"));
        self.session = Some(Session {
            peer: peer.clone(),
            said: !self.publishes,
        });
        let info = PeerInfo {
            protocol: "stdio".to_owned(),
            channel: Some(self.channel),
            patience: Some(PATIENCE),
            ..PeerInfo::default()
        };
        self.tell(Incoming::Joined { peer, info }).await
    }

    /// The far side ends the session.
    async fn leave(&mut self, reason: &str) -> Result<(), Deaf> {
        let Some(Session { peer, .. }) = self.session.take() else {
            return Ok(());
        };
        self.over();
        let reason = reason.to_owned();
        self.tell(Incoming::Left { peer, reason }).await
    }

    fn over(&mut self) {
        self.session = None;
        if self.publishes {
            self.begin_at = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn tell(&mut self, note: Incoming) -> Result<(), Deaf> {
        self.incoming.send(note).await.map_err(|_| Deaf)
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
