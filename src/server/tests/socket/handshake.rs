//! Who gets in.

use super::*;

#[tokio::test]
async fn the_token_comes_first() {
    let settings = Settings {
        token: Some(Token::new("hush")),
        ..Settings::default()
    };
    let relay = Relay::with(settings).await;
    for role in ["publish", "view"] {
        for hello in [hello(role), with(hello(role), "token", "hus")] {
            let error = Client::refused(relay.address(), hello).await;
            let expected = (&json!("unauthorized"), &json!(false));
            assert_eq!((&error["code"], &error["retry"]), expected);
        }
    }
    let right = with(hello("publish"), "token", "hush");
    Client::welcomed(relay.address(), right).await;
}

#[tokio::test]
async fn the_server_of_an_element_takes_no_publishers() {
    let publisher = Publisher::new().await;
    let other = with(hello("publish"), "stream", "other");
    let error = Client::refused(publisher.address(), other).await;
    assert_eq!(error["code"], "unsupported");
}

/// A handshake as browsers make it, with `headers` in place of those of the same name.
async fn handshake(to: SocketAddr, headers: &[(&str, &str)]) -> Reply {
    let usual = [
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "chat, sigmund.v1"),
    ];
    let host = to.to_string();
    let mut all = vec![("Host", host.as_str())];
    all.extend(usual);
    all.retain(|(name, _)| !headers.iter().any(|(other, _)| name == other));
    all.extend(headers);
    all.retain(|(_, value)| !value.is_empty());
    let lines = all
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let text = format!("GET /ws HTTP/1.1\r\n{}\r\n", lines.collect::<String>());
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|it| it == b"\r\n\r\n") {
        bytes.push(timeout(LONG, stream.read_u8()).await.unwrap().unwrap());
    }
    Reply::read(&bytes)
}

#[tokio::test]
async fn foreign_pages_and_names_do_not_get_in() {
    let publisher = Publisher::new().await;
    let to = publisher.address();
    let own = format!("http://{to}");
    let reply = handshake(to, &[("Origin", &own)]).await;
    assert_eq!(reply.status, 101);
    assert_eq!(reply.header("sec-websocket-protocol"), "sigmund.v1");
    assert_eq!(
        reply.header("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    for headers in [
        [("Origin", "https://evil.example")],
        [("Origin", "null")],
        [("Host", "evil.example")],
    ] {
        assert_eq!(handshake(to, &headers).await.status, 403, "{headers:?}");
    }
}

#[tokio::test]
async fn what_is_no_handshake_of_ours_is_told_what_to_do() {
    let publisher = Publisher::new().await;
    let to = publisher.address();
    for headers in [
        ("Upgrade", ""),
        ("Connection", "close"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Key", ""),
        ("Sec-WebSocket-Protocol", "chat"),
    ] {
        let reply = handshake(to, &[headers]).await;
        assert_eq!(reply.status, 426, "{headers:?}");
        assert_eq!(reply.header("upgrade"), "websocket");
    }
    assert_eq!(send(to, "POST", "/ws", "", "").await.status, 405);
}
