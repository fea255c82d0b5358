//! `make lab`: it comes up, says how to look at it, and leaves nothing behind,
//! however it ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use sigmund_tests::eventually;
use sigmund_tests::process::build_directory;

/// The lab, and the process that builds it.
fn start() -> (Child, u32) {
    let mut lab = Command::new(build_directory().join("sigmund-lab"))
        .arg("full-cone,udp-blocked")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(lab.stdout.take().unwrap()).lines();
    let mut said = String::new();
    for line in lines.by_ref().map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if line.starts_with("Path of the media") && !line.ends_with("none") {
            break;
        }
    }
    assert!(said.contains("Theory expects: relay udp/tcp"), "{said}");
    assert!(said.ends_with("counters: relay udp/tcp\n"), "{said}");
    std::thread::spawn(move || lines.count());
    let (_, rest) = said.split_once("ip netns exec sigmund-").unwrap();
    let worker = rest.split('-').next().unwrap().parse().unwrap();
    (lab, worker)
}

fn namespaces(worker: u32) -> usize {
    let prefix = format!("sigmund-{worker}-");
    let entries = std::fs::read_dir("/run/netns").unwrap().flatten();
    let ours = |it: &std::fs::DirEntry| it.file_name().to_string_lossy().starts_with(&prefix);
    entries.filter(ours).count()
}

/// Processes whose command line speaks of it.
fn processes(worker: u32) -> usize {
    let word = format!("sigmund-{worker}-");
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|it| std::fs::read_to_string(it.path().join("cmdline")).ok());
    lines.filter(|it| it.contains(&word)).count()
}

#[test]
fn a_lab_for_people_is_torn_down_also_after_a_crash() {
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED: needs root or user namespaces (see tests/README.md)");
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let (mut lab, worker) = start();
        assert!(namespaces(worker) >= 6);
        // The polite way goes to the lab, the crash hits what builds it.
        let hit = match signal {
            Signal::SIGKILL => worker,
            _ => lab.id(),
        };
        kill(Pid::from_raw(hit.cast_signed()), signal).unwrap();
        let status = lab.wait().unwrap();
        assert_eq!(status.success(), signal == Signal::SIGTERM);
        eventually(Duration::from_secs(5), "nothing is left", || {
            (namespaces(worker) == 0 && processes(worker) == 0).then_some(())
        });
    }
}
