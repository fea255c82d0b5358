//! TURN credentials that a real TURN server takes.

use std::net::UdpSocket;

use super::*;

/// What a `Link` header says: user name and password.
fn credentials(link: &str) -> (String, String) {
    let value = |key: &str| {
        let (_, rest) = link.split_once(&format!("{key}=\"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    (value("username"), value("credential"))
}

/// coturn on loopback.
struct Coturn(Child, u16);

impl Coturn {
    fn start(folder: &Folder, secret: &str) -> Self {
        let port = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nlistening-port={port}\nuse-auth-secret\nstatic-auth-secret={secret}\n\
             realm=example.org\nno-tls\nno-dtls\nno-cli\nallow-loopback-peers\nno-stdout-log\nlog-file={log}\npidfile={pid}\nuserdb={db}\n",
            log = folder.path("turn.log"),
            pid = folder.path("turn.pid"),
            db = folder.path("turn.db"),
        );
        let config = folder.write("turn.conf", &config);
        let child = Command::new("turnserver")
            .args(["-c", &config])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let new = Self(child, port);
        eventually("coturn answers", || new.is_up());
        new
    }

    /// Does it answer a binding request (RFC 8489 section 5)?
    fn is_up(&self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend([7; 12]);
        let _ = socket.send_to(&request, ("127.0.0.1", self.1));
        socket.recv(&mut [0; 512]).is_ok()
    }

    /// Does it relay for this user?
    fn takes(&self, user: &str, password: &str) -> bool {
        // Sends one message to itself through two allocations.
        let port = self.1.to_string();
        let words = [
            "-y",
            "-n",
            "1",
            "-c",
            "-u",
            user,
            "-w",
            password,
            "-p",
            &port,
            "127.0.0.1",
        ];
        let run = Command::new("turnutils_uclient")
            .args(words)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        text.contains("Total lost packets 0 ")
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn coturn_relays_for_whoever_was_let_in() {
    assert!(
        exists("turnserver") && exists("turnutils_uclient"),
        "Debian's package coturn is needed"
    );
    let folder = Folder::new("coturn");
    let coturn = Coturn::start(&folder, "n0rth");
    let secret = folder.write("secret", "n0rth\n");
    let turn = format!("turn://127.0.0.1:{}?transport=udp", coturn.1);
    let server = Server::start(&[
        "--turn-server",
        &turn,
        "--turn-secret-file",
        &secret,
        "--turn-ttl",
        "10m",
    ]);
    let mut publisher = Publisher::up(&server, "cam", None);
    let (one, other) = (
        publisher.watched(&server, "cam", None),
        publisher.watched(&server, "cam", None),
    );
    let (user, password) = credentials(one.headers("link")[0]);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let ends: u64 = user.split_once(':').unwrap().0.parse().unwrap();
    assert!((now + 590..=now + 600).contains(&ends), "{user} at {now}");
    assert_ne!(
        user,
        credentials(other.headers("link")[0]).0,
        "one for each session"
    );
    assert!(coturn.takes(&user, &password));
    assert!(!coturn.takes(&user, "guess"));
    assert!(!coturn.takes(
        &user.replace(&ends.to_string(), &(ends + 1).to_string()),
        &password
    ));
}

#[test]
fn credentials_are_renewed_before_they_end() {
    let folder = Folder::new("renewed");
    let secret = folder.write("secret", "n0rth\n");
    let server = Server::start(&[
        "--turn-server",
        "turn://turn.example",
        "--turn-secret-file",
        &secret,
        "--turn-ttl",
        "2s",
    ]);
    let mut publisher = Publisher::up(&server, "cam", None);
    let watched = publisher.watched(&server, "cam", None);
    let ends = |user: &str| user.split_once(':').unwrap().0.parse::<u64>().unwrap();
    let first = ends(&credentials(watched.headers("link")[0]).0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for role in ["view", "publish"] {
        let stream = if role == "view" { "cam" } else { "other" };
        let (welcome, renewed) = runtime.block_on(async {
            let mut socket = load::dial(server.address(), 1, false).await;
            let hello = serde_json::json!({"type": "hello", "version": "sigmund.v1", "role": role, "stream": stream});
            load::tell(&mut socket, &hello).await;
            let welcome = load::hear(&mut socket).await;
            (welcome, load::hear(&mut socket).await)
        });
        assert_eq!(
            (&welcome["type"], &renewed["type"]),
            (&"welcome".into(), &"ice-servers".into())
        );
        let user = |message: &serde_json::Value| {
            ends(message["iceServers"][0]["username"].as_str().unwrap())
        };
        assert!(user(&renewed) > user(&welcome), "{renewed} after {welcome}");
    }
    // Who calls by HTTP gets them when it asks after its session.
    let asked = send(
        server.address(),
        "GET",
        watched.headers("location")[0],
        "",
        "",
    );
    assert_eq!(asked.status, 204);
    let (user, password) = credentials(asked.headers("link")[0]);
    assert!(ends(&user) > first && !password.is_empty(), "{user}");
}
