//! Whom the server listens to: tokens, hosts, origins, exposure.

use super::*;
use crate::access::Token;

#[tokio::test]
async fn without_the_token_there_is_only_the_page() {
    let mut options = options();
    options.token = Some(Token::new("hush"));
    let mut publisher = Publisher::open("listen://127.0.0.1:0/cam", &options).await;
    assert!(!publisher.url.contains("hush"), "the address is logged");
    let to = publisher.address();
    let session = "/whep/cam/AAAAAAAAAAAAAAAAAAAAAA";
    for authorization in [
        "",
        "Authorization: Bearer hus\r\n",
        "Authorization: Basic aHVzaA==\r\n",
    ] {
        for (method, path) in [
            ("GET", "/streams"),
            ("POST", "/whep/cam"),
            ("POST", "/whep/other"),
            ("GET", "/whep/cam"),
            ("PATCH", session),
            ("DELETE", session),
        ] {
            let reply = send(to, method, path, authorization, OFFER).await;
            reply.assert_problem(401);
            assert!(
                reply.header("www-authenticate").starts_with("Bearer"),
                "{method} {path}"
            );
        }
    }
    assert_eq!(get(to, "/").await.status, 200);
    assert_eq!(get(to, "/healthz").await.status, 200);
    let authorization = "Authorization: Bearer hush\r\nContent-Type: application/sdp\r\n";
    let reply =
        tokio::spawn(async move { send(to, "POST", "/whep/cam", authorization, OFFER).await });
    let (peer, _) = publisher.joined().await;
    publisher.answer(peer).await;
    let reply = reply.await.unwrap();
    assert_eq!(reply.status, 201);
    assert_eq!(
        send(to, "DELETE", reply.header("location"), authorization, "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn ice_servers_are_told_to_those_with_the_token() {
    let mut options = options();
    options.token = Some(Token::new("hush"));
    options.ice_servers = crate::address::IceServer::parse_list("turn://u:p@h").unwrap();
    let publisher = Publisher::open("listen://127.0.0.1:0/cam", &options).await;
    let stranger = send(publisher.address(), "OPTIONS", "/whep/cam", "", "").await;
    assert_eq!((stranger.status, stranger.headers("link").len()), (200, 0));
    let friend = send(
        publisher.address(),
        "OPTIONS",
        "/whep/cam",
        "Authorization: Bearer hush\r\n",
        "",
    )
    .await;
    assert_eq!(friend.headers("link").len(), 1);
}

#[tokio::test]
async fn a_page_of_another_origin_is_turned_away() {
    let publisher = Publisher::new().await;
    let to = publisher.address();
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1",
        "http://localhost:1",
    ] {
        for (method, path) in [
            ("POST", "/whep/cam"),
            ("OPTIONS", "/whep/cam"),
            ("GET", "/streams"),
            ("GET", "/"),
        ] {
            let reply = send(
                to,
                method,
                path,
                &format!("Origin: {origin}\r\nContent-Type: application/sdp\r\n"),
                OFFER,
            )
            .await;
            reply.assert_problem(403);
            assert!(reply.headers("access-control-allow-origin").is_empty());
        }
    }
    let own = format!("http://{to}");
    let reply = send(to, "GET", "/streams", &format!("Origin: {own}\r\n"), "").await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, &*own)
    );
}

#[tokio::test]
async fn a_listed_origin_may_ask_and_read() {
    let mut options = options();
    options.allowed_origins = vec!["https://ok.example".into()];
    let publisher = Publisher::open("listen://127.0.0.1:0/cam", &options).await;
    let headers = "Origin: https://ok.example\r\nAccess-Control-Request-Method: PATCH\r\nAccess-Control-Request-Headers: if-match\r\n";
    let reply = send(publisher.address(), "OPTIONS", "/whep/cam/A", headers, "").await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, "https://ok.example")
    );
    assert!(
        reply
            .header("access-control-allow-methods")
            .contains("PATCH")
    );
    for header in ["authorization", "content-type", "if-match"] {
        assert!(
            reply
                .header("access-control-allow-headers")
                .contains(header)
        );
    }
    assert!(reply.header("vary").contains("origin"));
    let refused = send(
        publisher.address(),
        "POST",
        "/whep/cam",
        "Origin: https://ok.example\r\n",
        "",
    )
    .await;
    refused.assert_problem(415);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        "https://ok.example",
        "a page must be able to read why"
    );
}

#[tokio::test]
async fn a_rebound_name_is_turned_away() {
    let publisher = Publisher::new().await;
    let to = publisher.address();
    let with_host =
        |host: &str| format!("GET /streams HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    for host in [
        "Host: evil.example\r\n",
        "Host: evil.example:80\r\nOrigin: http://evil.example:80\r\n",
        "Host: 127.0.0.1.evil.example\r\n",
    ] {
        exchange(to, with_host(host)).await.assert_problem(403);
    }
    exchange(to, with_host("")).await.assert_problem(400);
    exchange(to, with_host("Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n"))
        .await
        .assert_problem(400);
    exchange(
        to,
        "GET http://evil.example/streams HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            .into(),
    )
    .await
    .assert_problem(403);
    for host in [
        "Host: localhost:5\r\n",
        "Host: 192.0.2.1\r\n",
        "Host: [::1]:80\r\n",
    ] {
        assert_eq!(exchange(to, with_host(host)).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_name_that_was_listed_is_answered_to() {
    let mut options = options();
    options.allowed_hosts = vec!["cam.example".into()];
    let publisher = Publisher::open("listen://127.0.0.1:0/cam", &options).await;
    let text = "GET /streams HTTP/1.1\r\nHost: cam.example\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(publisher.address(), text.into()).await.status, 200);
}

#[tokio::test]
async fn off_loopback_it_opens_only_to_somebody() {
    for uri in [
        "listen://0.0.0.0:0",
        "listen://[::]:0",
        "listen://192.0.2.1:0",
    ] {
        let text = failure(Publisher::try_open(uri, &options()).await);
        assert!(
            text.contains("token=") && text.contains("allow-anonymous=true"),
            "{text}"
        );
    }
    let mut anonymous = options();
    anonymous.allow_anonymous = true;
    let publisher = Publisher::open("listen://0.0.0.0:0", &anonymous).await;
    assert!(
        !publisher.url.contains("0.0.0.0"),
        "an address that can be opened: {}",
        publisher.url
    );
    assert_eq!(get(publisher.address(), "/streams").await.status, 200);
    let mut tokened = options();
    tokened.token = Some(Token::new("hush"));
    Publisher::open("listen://0.0.0.0:0", &tokened).await;
}
