//! What a viewer costs, and how long it waits: rtcsink beside webrtcsink's
//! WHEP server, in one run on one machine.
//!
//! Prints a table and the ratios. Absolute figures depend on the machine and
//! on what else it does; the ratios hold.

mod cost;
mod server;
mod start;

use sigmund_tests::network::Lab;

fn main() {
    let Some(mut lab) = Lab::new() else { return };
    let (here, there) = (lab.host("server"), lab.host("viewers"));
    println!("A viewer of 1280x720 at 30 frames a second\n");
    cost::compare(&here, &there);
    println!();
    start::compare(&here, &there);
}
