//! How long one call keeps trying before it tells its caller.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::CatalogError;
use super::failure::Failure;
use crate::catalog::memory::now_ms;

/// A call takes no longer, whatever the database does.
const CALL: Duration = Duration::from_secs(30);
/// Attempts of one call; the waits between them add up to some 4 seconds.
const ATTEMPTS: u32 = 12;
/// The longest wait between two attempts, in milliseconds.
const LONGEST_WAIT: u64 = 640;

/// The patience of one call.
pub(super) struct Patience<'a> {
    place: &'a str,
    failed: u32,
    end: Instant,
}

impl<'a> Patience<'a> {
    /// `place` is for messages.
    pub(super) fn new(place: &'a str) -> Self {
        Self {
            place,
            failed: 0,
            end: Instant::now() + CALL,
        }
    }

    /// Makes an attempt, for as long as there is time. What it had begun is rolled back then.
    pub(super) async fn within<T>(
        &self,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = || {
            let why = format!("no answer within {} seconds", CALL.as_secs());
            Failure::Final(CatalogError::Unavailable(why))
        };
        timeout_at(self.end, attempt)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// Whether no attempt is left after the one that just failed.
    pub(super) fn is_at_end(&self) -> bool {
        self.failed + 1 >= ATTEMPTS
    }

    /// Waits before another attempt; or gives the error, if there is none.
    pub(super) async fn pass(&mut self, failure: Failure) -> Result<(), CatalogError> {
        let why = match failure {
            Failure::Again(why) | Failure::Taken(why) if !self.is_at_end() => {
                tracing::debug!("catalog: {}: {why}; trying again", self.place);
                self.failed += 1;
                sleep(self.wait()).await;
                return Ok(());
            }
            Failure::Final(error) => return Err(self.placed(error)),
            Failure::Again(why) | Failure::Taken(why) => CatalogError::Unavailable(why),
            Failure::TooMuch(why) => CatalogError::Misconfigured(why),
        };
        Err(self.placed(why))
    }

    /// Grows from attempt to attempt, and differs between callers that got into each other's way.
    fn wait(&self) -> Duration {
        let most = (10_u64 << self.failed.min(6)).min(LONGEST_WAIT);
        let spread = now_ms().unsigned_abs() ^ (std::ptr::from_ref(self).addr() as u64 >> 4);
        Duration::from_millis(most / 2 + spread % (most / 2 + 1))
    }

    fn placed(&self, error: CatalogError) -> CatalogError {
        let placed = |why: String| format!("{}: {why}", self.place);
        match error {
            CatalogError::Unavailable(why) => CatalogError::Unavailable(placed(why)),
            CatalogError::Misconfigured(why) => CatalogError::Misconfigured(placed(why)),
            refused @ CatalogError::Refused { .. } => refused,
        }
    }
}
