//! Does the lab do what the other tiers rely on?
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use sigmund_tests::browser::{self, Browser, Kind};
use sigmund_tests::publisher::Command;
use sigmund_tests::{Host, Lab, Publisher, eventually, media, page};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn hosts_reach_each_other_and_nothing_else() {
    let Some(mut lab) = Lab::new() else { return };
    let (server, client) = (lab.host("server"), lab.host("client"));
    let listener = server.run(|| TcpListener::bind((server.address(), 4000)).unwrap());
    let echo = thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        let mut word = [0; 5];
        stream.read_exact(&mut word).unwrap();
        (word, from.ip())
    });
    client.run(|| {
        let mut stream = TcpStream::connect((server.address(), 4000)).unwrap();
        stream.write_all(b"hello").unwrap();
        assert!(
            TcpStream::connect(("192.0.2.1", 80)).is_err(),
            "a way out of the lab"
        );
    });
    assert_eq!(echo.join().unwrap(), (*b"hello", client.address().into()));
}

#[test]
fn labs_do_not_see_each_other() {
    let Some(mut lab) = Lab::new() else { return };
    let mut other = Lab::new().unwrap();
    let (here, there) = (lab.host("a"), other.host("a"));
    assert_eq!(here.address(), there.address());
    let _listener = here.run(|| TcpListener::bind((here.address(), 4000)).unwrap());
    let there = other.host("b");
    assert!(
        there
            .run(|| TcpStream::connect((here.address(), 4000)))
            .is_err()
    );
}

#[test]
fn a_hermit_has_only_loopback() {
    let Some(mut lab) = Lab::new() else { return };
    let hermit = lab.hermit("hermit");
    let links = hermit.output("ip", &["-brief", "link"]);
    assert_eq!(links.lines().count(), 1, "{links}");
}

#[test]
fn loss_is_what_it_says() {
    let Some(mut lab) = Lab::new() else { return };
    let (server, client) = (lab.host("server"), lab.host("client"));
    let receiver = server.run(|| UdpSocket::bind((server.address(), 4000)).unwrap());
    receiver
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let arrived = |percent| {
        server.lose(percent);
        client.run(|| {
            let sender = UdpSocket::bind((client.address(), 0)).unwrap();
            for _ in 0..200 {
                sender.send_to(b"packet", (server.address(), 4000)).unwrap();
            }
        });
        (0..)
            .take_while(|_| receiver.recv(&mut [0; 10]).is_ok())
            .count()
    };
    assert_eq!(arrived(0), 200);
    assert!((60..140).contains(&arrived(50)));
    assert_eq!(arrived(0), 200);
}

#[test]
fn a_lab_that_ends_takes_its_processes_along() {
    let Some(mut lab) = Lab::new() else { return };
    let host = lab.host("host");
    let mut publisher = Publisher::start(&host, "fakesrc is-live=true ! fakesink");
    publisher.get("fakesink0", "sync");
    drop(lab);
    let gone = publisher.request(Command::Encoders);
    assert!(gone.is_err(), "{gone:?}");
}

#[test]
fn a_publisher_does_as_it_is_told_and_counts() {
    let Some(mut lab) = Lab::new() else { return };
    let host = lab.host("host");
    let mut publisher = Publisher::start(
        &host,
        "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240 ! \
         identity name=stamp ! tee name=tee ! vp8enc name=enc deadline=1 ! fakesink",
    );
    eventually(SOON, "some frames are encoded", || {
        let encoders = publisher.video_encoders();
        (encoders.len() == 1 && encoders[0].frames > 10).then_some(())
    });
    assert!(publisher.count(Command::Stamped) > 10);
    publisher.set("enc", "target-bitrate", "123000");
    assert_eq!(publisher.get("enc", "target-bitrate"), 123_000);
    assert!(
        publisher
            .request(Command::Set {
                element: "enc".into(),
                property: "nonsense".into(),
                value: "1".into(),
            })
            .is_err()
    );
    for state in ["null", "playing", "ready", "playing"] {
        publisher.state(state);
    }
    let usage = publisher.usage();
    assert!(
        usage.threads > 1 && usage.files > 3 && usage.memory > 5_000,
        "{usage:?}"
    );
    publisher.assert_healthy();
    publisher.ask(Command::Eos);
    publisher.wait_for("the end", |event| {
        matches!(event, sigmund_tests::publisher::Event::Eos).then_some(())
    });
}

#[test]
fn a_pipeline_that_cannot_be_is_an_error_event() {
    let Some(mut lab) = Lab::new() else { return };
    let publisher = Publisher::start(&lab.host("host"), "nonsense ! fakesink");
    assert!(publisher.error().contains("nonsense"));
}

const PAGE: &str = "<!doctype html><link rel=icon href=data:,><body><video muted></video><script>
    const video = document.querySelector('video');
    const load = async () => {
      video.src = URL.createObjectURL(await (await fetch('/film')).blob());
      await video.play();
      document.body.dataset.state = 'playing';
    };
    load();
    </script>";

/// A server on `host` for the page and its film, until the test ends.
fn serve(host: &Host, film: Vec<u8>) -> String {
    let listener = host.run(|| TcpListener::bind((host.address(), 0)).unwrap());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            let (kind, body) = match request.starts_with("GET /film") {
                true => ("video/webm", film.as_slice()),
                false => ("text/html", PAGE.as_bytes()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n"
            );
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(body));
        }
    });
    format!("http://{address}/")
}

/// A page that plays a file with stamps and a tone, without any network.
fn local_page(kind: Kind) {
    let Some(mut lab) = Lab::new() else { return };
    let _turn = browser::turn();
    let film = media::file(
        "tone.webm",
        "webmmux name=mux videotestsrc num-buffers=600 pattern=ball ! \
         video/x-raw,format=I420,width=640,height=480,framerate=30/1 ! identity name=stamp ! \
         vp8enc deadline=1 target-bitrate=1000000 ! mux. \
         audiotestsrc num-buffers=860 freq=440 ! audioconvert ! opusenc ! mux. mux.",
    );
    let viewer = lab.host("viewer");
    let address = serve(&viewer, fs::read(film).unwrap());
    let browser = Browser::start(&viewer, kind);
    browser.open(&address);
    page::await_playing(&browser);
    page::assert_smooth(&browser, 640, 480);
    let watched = page::stamps(&browser, 1);
    assert!(watched.unread <= 1, "{watched:?}");
    let script = "const audio = new AudioContext();
                  const oscillator = audio.createOscillator();
                  const there = audio.createMediaStreamDestination();
                  oscillator.connect(there);
                  oscillator.start();
                  return lab.tone(there.stream, 8);";
    let tone = page::ask(&browser, script, &[]).as_f64().unwrap();
    assert!((tone - 440.0).abs() < 12.0, "{tone} Hz");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.ask("console.error('a complaint');", &[]);
    eventually(SOON, "the complaint is heard", || {
        browser
            .complaints()
            .iter()
            .any(|c| c.contains("a complaint"))
            .then_some(())
    });
    browser.ask("setTimeout(() => { throw new Error('thrown'); });", &[]);
    eventually(SOON, "what is thrown is heard", || {
        browser
            .complaints()
            .iter()
            .any(|c| c.contains("thrown"))
            .then_some(())
    });
}

#[test]
fn chromium_plays_is_read_and_heard() {
    local_page(Kind::Chromium);
}

#[test]
fn firefox_plays_is_read_and_heard() {
    local_page(Kind::Firefox);
}
