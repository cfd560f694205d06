//! Partitions that have no more records: closed for good, or read to the end that was asked for.

use std::time::Duration;

use super::Worker;
use crate::flush::Reason;
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::Partition;
use crate::source::{Slot, Source};

impl<S: Source> Worker<S> {
    /// The partition is closed, and all of its records were handed over.
    pub(super) fn note_ended(&mut self, slot: Slot, successors: Vec<Partition>) {
        // One that lets records pass is read again, and its end comes again.
        if let Some(flow) = self.flows.get_mut(&slot).filter(|flow| !flow.is_deaf()) {
            flow.ended = Some(successors);
        }
    }

    /// Commits closed partitions to their last record, and gives them back.
    pub(super) fn finish_ended(&mut self, now: Duration) {
        let mut done = Vec::new();
        for (&slot, flow) in &mut self.flows {
            if flow.ended.is_none() || flow.is_deaf() {
                continue;
            }
            if let Some(bound) = flow.bound() {
                let why = format!(
                    "the planned span ends at {bound}, but the shard is closed and has nothing behind {}: records have been deleted \
                     since it was planned",
                    flow.next()
                );
                flow.stop(why, &self.tools);
                continue;
            }
            flow.seal(Reason::End, &mut self.tools);
            let settled = flow.settled();
            #[cfg(test)]
            let settled = settled || mutation::on(Mutation::EndedUncommitted);
            if settled {
                done.push(slot);
            }
        }
        for slot in done {
            self.leave_behind(slot, now);
        }
    }

    fn leave_behind(&mut self, slot: Slot, now: Duration) {
        let Some(flow) = self.flows.get_mut(&slot) else {
            return;
        };
        let (partition, checkpoint) = (flow.partition.clone(), flow.confirmed());
        let successors = flow.ended.take().unwrap_or_default();
        tracing::info!(%partition, %checkpoint, successors = successors.len(), "partition read and committed to its end");
        self.drop_flows(&[slot], now);
        if let Some(ends) = &self.ends {
            ends.finished(&partition, &successors, now);
        }
        self.source.release(&[slot]);
    }

    /// Nothing is there to be read at present: if an end was asked for that nobody knew, it is here.
    pub(super) fn note_caught_up(&mut self, slot: Slot) {
        let (Some(ends), Some(flow)) = (&self.ends, self.flows.get_mut(&slot)) else {
            return;
        };
        if flow.is_deaf() || flow.end.is_some() || flow.is_bound() {
            return;
        }
        ends.found(&flow.partition, flow.next());
        flow.end = ends.end_of(&flow.partition);
        ends.committed(&flow.partition, flow.confirmed());
    }
}
