//! Publishers that have just begun, with viewers that wait for them already.

use std::time::Duration;

use sigmund_tests::world::{VIEWER, World};
use sigmund_tests::{Nat, Publisher, eventually};

/// All that a process loads, it loads at the same time: encoders are tried,
/// connections are built, TURN servers are prepared.
#[test]
fn who_waits_is_served_by_a_publisher_that_has_just_begun() {
    let Some(mut world) = World::new() else {
        return;
    };
    let site = world.internet.site("cam", Nat::None);
    let home = world.internet.site("home", Nat::None);
    let receiver = format!(
        "rtcsrc uri={} ice-servers={} tls-ca={} ! identity name=look ! fakesink sync=false",
        world.relay.uri("cam"),
        world.ice_servers(VIEWER),
        world.turn.certificate(),
    );
    let mut viewers: Vec<_> = (0..2)
        .map(|_| Publisher::start(home.host(), &receiver))
        .collect();
    for round in 1..=5 {
        let before: Vec<_> = viewers
            .iter_mut()
            .map(|it| it.look("look").buffers)
            .collect();
        let publisher = world.publish(&site, "none", "");
        for (viewer, before) in viewers.iter_mut().zip(before) {
            let what = format!("pictures in round {round}");
            eventually(Duration::from_secs(20), &what, || {
                (viewer.look("look").buffers > before + 10).then_some(())
            });
        }
        // Killed.
        drop(publisher);
    }
}
