//! The streams that a consumer watches.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, SelectAll};
use futures_util::{StreamExt, future};
use tokio::sync::{mpsc, oneshot};

use crate::access::Grant;
use crate::message::{Message, v1};
use crate::server::hub::{Hub, JoinError, Kind, Note, SayError, Seat, Voice};
use crate::server::socket::Caller;
use crate::signaller::gstwebrtc::protocol::{self, Body, ToPeer};
use crate::signaller::{Capabilities, Offerer, PeerInfo, envelope};

/// By their names, which are those of the hub's peers.
#[derive(Default)]
pub(super) struct Sessions {
    voices: HashMap<String, Voice>,
    notes: SelectAll<BoxStream<'static, (String, Told)>>,
}

/// What a consumer is told.
enum Told {
    Note(Note),
    /// It reads too slowly.
    Slow,
}

impl Sessions {
    pub(super) fn has(&self, session: &str) -> bool {
        self.voices.contains_key(session)
    }

    /// A consumer sits down. Answers what the session is called.
    pub(super) fn start(
        &mut self,
        hub: &Arc<Hub>,
        stream: &str,
        offer: Option<String>,
        caller: &Caller,
        grant: &Grant,
    ) -> Result<String, String> {
        let offer = offer.map(|sdp| Message::Offer { sdp });
        if let Some(offer) = &offer {
            offer.check().map_err(|error| error.to_string())?;
        }
        let offerer = match offer {
            Some(_) => Offerer::Them,
            None => Offerer::Us,
        };
        let info = PeerInfo {
            protocol: "gstwebrtc".to_owned(),
            address: Some(caller.address),
            agent: caller.agent.as_deref().map(v1::agent),
            channel: Some(Capabilities {
                offerer,
                ..envelope::CHANNEL
            }),
            ..PeerInfo::default()
        };
        let info = info.within(grant);
        let seat = hub
            .sit_down(stream, Kind::Publish, info, false)
            .map_err(|error| why_not(error, stream))?;
        let Seat {
            voice, notes, slow, ..
        } = seat;
        if let Some(offer) = offer {
            voice
                .say(offer)
                .map_err(|error| unheard(error).to_owned())?;
        }
        let session = voice.peer.as_str().to_owned();
        self.notes.push(told(session.clone(), notes, slow));
        self.voices.insert(session.clone(), voice);
        Ok(session)
    }

    /// Passes on what the consumer says in a session that there is.
    pub(super) fn hear(&mut self, note: protocol::Note) -> Result<(), String> {
        let Some(voice) = self.voices.get(&note.session_id) else {
            return Ok(());
        };
        let message = note.body.into_message();
        message.check().map_err(|error| error.to_string())?;
        if matches!(message, Message::Offer { .. }) {
            return Err("a consumer offers when it starts the session, or not at all".to_owned());
        }
        match voice.say(message) {
            // Its last note is on its way.
            Ok(()) | Err(SayError::Unknown) => Ok(()),
            Err(error) => {
                self.end(&note.session_id, "it said too much");
                Err(unheard(error).to_owned())
            }
        }
    }

    /// The consumer leaves. `false` if there is no such session.
    pub(super) fn end(&mut self, session: &str, reason: &str) -> bool {
        let Some(voice) = self.voices.remove(session) else {
            return false;
        };
        voice.leave(&envelope::cut(reason.to_owned()));
        true
    }

    /// What the consumer is told next, if it listens with reasons. Cancel safe.
    pub(super) async fn told(&mut self, reasons: bool) -> ToPeer {
        loop {
            let Some((session_id, told)) = self.notes.next().await else {
                // Until there is a session.
                return future::pending().await;
            };
            let error = match told {
                Told::Note(Note::Message(message)) => match Body::from_message(message) {
                    Some(body) => return ToPeer::Peer(protocol::Note { session_id, body }),
                    None => continue,
                },
                // Of those who wait, which these clients do not.
                Told::Note(Note::Came(_) | Note::Went(_)) => continue,
                Told::Note(Note::Refused(refusal)) => refusal.to_string(),
                Told::Note(Note::Ended(reason)) => reason,
                Told::Slow => "it did not read what it was sent".to_owned(),
            };
            self.voices.remove(&session_id);
            return match reasons {
                true => ToPeer::EndSessionWhy {
                    session_id,
                    error: Some(error),
                },
                false => ToPeer::EndSession { session_id },
            };
        }
    }
}

/// The notes for one session, until it ends.
fn told(
    session: String,
    notes: mpsc::Receiver<Note>,
    slow: oneshot::Receiver<()>,
) -> BoxStream<'static, (String, Told)> {
    let begin = Some((notes, slow));
    stream::unfold(begin, move |state| {
        let session = session.clone();
        async move {
            let (mut notes, mut slow) = state?;
            let told = tokio::select! {
                biased;
                // Its sender may be gone before the last note is taken.
                Ok(()) = &mut slow, if !slow.is_terminated() => Told::Slow,
                note = notes.recv() => Told::Note(note?),
            };
            let last = !matches!(told, Told::Note(Note::Message(_)));
            Some(((session, told), (!last).then_some((notes, slow))))
        }
    })
    .boxed()
}

fn why_not(error: JoinError, stream: &str) -> String {
    match error {
        JoinError::Unknown | JoinError::Other(_) => {
            format!("there is no producer {stream:?} (now)")
        }
        JoinError::Taken => "somebody else has that place".to_owned(),
        JoinError::NotLive => "the stream is not live now".to_owned(),
        JoinError::Full => "the producer has too much to do".to_owned(),
        JoinError::TooMany => "your address has too many sessions; end some".to_owned(),
        JoinError::TooOften(wait) => format!("your address joins too often; wait {wait:.1?}"),
        JoinError::NoRandom => "the system gives no random numbers".to_owned(),
    }
}

fn unheard(error: SayError) -> &'static str {
    match error {
        SayError::Unknown => "the session is over",
        SayError::Full => "the producer has too much to do",
        SayError::TooMany => "too many candidates",
    }
}
