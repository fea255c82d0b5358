//! It runs: forwards, stops, reads its options again, and counts.

use super::*;

#[test]
fn viewers_reach_a_publisher_through_it() {
    let server = Server::start(&["--ice-server", "stun://stun.example"]);
    assert_eq!(server.join("cam", None).status, 404);
    let mut publisher = Publisher::up(&server, "cam", None);
    let reply = publisher.watched(&server, "cam", None);
    assert_eq!((reply.status, reply.body.as_str()), (201, ANSWER));
    assert_eq!(
        reply.headers("link"),
        ["<stun:stun.example:3478>; rel=\"ice-server\""]
    );
    let list = server.get("/streams", "").body;
    assert_eq!(
        list,
        r#"{"streams":[{"kind":"publish","name":"cam","viewers":1}]}"#
    );
    let gone = send(
        server.address(),
        "DELETE",
        reply.headers("location")[0],
        "",
        "",
    );
    assert_eq!(gone.status, 200);
    let event = publisher.event();
    assert!(
        matches!(event, Event::Incoming(Incoming::Left { .. })),
        "{event:?}"
    );
    let html = server.get("/", "");
    assert!(
        html.status == 200 && html.body.contains("<html"),
        "{html:?}"
    );
}

#[test]
fn a_signal_ends_it_in_good_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let server = Server::start(&[]);
        let address = server.address();
        let mut publisher = Publisher::up(&server, "cam", None);
        let begun = Instant::now();
        let (code, log) = server.end(signal);
        assert_eq!(code, Some(0), "{log}");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        let event = publisher.event();
        assert!(matches!(event, Event::Down { .. }), "{event:?}");
        // Its port is free, and its publisher comes back.
        let again = Server::at(&address.to_string(), &[]);
        let event = publisher.event();
        assert!(matches!(event, Event::Up { .. }), "{event:?}");
        assert!(again.get("/streams", "").body.contains("cam"));
    }
}

#[test]
fn a_hang_up_reads_the_options_again() {
    let folder = Folder::new("hang-up");
    let file = folder.write("a.toml", "anonymous = \"all\"\n");
    let server = Server::start(&["--config", &file]);
    let mut publisher = Publisher::up(&server, "cam", None);
    let first = publisher.watched(&server, "cam", None);
    folder.write(
        "a.toml",
        "anonymous = \"view\"\n[limits]\nviewers-per-stream = 1\n",
    );
    assert_eq!(
        publisher.watched(&server, "cam", None).status,
        201,
        "not before it is told"
    );
    server.signal(Signal::SIGHUP);
    // A viewer who comes before would be let in, and wait for an answer.
    eventually("they have been read", || {
        server.log().contains("read again")
    });
    assert_eq!(server.join("cam", None).status, 503);
    let mut refused = Publisher::new(&server, "other", None);
    let event = refused.event();
    assert!(matches!(event, Event::Failed(_)), "{event:?}");
    // Who is here stays.
    let location = first.headers("location")[0];
    assert_eq!(send(server.address(), "GET", location, "", "").status, 204);
    // Nonsense changes nothing.
    folder.write("a.toml", "anonymus = \"all\"\n");
    server.signal(Signal::SIGHUP);
    eventually("it is said", || server.log().contains("anonymus"));
    assert_eq!(server.join("cam", None).status, 503);
    assert_eq!(server.end(Signal::SIGTERM).0, Some(0));
}

#[test]
fn metrics_are_for_the_machine_and_for_those_with_the_right() {
    let folder = Folder::new("metrics");
    let tokens = folder.write(
        "tokens",
        "c0unter metrics *\nv1ewer view *\npub1isher publish *\n",
    );
    let words = ["--token-file", &tokens, "--metrics-listen", "127.0.0.1:0"];
    let server = Server::start(&words);
    let mut publisher = Publisher::up(&server, "cam", Some("pub1isher"));
    publisher.watched(&server, "cam", Some("v1ewer"));
    server.join("none", Some("v1ewer"));
    server.join("cam", Some("nobody"));
    let text = server.get("/metrics", "");
    assert_eq!(text.status, 200);
    for line in [
        "sigmund_streams 1",
        "sigmund_stream_viewers{stream=\"cam\"} 1",
        "sigmund_sessions{state=\"live\"} 1",
        "sigmund_sessions{state=\"waiting\"} 0",
        "sigmund_joins_total{protocol=\"whep\"} 1",
        "sigmund_join_seconds_count{protocol=\"whep\"} 1",
        "sigmund_denied_total{cause=\"bad-token\"} 1",
        "sigmund_publications_total 1",
    ] {
        assert!(
            text.body.lines().any(|it| it == line),
            "{line} in {}",
            text.body
        );
    }
    assert!(text.body.ends_with("# EOF\n"), "{}", text.body);
    // A proxy on this machine speaks for others.
    let proxied = |token: &str| {
        let headers = format!("X-Forwarded-For: 192.0.2.1\r\nAuthorization: Bearer {token}\r\n");
        server.get("/metrics", &headers).status
    };
    assert_eq!(
        (proxied("c0unter"), proxied("v1ewer"), proxied("x")),
        (200, 403, 401)
    );
    let beside = address(&server.announced[1].replace("/metrics", ""));
    assert_eq!(send(beside, "GET", "/metrics", "", "").status, 200);
    assert_eq!(send(beside, "GET", "/streams", "", "").status, 404);
}

#[test]
fn media_are_counted_as_publishers_report_them() {
    let server = Server::start(&[]);
    let mut publisher = Publisher::up(&server, "cam", None);
    publisher.watched(&server, "cam", None);
    let mut viewer = Client::viewer(&server, "cam", None);
    viewer.up();
    let peer = publisher.0.joined();
    let report = |bytes_sent, packets_sent, packets_lost, rtt| {
        let report = sigmund::message::v1::Report {
            bytes_sent,
            packets_sent,
            packets_lost,
            rtt,
            ..Default::default()
        };
        let peer = peer.clone();
        assert!(
            publisher
                .0
                .supervisor
                .send(Outgoing::Report { peer, report })
        );
    };
    report(1000, 10, 1, Some(0.03));
    report(3000, 30, 2, Some(0.3));
    // Nobody takes anything back, and nonsense counts for nothing.
    report(0, 0, 0, Some(f64::NAN));
    report(100, 1, 50, Some(-1.0));
    let text = || server.get("/metrics", "").body;
    let last = "sigmund_media_bytes_total{direction=\"sent\"} 3100";
    eventually("all are counted", || text().contains(last));
    for line in [
        "sigmund_media_packets_total 31",
        "sigmund_media_packets_lost_total 3",
        "sigmund_media_rtt_seconds_count 2",
        "sigmund_media_rtt_seconds_bucket{le=\"0.05\"} 1",
    ] {
        assert!(text().contains(line), "{line} in {}", text());
    }
}

#[test]
fn failures_are_counted_by_their_cause() {
    let server = Server::start(&[
        "--limit",
        "answer-timeout=100ms",
        "--limit",
        "join-burst=3",
        "--limit",
        "joins-per-second=1",
    ]);
    let mut publisher = Publisher::up(&server, "cam", None);
    // Nobody answers it.
    assert_eq!(server.join("cam", None).status, 504);
    publisher.watched(&server, "cam", None);
    publisher.watched(&server, "cam", None);
    eventually("it is too often", || server.join("cam", None).status == 429);
    let text = server.get("/metrics", "").body;
    for cause in ["timeout", "too-often"] {
        let begin = format!("sigmund_join_failures_total{{protocol=\"whep\",cause=\"{cause}\"}}");
        assert!(text.contains(&begin), "{begin} in {text}");
    }
}

#[test]
fn the_log_is_for_programs_and_holds_no_secrets() {
    let folder = Folder::new("log");
    let tokens = folder.write("tokens", "s3cret all *\n");
    let server = Server::start(&["--token-file", &tokens, "--log-format", "json"]);
    let mut publisher = Publisher::up(&server, "cam", Some("s3cret"));
    publisher.watched(&server, "cam", Some("s3cret"));
    server.join("cam", Some("wr0ng"));
    drop(publisher);
    let (_, log) = server.end(Signal::SIGTERM);
    assert!(log.contains("a stream is here"), "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "INFO", "{line}");
    }
    for secret in [
        "s3cret",
        "wr0ng",
        "v=0",
        "the-answer",
        "ice-ufrag",
        "127.0.0.1",
        "Bearer",
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
