//! What of a client outlives its connection, for a while, and how it gets it
//! back: by showing the secret that it was welcomed with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::message::v1::{Role, Secret};
use crate::server::hub::{Publication, Seat};
use crate::signaller::Incoming;

/// How long the connection before may take to let go.
const LET_GO: Duration = Duration::from_secs(2);

/// Secrets are looked up by their digest: how long that takes tells nothing.
type Digest = [u8; 32];

/// Where a client that has come back wants what it had.
pub(super) type Request = oneshot::Sender<Kept>;

/// All clients of a server that can come back.
#[derive(Clone, Default)]
pub(in crate::server) struct Slots(Arc<Mutex<HashMap<Digest, mpsc::Sender<Request>>>>);

/// A client, apart from its connection. Dropped, it leaves.
pub(super) struct Kept {
    pub(super) client: Client,
    /// Fires when the client has come back by another connection.
    pub(super) requests: mpsc::Receiver<Request>,
    /// What it is to show then.
    pub(super) resume: Secret,
    _slot: Slot,
}

/// What a client is to the hub.
pub(super) enum Client {
    Viewer(Seat),
    Publisher(Publication, mpsc::Receiver<Incoming>),
}

/// A place among the slots; dropping it frees it.
struct Slot {
    slots: Slots,
    digest: Digest,
}

impl Slots {
    fn map(&self) -> MutexGuard<'_, HashMap<Digest, mpsc::Sender<Request>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a client come back from now on. `None` if the system gives no
    /// random numbers.
    pub(super) fn keep(&self, client: Client) -> Option<Kept> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).ok()?;
        let resume = Secret::new(URL_SAFE_NO_PAD.encode(bytes));
        let digest = digest(&resume);
        let (requests_in, requests) = mpsc::channel(1);
        self.map().insert(digest, requests_in);
        Some(Kept {
            client,
            requests,
            resume,
            _slot: Slot {
                slots: self.clone(),
                digest,
            },
        })
    }

    /// Takes back what a client had, from its former connection if that has not
    /// noticed its loss yet.
    pub(super) async fn reclaim(&self, resume: &Secret) -> Option<Kept> {
        let holder = self.map().get(&digest(resume)).cloned()?;
        let (request, kept) = oneshot::channel();
        holder.try_send(request).ok()?;
        timeout(LET_GO, kept).await.ok()?.ok()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.map().remove(&self.digest);
    }
}

impl Kept {
    /// Is this the client that it says it is?
    pub(super) fn is(&self, role: Role, stream: &str) -> bool {
        match &self.client {
            Client::Viewer(seat) => role == Role::View && seat.stream == stream,
            Client::Publisher(it, _) => role == Role::Publish && it.name() == stream,
        }
    }

    /// Waits for the client to come back, and lets it leave if it does not.
    pub(super) async fn park(mut self, grace: Duration, mut stop: watch::Receiver<()>) {
        let until = Instant::now() + grace;
        loop {
            self.client.set_away(true);
            let request = tokio::select! {
                _ = stop.changed() => return,
                () = sleep_until(until) => return,
                () = self.client.over() => return,
                request = self.requests.recv() => request,
            };
            let Some(request) = request else { return };
            self.client.set_away(false);
            match request.send(self) {
                Ok(()) => return,
                Err(kept) => self = kept,
            }
        }
    }
}

impl Client {
    fn set_away(&self, away: bool) {
        if let Self::Publisher(publication, _) = self {
            publication.set_away(away);
        }
    }

    /// Waits until there is nothing to come back to.
    pub(super) async fn over(&mut self) {
        match self {
            Self::Viewer(seat) => {
                if (&mut seat.slow).await.is_err() {
                    // It ended in good order; its last note can still be fetched.
                    std::future::pending::<()>().await;
                }
            }
            Self::Publisher(publication, _) => publication.displaced().await,
        }
    }
}

fn digest(secret: &Secret) -> Digest {
    Sha256::digest(secret.reveal()).into()
}
