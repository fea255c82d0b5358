//! `make lab`: a small Internet for a person to look at, until it is ended.
//!
//! Two processes: one that builds it all and shows it, and its parent, which
//! does nothing but wait, and tidies up whatever way the other one ends.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::panic)]

use std::process::{Command, ExitCode, exit};
use std::time::{Duration, Instant};
use std::{env, thread};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use sigmund_tests::network::sweep;
use sigmund_tests::world::{PICTURE, Path, VIEWER, World};
use sigmund_tests::{Nat, Publisher, Site};

/// Tells the process that builds it from its parent.
const WORKER: &str = "SIGMUND_LAB_WORKER";

/// How often the path is looked at.
const LOOK: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let scenario = env::args().nth(1).unwrap_or_default();
    let kinds = match kinds(&scenario) {
        Ok(kinds) => kinds,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::FAILURE;
        }
    };
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGCHLD);
    signals
        .thread_block()
        .unwrap_or_else(|e| panic!("signals: {e}"));
    if env::var_os(WORKER).is_some() {
        work(kinds, &signals);
        return ExitCode::SUCCESS;
    }
    supervise(&scenario, &signals)
}

/// `PUBLISHER,VIEWER`, by name.
fn kinds(scenario: &str) -> Result<(Nat, Nat), String> {
    let names = Nat::ALL.map(Nat::name).join(", ");
    let usage = format!(
        "SCENARIO is the publisher's network and the viewer's, e.g. symmetric,only-443; there \
         are: {names}"
    );
    if scenario.is_empty() {
        return Ok((Nat::PortRestricted, Nat::Symmetric));
    }
    let (publisher, viewer) = scenario.split_once(',').ok_or_else(|| usage.clone())?;
    let kind = |name: &str| Nat::from_name(name.trim()).ok_or_else(|| usage.clone());
    Ok((kind(publisher)?, kind(viewer)?))
}

/// Starts the worker, waits for its end, and removes what it has left.
fn supervise(scenario: &str, signals: &SigSet) -> ExitCode {
    let program = env::current_exe().unwrap_or_else(|e| panic!("Linux tells: {e}"));
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM"])
        .arg(program)
        .arg(scenario);
    let mut worker = match command.env(WORKER, "1").spawn() {
        Ok(worker) => worker,
        Err(error) => {
            eprintln!("setpriv does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Ok(Some(status)) = worker.try_wait() {
                    break status;
                }
            }
            // Ctrl-C reaches both; `kill` only this one.
            Ok(_) => {
                let _ = kill(Pid::from_raw(worker.id().cast_signed()), Signal::SIGTERM);
            }
            Err(_) => exit(1),
        }
    };
    sweep();
    match status.success() {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("The lab has ended by {status}; it is torn down.");
            ExitCode::FAILURE
        }
    }
}

fn work((from, to): (Nat, Nat), signals: &SigSet) {
    let Some(mut world) = World::new() else {
        exit(1);
    };
    let site = world.internet.site("publisher", from);
    let audience = world.internet.site("viewer", to);
    let publisher = publish(&world, &site);
    let viewer = watch(&world, &audience);
    show(&world, &site, &audience);
    let turn = [world.turn.host().address().into()];
    thread::scope(|scope| {
        let (over, ended) = std::sync::mpsc::channel::<()>();
        scope.spawn(|| {
            let ended = ended;
            let mut shown = None;
            loop {
                let before = (site.flows(), audience.flows());
                let since = Instant::now();
                if ended.recv_timeout(LOOK).is_ok() {
                    return;
                }
                let path = Path::observed(
                    (&site, &before.0, &site.flows()),
                    (&audience, &before.1, &audience.flows()),
                    &turn,
                );
                let text = path.map_or("none".to_owned(), |it| it.to_string());
                if shown.as_ref() != Some(&text) {
                    println!("Path of the media, by the routers' counters: {text}");
                    shown = Some(text);
                }
                thread::sleep(Duration::from_millis(100).saturating_sub(since.elapsed()));
            }
        });
        // Children come and go.
        while matches!(signals.wait(), Ok(Signal::SIGCHLD)) {}
        let _ = over.send(());
    });
    println!("Tearing it down.");
    drop((publisher, viewer));
}

fn publish(world: &World, site: &Site) -> Publisher {
    let sink = format!(
        "rtcsink name=sink uri={} ice-servers={} tls-ca={}",
        world.relay.uri("cam"),
        world.ice_servers(site.nat().name()),
        world.turn.certificate(),
    );
    Publisher::start(site.host(), &format!("{PICTURE} ! {sink}"))
}

fn watch(world: &World, site: &Site) -> Publisher {
    let source = format!(
        "rtcsrc uri={} ice-servers={} tls-ca={} ! fakesink",
        world.relay.uri("cam"),
        world.ice_servers(VIEWER),
        world.turn.certificate(),
    );
    Publisher::start(site.host(), &source)
}

fn show(world: &World, site: &Site, audience: &Site) {
    let inside = |host: &sigmund_tests::Host| format!("ip netns exec {}", host.namespace());
    let expected = Path::expected(site.nat(), audience.nat());
    println!(
        "\nA publisher (rtcsink) behind a router of the kind {}, a viewer (rtcsrc) behind {}.\n\
         Theory expects: {expected}.\n\n\
         Watch from the viewer's network (as root):\n  \
         {} chromium --no-sandbox --user-data-dir=/tmp/sigmund-lab {} '{}'\n\
         What its router has passed on:\n  {} nft list table inet watch\n\
         What goes over the publisher's wire:\n  {} tcpdump -n -i eth0 udp\n\
         coturn's log:\n  tail -f {}\n\
         Another program in the viewer's network:\n  {} bash\n\n\
         Ctrl-C tears it down.",
        site.nat(),
        audience.nat(),
        inside(audience.host()),
        world.turn.chromium_trust(),
        world.relay.page("cam"),
        inside(audience.router()),
        inside(site.host()),
        world.turn.log_file(),
        inside(audience.host()),
    );
}
