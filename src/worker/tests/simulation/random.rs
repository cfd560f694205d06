//! Chance that comes out the same for the same seed, everywhere.

use std::time::Duration;

/// A small generator (splitmix64): what matters is that it is fixed, not that it is good.
pub(in crate::worker::tests) struct Random(u64);

impl Random {
    pub(in crate::worker::tests) fn new(seed: u64) -> Self {
        let mut random = Self(seed ^ 0x5eed_5eed_5eed_5eed);
        random.next();
        random
    }

    pub(in crate::worker::tests) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(in crate::worker::tests) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(in crate::worker::tests) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.range(0, length as u64 - 1)).unwrap()
    }

    /// True so many times in ten thousand.
    pub(in crate::worker::tests) fn chance(&mut self, of_ten_thousand: u64) -> bool {
        self.next() % 10_000 < of_ten_thousand
    }

    pub(in crate::worker::tests) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// A part of a duration, in milliseconds.
    pub(in crate::worker::tests) fn part(&mut self, of: Duration) -> Duration {
        self.ms(0, u64::try_from(of.as_millis()).unwrap())
    }

    /// A duration in milliseconds, both ends included.
    pub(in crate::worker::tests) fn ms(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.range(low, high))
    }
}
