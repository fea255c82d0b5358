//! Cells beside the matrix: IPv6, two routers in a row, two people behind the
//! same router, addresses that a cloud maps one to one.

use std::time::{Duration, Instant};

use sigmund_tests::browser::Browser;
use sigmund_tests::internet::{Families, Flow};
use sigmund_tests::world::{PICTURE, Path, SERVER, VIEWER, World, busiest};
use sigmund_tests::{Host, Nat, Publisher, Site, page};

use crate::matrix::With;

use Families::{Dual, V4, V6};
use Nat::{FullCone, None as Public, Only443, PortRestricted, Symmetric};

/// How long media are watched on their way.
const WINDOW: Duration = Duration::from_millis(1200);

/// What passes a router in that time while media do not.
const SIGNALLING: u64 = 4000;

/// The best path that is found within this is the one.
const SETTLED: Duration = Duration::from_secs(15);

/// Where publisher and viewer are.
struct Scene {
    publisher: (Site, Host),
    /// `None`: at the publisher's site.
    viewer: (Option<Site>, Host),
    /// Of the publisher.
    properties: String,
}

/// A scene, and the way that media are to take there: `inside` the one site, or
/// what [`Path`] says, with the families of addresses.
struct Cell {
    name: &'static str,
    build: fn(&mut World, &str) -> Scene,
    way: &'static str,
}

/// All of them.
const CELLS: [Cell; 13] = [
    Cell {
        name: "IPv4 to IPv6",
        build: |world, label| far(world, label, (PortRestricted, V4), (PortRestricted, V6)),
        way: "relay udp by v4 and v6",
    },
    Cell {
        name: "IPv6 only, each behind a firewall",
        build: |world, label| far(world, label, (PortRestricted, V6), (PortRestricted, V6)),
        way: "direct by v6",
    },
    Cell {
        name: "IPv4 behind NATs that never meet, IPv6 beside it",
        build: |world, label| far(world, label, (Symmetric, Dual), (Symmetric, Dual)),
        way: "direct by v6",
    },
    Cell {
        name: "the viewer's IPv6 is broken, and nobody says so",
        build: |world, label| {
            let scene = far(world, label, (PortRestricted, Dual), (PortRestricted, Dual));
            if let Some(site) = &scene.viewer.0 {
                site.break_ipv6();
            }
            scene
        },
        way: "direct by v4",
    },
    Cell {
        name: "IPv6 to IPv4 behind a NAT, with public IPv6 that the other has not",
        build: |world, label| far(world, label, (Public, V6), (Symmetric, V4)),
        way: "relay udp by v6 and v4",
    },
    Cell {
        name: "a home behind a carrier's NAT",
        build: |world, label| behind(world, label, PortRestricted, PortRestricted),
        way: "direct by v4",
    },
    Cell {
        name: "a home behind a carrier's symmetric NAT",
        build: |world, label| behind(world, label, Symmetric, PortRestricted),
        way: "relay udp by v4",
    },
    Cell {
        name: "two homes of one carrier, whose NAT passes nothing back",
        build: |world, label| {
            let mut carrier = world.internet.site(&format!("{label}c"), PortRestricted);
            let [one, other] = ["p", "v"].map(|side| {
                let label = format!("{label}{side}");
                let site = world.internet.behind(&mut carrier, &label, PortRestricted);
                world.acquaint(&site);
                site
            });
            scene(one, other)
        },
        way: "relay udp by v4",
    },
    Cell {
        name: "nothing but port 443 passes, to servers that have names",
        build: |world, label| far(world, label, (PortRestricted, V4), (Only443, V4)),
        way: "relay udp/tls by v4",
    },
    Cell {
        name: "both in one network",
        build: |world, label| one_site(world, label, Symmetric),
        way: "inside",
    },
    Cell {
        name: "both in a network for guests",
        build: |world, label| {
            let scene = one_site(world, label, PortRestricted);
            scene.publisher.0.isolate();
            scene
        },
        way: "relay udp by v4",
    },
    Cell {
        name: "both in a network for guests, and the router passes back",
        build: |world, label| {
            let scene = one_site(world, label, FullCone);
            scene.publisher.0.isolate();
            scene.publisher.0.hairpin();
            scene
        },
        way: "inside",
    },
    Cell {
        name: "a cloud maps an address one to one",
        build: |world, label| {
            let mut scene = far(world, label, (PortRestricted, V4), (Symmetric, V4));
            let (site, host) = &scene.publisher;
            site.router().output(
                "nft",
                &[&format!(
                    "table ip cloud {{\n chain arriving {{ type nat hook prerouting priority -150\n \
                     iifname \"wan\" udp dport 50000-50010 dnat to {}\n }}\n }}",
                    host.address()
                )],
            );
            scene.properties = format!(
                "ice-port-range=50000-50010 ice-external-address={}",
                site.router().address()
            );
            scene
        },
        way: "direct by v4",
    },
];

type Network = (Nat, Families);

/// Two sites on the Internet.
fn far(world: &mut World, label: &str, publisher: Network, viewer: Network) -> Scene {
    let [one, other] = [("p", publisher), ("v", viewer)].map(|(side, (nat, families))| {
        let site = world
            .internet
            .site_of(&format!("{label}{side}"), nat, families);
        world.acquaint(&site);
        site
    });
    scene(one, other)
}

/// The publisher at home, with its router at a carrier's; the viewer is not.
fn behind(world: &mut World, label: &str, carrier: Nat, viewer: Nat) -> Scene {
    let mut carrier = world.internet.site(&format!("{label}c"), carrier);
    let one = world
        .internet
        .behind(&mut carrier, &format!("{label}p"), PortRestricted);
    let other = world.internet.site(&format!("{label}v"), viewer);
    for site in [&one, &other] {
        world.acquaint(site);
    }
    scene(one, other)
}

fn scene(publisher: Site, viewer: Site) -> Scene {
    let hosts = [publisher.host().clone(), viewer.host().clone()];
    let [one, other] = hosts;
    Scene {
        publisher: (publisher, one),
        viewer: (Some(viewer), other),
        properties: String::new(),
    }
}

/// Both behind one router.
fn one_site(world: &mut World, label: &str, nat: Nat) -> Scene {
    let mut site = world.internet.site(label, nat);
    let viewer = world.internet.join(&mut site, &format!("{label}v"));
    let publisher = site.host().clone();
    world.acquaint(&site);
    Scene {
        publisher: (site, publisher),
        viewer: (None, viewer),
        properties: String::new(),
    }
}

impl Scene {
    /// What both routers have passed on.
    fn flows(&self) -> [Vec<Flow>; 2] {
        let publisher = self.publisher.0.flows();
        let viewer = self.viewer.0.as_ref().map(Site::flows);
        [publisher, viewer.unwrap_or_default()]
    }

    /// The way that media take at present.
    fn way(&self, world: &World) -> String {
        let before = self.flows();
        std::thread::sleep(WINDOW);
        let after = self.flows();
        let site = &self.publisher.0;
        let Some(sent) = busiest(&before[0], &after[0]).filter(|it| it.bytes > SIGNALLING) else {
            return "inside".to_owned();
        };
        // At one site, its router's counters have both.
        let (other, at) = match &self.viewer.0 {
            Some(other) => (other, 1),
            None => (site, 0),
        };
        let turn = world.turn.host();
        let v6 = turn.address6().map(Into::into);
        let servers = [Some(turn.address().into()), v6];
        let servers: Vec<_> = servers.into_iter().flatten().collect();
        let path = Path::observed(
            (site, &before[0], &after[0]),
            (other, &before[at], &after[at]),
            &servers,
        );
        let back = busiest(&before[at], &after[at]).map(|it| it.to);
        let Some(path) = path else {
            return format!("to {} and {back:?}", sent.to);
        };
        let family = |is_v6: bool| if is_v6 { "v6" } else { "v4" };
        let families = [sent.to.is_ipv6(), back.is_some_and(|it| it.is_ipv6())].map(family);
        match families {
            [one, other] if one == other => format!("{path} by {one}"),
            [one, other] => format!("{path} by {one} and {other}"),
        }
    }
}

/// Somebody who watches.
enum Viewer {
    Rtcsrc(Publisher),
    Browser(Browser),
}

impl Viewer {
    fn start(world: &World, host: &Host, with: With, stream: &str) -> Self {
        let Some(kind) = with.browser() else {
            let pipeline = format!(
                "rtcsrc uri=sigmund+ws://{SERVER}:443/{stream} ice-servers={} tls-ca={} ! \
                 videoconvert ! identity name=look ! fakesink sync=false",
                World::named_ice_servers(VIEWER),
                world.turn.certificate(),
            );
            return Self::Rtcsrc(Publisher::start(host, &pipeline));
        };
        let trust = world.turn.chromium_trust();
        let browser = Browser::start_with(host, kind, &[&trust]);
        browser.open(&format!("http://{SERVER}:443/#stream={stream}"));
        Self::Browser(browser)
    }

    /// Waits until pictures move; an error if they do not.
    fn sees(&mut self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(25);
        while Instant::now() < end {
            let seen = match self {
                Self::Rtcsrc(element) => element.look("look").buffers,
                Self::Browser(browser) => page::shown(browser),
            };
            if seen > 15 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(match self {
            Self::Rtcsrc(_) => "no pictures".to_owned(),
            Self::Browser(browser) => {
                format!("no pictures, and the page says {}", page::text(browser))
            }
        })
    }
}

/// Plays a cell; what went otherwise than expected.
fn play(world: &mut World, cell: &Cell, with: With, number: usize) -> Option<String> {
    let label = format!("c{number}");
    let scene = (cell.build)(world, &label);
    let _publisher = Publisher::start(
        &scene.publisher.1,
        &format!(
            "{PICTURE} ! rtcsink uri=sigmund+ws://{SERVER}:443/{label} ice-servers={} tls-ca={} {}",
            World::named_ice_servers(VIEWER),
            world.turn.certificate(),
            scene.properties,
        ),
    );
    if !is_listed(world, &label) {
        return Some(format!(
            "{}: the publisher does not reach the server",
            cell.name
        ));
    }
    let start = Instant::now();
    let mut viewer = Viewer::start(world, &scene.viewer.1, with, &label);
    let seen = viewer.sees();
    let took = start.elapsed();
    let found = seen.map(|()| {
        loop {
            let way = scene.way(world);
            if way == cell.way || start.elapsed() > took + SETTLED {
                break way;
            }
        }
    });
    let name = cell.name;
    eprintln!(
        "{with:?}: {name}: {found:?}, pictures after {} ms",
        took.as_millis()
    );
    match found {
        Ok(way) if way == cell.way => None,
        Ok(way) => Some(format!("{name}: {way} instead of {}", cell.way)),
        Err(error) => Some(format!("{name}: {error}")),
    }
}

/// Waits for the stream to be there.
fn is_listed(world: &World, stream: &str) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        let streams = world.relay.streams(world.turn.host()).unwrap_or_default();
        if streams.iter().any(|it| it == stream) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

/// Plays them all; as in the matrix, one that goes wrong is tried once more.
fn all(with: With) {
    let Some(mut world) = World::named() else {
        return;
    };
    let cells = CELLS.iter().enumerate();
    let wrong = cells.filter_map(|(number, cell)| {
        let wrong = play(&mut world, cell, with, number)?;
        eprintln!("once more: {wrong}");
        play(&mut world, cell, with, CELLS.len() + number)
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
#[ignore = "takes a minute: `make matrix`"]
fn with_rtcsrc() {
    all(With::Rtcsrc);
}

#[test]
#[ignore = "takes a minute: `make matrix`"]
fn with_chromium() {
    all(With::Chromium);
}

#[test]
#[ignore = "takes a minute: `make matrix`"]
fn with_firefox() {
    all(With::Firefox);
}

#[test]
#[ignore = "for debugging: CELL is a number, WITH a viewer's name"]
fn one_cell() {
    let Some(mut world) = World::named() else {
        return;
    };
    let number = std::env::var("CELL").unwrap().parse().unwrap();
    let with = With::from_env(With::Rtcsrc);
    assert_eq!(play(&mut world, &CELLS[number], with, number), None);
}
