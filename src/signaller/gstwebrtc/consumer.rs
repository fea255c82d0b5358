//! The other side: watches a producer. It offers, we answer.
//!
//! There is one session at a time, and its peer always has the same name: the
//! next session takes the place of the one before.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::heard::{Heard, Wish, said};
use super::protocol::{self, Body, Listed, MAX_ID, Note, Status, ToPeer, ToServer};
use crate::message::PeerId;
use crate::message::v1::PUBLISHER;
use crate::signaller::socket::Socket;
use crate::signaller::{Incoming, Outgoing, PeerInfo, SignallerError};

/// How long until the producer is asked again, at first and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// A session that lasted for so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// How long the server, and then the producer, may take to begin a session.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries the notes of a consumer until its owner or the channel is gone.
pub(super) async fn carry(
    mut socket: Socket,
    mut consumer: Consumer,
    mut outgoing: mpsc::Receiver<Outgoing>,
    incoming: mpsc::Sender<Incoming>,
) -> Result<(), SignallerError> {
    let mut pause = PAUSE;
    let mut due: Option<Instant> = None;
    let mut began = Instant::now();
    loop {
        let had_session = consumer.session.is_some();
        let heard = tokio::select! {
            note = outgoing.recv() => match note {
                Some(note) => Heard::answer(consumer.say(note)),
                None => break,
            },
            note = socket.receive_json() => consumer.hear(note?),
            () = sleep_until(due) => {
                due = None;
                Heard::answer(consumer.ask_anew())
            }
        };
        if let Some(ToServer::StartSession { .. }) = heard.answer {
            due = Some(Instant::now() + PATIENCE);
        }
        if heard.pass_on(&mut socket, &incoming).await?.is_err() {
            socket.close().await;
            return Ok(());
        }
        match (had_session, consumer.session.is_some()) {
            (false, true) => (began, due) = (Instant::now(), None),
            (true, false) => {
                pause = match began.elapsed() > GOOD {
                    true => PAUSE,
                    false => (pause * 2).min(LONGEST_PAUSE),
                };
                due = Some(Instant::now() + pause);
            }
            _ => (),
        }
    }
    if let Some(end) = consumer.end() {
        socket.send(&end).await?;
    }
    socket.close().await;
    Ok(())
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Decides what is said.
#[derive(Debug)]
pub(super) struct Consumer {
    /// The producer's id, or the name that it has given itself; any, if there
    /// is none.
    wanted: Option<String>,
    /// The producer that was asked for a session.
    asked: Option<String>,
    /// The session that there is, by its name at the server.
    session: Option<String>,
}

impl Consumer {
    pub(super) fn new(wanted: Option<String>) -> Self {
        Self {
            wanted,
            asked: None,
            session: None,
        }
    }

    /// First of all, once the server has said who we are.
    pub(super) fn status(own: String) -> ToServer {
        ToServer::SetPeerStatus(Status {
            roles: vec![protocol::Role::Listener],
            meta: None,
            peer_id: Some(own),
        })
    }

    /// Looks for the producer again.
    fn ask_anew(&mut self) -> ToServer {
        self.asked = None;
        ToServer::List
    }

    pub(super) fn hear(&mut self, note: ToPeer) -> Heard {
        match note {
            ToPeer::List { producers } => self.choose(producers),
            ToPeer::PeerStatusChanged(Status {
                roles,
                meta,
                peer_id: Some(id),
            }) if roles.contains(&protocol::Role::Producer) => {
                self.choose(vec![Listed { id, meta }])
            }
            ToPeer::SessionStarted {
                peer_id,
                session_id,
            } => self.start(&peer_id, session_id),
            ToPeer::Peer(Note { session_id, body }) => self.note(&session_id, body),
            ToPeer::EndSession { session_id } => self.left(&session_id, None),
            ToPeer::EndSessionWhy { session_id, error } => self.left(&session_id, error.as_deref()),
            ToPeer::Error { details } => Heard::error(&details),
            ToPeer::Welcome { .. }
            | ToPeer::PeerStatusChanged(_)
            | ToPeer::StartSession { .. }
            | ToPeer::ListConsumers { .. } => Heard::default(),
        }
    }

    fn choose(&mut self, producers: Vec<Listed>) -> Heard {
        if self.asked.is_some() || self.session.is_some() {
            return Heard::default();
        }
        let mut fitting = producers.into_iter().filter(|it| self.wants(it));
        let Some(chosen) = fitting.next() else {
            return Heard::default();
        };
        self.asked = Some(chosen.id.clone());
        Heard::answer(ToServer::StartSession {
            peer_id: chosen.id,
            offer: None,
        })
    }

    fn wants(&self, producer: &Listed) -> bool {
        let Some(wanted) = &self.wanted else {
            return true;
        };
        let named = |key| producer.meta.as_ref()?.get(key)?.as_str();
        producer.id == *wanted
            || named("name").or_else(|| named("display-name")) == Some(wanted.as_str())
    }

    fn start(&mut self, producer: &str, session: String) -> Heard {
        let asked = self.asked.take_if(|asked| asked == producer);
        if asked.is_none() || session.len() > MAX_ID || self.session.is_some() {
            return Heard::answer(ToServer::EndSession {
                session_id: session,
            });
        }
        self.session = Some(session);
        Heard::note(Incoming::Joined {
            peer: PeerId::new(PUBLISHER),
            info: PeerInfo {
                protocol: "gstwebrtc".to_owned(),
                ..PeerInfo::default()
            },
        })
    }

    /// What the producer says; one that exaggerates is left.
    fn note(&mut self, session: &str, body: Body) -> Heard {
        if self.session.as_deref() != Some(session) {
            return Heard::default();
        }
        let peer = PeerId::new(PUBLISHER);
        Heard::message(peer, body.into_message(), || self.end())
    }

    fn left(&mut self, session: &str, error: Option<&str>) -> Heard {
        if self.session.take_if(|own| own == session).is_none() {
            return Heard::default();
        }
        let silent = "the producer has ended the session";
        Heard::left(PeerId::new(PUBLISHER), error, silent)
    }

    /// What is told to the server, if anything.
    pub(super) fn say(&mut self, note: Outgoing) -> Option<ToServer> {
        // There is no other to watch.
        if let Outgoing::Refuse { refusal, .. } = &note {
            tracing::warn!("the producer is refused: {refusal}");
        }
        match Wish::of(note)? {
            Wish::Say(_, message) => said(self.session.clone()?, message),
            Wish::End(_) => self.end(),
        }
    }

    /// Ends the session, if there is one.
    fn end(&mut self) -> Option<ToServer> {
        let session_id = self.session.take()?;
        Some(ToServer::EndSession { session_id })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn hear(consumer: &mut Consumer, note: Value) -> Heard {
        consumer.hear(serde_json::from_value(note).unwrap())
    }

    fn asks(producer: &str) -> Option<ToServer> {
        Some(ToServer::StartSession {
            peer_id: producer.to_owned(),
            offer: None,
        })
    }

    fn list(names: &[(&str, &str)]) -> Value {
        let producers = names
            .iter()
            .map(|(id, name)| json!({"id": id, "meta": {"name": name}}));
        json!({"type": "list", "producers": producers.collect::<Vec<_>>()})
    }

    fn started() -> Consumer {
        let mut consumer = Consumer::new(None);
        hear(&mut consumer, list(&[("p", "door")]));
        let note = json!({"type": "sessionStarted", "peerId": "p", "sessionId": "s"});
        let heard = hear(&mut consumer, note);
        assert!(matches!(heard.notes[..], [Incoming::Joined { .. }]));
        consumer
    }

    #[test]
    fn a_producer_is_known_by_id_or_name() {
        for (wanted, asked) in [
            (None, asks("p1")),
            (Some("p2"), asks("p2")),
            (Some("door"), asks("p2")),
            (Some("other"), None),
        ] {
            let mut consumer = Consumer::new(wanted.map(str::to_owned));
            let heard = hear(&mut consumer, list(&[("p1", "roof"), ("p2", "door")]));
            assert_eq!(heard.answer, asked, "{wanted:?}");
        }
    }

    #[test]
    fn a_producer_that_comes_later_is_asked_once() {
        let mut consumer = Consumer::new(Some("door".to_owned()));
        assert_eq!(hear(&mut consumer, list(&[])), Heard::default());
        let come = json!({"type": "peerStatusChanged", "peerId": "p", "roles": ["producer"],
            "meta": {"name": "door"}});
        assert_eq!(hear(&mut consumer, come.clone()).answer, asks("p"));
        assert_eq!(hear(&mut consumer, come.clone()).answer, None);
        // Nothing came of it.
        assert_eq!(consumer.ask_anew(), ToServer::List);
        assert_eq!(hear(&mut consumer, come).answer, asks("p"));
    }

    #[test]
    fn notes_of_other_sessions_are_not_heard() {
        let mut consumer = started();
        let offer = |session: &str| json!({"type": "peer", "sessionId": session, "sdp": {"type": "offer", "sdp": "o"}});
        assert_eq!(hear(&mut consumer, offer("t")), Heard::default());
        let heard = hear(&mut consumer, offer("s"));
        assert!(matches!(heard.notes[..], [Incoming::Message { .. }]));
        let end = |session: &str| json!({"type": "endSession", "sessionId": session});
        assert_eq!(hear(&mut consumer, end("t")), Heard::default());
        let heard = hear(&mut consumer, end("s"));
        assert!(matches!(heard.notes[..], [Incoming::Left { .. }]));
        // A late good-bye of ours has no session any more.
        let (peer, reason) = (PeerId::new(PUBLISHER), "over".to_owned());
        assert_eq!(consumer.say(Outgoing::End { peer, reason }), None);
    }

    #[test]
    fn a_session_that_nobody_asked_for_is_ended() {
        let mut consumer = started();
        let note = json!({"type": "sessionStarted", "peerId": "q", "sessionId": "t"});
        let session_id = "t".to_owned();
        let ended = Some(ToServer::EndSession { session_id });
        assert_eq!(hear(&mut consumer, note).answer, ended);
    }
}
