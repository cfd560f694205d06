//! Moves checkpoints: asks the stream to store what has become durable, one request at a time.

use std::time::Duration;

use super::Worker;
use crate::record::{Partition, Position};
use crate::source::{Slot, Source, SourceError};

/// How long to wait before a refused commit is asked for again.
const PAUSE: Duration = Duration::from_millis(500);
/// Refusals in a row that a rebalance may explain; after so many, some partition cannot be committed.
const PATIENCE: u32 = 5;

/// The commit under way, and how to go on after one that failed.
#[derive(Default)]
pub(super) struct Committing {
    asked: Option<Vec<(Slot, Partition, Position)>>,
    not_before: Duration,
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
    /// Asks for every checkpoint that has moved.
    pub(super) fn commit(&mut self, now: Duration) {
        if self.committing.under_way() || now < self.committing.not_before {
            return;
        }
        let mut moved: Vec<_> = self
            .flows
            .iter()
            .filter(|(_, flow)| flow.checkpoint() > flow.confirmed)
            .map(|(slot, flow)| (*slot, flow.partition.clone(), flow.checkpoint()))
            .collect();
        if moved.is_empty() {
            return;
        }
        if self.committing.one_by_one > 0 {
            let turn = self.committing.one_by_one % moved.len();
            moved = vec![moved.swap_remove(turn)];
            self.committing.one_by_one -= 1;
        }
        let list: Vec<_> = moved.iter().map(|(slot, _, to)| (*slot, *to)).collect();
        self.committing.asked = Some(moved);
        self.source.commit(&list);
    }

    pub(super) fn on_committed(&mut self, result: Result<(), SourceError>, now: Duration) {
        let Some(asked) = self.committing.asked.take() else {
            return;
        };
        match result {
            Ok(()) => {
                self.committing.failed = 0;
                for (slot, partition, to) in asked {
                    self.confirm(slot, &partition, to);
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
                let partitions = asked
                    .iter()
                    .map(|(_, p, _)| p.to_string())
                    .collect::<Vec<_>>();
                let partitions = partitions.join(", ");
                tracing::warn!(%error, partitions, "checkpoints were not stored; trying again");
            }
        }
    }

    fn confirm(&mut self, slot: Slot, partition: &Partition, to: Position) {
        let flow = self
            .flows
            .get_mut(&slot)
            .filter(|flow| flow.partition == *partition);
        let Some(flow) = flow else { return };
        flow.confirmed = flow.confirmed.max(to);
        let number = partition.number().to_string();
        let labels = [partition.topic(), number.as_str()];
        self.tools
            .metrics
            .checkpoint
            .with_label_values(&labels)
            .set(flow.confirmed.offset());
        if let Some(ends) = &self.ends {
            ends.committed(partition, flow.confirmed);
        }
    }
}
