//! Files from pipeline to pipeline: all of it, in order, whatever the network
//! loses, and in bounded memory however slowly it is read.
//!
//! `make transfer` does it with 200 MB.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sigmund_tests::messages::{digest, pattern};
use sigmund_tests::publisher::{Command, Event};
use sigmund_tests::{Host, Publisher, eventually};

use crate::scenes::{SOON, Stage};

/// Of a message, in bytes.
const PIECE: usize = 64 * 1024;

/// How many MB go through.
fn megabytes() -> usize {
    let said = std::env::var("SIGMUND_TRANSFER_MB");
    said.ok().and_then(|it| it.parse().ok()).unwrap_or(16)
}

/// A pause for whoever reads, in seconds, before a test goes on.
const SLEEP: Duration = Duration::from_secs(4);

/// What may wait between a writer and a reader that sleeps, in KiB: 4 MiB in
/// the pad, 2 MiB ahead of the reader, what SCTP has, and what the allocator
/// makes of it.
const WAITING: usize = 24 * 1024;

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sigmund-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// No two of its pieces are the same.
fn write_file(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    for seed in 0..megabytes() * 1_000_000 / PIECE {
        let mut piece = pattern(seed as u64, PIECE, false);
        piece[..8].copy_from_slice(&seed.to_be_bytes());
        file.write_all(&piece).unwrap();
    }
    // And one that is not whole.
    file.write_all(b"the end").unwrap();
}

fn sender(stage: &Stage, file: &Path) -> Publisher {
    let pipeline = format!(
        "{} data_0::overflow=block filesrc location={} blocksize={PIECE} ! cam.data_0",
        stage.sink("max-peers=1"),
        file.display()
    );
    Publisher::start(&stage.server, &pipeline)
}

fn receiver(stage: &Stage, end: &str) -> Publisher {
    let uri = format!("sigmund+ws://{}:8080/cam", stage.server.address());
    let pipeline = format!("rtcsrc name=src uri={uri} src.data_0 ! {end}");
    Publisher::start(&stage.viewer, &pipeline)
}

/// Drops two of a hundred packets that come in, whatever they carry.
fn lose(host: &Host) {
    let rules = "add table inet loss; \
        add chain inet loss in { type filter hook input priority 0; }; \
        add rule inet loss in meta l4proto udp numgen random mod 100 < 2 counter drop";
    host.output("nft", &[rules]);
}

fn lost(host: &Host) -> u64 {
    let listed = host.output("nft", &["list", "table", "inet", "loss"]);
    let packets = listed.split("packets ").nth(1);
    let packets = packets.and_then(|it| it.split(' ').next()?.parse().ok());
    packets.expect("a counter")
}

/// The file gets across; how long it took.
fn transfer(stage: &Stage, name: &str) -> Duration {
    let folder = Folder::new(name);
    let (here, there) = (folder.file("here"), folder.file("there"));
    write_file(&here);
    let whole = std::fs::metadata(&here).unwrap().len();
    let mut sender = sender(stage, &here);
    let began = Instant::now();
    let end = format!(
        "filesink sync=false async=false buffer-mode=unbuffered location={}",
        there.display()
    );
    let mut receiver = receiver(stage, &end);
    let most = Duration::from_secs(60 + megabytes() as u64);
    eventually(most, "the whole file", || {
        let size = std::fs::metadata(&there).ok()?.len();
        assert!(size <= whole);
        (size == whole).then_some(())
    });
    let took = began.elapsed();
    let rate = whole as f64 / 1e6 / took.as_secs_f64();
    eprintln!("{name}: {whole} bytes in {took:.1?}, {rate:.1} MB/s");
    let read = |path: &Path| digest(&std::fs::read(path).unwrap());
    assert_eq!(read(&here), read(&there));
    // The writer knows that all has arrived.
    sender.wait_for("the end", |event| matches!(event, Event::Eos).then_some(()));
    sender.assert_healthy();
    receiver.assert_healthy();
    took
}

#[test]
fn a_file_arrives_as_it_was() {
    let Some(stage) = Stage::new() else { return };
    transfer(&stage, "file");
}

#[test]
fn a_file_survives_a_network_that_loses_packets() {
    let Some(stage) = Stage::new() else { return };
    lose(&stage.viewer);
    lose(&stage.server);
    transfer(&stage, "lossy");
    let lost = lost(&stage.viewer);
    eprintln!("{lost} packets were lost");
    assert!(lost > 20, "{lost}");
}

#[test]
fn a_reader_that_sleeps_makes_the_writer_wait_and_memory_is_bounded() {
    let Some(stage) = Stage::new() else { return };
    let folder = Folder::new("sleeper");
    let here = folder.file("here");
    write_file(&here);
    let mut sender = sender(&stage, &here);
    let mut receiver = receiver(
        &stage,
        "appsink name=out max-buffers=1 sync=false async=false",
    );
    receiver.wait_for("the publisher", |event| match event {
        Event::Signal { name, .. } => (name == "peer-added").then_some(()),
        _ => None,
    });
    let memory = [sender.usage().memory, receiver.usage().memory];
    std::thread::sleep(SLEEP);
    let after = [sender.usage().memory, receiver.usage().memory];
    for (before, after) in memory.iter().zip(after) {
        eprintln!("sleeping: {before} KiB, then {after}");
        assert!(after < before + WAITING, "{before} KiB, then {after}");
    }
    // It wakes up: nothing is missing.
    let pieces = megabytes() * 1_000_000 / PIECE;
    let mut heard = Vec::new();
    while heard.len() <= pieces {
        let what = format!("more than {} of {pieces} pieces", heard.len());
        heard.extend(eventually(SOON, &what, || {
            Some(receiver.pull("out", 50)).filter(|got| !got.is_empty())
        }));
    }
    let file = std::fs::read(&here).unwrap();
    for (number, piece) in file.chunks(PIECE).enumerate() {
        assert_eq!(heard[number].digest, digest(piece), "piece {number}");
    }
    let after = [sender.usage().memory, receiver.usage().memory];
    for (before, after) in memory.iter().zip(after) {
        assert!(after < before + WAITING, "{before} KiB, then {after}");
    }
    sender.assert_healthy();
    receiver.assert_healthy();
}

/// Its writer's SCTP is full then, and a file is in the middle of it.
#[test]
fn a_reader_that_is_killed_in_the_midst_of_a_file_leaves_nothing_behind() {
    let Some(stage) = Stage::new() else { return };
    let folder = Folder::new("killed");
    let here = folder.file("here");
    write_file(&here);
    let mut sender = sender(&stage, &here);
    let connections = |sender: &mut Publisher| sender.count(Command::Connections);
    let receiver = receiver(&stage, "fakesink sync=false async=false");
    receiver.wait_for("the publisher", |event| match event {
        Event::Signal { name, .. } => (name == "peer-added").then_some(()),
        _ => None,
    });
    std::thread::sleep(Duration::from_millis(600));
    drop(receiver);
    eventually(4 * SOON, "it has gone", || {
        (connections(&mut sender) == 0).then_some(())
    });
    assert!(!sender.log().contains("does not stop"), "{}", sender.log());
    sender.assert_healthy();
}
