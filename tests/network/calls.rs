//! Calls between `rtcpeer` and `rtcpeer` through NATs: media both ways, by the
//! path that theory expects.

use std::time::{Duration, Instant};

use sigmund_tests::world::{PICTURE, Path, VIEWER, World};
use sigmund_tests::{Nat, Publisher, Site, eventually};

use Nat::{None as Public, Only443, PortRestricted, Symmetric, UdpBlocked};

/// How long media are watched on their way.
const WINDOW: Duration = Duration::from_millis(1200);

fn call(world: &World, site: &Site, user: &str, stream: &str) -> Publisher {
    Publisher::start(
        site.host(),
        &format!(
            "rtcpeer name=call uri={} ice-servers={} tls-ca={} {PICTURE} ! call. \
             call. ! videoconvert ! identity name=look ! fakesink async=false sync=false",
            world.relay.uri(stream),
            world.ice_servers(user),
            world.turn.certificate(),
        ),
    )
}

/// Calls between networks of these kinds, and what came of each.
fn all(pairs: &[(Nat, Nat)]) {
    let Some(mut world) = World::new() else {
        return;
    };
    let mut wrong = Vec::new();
    for (number, &(one, other)) in pairs.iter().enumerate() {
        let stream = format!("call{number}");
        let sites = [(one, 'a'), (other, 'b')]
            .map(|(nat, side)| world.internet.site(&format!("{side}{number}"), nat));
        let mut host = call(&world, &sites[0], one.name(), &stream);
        eventually(Duration::from_secs(20), "the call can be joined", || {
            let streams = world.relay.streams(world.turn.host())?;
            streams.contains(&stream).then_some(())
        });
        let start = Instant::now();
        let mut guest = call(&world, &sites[1], VIEWER, &stream);
        for end in [&mut host, &mut guest] {
            eventually(Duration::from_secs(25), "pictures both ways", || {
                (end.look("look").buffers > 15).then_some(())
            });
        }
        let took = start.elapsed();
        let expected = Path::expected(one, other);
        let way = || {
            let flows = || sites.each_ref().map(Site::flows);
            let before = flows();
            std::thread::sleep(WINDOW);
            let after = flows();
            Path::observed(
                (&sites[0], &before[0], &after[0]),
                (&sites[1], &before[1], &after[1]),
                &[world.turn.host().address().into()],
            )
        };
        let mut found = way();
        while found != Some(expected) && start.elapsed() < took + Duration::from_secs(10) {
            found = way();
        }
        eprintln!("{one} calls {other}: {found:?}, pictures both ways after {took:?}");
        if found != Some(expected) {
            wrong.push(format!("{one} to {other}: {found:?} instead of {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn through_the_worst_and_the_usual() {
    all(&[(Symmetric, Symmetric), (PortRestricted, PortRestricted)]);
}

#[test]
#[ignore = "takes minutes: `make matrix`"]
fn through_all_sorts() {
    all(&[
        (Symmetric, PortRestricted),
        (Only443, UdpBlocked),
        (UdpBlocked, Public),
        (Public, Symmetric),
        (Only443, Only443),
    ]);
}
