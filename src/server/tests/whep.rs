//! WHEP to the letter: every status, and what comes with it.

use super::*;
use crate::address::IceServer;
use crate::message::Candidate;
use crate::signaller::Refusal;

const FRAGMENT: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n\
    a=candidate:1 1 UDP 2130706431 192.0.2.1 3478 typ host\r\na=end-of-candidates\r\n";

async fn patch(to: SocketAddr, path: &str, headers: &str, body: &str) -> Reply {
    send(
        to,
        "PATCH",
        path,
        &format!("Content-Type: application/trickle-ice-sdpfrag\r\n{headers}"),
        body,
    )
    .await
}

#[tokio::test]
async fn an_offer_is_answered_with_a_resource() {
    let mut options = options();
    options.ice_servers =
        IceServer::parse_list("stun:stun.example.net,turn://u:p@turn.example.net?transport=udp")
            .unwrap();
    let mut publisher = Publisher::open("listen://127.0.0.1:0/K%C3%BCche%202", &options).await;
    let to = publisher.address();
    let headers = "Content-Type: Application/SDP; charset=utf-8\r\nUser-Agent: test/1\r\n";
    let reply =
        tokio::spawn(async move { send(to, "POST", "/whep/K%C3%BCche%202", headers, OFFER).await });
    let joined = publisher.hear().await;
    let Incoming::Joined { peer, info } = joined else {
        panic!("{joined:?}")
    };
    assert_eq!(
        (info.agent.as_deref(), info.address),
        (Some("test/1"), Some("127.0.0.1".parse().unwrap()))
    );
    let message = Message::Offer { sdp: OFFER.into() };
    assert_eq!(
        publisher.hear().await,
        Incoming::Message {
            peer: peer.clone(),
            message
        }
    );
    publisher.answer(peer).await;
    let reply = reply.await.unwrap();
    assert_eq!((reply.status, &*reply.body), (201, "v=0\r\nthe answer\r\n"));
    assert_eq!(reply.header("content-type"), "application/sdp");
    assert_eq!(
        reply.header("accept-patch"),
        "application/trickle-ice-sdpfrag"
    );
    let id = reply
        .header("location")
        .strip_prefix("/whep/K%C3%BCche%202/")
        .expect("a session's path");
    assert!(id.len() >= 22, "128 bits take 22 letters: {id}");
    let etag = reply.header("etag");
    assert!(
        etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2 && !etag.contains(id),
        "{etag}"
    );
    assert_eq!(
        reply.headers("link"),
        [
            "<stun:stun.example.net:3478>; rel=\"ice-server\"",
            "<turn:turn.example.net:3478?transport=udp>; rel=\"ice-server\"; username=\"u\"; credential=\"p\"; credential-type=\"password\""
        ]
    );
    for exposed in ["location", "link", "etag", "accept-patch"] {
        assert!(
            reply
                .header("access-control-expose-headers")
                .contains(exposed),
            "{exposed}"
        );
    }
}

#[tokio::test]
async fn an_unknown_stream_is_not_found() {
    let publisher = Publisher::new().await;
    for path in [
        "/whep/other",
        "/whep/%FF",
        "/whep/cam/",
        "/whep/",
        "/nonsense",
    ] {
        post(publisher.address(), path, OFFER)
            .await
            .assert_problem(404);
    }
}

#[tokio::test]
async fn what_is_no_offer_is_refused_before_the_publisher_hears_of_it() {
    let mut publisher = Publisher::new().await;
    let to = publisher.address();
    send(
        to,
        "POST",
        "/whep/cam",
        "Content-Type: application/json\r\n",
        OFFER,
    )
    .await
    .assert_problem(415);
    let untyped = send(to, "POST", "/whep/cam", "", OFFER).await;
    untyped.assert_problem(415);
    assert_eq!(untyped.header("accept-post"), "application/sdp");
    post(to, "/whep/cam", "").await.assert_problem(400);
    post(to, "/whep/cam", " \r\n").await.assert_problem(400);
    let mut text = request(
        to,
        "POST",
        "/whep/cam",
        "Content-Type: application/sdp\r\n",
        "XX",
    )
    .into_bytes();
    let end = text.len();
    text[end - 2..].copy_from_slice(b"\xff\xfe");
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(&text).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    Reply::read(&bytes).assert_problem(400);
    publisher.session().await;
}

#[tokio::test]
async fn a_refusal_has_the_status_of_its_kind_and_its_words() {
    let mut publisher = Publisher::new().await;
    let refusals = [
        (Refusal::Incompatible("no H.264".into()), 406, "no H.264"),
        (Refusal::Malformed("no m-line".into()), 400, "no m-line"),
        (
            Refusal::Busy("10 of 10 viewers".into()),
            503,
            "10 of 10 viewers",
        ),
        (Refusal::Failed("no encoder".into()), 500, "no encoder"),
    ];
    for (refusal, status, words) in refusals {
        let reply = tokio::spawn(post(publisher.address(), "/whep/cam", OFFER));
        let (peer, _) = publisher.joined().await;
        publisher.tell(Outgoing::Refuse { peer, refusal }).await;
        let reply = reply.await.unwrap();
        reply.assert_problem(status);
        assert!(reply.body.contains(words), "{reply:?}");
        assert_eq!(
            reply.headers("retry-after").len(),
            usize::from(status == 503)
        );
    }
}

#[tokio::test]
async fn a_session_that_ends_before_its_answer_is_a_failure() {
    let mut publisher = Publisher::new().await;
    let reply = tokio::spawn(post(publisher.address(), "/whep/cam", OFFER));
    let (peer, _) = publisher.joined().await;
    publisher
        .tell(Outgoing::End {
            peer,
            reason: "the source has stopped".into(),
        })
        .await;
    let reply = reply.await.unwrap();
    reply.assert_problem(500);
    assert!(reply.body.contains("the source has stopped"));
}

#[tokio::test]
async fn a_client_that_goes_away_while_waiting_has_left() {
    let mut publisher = Publisher::new().await;
    let mut stream = TcpStream::connect(publisher.address()).await.unwrap();
    let text = request(
        publisher.address(),
        "POST",
        "/whep/cam",
        "Content-Type: application/sdp\r\n",
        OFFER,
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let (peer, _) = publisher.joined().await;
    drop(stream);
    assert_eq!(publisher.left().await, peer);
}

#[tokio::test]
async fn candidates_are_passed_on() {
    let mut publisher = Publisher::new().await;
    let (peer, created) = publisher.session().await;
    let if_match = format!("If-Match: {}\r\n", created.header("etag"));
    let reply = patch(
        publisher.address(),
        created.header("location"),
        &if_match,
        FRAGMENT,
    )
    .await;
    assert_eq!((reply.status, &*reply.body), (204, ""));
    assert!(
        reply.headers("etag").is_empty(),
        "RFC 9725 4.3.2 forbids it"
    );
    let heard = publisher.hear().await;
    let Incoming::Message {
        peer: from,
        message: Message::Candidate(Candidate {
            candidate, sdp_mid, ..
        }),
    } = heard
    else {
        panic!("{heard:?}")
    };
    assert_eq!(
        (from, &*candidate),
        (
            peer.clone(),
            "candidate:1 1 UDP 2130706431 192.0.2.1 3478 typ host"
        )
    );
    assert_eq!(sdp_mid.as_deref(), Some("0"));
    assert_eq!(
        publisher.hear().await,
        Incoming::Message {
            peer,
            message: Message::EndOfCandidates
        }
    );
    let any = patch(
        publisher.address(),
        created.header("location"),
        "If-Match: \"x\", W/\"y\"\r\nIf-Match: *\r\n",
        FRAGMENT,
    )
    .await;
    assert_eq!(any.status, 204);
}

#[tokio::test]
async fn a_patch_must_name_its_ice_session() {
    let mut publisher = Publisher::new().await;
    let (_, created) = publisher.session().await;
    let (to, path, etag) = (
        publisher.address(),
        created.header("location"),
        created.header("etag"),
    );
    patch(to, path, "", FRAGMENT).await.assert_problem(428);
    patch(to, path, "If-Match: \"other\"\r\n", FRAGMENT)
        .await
        .assert_problem(412);
    patch(to, path, &format!("If-Match: W/{etag}\r\n"), FRAGMENT)
        .await
        .assert_problem(412);
    patch(
        to,
        path,
        &format!("If-Match: {}\r\n", etag.trim_matches('"')),
        FRAGMENT,
    )
    .await
    .assert_problem(412);
    let restart = FRAGMENT.replace("abcd", "efgh");
    patch(to, path, "If-Match: *\r\n", &restart)
        .await
        .assert_problem(422);
    patch(to, path, "If-Match: *\r\n", "nonsense")
        .await
        .assert_problem(400);
    let typed = send(
        to,
        "PATCH",
        path,
        &format!("If-Match: {etag}\r\nContent-Type: application/sdp\r\n"),
        FRAGMENT,
    )
    .await;
    typed.assert_problem(415);
    assert_eq!(
        typed.header("accept-patch"),
        "application/trickle-ice-sdpfrag"
    );
    patch(
        to,
        "/whep/cam/AAAAAAAAAAAAAAAAAAAAAA",
        &format!("If-Match: {etag}\r\n"),
        FRAGMENT,
    )
    .await
    .assert_problem(404);
    patch(
        to,
        &path.replace("cam", "other"),
        &format!("If-Match: {etag}\r\n"),
        FRAGMENT,
    )
    .await
    .assert_problem(404);
    publisher.session().await;
}

#[tokio::test]
async fn delete_ends_a_session_once() {
    let mut publisher = Publisher::new().await;
    let (peer, created) = publisher.session().await;
    let (to, path) = (publisher.address(), created.header("location"));
    let reply = send(to, "DELETE", path, "If-Match: \"whatever\"\r\n", "").await;
    assert_eq!((reply.status, &*reply.body), (200, ""));
    assert_eq!(publisher.left().await, peer);
    send(to, "DELETE", path, "", "").await.assert_problem(404);
    patch(to, path, "If-Match: *\r\n", FRAGMENT)
        .await
        .assert_problem(404);
}

#[tokio::test]
async fn a_session_that_the_publisher_ends_is_gone() {
    let mut publisher = Publisher::new().await;
    let (peer, created) = publisher.session().await;
    let (to, path) = (publisher.address(), created.header("location"));
    assert_eq!(get(to, path).await.status, 204);
    publisher
        .tell(Outgoing::End {
            peer,
            reason: "over".into(),
        })
        .await;
    // Notes are carried out in order: when the second is, the first has been.
    publisher.session().await;
    send(to, "DELETE", path, "", "").await.assert_problem(404);
}

#[tokio::test]
async fn get_and_head_tell_a_player_that_this_is_whep() {
    let publisher = Publisher::new().await;
    for method in ["GET", "HEAD"] {
        let reply = send(publisher.address(), method, "/whep/cam", "", "").await;
        assert_eq!(
            (reply.status, reply.header("content-type"), &*reply.body),
            (200, "application/sdp", ""),
            "{method}"
        );
        send(publisher.address(), method, "/whep/cam/AAAA", "", "").await;
    }
    get(publisher.address(), "/whep/other")
        .await
        .assert_problem(404);
    get(publisher.address(), "/whep/cam/AAAA")
        .await
        .assert_problem(404);
}

#[tokio::test]
async fn other_methods_are_told_what_is_allowed() {
    let publisher = Publisher::new().await;
    for (method, path) in [
        ("PUT", "/whep/cam"),
        ("PUT", "/whep/cam/A"),
        ("POST", "/"),
        ("DELETE", "/streams"),
        ("POST", "/healthz"),
    ] {
        let reply = send(publisher.address(), method, path, "", "").await;
        reply.assert_problem(405);
        assert!(!reply.header("allow").is_empty());
    }
}

#[tokio::test]
async fn options_tell_what_is_taken_and_the_ice_servers() {
    let mut options = options();
    options.ice_servers = IceServer::parse_list("stun:h").unwrap();
    let publisher = Publisher::open("listen://127.0.0.1:0", &options).await;
    let reply = send(publisher.address(), "OPTIONS", "/whep/cam", "", "").await;
    assert_eq!(
        (reply.status, reply.header("accept-post")),
        (200, "application/sdp")
    );
    assert_eq!(reply.header("link"), "<stun:h:3478>; rel=\"ice-server\"");
    let preflight = send(
        publisher.address(),
        "OPTIONS",
        "/whep/cam",
        "Access-Control-Request-Method: POST\r\n",
        "",
    )
    .await;
    assert_eq!(
        (preflight.status, preflight.headers("link").len()),
        (200, 0)
    );
    let session = send(publisher.address(), "OPTIONS", "/whep/cam/A", "", "").await;
    assert_eq!(
        (session.status, session.header("accept-patch")),
        (200, "application/trickle-ice-sdpfrag")
    );
}

#[tokio::test]
async fn streams_are_listed_with_their_viewers() {
    let mut publisher = Publisher::new().await;
    let (peer, _) = publisher.session().await;
    let list = get(publisher.address(), "/streams").await;
    assert_eq!(
        (list.status, list.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(
        list.body,
        r#"{"streams":[{"kind":"publish","name":"cam","viewers":1}]}"#
    );
    publisher
        .tell(Outgoing::End {
            peer,
            reason: "over".into(),
        })
        .await;
    publisher.session().await;
    assert_eq!(get(publisher.address(), "/streams").await.body, list.body);
}

#[tokio::test]
async fn the_page_and_its_files_are_served() {
    let publisher = Publisher::new().await;
    let to = publisher.address();
    for file in crate::server::page::FILES {
        let reply = get(to, &format!("/{}", file.path)).await;
        assert_eq!(
            (reply.status, reply.header("content-type"), &*reply.body),
            (200, file.content_type, file.body)
        );
        assert_eq!(reply.header("cache-control"), "no-cache");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert!(
            reply
                .header("content-security-policy")
                .contains("default-src 'self'")
        );
        let known = format!("If-None-Match: \"x\", W/{}\r\n", reply.header("etag"));
        let again = send(to, "GET", &format!("/{}", file.path), &known, "").await;
        assert_eq!((again.status, &*again.body), (304, ""));
    }
    let health = get(to, "/healthz").await;
    assert_eq!((health.status, &*health.body), (200, r#"{"status":"ok"}"#));
}
