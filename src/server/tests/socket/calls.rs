//! Calls, viewers that wait, and WHIP through a server.

use super::*;

/// A viewer that waits, and what it is told of who is here.
async fn waiting(relay: &Relay) -> (Client, Value) {
    Client::welcomed(relay.address(), with(hello("view"), "wait", true)).await
}

#[tokio::test]
async fn the_first_of_a_call_is_its_host_and_the_next_its_guest() {
    let relay = Relay::new().await;
    let to = relay.address();
    let (mut host, welcome) = Client::welcomed(to, hello("call")).await;
    assert_eq!(welcome["host"], true);
    let free = json!([{"name": "cam", "kind": "call", "taken": false}]);
    assert_eq!(streams(to).await, free);

    let (mut guest, welcome) = Client::welcomed(to, hello("call")).await;
    assert!(welcome.get("host").is_none(), "{welcome}");
    let (peer, info) = host.joined().await;
    assert_eq!(welcome["peer"], peer);
    assert!(info.get("offers").is_none(), "the host offers: {info}");
    host.send(note(&peer, offer())).await;
    assert_eq!(guest.hear().await, note("publisher", offer()));
    guest.send(note("publisher", answer())).await;
    assert_eq!(host.hear().await, note(&peer, answer()));
    assert_eq!(streams(to).await[0]["taken"], true);

    let error = Client::refused(to, hello("call")).await;
    assert_eq!(
        (&error["code"], &error["retry"]),
        (&json!("taken"), &json!(true))
    );
    guest.leave().await;
    assert_eq!(host.hear().await["type"], "left");
    let (mut guest, _) = Client::welcomed(to, hello("call")).await;
    host.joined().await;
    host.leave().await;
    assert_eq!(guest.hear().await["type"], "ended");
    let (_, welcome) = Client::welcomed(to, hello("call")).await;
    assert_eq!(welcome["host"], true, "whoever stays is host now");
}

#[tokio::test]
async fn a_guest_that_is_lost_makes_way() {
    let relay = Relay::new().await;
    let (mut host, _) = Client::welcomed(relay.address(), hello("call")).await;
    let (guest, _) = Client::welcomed(relay.address(), hello("call")).await;
    let (lost, _) = host.joined().await;
    drop(guest);
    let deadline = tokio::time::Instant::now() + LONG;
    let _next = loop {
        let mut client = Client::open(relay.address()).await;
        client.send(hello("call")).await;
        if client.hear().await["type"] == "welcome" {
            break client;
        }
        assert!(tokio::time::Instant::now() < deadline);
    };
    let left = host.hear().await;
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!(lost))
    );
    host.joined().await;
}

#[tokio::test]
async fn a_call_is_no_stream_to_watch_and_a_stream_is_no_call() {
    let relay = Relay::new().await;
    let to = relay.address();
    let (_host, _) = Client::welcomed(to, hello("call")).await;
    assert_eq!(
        Client::refused(to, hello("view")).await["code"],
        "not-found"
    );
    assert_eq!(Client::refused(to, hello("publish")).await["code"], "taken");
    post(to, "/whep/cam", OFFER).await.assert_problem(404);
    post(to, "/whip/cam", OFFER).await.assert_problem(404);
    let other = with(hello("publish"), "stream", "other");
    let (_publisher, _) = Client::welcomed(to, other).await;
    let call = with(hello("call"), "stream", "other");
    assert_eq!(Client::refused(to, call).await["code"], "not-found");
}

#[tokio::test]
async fn only_the_element_is_host_of_a_call_on_its_own_server() {
    let mut options = options();
    options.role = Role::Both;
    let mut host = Publisher::open("listen://127.0.0.1:0/cam", &options).await;
    let to = host.address();
    let other = with(hello("call"), "stream", "other");
    let error = Client::refused(to, other).await;
    assert_eq!(
        (&error["code"], &error["retry"]),
        (&json!("not-found"), &json!(true))
    );
    let (mut guest, _) = Client::welcomed(to, hello("call")).await;
    let Incoming::Joined { peer, info } = host.hear().await else {
        panic!("nobody joined");
    };
    assert_eq!(info.channel, Some(crate::signaller::envelope::CHANNEL));
    let message = serde_json::from_value(offer()).unwrap();
    host.tell(Outgoing::Message { peer, message }).await;
    assert_eq!(guest.hear().await, note("publisher", offer()));
}

#[tokio::test]
async fn a_host_whose_server_has_forgotten_it_is_host_again_and_a_guest_is_told() {
    let relay = Relay::new().await;
    let forgotten = with(hello("call"), "resume", "of another server");
    let error = Client::refused(relay.address(), forgotten.clone()).await;
    assert_eq!(error["code"], "gone");
    let host = with(forgotten, "host", true);
    let (_host, welcome) = Client::welcomed(relay.address(), host.clone()).await;
    assert_eq!(welcome["host"], true);
    let error = Client::refused(relay.address(), host).await;
    assert_eq!(error["code"], "taken", "it does not become a guest");
}

#[tokio::test]
async fn who_waits_is_there_when_a_publisher_comes_and_waits_again_when_it_goes() {
    let relay = Relay::new().await;
    let (mut viewer, welcome) = waiting(&relay).await;
    assert_eq!(welcome["sessions"], json!([]));
    for _ in 0..2 {
        let mut publisher = relay.publisher().await;
        let joined = viewer.hear().await;
        let here = json!({"type": "joined", "peer": "publisher",
            "info": {"protocol": "v1", "offers": true, "again": true}});
        assert_eq!(joined, here);
        let (peer, _) = publisher.joined().await;
        publisher.send(note(&peer, offer())).await;
        assert_eq!(viewer.hear().await, note("publisher", offer()));
        viewer.send(note("publisher", answer())).await;
        assert_eq!(publisher.hear().await, note(&peer, answer()));
        publisher.leave().await;
        let left = viewer.hear().await;
        assert_eq!(
            (&left["type"], &left["peer"]),
            (&json!("left"), &json!("publisher"))
        );
    }
    let mut publisher = relay.publisher().await;
    viewer.hear().await;
    let (peer, _) = publisher.joined().await;
    viewer.leave().await;
    assert_eq!(publisher.hear().await["peer"], peer);
}

#[tokio::test]
async fn one_that_waits_for_what_is_there_is_told_so() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let (mut viewer, welcome) = waiting(&relay).await;
    assert_eq!(welcome["sessions"], json!(["publisher"]));
    assert_eq!(viewer.hear().await["type"], "joined");
    publisher.joined().await;
}

#[tokio::test]
async fn whip_reaches_the_one_who_waits_and_the_next_gets_a_409() {
    let relay = Relay::new().await;
    let to = relay.address();
    post(to, "/whip/cam", OFFER).await.assert_problem(404);
    let (mut first, _) = waiting(&relay).await;
    let (mut second, _) = waiting(&relay).await;
    let free = json!([{"name": "cam", "kind": "receive", "taken": false}]);
    assert_eq!(streams(to).await, free);

    let whip = tokio::spawn(post(to, "/whip/cam", OFFER));
    let joined = first.hear().await;
    let info = json!({"protocol": "whip", "offers": true, "trickle": false});
    assert_eq!(
        (&joined["peer"], &joined["info"]),
        (&json!("publisher"), &info)
    );
    let heard = first.hear().await;
    assert_eq!(
        heard,
        note("publisher", json!({"type": "offer", "sdp": OFFER}))
    );
    post(to, "/whip/cam", OFFER).await.assert_problem(409);
    assert_eq!(Client::refused(to, hello("publish")).await["code"], "taken");
    first.send(note("publisher", answer())).await;
    let created = whip.await.unwrap();
    assert_eq!((created.status, created.body.as_str()), (201, "v=0 answer"));
    assert_eq!(streams(to).await[0]["taken"], true);

    let location = created.header("location").to_owned();
    let fragment = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n\
        a=candidate:1 1 UDP 1 192.0.2.1 3478 typ host\r\n";
    let headers = "If-Match: *\r\nContent-Type: application/trickle-ice-sdpfrag\r\n";
    let patched = send(to, "PATCH", &location, headers, fragment).await;
    assert_eq!(patched.status, 204);
    assert_eq!(first.hear().await["note"]["type"], "candidate");
    send(to, "DELETE", &location, "", "").await;
    assert_eq!(first.hear().await["type"], "left");
    // It has waited longest, still.
    let again = tokio::spawn(post(to, "/whip/cam", OFFER));
    assert_eq!(first.hear().await["type"], "joined");
    first.leave().await;
    again.await.unwrap().assert_problem(500);
    let last = tokio::spawn(post(to, "/whip/cam", OFFER));
    assert_eq!(second.hear().await["type"], "joined");
    second.hear().await;
    second.send(note("publisher", answer())).await;
    assert_eq!(last.await.unwrap().status, 201);
}

#[tokio::test]
async fn who_waits_can_turn_one_away_and_take_the_next() {
    let relay = Relay::new().await;
    let to = relay.address();
    let (mut viewer, _) = waiting(&relay).await;
    let refuse =
        json!({"type": "refuse", "peer": "publisher", "kind": "incompatible", "text": "AV1 only"});
    let end = json!({"type": "end", "peer": "publisher", "reason": "enough"});
    for (word, status, said) in [(refuse, 406, "AV1 only"), (end, 500, "enough")] {
        let whip = tokio::spawn(post(to, "/whip/cam", OFFER));
        assert_eq!(viewer.hear().await["type"], "joined");
        viewer.hear().await;
        viewer.send(word).await;
        let turned_away = whip.await.unwrap();
        turned_away.assert_problem(status);
        assert!(turned_away.body.contains(said), "{turned_away:?}");
    }
    let whip = tokio::spawn(post(to, "/whip/cam", OFFER));
    assert_eq!(viewer.hear().await["type"], "joined");
    viewer.hear().await;
    viewer.send(note("publisher", answer())).await;
    let created = whip.await.unwrap();
    viewer
        .send(json!({"type": "end", "peer": "publisher"}))
        .await;
    let location = created.header("location");
    let deadline = tokio::time::Instant::now() + LONG;
    while get(to, location).await.status != 404 {
        assert!(tokio::time::Instant::now() < deadline, "the session stays");
    }
}

#[tokio::test]
async fn a_publisher_on_an_elements_server_is_awaited_but_not_by_whip() {
    let publisher = Publisher::new().await;
    let to = publisher.address();
    let other = with(with(hello("view"), "stream", "other"), "wait", true);
    let (_viewer, welcome) = Client::welcomed(to, other).await;
    assert_eq!(welcome["sessions"], json!([]));
    post(to, "/whip/other", OFFER).await.assert_problem(404);
    assert_eq!(streams(to).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_waited_and_was_away_learns_what_it_missed() {
    let relay = Relay::new().await;
    let (viewer, welcome) = waiting(&relay).await;
    drop(viewer);
    let mut publisher = relay.publisher().await;
    let (peer, _) = publisher.joined().await;
    publisher.send(note(&peer, offer())).await;
    let again = with(hello("view"), "wait", true);
    let again = with(again, "resume", welcome["resume"].clone());
    let (mut viewer, back) = Client::welcomed(relay.address(), again).await;
    assert_eq!(back["sessions"], json!(["publisher"]));
    assert_eq!(viewer.hear().await["type"], "joined");
    assert_eq!(viewer.hear().await, note("publisher", offer()));
}

#[cfg(feature = "serve")]
#[tokio::test]
async fn a_call_takes_the_right_to_send_and_the_right_to_watch() {
    use crate::access::{Authenticator, Grant, Rights};
    use crate::server::standalone::{Place, Standalone, Terms};
    let rights = |text| Grant::everywhere(Rights::parse(text).unwrap());
    let auth = Authenticator::new()
        .allow(&Token::new("sends"), rights("publish"))
        .allow(&Token::new("watches"), rights("view"))
        .allow(&Token::new("talks"), rights("publish,view"));
    let terms = Terms {
        auth,
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
        limits: Limits::default(),
        ice: crate::access::IceServers::default(),
    };
    let place = Place {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        metrics: None,
        nats: None,
    };
    let server = Standalone::start(place, &terms).unwrap();
    let to = server.address();
    for token in ["sends", "watches"] {
        let error = Client::refused(to, with(hello("call"), "token", token)).await;
        assert_eq!(error["code"], "unauthorized");
    }
    Client::welcomed(to, with(hello("call"), "token", "talks")).await;
    let headers = "Content-Type: application/sdp\r\nAuthorization: Bearer watches\r\n";
    let denied = send(to, "POST", "/whip/x", headers, OFFER).await;
    denied.assert_problem(403);
    let who = "Authorization: Bearer sends\r\n";
    assert_eq!(send(to, "GET", "/streams", who, "").await.status, 200);
}
