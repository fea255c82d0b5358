//! Those who mean no good, and those who are taken in by them.

use std::io::ErrorKind;

use super::*;

/// A certificate for this name, and its key.
fn certificate(folder: &Folder, name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let file = |kind: &str| format!("{name}.{kind}");
    (
        folder.write(&file("pem"), &made.cert.pem()),
        folder.write(&file("key"), &made.signing_key.serialize_pem()),
    )
}

/// What a client makes of a server, by a URI and the certificates that it trusts.
fn meet(uri: &str, trusted: Option<&str>) -> Event {
    let mut options = Options::new(Role::Publish, "cam");
    options.token = Some(Token::new("s3cret"));
    options.tls_ca = trusted.map(PathBuf::from);
    Client::open(uri, &options).event()
}

#[test]
fn a_client_takes_no_certificate_but_the_right_one() {
    let folder = Folder::new("certificates");
    let (right, key) = certificate(&folder, "localhost");
    let (other, other_key) = certificate(&folder, "relay.example.net");
    let words = ["--tls-certificate", &right, "--tls-key", &key];
    let server = Server::start(&[&words[..], &["--anonymous", "all"]].concat());
    let port = server.address().port();
    let uri = format!("sigmund+wss://localhost:{port}/cam");
    assert!(matches!(meet(&uri, Some(&right)), Event::Up { .. }));
    let failed = |event: Event| match event {
        Event::Failed(error) => error.to_string(),
        other => panic!("{other:?}"),
    };
    // Whose certificate is signed by nobody whom we know.
    assert!(failed(meet(&uri, None)).contains("tls-ca"));
    assert!(failed(meet(&uri, Some(&other))).contains("certificate"));
    // One that is good, but for another name.
    let by_address = format!("sigmund+wss://127.0.0.1:{port}/cam");
    assert!(failed(meet(&by_address, Some(&right))).contains("certificate"));
    drop(server);
    let words = ["--tls-certificate", &other, "--tls-key", &other_key];
    let _impostor = Server::at(&format!("127.0.0.1:{port}"), &words);
    assert!(failed(meet(&uri, Some(&other))).contains("certificate"));
}

#[test]
fn what_was_meant_to_be_encrypted_is_never_said_in_clear_text() {
    // Somebody who listens where the server was.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let mut heard = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            let mut chunk = [0; 4096];
            while let Ok(length) = stream.read(&mut chunk) {
                heard.extend_from_slice(&chunk[..length]);
                if length == 0 {
                    break;
                }
            }
        }
        heard
    });
    let uri = format!("sigmund+wss://127.0.0.1:{port}/cam");
    let mut options = Options::new(Role::Publish, "cam");
    options.token = Some(Token::new("s3cret"));
    let mut client = Client::open(&uri, &options);
    for _ in 0..2 {
        let event = client.event();
        assert!(matches!(event, Event::Down { .. }), "{event:?}");
    }
    drop(client);
    let heard = String::from_utf8_lossy(&heard.join().unwrap()).into_owned();
    assert!(
        !heard.contains("s3cret") && !heard.contains("GET"),
        "{heard}"
    );
}

#[test]
fn pages_of_others_and_names_that_were_rebound_are_turned_away() {
    let server = Server::start(&["--allowed-origin", "https://friend.example"]);
    let _publisher = Publisher::up(&server, "cam", None);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Protocol: sigmund.v1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (origin, allowed) in [
        ("https://friend.example", true),
        ("https://evil.example", false),
        ("https://friend.example.evil.example", false),
        ("http://friend.example", false),
        ("null", false),
    ] {
        let header = format!("Origin: {origin}\r\n");
        let status = server.get("/streams", &header).status;
        assert_eq!(status == 200, allowed, "{origin}: {status}");
        let status = handshake(server.address(), "127.0.0.1", &format!("{header}{upgrade}"));
        assert_eq!(status == 101, allowed, "{origin}: {status}");
    }
    assert_eq!(handshake(server.address(), "rebound.example", upgrade), 403);
    assert_eq!(handshake(server.address(), "localhost", upgrade), 101);
}

/// The status that a WebSocket's handshake is answered with.
fn handshake(to: SocketAddr, host: &str, headers: &str) -> u16 {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET /ws HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Is this connection closed by its other end, whatever else it says?
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn those_who_never_finish_are_cut_off_and_hold_up_nobody() {
    let limits = [
        "head-timeout=1s",
        "body-timeout=1s",
        "connections-per-address=64",
    ];
    let words: Vec<_> = limits.iter().flat_map(|it| ["--limit", it]).collect();
    let server = Server::start(&words);
    let to = server.address();
    let mut publisher = Publisher::up(&server, "cam", None);
    // A line of a head now and then; a body without its end; a WebSocket that
    // does not say hello; one that says nothing at all.
    let begun = [
        "GET / HTTP/1.1\r\nHost: localhost\r\n",
        "POST /whep/cam HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\nContent-Length: 500\r\n\r\nv=0",
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: sigmund.v1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "",
    ];
    let open = |text: &&str| {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let mut slow: Vec<_> = begun.iter().cycle().take(40).map(open).collect();
    let since = Instant::now();
    // Others are served meanwhile.
    assert_eq!(publisher.watched(&server, "cam", None).status, 201);
    while since.elapsed() < Duration::from_millis(900) {
        // It never gets anywhere, and never rests.
        for stream in slow.iter_mut().step_by(4) {
            let _ = stream.write_all(b"X-More: 1\r\n");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    for (number, stream) in slow.iter_mut().enumerate() {
        assert!(is_closed(stream), "{}", begun[number % 4]);
    }
    let took = since.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(publisher.watched(&server, "cam", None).status, 201);
}

#[test]
fn a_flood_from_one_address_leaves_room_for_others() {
    let server = Server::start(&["--limit", "connections-per-address=8"]);
    let to = server.address();
    let flood: Vec<_> = (0..8).map(|_| TcpStream::connect(to).unwrap()).collect();
    eventually("it is told so", || {
        let mut one = TcpStream::connect(to).unwrap();
        one.set_read_timeout(Some(LONG)).unwrap();
        let mut text = String::new();
        let _ = one.read_to_string(&mut text);
        text.starts_with("HTTP/1.1 503") && text.contains("too many connections")
    });
    // Loopback has many addresses.
    let other = SocketAddr::from(([127, 9, 9, 9], 0));
    let socket = connect_from(other, to);
    assert_eq!(status(socket, to), 200);
    drop(flood);
}

/// A connection from a certain address.
fn connect_from(from: SocketAddr, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(from).unwrap();
        socket.connect(to).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

fn status(mut stream: TcpStream, to: SocketAddr) -> u16 {
    write!(
        stream,
        "GET /healthz HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}
