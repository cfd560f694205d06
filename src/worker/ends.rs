//! When `--until-end` is reached: every partition this process reads is committed up to the end it had at start.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::{Partition, Position};

/// A partition given up unfinished may come back to another worker of this process within this time.
const IN_TRANSIT: Duration = Duration::from_secs(30);

/// The ends that were asked for, and how far the workers have come.
#[derive(Debug)]
pub struct Ends {
    wanted: HashMap<Partition, Position>,
    workers: usize,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    joined: HashSet<usize>,
    joined_at: Option<Duration>,
    owned: HashMap<Partition, bool>,
    left: HashMap<Partition, Duration>,
}

impl Ends {
    /// Ends for a process of so many workers.
    pub fn new(wanted: HashMap<Partition, Position>, workers: usize) -> Self {
        Self {
            wanted,
            workers,
            progress: Mutex::default(),
        }
    }

    /// Where a partition is finished. One that did not exist at start is finished wherever it stands.
    pub fn end_of(&self, partition: &Partition) -> Position {
        self.wanted
            .get(partition)
            .copied()
            .unwrap_or(Position::at(0))
    }

    /// The group has told this worker what is its own.
    pub fn joined(&self, worker: usize) {
        self.progress().joined.insert(worker);
    }

    /// How far an assigned partition is committed.
    pub fn committed(&self, partition: &Partition, to: Position) {
        let done = to >= self.end_of(partition);
        let mut progress = self.progress();
        progress.left.remove(partition);
        progress.owned.insert(partition.clone(), done);
    }

    /// Nothing more can be done for a partition: nobody waits for it.
    pub fn given_up(&self, partition: &Partition) {
        self.progress().owned.insert(partition.clone(), true);
    }

    /// A partition is assigned to this process no more.
    pub fn gone(&self, partition: &Partition, now: Duration) {
        let mut progress = self.progress();
        if progress.owned.remove(partition) == Some(false) {
            progress.left.insert(partition.clone(), now);
        }
    }

    /// Whether everything is committed. `now` is time since start.
    pub fn reached(&self, now: Duration) -> bool {
        let mut progress = self.progress();
        progress
            .left
            .retain(|_, since| now.saturating_sub(*since) < IN_TRANSIT);
        if progress.joined.is_empty() {
            return false;
        }
        let since = *progress.joined_at.get_or_insert(now);
        // Other processes may have the rest; and a worker beyond the number of partitions may never hear from the group.
        let settled = now.saturating_sub(since) >= IN_TRANSIT
            || (progress.joined.len() >= self.workers
                && self
                    .wanted
                    .keys()
                    .all(|partition| progress.owned.contains_key(partition)));
        settled && progress.left.is_empty() && progress.owned.values().all(|done| *done)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(workers: usize) -> (Ends, Partition) {
        let partition = Partition::new("t", 0);
        (
            Ends::new(
                HashMap::from([(partition.clone(), Position::at(10))]),
                workers,
            ),
            partition,
        )
    }

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn reached_only_when_committed_to_the_end() {
        let (ends, partition) = ends(1);
        assert!(!ends.reached(NOW), "nobody has joined");
        ends.joined(0);
        ends.committed(&partition, Position::at(9));
        assert!(!ends.reached(NOW));
        ends.committed(&partition, Position::at(10));
        assert!(ends.reached(NOW));
    }

    /// A process that joins beside another one gets nothing at first.
    #[test]
    fn an_empty_first_assignment_is_not_the_end() {
        let (ends, partition) = ends(1);
        ends.joined(0);
        assert!(!ends.reached(NOW));
        ends.committed(&partition, Position::at(10));
        assert!(ends.reached(NOW));
    }

    #[test]
    fn a_partition_on_its_way_to_another_worker_is_waited_for() {
        let (ends, partition) = ends(2);
        ends.joined(0);
        ends.joined(1);
        ends.committed(&partition, Position::at(3));
        ends.gone(&partition, NOW);
        assert!(!ends.reached(NOW * 2));
        ends.committed(&partition, Position::at(10));
        assert!(ends.reached(NOW * 2));
    }

    #[test]
    fn a_partition_another_process_took_is_not_waited_for_longer_than_a_rebalance() {
        let (ends, partition) = ends(1);
        ends.joined(0);
        ends.committed(&partition, Position::at(3));
        assert!(!ends.reached(NOW));
        ends.gone(&partition, NOW);
        assert!(!ends.reached(NOW + IN_TRANSIT / 2));
        assert!(ends.reached(NOW + IN_TRANSIT));
    }
}
