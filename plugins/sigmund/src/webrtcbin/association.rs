//! Numbers for SCTP associations.
//!
//! Before 1.28 webrtcbin draws a random one of 16 bits for each connection. Two
//! connections of a process with the same number: the second one's channels
//! never open, and its teardown does not return.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

static TAKEN: LazyLock<Mutex<(u16, HashSet<u16>)>> = LazyLock::new(Mutex::default);

/// A number that no other association of the process has while this lives.
#[derive(Debug)]
pub(super) struct Association(u16);

impl Association {
    /// `None` when 65,535 are in use.
    pub(super) fn new() -> Option<Self> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, numbers) = &mut *taken;
        for _ in 0..u16::MAX {
            *last = last.wrapping_add(1).max(1);
            if numbers.insert(*last) {
                return Some(Self(*last));
            }
        }
        None
    }

    /// The number.
    pub(super) fn number(&self) -> u32 {
        self.0.into()
    }
}

impl Drop for Association {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        taken.1.remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_that_live_are_the_same() {
        let first = Association::new().unwrap();
        let number = first.number();
        let others: Vec<_> = (0..u32::from(u16::MAX) - 1)
            .map_while(|_| Association::new())
            .collect();
        assert!(others.len() > 60_000);
        assert!(
            others
                .iter()
                .all(|it| it.number() != number && it.number() > 0)
        );
        drop(others);
        assert!(Association::new().is_some());
    }
}
