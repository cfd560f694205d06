//! Time as an argument, so that a test can run a year of it in a second.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

/// Tells the time.
pub trait Clock: Debug + Send {
    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;
    /// The time of day.
    fn wall(&self) -> SystemTime;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
