//! Several servers, joined by a real nats-server.

use super::resume::Pair;
use super::*;

/// nats-server on loopback.
struct Nats {
    process: Child,
    port: u16,
    folder: Folder,
}

impl Nats {
    fn start(name: &str, config: &str) -> Self {
        assert!(
            exists("nats-server") || Path::new("/usr/sbin/nats-server").exists(),
            "Debian's package nats-server is needed"
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = Folder::new(name);
        folder.write(
            "nats.conf",
            &format!("listen: \"127.0.0.1:{port}\"\n{config}\n"),
        );
        let process = Self::spawn(&folder, port);
        Self {
            process,
            port,
            folder,
        }
    }

    fn spawn(folder: &Folder, port: u16) -> Child {
        let path = std::env::var("PATH").unwrap_or_default();
        let process = Command::new("nats-server")
            .env("PATH", format!("{path}:/usr/sbin"))
            .args(["--config", &folder.path("nats.conf")])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually("NATS listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        process
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.process = Self::spawn(&self.folder, self.port);
    }

    /// A server that is joined to it.
    fn server(&self, words: &[&str]) -> Server {
        let url = format!("nats://127.0.0.1:{}", self.port);
        let server = Server::start(&[&["--nats", &url], words].concat());
        joined(&server);
        server
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn joined(server: &Server) {
    eventually("it has found NATS", || server.log().contains("joined"));
}

fn listed(server: &Server, name: &str, viewers: usize) -> bool {
    let listed: serde_json::Value = serde_json::from_str(&server.get("/streams", "").body).unwrap();
    let streams = listed["streams"].as_array().unwrap();
    streams
        .iter()
        .any(|it| it["name"] == name && it["viewers"] == viewers && it["kind"] == "publish")
}

#[track_caller]
fn lists(server: &Server, name: &str, viewers: usize) {
    eventually("the stream is listed", || listed(server, name, viewers));
}

fn uri(servers: &[&Server], stream: &str) -> String {
    let addresses: Vec<_> = servers.iter().map(|it| it.address().to_string()).collect();
    format!("ws://{}/{stream}", addresses.join(","))
}

#[test]
fn a_publisher_on_one_server_is_watched_on_all() {
    let nats = Nats::start("nats-watched", "");
    let servers = [nats.server(&[]), nats.server(&[]), nats.server(&[])];
    let mut publisher = Publisher::up(&servers[0], "cam", None);
    for server in &servers {
        lists(server, "cam", 0);
    }
    // By WHEP, there and elsewhere, candidates and farewell included.
    publisher.watched(&servers[0], "cam", None);
    let reply = publisher.watched(&servers[1], "cam", None);
    assert_eq!((reply.status, reply.body.as_str()), (201, ANSWER));
    for server in &servers {
        lists(server, "cam", 2);
    }
    let (location, tag) = (reply.headers("location")[0], reply.headers("etag")[0]);
    let fragment = "a=ice-ufrag:abcd\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 UDP 1 192.0.2.1 5000 typ host\r\n";
    let headers = format!("Content-Type: application/trickle-ice-sdpfrag\r\nIf-Match: {tag}\r\n");
    let to = servers[1].address();
    assert_eq!(send(to, "PATCH", location, &headers, fragment).status, 204);
    let note = publisher.0.heard();
    assert!(
        matches!(
            &note,
            Incoming::Message {
                message: Message::Candidate(_),
                ..
            }
        ),
        "{note:?}"
    );
    assert_eq!(send(to, "DELETE", location, "", "").status, 200);
    let note = publisher.0.heard();
    assert!(matches!(note, Incoming::Left { .. }), "{note:?}");
    // By sigmund.v1; and the stream ends everywhere.
    let mut viewer = Client::viewer(&servers[2], "cam", None);
    let far = viewer.joined();
    let (peer, info) = publisher.0.joined_with();
    assert_eq!(info.protocol, "v1");
    publisher.0.say(&peer, Message::please_offer());
    assert!(matches!(viewer.heard(), Incoming::Message { peer, .. } if peer == far));
    publisher.0.close();
    let note = viewer.heard();
    assert!(matches!(note, Incoming::Left { .. }), "{note:?}");
    viewer.close();
    for server in &servers {
        eventually("it is gone", || {
            !server.get("/streams", "").body.contains("cam")
        });
    }
}

#[test]
fn a_stream_has_one_publisher_on_all_servers() {
    let nats = Nats::start("nats-taken", "");
    let (one, other) = (nats.server(&[]), nats.server(&[]));
    let first = Publisher::up(&one, "cam", None);
    lists(&other, "cam", 0);
    let mut second = Client::publisher(&other, "cam", None);
    let event = second.event();
    assert!(
        matches!(&event, Event::Down { reason, .. } if reason.contains("taken")),
        "{event:?}"
    );
    first.0.close();
    loop {
        if let Event::Up { .. } = second.event() {
            break;
        }
    }
}

#[test]
fn sessions_outlive_the_servers_of_both_ends() {
    let nats = Nats::start("nats-moves", "");
    let [one, two, three] = [nats.server(&[]), nats.server(&[]), nats.server(&[])];
    let publisher = Client::new(&uri(&[&one, &two], "cam"), Role::Publish, None);
    lists(&two, "cam", 0);
    let viewer = Client::new(&uri(&[&three, &two], "cam"), Role::Subscribe, None);
    let mut pair = Pair::meet(publisher, viewer);
    pair.talk(1);
    // One that stays where it is, while its publisher moves.
    let mut other = pair.another(Client::viewer(&two, "cam", None));
    other.talk(&mut pair.publisher, 2);

    // The server of the viewer dies: it goes on at the next.
    assert_eq!(three.end(Signal::SIGKILL).0, None);
    pair.viewer.back();
    pair.talk(3);
    // That of the publisher: it goes to where the viewers are by now.
    assert_eq!(one.end(Signal::SIGKILL).0, None);
    pair.publisher.back();
    pair.talk(4);
    other.talk(&mut pair.publisher, 5);
    assert!(two.get("/streams", "").body.contains("cam"));
}

#[test]
fn who_watches_elsewhere_follows_a_publisher_that_moves() {
    let nats = Nats::start("nats-follow", "");
    let [one, two, three] = [nats.server(&[]), nats.server(&[]), nats.server(&[])];
    let publisher = Client::new(&uri(&[&one, &two], "cam"), Role::Publish, None);
    lists(&three, "cam", 0);
    let viewer = Client::viewer(&three, "cam", None);
    let mut pair = Pair::meet(publisher, viewer);
    pair.talk(1);
    assert_eq!(one.end(Signal::SIGKILL).0, None);
    pair.publisher.back();
    pair.talk(2);
    lists(&three, "cam", 1);
    // One that ends in good order is followed just so.
    let fourth = nats.server(&[]);
    lists(&fourth, "cam", 1);
    let uri = uri(&[&two, &fourth], "stage");
    let publisher = Client::new(&uri, Role::Publish, None);
    lists(&three, "stage", 0);
    let mut pair = Pair::meet(publisher, Client::viewer(&three, "stage", None));
    pair.talk(1);
    assert_eq!(two.end(Signal::SIGTERM).0, Some(0));
    pair.publisher.back();
    pair.talk(2);
}

#[test]
fn sessions_outlive_nats() {
    let mut nats = Nats::start("nats-restart", "");
    let (one, other) = (nats.server(&[]), nats.server(&[]));
    let publisher = Client::publisher(&one, "cam", None);
    lists(&other, "cam", 0);
    let viewer = Client::viewer(&other, "cam", None);
    let mut pair = Pair::meet(publisher, viewer);
    pair.talk(1);
    nats.kill();
    eventually("it is noticed", || other.log().contains("NATS is lost"));
    // Longer than servers may be silent.
    std::thread::sleep(Duration::from_secs(4));
    assert!(
        listed(&other, "cam", 1) || listed(&other, "cam", 0),
        "it is listed still"
    );
    nats.restart();
    for server in [&one, &other] {
        eventually("it is joined again", || {
            server.log().matches("joined to other").count() == 2
        });
    }
    pair.talk(2);
    // A viewer who left meanwhile has left.
    nats.kill();
    let Pair {
        mut publisher,
        viewer,
        peer: left,
        ..
    } = pair;
    viewer.close();
    nats.restart();
    let note = publisher.heard();
    assert!(
        matches!(&note, Incoming::Left { peer, .. } if *peer == left),
        "{note:?}"
    );
}

#[test]
fn a_server_is_let_in_by_its_token_and_serves_alone_without() {
    let nats = Nats::start("nats-token", "authorization { token: secret }");
    let token = nats.folder.write("token", "secret\n");
    let one = nats.server(&["--nats-token-file", &token]);
    let other = nats.server(&["--nats-token-file", &token]);
    let wrong = nats.folder.write("wrong", "guess\n");
    let url = format!("nats://127.0.0.1:{}", nats.port);
    let alone = Server::start(&["--nats", &url, "--nats-token-file", &wrong]);
    let _publisher = Publisher::up(&one, "cam", None);
    lists(&other, "cam", 0);
    let _own = Publisher::up(&alone, "own", None);
    lists(&alone, "own", 0);
    assert!(!alone.get("/streams", "").body.contains("cam"));
    assert!(!alone.log().contains("guess") && !one.log().contains("secret"));
}

#[test]
fn a_word_that_is_too_long_for_nats_is_not_the_last() {
    let nats = Nats::start("nats-payload", "max_payload: 4096");
    let (one, other) = (nats.server(&[]), nats.server(&[]));
    let names: Vec<_> = (0..40).map(|it| format!("{it:0>120}")).collect();
    let many: Vec<_> = (names.iter())
        .map(|name| Publisher::up(&one, name, None))
        .collect();
    eventually("the list is too long", || one.log().contains("max_payload"));
    many.into_iter().for_each(|it| it.0.close());
    let _publisher = Publisher::up(&one, "door", None);
    lists(&other, "door", 0);
}
