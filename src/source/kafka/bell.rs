//! What a worker sleeps by: whoever has something for it rings.
//!
//! Messages, what the group says and answers come by ways of their own, and a worker can wait for one thing only.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Rings until somebody has heard it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    /// Ends the wait of whoever waits, or the next one to come.
    pub(super) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_one();
    }

    /// Waits until it rings, at most so long.
    pub(super) fn wait(&self, most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.heard.wait_timeout_while(rung, most, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}
