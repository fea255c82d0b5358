//! Another connection under the same name, when the path of the one before is
//! lost. [`Recovery`](sigmund::session::Recovery) decides, here it is done: the
//! encodings stay leased meanwhile, and to the application the peer stays.

use std::time::Instant;

use sigmund::message::Message;
use sigmund::session::{EndReason, Session};
use sigmund::signaller::Outgoing;

use super::Task;
use crate::media::Lease;
use crate::runtime;
use crate::webrtcbin::{NetworkReport, SenderReport};

impl Task {
    /// A connection is over because of `reason`: the session of the next one, or
    /// why there is none.
    pub(super) async fn after(&mut self, reason: EndReason) -> Result<Session, EndReason> {
        let lost = reason.to_string();
        let note = self.recovery.handle_end(Instant::now(), reason)?;
        gst::info!(
            super::super::CAT,
            "session {} gets another connection, after {lost}",
            self.peer
        );
        let leases = self.retire().await;
        tokio::time::sleep_until(self.recovery.not_before().into()).await;
        let now = Instant::now();
        let timeout = self.recovery.begin(now);
        self.tell_peer(note).await;
        let gone = std::mem::take(&mut self.gone);
        self.tracks
            .retain(|track| !gone.iter().any(|it| it.is(track)));
        let tracks = self.offers().await.map_err(EndReason::Closed)?;
        let session = self.session(tracks, now, timeout).await;
        // A publisher that offers has leased them again by now.
        drop(leases);
        session
    }

    pub(super) async fn tell_peer(&self, message: Message) {
        let peer = self.peer.clone();
        self.send(Outgoing::Message { peer, message }).await;
    }

    /// Takes the connection out of service. It is freed in the background, one
    /// at a time, so that many rounds do not pile up.
    async fn retire(&mut self) -> Vec<Lease> {
        self.connected = None;
        self.number += 1;
        let leave = |medium: super::Medium| {
            medium.lease.leave(&medium.feeder);
            medium.lease
        };
        let leases = self.media.drain(..).map(leave).collect();
        self.close_channels().await;
        let sent = std::mem::take(&mut self.sent);
        self.sent_before.add(&sent);
        self.let_go(false).await;
        self.call.clear();
        self.await_retired().await;
        if let Some(connection) = self.connection.take() {
            let (element, peer) = (self.shared.element.clone(), self.peer.clone());
            let freed = async move { super::free(&element, &peer, connection).await };
            self.retired = Some(runtime::spawn(freed));
        }
        leases
    }

    /// Waits until the connection before is free.
    pub(super) async fn await_retired(&mut self) {
        if let Some(retired) = self.retired.take() {
            let _ = retired.await;
        }
    }

    /// What is sent goes on counting, whatever becomes of connections.
    pub(super) fn count(&mut self, network: &mut NetworkReport) {
        self.sent = SenderReport::default();
        for sender in &network.senders {
            self.sent.add(sender);
        }
        network.senders.push(self.sent_before.clone());
    }
}
