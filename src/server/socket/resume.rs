//! What of a client outlives its connection, for a while, and how it gets it
//! back: by showing the secret that it was welcomed with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::message::PeerId;
use crate::message::v1::{Role, Secret};
use crate::server::hub::{Kind, Publication, Seat};
use crate::server::mark::Mark;
use crate::signaller::Incoming;

/// How long the connection before may take to let go.
const LET_GO: Duration = Duration::from_secs(2);

/// Where a client that has come back wants what it had.
pub(in crate::server) type Request = oneshot::Sender<Kept>;

/// All clients of a server that can come back, by what they are known.
#[derive(Clone)]
pub(in crate::server) struct Slots {
    map: Arc<Mutex<HashMap<Mark, mpsc::Sender<Request>>>>,
    /// Notes when one more can come back.
    added: watch::Sender<()>,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            map: Arc::default(),
            added: watch::Sender::new(()),
        }
    }
}

/// A client, apart from its connection. Dropped, it leaves.
pub(in crate::server) struct Kept {
    pub(in crate::server) client: Client,
    /// Fires when the client has come back by another connection.
    pub(in crate::server) requests: mpsc::Receiver<Request>,
    /// What it is to show then; empty before it has, where only its mark is known.
    pub(super) resume: Secret,
    slot: Slot,
}

/// What a client is to the hub.
pub(in crate::server) enum Client {
    Viewer(Seat),
    Publisher(Publication, mpsc::Receiver<Incoming>),
}

/// A place among the slots; dropping it frees it.
struct Slot {
    slots: Slots,
    mark: Mark,
}

impl Slots {
    fn map(&self) -> MutexGuard<'_, HashMap<Mark, mpsc::Sender<Request>>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a client come back from now on, by this secret.
    pub(super) fn keep(&self, client: Client, resume: Secret) -> Option<Kept> {
        let mark = Mark::of_connection(resume.reveal());
        let kept = self.keep_marked(client, mark)?;
        Some(Kept { resume, ..kept })
    }

    /// The same for one whose secret is not known. `None` if its mark is taken.
    pub(in crate::server) fn keep_marked(&self, client: Client, mark: Mark) -> Option<Kept> {
        let (requests_in, requests) = mpsc::channel(1);
        {
            let mut map = self.map();
            if map.contains_key(&mark) {
                return None;
            }
            map.insert(mark, requests_in);
        }
        self.added.send_replace(());
        Some(Kept {
            client,
            requests,
            resume: Secret::new(String::new()),
            slot: Slot {
                slots: self.clone(),
                mark,
            },
        })
    }

    /// Takes back what a client had, from its former connection if that has not
    /// noticed its loss yet.
    pub(super) async fn reclaim(&self, resume: &Secret) -> Option<Kept> {
        let kept = self.claim(Mark::of_connection(resume.reveal())).await?;
        let resume = resume.clone();
        Some(Kept { resume, ..kept })
    }

    /// The same by the mark alone, which the caller must have from whoever may
    /// know it.
    pub(in crate::server) async fn claim(&self, mark: Mark) -> Option<Kept> {
        let holder = self.map().get(&mark).cloned()?;
        let (request, kept) = oneshot::channel();
        holder.try_send(request).ok()?;
        timeout(LET_GO, kept).await.ok()?.ok()
    }

    /// Can the client of this mark come back?
    pub(in crate::server) fn knows(&self, mark: Mark) -> bool {
        self.map().contains_key(&mark)
    }

    /// Changes when one more can come back.
    pub(super) fn additions(&self) -> watch::Receiver<()> {
        self.added.subscribe()
    }
}

/// A secret for a client. `None` if the system gives no random numbers.
pub(in crate::server) fn secret() -> Option<Secret> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).ok()?;
    Some(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.map().remove(&self.mark);
    }
}

impl Kept {
    /// Is this the client that it says it is?
    pub(super) fn is(&self, role: Role, stream: &str) -> bool {
        match &self.client {
            Client::Viewer(seat) => {
                let took = match seat.kind {
                    Kind::Call => Role::Call,
                    Kind::Publish | Kind::Receive => Role::View,
                };
                role == took && seat.stream == stream
            }
            Client::Publisher(it, _) => {
                let took = match it.kind() {
                    Kind::Call => Role::Call,
                    Kind::Publish | Kind::Receive => Role::Publish,
                };
                role == took && it.name() == stream
            }
        }
    }

    /// Of a viewer: its stream, and its name.
    #[cfg_attr(
        not(feature = "serve"),
        expect(dead_code, reason = "for those who are joined to other servers")
    )]
    pub(in crate::server) fn viewer(&self) -> Option<(&str, &PeerId)> {
        match &self.client {
            Client::Viewer(seat) => Some((&seat.stream, &seat.voice.peer)),
            Client::Publisher(..) => None,
        }
    }

    /// It says goodbye to `stream`. `false` if it watches another.
    pub(in crate::server) fn end(self, stream: &str) -> bool {
        let is_it = self.is(Role::View, stream);
        if let (true, Client::Viewer(seat)) = (is_it, &self.client) {
            seat.voice.leave("it said goodbye");
        }
        is_it
    }

    /// Waits for the client to come back, and lets it leave if it does not. One
    /// that has no connection to lose has all the time of its session.
    pub(in crate::server) async fn park(mut self, grace: Duration, mut stop: watch::Receiver<()>) {
        let until = Instant::now() + grace;
        let calls = self.slot.mark.is_of_resource();
        loop {
            self.client.set_away(true);
            let request = tokio::select! {
                _ = stop.changed() => return,
                () = sleep_until(until), if !calls => return,
                () = self.client.over(calls) => return,
                request = self.requests.recv() => request,
            };
            let Some(request) = request else { return };
            self.client.set_away(false);
            self.client.set_lost(false);
            match request.send(self) {
                Ok(()) => return,
                Err(kept) => self = kept,
            }
        }
    }
}

impl Client {
    /// The connection of a viewer is closed, so that it is to dial again.
    pub(super) fn set_lost(&self, lost: bool) {
        if let Self::Viewer(seat) = self {
            seat.voice.set_lost(lost);
        }
    }

    fn set_away(&self, away: bool) {
        match self {
            Self::Viewer(seat) => seat.voice.set_away(away),
            Self::Publisher(publication, _) => publication.set_away(away),
        }
    }

    /// Waits until there is nothing to come back to. `calls`: it is not there to
    /// hear the last note.
    async fn over(&mut self, calls: bool) {
        match self {
            Self::Viewer(seat) if calls => while seat.notes.recv().await.is_some() {},
            Self::Viewer(seat) => {
                if seat.slow.is_terminated() || (&mut seat.slow).await.is_err() {
                    // It ended in good order; its last note can still be fetched.
                    std::future::pending::<()>().await;
                }
            }
            Self::Publisher(publication, _) => publication.displaced().await,
        }
    }
}
