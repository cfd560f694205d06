//! Writes sealed spans on the async runtime, again and again until the target has committed.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use alluvium_target::{Committed, Inserter, TargetError};
use prometheus::IntGauge;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::{Backoff, Late, LateError, LateSink, SpanId};
use crate::duplicates::Gathering;
use crate::metrics::Metrics;
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Span, Table};

/// What a sealed span brings to durability.
pub struct Load {
    /// Its rows; none if none are for the target.
    pub inserter: Option<Box<dyn Inserter>>,
    /// Its late records; never empty.
    pub late: Option<Late>,
    /// The events of its rows, to be remembered once it is durable.
    pub events: Option<Gathering>,
}

impl Load {
    /// Bytes of memory it holds.
    pub fn memory(&self) -> usize {
        let rows = self.inserter.as_ref().map_or(0, |i| i.staged().memory);
        let events = self.events.as_ref().map_or(0, Gathering::memory);
        rows + events + self.late.as_ref().map_or(0, Late::memory)
    }
}

/// How the writing of a span ended.
#[derive(Debug)]
pub enum Outcome {
    /// Every output is durable.
    Durable(Committed),
    /// The target will never take these rows of the table: read the span again and make them dead letters.
    Rejected(Table, String),
    /// Something else stands under an output's name: stop the partition.
    Conflict(String),
    /// A person must change something: stop.
    Misconfigured(String),
}

/// The report on one span.
#[derive(Debug)]
pub struct Written {
    /// The span as it was sealed.
    pub span: Span,
    /// Its name in the partition's ledger.
    pub id: SpanId,
    /// How it ended.
    pub outcome: Outcome,
}

/// Starts writes and reports their outcomes to one worker.
#[derive(Debug)]
pub struct Writer {
    runtime: Handle,
    attempts: Arc<Semaphore>,
    late: Arc<dyn LateSink>,
    reports: mpsc::Sender<Written>,
    metrics: Arc<Metrics>,
}

/// A write under way. Dropping it abandons the write; what it made visible stays.
#[derive(Debug)]
pub struct UnderWay(JoinHandle<()>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        #[cfg(test)]
        if mutation::on(Mutation::ReportForAnother) {
            return;
        }
        self.0.abort();
    }
}

impl Writer {
    /// A writer on `runtime`. `attempts` limits how many spans of the process talk to the target at once;
    /// late records go to `late`, reports to `reports`.
    pub fn new(
        runtime: Handle,
        attempts: Arc<Semaphore>,
        late: Arc<dyn LateSink>,
        reports: mpsc::Sender<Written>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            runtime,
            attempts,
            late,
            reports,
            metrics,
        }
    }

    /// Writes the span until it is durable or cannot be. The target comes first: if it refuses rows, the span is read
    /// again, and its late records would be sent again too.
    pub fn write(&self, span: Span, id: SpanId, load: Load) -> UnderWay {
        let attempts = self.attempts.clone();
        let reports = self.reports.clone();
        let (metrics, sink) = (self.metrics.clone(), self.late.clone());
        UnderWay(self.runtime.spawn(async move {
            let outcome = match load.inserter {
                Some(inserter) => write(&span, inserter, &attempts, &metrics).await,
                None => Outcome::Durable(Committed::default()),
            };
            #[cfg(test)]
            if mutation::on(Mutation::LateAfterwards) && matches!(outcome, Outcome::Durable(_)) {
                let (span, outcome) = (span.clone(), Outcome::Durable(Committed::default()));
                let _ = reports.send(Written { span, id, outcome }).await;
            }
            if let (Outcome::Durable(_), Some(late)) = (&outcome, load.late) {
                send_late(&span, late, &*sink, &metrics).await;
            }
            if let (Outcome::Durable(_), Some(events)) = (&outcome, load.events) {
                remember(&span, events).await;
            }
            // The worker is gone only when it has stopped caring.
            let _ = reports.send(Written { span, id, outcome }).await;
        }))
    }
}

async fn write(
    span: &Span,
    mut inserter: Box<dyn Inserter>,
    attempts: &Semaphore,
    metrics: &Metrics,
) -> Outcome {
    let mut backoff = Backoff::new(seed(span));
    loop {
        // Held for the attempt only, so that a span that waits does not keep others from the target.
        let permit = attempts.acquire().await;
        let started = Instant::now();
        let result = inserter.commit(span).await;
        metrics
            .commit_seconds
            .observe(started.elapsed().as_secs_f64());
        drop(permit);
        match result {
            Ok(committed) => {
                if backoff.attempts() > 0 {
                    tracing::info!(%span, attempts = backoff.attempts() + 1, "target took the span after all");
                }
                return Outcome::Durable(committed);
            }
            Err(TargetError::Rejected { table, reason }) => {
                return Outcome::Rejected(table, reason);
            }
            Err(TargetError::Conflict(reason)) => return Outcome::Conflict(reason),
            Err(TargetError::Misconfigured(reason)) => return Outcome::Misconfigured(reason),
            Err(TargetError::Unavailable(reason)) => {
                metrics.commit_failures.inc();
                let what = "target did not take the span; it is kept and tried again";
                wait(span, &mut backoff, metrics, what, &reason).await;
            }
        }
    }
}

/// Sends the span's late records, until all of them are durable.
async fn send_late(span: &Span, mut late: Late, sink: &dyn LateSink, metrics: &Metrics) {
    let mut backoff = Backoff::new(seed(span));
    while let Err(LateError::Unavailable(reason)) = sink.send(&mut late).await {
        metrics.historical_failures.inc();
        #[cfg(test)]
        if mutation::on(Mutation::LateGivenUp) {
            break;
        }
        let what = "late records were not taken; the span is kept and they are tried again";
        wait(span, &mut backoff, metrics, what, &reason).await;
    }
    let records = u64::try_from(late.len()).unwrap_or(u64::MAX);
    metrics.historical.inc_by(records);
    tracing::debug!(%span, records, "late records sent");
}

/// Lets time pass after a failed attempt, and says so.
async fn wait(span: &Span, backoff: &mut Backoff, metrics: &Metrics, what: &str, reason: &str) {
    let delay = backoff.next_delay();
    tracing::warn!(%span, attempt = backoff.attempts(), retry_in = ?delay, reason, "{what}");
    let _waiting = Waiting::on(&metrics.spans_waiting);
    tokio::time::sleep(delay).await;
}

/// Stores the events of a durable span. Without them their repeats are kept: no reason to hold the span up.
async fn remember(span: &Span, events: Gathering) {
    if let Err(error) = events.remember_aside().await {
        tracing::warn!(%span, %error, "the events of a span are not remembered: repeats of them will be rows");
    }
}

/// Counts a span that waits for its target, for as long as this lives: the wait may be abandoned.
struct Waiting<'a>(&'a IntGauge);

impl<'a> Waiting<'a> {
    fn on(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn seed(span: &Span) -> u64 {
    let mut hasher = DefaultHasher::new();
    span.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::SentBefore;
    use super::*;
    use crate::record::{Partition, Position};
    use alluvium_target::Staged;
    use async_trait::async_trait;

    /// Fails as often as told, then does what it is told.
    struct Scripted {
        failures: u32,
        end: fn() -> Result<Committed, TargetError>,
    }

    #[async_trait]
    impl Inserter for Scripted {
        fn add(&mut self, _: &Table, _: &arrow_array::RecordBatch) -> Result<(), TargetError> {
            Ok(())
        }
        fn staged(&self) -> Staged {
            Staged::default()
        }
        async fn commit(&mut self, _: &Span) -> Result<Committed, TargetError> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(TargetError::Unavailable("down".into()));
            }
            (self.end)()
        }
    }

    fn span() -> Span {
        Span {
            partition: Partition::new("t", 0),
            from: Position::at(0),
            to: Position::at(5),
        }
    }

    fn load(inserter: Scripted) -> Load {
        Load {
            inserter: Some(Box::new(inserter)),
            late: None,
            events: None,
        }
    }

    async fn outcome(inserter: Scripted) -> (Outcome, Duration, u64) {
        let metrics = Metrics::new().unwrap();
        let (reports, mut received) = mpsc::channel(1);
        let writer = Writer::new(
            Handle::current(),
            Arc::new(Semaphore::new(1)),
            Arc::new(SentBefore),
            reports,
            metrics.clone(),
        );
        let started = tokio::time::Instant::now();
        let mut ids = super::super::SpanIds::default();
        let _under_way = writer.write(span(), ids.next_id(), load(inserter));
        let written = received.recv().await.unwrap();
        (
            written.outcome,
            started.elapsed(),
            metrics.commit_failures.get(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn an_unavailable_target_is_tried_until_it_heals() {
        let end = || {
            Ok(Committed {
                outputs: 1,
                bytes: 2,
                rows: 3,
            })
        };
        let (outcome, waited, failures) = outcome(Scripted { failures: 20, end }).await;
        assert!(matches!(
            outcome,
            Outcome::Durable(Committed { rows: 3, .. })
        ));
        assert_eq!(failures, 20);
        assert!(waited > Duration::from_secs(11 * 60) && waited < Duration::from_secs(16 * 60));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_heal_is_reported_at_once() {
        let end = || Err(TargetError::Misconfigured("no bucket".into()));
        let (outcome, waited, _) = outcome(Scripted { failures: 0, end }).await;
        assert!(matches!(outcome, Outcome::Misconfigured(reason) if reason == "no bucket"));
        assert_eq!(waited, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_write_reports_nothing() {
        let metrics = Metrics::new().unwrap();
        let (reports, mut received) = mpsc::channel(1);
        let writer = Writer::new(
            Handle::current(),
            Arc::new(Semaphore::new(1)),
            Arc::new(SentBefore),
            reports,
            metrics,
        );
        let end = || Ok(Committed::default());
        let mut ids = super::super::SpanIds::default();
        drop(writer.write(span(), ids.next_id(), load(Scripted { failures: 1, end })));
        drop(writer);
        assert!(received.recv().await.is_none());
    }
}
