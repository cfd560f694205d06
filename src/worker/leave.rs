//! Gives partitions back: to other workers at a rebalance, and all of them at a stop.

use std::time::Duration;

use super::flow::Flow;
use super::{Worker, WorkerError};
use crate::flush::Reason;
use crate::source::{Slot, Source};

/// How long a revocation may take at most: the whole group waits meanwhile.
pub const REVOKE_DEADLINE: Duration = Duration::from_secs(20);
/// How long a stop may take: below the 30 seconds that Kubernetes and systemd give by habit.
pub const STOP_DEADLINE: Duration = Duration::from_secs(25);

/// Partitions that go to another worker.
pub(super) struct Revoking {
    pub(super) slots: Vec<Slot>,
    deadline: Duration,
}

impl<S: Source> Worker<S> {
    /// Seals what the partitions have gathered; they are given back when it is committed.
    pub(super) fn begin_revocation(&mut self, slots: Vec<Slot>, now: Duration) {
        tracing::info!(
            partitions = slots.len(),
            "partitions go to another worker; flushing them"
        );
        for slot in &slots {
            if let Some(flow) = self.flows.get_mut(slot) {
                flow.seal(Reason::Revoked, &mut self.tools);
            }
        }
        match &mut self.revoking {
            Some(revoking) => revoking.slots.extend(slots),
            None => {
                self.revoking = Some(Revoking {
                    slots,
                    deadline: now + self.revoke_deadline,
                });
            }
        }
        self.set_pauses(now);
    }

    /// Gives revoked partitions back, once they are committed or the deadline is over.
    pub(super) fn finish_revocation(&mut self, now: Duration) {
        let Some(revoking) = &mut self.revoking else {
            return;
        };
        // Records that were on their way when reading paused.
        for slot in &revoking.slots {
            if let Some(flow) = self.flows.get_mut(slot) {
                flow.seal(Reason::Revoked, &mut self.tools);
            }
        }
        let unsettled = revoking
            .slots
            .iter()
            .filter_map(|slot| self.flows.get(slot))
            // A planned span that is still being read cannot come to its end any more: the next owner reads it.
            .filter(|flow| !flow.settled() && (!flow.is_bound() || !flow.written()))
            .count();
        if unsettled > 0 && now < revoking.deadline {
            return;
        }
        if unsettled > 0 {
            tracing::warn!(
                partitions = unsettled,
                "too slow for the rebalance: the next owner reads again what was not committed"
            );
        }
        let slots = self
            .revoking
            .take()
            .map(|revoking| revoking.slots)
            .unwrap_or_default();
        self.drop_flows(&slots, now);
        self.source.release(&slots);
    }

    /// Forgets partitions that are not ours any more, and abandons what was under way for them.
    pub(super) fn drop_flows(&mut self, slots: &[Slot], now: Duration) {
        for slot in slots {
            let Some(flow) = self.flows.remove(slot) else {
                continue;
            };
            if flow.stopped.is_some() {
                self.tools.metrics.partitions_stopped.dec();
            }
            if let Some(ends) = &self.ends {
                ends.gone(&flow.partition, now);
            }
        }
        if let Some(revoking) = &mut self.revoking {
            revoking.slots.retain(|slot| !slots.contains(slot));
        }
    }

    /// Stops reading and seals everything gathered.
    pub(super) fn begin_stop(&mut self) {
        if self.stop_deadline.is_some() {
            return;
        }
        let now = self.tools.clock.now();
        self.stop_deadline = Some(now + STOP_DEADLINE);
        self.source.stopping();
        self.set_pauses(now);
        for flow in self.flows.values_mut() {
            flow.seal(Reason::Shutdown, &mut self.tools);
        }
    }

    /// Whether everything is committed, here and at the other workers, or the deadline is over.
    pub(super) fn stop_complete(&mut self, now: Duration) -> bool {
        let Some(deadline) = self.stop_deadline else {
            return false;
        };
        if now >= deadline {
            return true;
        }
        // Records that were on their way when reading paused.
        for flow in self.flows.values_mut() {
            flow.seal(Reason::Shutdown, &mut self.tools);
        }
        let settled = self.flows.values().all(Flow::settled);
        if !settled || self.committing.under_way() || self.revoking.is_some() {
            return false;
        }
        self.at_work = None;
        self.leaving.together()
    }

    /// How a stop has ended.
    pub(super) fn drained(&self) -> Result<(), WorkerError> {
        let spans = self.flows.values().filter(|flow| !flow.settled()).count();
        let stopped = |flow: &&Flow| flow.stopped.is_some();
        match (spans, self.flows.values().filter(stopped).count()) {
            (0, 0) => Ok(()),
            (0, partitions) => Err(WorkerError::Stopped { partitions }),
            (spans, _) => Err(WorkerError::NotDrained { spans }),
        }
    }
}
