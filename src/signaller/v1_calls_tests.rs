//! Calls, and those who wait to receive, against a real server.

use super::*;

fn caller(address: SocketAddr) -> Supervised {
    supervised(
        &format!("ws://{address}/cam"),
        Options::new(Role::Both, "x"),
    )
}

/// Sends an offer by WHIP; the response.
async fn whip(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /whip/cam HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn two_callers_meet_and_the_first_offers() {
    let server = plain().await;
    let mut host = caller(server.address());
    host.up().await;
    let mut guest = caller(server.address());
    guest.up().await;
    let (peer, info) = host.joined().await;
    assert_eq!(info.channel.unwrap().offerer, Offerer::Us);
    let (far, info) = guest.joined().await;
    assert_eq!(info.channel.unwrap().offerer, Offerer::Them);
    host.tell(&peer, offer());
    assert_eq!(guest.message().await, (far.clone(), offer()));
    guest.tell(&far, answer());
    assert_eq!(host.message().await, (peer.clone(), answer()));
    assert_eq!(streams(server.address()).await[0]["kind"], "call");

    // The host goes; who was its guest is host to the next.
    host.0.close(LONG).await;
    assert_eq!(guest.left().await, far);
    guest.down_and_up().await;
    let mut next = caller(server.address());
    next.up().await;
    next.joined().await;
    let (_, info) = guest.joined().await;
    assert_eq!(info.channel.unwrap().offerer, Offerer::Us);
}

#[tokio::test]
async fn a_call_goes_on_when_the_network_was_cut_and_when_the_server_begins_anew() {
    let first = plain().await;
    let address = first.address();
    let network = Network::to(address).await;
    let mut host = caller(network.address);
    host.up().await;
    let mut guest = caller(network.address);
    guest.up().await;
    let (peer, _) = host.joined().await;
    let (far, _) = guest.joined().await;
    network.cut();
    host.down().await;
    guest.down().await;
    network.mend();
    host.down_and_up().await;
    guest.down_and_up().await;
    guest.tell(&far, answer());
    assert_eq!(host.message().await, (peer.clone(), answer()));

    network.cut();
    host.down().await;
    guest.down().await;
    first.leave().await;
    let second = server(address, Settings::default()).await;
    network.mend();
    host.down_and_up().await;
    guest.down_and_up().await;
    assert_eq!(streams(address).await[0]["kind"], "call");
    // Their media go on; what comes after that begins anew.
    guest.end(&far);
    host.end(&peer);
    guest.down_and_up().await;
    assert!(guest.joined().await.1.channel.is_some());
    assert_ne!(host.joined().await.0, peer);
    drop(second);
}

#[tokio::test]
async fn who_receives_waits_for_a_publisher_and_for_the_next() {
    let server = plain().await;
    let mut viewer = viewer(server.address());
    viewer.up().await;
    for _ in 0..2 {
        let mut publisher = publisher(server.address());
        publisher.up().await;
        let (peer, _) = publisher.joined().await;
        let (far, info) = viewer.joined().await;
        assert_eq!(info.channel.unwrap().offerer, Offerer::Them);
        publisher.tell(&peer, offer());
        assert_eq!(viewer.message().await, (far.clone(), offer()));
        // How media fare is the publisher's to tell: the server wants it of nobody else.
        let report = Outgoing::Report {
            peer: far.clone(),
            report: Default::default(),
        };
        assert!(viewer.0.send(report));
        viewer.tell(&far, answer());
        assert_eq!(publisher.message().await, (peer, answer()));
        publisher.0.close(LONG).await;
        assert_eq!(viewer.left().await, far);
    }
}

#[tokio::test]
async fn who_receives_takes_what_comes_by_whip() {
    let server = plain().await;
    let address = server.address();
    let mut viewer = viewer(address);
    viewer.up().await;
    for refuses in [true, false] {
        let post = tokio::spawn(whip(address));
        let (far, info) = viewer.joined().await;
        assert_eq!(info.protocol, "whip");
        let channel = info.channel.unwrap();
        assert_eq!(
            (channel.offerer, channel.trickle_out),
            (Offerer::Them, false)
        );
        assert_eq!(viewer.message().await, (far.clone(), offer()));
        if refuses {
            let refusal = crate::signaller::Refusal::Incompatible("AV1 only".into());
            assert!(viewer.0.send(Outgoing::Refuse { peer: far, refusal }));
            let response = post.await.unwrap();
            assert!(response.starts_with("HTTP/1.1 406"), "{response}");
        } else {
            viewer.tell(&far, answer());
            let response = post.await.unwrap();
            assert!(response.starts_with("HTTP/1.1 201"), "{response}");
            viewer.end(&far);
        }
    }
    // The connection has been the same all along: nothing went down.
    let post = tokio::spawn(whip(address));
    viewer.joined().await;
    drop(post);
}

#[tokio::test]
async fn who_was_away_while_its_publisher_left_is_told() {
    let server = plain().await;
    let network = Network::to(server.address()).await;
    let mut viewer = viewer(network.address);
    viewer.up().await;
    let mut first = publisher(server.address());
    first.up().await;
    let (far, _) = viewer.joined().await;
    network.cut();
    viewer.down().await;
    first.0.close(LONG).await;
    let mut second = publisher(server.address());
    second.up().await;
    second.joined().await;
    network.mend();
    viewer.down_and_up().await;
    assert_eq!(viewer.left().await, far);
    viewer.joined().await;
}
