//! What a data pad gets across, beside two webrtcbins with nothing of ours, in
//! turns on one machine: `make bench` prints the ratio.

use std::time::{Duration, Instant};

use sigmund_tests::process::build_directory;
use sigmund_tests::{Publisher, eventually};

use crate::scenes::{SOON, Stage};

/// Of a message, in bytes: what all take.
const SIZES: [u64; 3] = [1_000, 16 * 1024, 64 * 1024];
const SECONDS: u64 = 6;
const ROUNDS: usize = 3;

/// Bytes a second from one `sigmund-bare`.
fn bare(stage: &Stage, size: u64) -> f64 {
    let program = build_directory().join("sigmund-bare");
    let (size, seconds) = (size.to_string(), SECONDS.to_string());
    let said = stage
        .server
        .output(&program.to_string_lossy(), &[&size, &seconds]);
    said.trim().parse().expect("it prints a number")
}

/// Bytes a second from pad to pad, in one process too.
fn pads(stage: &Stage, size: u64) -> f64 {
    let host = format!("{}:8080", stage.server.address());
    let mut both = Publisher::start_with(
        &stage.server,
        &format!(
            "{} data_0::overflow=block \
             fakesrc sizetype=fixed sizemax={size} filltype=nothing ! cam.data_0 \
             rtcsrc name=src uri=sigmund+ws://{host}/cam \
             src.data_0 ! fakesink name=count sync=false async=false",
            stage.sink("max-peers=1")
        ),
        &[("SIGMUND_QUIET", "1")],
    );
    let count = |both: &mut Publisher| both.get("count", "stats")["rendered"].as_u64();
    let count = |both: &mut Publisher| count(both).unwrap_or(0);
    eventually(2 * SOON, "messages", || {
        (count(&mut both) > 100).then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    let (began, before) = (Instant::now(), count(&mut both));
    std::thread::sleep(Duration::from_secs(SECONDS));
    let messages = count(&mut both) - before;
    both.assert_healthy();
    (messages * size) as f64 / began.elapsed().as_secs_f64()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[test]
#[ignore = "it measures: make bench"]
fn a_data_pad_beside_a_bare_pair() {
    let Some(stage) = Stage::alone() else { return };
    eprintln!("| a message | two webrtcbins | from pad to pad | ratio |");
    eprintln!("|---|---|---|---|");
    for size in SIZES {
        // Neither is always the first.
        let rounds = (0..ROUNDS).map(|round| match round % 2 {
            0 => (bare(&stage, size), pads(&stage, size)),
            _ => {
                let pads = pads(&stage, size);
                (bare(&stage, size), pads)
            }
        });
        let (bare, pads): (Vec<_>, Vec<_>) = rounds.unzip();
        let (bare, pads) = (median(bare) / 1e6, median(pads) / 1e6);
        let ratio = 100.0 * pads / bare;
        eprintln!("| {size} bytes | {bare:.1} MB/s | {pads:.1} MB/s | **{ratio:.0} %** |");
    }
}
