//! The way to other servers, where there are any: for clients that come to us and
//! have been at another.

use tokio::sync::{mpsc, oneshot};

use super::mark::Mark;
use crate::message::PeerId;

/// What is asked of them.
pub(super) struct Ask {
    pub(super) stream: String,
    pub(super) mark: String,
    /// Was it the stream's host?
    pub(super) hosts: bool,
    pub(super) reply: oneshot::Sender<Option<PeerId>>,
}

/// See the module's documentation.
#[derive(Clone)]
pub(super) struct Elsewhere(mpsc::Sender<Ask>);

impl Elsewhere {
    /// And where its questions arrive.
    pub(super) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(256);
        (Self(asks), asked)
    }

    /// Takes a client over from the home of its stream; what it is called there.
    pub(super) async fn claim(&self, stream: &str, mark: Mark, hosts: bool) -> Option<PeerId> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            stream: stream.to_owned(),
            mark: mark.text(),
            hosts,
            reply,
        };
        self.0.send(ask).await.ok()?;
        answer.await.ok()?
    }
}
