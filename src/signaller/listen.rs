//! `listen://`: the embedded server.
