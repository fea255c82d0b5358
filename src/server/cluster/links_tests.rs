use tokio::time::timeout;

use super::*;
use crate::message::v1::Info;
use crate::server::Publisher;
use crate::server::cluster::wire::{Says, Word};
use crate::server::events::Observer;
use crate::server::hub;
use crate::server::rules::{Current, Rules};
use crate::signaller::{Incoming, Outgoing};

/// Longer than anything should take; only a failure waits for it.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn last_words_that_come_together_reach_the_edge() {
    let hub = Hub::new(Current::new(Rules::default()), Observer::default(), true);
    let published = hub.publish("cam", hub::Kind::Publish, &[], Publisher::Local);
    let (_publication, mut incoming) = published.unwrap();
    let server = |name| ServerId::parse(name).unwrap();
    let (post, mut letters) = Post::new(server("home"));
    let (_stop, stopped) = watch::channel(());
    let links = Links::new(hub.clone(), Slots::default(), post, stopped);

    let peer = PeerId::new("v1-x");
    let info = Info::default();
    let joined = Envelope::Joined {
        peer: peer.clone(),
        info,
    };
    links.hear(&server("edge"), "cam", joined);
    let arrived = timeout(LONG, incoming.recv()).await.unwrap();
    assert!(matches!(arrived, Some(Incoming::Joined { .. })));
    // Both are there before the viewer's task runs again.
    let (to, message) = (peer.clone(), Message::Offer { sdp: "o".into() });
    hub.handle("cam", Outgoing::Message { peer: to, message });
    let reason = "no path".to_owned();
    hub.handle("cam", Outgoing::End { peer, reason });

    let mut heard = async || {
        let letter = timeout(LONG, letters.recv()).await.expect("it is told");
        match Word::read(&letter.unwrap().word).unwrap().says {
            Says::Down { envelope, .. } => envelope,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(heard().await, Envelope::Note { .. }));
    assert!(matches!(heard().await, Envelope::End { .. }));
}
