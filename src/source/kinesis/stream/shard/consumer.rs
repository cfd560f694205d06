//! The consumer that records are sent to: found by its name, or made.

use std::sync::Arc;
use std::time::Duration;

use super::super::StreamError;
use super::pace::Pace;
use super::reader::seed;
use super::service::{Mode, Service};

/// Between two looks at a consumer that is being made.
const LOOK: Duration = Duration::from_secs(1);
/// Between two complaints.
const COMPLAINTS: u32 = 30;

impl Service {
    /// How the consumer is named in subscriptions, or `None` if records are to be asked for instead. The first reader finds out, for all.
    ///
    /// # Errors
    /// A text for a person.
    pub(super) async fn consumer(&self) -> Result<Option<Arc<str>>, String> {
        if self.settings.mode == Mode::Polling {
            return Ok(None);
        }
        let found = self.consumer.get_or_try_init(|| async {
            match self.settings.mode {
                Mode::Auto => Ok(self.consumer_or_none().await),
                _ => self.active_consumer().await.map(Some),
            }
        });
        found.await.cloned()
    }

    async fn consumer_or_none(&self) -> Option<Arc<str>> {
        let patience = self.settings.consumer_patience;
        let reason = match tokio::time::timeout(patience, self.active_consumer()).await {
            Ok(Ok(consumer)) => return Some(consumer),
            Ok(Err(reason)) => reason,
            Err(_) => format!("not active within {patience:?}"),
        };
        tracing::warn!(
            stream = self.stream.name(),
            consumer = self.settings.consumer,
            reason,
            "no consumer for enhanced fan-out: records are polled instead, within the limits that all readers of the stream share"
        );
        None
    }

    /// Waits for the consumer to be active; makes it if it is missing.
    ///
    /// # Errors
    /// A text for a person.
    pub(super) async fn active_consumer(&self) -> Result<Arc<str>, String> {
        let name = &self.settings.consumer;
        // Another process may make it at this moment.
        let mut pace = Pace::new(seed(name));
        let mut missing = false;
        loop {
            let asked = match missing {
                true => self.stream.register_consumer(name).await,
                false => self.stream.describe_consumer(name).await,
            };
            let was_missing = std::mem::replace(&mut missing, false);
            match asked {
                Ok(consumer) if consumer.active => return Ok(consumer.arn.into()),
                Ok(_) => tokio::time::sleep(LOOK).await,
                Err(StreamError::NotFound(_)) if !was_missing => missing = true,
                // Somebody was faster.
                Err(StreamError::InUse(_)) if was_missing => tokio::time::sleep(LOOK).await,
                Err(StreamError::Misconfigured(reason)) => return Err(reason),
                // There is no such stream.
                Err(StreamError::NotFound(reason)) => return Err(reason),
                Err(error) => {
                    pace.failed(self.now());
                    if pace.failures() % COMPLAINTS == 1 {
                        tracing::warn!(stream = self.stream.name(), consumer = name, %error, "no consumer yet; asking again");
                    }
                    tokio::time::sleep(pace.rest(self.now())).await;
                }
            }
        }
    }
}
