//! What looks at the table have shown: the rows, and for how long each has stood still.
//!
//! Clocks of several machines are never compared. A lease has expired when its counter has stood still for the failover time as this
//! observer's monotonic clock counts it, from the end of the first look that saw this counter: later than the write by its owner, who for
//! his part stops believing when as much time has passed since he began to write.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Lease;

/// A row, and when it was last seen to change.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) lease: Lease,
    /// The end of the first look that has seen this counter.
    pub(super) changed: Duration,
}

impl Row {
    /// For how long its counter has stood still.
    pub(super) fn idle(&self, now: Duration) -> Duration {
        now.saturating_sub(self.changed)
    }

    /// Whether it may be taken: it has no owner, or one that does not renew it.
    pub(super) fn is_available(&self, now: Duration, failover: Duration) -> bool {
        self.lease.owner.is_none() || self.idle(now) > failover
    }
}

/// All rows as the last look saw them.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    rows: BTreeMap<String, Row>,
}

impl Board {
    /// Takes in a look that has ended just now. Leases that it did not see are gone.
    pub(super) fn look(&mut self, leases: Vec<Lease>, now: Duration) {
        let mut before = std::mem::take(&mut self.rows);
        for lease in leases {
            let changed = match before.remove(&lease.key) {
                Some(row) if row.lease.counter == lease.counter => row.changed,
                _ => now,
            };
            self.rows.insert(lease.key.clone(), Row { lease, changed });
        }
    }

    /// A row that was written or read by itself.
    pub(super) fn see(&mut self, lease: Lease, now: Duration) {
        let changed = match self.rows.get(&lease.key) {
            Some(row) if row.lease.counter == lease.counter => row.changed,
            _ => now,
        };
        self.rows.insert(lease.key.clone(), Row { lease, changed });
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Lease> {
        self.rows.get(key).map(|row| &row.lease)
    }

    pub(super) fn leases(&self) -> Vec<Lease> {
        self.rows.values().map(|row| row.lease.clone()).collect()
    }

    /// The owners of leases that have not expired.
    pub(super) fn live_owners(&self, now: Duration, failover: Duration) -> BTreeSet<&str> {
        let live = |row: &&Row| !row.is_available(now, failover);
        let rows = self.rows.values().filter(live);
        rows.filter_map(|row| row.lease.owner.as_deref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::LeasePosition;
    use super::*;

    const FAILOVER: Duration = Duration::from_secs(10);

    fn lease(counter: u64) -> Lease {
        Lease {
            owner: Some("a".into()),
            counter,
            ..Lease::new("s", LeasePosition::Latest)
        }
    }

    #[test]
    fn a_lease_expires_when_its_counter_stands_still() {
        let at = Duration::from_secs;
        let mut board = Board::default();
        let expired = |board: &Board, now| board.rows().next().unwrap().is_available(now, FAILOVER);
        board.look(vec![lease(1)], at(100));
        board.look(vec![lease(1)], at(110));
        assert!(!expired(&board, at(110)), "seen for no more than the time");
        assert!(expired(&board, at(111)));
        board.look(vec![lease(2)], at(111));
        assert!(!expired(&board, at(121)));
        assert_eq!(board.live_owners(at(121), FAILOVER).len(), 1);
        board.look(vec![], at(122));
        board.look(vec![lease(2)], at(140));
        assert!(!expired(&board, at(150)), "what comes back is new");
    }
}
