//! What is seen of a worker from outside: Prometheus' counts of leases, and what a KCL would send to CloudWatch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lease::Tally;
use crate::metrics::Metrics;
use crate::metrics::cloudwatch::{Batch, KclMetrics, Look, Renewal};
use crate::record::Partition;

/// Renewals of leases within this time are told as one round.
const ROUND: Duration = Duration::from_secs(1);

/// Tells of one worker.
#[derive(Debug)]
pub(super) struct SeenFrom {
    metrics: Arc<Metrics>,
    kcl: Option<Arc<KclMetrics>>,
    worker: String,
    told: Tally,
    /// What was told of renewals, and when.
    renewals: (Tally, Option<Instant>),
}

impl SeenFrom {
    pub(super) fn new(metrics: Arc<Metrics>, kcl: Option<Arc<KclMetrics>>, worker: &str) -> Self {
        Self {
            metrics,
            kcl,
            worker: worker.to_owned(),
            told: Tally::default(),
            renewals: (Tally::default(), None),
        }
    }

    /// Whether anybody wants to know what became of each batch.
    pub(super) fn wants_batches(&self) -> bool {
        self.kcl.is_some()
    }

    /// Records of a shard were handed over, or there were none.
    pub(super) fn batch(&self, shard: &str, batch: Batch) {
        if let Some(kcl) = &self.kcl {
            kcl.batch(shard, &batch);
        }
    }

    /// How many milliseconds reading is behind a shard's end.
    pub(super) fn behind(&self, shard: &Partition, millis: u64) {
        let id = shard.id().to_string();
        let gauge = self.metrics.behind.with_label_values(&[shard.topic(), &id]);
        gauge.set(i64::try_from(millis).unwrap_or(i64::MAX));
    }

    /// Something has become of the worker's leases.
    pub(super) fn tally(&mut self, now: Tally) {
        let told = std::mem::replace(&mut self.told, now);
        self.hold(told.held, now.held);
        let metrics = &self.metrics;
        metrics.leases_taken.inc_by(now.taken - told.taken);
        metrics.leases_lost.inc_by(now.lost - told.lost);
        metrics
            .lease_renew_failures
            .inc_by(now.failed - told.failed);
        let Some(kcl) = &self.kcl else { return };
        if now.looks > told.looks {
            kcl.look(&self.worker, &look(&now));
        }
        let (before, last) = &mut self.renewals;
        if last.is_none_or(|last| last.elapsed() >= ROUND) {
            let renewal = Renewal {
                current: now.held,
                lost: now.lost - before.lost,
                took: now.renewal,
                success: now.failed == before.failed,
            };
            kcl.renewal(&self.worker, &renewal);
            (*before, *last) = (now, Some(Instant::now()));
        }
    }

    /// The worker has no leases any more.
    pub(super) fn close(&self) {
        self.hold(self.told.held, 0);
    }

    /// All workers of a process are counted together.
    fn hold(&self, before: u64, now: u64) {
        let count = |leases: u64| i64::try_from(leases).unwrap_or(i64::MAX);
        self.metrics.leases_held.add(count(now) - count(before));
    }
}

fn look(tally: &Tally) -> Look {
    let seen = tally.look;
    Look {
        total: seen.leases,
        expired: seen.free,
        very_old: seen.very_old,
        workers: seen.workers,
        // There is no limit to what a worker may have.
        spillover: 0,
        wanted: seen.wanted,
        taken: seen.taken.min(seen.wanted),
        untaken: seen.wanted.saturating_sub(seen.taken),
        took: seen.took,
        success: seen.success,
    }
}

#[cfg(test)]
mod tests {
    use prometheus::IntCounter;

    use super::*;

    fn seen() -> (SeenFrom, Arc<Metrics>, Arc<KclMetrics>) {
        let metrics = Metrics::new().unwrap();
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let kcl = Arc::new(KclMetrics::new(dropped));
        let seen = SeenFrom::new(metrics.clone(), Some(kcl.clone()), "alluvium:a");
        (seen, metrics, kcl)
    }

    #[test]
    fn leases_of_all_workers_are_counted_together() {
        let (mut seen, metrics, _) = seen();
        let mut other = SeenFrom::new(metrics.clone(), None, "alluvium:b");
        let held = |held| Tally {
            held,
            taken: held,
            ..Tally::default()
        };
        seen.tally(held(3));
        other.tally(held(2));
        assert_eq!(metrics.leases_held.get(), 5);
        assert_eq!(metrics.leases_taken.get(), 5);
        let lost = Tally {
            held: 1,
            taken: 3,
            lost: 2,
            ..Tally::default()
        };
        seen.tally(lost);
        assert_eq!(metrics.leases_held.get(), 3);
        assert_eq!(metrics.leases_lost.get(), 2);
        other.close();
        assert_eq!(metrics.leases_held.get(), 1);
    }

    #[test]
    fn a_look_is_told_when_all_was_taken() {
        let (mut seen, _, kcl) = seen();
        let tally = Tally {
            looks: 1,
            look: crate::source::kinesis::lease::Seen {
                leases: 4,
                wanted: 2,
                taken: 1,
                success: true,
                ..Default::default()
            },
            ..Tally::default()
        };
        seen.tally(tally);
        seen.tally(Tally { held: 1, ..tally });
        let data = kcl.take();
        let sum = |name: &str| {
            let of_name = data.iter().filter(|datum| datum.metric.name() == name);
            of_name.map(|datum| datum.statistics.sum).sum::<f64>()
        };
        assert!((sum("TotalLeases") - 4.0).abs() < 1e-9, "told once");
        assert!((sum("TakenLeases") - 1.0).abs() < 1e-9);
        assert!((sum("UntakenLeases") - 1.0).abs() < 1e-9);
    }
}
