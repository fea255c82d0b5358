//! What a viewer costs, and how long it waits: rtcsink beside webrtcsink's
//! WHEP server, in one run on one machine.
//!
//! `sigmund-bench`, or one of its parts: `cost`, `start`. Prints tables and the
//! ratios. Absolute figures depend on the machine and
//! on what else it does; the ratios hold.

mod cost;
mod server;
mod start;

use sigmund_tests::network::Lab;

fn main() {
    let Some(mut lab) = Lab::new() else { return };
    let (here, there) = (lab.host("server"), lab.host("viewers"));
    let only = std::env::args().nth(1);
    let wanted = |name| only.as_deref().is_none_or(|only| only == name);
    println!("A viewer of 1280x720 at 30 frames a second\n");
    if wanted("cost") {
        cost::compare(&here, &there);
        println!();
    }
    if wanted("start") {
        start::compare(&here, &there);
    }
}
