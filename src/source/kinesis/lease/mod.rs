//! Leases: which worker reads which shard, and how far everybody is, in a table that Amazon's Kinesis Client Library (KCL) understands.
//!
//! Owns the rows, the conditions under which they are written, and the decisions which to take, renew and give back. Refuses to know
//! what is read from a shard. A worker of ours and one of KCL 2.x may share a table; what keeps them apart is the same for both: every write
//! names the counter it has seen, and every write raises it.
//!
//! What is promised rests on these habits of KCL (2.7.3 and 3.5.1 were read):
//! * Taking, renewing, evicting and assigning leave `checkpoint` and all of `pendingCheckpoint*` as they are, so a plan outlives its
//!   owner, whoever takes the lease next.
//! * Each of them raises `leaseCounter`, so who was overtaken cannot write any more. Two writes do not: `childShardIds`, which change
//!   nothing that is decided here, and the beginning of a hand-off of 3.x, which changes the owner, and a write of ours names the owner too.
//! * `prepareCheckpoint` sets the three pending attributes, `checkpoint` removes them. KCL hands them to the record processor and does
//!   nothing with them itself: it reads on from `checkpoint`. So a KCL worker that takes a lease with an open plan reads the planned records again
//!   and drops the plan at its next checkpoint; only a lease that was released after its plan was committed goes over without records seen twice.
//!
//! Modules: `codec` (rows as attributes), `store` (what can be done to a table), `dynamo` and `memory` (where that is done),
//! `board` and `rules` (what a look at the table says and what follows), `keeper` (all a worker knows of its leases, without I/O), `holder` (the task
//! that does what the keeper asks for), `state` (what is kept with a plan, as text), `native` (fleets of KCL 3.x), `report` (the table for a person).

mod board;
mod codec;
mod dynamo;
mod holder;
mod keeper;
mod memory;
mod native;
mod report;
mod rules;
mod state;
mod store;

use std::collections::BTreeSet;
use std::fmt;

use crate::record::Sequence;

pub use self::dynamo::DynamoLeases;
pub use self::holder::{Holder, Topology, start};
pub use self::keeper::{Command, Event, Keeper, Request, Seen, Settings, Tally, Term};
pub use self::memory::{Fault, MemoryLeases};
pub use self::native::OWNER_PREFIX;
pub use self::report::table;
pub use self::state::{Began, State};
pub use self::store::{Answer, Ask, Claim, Coordinator, LeaseStore, Listing, Write};

/// A row of the lease table: a shard, who reads it, and how far it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The shard's id.
    pub key: String,
    /// The worker that reads it; `None` if nobody does.
    pub owner: Option<String>,
    /// Raised by every write that anybody makes to stay or become the owner, or as the owner.
    pub counter: u64,
    /// All before and at it are done.
    pub checkpoint: LeasePosition,
    /// A checkpoint that was prepared: a plan, if it is ours.
    pub pending: Option<Pending>,
    /// How often the lease went to another worker without the checkpoint having moved.
    pub owner_switches: u64,
    /// The shards it came from.
    pub parents: BTreeSet<String>,
    /// The shards that came from it; known when its end was read.
    pub children: BTreeSet<String>,
    /// The hash keys of its records.
    pub hash_range: Option<HashRange>,
    /// A worker of KCL 3.x that shall finish before the owner begins.
    pub checkpoint_owner: Option<String>,
}

impl Lease {
    /// A lease that nobody has had yet.
    pub fn new(key: impl Into<String>, checkpoint: LeasePosition) -> Self {
        Self {
            key: key.into(),
            owner: None,
            counter: 0,
            checkpoint,
            pending: None,
            owner_switches: 0,
            parents: BTreeSet::new(),
            children: BTreeSet::new(),
            hash_range: None,
            checkpoint_owner: None,
        }
    }

    /// Whether the shard was read to its end.
    pub fn is_finished(&self) -> bool {
        self.checkpoint == LeasePosition::ShardEnd
    }

    /// Whether the checkpoint says a record, or the end.
    pub fn says_where(&self) -> bool {
        matches!(
            self.checkpoint,
            LeasePosition::At { .. } | LeasePosition::ShardEnd
        )
    }

    /// What is kept with the checkpoint that was prepared, if that is ours.
    pub fn state(&self) -> Option<State<'_>> {
        State::read(&self.pending.as_ref()?.state)
    }

    /// Whether `worker` owns it and may go on.
    pub fn belongs_to(&self, worker: &str) -> bool {
        self.owner.as_deref() == Some(worker) && self.checkpoint_owner.is_none()
    }
}

/// How far a shard was read, as a lease tells it. In the order KCL has them in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeasePosition {
    /// Not begun: from the configured time on.
    AtTimestamp,
    /// Not begun: from the oldest record on.
    TrimHorizon,
    /// Not begun: from the next record on.
    Latest,
    /// All before and at this record.
    At {
        /// The record's sequence number.
        sequence: Sequence,
        /// Its place in an aggregate, else 0.
        sub: u64,
    },
    /// To its end.
    ShardEnd,
}

impl fmt::Display for LeasePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtTimestamp => f.write_str("AT_TIMESTAMP"),
            Self::TrimHorizon => f.write_str("TRIM_HORIZON"),
            Self::Latest => f.write_str("LATEST"),
            Self::At { sequence, sub: 0 } => sequence.fmt(f),
            Self::At { sequence, sub } => write!(f, "{sequence}/{sub}"),
            Self::ShardEnd => f.write_str("SHARD_END"),
        }
    }
}

/// A checkpoint that was prepared and not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Where it is to be: the end of the first planned span, if it is ours and there is a plan.
    pub position: LeasePosition,
    /// What its writer keeps with it: a [`State`], if it is ours. Empty if there is nothing.
    pub state: Vec<u8>,
}

/// A run of hash keys, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashRange {
    /// The first.
    pub start: u128,
    /// The last.
    pub end: u128,
}

impl HashRange {
    /// All keys there are.
    pub const ALL: Self = Self {
        start: 0,
        end: u128::MAX,
    };
}

/// Why a lease was not read or written, named by what the caller does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The row is not as the writer believed: somebody else has written it, or it is gone.
    #[error("the lease was changed by somebody else")]
    Refused,
    /// Heals by itself or with another attempt, and may have been stored all the same.
    #[error("lease table unavailable: {0}")]
    Unavailable(String),
    /// A person must change something.
    #[error("lease table misconfigured: {0}")]
    Misconfigured(String),
}
