//! How often: token buckets. Time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How much may be taken at once, and how much a second in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What a bucket holds.
    pub burst: u32,
    /// What flows into it, a second; at least 1.
    pub per_second: u32,
}

/// What one client may still take.
///
/// Held as the time at which the bucket would be full again, as that needs no
/// arithmetic while nobody takes from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes one, or says how long to wait for it.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let one = Duration::from_secs(1) / rate.per_second.max(1);
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + one;
        let behind = full_at - now;
        let most = one * rate.burst.max(1);
        if behind > most {
            return Err(behind - most);
        }
        self.full_at = Some(full_at);
        Ok(())
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|at| at <= now)
    }
}

/// A bucket for each client. Those that are full are forgotten, so it holds no
/// more than those who took of late.
#[derive(Clone, Debug)]
pub struct Buckets<K> {
    buckets: HashMap<K, Bucket>,
    /// When there are so many, it is time to forget.
    sweep_at: usize,
}

/// No fewer are swept.
const FEW: usize = 1024;

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self {
            buckets: HashMap::new(),
            sweep_at: FEW,
        }
    }
}

impl<K: Hash + Eq> Buckets<K> {
    /// Takes one from the bucket of `key`, or says how long to wait for it.
    pub fn take(&mut self, key: K, rate: Rate, now: Instant) -> Result<(), Duration> {
        if self.buckets.len() >= self.sweep_at {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            // So the sweeps cost a constant for each client.
            self.sweep_at = (self.buckets.len() * 2).max(FEW);
        }
        self.buckets.entry(key).or_default().take(rate, now)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Is none remembered?
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 3,
        per_second: 2,
    };

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let (mut bucket, begin) = (Bucket::default(), Instant::now());
        for _ in 0..3 {
            assert_eq!(bucket.take(RATE, begin), Ok(()));
        }
        let half = Duration::from_millis(500);
        assert_eq!(bucket.take(RATE, begin), Err(half));
        assert_eq!(bucket.take(RATE, begin + half / 2), Err(half / 2));
        assert_eq!(bucket.take(RATE, begin + half), Ok(()));
        assert!(bucket.take(RATE, begin + half).is_err());
        let later = begin + Duration::from_secs(60);
        let given = (0..10).filter(|_| bucket.take(RATE, later).is_ok()).count();
        assert_eq!(given, 3, "it does not overflow");
    }

    #[test]
    fn clients_have_buckets_of_their_own_and_are_forgotten() {
        let (mut buckets, begin) = (Buckets::default(), Instant::now());
        for _ in 0..RATE.burst {
            buckets.take(0, RATE, begin).unwrap();
        }
        assert!(buckets.take(0, RATE, begin).is_err());
        for client in 1..100_000 {
            let now = begin + Duration::from_millis(client);
            assert_eq!(buckets.take(client, RATE, now), Ok(()));
            assert!(buckets.len() <= FEW, "{}", buckets.len());
        }
    }
}
