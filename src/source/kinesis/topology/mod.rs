//! Which leases the shards of a stream need, as reshards come and go.
//!
//! Owns the decisions: which leases are missing ([`missing`]), whether a shard may be read before its parents are done ([`waits_for`]), what
//! must stand in the table before a shard is done (`ends`), which finished leases nobody needs any more (`clean`), and whether
//! all hash keys are covered (`ranges`). They look at a list of shards and a list of leases, and do no I/O; `rounds` does it for
//! them. This module refuses to know who reads a shard.
//!
//! They are those of the KCL (3.5.1 was read), so that one can go on behind us, and we behind it:
//! * Leases of a table without any are those of the shards there were at the initial position, which must cover all hash keys.
//! * A shard that a reshard has made gets its lease from who reads one of its parents to the end, and before that end is written down. A
//!   missing lease is made by others only when hash keys were found uncovered three times in a row.
//! * A finished lease stays until all its children were begun and its parents' leases are gone, oldest first. So of a shard that is listed
//!   and older than some lease of its line, none is ever made twice.
//!
//! In these it does more than the KCL:
//! * A shard's children are looked up in the list if its end does not tell them, and those of a finished lease are made if they are missing: the
//!   KCL finishes a shard that is gone from the stream without them, and nobody reads them.
//! * After a merge the end waits for the other parent's lease only if the child's is not there yet, that parent is still in the stream, and nobody
//!   reads further down. The KCL waits for ever then.
//! * No lease is made for a child if there is one further down its line: it would be read a second time, or too late.
//! * Where a stream is read from some time, missing leases are not made of shards that were closed before.
//! * Where leases are made for what was found missing, two looks at the table must have found the same.

mod clean;
mod ends;
mod missing;
mod ranges;
mod rounds;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::SystemTime;

pub use self::clean::{Unfinished, deletable, untold};
pub use self::ends::{Ending, at_end, children_of};
pub use self::missing::{Inconsistent, first, missing};
pub use self::ranges::{Audit, Hole, NeedsShards, complete, hole};
pub use self::rounds::{Done, Rounds, TopologyError};

use super::lease::{Lease, LeasePosition};
use super::stream::{Filter, Shard};

/// Where a stream is begun that nobody has read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// With the oldest record that is retained.
    TrimHorizon,
    /// With what comes from now on.
    Latest,
    /// With what arrived then or later. Not in the future: nobody knows which shards there will be.
    AtTimestamp(SystemTime),
}

impl Initial {
    /// Which shards there were then.
    pub fn filter(self) -> Filter {
        match self {
            Self::TrimHorizon => Filter::AtTrimHorizon,
            Self::Latest => Filter::AtLatest,
            Self::AtTimestamp(time) => Filter::AtTimestamp(time),
        }
    }

    /// What a lease says of it.
    pub fn position(self) -> LeasePosition {
        match self {
            Self::TrimHorizon => LeasePosition::TrimHorizon,
            Self::Latest => LeasePosition::Latest,
            Self::AtTimestamp(_) => LeasePosition::AtTimestamp,
        }
    }
}

/// The parent that a lease's shard must wait for, if any: one that has a lease, and was not read to its end.
pub fn waits_for<'a>(lease: &'a Lease, leases: &[Lease]) -> Option<&'a str> {
    let unfinished = |parent: &&String| {
        let found = leases.iter().find(|other| other.key == **parent);
        found.is_some_and(|parent| !parent.is_finished())
    };
    lease.parents.iter().find(unfinished).map(String::as_str)
}

/// The leases by their shards.
fn by_key(leases: &[Lease]) -> HashMap<&str, &Lease> {
    leases
        .iter()
        .map(|lease| (lease.key.as_str(), lease))
        .collect()
}

/// The shards by their ids.
fn by_id(shards: &[Shard]) -> HashMap<&str, &Shard> {
    shards
        .iter()
        .map(|shard| (shard.id.as_str(), shard))
        .collect()
}
