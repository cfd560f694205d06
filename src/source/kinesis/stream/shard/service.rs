//! What the readers of all shards of a process share: the stream, how to read it, and what is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::super::Stream;
use crate::metrics::Metrics;
use crate::metrics::cloudwatch::KclMetrics;

/// How records are had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are asked for, within what all readers of the stream may ask together.
    Polling,
    /// They are sent, with a throughput of the consumer's own, which costs money.
    FanOut,
    /// They are sent if that can be had, or else asked for.
    Auto,
}

/// How to read a stream.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How records are had.
    pub mode: Mode,
    /// The name of the consumer they are sent to.
    pub consumer: String,
    /// Records to ask for at once; at most 10,000.
    pub limit: u32,
    /// Memory that one answer may take, which is set aside before it is asked for. The service gives 10 MiB or 10,000 records at most.
    pub answer_bytes: usize,
    /// How long to wait for a consumer to become active before asking instead, if that is allowed.
    pub consumer_patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Polling,
            consumer: "alluvium".into(),
            limit: 10_000,
            answer_bytes: 12 << 20,
            consumer_patience: Duration::from_secs(60),
        }
    }
}

/// A stream and how it is read, shared by all workers of a process.
#[derive(Debug)]
pub struct Service {
    pub(super) stream: Arc<dyn Stream>,
    pub(super) settings: Settings,
    /// How the consumer is named in subscriptions; empty of one if records are asked for instead.
    pub(super) consumer: OnceCell<Option<Arc<str>>>,
    began: Instant,
    began_wall: SystemTime,
    counts: Counts,
    metrics: Option<Arc<Metrics>>,
    kcl: Option<Arc<KclMetrics>>,
}

/// What has happened since the start, in calls of the service.
#[derive(Debug, Default)]
pub struct Counts {
    /// Reads and subscriptions that were answered.
    pub answers: AtomicU64,
    /// Calls refused because there were too many.
    pub throttled: AtomicU64,
    /// Iterators that were too old.
    pub expired: AtomicU64,
    /// Calls that failed otherwise.
    pub failed: AtomicU64,
}

impl Counts {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Service {
    /// Reads `stream` as `settings` say.
    #[must_use]
    pub fn new(stream: Arc<dyn Stream>, settings: Settings) -> Self {
        Self {
            stream,
            settings,
            consumer: OnceCell::new(),
            began: Instant::now(),
            began_wall: SystemTime::now(),
            counts: Counts::default(),
            metrics: None,
            kcl: None,
        }
    }

    /// Tells what happens to those who look from outside.
    #[must_use]
    pub fn seen_by(self, metrics: Arc<Metrics>, kcl: Option<Arc<KclMetrics>>) -> Self {
        let metrics = Some(metrics);
        Self {
            metrics,
            kcl,
            ..self
        }
    }

    /// A call was refused because there were too many.
    pub(super) fn throttled(&self, call: &str) {
        Counts::count(&self.counts.throttled);
        if let Some(metrics) = &self.metrics {
            metrics.throttled.with_label_values(&[call]).inc();
        }
    }

    /// The place where a shard was read must be found again.
    pub(super) fn expired(&self, shard: &str) {
        Counts::count(&self.counts.expired);
        if let Some(kcl) = &self.kcl {
            kcl.expired_iterator(shard);
        }
    }

    /// With another time of day now.
    #[cfg(test)]
    pub(crate) fn at(self, now: SystemTime) -> Self {
        let began_wall = now - self.now();
        Self { began_wall, ..self }
    }

    /// The stream.
    pub fn stream(&self) -> &Arc<dyn Stream> {
        &self.stream
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Time since the start. It is the runtime's, so that tests can stop and move it.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn wall(&self) -> SystemTime {
        self.began_wall + self.now()
    }
}
