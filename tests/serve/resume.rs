//! A server that dies, and its sessions, which do not.

use sigmund::message::Candidate;

use super::*;

/// A publisher and a viewer of one stream.
struct Pair {
    publisher: Client,
    viewer: Client,
    /// What the publisher calls the viewer, and the viewer the publisher.
    peer: PeerId,
    far: PeerId,
}

impl Pair {
    /// Each at a server of its own, or at the same.
    fn new(one: &Server, other: &Server) -> Self {
        let mut publisher = Client::publisher(one, "cam", None);
        publisher.up();
        let mut viewer = Client::viewer(other, "cam", None);
        let far = viewer.joined();
        let peer = publisher.joined();
        Self {
            publisher,
            viewer,
            peer,
            far,
        }
    }

    /// Passes a note each way; nothing else may have happened before.
    #[track_caller]
    fn talk(&mut self, number: u32) {
        let note = candidate(number);
        self.publisher.say(&self.peer, note.clone());
        let heard = self.viewer.heard();
        let expected = Incoming::Message {
            peer: self.far.clone(),
            message: note.clone(),
        };
        assert_eq!(heard, expected);
        self.viewer.say(&self.far, note.clone());
        let heard = self.publisher.heard();
        let expected = Incoming::Message {
            peer: self.peer.clone(),
            message: note,
        };
        assert_eq!(heard, expected);
    }
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
    let mut pair = Pair::new(&server, &server);
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
