//! Lines that take their time: proven by sockets, and then by joins.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use sigmund_tests::coturn::Accounts;
use sigmund_tests::slow::{Line, Slow};
use sigmund_tests::viewer::Viewer;
use sigmund_tests::{Host, Internet, Publisher, Stage, eventually};

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// Two sockets, by IPv4 or IPv6, the second of which says back what it hears.
fn pair(one: &Host, other: &Host, v6: bool) -> (UdpSocket, UdpSocket) {
    let open = |host: &Host| {
        let socket = host.run(|| match v6 {
            false => UdpSocket::bind((host.address(), 0)).unwrap(),
            true => UdpSocket::bind((host.address6().unwrap(), 0)).unwrap(),
        });
        socket.set_read_timeout(Some(ms(600))).unwrap();
        socket
    };
    let (one, other) = (open(one), open(other));
    one.connect(other.local_addr().unwrap()).unwrap();
    other.connect(one.local_addr().unwrap()).unwrap();
    (one, other)
}

#[test]
fn a_slow_line_is_as_slow_as_it_says() {
    let Some(mut internet) = Internet::new() else {
        return;
    };
    let (far, near) = (internet.public("far"), internet.public("near"));
    for v6 in [false, true] {
        let (one, other) = pair(&near, &far, v6);
        let _slow = Slow::sending(
            &far,
            Line {
                delay: ms(200),
                ..Line::default()
            },
        );
        for _ in 0..3 {
            let start = Instant::now();
            one.send(b"ping").unwrap();
            other.recv(&mut [0; 8]).unwrap();
            let there = start.elapsed();
            other.send(b"pong").unwrap();
            one.recv(&mut [0; 8]).unwrap();
            let back = start.elapsed() - there;
            assert!(there < ms(150), "IPv6 {v6}: {there:?} there");
            assert!(
                (ms(200)..ms(400)).contains(&back),
                "IPv6 {v6}: {back:?} back"
            );
        }
    }
}

#[test]
fn loss_rate_and_queue_are_what_they_say() {
    let Some(mut internet) = Internet::new() else {
        return;
    };
    let (far, near) = (internet.public("far"), internet.public("near"));
    let (one, other) = pair(&near, &far, false);
    let arrived = |count: usize| {
        let start = Instant::now();
        std::thread::scope(|scope| {
            // Read as they come: sockets hold a hundred or so.
            let reader = scope.spawn(|| {
                let (mut took, mut arrived) = (ms(0), 0);
                while one.recv(&mut [0; 1000]).is_ok() {
                    arrived += 1;
                    took = start.elapsed();
                }
                (arrived, took)
            });
            for number in 0..count {
                other.send(&[7; 972]).unwrap();
                if number % 10 == 9 {
                    std::thread::sleep(ms(1));
                }
            }
            reader.join().unwrap()
        })
    };
    let lossy = Line {
        loss: 30,
        ..Line::default()
    };
    let slow = Slow::sending(&far, lossy);
    let (count, _) = arrived(300);
    assert!((150..270).contains(&count), "{count} of 300 arrived");
    drop(slow);
    // 1000 bytes each, with their headers.
    let narrow = Line {
        rate: 100_000,
        queue: 50_000,
        ..Line::default()
    };
    let _slow = Slow::sending(&far, narrow);
    let (count, took) = arrived(100);
    assert!((40..70).contains(&count), "{count} had room");
    assert!(
        (ms(400)..ms(900)).contains(&took),
        "{took:?} for half a second's worth"
    );
}

/// A STUN server 200 ms away, and one that never answers.
fn far_and_dead(stage: &mut Stage) -> (Slow, [(&'static str, String); 4]) {
    let dead = stage.internet.public("dead");
    let silent = "table ip dead {\n chain arriving { type filter hook input priority 0\n \
                  udp dport { 53, 3478 } drop\n }\n }";
    dead.output("nft", &[silent]);
    let line = Line {
        delay: ms(200),
        ..Line::default()
    };
    let slow = Slow::sending(stage.turn.host(), line);
    let far = format!("ice-servers=stun://{}", stage.turn.host().address());
    let never = format!("ice-servers=stun://{}", dead.address());
    // Nor does its name server.
    stage.publisher.asks(dead.address().into());
    let nameless =
        "ice-servers=stun://stun.example.net,turn://joe:secret@turn.example.net".to_owned();
    let streams = [
        ("none", String::new()),
        ("far", far),
        ("dead", never),
        ("nameless", nameless),
    ];
    (slow, streams)
}

fn stage() -> Option<Stage> {
    let accounts = Accounts::Users(vec![("joe".to_owned(), "secret".to_owned())]);
    Stage::new(&accounts, "")
}

/// How long a viewer waits from its offer to the first picture.
fn join(stage: &Stage, stream: &str) -> Duration {
    let viewer = Viewer::join_silent(&stage.viewer, &stage.whep(stream));
    viewer.watch(3);
    viewer.seen().first_frame.unwrap()
}

/// All candidates stand in WHEP's answer, which takes those that are there
/// after half a second.
#[test]
fn by_whep_stun_servers_are_waited_for_half_a_second_at_most() {
    let Some(mut stage) = stage() else { return };
    let (_slow, streams) = far_and_dead(&mut stage);
    let streams = streams.each_ref().map(|it| (it.0, it.1.as_str()));
    let _publisher = stage.publish(&streams);
    // Encoders, and what else comes up once.
    let names = ["none", "far", "dead", "nameless"];
    for stream in names {
        join(&stage, stream);
    }
    let [none, far, dead, nameless] = names.map(|stream| {
        let best = (0..3).map(|_| join(&stage, stream)).min();
        best.unwrap()
    });
    eprintln!(
        "first picture by WHEP: {none:?} without STUN, {far:?} with STUN 200 ms away, {dead:?} \
         with a server that never answers, {nameless:?} without a name server"
    );
    assert!(nameless < none + ms(1200), "{nameless:?}");
    assert!(far < none + ms(800), "{far:?}");
    assert!(dead < none + ms(1200), "{dead:?}");
}

/// What the publisher measures from the viewer's coming to media, in ms.
fn joined(publisher: &mut Publisher, stream: &str) -> u64 {
    let what = format!("somebody watches {stream}");
    eventually(Duration::from_secs(20), &what, || {
        let stats = publisher.get(stream, "stats");
        let mut peers = stats.as_object()?.values();
        peers.find_map(|it| it["joined-in-ms"].as_u64())
    })
}

/// With trickle, who is near does not wait for servers; without, half a second.
#[test]
fn trickle_waits_for_nobody() {
    let Some(mut stage) = stage() else { return };
    let (_slow, servers) = far_and_dead(&mut stage);
    let whole = servers.each_ref().map(|(name, it)| {
        let name = format!("whole-{name}");
        (name, format!("{it} trickle=false"))
    });
    let trickled = servers.map(|(name, it)| (name.to_owned(), it));
    let streams: Vec<_> = trickled.into_iter().chain(whole).collect();
    let listed: Vec<_> = streams
        .iter()
        .map(|it| (it.0.as_str(), it.1.as_str()))
        .collect();
    let mut publisher = stage.publish(&listed);
    let mut join = |stream: &str| {
        let at = stage.publisher.address();
        let receiver = format!(
            "rtcsrc uri=sigmund+ws://{at}:8080/{stream} ! videoconvert ! identity name=look ! \
             fakesink sync=false"
        );
        let _receiver = Publisher::start(&stage.viewer, &receiver);
        joined(&mut publisher, stream)
    };
    let times: Vec<_> = streams
        .iter()
        .map(|(name, _)| (name.clone(), join(name)))
        .collect();
    eprintln!("from hello to media, in ms: {times:?}");
    let of = |name: &str| times.iter().find(|it| it.0 == name).unwrap().1;
    let base = of("none").max(of("whole-none"));
    for stream in ["far", "dead", "nameless"] {
        assert!(of(stream) < base + 700, "{times:?}");
    }
    for stream in ["whole-far", "whole-dead", "whole-nameless"] {
        assert!(of(stream) < base + 1000, "{times:?}");
    }
}
