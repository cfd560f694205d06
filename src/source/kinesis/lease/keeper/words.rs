//! What a worker and its [`Keeper`](super::Keeper) say to each other.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::source::kinesis::lease::{Ask, Lease, LeaseError, Pending, Write};

/// What KCL allows for the time a request takes.
const EPSILON: Duration = Duration::from_millis(25);
/// Between two looks that fail, at most: whatever the failover time is, a table that is back is to be found soon.
const MOST_PAUSE: Duration = Duration::from_secs(10);

/// How a worker treats leases.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name: unique among all workers there will ever be, and begins with [`OWNER_PREFIX`](super::super::OWNER_PREFIX).
    pub worker: String,
    /// A lease that is not renewed for so long belongs to nobody.
    pub failover: Duration,
    /// The most leases it takes.
    pub most_leases: usize,
    /// The most it takes from a live worker in one look, which is half of what it lacks at any rate.
    pub most_stolen: usize,
    /// Requests that may be under way at once.
    pub parallel: usize,
}

impl Settings {
    /// KCL's defaults for a worker of this name, but that more than one lease may be stolen in a look.
    pub fn new(worker: impl Into<String>, failover: Duration) -> Self {
        Self {
            worker: worker.into(),
            failover,
            most_leases: usize::MAX,
            most_stolen: usize::MAX,
            parallel: 32,
        }
    }

    /// How long after a renewal the next one is due.
    pub fn renew_every(&self) -> Duration {
        (self.failover / 3).saturating_sub(EPSILON)
    }

    /// How long after a look the next one is due, if nothing is missing.
    pub fn take_every(&self) -> Duration {
        (self.failover + EPSILON) * 2
    }

    /// The same if something is missing that time may free.
    pub(super) fn look_soon(&self) -> Duration {
        self.failover + EPSILON
    }

    /// How long a lease is believed in after a write of it was sent. The margin is for clocks that do not run equally fast.
    pub fn belief(&self) -> Duration {
        self.failover - self.failover / 50
    }

    /// How long to wait after a request that failed.
    pub(super) fn pause(&self) -> Duration {
        (self.failover / 20).min(Duration::from_secs(1))
    }

    /// How long to wait with the next look after so many in a row of which something failed.
    pub(super) fn pause_after(&self, troubles: u32) -> Duration {
        let doubled = 1 << troubles.saturating_sub(1).min(16);
        (self.pause() * doubled).min(self.failover).min(MOST_PAUSE)
    }
}

/// Numbers the times a worker gains a lease, so that what was meant for one is not done to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub(super) u64);

/// What has happened to a worker's leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This shard is ours to read, from where the lease says. Its parents, as far as there are leases of them, were read to their end.
    Gained {
        /// The row as it is now.
        lease: Box<Lease>,
        /// Names this time.
        term: Term,
    },
    /// It is not ours any more, or may not be: nothing can be stored.
    Lost {
        /// The lease.
        key: String,
        /// Which time.
        term: Term,
    },
    /// The answer to [`Command::Store`]. An error does not mean that nothing was stored, unless it is
    /// [`LeaseError::Refused`]: then the lease is lost, too.
    Stored(Vec<(String, Result<(), LeaseError>)>),
    /// The answer to [`Command::Note`], which is tried until it is stored or the lease is lost.
    Noted {
        /// The lease.
        key: String,
        /// Which time.
        term: Term,
    },
    /// The answer to [`Command::Finish`]: the lease is at its end and given up.
    Finished {
        /// The lease.
        key: String,
        /// Which time.
        term: Term,
    },
    /// The first look is done: what could be taken is taken.
    Looked,
    /// A fleet of KCL 3.x is alive in this table, and nothing is taken as long as it is.
    Blocked(String),
    /// The table has never been reached, and will not be before a person changes something.
    Failed(LeaseError),
}

/// What a worker wants done.
#[derive(Clone, Debug)]
pub enum Command {
    /// Store these in their leases. Not given again before the answer.
    Store(Vec<(String, Term, Write)>),
    /// Store this beside the checkpoint of a lease of which nothing else was stored yet.
    Note {
        /// The lease.
        key: String,
        /// Which time.
        term: Term,
        /// What to store.
        note: Pending,
    },
    /// Give these back, once what was to be stored is. They are not taken again at once.
    Release(Vec<(String, Term)>),
    /// A shard was read to its end and all of it is committed.
    Finish {
        /// Its lease.
        key: String,
        /// Which time.
        term: Term,
        /// Leases to create first, as far as they are missing.
        create: Vec<Lease>,
        /// The shards that came from it.
        children: BTreeSet<String>,
    },
    /// Take no lease from now on.
    TakeNoMore,
    /// Look at the table now.
    Look,
    /// Give everything back and end.
    Close,
}

/// A request to make; its number comes back with the answer.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number.
    pub id: u64,
    /// What is asked.
    pub ask: Ask,
}
