//! The page and the streams, in Chromium and Firefox.
//!
//! One test at a time runs browsers: pictures a second are judged here.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod calls;
mod crowd;
mod data;
mod embed;
mod faults;
mod heal;
mod page;
mod passthrough;
mod peer;
mod receiving;
mod scenes;
mod studio;
mod sync;
mod whep;
