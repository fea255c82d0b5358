//! WHIP: one peer at a time sends what an element receives.

use super::*;
use crate::access::Token;
use crate::signaller::Refusal;

const FRAGMENT: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n\
    a=candidate:1 1 UDP 2130706431 192.0.2.1 3478 typ host\r\na=end-of-candidates\r\n";

fn receiving() -> Options {
    Options::new(Role::Subscribe, "cam")
}

async fn receiver() -> Publisher {
    Publisher::open("listen://127.0.0.1:0/cam", &receiving()).await
}

impl Publisher {
    /// The next who wants to send, and what it offers.
    async fn sender(&mut self) -> (PeerId, String) {
        self.offered("whip").await
    }

    /// Somebody sends.
    async fn sending(&mut self) -> (PeerId, Reply) {
        let post = tokio::spawn(post(self.address(), "/whip/cam", OFFER));
        let (peer, _) = self.sender().await;
        self.answer(peer.clone()).await;
        let reply = post.await.unwrap();
        assert_eq!(reply.status, 201, "{reply:?}");
        (peer, reply)
    }
}

async fn listed(to: SocketAddr) -> String {
    get(to, "/streams").await.body
}

#[tokio::test]
async fn an_offer_to_send_is_answered_with_a_resource() {
    let mut options = receiving();
    options.ice_servers = crate::address::IceServer::parse_list("turn://u:p@h").unwrap();
    let mut receiver = Publisher::open("listen://127.0.0.1:0/K%C3%BCche", &options).await;
    let to = receiver.address();
    let reply = tokio::spawn(post(to, "/whip/K%C3%BCche", OFFER));
    let (peer, sdp) = receiver.sender().await;
    assert_eq!(sdp, OFFER);
    receiver.answer(peer.clone()).await;
    let created = reply.await.unwrap();
    assert_eq!(
        (created.status, &*created.body),
        (201, "v=0\r\nthe answer\r\n")
    );
    assert_eq!(created.header("content-type"), "application/sdp");
    let location = created.header("location");
    assert!(location.starts_with("/whip/K%C3%BCche/"), "{location}");
    let servers = created.header("link");
    assert!(
        servers.starts_with("<turn:h:3478>; rel=\"ice-server\""),
        "{servers}"
    );

    let if_match = format!(
        "If-Match: {}\r\nContent-Type: application/trickle-ice-sdpfrag\r\n",
        created.header("etag")
    );
    let patched = send(to, "PATCH", location, &if_match, FRAGMENT).await;
    assert_eq!(patched.status, 204);
    let heard = receiver.hear().await;
    assert!(
        matches!(&heard, Incoming::Message { peer: from, message: Message::Candidate(_) } if *from == peer),
        "{heard:?}"
    );
    receiver.hear().await;
    let restart = FRAGMENT.replace("abcd", "efgh");
    send(to, "PATCH", location, &if_match, &restart)
        .await
        .assert_problem(422);

    assert_eq!(send(to, "DELETE", location, "", "").await.status, 200);
    assert_eq!(receiver.left().await, peer);
    send(to, "DELETE", location, "", "")
        .await
        .assert_problem(404);
}

#[tokio::test]
async fn one_sends_at_a_time() {
    let mut receiver = receiver().await;
    let to = receiver.address();
    assert_eq!(
        listed(to).await,
        r#"{"streams":[{"kind":"receive","name":"cam","taken":false}]}"#
    );
    let (peer, created) = receiver.sending().await;
    assert!(listed(to).await.contains(r#""taken":true"#));
    let second = post(to, "/whip/cam", OFFER).await;
    second.assert_problem(409);
    assert!(second.body.contains("somebody else"), "{second:?}");
    assert!(!second.header("retry-after").is_empty());

    send(to, "DELETE", created.header("location"), "", "").await;
    assert_eq!(receiver.left().await, peer);
    let (peer, _) = receiver.sending().await;
    let reason = "its path was lost".to_owned();
    receiver.tell(Outgoing::End { peer, reason }).await;
    // Notes are carried out in order, but not at once.
    while listed(to).await.contains(r#""taken":true"#) {
        tokio::task::yield_now().await;
    }
    receiver.sending().await;
}

#[tokio::test]
async fn who_still_waits_for_an_answer_has_the_place() {
    let mut receiver = receiver().await;
    let to = receiver.address();
    let first = tokio::spawn(post(to, "/whip/cam", OFFER));
    let (peer, _) = receiver.sender().await;
    post(to, "/whip/cam", OFFER).await.assert_problem(409);
    let refusal = Refusal::Incompatible("AV1 only".into());
    receiver.tell(Outgoing::Refuse { peer, refusal }).await;
    first.await.unwrap().assert_problem(406);
    receiver.sending().await;
}

#[tokio::test]
async fn each_direction_has_its_own_streams_and_sessions() {
    let mut receiver = receiver().await;
    let to = receiver.address();
    let whep = post(to, "/whep/cam", OFFER).await;
    whep.assert_problem(404);
    assert!(whep.body.contains("/whip/"), "{whep:?}");
    post(to, "/whip/other", OFFER).await.assert_problem(404);
    let (_, created) = receiver.sending().await;
    let other = created.header("location").replace("whip", "whep");
    for method in ["DELETE", "GET", "PATCH"] {
        send(to, method, &other, "If-Match: *\r\n", "")
            .await
            .assert_problem(404);
    }

    let publisher = Publisher::new().await;
    post(publisher.address(), "/whip/cam", OFFER)
        .await
        .assert_problem(409);
    get(publisher.address(), "/whip/cam")
        .await
        .assert_problem(409);
    assert_eq!(get(to, "/whip/cam").await.status, 200);
}

#[tokio::test]
async fn a_foreign_page_needs_leave_and_then_learns_all_it_needs() {
    let mut options = receiving();
    options.allowed_origins = vec!["https://studio.example".to_owned()];
    let receiver = Publisher::open("listen://127.0.0.1:0/cam", &options).await;
    let to = receiver.address();
    let ask = "Origin: https://studio.example\r\nAccess-Control-Request-Method: POST\r\n\
        Access-Control-Request-Headers: authorization,content-type\r\n";
    let preflight = send(to, "OPTIONS", "/whip/cam", ask, "").await;
    assert_eq!(
        (
            preflight.status,
            preflight.header("access-control-allow-origin")
        ),
        (200, "https://studio.example")
    );
    for needed in ["POST", "PATCH", "DELETE"] {
        assert!(
            preflight
                .header("access-control-allow-methods")
                .contains(needed)
        );
    }
    assert_eq!(preflight.header("accept-post"), "application/sdp");
    let foreign = ask.replace("studio", "evil");
    send(to, "OPTIONS", "/whip/cam", &foreign, "")
        .await
        .assert_problem(403);
    let offer = "Origin: https://evil.example\r\nContent-Type: application/sdp\r\n";
    send(to, "POST", "/whip/cam", offer, OFFER)
        .await
        .assert_problem(403);
}

#[tokio::test]
async fn to_send_takes_the_token() {
    let mut options = receiving();
    options.token = Some(Token::new("hush"));
    let mut receiver = Publisher::open("listen://127.0.0.1:0/cam", &options).await;
    let to = receiver.address();
    for authorization in ["", "Authorization: Bearer hus\r\n"] {
        for (method, path) in [
            ("POST", "/whip/cam"),
            ("GET", "/whip/cam"),
            ("DELETE", "/whip/cam/AAAA"),
        ] {
            let reply = send(to, method, path, authorization, OFFER).await;
            reply.assert_problem(401);
        }
    }
    let headers = "Authorization: Bearer hush\r\nContent-Type: application/sdp\r\n";
    let reply = tokio::spawn(async move { send(to, "POST", "/whip/cam", headers, OFFER).await });
    let (peer, _) = receiver.sender().await;
    receiver.answer(peer).await;
    assert_eq!(reply.await.unwrap().status, 201);
}
