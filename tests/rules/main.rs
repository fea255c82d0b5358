//! The rules of the house, as programs. They need nothing but the source.
//!
//! An exemption stands at its place, with its reason: the comment
//! `// rules: long because …` above a function, or at the top of a file.
#![allow(clippy::unwrap_used, clippy::panic)]

mod documents;
mod layers;
mod sizes;
mod source;
