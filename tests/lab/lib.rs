//! The lab: small networks out of namespaces, a publisher that can be asked
//! anything, and viewers that know nothing of the code under test.
//!
//! | module | what it gives |
//! |---|---|
//! | [`network`] | [`Lab`]: hosts with addresses of their own, joined by a bridge |
//! | [`internet`] | a public segment, and sites behind routers |
//! | [`nat`] | what those routers do to the ones behind them |
//! | [`names`] | name servers on those routers |
//! | [`capture`] | what goes over a wire, told apart by its first byte |
//! | [`coturn`] | coturn: STUN and TURN by UDP, TCP and TLS |
//! | [`process`] | programs on those hosts, gone when the test is |
//! | [`publisher`] | a pipeline in a process of its own, asked and told over a pipe |
//! | [`relay`] | `sigmund serve` |
//! | [`sight`] | what came out of a pipeline that receives |
//! | [`slow`] | lines with delay, loss, a rate and a queue |
//! | `stream` | TCP out of a capture, cut into what was framed |
//! | [`stage`] | a publisher and viewers on public hosts, with coturn between |
//! | [`world`] | two people in such networks, with signalling and TURN to help them |
//! | [`stamp`] | a counter and a clock drawn into the picture, read back from it |
//! | [`media`] | the clips, and files made once |
//! | [`messages`] | messages that both ends of a test can make, and know again |
//! | [`http`] | requests, polite and impolite |
//! | [`whep`] | the HTTP side of a viewer |
//! | [`viewer`] | a viewer made of str0m: no GStreamer, no browser |
//! | [`answerer`] | the same, for offers that others make |
//! | [`peer`] | WebRTC peers of other makes |
//! | [`description`] | offers, forged |
//! | [`browser`] | Chromium and Firefox, driven |
//! | [`page`] | the questions that are asked inside a browser |
//! | [`web`] | pages of other people |
//!
//! A lab that cannot do its work panics: it stands in tests only, and there a
//! panic with a sentence is what is wanted.
#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::print_stderr)]

pub mod answerer;
pub mod browser;
pub mod capture;
pub mod coturn;
pub mod description;
pub mod http;
pub mod internet;
pub mod media;
pub mod messages;
pub mod names;
pub mod nat;
pub mod network;
pub mod page;
pub mod peer;
pub mod process;
pub mod publisher;
pub mod relay;
pub mod sight;
pub mod slow;
pub mod stage;
pub mod stamp;
mod stream;
pub mod viewer;
pub mod web;
pub mod whep;
pub mod world;

use std::thread;
use std::time::{Duration, Instant};

pub use coturn::Coturn;
pub use internet::{Internet, Site};
pub use nat::Nat;
pub use network::{Host, Lab};
pub use publisher::Publisher;
pub use relay::Relay;
pub use stage::Stage;
pub use world::World;

/// Asks `probe` until it has an answer; panics with `what` after `limit`.
#[track_caller]
pub fn eventually<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
