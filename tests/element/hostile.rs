//! Nonsense and malice get clear answers, and the other viewers notice nothing.

use std::fmt::Write;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use sigmund_tests::description::{self, sections};
use sigmund_tests::http::{self, Response};
use sigmund_tests::viewer::{Manners, Viewer, offer};
use sigmund_tests::{Publisher, whep};

use crate::scenes::Stage;

/// A stream with a viewer, whose picture must not suffer.
struct Scene {
    stage: Stage,
    publisher: Publisher,
    endpoint: String,
    witness: Viewer,
}

impl Scene {
    fn new() -> Option<Self> {
        let mut stage = Stage::alone()?;
        let publisher = stage.show("");
        let endpoint = publisher.whep("cam");
        let witness = Viewer::join_silent(&stage.lab.host("witness"), &endpoint);
        witness.watch(30);
        Some(Self {
            stage,
            publisher,
            endpoint,
            witness,
        })
    }

    fn server(&self) -> SocketAddr {
        (self.stage.server.address(), 8080).into()
    }

    /// An offer as it should be.
    fn offer(&self) -> String {
        offer(&self.stage.viewer, &Manners::silent())
    }

    /// Posts an offer; a session that comes of it is ended at once.
    fn post(&self, sdp: &str) -> Response {
        match whep::offer(&self.stage.viewer, &self.endpoint, sdp, None) {
            Ok(resource) => {
                resource.delete(&self.stage.viewer);
                resource.response
            }
            Err(response) => response,
        }
    }

    /// The witness saw all of it without a stutter, and the element is well.
    #[track_caller]
    fn end(mut self) {
        self.witness.watch(30);
        let seen = self.witness.seen();
        assert_eq!(seen.broken, 0, "{seen:?}");
        assert!(seen.longest_gap < Duration::from_millis(700), "{seen:?}");
        self.publisher.assert_healthy();
    }
}

#[test]
fn descriptions_that_are_none_are_400_with_a_reason() {
    let Some(scene) = Scene::new() else { return };
    let good = scene.offer();
    let fingerprint = |value| description::with_attribute(&good, "fingerprint", value);
    let bad = [
        ("prose", "hello".to_owned()),
        ("a first line", "v=0\r\n".to_owned()),
        ("the beginning of one", good[..good.len() / 6].to_owned()),
        ("zeros", "\0".repeat(100)),
        (
            "media lines",
            "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n".repeat(300),
        ),
        (
            "no fingerprint",
            description::without(&good, "a=fingerprint"),
        ),
        ("no ufrag", description::without(&good, "a=ice-ufrag")),
        ("no password", description::without(&good, "a=ice-pwd")),
        ("no fingerprint's value", fingerprint("sha-256 nonsense")),
        ("a weak hash", fingerprint("md5 00:11:22:33")),
        (
            "no role",
            description::with_attribute(&good, "setup", "sideways"),
        ),
        ("clear text", good.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP")),
    ];
    let answers = bad.map(|(what, sdp)| (what, scene.post(&sdp).status));
    let taken = answers
        .iter()
        .filter(|(_, status)| !matches!(status, 400 | 406));
    assert_eq!(taken.collect::<Vec<_>>(), Vec::<&(&str, u16)>::new());
    scene.post("").expect(400);
    scene.post(&good).expect(201);
    scene.end();
}

#[test]
fn an_offer_without_any_one_of_its_lines_crashes_nothing() {
    let Some(scene) = Scene::new() else { return };
    let good = scene.offer();
    let lines: Vec<_> = good.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let kept = lines.iter().enumerate().filter(|(n, _)| *n != number);
        let less = kept
            .map(|(_, line)| format!("{line}\r\n"))
            .collect::<String>();
        let status = scene.post(&less).status;
        assert!(matches!(status, 201 | 400 | 406), "{status} without {line}");
        let doubled = good.replace(line, &format!("{line}\r\n{line}"));
        let status = scene.post(&doubled).status;
        assert!(
            matches!(status, 201 | 400 | 406),
            "{status} with two {line}"
        );
    }
    scene.end();
}

#[test]
fn rejected_lines_and_data_first_bundles_are_understood() {
    let Some(scene) = Scene::new() else { return };
    let host = &scene.stage.viewer;
    for before in [
        // As Chromium writes a line that it rejects …
        "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:zzzz\r\na=ice-pwd:zzzzzzzzzzzzzzzzzzzzzzzz\r\na=ice-options:trickle\r\n\
         a=fingerprint:FINGERPRINT\r\na=setup:active\r\na=mid:rejected\r\na=recvonly\r\n\
         a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n",
        // … and as Firefox does.
        "m=audio 0 UDP/TLS/RTP/SAVPF 109\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:rejected\r\n\
         a=rtpmap:109 opus/48000/2\r\n",
    ] {
        let fingerprint = description::foreign_fingerprint();
        let before = before.replace("FINGERPRINT", &fingerprint);
        let edit = move |offer: &str| {
            let parts = sections(offer);
            format!("{}{before}{}", parts[0], parts[1..].concat())
        };
        let drop_rejected = |answer: &str| {
            let parts = sections(answer);
            assert!(parts[1].starts_with("m=audio 0 "), "{answer}");
            format!("{}{}", parts[0], parts[2..].concat())
        };
        let viewer = Viewer::join_edited(
            host,
            &scene.endpoint,
            Manners::silent(),
            edit,
            drop_rejected,
        );
        viewer.watch(20);
        viewer.leave();
    }
    let data_first = Manners {
        channels: vec![crate::scenes::channel("data")],
        ..Manners::silent()
    };
    let viewer = Viewer::try_join(host, &scene.endpoint, data_first).unwrap();
    viewer.watch(20);
    viewer.leave();
    scene.end();
}

#[test]
fn candidates_by_the_thousand_are_bounded() {
    let Some(scene) = Scene::new() else { return };
    let mut many = String::new();
    for number in 0..3000 {
        let _ = write!(
            many,
            "a=candidate:{number} 1 udp 1 10.77.0.200 {} typ host\r\n",
            1024 + number
        );
    }
    let status = scene.post(&format!("{}{many}", scene.offer())).status;
    assert!(matches!(status, 201 | 400 | 413), "{status}");

    let host = &scene.stage.viewer;
    let sdp = scene.offer();
    let resource = whep::offer(host, &scene.endpoint, &sdp, None).unwrap();
    let head = format!(
        "a=ice-ufrag:{}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{}\r\n",
        description::attribute(&sdp, "ice-ufrag").unwrap(),
        description::attribute(&sdp, "mid").unwrap()
    );
    let batches: Vec<_> = many
        .lines()
        .collect::<Vec<_>>()
        .chunks(50)
        .map(|c| c.join("\r\n"))
        .collect();
    let refused = batches.iter().find_map(|batch| {
        let response = resource.patch(host, &format!("{head}{batch}\r\n"));
        (response.status != 204).then_some(response)
    });
    refused.expect("a bound").expect(429);
    for nonsense in [
        "",
        "a=candidate:",
        "a=candidate:x y z",
        "\0\0\0",
        "a=ice-ufrag:other\r\n",
    ] {
        let status = resource.patch(host, nonsense).status;
        assert!(
            matches!(status, 204 | 400 | 422 | 429),
            "{status} to {nonsense:?}"
        );
    }
    resource.delete(host).expect(200);
    scene.end();
}

#[test]
fn wrong_requests_get_the_status_that_says_so() {
    let Some(scene) = Scene::new() else { return };
    let host = &scene.stage.viewer;
    let sdp = scene.offer();
    let post = |url: &str, headers: &[(&str, &str)], body: &str| {
        http::request(host, "POST", url, headers, body)
    };
    let plain = ("content-type", "application/sdp");
    post(&scene.endpoint, &[("content-type", "text/plain")], &sdp).expect(415);
    post(&scene.endpoint, &[], &sdp).expect(415);
    post(&scene.endpoint, &[plain], &"x".repeat(1_000_000)).expect(413);
    post(&scene.endpoint.replace("cam", "dog"), &[plain], &sdp).expect(404);
    post(
        &scene.endpoint,
        &[plain, ("origin", "http://evil.example")],
        &sdp,
    )
    .expect(403);
    post(&scene.endpoint, &[plain, ("origin", "null")], &sdp).expect(403);
    post(&scene.endpoint, &[plain, ("host", "evil.example")], &sdp).expect(403);
    http::request(host, "PUT", &scene.endpoint, &[], "").expect(405);
    http::request(
        host,
        "DELETE",
        &format!("{}/nobody", scene.endpoint),
        &[],
        "",
    )
    .expect(404);
    let foreign = [("origin", "http://evil.example")];
    http::request(
        host,
        "GET",
        &scene.endpoint.replace("/whep/cam", "/streams"),
        &foreign,
        "",
    )
    .expect(403);
    scene.end();
}

#[test]
fn bytes_that_are_no_http_close_the_connection() {
    let Some(scene) = Scene::new() else { return };
    let patience = Duration::from_secs(1);
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /whep/cam HTTP/1.1\r\nHost: 10.77.0.1:8080\r\nContent-Length: -1\r\n\r\n",
        b"POST /whep/cam HTTP/1.1\r\nHost: 10.77.0.1:8080\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        &[0xff; 70_000],
    ] {
        let answer = http::raw(&scene.stage.viewer, scene.server(), bytes, patience);
        let status = answer.split_whitespace().nth(1).unwrap_or("400");
        assert!(status.starts_with('4'), "{status} to {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
    }
    scene.end();
}

#[test]
fn slow_requests_end_and_keep_nobody_out() {
    let Some(scene) = Scene::new() else { return };
    let server = scene.server();
    let start = Instant::now();
    let mut slow: Vec<TcpStream> = scene.stage.viewer.run(|| {
        let connect = |_| TcpStream::connect(server).unwrap();
        (0..100).map(connect).collect()
    });
    for (number, stream) in slow.iter_mut().enumerate() {
        let head: &[u8] = match number % 2 {
            0 => b"GET / HTTP/1.1\r\nHost: 10.77.0.1:8080\r\nX-Slow: ",
            _ => {
                b"POST /whep/cam HTTP/1.1\r\nHost: 10.77.0.1:8080\r\n\
                   Content-Type: application/sdp\r\nContent-Length: 900\r\n\r\nv=0"
            }
        };
        stream.write_all(head).unwrap();
    }
    scene.post(&scene.offer()).expect(201);
    for mut stream in slow {
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(25),
        "{:?}",
        start.elapsed()
    );
    scene.post(&scene.offer()).expect(201);
    scene.end();
}

#[test]
fn datagrams_of_strangers_are_ignored() {
    let Some(scene) = Scene::new() else { return };
    let host = &scene.stage.viewer;
    let victim = Viewer::join_silent(host, &scene.endpoint);
    victim.watch(10);
    let answer = &victim.resource().answer;
    let candidate = description::attribute(answer, "candidate").expect("an address");
    let port: u16 = candidate
        .split_whitespace()
        .nth(5)
        .unwrap()
        .parse()
        .unwrap();
    host.run(|| {
        let socket = std::net::UdpSocket::bind((host.address(), 0)).unwrap();
        for first in 0..=255u8 {
            let mut datagram = [first; 200];
            datagram[1] = first.wrapping_mul(7);
            let _ = socket.send_to(&datagram, (scene.stage.server.address(), port));
        }
    });
    victim.watch(60);
    assert_eq!(victim.seen().broken, 0);
    scene.end();
}
