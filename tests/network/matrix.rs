//! Who reaches whom, and how: each kind of network against each.
//!
//! Nothing is asked of the peers but whether the picture moves. The path is
//! read from the routers' counters, and from coturn's log.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::internet::Flow;
use sigmund_tests::process::log_directory;
use sigmund_tests::world::{Leg, Path, VIEWER, World};
use sigmund_tests::{Nat, Publisher, Site, eventually, page};

use crate::picture;

/// How long media are watched on their way.
const WINDOW: Duration = Duration::from_millis(1200);

/// Packets that may pass the relay while a direct path is looked for.
const CHECKS: u64 = 40;

/// Viewers at the same time: what two cores carry.
const VIEWERS: usize = 3;

/// What came of one cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    with: With,
    pub(crate) publisher: Nat,
    pub(crate) viewer: Nat,
    /// The path, or what went wrong.
    pub(crate) path: Result<Path, String>,
    /// From opening the page to the first picture.
    took: Duration,
    tries: u8,
}

impl Cell {
    fn complaint(&self) -> Option<String> {
        let expected = Path::expected(self.publisher, self.viewer);
        let pair = format!("{} to {}", self.publisher, self.viewer);
        // Firefox takes TLS as readily as TCP.
        let as_good = match expected {
            Path::Relay(leg, Leg::Tcp) if self.with == With::Firefox => Path::Relay(leg, Leg::Tls),
            expected => expected,
        };
        match &self.path {
            Ok(path) if [expected, as_good].contains(path) => None,
            Ok(path) => Some(format!("{pair}: {path} instead of {expected}")),
            Err(error) => Some(format!("{pair}: {error}")),
        }
    }

    fn shown(&self) -> String {
        match (&self.path, self.complaint()) {
            (Ok(path), None) if self.tries > 1 => format!("{path} *"),
            (Ok(path), None) => path.to_string(),
            (Ok(path), Some(_)) => format!("!! {path}"),
            (Err(_), _) => "!! no picture".to_owned(),
        }
    }
}

struct Matrix {
    with: With,
    world: World,
    publishers: BTreeMap<Nat, (Site, Publisher)>,
}

/// Somebody who watches one stream after the other.
struct Viewer {
    kind: Nat,
    site: Site,
    /// A browser with our page; without it our own element watches.
    browser: Option<Browser>,
}

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    Chromium,
    Firefox,
    Rtcsrc,
}

impl With {
    /// As `WITH` names it, for debugging; `default` without.
    pub(crate) fn from_env(default: Self) -> Self {
        match std::env::var("WITH").as_deref() {
            Ok("chromium") => Self::Chromium,
            Ok("firefox") => Self::Firefox,
            Ok("rtcsrc") => Self::Rtcsrc,
            _ => default,
        }
    }

    /// `None` for our own element.
    pub(crate) fn browser(self) -> Option<Kind> {
        match self {
            Self::Chromium => Some(Kind::Chromium),
            Self::Firefox => Some(Kind::Firefox),
            Self::Rtcsrc => None,
        }
    }

    /// Firefox speaks TLS with TURN servers that have names, and with no others.
    fn wants_names(self) -> bool {
        self == Self::Firefox
    }
}

/// What one cell's routers counted while media were watched.
struct Watched {
    publisher: (Vec<Flow>, Vec<Flow>),
    viewer: (Vec<Flow>, Vec<Flow>),
}

impl Matrix {
    fn new(with: With, kinds: &[Nat]) -> Option<Self> {
        let mut world = match with.wants_names() {
            true => World::named()?,
            false => World::new()?,
        };
        let mut publishers = BTreeMap::new();
        for &nat in kinds {
            let site = world.internet.site(nat.name(), nat);
            let publisher = world.publish(&site, nat.name(), "");
            publishers.insert(nat, (site, publisher));
        }
        let matrix = Self {
            with,
            world,
            publishers,
        };
        eventually(Duration::from_secs(30), "all streams are there", || {
            let listed = matrix.world.relay.streams(matrix.world.turn.host())?;
            (listed.len() == matrix.publishers.len()).then_some(())
        });
        Some(matrix)
    }

    /// All viewers with all publishers, some at the same time. At no time do
    /// two viewers watch the same publisher, so that what is counted belongs to
    /// one cell.
    fn run(&mut self, viewers: &[Nat], publishers: &[Nat]) -> Vec<Cell> {
        let with = self.with;
        let mut cells = Vec::new();
        for some in viewers.chunks(VIEWERS.min(publishers.len())) {
            let sites = some.iter().map(|&kind| {
                let label = format!("v-{kind}");
                (kind, self.world.internet.site(&label, kind))
            });
            let sites: Vec<_> = sites.collect();
            for (_, site) in sites.iter().filter(|_| with.wants_names()) {
                self.world.acquaint(site);
            }
            let trust = self.world.turn.chromium_trust();
            let started = sites.into_iter().map(|(kind, site)| Viewer {
                browser: with
                    .browser()
                    .map(|kind| Browser::start_with(site.host(), kind, &[&trust])),
                kind,
                site,
            });
            let started: Vec<_> = started.collect();
            for step in 0..publishers.len() {
                let pairs = started.iter().enumerate();
                let pairs = pairs.map(|(at, it)| (publishers[(at + step) % publishers.len()], it));
                cells.extend(self.step(pairs.collect()));
            }
            self.once_more(&mut cells, &started);
        }
        cells
    }

    /// A machine that has other things to do misses the moment at which a hole
    /// is punched. What went wrong among many is tried again alone.
    fn once_more(&self, cells: &mut [Cell], viewers: &[Viewer]) {
        let wrong = cells.iter_mut().filter(|it| it.complaint().is_some());
        for cell in wrong {
            if let Some(viewer) = viewers.iter().find(|it| it.kind == cell.viewer) {
                eprintln!("once more, alone:");
                let again = self.step(vec![(cell.publisher, viewer)]);
                cell.clone_from(&again[0]);
                cell.tries = 2;
            }
        }
    }

    /// One cell for each viewer, at the same time.
    fn step(&self, pairs: Vec<(Nat, &Viewer)>) -> Vec<Cell> {
        let turn = &self.world.turn;
        let before: Vec<_> = pairs.iter().map(|it| self.relayed(it)).collect();
        let watched = in_parallel(pairs.clone(), |(kind, viewer)| self.watch(kind, viewer));
        // They have left, and coturn sums up.
        eventually(
            Duration::from_secs(15),
            "coturn has ended all sessions",
            || (turn.sessions() == 0).then_some(()),
        );
        let outcome = pairs.iter().zip(before).zip(watched);
        let cells = outcome.map(|((pair, before), (watched, took))| {
            let relayed = self.relayed(pair) - before;
            let cell = Cell {
                with: self.with,
                publisher: pair.0,
                viewer: pair.1.kind,
                path: watched.and_then(|it| self.judge(pair, &it, relayed)),
                took,
                tries: 1,
            };
            eprintln!(
                "{:>20} -> {:<20} {:<16} picture after {:>5} ms, {relayed} packets by TURN",
                cell.publisher,
                cell.viewer,
                cell.shown(),
                cell.took.as_millis()
            );
            cell
        });
        cells.collect()
    }

    /// Packets that coturn relayed for either.
    fn relayed(&self, (kind, viewer): &(Nat, &Viewer)) -> u64 {
        let turn = &self.world.turn;
        turn.relayed_for(&self.publishers[kind].0) + turn.relayed_for(&viewer.site)
    }

    fn watch(&self, kind: Nat, viewer: &Viewer) -> (Result<Watched, String>, Duration) {
        match &viewer.browser {
            Some(browser) => self.watch_by_page(kind, viewer, browser),
            None => self.watch_by_element(kind, viewer),
        }
    }

    fn watch_by_page(
        &self,
        kind: Nat,
        viewer: &Viewer,
        browser: &Browser,
    ) -> (Result<Watched, String>, Duration) {
        let start = Instant::now();
        let page = self.world.relay.page(kind.name());
        let opened = browser.try_open(&page);
        // A machine that is busy is no network's fault.
        let opened = opened.or_else(|_| browser.try_open(&page));
        let playing = opened.and_then(|()| plays(browser));
        let took = start.elapsed();
        let watched = playing.and_then(|()| {
            // The first pair that works need not be the last.
            if page::frames(browser, 1) < 5 {
                return Err("the picture stands still".to_owned());
            }
            Ok(self.count(kind, viewer))
        });
        // Another fragment alone would be no other page.
        browser.open("about:blank");
        (watched, took)
    }

    fn watch_by_element(&self, kind: Nat, viewer: &Viewer) -> (Result<Watched, String>, Duration) {
        let start = Instant::now();
        let receiver = format!(
            "rtcsrc uri={} ice-servers={} tls-ca={} ! videoconvert ! identity name=look ! \
             fakesink sync=false",
            self.world.relay.uri(kind.name()),
            self.world.ice_servers(VIEWER),
            self.world.turn.certificate(),
        );
        let mut receiver = Publisher::start(viewer.site.host(), &receiver);
        let mut pictures = |at_least: u64, limit: Duration| {
            let end = Instant::now() + limit;
            while receiver.look("look").buffers < at_least {
                if Instant::now() > end {
                    return Err("no pictures".to_owned());
                }
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        };
        let playing = pictures(1, Duration::from_secs(20));
        let took = start.elapsed();
        let watched = playing
            .and_then(|()| pictures(20, Duration::from_secs(5)))
            .map(|()| self.count(kind, viewer));
        // It says good-bye, to the TURN server, too.
        receiver.state("null");
        (watched, took)
    }

    /// What the routers count for a while.
    fn count(&self, kind: Nat, viewer: &Viewer) -> Watched {
        let (site, _) = &self.publishers[&kind];
        let before = (site.flows(), viewer.site.flows());
        thread::sleep(WINDOW);
        Watched {
            publisher: (before.0, site.flows()),
            viewer: (before.1, viewer.site.flows()),
        }
    }

    fn judge(
        &self,
        (kind, viewer): &(Nat, &Viewer),
        watched: &Watched,
        relayed: u64,
    ) -> Result<Path, String> {
        let (site, _) = &self.publishers[kind];
        let path = Path::observed(
            (site, &watched.publisher.0, &watched.publisher.1),
            (&viewer.site, &watched.viewer.0, &watched.viewer.1),
            &[self.world.turn.host().address().into()],
        );
        match path {
            None => Err("media, but no path to be seen".to_owned()),
            Some(Path::Direct(_)) if relayed > CHECKS => {
                Err(format!("direct, but coturn relayed {relayed} packets"))
            }
            Some(Path::Relay(..)) if relayed <= CHECKS => Err(format!(
                "by the TURN server, which relayed {relayed} packets"
            )),
            Some(path) => Ok(path),
        }
    }
}

fn in_parallel<T: Send, R: Send>(of: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let work = &work;
        let threads = of.into_iter().map(|it| scope.spawn(move || work(it)));
        let threads: Vec<_> = threads.collect();
        let results = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    })
}

fn plays(browser: &Browser) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let script = "return [document.body.dataset.state, document.body.innerText];";
        let state = browser.try_ask(script, &[])?;
        match state[0].as_str() {
            Some("playing") => return Ok(()),
            Some("failed") => return Err(format!("the page says {}", state[1])),
            _ if Instant::now() > end => return Err(format!("nothing plays: {state}")),
            _ => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// As a table: publishers down, viewers across.
fn table(cells: &[Cell], viewers: &[Nat], publishers: &[Nat]) -> String {
    let corner = "publisher \\ viewer";
    let heads: String = viewers.iter().map(|it| format!("{it:<20}")).collect();
    let mut table = format!("\n{corner:<20}{heads}\n");
    for &publisher in publishers {
        table.push_str(&format!("{publisher:<20}"));
        for &viewer in viewers {
            let this = |it: &&Cell| (it.publisher, it.viewer) == (publisher, viewer);
            let shown = cells.iter().find(this).map(Cell::shown).unwrap_or_default();
            table.push_str(&format!("{shown:<20}"));
        }
        table.push('\n');
    }
    if cells.iter().any(|it| it.tries > 1) {
        table.push_str("* at the second try, alone\n");
    }
    table
}

fn assert_all(cells: &[Cell]) {
    let complaints: Vec<_> = cells.iter().filter_map(Cell::complaint).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// Runs a part of the matrix; `None` where there can be no lab.
fn run(with: With, viewers: &[Nat], publishers: &[Nat]) -> Option<Vec<Cell>> {
    let mut matrix = Matrix::new(with, publishers)?;
    let cells = matrix.run(viewers, publishers);
    eprintln!(
        "\nrtcsink to {with:?}:{}",
        table(&cells, viewers, publishers)
    );
    Some(cells)
}

/// A dozen that tell whether the rest may be expected.
fn telling(with: With) {
    let viewers = [Nat::PortRestricted, Nat::Symmetric, Nat::Only443];
    let publishers = [Nat::None, Nat::PortRestricted, Nat::Symmetric, Nat::Only443];
    if let Some(cells) = run(with, &viewers, &publishers) {
        assert_all(&cells);
    }
}

/// Each kind of network against each.
fn all(with: With) {
    if let Some(cells) = run(with, &Nat::ALL, &Nat::ALL) {
        assert_all(&cells);
    }
}

#[test]
fn telling_cells() {
    telling(With::Chromium);
}

#[test]
fn telling_cells_of_our_own() {
    telling(With::Rtcsrc);
}

#[test]
#[ignore = "takes minutes: `make matrix`"]
fn all_cells_with_firefox() {
    all(With::Firefox);
}

#[test]
#[ignore = "takes minutes: `make matrix`"]
fn all_cells_of_our_own() {
    all(With::Rtcsrc);
}

#[test]
#[ignore = "takes minutes: `make matrix`"]
fn all_cells() {
    let Some(cells) = run(With::Chromium, &Nat::ALL, &Nat::ALL) else {
        return;
    };
    let file = std::env::var_os("SIGMUND_PICTURE").map(PathBuf::from);
    let file = file.unwrap_or_else(|| log_directory().join("networks.svg"));
    std::fs::write(&file, picture::of_cells(&cells)).unwrap();
    eprintln!("Drawn in {}", file.display());
    assert_all(&cells);
}

#[test]
#[ignore = "for debugging: PUB and VIEW name kinds; WITH=rtcsrc or firefox watches"]
fn one_cell() {
    let kind = |name: &str| Nat::from_name(&std::env::var(name).unwrap()).unwrap();
    let with = With::from_env(With::Chromium);
    if let Some(cells) = run(with, &[kind("VIEW")], &[kind("PUB")]) {
        assert_all(&cells);
    }
}

/// What `docs/networks.svg` shows: a run drew it, and no run may find anything else.
#[test]
fn the_picture_in_the_docs_shows_what_is_expected() {
    let pairs = Nat::ALL.iter().flat_map(|&publisher| {
        Nat::ALL.iter().map(move |&viewer| Cell {
            with: With::Chromium,
            publisher,
            viewer,
            path: Ok(Path::expected(publisher, viewer)),
            took: Duration::ZERO,
            tries: 1,
        })
    });
    let drawn = picture::of_cells(&pairs.collect::<Vec<_>>());
    let shown = include_str!("../../docs/networks.svg");
    assert!(drawn == shown, "draw it again: `make matrix`");
}
