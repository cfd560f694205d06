//! How long to wait before a failing target is tried again.

use std::time::Duration;

/// Delays that double from one second to one minute, each shortened by up to a fifth so that many partitions do
/// not come back at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    attempt: u32,
    spread: u64,
}

const FIRST: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(60);

impl Backoff {
    /// A fresh back-off; `seed` decides the spread.
    pub fn new(seed: u64) -> Self {
        Self {
            attempt: 0,
            spread: seed | 1,
        }
    }

    /// Failures so far.
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    /// The delay after one more failure: never more than a minute, never less than four fifths of a second.
    pub fn next_delay(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.attempt.min(6)).min(CAP);
        self.attempt = self.attempt.saturating_add(1);
        // xorshift: the spread needs to differ between partitions, not to be random.
        self.spread ^= self.spread << 13;
        self.spread ^= self.spread >> 7;
        self.spread ^= self.spread << 17;
        full - full / 5 * u32::try_from(self.spread % 1000).unwrap_or(0) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn delays_grow_and_are_capped(seed: u64) {
            let mut backoff = Backoff::new(seed);
            let delays: Vec<_> = (0..200).map(|_| backoff.next_delay()).collect();
            prop_assert!(delays[0] >= FIRST * 4 / 5 && delays[0] <= FIRST);
            prop_assert!(delays.iter().all(|d| *d <= CAP));
            prop_assert!(delays[10..].iter().all(|d| *d >= CAP * 4 / 5));
            prop_assert!(delays[..6].windows(2).all(|w| w[1] > w[0]));
        }
    }
}
