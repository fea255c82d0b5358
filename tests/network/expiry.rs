//! Credentials that end in the midst of a session: nothing happens to media
//! while the TURN server keeps its allocations. When it does not, new ones are
//! there, or it is said what is missing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sigmund::access::TurnSecret;
use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::coturn::{Accounts, Coturn};
use sigmund_tests::publisher::Event;
use sigmund_tests::relay::Relay;
use sigmund_tests::world::PICTURE;
use sigmund_tests::{Host, Internet, Nat, Publisher, eventually, page};

/// What the TURN server shares with those who mint.
const SECRET: &str = "north";

/// How long what is minted is good: long enough for a start on a busy machine.
const GOOD: Duration = Duration::from_secs(12);

/// Two homes that reach each other by a relay only, a TURN server that wants
/// what is minted, and a signalling server.
struct Play {
    internet: Internet,
    turn: Coturn,
    relay: Relay,
}

impl Play {
    /// With these arguments for `sigmund serve`.
    fn new(arguments: impl Fn(&Coturn) -> Vec<String>) -> Option<Self> {
        let mut internet = Internet::new()?;
        let (server, turn) = (internet.public("server"), internet.public("turn"));
        let turn = Coturn::start(&turn, &Accounts::Secret(SECRET.to_owned()), "");
        let more = arguments(&turn);
        let mut arguments = vec!["--anonymous", "all"];
        arguments.extend(more.iter().map(String::as_str));
        let relay = Relay::start(&server, &arguments);
        Some(Self {
            internet,
            turn,
            relay,
        })
    }

    fn publish(&self, host: &Host, properties: &str) -> Publisher {
        let publisher = Publisher::start(
            host,
            &format!(
                "{PICTURE} ! rtcsink name=sink uri={} give-up-time=15000 {properties}",
                self.relay.uri("cam")
            ),
        );
        eventually(Duration::from_secs(20), "the stream is there", || {
            let streams = self.relay.streams(self.turn.host())?;
            (streams.len() == 1).then_some(())
        });
        publisher
    }

    fn watch(&self, host: &Host) -> Publisher {
        let source = format!(
            "rtcsrc name=src uri={} give-up-time=15000 ice-servers=stun://{} ! videoconvert ! \
             identity name=look ! fakesink sync=false",
            self.relay.uri("cam"),
            self.turn.host().address(),
        );
        Publisher::start(host, &source)
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn pictures(viewer: &mut Publisher, more: u64) {
    let before = viewer.look("look").buffers;
    eventually(Duration::from_secs(40), "pictures", || {
        (viewer.look("look").buffers > before + more).then_some(())
    });
}

/// Waits for the end of what was minted at `since`, and a bit.
fn expire(since: Duration) {
    let end = since + GOOD + Duration::from_secs(1);
    std::thread::sleep(end.saturating_sub(now()));
}

#[test]
fn new_credentials_are_there_when_the_old_ones_have_ended() {
    let secret = std::env::temp_dir().join(format!("sigmund-secret-{}", std::process::id()));
    std::fs::write(&secret, SECRET).unwrap();
    let Some(mut play) = Play::new(|turn| {
        let server = format!("turn://{}?transport=udp", turn.host().address());
        let good = format!("{}s", GOOD.as_secs());
        let file = secret.to_string_lossy();
        [
            "--turn-server",
            &server,
            "--turn-secret-file",
            &file,
            "--turn-ttl",
            &good,
        ]
        .map(str::to_owned)
        .into()
    }) else {
        return;
    };
    let cam = play.internet.site("cam", Nat::Symmetric);
    let homes = ["one", "other"].map(|label| play.internet.site(label, Nat::Symmetric));
    let _publisher = play.publish(cam.host(), "");
    let mut viewer = play.watch(homes[0].host());
    let browser = Browser::start(homes[1].host(), Kind::Chromium);
    browser.open(&play.relay.page("cam"));
    pictures(&mut viewer, 10);
    page::await_playing(&browser);
    // All that was used so far has ended.
    expire(now());
    let counts = |viewer: &mut Publisher| (viewer.look("look").buffers, page::shown(&browser));
    let before = counts(&mut viewer);
    eventually(Duration::from_secs(5), "media flow on", || {
        let after = counts(&mut viewer);
        (after.0 > before.0 + 10 && after.1 > before.1 + 10).then_some(())
    });
    play.turn.restart();
    let before = counts(&mut viewer);
    eventually(Duration::from_secs(40), "media are back", || {
        let after = counts(&mut viewer);
        // More than what was on its way.
        (after.0 > before.0 + 60 && after.1 > before.1 + 60).then_some(())
    });
    std::fs::remove_file(secret).unwrap();
}

#[test]
fn where_no_secret_is_known_it_is_said_that_they_have_ended() {
    let Some(mut play) = Play::new(|_| Vec::new()) else {
        return;
    };
    let cam = play.internet.site("cam", Nat::Symmetric);
    let home = play.internet.site("home", Nat::Symmetric);
    let minted = now();
    let (user, password) = TurnSecret::new(SECRET, GOOD).mint("joe", minted.as_secs());
    let encode = |it: &str| {
        it.replace(':', "%3A")
            .replace('/', "%2F")
            .replace('+', "%2B")
    };
    let servers = format!(
        "ice-transport-policy=relay ice-servers=turn://{}:{}@{}?transport=udp",
        encode(&user),
        encode(&password),
        play.turn.host().address()
    );
    let publisher = play.publish(cam.host(), &servers);
    let mut viewer = play.watch(home.host());
    pictures(&mut viewer, 10);
    expire(minted);
    pictures(&mut viewer, 10);
    play.turn.restart();
    publisher.wait_for("a warning that says so", |event| match event {
        Event::Warning { text, .. } => {
            let words = ["have expired", "turn-secret"];
            words.iter().all(|it| text.contains(it)).then_some(())
        }
        _ => None,
    });
    let removed = eventually(Duration::from_secs(40), "the viewer is given up", || {
        publisher.emissions("peer-removed").pop()
    });
    let reason = removed[1].as_str().unwrap_or_default();
    assert!(reason.contains("have expired"), "{removed:?}");
}
