//! The metrics a KCL sends to CloudWatch, by its names, so that boards and alarms made for a KCL go on working.
//!
//! Owns which metrics there are (those of KCL 2.x at its level `SUMMARY`, and two counts of leases of its level `DETAILED`), and gathers
//! them as sets of statistics: however much is measured, what waits to be sent has a bound. `publish` sends them. Whoever measures
//! waits for nobody here.

mod aws;
mod publish;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;

pub use self::aws::CloudWatchSink;
pub use self::publish::{Publishing, Sink, start};

/// Sets of statistics that may wait to be sent. A KCL lets as many wait.
const MAX_WAITING: usize = 10_000;

/// What was measured since it was last taken. Shared by all workers.
#[derive(Debug)]
pub struct KclMetrics {
    gathered: Mutex<Gathered>,
    /// Sets of statistics that CloudWatch never got.
    dropped: IntCounter,
}

#[derive(Debug, Default)]
struct Gathered {
    sets: BTreeMap<(Operation, String), BTreeMap<Metric, Statistics>>,
    count: usize,
}

/// Records of a shard that were taken at once, perhaps none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch {
    /// How many, after de-aggregation.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// How far behind the end of the shard they are, if the stream has said so.
    pub behind_ms: Option<u64>,
    /// How long it took to take them.
    pub took: Duration,
    /// Whether they could be taken.
    pub success: bool,
}

/// A round in which a worker has renewed its leases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Renewal {
    /// Leases it has after the round.
    pub current: u64,
    /// Leases it found to be others'.
    pub lost: u64,
    /// How long the round took.
    pub took: Duration,
    /// Whether it is known of every lease what became of it.
    pub success: bool,
}

/// A round in which a worker has looked at all leases, and taken some.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Leases there are.
    pub total: u64,
    /// Leases that anybody may take.
    pub expired: u64,
    /// Those of them that nobody has renewed for very long.
    pub very_old: u64,
    /// Workers there are.
    pub workers: u64,
    /// Leases that a worker would have to have beyond what one may have.
    pub spillover: u64,
    /// Leases this worker wanted to take.
    pub wanted: u64,
    /// Leases it took.
    pub taken: u64,
    /// Leases it wanted and did not get.
    pub untaken: u64,
    /// How long the round took.
    pub took: Duration,
    /// Whether it came to its end.
    pub success: bool,
}

/// A round in which leases were compared with the stream's shards.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit {
    /// Whether some hash keys have no lease.
    pub holes: bool,
    /// How long the round took.
    pub took: Duration,
    /// Whether it came to its end.
    pub success: bool,
}

impl KclMetrics {
    /// Nothing measured yet. What never gets to CloudWatch is counted in `dropped`.
    pub fn new(dropped: IntCounter) -> Self {
        Self {
            gathered: Mutex::default(),
            dropped,
        }
    }

    /// Records of this shard were taken.
    pub fn batch(&self, shard: &str, batch: &Batch) {
        let behind = batch
            .behind_ms
            .map(|ms| (Metric::MillisBehindLatest, ms as f64));
        let counts = [
            (Metric::RecordsProcessed, batch.records as f64),
            (Metric::DataBytesProcessed, batch.bytes as f64),
        ];
        let round = round(batch.took, batch.success);
        let all = counts.into_iter().chain(round).chain(behind);
        self.add(Operation::ProcessTask, shard, all);
        self.add(Operation::ApplicationTracker, "", behind);
    }

    /// The place where this shard was read had to be found again, because too much time had passed.
    pub fn expired_iterator(&self, shard: &str) {
        self.add(
            Operation::ProcessTask,
            shard,
            [(Metric::ExpiredIterator, 1.0)],
        );
    }

    /// This worker has renewed its leases.
    pub fn renewal(&self, worker: &str, renewal: &Renewal) {
        let counts = [
            (Metric::CurrentLeases, renewal.current as f64),
            (Metric::LostLeases, renewal.lost as f64),
        ];
        let round = round(renewal.took, renewal.success);
        self.add(
            Operation::RenewAllLeases,
            worker,
            counts.into_iter().chain(round),
        );
    }

    /// This worker has looked at all leases.
    pub fn look(&self, worker: &str, look: &Look) {
        let counts = [
            (Metric::TotalLeases, look.total),
            (Metric::ExpiredLeases, look.expired),
            (Metric::VeryOldLeases, look.very_old),
            (Metric::NumWorkers, look.workers),
            (Metric::LeaseSpillover, look.spillover),
            (Metric::LeasesToTake, look.wanted),
            (Metric::TakenLeases, look.taken),
            (Metric::UntakenLeases, look.untaken),
        ];
        let counts = counts.map(|(metric, count)| (metric, count as f64));
        let round = round(look.took, look.success);
        self.add(
            Operation::TakeLeases,
            worker,
            counts.into_iter().chain(round),
        );
    }

    /// Leases were compared with shards.
    pub fn audit(&self, audit: &Audit) {
        let holes = u8::from(audit.holes).into();
        let holes = [(Metric::NumStreamsWithPartialLeases, holes)];
        let round = round(audit.took, audit.success);
        self.add(
            Operation::PeriodicShardSyncManager,
            "",
            holes.into_iter().chain(round),
        );
    }

    fn add(
        &self,
        operation: Operation,
        whose: &str,
        values: impl IntoIterator<Item = (Metric, f64)>,
    ) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let Gathered { sets, count } = &mut *gathered;
        let sets = sets.entry((operation, whose.to_owned())).or_default();
        for (metric, value) in values {
            match sets.entry(metric) {
                Entry::Occupied(mut set) => set.get_mut().add(value),
                Entry::Vacant(_) if *count >= MAX_WAITING => self.dropped.inc(),
                Entry::Vacant(none) => {
                    none.insert(Statistics::of(value));
                    *count += 1;
                }
            }
        }
    }

    /// Everything that was measured since the last time.
    pub fn take(&self) -> Vec<Datum> {
        let gathered = {
            let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *gathered)
        };
        let mut data = Vec::with_capacity(gathered.count);
        for ((operation, whose), sets) in gathered.sets {
            data.extend(sets.into_iter().map(|(metric, statistics)| Datum {
                operation,
                whose: whose.clone(),
                metric,
                statistics,
            }));
        }
        data
    }

    /// These many sets of statistics are lost.
    fn drop_data(&self, data: usize) {
        self.dropped.inc_by(u64::try_from(data).unwrap_or(u64::MAX));
    }
}

fn round(took: Duration, success: bool) -> [(Metric, f64); 2] {
    [
        (Metric::Success, f64::from(u8::from(success))),
        (Metric::Time, took.as_millis() as f64),
    ]
}

/// A set of statistics and what it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Datum {
    operation: Operation,
    whose: String,
    /// What was measured.
    pub metric: Metric,
    /// The values it had.
    pub statistics: Statistics,
}

impl Datum {
    /// The dimensions, in a KCL's order: name and value.
    pub fn dimensions(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let whose = self.operation.dimension();
        let operation = ("Operation", self.operation.name());
        [
            Some(operation),
            whose.map(|name| (name, self.whose.as_str())),
        ]
        .into_iter()
        .flatten()
    }
}

/// The values of some measurements, as CloudWatch wants to know them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// How many.
    pub samples: f64,
    /// Added up.
    pub sum: f64,
    /// The least.
    pub minimum: f64,
    /// The greatest.
    pub maximum: f64,
}

impl Statistics {
    fn of(value: f64) -> Self {
        Self {
            samples: 1.0,
            sum: value,
            minimum: value,
            maximum: value,
        }
    }

    fn add(&mut self, value: f64) {
        self.samples += 1.0;
        self.sum += value;
        self.minimum = self.minimum.min(value);
        self.maximum = self.maximum.max(value);
    }
}

/// What a KCL does that it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    ApplicationTracker,
    PeriodicShardSyncManager,
    ProcessTask,
    RenewAllLeases,
    TakeLeases,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::ApplicationTracker => "ApplicationTracker",
            Self::PeriodicShardSyncManager => "PeriodicShardSyncManager",
            Self::ProcessTask => "ProcessTask",
            Self::RenewAllLeases => "RenewAllLeases",
            Self::TakeLeases => "TakeLeases",
        }
    }

    /// The dimension that says whose it is.
    fn dimension(self) -> Option<&'static str> {
        match self {
            Self::ApplicationTracker | Self::PeriodicShardSyncManager => None,
            Self::ProcessTask => Some("ShardId"),
            Self::RenewAllLeases | Self::TakeLeases => Some("WorkerIdentifier"),
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(
    missing_docs,
    reason = "the names are the KCL's, and its documentation says what they mean"
)]
pub enum Metric {
    CurrentLeases,
    DataBytesProcessed,
    ExpiredIterator,
    ExpiredLeases,
    LeaseSpillover,
    LeasesToTake,
    LostLeases,
    MillisBehindLatest,
    NumStreamsWithPartialLeases,
    NumWorkers,
    RecordsProcessed,
    Success,
    TakenLeases,
    Time,
    TotalLeases,
    UntakenLeases,
    VeryOldLeases,
}

/// What a metric is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things.
    Count,
    /// Milliseconds.
    Milliseconds,
}

impl Metric {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::CurrentLeases => "CurrentLeases",
            Self::DataBytesProcessed => "DataBytesProcessed",
            Self::ExpiredIterator => "ExpiredIterator",
            Self::ExpiredLeases => "ExpiredLeases",
            Self::LeaseSpillover => "LeaseSpillover",
            Self::LeasesToTake => "LeasesToTake",
            Self::LostLeases => "LostLeases",
            Self::MillisBehindLatest => "MillisBehindLatest",
            Self::NumStreamsWithPartialLeases => "NumStreamsWithPartialLeases",
            Self::NumWorkers => "NumWorkers",
            Self::RecordsProcessed => "RecordsProcessed",
            Self::Success => "Success",
            Self::TakenLeases => "TakenLeases",
            Self::Time => "Time",
            Self::TotalLeases => "TotalLeases",
            Self::UntakenLeases => "UntakenLeases",
            Self::VeryOldLeases => "VeryOldLeases",
        }
    }

    /// Its unit.
    pub fn unit(self) -> Unit {
        match self {
            Self::DataBytesProcessed => Unit::Bytes,
            Self::MillisBehindLatest | Self::Time => Unit::Milliseconds,
            _ => Unit::Count,
        }
    }
}

#[cfg(test)]
mod tests;
