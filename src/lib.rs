//! Everything of Sigmund that is not GStreamer.
//!
//! | module | it decides |
//! |---|---|
//! | [`message`] | what peers tell each other: types and their JSON |
//! | [`session`] | one remote peer as a state machine: events in, actions out |
//! | [`sdp`] | what we read and mend in descriptions: codec match, identity, rejected m-lines |
//! | [`address`] | signalling URIs and ICE-server URIs |
//! | [`data`] | messages of data channels: what can be sent to whom, frames, credits, queues |
//! | [`fanout`] | who gets which encoded frame, who waits for a keyframe, what is cached |
//! | [`ladder`] | network reports in, bitrates out |
//! | [`access`] | tokens, origins, limits |
//! | `fuzzing` | for tests: all that reads what comes from elsewhere |
//! | [`signaller`] | `net`: the [`signaller::Signaller`] trait, the registry of schemes, the supervisor |
//! | [`tunnel`] | `net`: TLS towards TURN servers, for a library that has none |
//! | [`turn_check`] | `net`: what is wrong with a TURN server, for a library that does not say |
//! | [`server`] | `net`: the page, WHEP, WHIP, and the streams they offer and take |
//!
//! The modules above `signaller` are pure: no socket, no clock (time is an
//! argument), no tokio. `cargo test --no-default-features` builds just those.
//!
//! # A session's states
//! See [`session::Phase`].
#![forbid(unsafe_code)]

pub mod access;
pub mod address;
pub mod data;
pub mod fanout;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod ladder;
pub mod message;
pub mod sdp;
#[cfg(feature = "net")]
pub mod server;
pub mod session;
#[cfg(feature = "net")]
pub mod signaller;
#[cfg(feature = "net")]
pub mod tunnel;
#[cfg(feature = "net")]
pub mod turn_check;
