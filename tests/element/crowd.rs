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

/// KiB that the process may be larger after two crowds: a session that stays
/// behind costs some 500, and each crowd has 75.
const SLACK: usize = 12_000;

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

/// Waits until the publisher is alone again, and as small as it was once, give
/// or take an idle thread of a pool; what it costs then.
fn alone(publisher: &mut Publisher, once: Option<Usage>) -> Usage {
    // A viewer that never negotiates is given 15 s.
    let mut last = None;
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        let connections = publisher.count(Command::Connections);
        let listed = publisher.get("cam", "stats")["peers"] != 0;
        let now = publisher.usage();
        let fits =
            once.is_none_or(|once| now.threads <= once.threads + 2 && now.files <= once.files + 2);
        if connections == 0 && !listed && fits {
            return now;
        }
        last = Some((connections, now));
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("still {last:?} after 30 s; once {once:?}");
}

#[test]
fn hundreds_of_visits_leave_nothing_behind() {
    let Some(stage) = Stage::alone() else { return };
    // GLib up to 2.74 keeps freed slices in a cache of its own, from 2.76 on it
    // has none; that cache is not ours to judge.
    let pipeline = format!("{} ! {}", scenes::encoded("VP8"), stage.sink(""));
    let plain = [("G_SLICE", "always-malloc")];
    let mut publisher = Publisher::start_with(&stage.server, &pipeline, &plain);
    let endpoint = publisher.whep("cam");
    (0..12).for_each(|number| visit(&stage, &endpoint, number));
    let first = alone(&mut publisher, None);
    // Half a hundred at a time are not missed yet.
    for crowd in 1..=2 {
        (0..100).for_each(|number| visit(&stage, &endpoint, number));
        alone(&mut publisher, Some(first));
        let most = first.memory + SLACK;
        let end = Instant::now() + SOON;
        while publisher.usage().memory > most && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(100));
        }
        let now = publisher.usage();
        eprintln!("first {first:?}\nafter crowd {crowd} {now:?}");
        assert!(now.memory <= most, "{now:?} after {first:?}");
    }
    publisher.assert_healthy();
    Viewer::join_silent(&stage.viewer, &endpoint).watch(30);
}

fn is_noticed(leave: impl FnOnce(&Stage, Viewer) -> Option<Viewer>) {
    let Some(mut stage) = Stage::alone() else {
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
    let Some(mut stage) = Stage::alone() else {
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
