//! Who reaches whom, and how: each kind of network against each.
//!
//! Nothing is asked of the peers but whether the picture moves. The path is
//! read from the routers' counters, and from coturn's log.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::world::{Path, VIEWER, World};
use sigmund_tests::{Nat, Publisher, Site, eventually, page};

/// How long media are watched on their way.
const WINDOW: Duration = Duration::from_millis(1500);

/// Packets that may pass the relay while a direct path is looked for.
const CHECKS: u64 = 40;

/// What came of one cell.
struct Cell {
    publisher: Nat,
    viewer: Nat,
    /// The path, or what went wrong.
    path: Result<Path, String>,
}

impl Cell {
    fn complaint(&self) -> Option<String> {
        let expected = Path::expected(self.publisher, self.viewer);
        let pair = format!("{} to {}", self.publisher, self.viewer);
        match &self.path {
            Ok(path) if *path == expected => None,
            Ok(path) => Some(format!("{pair}: {path} instead of {expected}")),
            Err(error) => Some(format!("{pair}: {error}")),
        }
    }
}

struct Matrix {
    world: World,
    publishers: BTreeMap<Nat, (Site, Publisher)>,
}

impl Matrix {
    fn new(kinds: impl Iterator<Item = Nat>) -> Option<Self> {
        let mut world = World::new()?;
        let mut publishers = BTreeMap::new();
        for nat in kinds {
            let site = world.internet.site(nat.name(), nat);
            let publisher = world.publish(&site, nat.name(), "");
            publishers.insert(nat, (site, publisher));
        }
        let matrix = Self { world, publishers };
        eventually(Duration::from_secs(30), "all streams are there", || {
            let listed = matrix.world.relay.streams(matrix.world.turn.host())?;
            (listed.len() == matrix.publishers.len()).then_some(())
        });
        Some(matrix)
    }

    /// One viewer's network with each of these publishers.
    fn row(&mut self, viewer: Nat, publishers: &[Nat]) -> Vec<Cell> {
        let label = format!("v-{viewer}");
        let site = self.world.internet.site(&label, viewer);
        let trust = self.world.turn.chromium_trust();
        let browser = Browser::start_with(site.host(), Kind::Chromium, &[&trust]);
        let cells = publishers.iter().map(|&publisher| {
            let began = Instant::now();
            let (path, took) = self.cell(publisher, &site, &browser);
            let shown = match &path {
                Ok(path) => path.to_string(),
                Err(error) => error.clone(),
            };
            let whole = began.elapsed().as_millis();
            let took = took.as_millis();
            eprintln!(
                "{publisher:>20} -> {viewer:<20} {shown:<16} plays after {took} ms, {whole} ms in all"
            );
            Cell {
                publisher,
                viewer,
                path,
            }
        });
        cells.collect()
    }

    fn cell(
        &self,
        kind: Nat,
        viewer: &Site,
        browser: &Browser,
    ) -> (Result<Path, String>, Duration) {
        let (site, _) = &self.publishers[&kind];
        let turn = &self.world.turn;
        let relayed = || {
            let (ours, theirs) = (turn.relayed(kind.name()), turn.relayed(VIEWER));
            ours.0 + ours.1 + theirs.0 + theirs.1
        };
        let relayed_before = relayed();
        // Another fragment alone is no other page.
        browser.open("about:blank");
        browser.open(&self.world.relay.page(kind.name()));
        let start = Instant::now();
        let playing = plays(browser);
        let took = start.elapsed();
        if let Err(error) = playing {
            return (Err(error), took);
        }
        // The first pair that works need not be the last.
        thread::sleep(Duration::from_secs(1));
        let before = (site.flows(), viewer.flows());
        thread::sleep(WINDOW);
        let after = (site.flows(), viewer.flows());
        let path = Path::observed(
            (site, &before.0, &after.0),
            (viewer, &before.1, &after.1),
            turn.host().address().into(),
        );
        let Some(path) = path else {
            return (Err(format!("no path to be seen: {after:?}")), took);
        };
        browser.open("about:blank");
        // Both leave, and coturn sums up.
        let what = "coturn tells of the sessions";
        let relayed = eventually(Duration::from_secs(10), what, || {
            let packets = relayed() - relayed_before;
            match path {
                Path::Relay(..) => (packets > CHECKS).then_some(packets),
                Path::Direct(_) => Some(packets),
            }
        });
        match path {
            Path::Direct(_) if relayed > CHECKS => (
                Err(format!("direct, but coturn relayed {relayed} packets")),
                took,
            ),
            path => (Ok(path), took),
        }
    }
}

fn plays(browser: &Browser) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        let script = "return [document.body.dataset.state, document.body.innerText];";
        let state = browser.try_ask(script, &[])?;
        match state[0].as_str() {
            Some("playing") => break,
            Some("failed") => return Err(format!("the page says {}", state[1])),
            _ if Instant::now() > end => return Err(format!("nothing plays: {state}")),
            _ => thread::sleep(Duration::from_millis(50)),
        }
    }
    match page::frames(browser, 1) {
        0..5 => Err("the picture stands still".to_owned()),
        _ => Ok(()),
    }
}

fn assert_all(cells: &[Cell]) {
    let complaints: Vec<_> = cells.iter().filter_map(Cell::complaint).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn telling_cells() {
    let publishers = [Nat::None, Nat::PortRestricted, Nat::Symmetric, Nat::Only443];
    let Some(mut matrix) = Matrix::new(publishers.into_iter()) else {
        return;
    };
    let viewers = [Nat::PortRestricted, Nat::Symmetric, Nat::Only443];
    let rows = viewers.into_iter().map(|it| matrix.row(it, &publishers));
    assert_all(&rows.flatten().collect::<Vec<_>>());
}

#[test]
#[ignore = "takes minutes: `make matrix`"]
fn all_cells() {
    let Some(mut matrix) = Matrix::new(Nat::ALL.into_iter()) else {
        return;
    };
    let cells: Vec<_> = Nat::ALL
        .into_iter()
        .flat_map(|viewer| matrix.row(viewer, &Nat::ALL))
        .collect();
    assert_all(&cells);
}

#[test]
#[ignore = "for debugging: PUB and VIEW name kinds"]
fn one_cell() {
    let kind = |name: &str| Nat::from_name(&std::env::var(name).unwrap()).unwrap();
    let (publisher, viewer) = (kind("PUB"), kind("VIEW"));
    let Some(mut matrix) = Matrix::new([publisher].into_iter()) else {
        return;
    };
    assert_all(&matrix.row(viewer, &[publisher, publisher]));
}
