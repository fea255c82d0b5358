//! The elements, with viewers that are no browsers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod addresses;
mod bitrate;
mod calling;
mod crowd;
mod data;
mod formats;
mod hostile;
mod identity;
mod impostor;
mod inspect;
mod joining;
mod late;
mod life;
mod messages;
mod peers;
mod pitfalls;
mod receiving;
mod scenes;
mod telling;
mod throughput;
mod transfer;
