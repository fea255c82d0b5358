//! Processor time of the server, by the number of its viewers.

use std::thread;
use std::time::{Duration, Instant};

use sigmund_tests::network::Host;
use sigmund_tests::viewer::{Manners, Viewer};
use str0m::format::Codec;

use crate::server::{Input, Server};

/// How long a number of viewers is measured.
const SPAN: Duration = Duration::from_secs(8);

/// How long they settle before.
const SETTLE: Duration = Duration::from_secs(3);

/// One row of the table.
struct Row {
    viewers: usize,
    /// Of one core, in percent.
    cpu: f64,
    /// Frames a second that the viewers got on average.
    frames: f64,
    threads: usize,
    memory: usize,
}

/// Prints the table, and the slopes.
pub fn compare(here: &Host, there: &Host) {
    println!("| server | input | viewers | CPU | frames/s at a viewer | threads | RSS MiB |");
    println!("|---|---|---|---|---|---|---|");
    for (input, ours, theirs) in [
        (Input::RawH264, vec![1, 5, 10, 20], vec![1, 2, 3]),
        (Input::Encoded, vec![1, 10, 20], vec![1, 10, 20]),
    ] {
        let ours = measure(Server::Sigmund, input, &ours, here, there);
        let theirs = measure(Server::Webrtcsink, input, &theirs, here, there);
        println!(
            "| **{}** | a viewer more costs | rtcsink {ours:.2} % | whepserversink {theirs:.2} % \
             | ratio 1 : {:.1} | | |",
            input.name(),
            theirs / ours
        );
    }
}

fn measure(server: Server, input: Input, counts: &[usize], here: &Host, there: &Host) -> f64 {
    let (process, endpoint) = server.start(here, input);
    let codec = if input == Input::RawVp8 {
        Codec::Vp8
    } else {
        Codec::H264
    };
    let manners = Manners {
        video: vec![codec],
        ..Manners::silent()
    };
    let mut viewers = Vec::new();
    let mut rows = Vec::new();
    for count in counts {
        while viewers.len() < *count {
            viewers.push(join(there, &endpoint, &manners));
        }
        thread::sleep(SETTLE);
        let frames = |viewers: &[Viewer]| viewers.iter().map(|v| v.seen().frames).sum::<u64>();
        let (before, shown, began) = (process.usage(), frames(&viewers), Instant::now());
        thread::sleep(SPAN);
        let (after, passed) = (process.usage(), began.elapsed().as_secs_f64());
        let row = Row {
            viewers: *count,
            cpu: (after.cpu - before.cpu).as_secs_f64() / passed * 100.0,
            frames: (frames(&viewers) - shown) as f64 / passed / *count as f64,
            threads: after.threads,
            memory: after.memory / 1024,
        };
        println!(
            "| {} | {} | {} | {:.1} % | {:.1} | {} | {} |",
            server.name(),
            input.name(),
            row.viewers,
            row.cpu,
            row.frames,
            row.threads,
            row.memory
        );
        rows.push(row);
    }
    slope(&rows)
}

fn join(there: &Host, endpoint: &str, manners: &Manners) -> Viewer {
    Viewer::try_join(there, endpoint, manners.clone())
        .unwrap_or_else(|response| panic!("{endpoint} refuses: {response:?}"))
}

/// Least squares: percent of a core for each further viewer.
fn slope(rows: &[Row]) -> f64 {
    let count = rows.len() as f64;
    let x = rows.iter().map(|r| r.viewers as f64).sum::<f64>() / count;
    let y = rows.iter().map(|r| r.cpu).sum::<f64>() / count;
    let covariance: f64 = rows
        .iter()
        .map(|r| (r.viewers as f64 - x) * (r.cpu - y))
        .sum();
    let variance: f64 = rows.iter().map(|r| (r.viewers as f64 - x).powi(2)).sum();
    covariance / variance
}
