//! A peer that asks by HTTP (WHEP, WHIP), and is told only what answers its
//! requests.

use std::sync::Arc;

use axum::http::HeaderValue;
use tokio::sync::oneshot;

use super::{Guest, Hub, JoinError, Kind, Note, SayError, peer_name, random_name};
use crate::message::{Message, PeerId};
use crate::server::mark::Mark;
use crate::signaller::{PeerInfo, Refusal};

/// How many candidates a session may send in its life.
const CANDIDATES: usize = 256;

/// What the far side said to an offer.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The description that answers it.
    Answer(String),
    /// The peer is turned away.
    Refused(Refusal),
    /// It was over before it began.
    Ended(String),
}

/// What a session's resource shows to conditional requests.
pub(crate) struct Resource {
    /// Names the ICE session, without quotes.
    pub(crate) etag: String,
    /// `a=ice-ufrag` of the offer.
    pub(crate) ufrags: Vec<String>,
}

/// The hub's side of a session.
pub(super) struct Far {
    /// Unguessable; stands in the session's URL.
    pub(super) id: String,
    etag: String,
    ufrags: Vec<String>,
    candidates: usize,
    /// Where the answer is waited for; `None` once it is there.
    answer: Option<oneshot::Sender<Reply>>,
}

impl Far {
    /// A client that has gone meanwhile says so by [`Waiting`].
    pub(super) fn tell(&mut self, note: Note) {
        let reply = match note {
            Note::Message(Message::Answer { sdp }) => Reply::Answer(sdp),
            Note::Refused(refusal) => Reply::Refused(refusal),
            Note::Ended(reason) => Reply::Ended(reason),
            Note::Message(other) => {
                tracing::debug!("WHEP and WHIP have no way to send {}", kind_of(&other));
                return;
            }
            Note::Came(_) | Note::Went(_) => return,
        };
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(reply);
        }
    }

    /// May the session send so many more?
    pub(super) fn check_candidates(&self, more: usize) -> Result<(), SayError> {
        if self.candidates + more > CANDIDATES {
            return Err(SayError::TooMany);
        }
        Ok(())
    }

    pub(super) fn count_candidates(&mut self, more: usize) {
        self.candidates += more;
    }
}

/// A peer that waits for its answer. Dropped, it leaves; see [`keep`](Self::keep).
pub(crate) struct Waiting {
    hub: Arc<Hub>,
    /// What the far side calls it.
    pub(crate) peer: PeerId,
    /// Unguessable; stands in the session's URL.
    pub(crate) id: String,
    /// Names the ICE session, without quotes.
    pub(crate) etag: String,
    /// The `Link` headers of the stream.
    pub(crate) links: Arc<[HeaderValue]>,
    /// Where the answer comes.
    pub(crate) reply: oneshot::Receiver<Reply>,
    kept: bool,
}

impl Hub {
    /// A peer wants to join a stream of this kind, and offers; the host is told,
    /// or whoever waits to receive it.
    pub(crate) fn ask(
        self: &Arc<Self>,
        stream: &str,
        kind: Kind,
        info: PeerInfo,
        offer: String,
    ) -> Result<Waiting, JoinError> {
        let (id, etag) = (random_name::<16>()?, random_name::<8>()?);
        let peer = peer_name(&info.protocol)?;
        let links = self.links(stream, kind)?;
        let mark = Mark::of_resource(&id).text();
        let info = PeerInfo {
            mark: Some(mark),
            ..info
        };
        let (answer, reply) = oneshot::channel();
        let far = Far {
            id: id.clone(),
            etag: etag.clone(),
            ufrags: ufrags(&offer),
            candidates: 0,
            answer: Some(answer),
        };
        let guest = Guest {
            stream,
            kind,
            info,
            offer: Some(offer),
            far: super::Far::Resource(far),
            waits: false,
        };
        self.join(&peer, guest)?;
        Ok(Waiting {
            hub: self.clone(),
            peer,
            id,
            etag,
            links,
            reply,
            kept: false,
        })
    }

    /// The resource of a session of `stream` that came by this protocol.
    pub(crate) fn resource(&self, stream: &str, protocol: &str, id: &str) -> Option<Resource> {
        let state = self.state();
        let session = state.sessions.get(state.resources.get(id)?)?;
        match &session.far {
            super::Far::Resource(it) if session.stream == stream => (session.protocol == protocol)
                .then(|| Resource {
                    etag: it.etag.clone(),
                    ufrags: it.ufrags.clone(),
                }),
            _ => None,
        }
    }

    /// Passes on what a session has to say of its candidates: all of it,
    /// or nothing.
    pub(crate) fn trickle(&self, id: &str, messages: Vec<Message>) -> Result<(), SayError> {
        let peer = self.peer_of(id).ok_or(SayError::Unknown)?;
        self.say(&peer, messages)
    }

    /// A session is deleted. `false` if there is no such session.
    pub(crate) fn delete(&self, id: &str) -> bool {
        self.peer_of(id)
            .is_some_and(|peer| self.leave(&peer, "it said goodbye"))
    }

    fn peer_of(&self, id: &str) -> Option<PeerId> {
        self.state().resources.get(id).cloned()
    }
}

impl Waiting {
    /// It has waited long enough.
    pub(crate) fn give_up(self) {
        let reason = "its offer was not answered in time";
        self.hub.leave_as(&self.peer, reason, "timeout");
    }

    /// The peer has its answer: the session lives until somebody ends it.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.kept {
            self.hub.leave(&self.peer, "it did not wait for the answer");
        }
    }
}

/// The ICE user name fragments in a description; usually all the same.
fn ufrags(offer: &str) -> Vec<String> {
    let mut found: Vec<_> = offer
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix("a=ice-ufrag:"))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(str::to_owned).collect()
}

fn kind_of(message: &Message) -> &'static str {
    match message {
        Message::Offer { .. } => "an offer",
        Message::Answer { .. } => "an answer",
        Message::PleaseOffer { .. } => "a request for an offer",
        Message::Candidate(_) => "a candidate",
        Message::EndOfCandidates => "the end of candidates",
        Message::Again { .. } => "another round",
        Message::Bye { .. } => "a farewell",
    }
}
