//! The stream as one worker reads it: the member of the group, polled.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::client::Notice;
use super::world::Shared;
use crate::mutation::{Mutation, on};
use crate::record::{Partition, Position, Record};
use crate::source::{Assigned, Checkpoint, Event, Slot, Source, SourceError};

pub(super) struct SimSource {
    pub(super) world: Shared,
    pub(super) process: usize,
}

impl SimSource {
    /// What was noted since the last poll.
    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut world = self.world.lock();
        let now = world.now;
        let client = world.clients.get_mut(&self.process).unwrap();
        client.polled = now;
        while let Some(notice) = world
            .clients
            .get_mut(&self.process)
            .and_then(|c| c.notices.pop_front())
        {
            let seek = now + world.random.ms(0, 300);
            let client = world.clients.get_mut(&self.process).unwrap();
            match notice {
                Notice::Joined => events.push(Event::Joined),
                Notice::Lost => {
                    let slots = client.lose();
                    world.note(format_args!("p{} loses {slots:?}", self.process));
                    events.push(Event::Lost(slots));
                }
                Notice::Revoke(partitions) => {
                    let slots = client.revoke(partitions);
                    if !slots.is_empty() {
                        events.push(Event::Revoking(slots));
                    }
                }
                Notice::Committed(result) => {
                    client.committing = false;
                    client.give_back_waiting();
                    let result = result.map_err(|why| SourceError::Unavailable(why.into()));
                    events.push(Event::Committed(result));
                }
                Notice::Standing {
                    partition,
                    ticket,
                    found,
                } => {
                    let asked = client.waiting.get(&partition);
                    let valid = asked
                        .is_some_and(|asked| *asked == ticket || on(Mutation::StandingOfAnother));
                    if valid {
                        client.waiting.remove(&partition);
                        let slot = client.begin(partition, found.position.offset(), seek);
                        world.note(format_args!(
                            "p{} begins {partition} at {}: {:?}",
                            self.process,
                            found.position,
                            first(&found)
                        ));
                        events.push(assigned(slot, partition, found));
                    }
                }
                Notice::Again(partition) => {
                    // What is told must be as stored behind every commit of the assignment before.
                    let slot = client.slot_of(partition);
                    if let Some(slot) = slot.filter(|_| !world.commits.on_the_way(self.process)) {
                        let found = world.group.stored[partition].clone();
                        let client = world.clients.get_mut(&self.process).unwrap();
                        client.begin_again(slot, found.position.offset(), seek);
                        world.checks.begun_again.insert(partition);
                        world.note(format_args!(
                            "p{} begins {partition} again at {}: {:?}",
                            self.process,
                            found.position,
                            first(&found)
                        ));
                        events.push(Event::Lost(vec![slot]));
                        events.push(assigned(slot, partition, found));
                    }
                }
            }
        }
        events
    }
}

fn first(found: &Checkpoint) -> &str {
    let line = found.note.lines().next().unwrap_or_default();
    line.rsplit(' ').next().unwrap_or_default()
}

fn assigned(slot: Slot, partition: usize, checkpoint: Checkpoint) -> Event {
    Event::Assigned(Box::new(Assigned {
        slot,
        partition: Partition::new("t", i32::try_from(partition).unwrap()),
        checkpoint,
        oldest: Some(Position::at(0)),
        end: None,
    }))
}

impl Source for SimSource {
    fn poll(
        &mut self,
        _: Duration,
        max: usize,
        take: &mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Event>, SourceError> {
        let events = self.events();
        if !events.is_empty() {
            return Ok(events);
        }
        let mut world = self.world.lock();
        let (now, first) = (world.now, world.random.index(8));
        let logs = world.logs.clone();
        let client = &world.clients[&self.process];
        let count = client.reading.len();
        let mut reading: Vec<_> = client.reading.iter().cloned().enumerate().collect();
        drop(world);
        if count > 0 {
            reading.rotate_left(first % count);
        }
        let mut left = max;
        for (slot, reading) in reading {
            let Some(reading) = reading.filter(|r| !r.paused && r.not_before <= now) else {
                continue;
            };
            let log = Arc::clone(&logs[reading.partition]);
            let mut next = reading.next;
            let mut stop = false;
            for entry in &log.records[log.index_of(reading.next)..] {
                if stop || left == 0 || entry.at > now {
                    break;
                }
                left -= 1;
                next = entry.offset + 1;
                let record = Record {
                    position: Position::at(entry.offset),
                    timestamp: None,
                    key: None,
                    payload: entry.payload.as_deref().map(str::as_bytes),
                    schema: None,
                    origin: None,
                };
                stop = take(Slot(slot), record).is_break();
            }
            let mut world = self.world.lock();
            let client = world.clients.get_mut(&self.process).unwrap();
            if let Some(Some(reading)) = client.reading.get_mut(slot) {
                reading.next = next;
            }
            if stop {
                break;
            }
        }
        Ok(Vec::new())
    }

    fn pause(&mut self, slots: &[Slot]) {
        self.set_paused(slots, true);
    }

    fn resume(&mut self, slots: &[Slot]) {
        self.set_paused(slots, false);
    }

    fn rewind(&mut self, slot: Slot, to: Position) {
        let mut world = self.world.lock();
        let not_before = world.now + world.random.ms(0, 400);
        let client = world.clients.get_mut(&self.process).unwrap();
        if let Some(Some(reading)) = client.reading.get_mut(slot.0) {
            (reading.next, reading.not_before) = (to.offset(), not_before);
        }
        world.note(format_args!("p{} goes to {to} in {slot:?}", self.process));
    }

    fn commit(&mut self, checkpoints: &[(Slot, Checkpoint)]) {
        let mut world = self.world.lock();
        let client = world.clients.get_mut(&self.process).unwrap();
        assert!(!client.committing, "asked again before the answer");
        let of = |(slot, checkpoint): &(Slot, Checkpoint)| {
            Some((client.partitions(&[*slot]).pop()?, checkpoint.clone()))
        };
        let checkpoints: Vec<_> = checkpoints.iter().filter_map(of).collect();
        let answer = if client.lost {
            Err("the assignment is lost")
        } else {
            Ok(())
        };
        if answer.is_err() || checkpoints.is_empty() {
            client.notices.push_back(Notice::Committed(answer));
            return;
        }
        client.committing = true;
        world.ask(self.process, checkpoints);
    }

    fn release(&mut self, slots: &[Slot]) {
        let mut world = self.world.lock();
        world.note(format_args!("p{} gives {slots:?} back", self.process));
        let client = world.clients.get_mut(&self.process).unwrap();
        let partitions = client.partitions(slots);
        client.give_back(partitions);
        client.forget(slots);
    }

    fn nothing_before(&mut self, slot: Slot, end: Position) -> bool {
        let mut world = self.world.lock();
        let unclear = world.fault(1000);
        let (now, logs) = (world.now, world.logs.clone());
        let Some(Some(reading)) = world.clients[&self.process].reading.get(slot.0) else {
            return false;
        };
        let log = &logs[reading.partition];
        // What is not produced yet is no gap.
        let produced = log
            .records
            .get(log.index_of(end.offset()))
            .is_none_or(|r| r.at <= now);
        produced && !unclear && log.within(reading.next, end.offset()).is_empty()
    }

    fn close(self) {
        let mut world = self.world.lock();
        let client = world.clients.get_mut(&self.process).unwrap();
        let all = client.slots();
        client.forget(&all);
        client.close();
        world.note(format_args!("p{} closes", self.process));
    }
}

impl SimSource {
    fn set_paused(&self, slots: &[Slot], paused: bool) {
        let mut world = self.world.lock();
        let client = world.clients.get_mut(&self.process).unwrap();
        for slot in slots {
            if let Some(Some(reading)) = client.reading.get_mut(slot.0) {
                reading.paused = paused;
            }
        }
    }
}
