//! Signalling schemes against the servers that they are for. On loopback, with
//! forged descriptions; and in a lab, with media, see [`media`].
//!
//! A server that is not installed skips its tests, loudly; with `CI=true` they
//! fail.
#![allow(clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

mod gstwebrtc;
mod janus;
mod media;
mod nats;
mod server;

use std::time::Duration;

use sigmund::access::Token;
use sigmund::message::{Candidate, Message, PeerId};
use sigmund::signaller::supervisor::{Event, Supervisor};
use sigmund::signaller::{Incoming, Options, Outgoing, PeerInfo, Registry, Role, SignallerError};
use tokio::time::timeout;

/// Long for a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(20);

/// An offer of one video track, as a peer that only sends makes it.
const OFFER: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
    a=group:BUNDLE 0\r\na=ice-options:trickle\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=sendonly\r\na=mid:0\r\n\
    a=ice-ufrag:Qr4b\r\na=ice-pwd:n9TzV0PqfLkmhRXGfPzGbKvw\r\n\
    a=fingerprint:sha-256 5B:A1:3C:70:77:16:3D:9E:D2:5C:0F:3D:4A:8E:6B:1A:2F:90:C4:7D:11:E8:A6:35:9B:CC:02:F7:64:D8:8E:13\r\n\
    a=setup:actpass\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\na=ssrc:1 cname:a\r\na=msid:a b\r\n";

/// A candidate that leads nowhere (RFC 5737).
const CANDIDATE: &str = "candidate:1 1 UDP 2130706431 192.0.2.7 40000 typ host";

/// A supervised signaller.
struct Signal {
    supervisor: Supervisor,
}

impl Signal {
    fn publish(uri: &str, token: Option<&str>) -> Self {
        let mut options = Options::new(Role::Publish, "camera");
        options.token = token.map(Token::new);
        Self::open(uri, &options)
    }

    fn open(uri: &str, options: &Options) -> Self {
        let signaller = Registry::builtin().open(uri, options).unwrap();
        Self {
            supervisor: Supervisor::spawn(signaller),
        }
    }

    async fn event(&mut self) -> Event {
        let event = timeout(SOON, self.supervisor.events.recv()).await;
        event.expect("something happens").expect("it has not ended")
    }

    /// What happens next of what `pick` takes; the rest is passed over.
    async fn next<T>(&mut self, what: &str, pick: impl Fn(Event) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.supervisor.events.recv().await;
                let event = event.unwrap_or_else(|| panic!("it ended before {what}"));
                let failed = match &event {
                    Event::Failed(error) => Some(error.to_string()),
                    _ => None,
                };
                match (pick(event), failed) {
                    (Some(picked), _) => return picked,
                    (None, Some(error)) => panic!("it failed before {what}: {error}"),
                    (None, None) => (),
                }
            }
        };
        let found = timeout(SOON, search).await;
        found.unwrap_or_else(|_| panic!("there is no {what}"))
    }

    /// What arrives next, whatever it is.
    async fn incoming(&mut self) -> Incoming {
        match self.event().await {
            Event::Incoming(incoming) => incoming,
            other => panic!("{other:?}"),
        }
    }

    async fn joined(&mut self) -> (PeerId, PeerInfo) {
        let pick = |event| match event {
            Event::Incoming(Incoming::Joined { peer, info }) => Some((peer, info)),
            _ => None,
        };
        self.next("peer", pick).await
    }

    async fn message(&mut self) -> (PeerId, Message) {
        let pick = |event| match event {
            Event::Incoming(Incoming::Message { peer, message }) => Some((peer, message)),
            _ => None,
        };
        self.next("message", pick).await
    }

    async fn left(&mut self) -> (PeerId, String) {
        let pick = |event| match event {
            Event::Incoming(Incoming::Left { peer, reason }) => Some((peer, reason)),
            _ => None,
        };
        self.next("farewell", pick).await
    }

    async fn up(&mut self) {
        let pick = |event| matches!(event, Event::Up { .. }).then_some(());
        self.next("connection", pick).await;
    }

    async fn down(&mut self) -> String {
        let pick = |event| match event {
            Event::Down { reason, .. } => Some(reason),
            _ => None,
        };
        self.next("loss", pick).await
    }

    /// The error that ends it; nothing else may happen before.
    async fn failed(&mut self) -> String {
        match self.event().await {
            Event::Failed(SignallerError::Permanent(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    fn say(&self, peer: &PeerId, message: Message) {
        let peer = peer.clone();
        assert!(self.supervisor.send(Outgoing::Message { peer, message }));
    }

    fn offer(&self, peer: &PeerId) {
        let sdp = OFFER.to_owned();
        self.say(peer, Message::Offer { sdp });
    }

    fn trickle(&self, peer: &PeerId) {
        let candidate = Candidate {
            candidate: CANDIDATE.to_owned(),
            sdp_mid: Some("0".to_owned()),
            sdp_m_line_index: Some(0),
        };
        self.say(peer, Message::Candidate(candidate));
    }

    fn end(&self, peer: &PeerId, reason: &str) {
        let (peer, reason) = (peer.clone(), reason.to_owned());
        assert!(self.supervisor.send(Outgoing::End { peer, reason }));
    }

    async fn close(self) {
        self.supervisor.close(SOON).await;
    }
}
