//! A test that is killed leaves nothing behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::unistd::Uid;
use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::capture::Capture;
use sigmund_tests::slow::{Line, Slow};
use sigmund_tests::world::World;
use sigmund_tests::{Nat, eventually};

/// Tells a test that it is the one that will be killed.
const VICTIM: &str = "SIGMUND_VICTIM";

/// What it says when all is there.
const READY: &str = "all is there";

/// Networks, coturn, `sigmund serve`, tcpdump, a TUN device, a publisher and a
/// browser: until somebody kills it.
#[test]
#[ignore = "another test starts and kills it"]
fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let Some(mut world) = World::named() else {
        return;
    };
    let site = world.internet.site("cam", Nat::PortRestricted);
    world.acquaint(&site);
    let line = Line::default();
    let _all = (
        Capture::start(site.host(), "victim"),
        Slow::sending(world.turn.host(), line),
        world.publish(&site, site.nat().name(), ""),
        Browser::start(site.host(), Kind::Chromium),
    );
    eprintln!("{READY}");
    loop {
        std::thread::park();
    }
}

/// Killed when dropped, also where this test fails.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Entries of a folder whose names start so.
fn entries(folder: &str, prefix: &str) -> Vec<String> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = all.map(|it| it.file_name().to_string_lossy().into_owned());
    names.filter(|it| it.starts_with(prefix)).collect()
}

/// Processes whose command line or home speaks of it.
fn processes(words: &[String]) -> Vec<String> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = all.filter_map(|it| {
        let line = fs::read(it.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        // The janitor itself, and what it runs.
        let foreign = line.contains("janitor") || line.starts_with("ip netns");
        (!foreign && words.iter().any(|word| line.contains(word))).then_some(line)
    });
    lines.collect()
}

#[test]
fn a_test_that_is_killed_leaves_nothing_behind() {
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED: needs root or user namespaces (see tests/README.md)");
        return;
    }
    let victim = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::victim", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut victim = Victim(victim.unwrap());
    let pid = victim.0.id();
    let mut lines = BufReader::new(victim.0.stderr.take().unwrap()).lines();
    let ready = lines.by_ref().map_while(Result::ok);
    assert!(ready.into_iter().any(|it| it.contains(READY)));
    let namespaces = format!("sigmund-{pid}-");
    let profiles = format!("sigmund-browser-{pid}-");
    let words = [
        namespaces.clone(),
        profiles.clone(),
        // coturn's configuration, tcpdump's file.
        format!("/{pid}-"),
    ];
    assert!(entries("/run/netns", &namespaces).len() >= 5);
    assert!(entries("/etc/netns", &namespaces).len() == 1);
    let programs = ["turnserver", "tcpdump", "chromium", "sigmund-publisher"];
    let running = processes(&words).join("\n");
    for program in programs {
        assert!(running.contains(program), "{program} in {running:.2000}");
    }
    drop(victim);
    eventually(Duration::from_secs(10), "nothing is left", || {
        let temporary = std::env::temp_dir();
        let places = [
            ("/run/netns", &namespaces),
            ("/etc/netns", &namespaces),
            (temporary.to_str().unwrap(), &namespaces),
            (temporary.to_str().unwrap(), &profiles),
        ];
        let left = places.map(|(folder, prefix)| entries(folder, prefix));
        let left = left.concat();
        (left.is_empty() && processes(&words).is_empty()).then_some(())
    });
}
