//! `rtcsrc` takes nothing from a publisher whose certificate is not the one that
//! its description names.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sigmund_tests::publisher::Command;
use sigmund_tests::{Host, Publisher, eventually};

use crate::scenes::{PICTURE, SOON, Stage};

const LOOK: &str = "fakesink name=sink";

/// Stands between HTTP client and server, and writes another fingerprint into
/// the descriptions that pass one way, as long as it lies.
struct Liar {
    port: u16,
    lies: Arc<AtomicBool>,
}

/// Whose descriptions are changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Client,
    Server,
}

impl Liar {
    fn new(host: &Host, server: SocketAddr, of: Of) -> Self {
        let listener = host.run(|| TcpListener::bind((host.address(), 0)).unwrap());
        let port = listener.local_addr().unwrap().port();
        let lies = Arc::new(AtomicBool::new(true));
        let (flag, host) = (lies.clone(), host.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(upstream) = host.run(|| TcpStream::connect(server)) else {
                    continue;
                };
                let ways = [
                    (&client, &upstream, of == Of::Client),
                    (&upstream, &client, of == Of::Server),
                ];
                for (from, to, changed) in ways {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let lies = changed.then(|| flag.clone());
                    thread::spawn(move || pass(from, to, lies));
                }
            }
        });
        Self { port, lies }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, lies: Option<Arc<AtomicBool>>) {
    let mut chunk = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        let chunk = &mut chunk[..count];
        if lies.as_ref().is_some_and(|it| it.load(Ordering::Relaxed)) {
            change(chunk);
        }
        if to.write_all(chunk).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// The first digit of each fingerprint is another one.
fn change(bytes: &mut [u8]) {
    let mark = b"fingerprint:sha-256 ";
    let places = bytes.windows(mark.len() + 1).enumerate();
    let places: Vec<_> = places
        .filter(|(_, window)| window.starts_with(mark))
        .map(|(at, _)| at + mark.len())
        .collect();
    for place in places {
        bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
    }
}

fn received(receiver: &mut Publisher) -> u64 {
    let stats = receiver.get("sink", "stats");
    stats["rendered"].as_u64().unwrap_or(0)
}

/// The impostor is left before anything of it is read; once nobody lies, the
/// same two get together.
fn refuses(receiver: &mut Publisher, liar: &Liar) {
    receiver.warning("nothing is taken from this publisher");
    assert_eq!(receiver.count(Command::Decrypted), 0, "it was listened to");
    assert_eq!(received(receiver), 0);
    assert!(receiver.emissions("peer-added").is_empty());
    liar.lies.store(false, Ordering::Relaxed);
    eventually(4 * SOON, "media of an honest publisher", || {
        (received(receiver) > 30).then_some(())
    });
    assert!(receiver.count(Command::Decrypted) > 0);
    receiver.assert_healthy();
}

#[test]
fn an_impostor_that_is_called_by_whep_is_not_heard() {
    let Some(stage) = Stage::new() else { return };
    let sender = stage.show("");
    sender.whep("cam");
    let server = SocketAddr::from((stage.server.address(), 8080));
    let liar = Liar::new(&stage.viewer, server, Of::Server);
    let uri = format!(
        "whep+http://{}:{}/whep/cam",
        stage.viewer.address(),
        liar.port
    );
    let mut receiver = Publisher::start(
        &stage.viewer,
        &format!("rtcsrc name=src uri={uri} src. ! video/x-raw ! {LOOK}"),
    );
    refuses(&mut receiver, &liar);
}

#[test]
fn an_impostor_that_calls_by_whip_is_not_heard() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let mut receiver = Publisher::start(
        &stage.server,
        &format!(
            "rtcsrc name=src uri=listen://{address}:8080/cam allow-anonymous=true \
             src. ! video/x-raw ! {LOOK}"
        ),
    );
    let server = SocketAddr::from((address, 8080));
    let liar = Liar::new(&stage.viewer, server, Of::Client);
    let uri = format!(
        "whip+http://{}:{}/whip/cam",
        stage.viewer.address(),
        liar.port
    );
    let _sender = Publisher::start(
        &stage.viewer,
        &format!("{PICTURE} ! rtcsink name=cam uri={uri}"),
    );
    refuses(&mut receiver, &liar);
}
