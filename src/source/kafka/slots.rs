//! The partitions that are assigned now, and the number each one's records are handed over under.

use std::collections::HashMap;

use crate::record::{Partition, Position};
use crate::source::Slot;

/// A partition while it is assigned.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) partition: Partition,
    /// Behind the last record handed over.
    pub(super) next: Position,
    /// Where reading must go before anything else is handed over.
    pub(super) seek: Option<Position>,
    /// Nothing is handed over meanwhile.
    pub(super) paused: bool,
}

/// Assigned partitions by slot and by name.
#[derive(Debug, Default)]
pub(super) struct Slots {
    assigned: Vec<Option<Assigned>>,
    by_number: HashMap<i32, Vec<Slot>>,
    last: usize,
}

impl Slots {
    pub(super) fn get(&self, slot: Slot) -> Option<&Assigned> {
        self.assigned.get(slot.0)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Assigned> {
        self.assigned.get_mut(slot.0)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Assigned)> {
        self.assigned
            .iter()
            .enumerate()
            .filter_map(|(i, a)| Some((Slot(i), a.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Assigned> {
        self.assigned.iter_mut().flatten()
    }

    /// The slot of a topic's partition.
    pub(super) fn find(&mut self, topic: &str, number: i32) -> Option<Slot> {
        // Records come in runs of one partition.
        if self.is(self.last, topic, number) {
            return Some(Slot(self.last));
        }
        let same = self.by_number.get(&number)?;
        let found = same
            .iter()
            .copied()
            .find(|slot| self.is(slot.0, topic, number))?;
        self.last = found.0;
        Some(found)
    }

    fn is(&self, index: usize, topic: &str, number: i32) -> bool {
        self.get(Slot(index)).is_some_and(|assigned| {
            assigned.partition.number() == number && assigned.partition.topic() == topic
        })
    }

    pub(super) fn set_paused(&mut self, slots: &[Slot], paused: bool) {
        for slot in slots {
            if let Some(assigned) = self.get_mut(*slot) {
                assigned.paused = paused;
            }
        }
    }

    pub(super) fn insert(&mut self, partition: Partition, next: Position) -> Slot {
        let free = self
            .assigned
            .iter()
            .position(Option::is_none)
            .unwrap_or_else(|| {
                self.assigned.push(None);
                self.assigned.len() - 1
            });
        self.by_number
            .entry(partition.number())
            .or_default()
            .push(Slot(free));
        self.assigned[free] = Some(Assigned {
            partition,
            next,
            seek: None,
            paused: false,
        });
        Slot(free)
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Assigned> {
        let assigned = self.assigned.get_mut(slot.0)?.take()?;
        if let Some(same) = self.by_number.get_mut(&assigned.partition.number()) {
            same.retain(|other| *other != slot);
        }
        Some(assigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_of_the_same_number_are_told_apart_and_slots_used_again() {
        let mut slots = Slots::default();
        let a = slots.insert(Partition::new("a", 1), Position::at(0));
        let b = slots.insert(Partition::new("b", 1), Position::at(0));
        assert_eq!(slots.find("b", 1), Some(b));
        assert_eq!(slots.find("a", 1), Some(a));
        assert_eq!(slots.find("a", 2), None);
        assert!(slots.remove(a).is_some());
        assert!(slots.remove(a).is_none());
        assert_eq!(slots.find("a", 1), None);
        assert_eq!(slots.insert(Partition::new("c", 1), Position::at(9)), a);
        assert_eq!(slots.find("c", 1), Some(a));
        assert_eq!(slots.find("b", 1), Some(b));
    }
}
