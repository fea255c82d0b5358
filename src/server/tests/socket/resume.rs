//! Who comes back is who it was, if it comes back in time.

use super::*;

#[tokio::test]
async fn a_viewer_that_comes_back_in_time_was_never_away() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let (viewer, welcome) = Client::welcomed(relay.address(), hello("view")).await;
    let (peer, _) = publisher.joined().await;
    drop(viewer);
    publisher.send(note(&peer, offer())).await;
    let again = with(hello("view"), "resume", welcome["resume"].clone());
    let (mut viewer, back) = Client::welcomed(relay.address(), again).await;
    assert_eq!(back["peer"], welcome["peer"]);
    assert_eq!(viewer.hear().await, note("publisher", offer()), "it waited");
    viewer.send(note("publisher", answer())).await;
    assert_eq!(publisher.hear().await, note(&peer, answer()), "nobody left");
}

#[tokio::test]
async fn a_viewer_that_stays_away_has_left() {
    let limits = Limits {
        resume_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let mut publisher = relay.publisher().await;
    let (viewer, welcome) = Client::welcomed(relay.address(), hello("view")).await;
    let (peer, _) = publisher.joined().await;
    drop(viewer);
    let left = publisher.hear().await;
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!(peer))
    );
    let again = with(hello("view"), "resume", welcome["resume"].clone());
    let error = Client::refused(relay.address(), again).await;
    assert_eq!(
        (&error["code"], &error["retry"]),
        (&json!("gone"), &json!(true))
    );
}

#[tokio::test]
async fn a_publisher_that_comes_back_in_time_has_its_sessions() {
    let relay = Relay::new().await;
    let (mut publisher, welcome) = Client::welcomed(relay.address(), hello("publish")).await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let gone = relay.viewer().await;
    let (lost, _) = publisher.joined().await;
    drop(publisher);
    gone.leave().await;
    let late = tokio::spawn(post(relay.address(), "/whep/cam", OFFER));
    viewer.send(note("publisher", answer())).await;

    let again = with(hello("publish"), "resume", welcome["resume"].clone());
    let (mut publisher, back) = Client::welcomed(relay.address(), again).await;
    let sessions = back["sessions"].as_array().unwrap();
    assert!(sessions.contains(&json!(peer)) && !sessions.contains(&json!(lost)));
    let mut heard = Vec::new();
    while heard.len() < 4 {
        heard.push(publisher.hear().await);
    }
    assert!(heard.contains(&note(&peer, answer())), "{heard:?}");
    let joined = heard.iter().find(|it| it["type"] == "joined").unwrap();
    publisher
        .send(note(joined["peer"].as_str().unwrap(), answer()))
        .await;
    assert_eq!(
        late.await.unwrap().status,
        201,
        "it waited for its publisher"
    );
    publisher.send(note(&peer, offer())).await;
    assert_eq!(viewer.hear().await, note("publisher", offer()));
}

#[tokio::test]
async fn a_publisher_that_stays_away_takes_its_stream_along() {
    let limits = Limits {
        resume_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let (publisher, welcome) = Client::welcomed(relay.address(), hello("publish")).await;
    let mut viewer = relay.viewer().await;
    drop(publisher);
    assert_eq!(viewer.hear().await["type"], "ended");
    assert_eq!(streams(relay.address()).await, json!([]));
    let again = with(hello("publish"), "resume", welcome["resume"].clone());
    let (_publisher, back) = Client::welcomed(relay.address(), again).await;
    assert!(back.get("sessions").is_none(), "it begins anew");
}

#[tokio::test]
async fn who_comes_back_before_its_loss_was_noticed_replaces_itself() {
    let relay = Relay::new().await;
    let (mut publisher, welcome) = Client::welcomed(relay.address(), hello("publish")).await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let again = with(hello("publish"), "resume", welcome["resume"].clone());
    let (mut second, back) = Client::welcomed(relay.address(), again).await;
    assert_eq!(back["sessions"], json!([peer]));
    assert_eq!(publisher.failure().await["code"], "gone");
    second.send(note(&peer, offer())).await;
    assert_eq!(viewer.hear().await, note("publisher", offer()));
}

/// What a publisher says that comes to a server which has forgotten everything.
fn with_sessions(peers: &[(&str, &Value)]) -> Value {
    let standing = |(peer, info): &(&str, &Value)| json!({"peer": peer, "mark": info["mark"]});
    let sessions: Vec<_> = peers.iter().map(standing).collect();
    with(hello("publish"), "sessions", sessions)
}

#[tokio::test]
async fn sessions_outlive_their_server() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let (viewer, welcome) = Client::welcomed(relay.address(), hello("view")).await;
    let (peer, info) = publisher.joined().await;
    let whep = tokio::spawn(post(relay.address(), "/whep/cam", OFFER));
    let (caller, called) = publisher.joined().await;
    publisher.hear().await;
    publisher.send(note(&caller, answer())).await;
    let location = whep.await.unwrap().header("location").to_owned();
    drop((publisher, viewer, relay));

    let relay = Relay::new().await;
    let back = with(hello("view"), "resume", welcome["resume"].clone());
    // Before its publisher is here.
    let viewer = tokio::spawn(Client::welcomed(relay.address(), back));
    tokio::task::yield_now().await;
    let sessions = with_sessions(&[(&peer, &info), (&caller, &called)]);
    let (mut publisher, again) = Client::welcomed(relay.address(), sessions).await;
    assert!(again.get("sessions").is_none(), "it begins anew");
    let (mut viewer, again) = viewer.await.unwrap();
    assert_eq!(again["peer"], peer.as_str());
    assert_eq!(streams(relay.address()).await[0]["viewers"], 2);
    viewer.send(note("publisher", candidate(1))).await;
    assert_eq!(publisher.hear().await, note(&peer, candidate(1)));
    publisher.send(note(&peer, candidate(2))).await;
    assert_eq!(viewer.hear().await, note("publisher", candidate(2)));

    let asked = send(relay.address(), "GET", &location, "", "").await;
    assert_eq!(asked.status, 204, "{location}");
    let ended = send(relay.address(), "DELETE", &location, "", "").await;
    assert_eq!(ended.status, 200);
    let left = publisher.hear().await;
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!(caller))
    );
    viewer.leave().await;
    let left = publisher.hear().await;
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!(peer))
    );
}

#[tokio::test]
async fn a_viewer_that_does_not_follow_its_publisher_has_left() {
    let limits = Limits {
        resume_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let mark = crate::server::mark::Mark::of_connection("lost").text();
    let sessions = with_sessions(&[("v1-lost", &json!({ "mark": mark }))]);
    let (mut publisher, _) = Client::welcomed(relay.address(), sessions).await;
    let left = publisher.hear().await;
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!("v1-lost"))
    );
    let late = with(hello("view"), "resume", "lost");
    let error = Client::refused(relay.address(), late).await;
    assert_eq!(error["code"], "gone");
}

#[tokio::test]
async fn a_publisher_brings_back_no_more_than_may_watch_and_nobody_of_others() {
    let limits = Limits {
        viewers_per_stream: 3,
        ..Limits::default()
    };
    let relay = Relay::strict(limits).await;
    let mut publisher = relay.publisher().await;
    let mut viewer = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let mark = |name: &str| {
        let mark = crate::server::mark::Mark::of_connection(name).text();
        json!({ "mark": mark })
    };
    let marks: Vec<_> = (0..9).map(|it| mark(&it.to_string())).collect();
    let names: Vec<_> = (0..9).map(|it| format!("v1-{it}")).collect();
    let mut sessions: Vec<_> = names.iter().map(String::as_str).zip(&marks).collect();
    sessions.insert(0, (&peer, &marks[0]));
    let other = with(with_sessions(&sessions), "stream", "other");
    let (mut mallory, _) = Client::welcomed(relay.address(), other).await;
    assert_eq!(streams(relay.address()).await[1]["viewers"], 3);
    mallory.send(note(&peer, offer())).await;
    publisher.send(note(&peer, candidate(1))).await;
    assert_eq!(viewer.hear().await, note("publisher", candidate(1)));
    let nonsense = json!([{"peer": "p", "mark": "?"}]);
    let third = with(with_sessions(&[]), "stream", "third");
    let third = with(third, "sessions", nonsense);
    Client::welcomed(relay.address(), third).await;
    assert_eq!(streams(relay.address()).await[2]["viewers"], 0);
}

#[tokio::test]
async fn what_a_publisher_calls_its_peers_is_not_counted_apart() {
    let relay = Relay::new().await;
    let mark = crate::server::mark::Mark::of_connection("kept").text();
    let sessions = with_sessions(&[("made-up", &json!({ "mark": mark }))]);
    let (publisher, _) = Client::welcomed(relay.address(), sessions).await;
    let waiting = with(with(hello("view"), "resume", "kept"), "wait", true);
    let (mut viewer, _) = Client::welcomed(relay.address(), waiting).await;
    publisher.leave().await;
    assert_eq!(viewer.hear().await["type"], "left");
    let mut publisher = relay.publisher().await;
    let (peer, _) = publisher.joined().await;
    publisher.send(note(&peer, answer())).await;
    assert_eq!(viewer.hear().await["type"], "joined");
    assert_eq!(viewer.hear().await, note("publisher", answer()));
    let metrics = get(relay.address(), "/metrics").await.body;
    let joined = "sigmund_joins_total{protocol=\"other\"} 1";
    assert!(
        metrics.contains(joined) && !metrics.contains("made"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_secret_is_good_for_its_own_role_and_stream_alone() {
    let relay = Relay::new().await;
    let _publisher = relay.publisher().await;
    let (_viewer, welcome) = Client::welcomed(relay.address(), hello("view")).await;
    let stolen = with(hello("view"), "resume", welcome["resume"].clone());
    let other = with(stolen, "stream", "other");
    let error = Client::refused(relay.address(), other).await;
    assert_eq!(error["code"], "gone");
}

#[tokio::test]
async fn a_stream_has_one_publisher_unless_that_is_lost() {
    let relay = Relay::new().await;
    let publisher = relay.publisher().await;
    let error = Client::refused(relay.address(), hello("publish")).await;
    assert_eq!(
        (&error["code"], &error["retry"]),
        (&json!("taken"), &json!(true))
    );
    let mut viewer = relay.viewer().await;
    drop(publisher);
    let deadline = tokio::time::Instant::now() + LONG;
    let mut successor = loop {
        let mut client = Client::open(relay.address()).await;
        client.send(hello("publish")).await;
        if client.hear().await["type"] == "welcome" {
            break client;
        }
        assert!(tokio::time::Instant::now() < deadline);
    };
    assert_eq!(
        viewer.hear().await["type"],
        "ended",
        "its publisher is gone"
    );
    let _viewer = relay.viewer().await;
    successor.joined().await;
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_leaves_the_port() {
    let publisher = Publisher::new().await;
    let to = publisher.address();
    let (mut viewer, _) = Client::welcomed(to, hello("view")).await;
    let (lost, _) = Client::welcomed(to, hello("view")).await;
    drop(lost);
    publisher.close().await;
    std::net::TcpListener::bind(to).expect("the port is free");
    assert_eq!(viewer.hear().await["type"], "ended");
}

#[tokio::test]
async fn who_has_neither_a_path_nor_a_connection_is_gone() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let mut here = relay.viewer().await;
    let (peer, _) = publisher.joined().await;
    let again = json!({"type": "again", "round": 2});
    publisher.send(note(&peer, again.clone())).await;
    assert_eq!(here.hear().await, note("publisher", again.clone()));

    let (killed, welcome) = Client::welcomed(relay.address(), hello("view")).await;
    let (peer, _) = publisher.joined().await;
    drop(killed);
    // Until its loss is noticed, it is told.
    let left = loop {
        publisher.send(note(&peer, again.clone())).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        if let Ok(heard) = timeout(Duration::from_millis(1), publisher.hear()).await {
            break heard;
        }
    };
    assert_eq!(
        (&left["type"], &left["peer"]),
        (&json!("left"), &json!(peer))
    );
    let back = with(hello("view"), "resume", welcome["resume"].clone());
    let (mut viewer, _) = Client::welcomed(relay.address(), back).await;
    while viewer.hear().await["type"] == "note" {}
}

#[tokio::test]
async fn a_publisher_learns_who_gets_another_connection() {
    let relay = Relay::new().await;
    let mut publisher = relay.publisher().await;
    let _viewer = relay.viewer().await;
    assert_eq!(publisher.joined().await.1.get("again"), None);
    let _whep = tokio::spawn(post(relay.address(), "/whep/cam", OFFER));
    let (_, info) = publisher.joined().await;
    assert_eq!(
        (&info["offers"], info.get("again")),
        (&json!(true), None),
        "who offers comes back by itself"
    );
}
