use std::net::SocketAddr;

use super::*;

fn server(address: SocketAddr, user: &str, transport: Transport) -> IceServer {
    let how = transport.as_str();
    let user = user.replace(':', "%3A");
    IceServer::parse(&format!("turn://{user}:pass@{address}?transport={how}")).unwrap()
}

/// Answers the first request by 401 with realm and nonce, the second as `then` says.
fn answers(request: &[u8], then: Option<(u16, &str)>) -> Option<Vec<u8>> {
    let request = Message::from_bytes(request).unwrap();
    if request.method() != ALLOCATE {
        return None;
    }
    let asked = request.raw_attribute(REQUESTED_TRANSPORT).unwrap();
    assert_eq!(asked.value.as_ref(), UDP);
    let refuse = |code, reason: &str, realm: bool| {
        let mut answer = Message::builder_error(&request, MessageWriteVec::new());
        let code = ErrorCode::new(code, reason).unwrap();
        answer.add_attribute(&code).unwrap();
        if realm {
            let (realm, nonce) = (Realm::new("here").unwrap(), Nonce::new("once").unwrap());
            answer.add_attribute(&realm).unwrap();
            answer.add_attribute(&nonce).unwrap();
        }
        answer.finish()
    };
    let Ok(user) = request.attribute::<Username>() else {
        return Some(refuse(401, "Unauthorized", true));
    };
    let user = user.username().to_owned();
    let key = LongTermKeyCredentials::new(user, "pass".into(), "here".into());
    request.validate_integrity(&key.into()).unwrap();
    Some(match then {
        Some((code, reason)) => refuse(code, reason, false),
        None => Message::builder_success(&request, MessageWriteVec::new()).finish(),
    })
}

async fn udp_server(then: Option<(u16, &'static str)>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut request = [0; MOST];
        // The first one is lost, and repeated.
        socket.recv_from(&mut request).await.unwrap();
        while let Ok((length, from)) = socket.recv_from(&mut request).await {
            if let Some(answer) = answers(&request[..length], then) {
                socket.send_to(b"nonsense", from).await.unwrap();
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    address
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let cases = [
        (None, "user", Ok(())),
        (
            Some((401, "Unauthorized")),
            "user",
            Err("user name and password"),
        ),
        (
            Some((401, "Unauthorized")),
            "1500000000:joe",
            Err("expired"),
        ),
        (
            Some((486, "Allocation Quota Reached")),
            "user",
            Err("quota"),
        ),
        (
            Some((508, "Cannot create socket")),
            "user",
            Err("no relays left"),
        ),
        (
            Some((403, "Forbidden\nIP")),
            "user",
            Err("(403 ForbiddenIP)"),
        ),
    ];
    for (then, user, expected) in cases {
        let address = udp_server(then).await;
        let told = check(&server(address, user, Transport::Udp)).await;
        match expected {
            Ok(()) => assert_eq!(told, Ok(())),
            Err(words) => assert!(told.unwrap_err().contains(words), "{words}"),
        }
    }
}

/// A server that names another one, whatever it is asked.
async fn pointer(to: Option<SocketAddr>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut request = [0; MOST];
        while let Ok((length, from)) = socket.recv_from(&mut request).await {
            let asked = Message::from_bytes(&request[..length]).unwrap();
            let mut answer = Message::builder_error(&asked, MessageWriteVec::new());
            let code = ErrorCode::new(300, "Try Alternate").unwrap();
            answer.add_attribute(&code).unwrap();
            let other = AlternateServer::new(to.unwrap_or(address));
            answer.add_attribute(&other).unwrap();
            socket.send_to(&answer.finish(), from).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_names_another_one_is_left_for_it_once() {
    let refuses = udp_server(Some((486, "no"))).await;
    for (address, expected) in [
        (pointer(Some(udp_server(None).await)).await, Ok(())),
        (pointer(Some(refuses)).await, Err("quota")),
        (pointer(None).await, Err("from server to server")),
    ] {
        let told = check(&server(address, "user", Transport::Udp)).await;
        match expected {
            Ok(()) => assert_eq!(told, Ok(())),
            Err(words) => assert!(told.unwrap_err().contains(words), "{words}"),
        }
    }
}

#[tokio::test]
async fn by_tcp_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut line = Line::Tcp(stream);
        while let Ok(request) = line.hear().await {
            if let Some(answer) = answers(&request, Some((486, "no"))) {
                line.say(&answer).await.unwrap();
            }
        }
    });
    let told = check(&server(address, "user", Transport::Tcp)).await;
    assert!(told.unwrap_err().contains("quota"));
}

#[tokio::test]
async fn a_dead_server_is_told_from_one_that_is_not_there() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let told = check(&server(address, "user", Transport::Udp)).await;
    assert_eq!(told.unwrap_err(), "it does not answer");
    let told = check(&server(address, "user", Transport::Tcp)).await;
    assert!(told.unwrap_err().contains("cannot be reached"));
}

#[test]
fn only_times_expire() {
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    assert_eq!(expired("1699999990:joe", now), Some(10));
    assert_eq!(expired("1699999990", now), Some(10));
    assert_eq!(expired("1700000001:joe", now), None);
    assert_eq!(expired("4711", now), None);
    assert_eq!(expired("joe", now), None);
}
