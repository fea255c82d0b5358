//! `memory:`: peers in the same process, for tests.
