//! Servers come, are shared, and go.

use super::*;
use crate::access::Token;

#[tokio::test]
async fn two_elements_share_a_port() {
    let mut one = Publisher::new().await;
    let uri = format!("listen://{}/other", one.address());
    let other = Publisher::open(&uri, &options()).await;
    assert_eq!(one.address(), other.address());
    assert!(
        !one.url.contains('#') && other.url.ends_with("/#stream=other"),
        "{} {}",
        one.url,
        other.url
    );
    let list = get(one.address(), "/streams").await.body;
    assert_eq!(
        list,
        r#"{"streams":[{"kind":"publish","name":"cam","viewers":0},{"kind":"publish","name":"other","viewers":0}]}"#
    );
    other.close().await;
    one.session().await;
    assert_eq!(
        get(one.address(), "/streams").await.body,
        r#"{"streams":[{"kind":"publish","name":"cam","viewers":1}]}"#
    );
}

#[tokio::test]
async fn one_name_is_one_stream() {
    let one = Publisher::new().await;
    let text =
        failure(Publisher::try_open(&format!("listen://{}/cam", one.address()), &options()).await);
    assert!(
        text.contains("\"cam\"") && text.contains("another name"),
        "{text}"
    );
    let address = one.address();
    one.close().await;
    Publisher::open(&format!("listen://{address}/cam"), &options()).await;
}

#[tokio::test]
async fn those_who_share_a_port_must_agree() {
    let one = Publisher::new().await;
    let mut other = options();
    other.token = Some(Token::new("hush"));
    let text =
        failure(Publisher::try_open(&format!("listen://{}/other", one.address()), &other).await);
    assert!(
        text.contains("token") && text.contains("another port"),
        "{text}"
    );
}

#[tokio::test]
async fn a_port_of_another_program_is_explained() {
    let foreign = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("listen://{}", foreign.local_addr().unwrap());
    let text = failure(Publisher::try_open(&uri, &options()).await);
    assert!(text.contains("in use") && text.contains(":0"), "{text}");
    let mut anonymous = options();
    anonymous.allow_anonymous = true;
    let text = failure(Publisher::try_open("listen://192.0.2.77:0", &anonymous).await);
    assert!(text.contains("no address 192.0.2.77"), "{text}");
}

#[tokio::test]
async fn the_port_is_free_when_close_returns() {
    let mut publisher = Publisher::new().await;
    let address = publisher.address();
    publisher.session().await;
    let idle = TcpStream::connect(address).await.unwrap();
    publisher.close().await;
    std::net::TcpListener::bind(address).expect("the port is free");
    drop(idle);
}

#[tokio::test]
async fn it_opens_again_on_the_same_port_any_number_of_times() {
    let mut publisher = Publisher::new().await;
    let address = publisher.address();
    for round in 0..20 {
        if round % 2 == 0 {
            publisher.close().await
        } else {
            drop(publisher)
        }
        publisher = Publisher::open(&format!("listen://{address}/cam"), &options()).await;
        publisher.session().await;
    }
}

#[tokio::test]
async fn who_waits_when_the_stream_ends_is_told() {
    let mut publisher = Publisher::new().await;
    let other = Publisher::open(
        &format!("listen://{}/other", publisher.address()),
        &options(),
    )
    .await;
    let reply = tokio::spawn(post(publisher.address(), "/whep/cam", OFFER));
    publisher.joined().await;
    publisher.close().await;
    let reply = reply.await.unwrap();
    reply.assert_problem(500);
    assert!(reply.body.contains("the stream has ended"));
    post(other.address(), "/whep/cam", OFFER)
        .await
        .assert_problem(404);
}

#[tokio::test]
async fn who_waits_when_the_server_stops_is_told() {
    let mut publisher = Publisher::new().await;
    let reply = tokio::spawn(post(publisher.address(), "/whep/cam", OFFER));
    publisher.joined().await;
    publisher.close().await;
    reply.await.unwrap().assert_problem(500);
}

#[tokio::test]
async fn a_session_outlives_the_connection() {
    let mut publisher = Publisher::new().await;
    let (peer, created) = publisher.session().await;
    let Publisher {
        mut signaller,
        incoming,
        outgoing,
        url,
    } = publisher;
    let to = url::Url::parse(&url)
        .unwrap()
        .socket_addrs(|| None)
        .unwrap()[0];
    drop((incoming, outgoing));
    post(to, "/whep/cam", OFFER).await.assert_problem(409);
    let Connection {
        incoming, outgoing, ..
    } = signaller.connect().await.unwrap();
    let mut publisher = Publisher {
        signaller,
        incoming,
        outgoing,
        url,
    };
    assert_eq!(
        send(to, "DELETE", created.header("location"), "", "")
            .await
            .status,
        200
    );
    assert_eq!(publisher.left().await, peer);
    publisher.session().await;
}

#[tokio::test]
async fn two_hundred_join_at_once() {
    let supervisor = {
        let mut supervisor = Supervisor::spawn(signaller("listen://127.0.0.1:0/cam", &options()));
        let up = supervisor.events.recv().await;
        let Some(Event::Up { address: Some(url) }) = up else {
            panic!("{up:?}")
        };
        (
            supervisor,
            url::Url::parse(&url)
                .unwrap()
                .socket_addrs(|| None)
                .unwrap()[0],
        )
    };
    let (supervisor, to) = supervisor;
    let element = answering(supervisor);
    // One client may have 128 connections open.
    let mut locations = Vec::new();
    for _ in 0..2 {
        let joins: Vec<_> = (0..100)
            .map(|_| tokio::spawn(post(to, "/whep/cam", OFFER)))
            .collect();
        for join in joins {
            let reply = join.await.unwrap();
            assert_eq!(reply.status, 201, "{reply:?}");
            locations.push(reply.header("location").to_owned());
        }
    }
    locations.sort_unstable();
    locations.dedup();
    assert_eq!(locations.len(), 200);
    assert!(get(to, "/streams").await.body.contains("\"viewers\":200"));
    for location in locations {
        assert_eq!(send(to, "DELETE", &location, "", "").await.status, 200);
    }
    assert!(get(to, "/streams").await.body.contains("\"viewers\":0"));
    element.abort();
}

#[tokio::test]
async fn an_element_counts_for_the_machine_that_it_is_on() {
    let mut publisher = Publisher::new().await;
    let to = publisher.address();
    let waiting = tokio::spawn(post(to, "/whep/cam", OFFER));
    let Incoming::Joined { peer, .. } = publisher.hear().await else {
        panic!("nobody joined");
    };
    let sdp = "v=0".to_owned();
    let answer = Outgoing::Message {
        peer: peer.clone(),
        message: Message::Answer { sdp },
    };
    publisher.tell(answer).await;
    assert_eq!(waiting.await.unwrap().status, 201);
    let report = crate::message::v1::Report {
        bytes_sent: 1000,
        ..Default::default()
    };
    publisher.tell(Outgoing::Report { peer, report }).await;
    let deadline = tokio::time::Instant::now() + LONG;
    loop {
        let text = get(to, "/metrics").await.body;
        let counted = [
            "sigmund_streams 1",
            "sigmund_joins_total{protocol=\"whep\"} 1",
        ];
        assert!(counted.iter().all(|it| text.contains(it)), "{text}");
        if text.contains("sigmund_media_bytes_total{direction=\"sent\"} 1000") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{text}");
    }
    let headers = "X-Forwarded-For: 192.0.2.1\r\n";
    let proxied = send(to, "GET", "/metrics", headers, "").await;
    assert_eq!(proxied.status, 403, "others are not told");
}
