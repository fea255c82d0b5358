//! Many come, many go, some without a word; nothing stays behind.

use std::time::{Duration, Instant};

use sigmund_tests::process::Usage;
use sigmund_tests::publisher::Command;
use sigmund_tests::viewer::{Manners, Viewer};
use sigmund_tests::{Publisher, eventually};
use str0m::format::Codec;

use crate::scenes::{self, SOON, Stage};

/// How a viewer comes and goes.
const WAYS: usize = 4;

/// Joins and leaves in the way of that number.
fn visit(stage: &Stage, endpoint: &str, number: usize) {
    let join = |manners| Viewer::try_join(&stage.viewer, endpoint, manners);
    match number % WAYS {
        0 => {
            let viewer = Viewer::join_silent(&stage.viewer, endpoint);
            viewer.watch(1);
            viewer.leave();
        }
        1 => {
            let viewer = Viewer::join_silent(&stage.viewer, endpoint);
            viewer.watch(1);
            viewer.vanish();
        }
        2 => {
            let mute = Manners {
                mute: true,
                ..Manners::silent()
            };
            join(mute).unwrap().vanish();
        }
        _ => {
            let incapable = Manners {
                video: vec![Codec::Vp9],
                ..Manners::silent()
            };
            join(incapable).unwrap_err().expect(406);
        }
    }
}

/// Waits until the publisher is alone again; what it costs then.
fn alone(publisher: &mut Publisher, most: Option<Usage>) -> Usage {
    // A viewer that never negotiates is given 15 s.
    eventually(Duration::from_secs(30), "all sessions have ended", || {
        let connections = publisher.count(Command::Connections);
        let listed = publisher.get("cam", "stats")["peers"] != 0;
        let usage = publisher.usage();
        let fits = most.is_none_or(|m| usage.threads <= m.threads && usage.files <= m.files);
        (connections == 0 && !listed && fits).then_some(usage)
    })
}

#[test]
fn two_hundred_visits_leave_nothing_behind() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&scenes::encoded("VP8"));
    let endpoint = publisher.whep("cam");
    (0..12).for_each(|number| visit(&stage, &endpoint, number));
    let first = alone(&mut publisher, None);
    let start = Instant::now();
    (0..200).for_each(|number| visit(&stage, &endpoint, number));
    eprintln!("200 visits in {:?}; before {first:?}", start.elapsed());
    let last = alone(&mut publisher, Some(first));
    eprintln!("afterwards {last:?}");
    assert!(
        last.memory < first.memory + 12_000,
        "{last:?} after {first:?}"
    );
    publisher.assert_healthy();
    Viewer::join_silent(&stage.viewer, &endpoint).watch(30);
}

fn is_noticed(leave: impl FnOnce(&Stage, Viewer) -> Option<Viewer>) {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let other = stage.lab.host("other");
    let mut publisher = stage.show("");
    let endpoint = publisher.whep("cam");
    let stayer = Viewer::join_silent(&other, &endpoint);
    stayer.watch(30);
    let before = publisher.usage();
    let viewer = Viewer::join_silent(&stage.viewer, &endpoint);
    viewer.watch(60);
    let _dead = leave(&stage, viewer);
    let start = Instant::now();
    let removed = eventually(Duration::from_secs(12), "it is missed", || {
        publisher.emissions("peer-removed").pop()
    });
    let noticed = start.elapsed();
    eprintln!("missed after {noticed:?}: {removed:?}");
    assert!(noticed < Duration::from_secs(10), "{noticed:?}");
    eventually(SOON, "it costs nothing any more", || {
        let usage = publisher.usage();
        (usage.threads <= before.threads && usage.files <= before.files).then_some(())
    });
    stayer.watch(10);
    let seen = stayer.seen();
    assert!(
        seen.broken == 0 && seen.longest_gap < Duration::from_millis(500),
        "{seen:?}"
    );
    publisher.assert_healthy();
}

#[test]
fn a_killed_viewer_is_missed_within_ten_seconds() {
    is_noticed(|_, viewer| {
        viewer.vanish();
        None
    });
}

#[test]
fn a_viewer_whose_cable_is_pulled_is_missed_within_ten_seconds() {
    is_noticed(|stage, viewer| {
        stage.viewer.unplug();
        Some(viewer)
    });
}

#[test]
fn a_viewer_that_stalls_hurts_only_itself() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let other = stage.lab.host("other");
    let mut publisher = stage.show("");
    let endpoint = publisher.whep("cam");
    let stayer = Viewer::join_silent(&other, &endpoint);
    let mute = Manners {
        mute: true,
        ..Manners::silent()
    };
    stayer.watch(10);
    // Its webrtcbin lets nothing pass until it has keys, which it never gets.
    let _stalled: Vec<_> = (0..3)
        .map(|_| Viewer::try_join(&stage.viewer, &endpoint, mute.clone()).unwrap())
        .collect();
    stayer.watch(120);
    let seen = stayer.seen();
    assert!(
        seen.broken == 0 && seen.longest_gap < Duration::from_millis(500),
        "{seen:?}"
    );
    publisher.assert_healthy();
}
