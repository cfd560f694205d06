//! A source and a clock that do what a test says.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::deliver::Plan;
use crate::record::{Partition, Position, Record};
use crate::source::{Assigned, Checkpoint, Event, Slot, Source, SourceError};
use crate::worker::Clock;

/// A clock that stands still until it is moved.
#[derive(Clone, Debug, Default)]
pub(super) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(super) fn advance(&self, by: Duration) {
        self.0
            .fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + self.now()
    }
}

/// The stream as the test sees it: what is in each partition, and what the worker did.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) logs: BTreeMap<Slot, (Partition, Vec<(i64, String)>)>,
    pub(super) next: BTreeMap<Slot, i64>,
    pub(super) paused: BTreeMap<Slot, bool>,
    pub(super) events: VecDeque<Event>,
    /// Checkpoints in the order in which they were stored.
    pub(super) committed: Vec<(Slot, Checkpoint)>,
    pub(super) released: Vec<Slot>,
    pub(super) polls: u64,
    /// The next so many commits fail.
    pub(super) refuse_commits: u32,
    pub(super) gaps: BTreeMap<Slot, i64>,
    /// The key of all records.
    pub(super) key: Option<&'static [u8]>,
}

/// Both ends of a [`Stream`].
#[derive(Clone, Default)]
pub(super) struct TestSource(pub(super) Rc<RefCell<Stream>>, Rc<Cell<bool>>);

impl TestSource {
    /// Puts payloads at the end of a partition.
    pub(super) fn produce<S: Into<String>>(
        &self,
        slot: usize,
        payloads: impl IntoIterator<Item = S>,
    ) {
        let mut stream = self.0.borrow_mut();
        let (_, log) = stream.logs.entry(Slot(slot)).or_insert_with(|| {
            (
                Partition::new("t", i32::try_from(slot).unwrap()),
                Vec::new(),
            )
        });
        for payload in payloads {
            let offset = log.last().map_or(0, |(offset, _)| offset + 1);
            log.push((offset, payload.into()));
        }
    }

    pub(super) fn assign(&self, slot: usize, start: i64) {
        self.assign_with(slot, start, "", 0);
    }

    /// Assigns with what was stored beside the checkpoint, and the oldest record that is left.
    pub(super) fn assign_with(&self, slot: usize, start: i64, note: &str, oldest: i64) {
        let mut stream = self.0.borrow_mut();
        let partition = Partition::new("t", i32::try_from(slot).unwrap());
        stream.next.insert(Slot(slot), start.max(oldest));
        stream.paused.insert(Slot(slot), false);
        stream.events.push_back(Event::Assigned(Box::new(Assigned {
            slot: Slot(slot),
            partition,
            checkpoint: Checkpoint {
                position: Position::at(start),
                reach: None,
                note: note.to_owned(),
            },
            oldest: Some(Position::at(oldest)),
            end: None,
        })));
        stream.events.push_back(Event::Joined);
    }

    pub(super) fn happen(&self, event: Event) {
        self.0.borrow_mut().events.push_back(event);
    }

    pub(super) fn checkpoint(&self, slot: usize) -> Option<i64> {
        self.stored(slot).map(|stored| stored.position.offset())
    }

    /// The plan stored beside a partition's checkpoint.
    pub(super) fn plan(&self, slot: usize) -> Option<Plan> {
        let stored = self.stored(slot)?;
        Plan::read(&stored.note, stored.position).unwrap()
    }

    fn stored(&self, slot: usize) -> Option<Checkpoint> {
        let stream = self.0.borrow();
        let mut all = stream.committed.iter().rev();
        all.find(|(other, _)| *other == Slot(slot))
            .map(|(_, stored)| stored.clone())
    }

    pub(super) fn is_paused(&self, slot: usize) -> bool {
        self.0.borrow().paused[&Slot(slot)]
    }

    fn store(&self, checkpoints: &[(Slot, Checkpoint)]) -> Result<(), SourceError> {
        let mut stream = self.0.borrow_mut();
        if stream.refuse_commits > 0 {
            stream.refuse_commits -= 1;
            return Err(SourceError::Unavailable("coordinator moved".into()));
        }
        for (slot, _) in checkpoints {
            assert!(
                stream.next.contains_key(slot),
                "commit for a partition not owned"
            );
        }
        stream.committed.extend_from_slice(checkpoints);
        Ok(())
    }

    pub(super) fn closed(&self) -> bool {
        self.1.get()
    }
}

impl Source for TestSource {
    fn poll(
        &mut self,
        _: Duration,
        max: usize,
        take: &mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Event>, SourceError> {
        // The writes run on another thread: let them.
        std::thread::sleep(Duration::from_micros(200));
        let mut stream = self.0.borrow_mut();
        stream.polls += 1;
        let stream = &mut *stream;
        if !stream.events.is_empty() {
            return Ok(stream.events.drain(..).collect());
        }
        let mut left = max;
        'all: for (slot, next) in &mut stream.next {
            if stream.paused[slot] {
                continue;
            }
            let Some((_, log)) = stream.logs.get(slot) else {
                continue;
            };
            for (offset, payload) in log {
                if *offset < *next {
                    continue;
                }
                if left == 0 {
                    break 'all;
                }
                left -= 1;
                *next = offset + 1;
                let record = Record {
                    position: Position::at(*offset),
                    timestamp: Some(*offset),
                    key: stream.key,
                    payload: Some(payload.as_bytes()),
                    schema: None,
                    origin: None,
                };
                if take(*slot, record).is_break() {
                    break 'all;
                }
            }
        }
        Ok(stream.events.drain(..).collect())
    }

    fn pause(&mut self, slots: &[Slot]) {
        let mut stream = self.0.borrow_mut();
        stream.paused.extend(slots.iter().map(|slot| (*slot, true)));
    }

    fn resume(&mut self, slots: &[Slot]) {
        let mut stream = self.0.borrow_mut();
        stream
            .paused
            .extend(slots.iter().map(|slot| (*slot, false)));
    }

    fn rewind(&mut self, slot: Slot, to: Position) {
        self.0.borrow_mut().next.insert(slot, to.offset());
    }

    fn commit(&mut self, checkpoints: &[(Slot, Checkpoint)]) {
        let result = self.store(checkpoints);
        self.0
            .borrow_mut()
            .events
            .push_back(Event::Committed(result));
    }

    fn release(&mut self, slots: &[Slot]) {
        let mut stream = self.0.borrow_mut();
        stream.released.extend_from_slice(slots);
        stream.next.retain(|slot, _| !slots.contains(slot));
    }

    fn nothing_before(&mut self, slot: Slot, end: Position) -> bool {
        self.0
            .borrow()
            .gaps
            .get(&slot)
            .is_some_and(|gap| end.offset() <= *gap)
    }

    fn close(self) {
        self.1.set(true);
    }
}
