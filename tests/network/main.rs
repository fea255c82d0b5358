//! Paths through NATs and firewalls, STUN and TURN.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod begin;
mod calls;
mod candidates;
mod cells;
mod crash;
mod expiry;
mod kinds;
mod loss;
mod matrix;
mod picture;
mod scenario;
mod servers;
mod slow;
mod turn;
mod wire;
