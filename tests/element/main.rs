//! The elements, with viewers that are no browsers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod joining;
mod scenes;
