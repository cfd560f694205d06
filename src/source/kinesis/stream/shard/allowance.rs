//! How many bytes of records the readers of one worker may hold.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted: a KiB each, so that any memory fits a permit's number.
const UNIT: usize = 1 << 10;

/// Bytes that all readers of one worker may hold together: what they are about to fetch, what waits in the channel, and what the worker has
/// not dropped yet. Handed out in the order it was asked for, so that no reader starves.
#[derive(Clone, Debug)]
pub struct Allowance {
    units: Arc<Semaphore>,
    total: u32,
}

/// A share of an [`Allowance`], given back when dropped.
#[derive(Debug)]
pub struct Held {
    permit: OwnedSemaphorePermit,
}

impl Allowance {
    /// An allowance of `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let total = units(bytes).max(1);
        Self {
            units: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// Waits for `bytes`, or for all there is if that is less.
    pub(super) async fn reserve(&self, bytes: usize) -> Held {
        let wanted = units(bytes).min(self.total);
        match self.units.clone().acquire_many_owned(wanted).await {
            Ok(permit) => Held { permit },
            // Nobody closes it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether fewer than `bytes` are free, or, if it never had so many, less than it has.
    #[must_use]
    pub fn is_short_of(&self, bytes: usize) -> bool {
        self.free() < bytes.min(self.total as usize * UNIT)
    }

    /// What nobody holds.
    #[must_use]
    pub fn free(&self) -> usize {
        self.units.available_permits() * UNIT
    }
}

impl Held {
    /// Gives back all but `bytes`.
    pub(super) fn settle(&mut self, bytes: usize) {
        let needed = units(bytes) as usize;
        let spare = self.permit.num_permits().saturating_sub(needed);
        drop(self.permit.split(spare));
    }

    /// Bytes of this share.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.permit.num_permits() * UNIT
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_waited_for() {
        let allowance = Allowance::new(100 << 10);
        let mut first = allowance.reserve(60 << 10).await;
        let second = allowance.reserve(50 << 10);
        let mut second = std::pin::pin!(second);
        let second_wait = timeout(Duration::from_secs(60), &mut second).await;
        assert!(second_wait.is_err());
        first.settle(50 << 10);
        let second = second.await;
        assert_eq!(allowance.free(), 0);
        drop((first, second));
        assert_eq!(allowance.free(), 100 << 10);
    }

    #[tokio::test]
    async fn one_that_wants_more_than_there_is_gets_all() {
        let allowance = Allowance::new(10 << 10);
        let all = allowance.reserve(1 << 30).await;
        assert_eq!((all.bytes(), allowance.free()), (10 << 10, 0));
    }
}
