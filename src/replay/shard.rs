//! One shard from one position on: what is committed is stored nowhere, and nothing is read beyond the part.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::record::{Position, Record};
use crate::source::kinesis::KinesisSource;
use crate::source::{Checkpoint, Event, Slot, Source, SourceError};

/// A worker's source whose lease is nobody else's, and which ends where it is told to.
pub(super) struct PartOfShard {
    source: KinesisSource,
    /// Nothing from here on is handed over.
    end: Position,
    /// Paused by this, and not by the worker.
    done: bool,
}

impl PartOfShard {
    /// Reads what `source` gives before `end`.
    pub(super) fn new(source: KinesisSource, end: Position) -> Self {
        Self {
            source,
            end,
            done: false,
        }
    }
}

impl Source for PartOfShard {
    fn poll(
        &mut self,
        wait: Duration,
        max: usize,
        take: &mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Event>, SourceError> {
        let end = self.end;
        let mut beyond = None;
        let mut events = self.source.poll(wait, max, &mut |slot, record| {
            if record.position >= end {
                beyond = Some(slot);
                return ControlFlow::Break(());
            }
            take(slot, record)
        })?;
        if let Some(slot) = beyond {
            self.source.pause(&[slot]);
            self.done = true;
        }
        for event in &mut events {
            if let Event::Assigned(assigned) = event {
                assigned.end = Some(end);
            }
        }
        // The shard may go on or end behind the part: neither is to be told anybody.
        events.retain(|event| !matches!(event, Event::Ended { .. } | Event::CaughtUp(_)));
        Ok(events)
    }

    fn pause(&mut self, slots: &[Slot]) {
        self.source.pause(slots);
    }

    fn resume(&mut self, slots: &[Slot]) {
        self.source.resume(slots);
    }

    fn rewind(&mut self, slot: Slot, to: Position) {
        self.source.rewind(slot, to);
        if std::mem::take(&mut self.done) {
            self.source.resume(&[slot]);
        }
    }

    fn commit(&mut self, checkpoints: &[(Slot, Checkpoint)]) {
        self.source.commit(checkpoints);
    }

    fn release(&mut self, slots: &[Slot]) {
        self.source.release(slots);
    }

    fn nothing_before(&mut self, slot: Slot, end: Position) -> bool {
        self.source.nothing_before(slot, end)
    }

    fn close(self) {
        self.source.close();
    }
}
