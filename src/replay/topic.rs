//! One partition from one position on, outside any group: what is committed is stored nowhere.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::record::{Partition, Position, Record};
use crate::source::kafka::{self, KafkaSettings, PartReader};
use crate::source::{Assigned, Checkpoint, Event, Slot, Source, SourceError};

const SLOT: Slot = Slot(0);
/// How long the stream may take to tell whether a planned span has records left.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a part of a partition.
pub(super) struct PartSource {
    settings: KafkaSettings,
    partition: Partition,
    reader: PartReader,
    next: Position,
    /// Nothing from here on is handed over.
    end: Position,
    events: Vec<Event>,
    failed: Option<SourceError>,
    paused: bool,
}

impl PartSource {
    /// Opens the partition at the checkpoint, which holds the plan of what to write, up to `end`.
    pub(super) fn open(
        settings: &KafkaSettings,
        partition: Partition,
        checkpoint: Checkpoint,
        end: Position,
    ) -> Result<Self, SourceError> {
        let oldest = kafka::oldest(settings, std::slice::from_ref(&partition))?;
        let oldest = oldest
            .get(&partition)
            .copied()
            .unwrap_or(checkpoint.position);
        if oldest > checkpoint.position {
            return Err(SourceError::Unavailable(format!(
                "{partition}: nothing before {oldest} is retained, so {} cannot be read again",
                checkpoint.position
            )));
        }
        let next = checkpoint.position;
        Ok(Self {
            settings: settings.clone(),
            reader: PartReader::open(settings, &partition, next)?,
            events: vec![
                Event::Assigned(Box::new(Assigned {
                    slot: SLOT,
                    partition: partition.clone(),
                    checkpoint,
                    oldest: Some(oldest),
                    end: Some(end),
                })),
                Event::Joined,
            ],
            partition,
            next,
            end,
            failed: None,
            paused: false,
        })
    }
}

impl Source for PartSource {
    fn poll(
        &mut self,
        wait: Duration,
        max: usize,
        take: &mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Event>, SourceError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if !self.events.is_empty() {
            return Ok(std::mem::take(&mut self.events));
        }
        if self.paused || self.next >= self.end {
            std::thread::sleep(wait);
            return Ok(Vec::new());
        }
        let (mut wait, mut left) = (wait, max);
        while left > 0 {
            let (next, end) = (&mut self.next, self.end);
            let taken = self.reader.read(wait, left, |record| {
                left -= 1;
                *next = record.position.next();
                if record.position >= end {
                    return ControlFlow::Break(());
                }
                take(SLOT, record)
            })?;
            wait = Duration::ZERO;
            if taken.is_break() {
                break;
            }
        }
        Ok(Vec::new())
    }

    fn pause(&mut self, _: &[Slot]) {
        self.paused = true;
    }

    fn resume(&mut self, _: &[Slot]) {
        self.paused = false;
    }

    fn rewind(&mut self, _: Slot, to: Position) {
        match PartReader::open(&self.settings, &self.partition, to) {
            Ok(reader) => (self.reader, self.next) = (reader, to),
            // Reading on where it stands would leave records out.
            Err(error) => self.failed = Some(error),
        }
    }

    fn commit(&mut self, _: &[(Slot, Checkpoint)]) {
        self.events.push(Event::Committed(Ok(())));
    }

    fn release(&mut self, _: &[Slot]) {}

    fn nothing_before(&mut self, _: Slot, end: Position) -> bool {
        self.next >= end
            || kafka::is_gap(&self.settings, &self.partition, self.next, end, PATIENCE)
                .unwrap_or(false)
    }

    fn close(self) {}
}
