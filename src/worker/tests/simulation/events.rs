//! What machines remember of events: as the real store does beyond the end of a process, and less if the power fails.

use std::collections::HashMap;

use super::world::{Shared, World};
use crate::duplicates::{DuplicatesError, EventStore, Key, Seen};

/// One machine's disk, in the order in which it was written.
#[derive(Clone, Default)]
pub(super) struct Disk {
    written: Vec<(Key, Seen)>,
    /// Where the last writing of each event is.
    places: HashMap<Key, usize>,
}

impl Disk {
    fn write(&mut self, key: Key, seen: Seen) {
        self.places.insert(key, self.written.len());
        self.written.push((key, seen));
    }

    fn truncate(&mut self, len: usize) {
        let mut written = std::mem::take(&mut self.written);
        written.truncate(len);
        self.places.clear();
        for (key, seen) in written {
            self.write(key, seen);
        }
    }
}

impl World {
    /// The process of this machine is killed. In some worlds the power has failed, and what was written last is gone.
    pub(super) fn lose_power(&mut self, machine: usize) {
        if !self.settings.power_fails {
            return;
        }
        let lost = self.random.index(20);
        let disk = &mut self.disks[machine];
        let left = disk.written.len().saturating_sub(lost);
        disk.truncate(left);
        self.note(format_args!("machine {machine} remembers {left} writings"));
    }
}

/// A machine's disk as the process on it has it.
pub(super) struct SimEvents {
    pub(super) world: Shared,
    pub(super) machine: usize,
}

fn unavailable() -> DuplicatesError {
    DuplicatesError::Unavailable("the disk fails".into())
}

impl EventStore for SimEvents {
    fn get(&self, key: &Key) -> Result<Option<Seen>, DuplicatesError> {
        let world = &mut *self.world.lock();
        if world.fault(world.settings.failing_store / 50) {
            return Err(unavailable());
        }
        let disk = &world.disks[self.machine];
        let place = disk.places.get(key);
        Ok(place.map(|place| disk.written[*place].1.clone()))
    }

    fn put(
        &self,
        _: i64,
        events: &mut dyn Iterator<Item = (Key, Seen)>,
    ) -> Result<(), DuplicatesError> {
        // They come in the order of a hash map, which is another in every run.
        let mut events: Vec<_> = events.collect();
        events.sort_by_key(|(key, _)| *key);
        let world = &mut *self.world.lock();
        let mut kept = events.len();
        let fails = world.fault(world.settings.failing_store);
        if fails {
            kept = world.random.index(kept + 1);
        }
        for (key, seen) in events.into_iter().take(kept) {
            world.disks[self.machine].write(key, seen);
        }
        match fails {
            true => Err(unavailable()),
            false => Ok(()),
        }
    }

    fn blocks(&self) -> bool {
        false
    }
}
