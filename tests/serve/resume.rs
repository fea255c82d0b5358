//! A server that dies, and its sessions, which do not.

use sigmund::message::Candidate;

use super::*;

/// A publisher and a viewer of one stream.
pub(super) struct Pair {
    pub(super) publisher: Client,
    pub(super) viewer: Client,
    /// What the publisher calls the viewer, and the viewer the publisher.
    pub(super) peer: PeerId,
    far: PeerId,
}

/// Another viewer of the same.
pub(super) struct Other {
    viewer: Client,
    peer: PeerId,
    far: PeerId,
}

impl Pair {
    /// At one server.
    fn new(server: &Server) -> Self {
        let mut publisher = Client::publisher(server, "cam", None);
        publisher.up();
        Self::meet(publisher, Client::viewer(server, "cam", None))
    }

    /// The viewer is the next to join.
    #[track_caller]
    pub(super) fn meet(mut publisher: Client, mut viewer: Client) -> Self {
        let far = viewer.joined();
        let peer = publisher.joined();
        Self {
            publisher,
            viewer,
            peer,
            far,
        }
    }

    /// One more viewer, who has joined meanwhile.
    #[track_caller]
    pub(super) fn another(&mut self, mut viewer: Client) -> Other {
        let far = viewer.joined();
        let peer = self.publisher.joined();
        Other { viewer, peer, far }
    }

    /// Passes a note each way; nothing else may have happened before.
    #[track_caller]
    pub(super) fn talk(&mut self, number: u32) {
        let (publisher, viewer) = (&mut self.publisher, &mut self.viewer);
        talk((publisher, &self.peer), (viewer, &self.far), number);
    }
}

impl Other {
    #[track_caller]
    pub(super) fn talk(&mut self, publisher: &mut Client, number: u32) {
        talk(
            (publisher, &self.peer),
            (&mut self.viewer, &self.far),
            number,
        );
    }
}

/// Each side, and what it calls the other.
#[track_caller]
fn talk(publisher: (&mut Client, &PeerId), viewer: (&mut Client, &PeerId), number: u32) {
    let note = candidate(number);
    let said = |(_, peer): &(&mut Client, &PeerId)| Incoming::Message {
        peer: (*peer).clone(),
        message: note.clone(),
    };
    let (to_viewer, to_publisher) = (said(&viewer), said(&publisher));
    publisher.0.say(publisher.1, note.clone());
    assert_eq!(viewer.0.heard(), to_viewer);
    viewer.0.say(viewer.1, note.clone());
    assert_eq!(publisher.0.heard(), to_publisher);
}

fn candidate(number: u32) -> Message {
    Message::Candidate(Candidate {
        candidate: format!("candidate:{number}"),
        sdp_mid: None,
        sdp_m_line_index: None,
    })
}

#[test]
fn a_server_that_was_killed_has_streams_and_sessions_back_within_two_seconds() {
    let server = Server::start(&[]);
    let place = server.address().to_string();
    let mut pair = Pair::new(&server);
    let watched = Publisher::up(&server, "by-whep", None).watched(&server, "by-whep", None);
    assert_eq!(watched.status, 201);
    pair.talk(1);
    let (code, _) = server.end(Signal::SIGKILL);
    assert_eq!(code, None, "it was killed");

    let server = Server::at(&place, &[]);
    let back = Instant::now();
    let listed = r#"{"kind":"publish","name":"cam","viewers":1}"#;
    eventually("the publisher is listed", || {
        server.get("/streams", "").body.contains(listed)
    });
    let took = back.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    // The same two, under the same names, and nobody has left or joined.
    pair.talk(2);
    // A second death is no different.
    drop(server);
    let _server = Server::at(&place, &[]);
    pair.talk(3);
}
