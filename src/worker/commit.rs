//! Stores plans and moves checkpoints: one request at a time, for all partitions that have something to store.
//!
//! A plan is asked for at once, since its span waits for it, and every checkpoint that has moved rides along. Checkpoints alone wait for
//! each other: a flush of many partitions then costs two requests, one before the writes and one behind them.

use std::time::Duration;

use super::Worker;
use super::flow::Flow;
use crate::deliver::{SpanId, Stored};
use crate::failpoint;
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::Partition;
use crate::source::{Checkpoint, Slot, Source, SourceError};

/// How long to wait before a refused commit is asked for again.
const PAUSE: Duration = Duration::from_millis(500);
/// Refusals in a row that a rebalance may explain; after so many, some partition cannot be committed.
const PATIENCE: u32 = 5;
/// A checkpoint waits for those of spans that are still being written as long as a span may age, but no longer than this.
const LONGEST_LINGER: Duration = Duration::from_secs(60);
/// Bytes of plans in one request: brokers keep a request in one batch, which may have a megabyte.
const MAX_REQUEST: usize = 512 << 10;

/// What was asked for a partition, as long as it is assigned.
struct Asked {
    slot: Slot,
    flow: SpanId,
    partition: Partition,
    stored: Stored,
}

/// The commit under way, and how to go on after one that failed.
#[derive(Default)]
pub(super) struct Committing {
    asked: Option<Vec<Asked>>,
    not_before: Duration,
    /// Since when a checkpoint waits to be stored.
    waiting_since: Option<Duration>,
    /// Commits of several partitions that have failed since one has worked.
    failed: u32,
    /// After a few failures, so many commits are asked for partition by partition: one that cannot be committed must not hold up
    /// the others.
    one_by_one: usize,
}

impl Committing {
    /// Whether an answer is awaited.
    pub(super) fn under_way(&self) -> bool {
        self.asked.is_some()
    }
}

impl<S: Source> Worker<S> {
    /// Asks for every plan and checkpoint that is due.
    pub(super) fn commit(&mut self, now: Duration) {
        if self.committing.under_way()
            || now < self.committing.not_before
            || !self.commit_is_due(now)
        {
            return;
        }
        self.committing.waiting_since = None;
        let mut asked = Vec::new();
        let mut checkpoints = Vec::new();
        let mut bytes = 0;
        for (&slot, flow) in &self.flows {
            if !flow.wants_plan() && !flow.moved() {
                continue;
            }
            if bytes >= MAX_REQUEST {
                break;
            }
            let (stored, note) = flow.wanted(&self.tools);
            bytes += note.len() + flow.partition.topic().len() + 64;
            let checkpoint = Checkpoint {
                position: stored.checkpoint,
                reach: stored.spans.first().map(|span| span.to),
                note,
            };
            checkpoints.push((slot, checkpoint));
            asked.push(Asked {
                slot,
                flow: flow.id,
                partition: flow.partition.clone(),
                stored,
            });
        }
        if self.committing.one_by_one > 0 {
            let turn = self.committing.one_by_one % asked.len();
            asked = vec![asked.swap_remove(turn)];
            checkpoints = vec![checkpoints.swap_remove(turn)];
            self.committing.one_by_one -= 1;
        }
        self.committing.asked = Some(asked);
        self.tools.metrics.checkpoint_requests.inc();
        self.source.commit(&checkpoints);
    }

    fn commit_is_due(&mut self, now: Duration) -> bool {
        if self.flows.values().any(Flow::wants_plan) {
            return true;
        }
        if !self.flows.values().any(Flow::moved) {
            self.committing.waiting_since = None;
            return false;
        }
        let since = *self.committing.waiting_since.get_or_insert(now);
        let linger = self.tools.policy.max_span_age.min(LONGEST_LINGER);
        let leaving = self.stop_deadline.is_some() || self.revoking.is_some();
        leaving || now.saturating_sub(since) >= linger || self.flows.values().all(Flow::written)
    }

    pub(super) fn on_committed(&mut self, result: Result<(), SourceError>, now: Duration) {
        let Some(asked) = self.committing.asked.take() else {
            return;
        };
        #[cfg(test)]
        let result = result.or_else(|error| match mutation::on(Mutation::ErrorTakenForStored) {
            true => Ok(()),
            false => Err(error),
        });
        match result {
            Ok(()) => {
                self.committing.failed = 0;
                for asked in asked {
                    self.confirm(asked);
                }
            }
            Err(error) => {
                self.tools.metrics.checkpoint_failures.inc();
                self.committing.failed += 1;
                if asked.len() > 1 && self.committing.failed >= PATIENCE {
                    self.committing.one_by_one = asked.len();
                }
                if self.committing.one_by_one == 0 {
                    self.committing.not_before = now + PAUSE;
                }
                let partitions: Vec<_> = asked.iter().map(|a| a.partition.to_string()).collect();
                let partitions = partitions.join(", ");
                #[cfg(test)]
                if mutation::on(Mutation::ReplannedAfterError) {
                    for (&slot, flow) in &mut self.flows {
                        if let Some(from) = flow.unplan() {
                            self.source.rewind(slot, from);
                        }
                    }
                }
                tracing::warn!(%error, partitions, "plans and checkpoints were not stored; trying again");
            }
        }
    }

    fn confirm(&mut self, asked: Asked) {
        let Asked {
            slot,
            flow: id,
            partition,
            stored,
        } = asked;
        #[cfg(test)]
        let id = match self.flows.get(&slot) {
            Some(flow) if mutation::on(Mutation::AnswerForAnother) => flow.id,
            _ => id,
        };
        // The same partition may be back under the same number: that is another assignment.
        let Some(flow) = self.flows.get_mut(&slot).filter(|flow| flow.id == id) else {
            return;
        };
        let before = flow.confirmed();
        flow.confirm(stored, &self.tools);
        let confirmed = flow.confirmed();
        if confirmed > before {
            failpoint::pass("committed");
        }
        // No gauge holds a sequence number.
        if confirmed.sequence().is_none() {
            let number = partition.id().to_string();
            let labels = [partition.topic(), number.as_str()];
            let gauge = &self.tools.metrics.checkpoint;
            gauge.with_label_values(&labels).set(confirmed.offset());
        }
        if let Some(ends) = &self.ends {
            ends.committed(&partition, confirmed);
        }
    }
}
