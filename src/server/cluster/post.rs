//! What leaves for other servers. Nobody waits for NATS.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::wire::{ALL, Says, ServerId, Word};
use crate::message::v1::Envelope;

/// How many words may wait while NATS is away.
const QUEUE: usize = 16 * 1024;

/// Whose way out it is.
#[derive(Clone)]
pub(super) struct Post {
    me: ServerId,
    letters: mpsc::Sender<Letter>,
}

/// A word on its way.
pub(super) struct Letter {
    pub(super) subject: String,
    /// Where NATS says that nobody is there.
    pub(super) absent: Option<String>,
    pub(super) word: Bytes,
}

impl Post {
    /// And where its words are to be taken from.
    pub(super) fn new(me: ServerId) -> (Self, mpsc::Receiver<Letter>) {
        let (letters, out) = mpsc::channel(QUEUE);
        (Self { me, letters }, out)
    }

    pub(super) fn word(&self, says: Says) -> Bytes {
        let from = self.me.clone();
        Word { from, says }.write().into()
    }

    pub(super) fn all(&self, says: Says) {
        self.send(ALL.to_owned(), None, says);
    }

    pub(super) fn one(&self, to: &ServerId, says: Says) {
        let absent = self.me.absent(to.as_str());
        self.send(to.subject(), Some(absent), says);
    }

    pub(super) fn answer(&self, to: String, says: Says) {
        self.send(to, None, says);
    }

    /// To the edge of one of the viewers of a stream of ours.
    pub(super) fn down(&self, edge: &ServerId, stream: &str, envelope: Envelope) {
        let stream = stream.to_owned();
        self.one(edge, Says::Down { stream, envelope });
    }

    fn send(&self, subject: String, absent: Option<String>, says: Says) {
        let letter = Letter {
            subject,
            absent,
            word: self.word(says),
        };
        if self.letters.try_send(letter).is_err() {
            tracing::debug!("words for other servers are lost: NATS does not take them");
        }
    }
}
