//! Paths that are lost: who notices, how soon, and when media are back. By
//! themselves: nobody joins again.

use std::thread;
use std::time::{Duration, Instant};

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::world::{PICTURE, VIEWER, World};
use sigmund_tests::{Host, Nat, Publisher, Site, eventually, page};

/// No new picture for so long: media are interrupted.
const STILL: Duration = Duration::from_millis(900);

/// Within this either side knows that the far side is gone.
const NOTICED: Duration = Duration::from_secs(10);

/// What a machine that is busy adds to what is measured.
const SLACK: Duration = Duration::from_secs(4);

/// Both kinds of viewers of one publisher.
struct Play {
    world: World,
    publisher: Publisher,
    site: Site,
    audience: Vec<Audience>,
}

/// Somebody who watches, and where.
struct Audience {
    eyes: Eyes,
    site: Site,
}

enum Eyes {
    Chromium(Browser),
    Rtcsrc(Publisher),
}

impl Eyes {
    fn name(&self) -> &'static str {
        match self {
            Self::Chromium(_) => "Chromium",
            Self::Rtcsrc(_) => "rtcsrc",
        }
    }

    /// A number that changes with each picture.
    fn picture(&mut self) -> u64 {
        match self {
            Self::Chromium(browser) => page::shown(browser),
            Self::Rtcsrc(element) => element.look("look").buffers,
        }
    }

    /// Waits until pictures come; since when.
    fn sees(&mut self, limit: Duration) -> Instant {
        let what = format!("{} has pictures", self.name());
        let before = self.picture();
        eventually(limit, &what, || {
            (self.picture() != before).then(Instant::now)
        })
    }

    /// Watches until pictures have stopped and come back; how long after
    /// `since` they did. Zero if they never stopped.
    fn back(&mut self, since: Instant, limit: Duration) -> Duration {
        let (mut last, mut changed) = (self.picture(), Instant::now());
        let end = since + limit;
        let mut stopped = false;
        loop {
            thread::sleep(Duration::from_millis(50));
            let now = self.picture();
            if now != last {
                if stopped {
                    return since.elapsed();
                }
                (last, changed) = (now, Instant::now());
            }
            stopped |= changed.elapsed() > STILL;
            if Instant::now() > end {
                assert!(!stopped, "{}: no pictures after {limit:?}", self.name());
                return Duration::ZERO;
            }
        }
    }
}

impl Play {
    /// Publisher and viewers behind routers of these kinds, and all of them watch.
    fn new(publisher: Nat, viewer: Nat, properties: &str) -> Option<Self> {
        let mut world = World::new()?;
        let site = world.internet.site("cam", publisher);
        let publisher = publish(&world, &site, properties);
        let trust = world.turn.chromium_trust();
        let sites = ["chromium", "rtcsrc"].map(|label| world.internet.site(label, viewer));
        let [one, other] = sites;
        let browser = Browser::start_with(one.host(), Kind::Chromium, &[&trust]);
        eventually(Duration::from_secs(30), "the stream is there", || {
            let listed = world.relay.streams(world.turn.host())?;
            (listed.len() == 1).then_some(())
        });
        browser.open(&world.relay.page("cam"));
        let receiver = format!(
            "rtcsrc name=src uri={} ice-servers={} tls-ca={} ! videoconvert ! \
             video/x-raw,format=I420 ! identity name=look ! fakesink sync=false",
            world.relay.uri("cam"),
            world.ice_servers(VIEWER),
            world.turn.certificate(),
        );
        let receiver = Publisher::start_with(other.host(), &receiver, &[LOG]);
        let mut play = Self {
            world,
            publisher,
            site,
            audience: vec![
                Audience {
                    eyes: Eyes::Chromium(browser),
                    site: one,
                },
                Audience {
                    eyes: Eyes::Rtcsrc(receiver),
                    site: other,
                },
            ],
        };
        for it in &mut play.audience {
            it.eyes.sees(Duration::from_secs(30));
        }
        // The first seconds are spent on better pairs.
        thread::sleep(Duration::from_secs(2));
        Some(play)
    }

    /// Something happens to the path; all must see pictures again, so long
    /// after `since` at most.
    fn assert_back(&mut self, what: &str, since: Instant, limit: Duration) -> Vec<Duration> {
        let limit = limit + SLACK;
        thread::scope(|scope| {
            let audience = self.audience.iter_mut();
            let threads = audience.map(|it| scope.spawn(move || it.eyes.back(since, limit)));
            let threads: Vec<_> = threads.collect();
            let times = threads.into_iter().map(|it| it.join().unwrap());
            let times: Vec<_> = times.collect();
            eprintln!(
                "{what}: pictures are back after {:.1} s (Chromium), {:.1} s (rtcsrc)",
                times[0].as_secs_f32(),
                times[1].as_secs_f32()
            );
            times
        })
    }

    /// Peers are the same to the application, whatever became of connections.
    fn assert_same_peers(&self) {
        assert_eq!(self.publisher.emissions("peer-added").len(), 2);
        assert_eq!(self.publisher.emissions("peer-removed").len(), 0);
    }
}

const LOG: (&str, &str) = ("GST_DEBUG", "rtc*:4");

fn publish(world: &World, site: &Site, properties: &str) -> Publisher {
    let sink = format!(
        "rtcsink name=sink uri={} ice-servers={} tls-ca={} {properties}",
        world.relay.uri(site.label()),
        world.ice_servers(site.nat().name()),
        world.turn.certificate(),
    );
    Publisher::start_with(site.host(), &format!("{PICTURE} ! {sink}"), &[LOG])
}

/// Its log says that a connection was found to be lost: after how long, and why.
fn noticed(element: &Publisher, since: Instant, before: usize) -> (Duration, String) {
    let mark = "gets another connection, after ";
    let what = "a lost connection is noticed";
    eventually(NOTICED + SLACK, what, || {
        let log = element.log();
        let cause = log.split(mark).nth(before + 1)?;
        let cause = cause.lines().next().unwrap_or_default().to_owned();
        Some((since.elapsed(), cause))
    })
}

fn losses(element: &Publisher) -> usize {
    element
        .log()
        .matches("gets another connection, after ")
        .count()
}

/// What a DHCP server does to a host: another address, and the route again.
fn readdress(site: &Site, host: &Host) {
    let (old, router) = (host.address().to_string(), site.gateway().to_string());
    let new = site.spare().to_string();
    host.output("ip", &["address", "flush", "dev", "eth0"]);
    host.output(
        "ip",
        &["address", "add", &format!("{new}/24"), "dev", "eth0"],
    );
    host.output("ip", &["route", "replace", "default", "via", &router]);
    assert_ne!(old, new);
}

#[test]
fn a_cable_that_is_out_for_five_seconds() {
    let Some(mut play) = Play::new(Nat::PortRestricted, Nat::FullCone, "") else {
        return;
    };
    let since = Instant::now();
    let (host, gateway) = (play.site.host().clone(), play.site.gateway());
    host.output("ip", &["link", "set", "eth0", "down"]);
    let plug = thread::spawn(move || {
        thread::sleep(Duration::from_secs(5));
        host.output("ip", &["link", "set", "eth0", "up"]);
        let gateway = gateway.to_string();
        host.output("ip", &["route", "replace", "default", "via", &gateway]);
    });
    play.assert_back("cable out for 5 s", since, Duration::from_secs(20));
    plug.join().unwrap();
    play.assert_same_peers();
}

#[test]
fn another_address() {
    let Some(mut play) = Play::new(Nat::PortRestricted, Nat::FullCone, "") else {
        return;
    };
    let since = Instant::now();
    let host = play.site.host().clone();
    readdress(&play.site, &host);
    play.assert_back("another address", since, Duration::from_secs(8));
    // And now theirs.
    thread::sleep(Duration::from_secs(2));
    let since = Instant::now();
    for viewer in &play.audience {
        readdress(&viewer.site, viewer.site.host());
    }
    play.assert_back("another address of viewers", since, Duration::from_secs(14));
    play.assert_same_peers();
}

#[test]
fn a_router_that_forgets_its_mappings() {
    let Some(mut play) = Play::new(Nat::Symmetric, Nat::FullCone, "") else {
        return;
    };
    let since = Instant::now();
    play.site.router().output("conntrack", &["-F"]);
    play.assert_back("NAT rebinding", since, Duration::from_secs(20));
    play.assert_same_peers();
}

#[test]
fn a_turn_server_that_starts_again() {
    let policy = "ice-transport-policy=relay";
    let Some(mut play) = Play::new(Nat::PortRestricted, Nat::PortRestricted, policy) else {
        return;
    };
    let since = Instant::now();
    play.world.turn.restart();
    play.assert_back("TURN server restarted", since, Duration::from_secs(25));
    play.assert_same_peers();
}

#[test]
fn the_far_side_is_gone_without_a_word() {
    let Some(mut play) = Play::new(Nat::FullCone, Nat::FullCone, "") else {
        return;
    };
    // The publisher's cable: both viewers are to notice.
    let since = Instant::now();
    play.site
        .host()
        .output("ip", &["link", "set", "eth0", "down"]);
    for it in &mut play.audience {
        match &it.eyes {
            Eyes::Chromium(browser) => {
                let what = "the page notices";
                let took = eventually(NOTICED + SLACK, what, || {
                    let state = browser.ask("return document.body.dataset.state;", &[]);
                    (state != "playing").then(|| since.elapsed())
                });
                eprintln!("publisher gone: Chromium's page notices after {took:?}");
            }
            Eyes::Rtcsrc(element) => {
                let (took, cause) = noticed(element, since, 0);
                eprintln!("publisher gone: rtcsrc notices after {took:?}: {cause}");
            }
        }
    }
    let (took, cause) = noticed(&play.publisher, since, 1);
    eprintln!("viewers gone: rtcsink notices both after {took:?}: {cause}");
}

#[test]
fn a_publisher_that_is_killed_is_followed_by_another() {
    let Some(mut play) = Play::new(Nat::FullCone, Nat::FullCone, "") else {
        return;
    };
    let since = Instant::now();
    let old = std::mem::replace(&mut play.publisher, publish(&play.world, &play.site, ""));
    // Dropped is killed.
    drop(old);
    play.assert_back(
        "publisher killed, another starts",
        since,
        Duration::from_secs(30),
    );
    let before = losses(&play.publisher);
    // And a viewer that is killed, which the server notices.
    let since = Instant::now();
    let added = play.publisher.emissions("peer-added").len();
    play.audience.pop();
    eventually(NOTICED, "a killed viewer is removed", || {
        let gone = play.publisher.emissions("peer-removed").len();
        (gone > 0 || losses(&play.publisher) > before).then_some(())
    });
    eprintln!(
        "of {added} viewers one is killed: rtcsink notices after {:?}",
        since.elapsed()
    );
}
