use serde_json::{Value, json};

use super::super::{PeerInfo, Refusal, Registry};
use super::*;
use crate::message::Message;

struct Element {
    signaller: Box<dyn Signaller>,
    connection: Connection,
    handle: AppHandle,
    messages: mpsc::Receiver<String>,
}

impl Element {
    async fn new(role: Role) -> Self {
        let (end, handle, messages) = channel();
        let mut options = Options::new(role, "x");
        options.app = Some(end);
        let mut signaller = Registry::builtin().open("app:", &options).unwrap();
        let connection = signaller.connect().await.unwrap();
        Self {
            signaller,
            connection,
            handle,
            messages,
        }
    }

    fn feed(&self, message: Value) -> Result<(), FeedError> {
        self.handle.feed(&message.to_string())
    }

    async fn hears(&mut self) -> Incoming {
        self.connection.incoming.recv().await.unwrap()
    }

    async fn says(&mut self, note: Outgoing) -> Value {
        self.connection.outgoing.send(note).await.unwrap();
        serde_json::from_str(&self.messages.recv().await.unwrap()).unwrap()
    }
}

fn joined(peer: &str) -> Value {
    json!({"type": "joined", "peer": peer, "info": {"protocol": "mqtt"}})
}

fn note(peer: &str) -> Value {
    json!({"type": "note", "peer": peer, "note": {"type": "please-offer"}})
}

#[tokio::test]
async fn the_application_announces_peers_and_carries_their_notes() {
    let mut element = Element::new(Role::Publish).await;
    assert_eq!(element.signaller.capabilities(), CHANNEL);
    element.feed(joined("ada")).unwrap();
    element.feed(note("ada")).unwrap();
    let peer = PeerId::new("ada");
    let info = PeerInfo {
        protocol: "mqtt".into(),
        channel: Some(CHANNEL),
        again: true,
        ..PeerInfo::default()
    };
    let expected = Incoming::Joined {
        peer: peer.clone(),
        info,
    };
    assert_eq!(element.hears().await, expected);
    let message = Message::please_offer();
    assert_eq!(
        element.hears().await,
        Incoming::Message {
            peer: peer.clone(),
            message
        }
    );
    let offer = Outgoing::Message {
        peer: peer.clone(),
        message: Message::Offer { sdp: "v=0".into() },
    };
    let said = json!({"type": "note", "peer": "ada", "note": {"type": "offer", "sdp": "v=0"}});
    assert_eq!(element.says(offer).await, said);
    let refuse = Outgoing::Refuse {
        peer,
        refusal: Refusal::Busy("full".into()),
    };
    let said = json!({"type": "refuse", "peer": "ada", "kind": "busy", "text": "full"});
    assert_eq!(element.says(refuse).await, said);
    let error = element.feed(note("ada")).unwrap_err();
    assert!(error.0.contains("no peer"), "it was refused: {error}");
}

#[tokio::test]
async fn a_peer_may_offer_itself_and_take_no_candidates() {
    let mut element = Element::new(Role::Publish).await;
    let message =
        json!({"type": "joined", "peer": "p", "info": {"offers": true, "trickle": false}});
    element.feed(message).unwrap();
    let Incoming::Joined { info, .. } = element.hears().await else {
        panic!("nobody joined");
    };
    let channel = info.channel.unwrap();
    assert_eq!(
        (channel.offerer, channel.trickle_out),
        (Offerer::Them, false)
    );
}

#[tokio::test]
async fn a_viewer_has_one_far_side() {
    let mut element = Element::new(Role::Subscribe).await;
    assert_eq!(element.signaller.capabilities().offerer, Offerer::Them);
    let Incoming::Joined { peer, .. } = element.hears().await else {
        panic!("nobody joined");
    };
    element.feed(note("whoever")).unwrap();
    assert!(matches!(element.hears().await, Incoming::Message { peer: from, .. } if from == peer));
    let end = Outgoing::End {
        peer: peer.clone(),
        reason: "enough".into(),
    };
    let bye =
        json!({"type": "note", "peer": "publisher", "note": {"type": "bye", "reason": "enough"}});
    assert_eq!(element.says(end).await, bye);
    assert!(element.feed(joined("ada")).is_err());
}

#[tokio::test]
async fn mistakes_of_the_application_are_told() {
    let element = Element::new(Role::Publish).await;
    element.feed(joined("ada")).unwrap();
    for (message, why) in [
        (json!({"type": "joined"}), "peer"),
        (json!(1), "object"),
        (json!({"type": "welcome"}), "version"),
        (json!({"type": "ended", "reason": ""}), "publisher takes"),
        (joined("ada"), "already"),
        (note("eve"), "no peer"),
        (json!({"type": "left", "peer": "eve"}), "no peer"),
    ] {
        let error = element.feed(message.clone()).unwrap_err();
        assert!(error.0.contains(why), "{message}: {error}");
    }
    element.feed(json!({"type": "applause"})).unwrap();
    let long = "x".repeat(MAX_TO_CLIENT + 1);
    assert!(element.handle.feed(&long).is_err());
}

#[tokio::test]
async fn an_application_that_feeds_too_fast_is_told_and_nothing_grows() {
    let element = Element::new(Role::Publish).await;
    element.feed(joined("ada")).unwrap();
    let taken = (0..2 * QUEUE).filter(|_| element.feed(note("ada")).is_ok());
    assert_eq!(taken.count(), QUEUE - 1);
}

#[tokio::test]
async fn what_the_element_said_last_is_still_delivered_when_it_stops() {
    let Element {
        mut signaller,
        connection,
        handle,
        mut messages,
    } = Element::new(Role::Publish).await;
    handle.feed(&joined("ada").to_string()).unwrap();
    let end = Outgoing::End {
        peer: PeerId::new("ada"),
        reason: "stopped".into(),
    };
    connection.outgoing.send(end).await.unwrap();
    drop(connection);
    signaller.close().await;
    assert!(messages.recv().await.unwrap().contains("stopped"));
    let error = handle.feed(&joined("bob").to_string()).unwrap_err();
    assert!(error.0.contains("not running"), "{error}");
    drop(signaller);
    assert_eq!(messages.recv().await, None, "the element is gone");
}

#[tokio::test]
async fn an_application_that_does_not_listen_is_an_error() {
    let Element {
        mut signaller,
        messages,
        ..
    } = Element::new(Role::Publish).await;
    drop(messages);
    let error = signaller.connect().await.unwrap_err();
    assert!(matches!(error, SignallerError::Permanent(_)), "{error}");
    let opened = Registry::builtin().open("app:", &Options::new(Role::Publish, "x"));
    assert!(opened.err().unwrap().0.contains("no application"));
}
