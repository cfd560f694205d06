//! A worker between a stream in memory and a target that forgets.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alluvium::metrics::Metrics;
use alluvium::record::{Partition, Position, Record, Span, SpanStart, Table};
use alluvium::source::{Assigned, Checkpoint, Event, Slot, Source, SourceError};
use alluvium::worker::{Clock, Worker};
use alluvium_target::{Committed, Inserter, Staged, Target, TargetError};
use arrow_array::RecordBatch;
use async_trait::async_trait;

use super::parts;

/// Partitions the records are dealt to.
const PARTITIONS: usize = 4;
/// Records a poll brings of one partition before the next one's.
const IN_A_ROW: usize = 100;
/// More than all records take.
const MEMORY: u64 = 1 << 30;

/// Reads all payloads by a worker of its own, until what came of them is committed.
pub fn through_a_worker(payloads: &[Vec<u8>]) {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let drained = Rc::new(Cell::new(false));
    let source = InMemory {
        payloads,
        next: 0,
        events: (0..PARTITIONS)
            .map(assigned)
            .chain([Event::Joined])
            .collect(),
        drained: Rc::clone(&drained),
    };
    let metrics = Metrics::new().expect("metrics");
    let shared = parts::worker::shared(runtime.handle(), metrics, Arc::new(Forgetful), MEMORY);
    Worker::new(0, source, Box::new(Still), shared)
        .run(|| drained.get())
        .expect("everything is committed");
}

/// No time passes.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_517_378_400)
    }
}

fn assigned(slot: usize) -> Event {
    Event::Assigned(Box::new(Assigned {
        slot: Slot(slot),
        partition: Partition::new("events", slot as i32),
        checkpoint: Checkpoint {
            position: Position::at(0),
            reach: None,
            note: String::new(),
        },
        oldest: Some(Position::at(0)),
        end: None,
    }))
}

/// Payloads, each once.
struct InMemory<'p> {
    payloads: &'p [Vec<u8>],
    next: usize,
    events: Vec<Event>,
    drained: Rc<Cell<bool>>,
}

impl Source for InMemory<'_> {
    fn poll(
        &mut self,
        _: Duration,
        max: usize,
        take: &mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Event>, SourceError> {
        let events = std::mem::take(&mut self.events);
        if !events.is_empty() {
            return Ok(events);
        }
        if self.next == self.payloads.len() {
            self.drained.set(true);
            // The writes run on another thread: let them.
            std::thread::sleep(Duration::from_millis(5));
        }
        for payload in self.payloads.iter().skip(self.next).take(max) {
            let slot = Slot(self.next / IN_A_ROW % PARTITIONS);
            let record = Record {
                position: Position::at(self.next as i64),
                timestamp: Some(1_517_378_400_000),
                key: None,
                payload: Some(payload),
                schema: None,
                origin: None,
            };
            self.next += 1;
            if take(slot, record).is_break() {
                break;
            }
        }
        Ok(Vec::new())
    }

    fn pause(&mut self, _: &[Slot]) {}

    fn resume(&mut self, _: &[Slot]) {}

    fn rewind(&mut self, slot: Slot, to: Position) {
        unreachable!("{slot:?} at {to}: nothing fails here")
    }

    fn commit(&mut self, _: &[(Slot, Checkpoint)]) {
        self.events.push(Event::Committed(Ok(())));
    }

    fn release(&mut self, _: &[Slot]) {}

    fn nothing_before(&mut self, _: Slot, _: Position) -> bool {
        false
    }

    fn close(self) {}
}

/// Takes everything and keeps nothing.
#[derive(Debug)]
struct Forgetful;

#[async_trait]
impl Target for Forgetful {
    fn begin(&self, _: &SpanStart) -> Result<Box<dyn Inserter>, TargetError> {
        Ok(Box::new(Self))
    }

    async fn check(&self) -> Result<(), TargetError> {
        Ok(())
    }
}

#[async_trait]
impl Inserter for Forgetful {
    fn add(&mut self, _: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
        std::hint::black_box(batch);
        Ok(())
    }

    fn staged(&self) -> Staged {
        Staged::default()
    }

    async fn commit(&mut self, _: &Span) -> Result<Committed, TargetError> {
        Ok(Committed::default())
    }
}
