//! Nothing a client sends, or leaves unread, grows without bound or holds others up.

use super::*;

#[tokio::test]
async fn what_breaks_the_protocol_is_told_why() {
    let relay = Relay::new().await;
    let _publisher = relay.publisher().await;
    let to = relay.address();
    for (first, code) in [
        (note("publisher", answer()), "malformed"),
        (json!("hello"), "malformed"),
        (with(hello("view"), "version", "sigmund.v9"), "unsupported"),
    ] {
        assert_eq!(Client::refused(to, first).await["code"], code);
    }
    let second = [
        hello("view").to_string(),
        json!({"type": "end", "peer": "p"}).to_string(),
        "{".to_owned(),
        "x".repeat(Limits::default().message + 1),
    ];
    for text in second {
        let mut viewer = relay.viewer().await;
        viewer.text(text).await;
        assert_eq!(viewer.failure().await["code"], "malformed");
    }
    let mut viewer = relay.viewer().await;
    viewer.socket.send(Frame::binary(vec![1])).await.unwrap();
    assert_eq!(viewer.failure().await["code"], "malformed");
}

#[tokio::test]
async fn what_is_unknown_does_no_harm() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    viewer.send(json!({"type": "applause", "volume": 11})).await;
    viewer
        .send(note("publisher", json!({"type": "wink"})))
        .await;
    publisher.send(note("nobody", offer())).await;
    viewer.send(note("publisher", candidate(1))).await;
    assert_eq!(publisher.hear().await, note(&peer, candidate(1)));
}

#[tokio::test]
async fn a_longest_message_passes_whole() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let long = note(
        &peer,
        json!({"type": "offer", "sdp": "x".repeat(crate::message::MAX_SDP)}),
    );
    publisher.send(long.clone()).await;
    assert_eq!(viewer.hear().await["note"], long["note"]);
}

#[tokio::test]
async fn who_says_too_much_is_turned_out() {
    let limits = Limits {
        message_burst: 20,
        messages_per_second: 1,
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let mut publisher = relay.publisher().await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    for number in 0..40 {
        let _ = viewer
            .socket
            .send(Frame::text(
                note("publisher", candidate(number)).to_string(),
            ))
            .await;
    }
    assert_eq!(viewer.failure().await["code"], "too-many");
    let mut heard = 0;
    let last = loop {
        let message = publisher.hear().await;
        if message["type"] != "note" {
            break message;
        }
        heard += 1;
    };
    assert!((20..=25).contains(&heard), "{heard}");
    assert_eq!(
        (&last["type"], &last["peer"]),
        (&json!("left"), &json!(peer))
    );
}

#[tokio::test]
async fn one_that_does_not_read_is_dropped_and_nobody_waits_for_it() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let slow = relay.viewer().await;
    let (stuck, _) = publisher.joined().await;
    let mut good = relay.viewer().await;
    let (other, _) = publisher.joined().await;
    let long = "x".repeat(crate::message::MAX_SDP);
    let flood = note(&stuck, json!({"type": "offer", "sdp": long}));
    let mut sent = 0;
    // The system's own buffers take some megabytes before anybody notices.
    let left = loop {
        publisher.send(flood.clone()).await;
        publisher.send(note(&other, candidate(sent))).await;
        assert_eq!(
            good.hear().await,
            note("publisher", candidate(sent)),
            "nobody waits"
        );
        sent += 1;
        if let Ok(left) = timeout(Duration::ZERO, publisher.hear()).await {
            break left;
        }
        assert!(sent < 10_000, "it is never dropped");
    };
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!(stuck))
    );
    assert!(left["reason"].as_str().unwrap().contains("slow"), "{left}");
    drop(slow);
}

#[tokio::test]
async fn a_connection_without_a_hello_is_closed() {
    let limits = Limits {
        head_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let mut silent = Client::open(relay.address()).await;
    assert_eq!(silent.failure().await["code"], "malformed");
}

#[tokio::test]
async fn one_that_is_not_heard_any_more_has_left() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(300),
        resume_timeout: Duration::from_millis(10),
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let mut publisher = relay.publisher().await;
    let dead = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let left = loop {
        // The publisher itself must be heard.
        publisher.send(json!({"type": "noise"})).await;
        if let Ok(left) = timeout(Duration::from_millis(50), publisher.hear()).await {
            break left;
        }
    };
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!(peer))
    );
    drop(dead);
}

#[tokio::test]
async fn sessions_and_streams_of_an_address_are_counted() {
    let limits = Limits {
        sessions_per_address: 2,
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let _publisher = relay.publisher().await;
    let _other = Client::welcomed(relay.address(), with(hello("publish"), "stream", "2")).await;
    let third = with(hello("publish"), "stream", "3");
    assert_eq!(
        Client::refused(relay.address(), third).await["code"],
        "too-many"
    );
    let (_one, _two) = (relay.viewer().await, relay.viewer().await);
    let error = Client::refused(relay.address(), hello("view")).await;
    assert_eq!(error["code"], "too-many");
}

#[tokio::test]
async fn websockets_count_as_connections() {
    let limits = Limits {
        connections_per_address: 3,
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let _open = [
        relay.publisher().await,
        relay.viewer().await,
        relay.viewer().await,
    ];
    let mut fourth = TcpStream::connect(relay.address()).await.unwrap();
    let mut text = String::new();
    let read = timeout(LONG, fourth.read_to_string(&mut text)).await;
    read.expect("it is closed").unwrap();
    assert!(text.starts_with("HTTP/1.1 503"), "{text}");
}
