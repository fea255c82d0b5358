//! Who may publish, watch and read what.

use super::*;

/// A key, and a server that trusts it.
fn guarded(folder: &Folder, algorithm: &str, words: &[&str]) -> (String, Server) {
    let key = folder.path("key");
    said(&["token", "--generate-key", algorithm, "--key-file", &key]);
    let trusted = if algorithm == "eddsa" {
        format!("{key}.pub")
    } else {
        key.clone()
    };
    let server = Server::start(&[&["--key-file", &trusted], words].concat());
    (key, server)
}

fn token(key: &str, words: &[&str]) -> String {
    let mint = ["token", "--key-file", key];
    said(&[&mint, words].concat()).trim().to_owned()
}

fn failure(mut publisher: Publisher) -> String {
    match publisher.event() {
        Event::Failed(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_minted_token_opens_what_it_says_and_nothing_else() {
    for algorithm in ["hs256", "eddsa"] {
        let folder = Folder::new(algorithm);
        let (key, server) = guarded(&folder, algorithm, &[]);
        let publish = token(&key, &["--stream", "cam*", "--publish"]);
        let view = token(&key, &["--stream", "cam1", "--view"]);
        let expired = token(
            &key,
            &["--stream", "*", "--view", "--publish", "--ttl", "0s"],
        );
        let other = folder.path("other");
        said(&["token", "--generate-key", "--key-file", &other]);
        let forged = token(&other, &["--stream", "*", "--view", "--publish"]);

        let mut publisher = Publisher::up(&server, "cam1", Some(&publish));
        assert_eq!(publisher.watched(&server, "cam1", Some(&view)).status, 201);
        for (presented, stream, status, words) in [
            (None, "cam1", 401, "wants a token"),
            (Some(&expired), "cam1", 401, "expired"),
            (Some(&forged), "cam1", 401, "not a token of this server"),
            (Some(&view), "cam2", 403, "other streams"),
            (Some(&publish), "cam1", 403, "lacks \"view\""),
        ] {
            let reply = server.join(stream, presented.map(String::as_str));
            assert_eq!(reply.status, status, "{reply:?}");
            assert!(reply.error().contains(words), "{reply:?}");
            assert_eq!(reply.headers("www-authenticate").len(), 1, "{reply:?}");
        }
        for (presented, stream, words) in [
            (None, "cam3", "wants a token"),
            (Some(&expired), "cam3", "expired"),
            (Some(&forged), "cam3", "not a token of this server"),
            (Some(&publish), "stage", "other streams"),
            (Some(&view), "cam1", "lacks \"publish\""),
        ] {
            let refused = Publisher::new(&server, stream, presented.map(String::as_str));
            let text = failure(refused);
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}

#[test]
fn streams_are_listed_to_those_who_may_watch_them() {
    let folder = Folder::new("listed");
    let text = "pub1isher publish *\nfirst view cam1\nall view *\n";
    let tokens = folder.write("tokens", text);
    let server = Server::start(&["--token-file", &tokens]);
    let _one = Publisher::up(&server, "cam1", Some("pub1isher"));
    let _two = Publisher::up(&server, "cam2", Some("pub1isher"));
    let list = |token: &str| server.get("/streams", &format!("Authorization: Bearer {token}\r\n"));
    assert_eq!(
        list("first").body,
        r#"{"streams":[{"kind":"publish","name":"cam1","viewers":0}]}"#
    );
    assert!(list("all").body.contains("cam2"));
    assert_eq!(
        list("pub1isher").body,
        r#"{"streams":[]}"#,
        "it may not know what others watch"
    );
    assert_eq!(server.get("/streams", "").status, 401);
    assert_eq!(
        server.get("/", "").status,
        200,
        "the page asks for the token"
    );
}

#[test]
fn tokens_that_are_added_or_taken_count_at_once() {
    let folder = Folder::new("changing");
    let tokens = folder.write("tokens", "first view *\n");
    let server = Server::start(&["--token-file", &tokens]);
    let status = |token: &str| {
        let header = format!("Authorization: Bearer {token}\r\n");
        server.get("/streams", &header).status
    };
    assert_eq!((status("first"), status("second")), (200, 401));
    folder.write("tokens", "second view *\n");
    // Not by asking again and again: who guesses tokens is soon not heard.
    eventually("it has been read", || server.log().contains("read again"));
    assert_eq!((status("second"), status("first")), (200, 401));
    // What makes no sense changes nothing.
    folder.write("tokens", "third look *\n");
    eventually("it is said", || server.log().contains("token-file"));
    assert!(server.log().contains("line 1"), "{}", server.log());
    assert_eq!((status("second"), status("third")), (200, 401));
}

#[test]
fn a_publisher_learns_what_a_viewers_token_allows() {
    let folder = Folder::new("claims");
    let (key, server) = guarded(&folder, "hs256", &[]);
    let publish = token(&key, &["--stream", "cam", "--publish"]);
    let mut publisher = Client::publisher(&server, "cam", Some(&publish));
    publisher.up();
    for (words, no_data, max_bitrate) in [
        (&["--view"][..], true, None),
        (&["--view", "--data"], false, None),
        (&["--view", "--max-bitrate", "300000"], true, Some(300_000)),
    ] {
        let view = token(&key, &[&["--stream", "cam"], words].concat());
        let mut viewer = Client::viewer(&server, "cam", Some(&view));
        viewer.up();
        let (_, info) = publisher.joined_with();
        assert_eq!(
            (info.no_data, info.max_bitrate),
            (no_data, max_bitrate),
            "{words:?}"
        );
        drop(viewer);
        // By WHEP it is the same.
        let (address, view) = (server.address(), view.clone());
        let waiting = std::thread::spawn(move || {
            let headers =
                format!("Content-Type: application/sdp\r\nAuthorization: Bearer {view}\r\n");
            send(address, "POST", "/whep/cam", &headers, OFFER)
        });
        let (peer, info) = loop {
            if let Incoming::Joined { peer, info } = publisher.heard() {
                break (peer, info);
            }
        };
        assert_eq!(
            (info.no_data, info.max_bitrate),
            (no_data, max_bitrate),
            "{words:?}"
        );
        publisher.say(
            &peer,
            Message::Answer {
                sdp: ANSWER.to_owned(),
            },
        );
        assert_eq!(waiting.join().unwrap().status, 201);
        // What it offered.
        publisher.heard();
    }
}

#[test]
fn a_whip_client_is_told_how_much_it_may_send() {
    let folder = Folder::new("whip-claims");
    let (key, server) = guarded(&folder, "hs256", &[]);
    let view = token(&key, &["--stream", "up", "--view"]);
    let mut viewer = Client::viewer(&server, "up", Some(&view));
    viewer.up();
    for (words, limit) in [
        (&[][..], None),
        (&["--max-bitrate", "300000"], Some("b=TIAS:300000")),
    ] {
        let send_it = token(&key, &[&["--stream", "up", "--publish"], words].concat());
        let address = server.address();
        let client = std::thread::spawn(move || {
            let bearer = format!("Authorization: Bearer {send_it}\r\n");
            let headers = format!("Content-Type: application/sdp\r\n{bearer}");
            let reply = send(address, "POST", "/whip/up", &headers, OFFER);
            let location = reply.headers("location")[0].to_owned();
            send(address, "DELETE", &location, &bearer, "");
            reply
        });
        let publisher = viewer.joined();
        viewer.heard();
        let sdp = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n".to_owned();
        viewer.say(&publisher, Message::Answer { sdp });
        let reply = client.join().unwrap();
        assert_eq!(reply.status, 201, "{reply:?}");
        match limit {
            Some(limit) => assert!(reply.body.contains(limit), "{reply:?}"),
            None => assert!(!reply.body.contains("b="), "{reply:?}"),
        }
        assert!(matches!(viewer.heard(), Incoming::Left { .. }));
    }
}
