//! Nothing a client does grows without bound, holds others up, or goes unanswered.

use std::time::Instant;

use super::*;
use crate::access::Limits;
use crate::server::{Server, Settings};

/// A server with its own limits, and a stream that the test speaks for.
struct Strict {
    server: std::sync::Arc<Server>,
    incoming: mpsc::Receiver<Incoming>,
    publication: crate::server::Publication,
}

impl Strict {
    async fn new(limits: Limits) -> Self {
        let settings = Settings {
            limits,
            ..Settings::default()
        };
        let server = Server::open("127.0.0.1:0".parse().unwrap(), settings)
            .await
            .unwrap();
        let (publication, incoming) = server
            .hub()
            .publish(
                "cam",
                crate::server::Kind::Publish,
                &[],
                crate::server::Publisher::Local,
            )
            .unwrap();
        Self {
            server,
            incoming,
            publication,
        }
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    async fn join(&mut self) -> Reply {
        let reply = tokio::spawn(post(self.address(), "/whep/cam", OFFER));
        let joined = self.incoming.recv().await;
        let Some(Incoming::Joined { peer, .. }) = joined else {
            panic!("{joined:?}")
        };
        self.incoming.recv().await.unwrap();
        let message = Message::Answer { sdp: "v=0".into() };
        self.publication
            .hub()
            .handle("cam", Outgoing::Message { peer, message });
        reply.await.unwrap()
    }
}

/// What the server sends on a connection until it closes it.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut bytes))
        .await
        .expect("it is closed");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let strict = Strict::new(Limits {
        head_timeout: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    let before = Instant::now();
    let mut slow = TcpStream::connect(strict.address()).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        .await
        .unwrap();
    let silent = TcpStream::connect(strict.address()).await.unwrap();
    let mut idle = TcpStream::connect(strict.address()).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        .await
        .unwrap();
    rest(slow).await;
    assert_eq!(rest(silent).await, "");
    assert!(rest(idle).await.starts_with("HTTP/1.1 200"));
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "{:?}",
        before.elapsed()
    );
}

#[tokio::test]
async fn a_body_that_trickles_in_is_a_timeout() {
    let strict = Strict::new(Limits {
        body_timeout: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    let mut slow = TcpStream::connect(strict.address()).await.unwrap();
    let text = request(
        strict.address(),
        "POST",
        "/whep/cam",
        "Content-Type: application/sdp\r\n",
        OFFER,
    );
    slow.write_all(&text.as_bytes()[..text.len() - 3])
        .await
        .unwrap();
    Reply::read(rest(slow).await.as_bytes()).assert_problem(408);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let mut publisher = Publisher::new().await;
    let limit = Limits::default().body;
    for length in [limit + 1, limit * 4, limit * 40] {
        post(publisher.address(), "/whep/cam", &"a".repeat(length))
            .await
            .assert_problem(413);
    }
    let chunk = format!("{limit:x}\r\n{}\r\n", "a".repeat(limit));
    let text = format!(
        "POST /whep/cam HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/sdp\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    exchange(publisher.address(), text)
        .await
        .assert_problem(413);
    let text = format!(
        "POST /whep/cam HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/sdp\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        limit + 1
    );
    exchange(publisher.address(), text)
        .await
        .assert_problem(413);
    publisher.session().await;
}

#[tokio::test]
async fn the_longest_body_that_is_allowed_arrives() {
    let mut publisher = Publisher::new().await;
    let (to, offer) = (publisher.address(), "a".repeat(Limits::default().body));
    let sent = offer.clone();
    let reply = tokio::spawn(async move { post(to, "/whep/cam", &sent).await.status });
    let (peer, heard) = publisher.joined().await;
    assert_eq!(heard, offer);
    publisher.answer(peer).await;
    assert_eq!(reply.await.unwrap(), 201);
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let publisher = Publisher::new().await;
    let many: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect();
    let long = format!("X: {}\r\n", "a".repeat(64 * 1024));
    for flood in [many, long] {
        let reply = send(publisher.address(), "GET", "/", &flood, "").await;
        assert_eq!(reply.status, 431, "{reply:?}");
    }
    let uri = format!("/{}", "a".repeat(70_000));
    let status = get(publisher.address(), &uri).await.status;
    assert!(status == 414 || status == 431, "{status}");
    assert_eq!(get(publisher.address(), "/").await.status, 200);
}

#[tokio::test]
async fn one_client_cannot_take_all_connections() {
    let strict = Strict::new(Limits {
        connections_per_address: 4,
        ..Limits::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(TcpStream::connect(strict.address()).await.unwrap());
    }
    let text = rest(TcpStream::connect(strict.address()).await.unwrap()).await;
    Reply::read(text.as_bytes());
    assert!(
        text.starts_with("HTTP/1.1 503") && text.contains("too many connections"),
        "{text}"
    );
    held.clear();
    until_served(strict.address()).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let strict = Strict::new(Limits {
        connections_per_address: 1,
        write_timeout: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    let mut deaf = TcpStream::connect(strict.address()).await.unwrap();
    let text = "GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(10_000);
    // The server stops reading when it cannot write.
    let _ = timeout(Duration::from_secs(2), deaf.write_all(text.as_bytes())).await;
    until_served(strict.address()).await;
    drop(deaf);
}

/// Waits until the server has noticed that other connections are closed, which
/// it does in its own time.
async fn until_served(to: SocketAddr) {
    let served = async {
        while !rest_of_health(to).await.starts_with("HTTP/1.1 200") {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, served).await.expect("there is no room again");
}

async fn rest_of_health(to: SocketAddr) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let _ = stream
        .write_all(request(to, "GET", "/healthz", "", "").as_bytes())
        .await;
    rest(stream).await
}

#[tokio::test]
async fn one_client_has_a_bounded_number_of_sessions() {
    let mut strict = Strict::new(Limits {
        sessions_per_address: 2,
        ..Limits::default()
    })
    .await;
    let first = strict.join().await;
    strict.join().await;
    let third = post(strict.address(), "/whep/cam", OFFER).await;
    third.assert_problem(429);
    assert!(!third.header("retry-after").is_empty());
    assert_eq!(
        send(strict.address(), "DELETE", first.header("location"), "", "")
            .await
            .status,
        200
    );
    strict.incoming.recv().await;
    assert_eq!(strict.join().await.status, 201);
}

#[tokio::test]
async fn a_session_has_a_bounded_number_of_candidates() {
    let mut publisher = Publisher::new().await;
    let (_, created) = publisher.session().await;
    let headers = format!(
        "If-Match: {}\r\nContent-Type: application/trickle-ice-sdpfrag\r\n",
        created.header("etag")
    );
    let lines = "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n".repeat(100);
    let body = format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n{lines}");
    let (to, location) = (publisher.address(), created.header("location"));
    for _ in 0..2 {
        assert_eq!(
            send(to, "PATCH", location, &headers, &body).await.status,
            204
        );
    }
    send(to, "PATCH", location, &headers, &body)
        .await
        .assert_problem(429);
}

#[tokio::test]
async fn a_publisher_that_does_not_read_holds_up_nobody_else() {
    let limits = Limits {
        sessions_per_address: 10_000,
        join_burst: 10_000,
        ..Limits::default()
    };
    let mut strict = Strict::new(limits).await;
    let (_stuck, mut unread) = strict
        .server
        .hub()
        .publish(
            "stuck",
            crate::server::Kind::Publish,
            &[],
            crate::server::Publisher::Local,
        )
        .unwrap();
    let (hub, mut waiting) = (strict.server.hub().clone(), Vec::new());
    let full = loop {
        match hub.ask(
            "stuck",
            crate::server::Kind::Publish,
            Default::default(),
            OFFER.into(),
        ) {
            Ok(one) => waiting.push(one),
            Err(error) => break error,
        }
    };
    assert_eq!(full, crate::server::hub::JoinError::Full);
    assert_eq!(
        waiting.len(),
        256,
        "each of them holds an offer of up to 64 KiB"
    );
    let busy = post(strict.address(), "/whep/stuck", OFFER).await;
    busy.assert_problem(503);
    assert!(!busy.header("retry-after").is_empty());
    assert_eq!(strict.join().await.status, 201);
    // Everybody who gives up is still reported.
    let joined = waiting.len();
    drop(waiting);
    let mut left = 0;
    while let Ok(note) = unread.try_recv() {
        left += usize::from(matches!(note, Incoming::Left { .. }));
    }
    assert_eq!(left, joined);
}

#[tokio::test]
async fn a_publisher_that_does_not_answer_is_a_gateway_timeout_and_is_told() {
    let mut strict = Strict::new(Limits {
        answer_timeout: Duration::from_millis(100),
        ..Limits::default()
    })
    .await;
    post(strict.address(), "/whep/cam", OFFER)
        .await
        .assert_problem(504);
    let heard = [
        strict.incoming.recv().await,
        strict.incoming.recv().await,
        strict.incoming.recv().await,
    ];
    assert!(matches!(heard[2], Some(Incoming::Left { .. })), "{heard:?}");
}

#[tokio::test]
async fn requests_that_make_no_sense_end_their_connection_alone() {
    let publisher = Publisher::new().await;
    for text in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(publisher.address()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        rest(stream).await;
    }
    assert_eq!(get(publisher.address(), "/streams").await.status, 200);
}

#[tokio::test]
async fn a_client_that_joins_and_leaves_without_end_is_slowed_down() {
    let mut strict = Strict::new(Limits {
        join_burst: 2,
        joins_per_second: 1,
        ..Limits::default()
    })
    .await;
    for _ in 0..2 {
        let joined = strict.join().await;
        let gone = send(
            strict.address(),
            "DELETE",
            joined.header("location"),
            "",
            "",
        )
        .await;
        assert_eq!(gone.status, 200);
        strict.incoming.recv().await;
    }
    let slowed = post(strict.address(), "/whep/cam", OFFER).await;
    slowed.assert_problem(429);
    let wait: u64 = slowed.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert!(
        strict.incoming.try_recv().is_err(),
        "the publisher is not bothered"
    );
    assert_eq!(get(strict.address(), "/streams").await.status, 200);
}
