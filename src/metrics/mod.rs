//! What the program counts about itself, in Prometheus' terms.
//!
//! Owns names, help texts and bounds: the number of series never grows with what records say beyond a fixed
//! limit. Knows no module of the program; the others count here.

pub mod cloudwatch;
mod health;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

pub use self::health::Health;

/// Tables that get a series of their own; rows of all others are counted together as `other`.
const MAX_TABLES: usize = 200;

/// All metrics of the process. Shared by all workers.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    tables: Mutex<HashSet<String>>,
    rows: IntCounterVec,
    /// Records taken from the stream.
    pub records: IntCounter,
    /// Bytes of keys and payloads taken from the stream.
    pub bytes: IntCounter,
    /// Records that became dead letters, by reason.
    pub dead_letters: IntCounterVec,
    /// Records left out of the target on purpose, by reason.
    pub dropped: IntCounterVec,
    /// Late records that the historical topic has taken.
    pub historical: IntCounter,
    /// Attempts to send late records that failed.
    pub historical_failures: IntCounter,
    /// Spans sealed, by reason.
    pub flushes: IntCounterVec,
    /// Age of the oldest open span of each partition, in seconds.
    pub open_span_age: IntGaugeVec,
    /// Records between what was taken and the partition's end.
    pub lag: IntGaugeVec,
    /// Last checkpoint the stream has confirmed.
    pub checkpoint: IntGaugeVec,
    /// Memory the process may use for records on their way, in bytes.
    pub budget_limit: IntGauge,
    /// Memory in spans that still grow, in bytes.
    pub budget_open: IntGauge,
    /// Memory in sealed spans that are not durable yet, in bytes.
    pub budget_sealed: IntGauge,
    /// Seconds one attempt to commit a span at the target took.
    pub commit_seconds: Histogram,
    /// Attempts to commit a span that failed.
    pub commit_failures: IntCounter,
    /// Sealed spans that wait to be tried again.
    pub spans_waiting: IntGauge,
    /// Outputs made durable.
    pub outputs: IntCounter,
    /// Bytes of those outputs, as stored.
    pub output_bytes: IntCounter,
    /// Rows in those outputs, dead letters included.
    pub output_rows: IntCounter,
    /// Checkpoints the stream refused.
    pub checkpoint_failures: IntCounter,
    /// Requests to store plans and checkpoints, each for any number of partitions.
    pub checkpoint_requests: IntCounter,
    /// Open plans of earlier owners that were taken over.
    pub plans_recovered: IntCounter,
    /// Partitions given up until a person has looked at them.
    pub partitions_stopped: IntGauge,
    /// Errors of the stream's client.
    pub source_errors: IntCounter,
    /// Partitions now assigned to this process.
    pub partitions: IntGauge,
    /// Rebalances, by kind.
    pub rebalances: IntCounterVec,
    /// Workers that take no records because memory is short.
    pub workers_paused: IntGauge,
    /// Records no longer retained by the stream when they were due.
    pub records_expired: IntCounter,
    /// Milliseconds between the last record taken of a shard and the shard's end.
    pub behind: IntGaugeVec,
    /// Leases this process has.
    pub leases_held: IntGauge,
    /// Leases it took, from others or from nobody.
    pub leases_taken: IntCounter,
    /// Leases it lost to others, or had to give up because it could not renew them in time.
    pub leases_lost: IntCounter,
    /// Attempts to renew a lease that failed.
    pub lease_renew_failures: IntCounter,
    /// Calls that a service refused because there were too many, by the call's name.
    pub throttled: IntCounterVec,
    /// Sets of statistics that CloudWatch never got.
    pub cloudwatch_dropped: IntCounter,
}

impl Metrics {
    /// A fresh set, all zero.
    ///
    /// # Errors
    /// Only if a metric is declared twice, which a test excludes.
    pub fn new() -> Result<Arc<Self>, prometheus::Error> {
        let make = Make(Registry::new());
        let seconds = HistogramOpts::new(
            "alluvium_commit_seconds",
            "Seconds one attempt to commit a span at the target took.",
        )
        .buckets(vec![
            0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
        ]);
        let commit_seconds = Histogram::with_opts(seconds)?;
        make.0.register(Box::new(commit_seconds.clone()))?;
        let partition = &["topic", "partition"];
        Ok(Arc::new(Self {
            rows: make.counters("rows_total", "Rows built, by table (bounded).", &["table"])?,
            records: make.counter("records_total", "Records taken from the stream.")?,
            bytes: make.counter("record_bytes_total", "Bytes of keys and payloads taken.")?,
            dead_letters: make.counters(
                "dead_letters_total",
                "Records that became dead letters, by reason.",
                &["reason"],
            )?,
            dropped: make.counters(
                "records_dropped_total",
                "Records left out of the target on purpose, by reason.",
                &["reason"],
            )?,
            historical: make.counter(
                "historical_records_total",
                "Late records that the historical topic has taken.",
            )?,
            historical_failures: make.counter(
                "historical_failures_total",
                "Failed attempts to send a span's late records.",
            )?,
            flushes: make.counters("flushes_total", "Spans sealed, by reason.", &["reason"])?,
            open_span_age: make.gauges(
                "open_span_age_seconds",
                "Seconds since the first record of the partition's open span was taken.",
                partition,
            )?,
            lag: make.gauges(
                "lag_records",
                "Records not yet taken from the partition.",
                partition,
            )?,
            checkpoint: make.gauges("checkpoint", "Last confirmed checkpoint.", partition)?,
            budget_limit: make.gauge("memory_budget_bytes", "Memory records may use.")?,
            budget_open: make.gauge("memory_open_bytes", "Memory in spans that still grow.")?,
            budget_sealed: make.gauge("memory_sealed_bytes", "Memory in spans under way.")?,
            commit_seconds,
            commit_failures: make
                .counter("commit_failures_total", "Failed attempts to commit a span.")?,
            spans_waiting: make.gauge("spans_waiting", "Spans that wait to be tried again.")?,
            outputs: make.counter("outputs_total", "Objects or files made durable.")?,
            output_bytes: make.counter("output_bytes_total", "Bytes made durable, as stored.")?,
            output_rows: make.counter("output_rows_total", "Rows made durable.")?,
            checkpoint_failures: make.counter(
                "checkpoint_failures_total",
                "Checkpoints the stream refused.",
            )?,
            checkpoint_requests: make.counter(
                "checkpoint_requests_total",
                "Requests to store plans and checkpoints.",
            )?,
            plans_recovered: make.counter(
                "plans_recovered_total",
                "Open plans of earlier owners that were taken over.",
            )?,
            partitions_stopped: make.gauge(
                "partitions_stopped",
                "Partitions given up until a person has looked at them.",
            )?,
            source_errors: make.counter("source_errors_total", "Errors of the stream's client.")?,
            partitions: make.gauge("partitions", "Partitions assigned to this process.")?,
            rebalances: make.counters("rebalances_total", "Rebalances, by kind.", &["kind"])?,
            workers_paused: make.gauge("workers_paused", "Workers paused to save memory.")?,
            records_expired: make.counter(
                "records_expired_total",
                "Records gone before they could be read.",
            )?,
            behind: make.gauges(
                "millis_behind_latest",
                "Milliseconds that reading is behind the shard's end.",
                partition,
            )?,
            leases_held: make.gauge("leases_held", "Leases this process has.")?,
            leases_taken: make.counter("leases_taken_total", "Leases taken.")?,
            leases_lost: make.counter(
                "leases_lost_total",
                "Leases lost to others, or not renewed in time.",
            )?,
            lease_renew_failures: make.counter(
                "lease_renew_failures_total",
                "Failed attempts to renew a lease.",
            )?,
            throttled: make.counters(
                "throttled_calls_total",
                "Calls refused because there were too many, by call.",
                &["call"],
            )?,
            cloudwatch_dropped: make.counter(
                "cloudwatch_dropped_total",
                "Sets of statistics that CloudWatch never got.",
            )?,
            tables: Mutex::default(),
            registry: make.0,
        }))
    }

    /// The counter of a table's rows; beyond a fixed number of tables they share the counter of `other`.
    pub fn rows_of(&self, table: &str) -> IntCounter {
        self.rows.with_label_values(&[self.bounded(table)])
    }

    fn bounded<'a>(&self, table: &'a str) -> &'a str {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.contains(table) {
            table
        } else if tables.len() < MAX_TABLES && table.len() <= 200 {
            tables.insert(table.to_owned());
            table
        } else {
            "other"
        }
    }

    /// Counters and gauges of a name, added up over their labels: for log lines, not for the hot path.
    pub fn sum(counters: &IntCounterVec) -> u64 {
        use prometheus::core::Collector;
        let families = counters.collect();
        let values = families.iter().flat_map(|family| family.get_metric());
        // Counts stay far below 2^53, where doubles are exact.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        values
            .map(|metric| metric.get_counter().get_value() as u64)
            .sum()
    }

    /// As [`Metrics::sum`], for gauges.
    pub fn sum_gauges(gauges: &IntGaugeVec) -> i64 {
        use prometheus::core::Collector;
        let families = gauges.collect();
        let values = families.iter().flat_map(|family| family.get_metric());
        #[allow(clippy::cast_possible_truncation)]
        values
            .map(|metric| metric.get_gauge().get_value() as i64)
            .sum()
    }

    /// Forgets the series of a partition that went elsewhere.
    pub fn forget_partition(&self, topic: &str, partition: &str) {
        for gauges in [
            &self.open_span_age,
            &self.lag,
            &self.checkpoint,
            &self.behind,
        ] {
            // An error means that there was no such series.
            let _ = gauges.remove_label_values(&[topic, partition]);
        }
    }

    /// Everything in the Prometheus text format.
    ///
    /// # Errors
    /// If a metric cannot be encoded.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Makes metrics and registers them.
struct Make(Registry);

impl Make {
    fn opts(name: &str, help: &str) -> Opts {
        Opts::new(format!("alluvium_{name}"), help)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let counter = IntCounter::with_opts(Self::opts(name, help))?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let gauge = IntGauge::with_opts(Self::opts(name, help))?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        let counters = IntCounterVec::new(Self::opts(name, help), labels)?;
        self.0.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        let gauges = IntGaugeVec::new(Self::opts(name, help), labels)?;
        self.0.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_beyond_the_bound_are_counted_together() {
        let metrics = Metrics::new().unwrap();
        for table in 0..MAX_TABLES + 50 {
            metrics.rows_of(&format!("p.t{table}")).inc_by(2);
        }
        metrics.rows_of("p.t0").inc();
        let text = metrics.text().unwrap();
        let series = text
            .lines()
            .filter(|line| line.starts_with("alluvium_rows_total{"))
            .count();
        assert_eq!(series, MAX_TABLES + 1);
        assert!(text.contains("alluvium_rows_total{table=\"other\"} 100"));
        assert!(text.contains("alluvium_rows_total{table=\"p.t0\"} 3"));
    }
}
