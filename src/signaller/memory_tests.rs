use super::super::{Role, supervisor::Event, supervisor::Supervisor};
use super::*;
use crate::signaller::Registry;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(1);

async fn start(room: &str) -> Supervisor {
    let options = Options::new(Role::Publish, "unused");
    let mut supervisor = Supervisor::spawn(
        Registry::builtin()
            .open(&format!("memory:{room}"), &options)
            .unwrap(),
    );
    assert_eq!(
        supervisor.events.recv().await,
        Some(Event::Up {
            address: Some(format!("memory:{room}"))
        })
    );
    supervisor
}

fn bye() -> Message {
    Message::Bye {
        reason: "enough".into(),
    }
}

async fn joined(supervisor: &mut Supervisor) -> PeerId {
    match supervisor.events.recv().await {
        Some(Event::Incoming(Incoming::Joined { peer, .. })) => peer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn notes_go_both_ways() {
    let mut supervisor = start("both-ways").await;
    let mut far = dial("both-ways", PeerInfo::default()).unwrap();
    let peer = joined(&mut supervisor).await;
    assert_eq!(peer, far.id);
    far.send(bye()).await.unwrap();
    let note = Incoming::Message {
        peer: peer.clone(),
        message: bye(),
    };
    assert_eq!(supervisor.events.recv().await, Some(Event::Incoming(note)));
    assert!(supervisor.send(Outgoing::Message {
        peer: peer.clone(),
        message: Message::please_offer()
    }));
    assert_eq!(
        far.recv().await,
        Some(Note::Message(Message::please_offer()))
    );
    assert!(supervisor.send(Outgoing::End {
        peer,
        reason: "over".into()
    }));
    assert_eq!(
        far.recv().await,
        Some(Note::Ended {
            reason: "over".into()
        })
    );
    assert_eq!(far.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_peer_has_left() {
    let mut supervisor = start("dropped").await;
    drop(dial("dropped", PeerInfo::default()).unwrap());
    let peer = joined(&mut supervisor).await;
    let left = Incoming::Left {
        peer,
        reason: "dropped".into(),
    };
    assert_eq!(supervisor.events.recv().await, Some(Event::Incoming(left)));
}

#[tokio::test(start_paused = true)]
async fn a_peer_speaks_on_after_the_connection_is_replaced() {
    let mut supervisor = start("replaced").await;
    let far = dial("replaced", PeerInfo::default()).unwrap();
    let peer = joined(&mut supervisor).await;
    break_connection("replaced");
    assert!(matches!(
        supervisor.events.recv().await,
        Some(Event::Down { .. })
    ));
    assert!(matches!(
        supervisor.events.recv().await,
        Some(Event::Up { .. })
    ));
    far.send(bye()).await.unwrap();
    assert_eq!(
        supervisor.events.recv().await,
        Some(Event::Incoming(Incoming::Message {
            peer,
            message: bye()
        }))
    );
}

#[tokio::test(start_paused = true)]
async fn a_room_is_taken_once_and_free_after_close() {
    let supervisor = start("taken").await;
    let options = Options::new(Role::Publish, "taken");
    let mut second = Supervisor::spawn(Registry::builtin().open("memory:", &options).unwrap());
    assert!(matches!(
        second.events.recv().await,
        Some(Event::Failed(SignallerError::Permanent(_)))
    ));
    supervisor.close(DEADLINE).await;
    assert_eq!(
        dial("taken", PeerInfo::default()).err(),
        Some(Unreachable::NobodyListens)
    );
    start("taken").await;
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_before_close_still_arrives() {
    let mut supervisor = start("farewell").await;
    let mut far = dial("farewell", PeerInfo::default()).unwrap();
    let peer = joined(&mut supervisor).await;
    assert!(supervisor.send(Outgoing::End {
        peer,
        reason: "closing".into()
    }));
    supervisor.close(DEADLINE).await;
    assert_eq!(
        far.recv().await,
        Some(Note::Ended {
            reason: "closing".into()
        })
    );
}
