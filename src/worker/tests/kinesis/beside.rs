//! A source whose requests and readers go on while the worker is busy with something else, as they do on threads of their own.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::super::simulation::random::Random;
use crate::record::{Position, Record};
use crate::source::kinesis::KinesisSource;
use crate::source::{Checkpoint, Event, Slot, Source, SourceError};

/// Lets time pass now and then before the worker tells the source something: so much may have happened since it asked.
pub(super) struct Beside {
    pub(super) source: KinesisSource,
    runtime: Arc<Runtime>,
    random: Random,
    /// How often, of ten thousand times.
    often: u64,
}

impl Beside {
    pub(super) fn new(
        source: KinesisSource,
        runtime: Arc<Runtime>,
        random: Random,
        often: u64,
    ) -> Self {
        Self {
            source,
            runtime,
            random,
            often,
        }
    }

    fn lag(&mut self) {
        if self.random.chance(self.often) {
            let busy = self.random.ms(1, 400);
            self.runtime.block_on(tokio::time::sleep(busy));
        }
    }
}

impl Source for Beside {
    fn poll(
        &mut self,
        wait: Duration,
        max: usize,
        take: &mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Event>, SourceError> {
        self.source.poll(wait, max, take)
    }

    fn pause(&mut self, slots: &[Slot]) {
        self.lag();
        self.source.pause(slots);
    }

    fn resume(&mut self, slots: &[Slot]) {
        self.lag();
        self.source.resume(slots);
    }

    fn rewind(&mut self, slot: Slot, to: Position) {
        self.lag();
        self.source.rewind(slot, to);
    }

    fn commit(&mut self, checkpoints: &[(Slot, Checkpoint)]) {
        self.lag();
        self.source.commit(checkpoints);
    }

    fn release(&mut self, slots: &[Slot]) {
        self.lag();
        self.source.release(slots);
    }

    fn stopping(&mut self) {
        self.source.stopping();
    }

    fn nothing_before(&mut self, slot: Slot, end: Position) -> bool {
        self.source.nothing_before(slot, end)
    }

    fn close(self) {
        self.source.close();
    }
}
