//! Whether the process is alive and ready, as its workers say.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A worker that has not turned for this long is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// Signs of life of all workers.
#[derive(Debug)]
pub struct Health {
    since: Instant,
    workers: Vec<Sign>,
}

#[derive(Debug)]
struct Sign {
    /// Milliseconds since the process began, or [`NEVER`].
    turned: AtomicU64,
    joined: AtomicBool,
}

/// A worker that has not begun is not stuck.
const NEVER: u64 = u64::MAX;

impl Sign {
    fn new() -> Self {
        Self {
            turned: AtomicU64::new(NEVER),
            joined: AtomicBool::new(false),
        }
    }
}

impl Health {
    /// For so many workers at most.
    pub fn new(workers: usize) -> Self {
        Self {
            since: Instant::now(),
            workers: (0..workers).map(|_| Sign::new()).collect(),
        }
    }

    /// A worker has turned its loop.
    pub fn turned(&self, worker: usize) {
        if let Some(sign) = self.workers.get(worker) {
            let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            sign.turned.store(now, Ordering::Relaxed);
        }
    }

    /// The group has told a worker what is its own.
    pub fn joined(&self, worker: usize) {
        if let Some(sign) = self.workers.get(worker) {
            sign.joined.store(true, Ordering::Relaxed);
        }
    }

    /// Whether every worker turns.
    pub fn alive(&self) -> bool {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let stuck = u64::try_from(STUCK.as_millis()).unwrap_or(u64::MAX);
        self.workers
            .iter()
            .all(|s| now.saturating_sub(s.turned.load(Ordering::Relaxed)) < stuck)
    }

    /// Whether some worker has its partitions: more workers than partitions is no fault.
    pub fn ready(&self) -> bool {
        self.alive()
            && self
                .workers
                .iter()
                .any(|sign| sign.joined.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_once_the_group_has_spoken() {
        let health = Health::new(2);
        assert!(health.alive() && !health.ready());
        health.turned(0);
        health.joined(1);
        assert!(health.ready());
        health.joined(7);
    }
}
