//! One line a minute that says how things go.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Metrics;

const EVERY: Duration = Duration::from_secs(60);

/// Counts so far.
#[derive(Clone, Copy, Default)]
struct Counts {
    records: u64,
    bytes: u64,
    dead_letters: u64,
    dropped: u64,
    rows: u64,
    outputs: u64,
    output_bytes: u64,
    failures: u64,
}

impl Counts {
    fn of(metrics: &Metrics) -> Self {
        Self {
            records: metrics.records.get(),
            bytes: metrics.bytes.get(),
            dead_letters: Metrics::sum(&metrics.dead_letters),
            dropped: Metrics::sum(&metrics.dropped),
            rows: metrics.output_rows.get(),
            outputs: metrics.outputs.get(),
            output_bytes: metrics.output_bytes.get(),
            failures: metrics.commit_failures.get(),
        }
    }
}

/// Logs what has happened in each minute, until dropped.
pub(super) async fn every_minute(metrics: Arc<Metrics>) {
    let mut before = Counts::of(&metrics);
    loop {
        tokio::time::sleep(EVERY).await;
        let now = Counts::of(&metrics);
        tracing::info!(
            records = now.records - before.records,
            bytes = now.bytes - before.bytes,
            rows_committed = now.rows - before.rows,
            dead_letters = now.dead_letters - before.dead_letters,
            dropped = now.dropped - before.dropped,
            outputs = now.outputs - before.outputs,
            output_bytes = now.output_bytes - before.output_bytes,
            failed_attempts = now.failures - before.failures,
            lag_records = Metrics::sum_gauges(&metrics.lag),
            partitions = metrics.partitions.get(),
            memory_open = metrics.budget_open.get(),
            memory_sealed = metrics.budget_sealed.get(),
            "the last minute"
        );
        before = now;
    }
}
