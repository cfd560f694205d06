//! When `--until-end` is reached: every partition this process reads is committed up to the end it had at start, or, where a stream does
//! not say where that is, up to where nothing more was there to be read.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::{Partition, Position};

/// A partition given up unfinished may come back to another worker of this process within this time.
const IN_TRANSIT: Duration = Duration::from_secs(30);

/// The ends that were asked for, and how far the workers have come.
#[derive(Debug)]
pub struct Ends {
    /// The partitions there were at start, and their ends if they were known.
    wanted: HashMap<Partition, Option<Position>>,
    workers: usize,
    in_transit: Duration,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    joined: HashSet<usize>,
    joined_at: Option<Duration>,
    owned: HashMap<Partition, bool>,
    left: HashMap<Partition, Duration>,
    /// Ends that were not known at start.
    found: HashMap<Partition, Position>,
    /// Partitions that are no more: there is nothing in them for anybody.
    finished: HashSet<Partition>,
}

impl Ends {
    /// Ends for a process of so many workers.
    pub fn new(wanted: HashMap<Partition, Option<Position>>, workers: usize) -> Self {
        Self {
            wanted,
            workers,
            in_transit: IN_TRANSIT,
            progress: Mutex::default(),
        }
    }

    /// Waits for so long, if that is longer than usual, for partitions that nobody seems to have.
    #[must_use]
    pub fn patient_for(self, time: Duration) -> Self {
        Self {
            in_transit: self.in_transit.max(time),
            ..self
        }
    }

    /// Where a partition is finished; `None` if that is not known yet. One that did not exist at start is finished wherever it stands.
    pub fn end_of(&self, partition: &Partition) -> Option<Position> {
        match self.wanted.get(partition) {
            Some(Some(end)) => Some(*end),
            Some(None) => self.progress().found.get(partition).copied(),
            // Before every position of every stream.
            None => Some(Position::at(0)),
        }
    }

    /// A partition whose end was not known ends here. An end that is known stays what it is.
    pub fn found(&self, partition: &Partition, end: Position) {
        let mut progress = self.progress();
        progress.found.entry(partition.clone()).or_insert(end);
    }

    /// A partition is no more, and committed to its last record. Its records from now on are those of `successors`.
    pub fn finished(&self, partition: &Partition, successors: &[Partition], now: Duration) {
        let mut progress = self.progress();
        progress.owned.remove(partition);
        progress.left.remove(partition);
        progress.finished.insert(partition.clone());
        for successor in successors {
            let wanted = self.wanted.contains_key(successor);
            if wanted
                && !progress.owned.contains_key(successor)
                && !progress.finished.contains(successor)
            {
                progress.left.insert(successor.clone(), now);
            }
        }
    }

    /// The group has told this worker what is its own.
    pub fn joined(&self, worker: usize) {
        self.progress().joined.insert(worker);
    }

    /// How far an assigned partition is committed.
    pub fn committed(&self, partition: &Partition, to: Position) {
        let done = self.end_of(partition).is_some_and(|end| to >= end);
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
            .retain(|_, since| now.saturating_sub(*since) < self.in_transit);
        if progress.joined.is_empty() {
            return false;
        }
        let since = *progress.joined_at.get_or_insert(now);
        // Other processes may have the rest; and a worker beyond the number of partitions may never hear from the group.
        let settled = now.saturating_sub(since) >= self.in_transit
            || (progress.joined.len() >= self.workers
                && self
                    .wanted
                    .keys()
                    .all(|partition| progress.has_met(partition)));
        settled && progress.left.is_empty() && progress.owned.values().all(|done| *done)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn has_met(&self, partition: &Partition) -> bool {
        self.owned.contains_key(partition) || self.finished.contains(partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(workers: usize) -> (Ends, Partition) {
        let partition = Partition::new("t", 0);
        (
            Ends::new(
                HashMap::from([(partition.clone(), Some(Position::at(10)))]),
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
    fn an_end_that_is_not_known_is_found_and_a_closed_partition_is_followed_by_others() {
        let [parent, child, later] = [0, 1, 2].map(|number| Partition::shard("s", number));
        let wanted = [(parent.clone(), None), (child.clone(), None)];
        let ends = Ends::new(wanted.into(), 1);
        let at = |sub| Position::in_shard(crate::record::Sequence::ZERO, sub);
        ends.joined(0);
        ends.committed(&parent, at(3));
        assert_eq!(ends.end_of(&parent), None);
        assert!(!ends.reached(NOW));
        ends.finished(&parent, &[child.clone(), later.clone()], NOW);
        assert!(!ends.reached(NOW), "its records go on elsewhere");
        ends.committed(&child, at(0));
        assert!(!ends.reached(NOW), "nobody knows where it ends");
        ends.found(&child, at(2));
        ends.found(&child, at(9));
        ends.committed(&child, at(1));
        assert!(!ends.reached(NOW));
        ends.committed(&child, at(2));
        assert!(ends.reached(NOW));
        ends.committed(&later, at(0));
        assert!(ends.reached(NOW), "it was not there at start");
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
