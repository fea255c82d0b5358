//! From createOffer to the first decoded frame, in Chromium.

use std::panic::AssertUnwindSafe;
use std::thread;
use std::time::Duration;

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::network::Host;
use sigmund_tests::page::{self, Start};

use crate::server::{Input, Server};

/// Joins of each server; the first is told apart, it starts more than itself.
const JOINS: usize = 8;

/// Prints the table.
pub fn compare(here: &Host, there: &Host) {
    println!("| server | input | first join | answer, median | first frame, median | worst |");
    println!("|---|---|---|---|---|---|");
    for input in [Input::RawVp8, Input::RawH264] {
        let medians =
            [Server::Sigmund, Server::Webrtcsink].map(|server| measure(server, input, here, there));
        if let [Some(ours), Some(theirs)] = medians {
            println!(
                "| **{}** | ratio 1 : {:.1} | | | | |",
                input.name(),
                theirs / ours
            );
        }
    }
}

fn measure(server: Server, input: Input, here: &Host, there: &Host) -> Option<f64> {
    let (_process, endpoint) = server.start(here, input);
    thread::sleep(Duration::from_secs(3));
    let mut starts: Vec<Start> = Vec::new();
    for _ in 0..JOINS {
        // A browser each: what one has decoded before must not help the next.
        let browser = Browser::start(there, Kind::Chromium);
        browser.open(&format!("http://{}:8080/{}", here.address(), server.document()));
        let joined = std::panic::catch_unwind(AssertUnwindSafe(|| page::whep(&browser, &endpoint)));
        match joined {
            Ok(start) => starts.push(start),
            Err(_) => println!(
                "| {} | {} | a join failed | | | |",
                server.name(),
                input.name()
            ),
        }
    }
    let first = starts.first()?.first;
    let later = starts.get(1..).unwrap_or_default();
    let answered = median(later.iter().map(|s| s.answered));
    let shown = median(later.iter().map(|s| s.first));
    let worst = later.iter().map(|s| s.first).fold(0.0, f64::max);
    println!(
        "| {} | {} | {first:.0} ms | {answered:.0} ms | {shown:.0} ms | {worst:.0} ms |",
        server.name(),
        input.name()
    );
    Some(shown)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
