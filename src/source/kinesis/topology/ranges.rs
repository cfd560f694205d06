//! Whether every hash key has a shard, or a lease that is read or will be.

use std::collections::HashMap;

use super::by_id;
use crate::source::kinesis::lease::{HashRange, Lease};
use crate::source::kinesis::stream::Shard;

/// How often in a row the same hole must be found: while a reshard is followed there may be one.
const CERTAIN: u32 = 3;

/// Hash keys that nothing covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hole {
    /// The first of them.
    pub from: u128,
    /// The last of them.
    pub to: u128,
}

/// Whether the shards cover all hash keys, and each only once: those there are at one moment do.
pub fn complete(shards: &[Shard]) -> bool {
    let mut ranges: Vec<_> = shards.iter().map(|shard| shard.hash_range).collect();
    ranges.sort_unstable();
    let mut next = Some(0);
    for range in &ranges {
        if next != Some(range.start) || range.end < range.start {
            return false;
        }
        next = range.end.checked_add(1);
    }
    !ranges.is_empty() && next.is_none()
}

/// The first hole in what the unfinished leases cover. Those that do not know their hash keys cover what `shards` says; `None` in there is a
/// list that nobody has asked for, and then it is [`Err`] that it is needed.
///
/// # Errors
/// A list is needed.
pub fn hole(leases: &[Lease], shards: Option<&[Shard]>) -> Result<Option<Hole>, NeedsShards> {
    let mut ranges = Vec::new();
    let mut listed: Option<HashMap<&str, &Shard>> = None;
    for lease in leases.iter().filter(|lease| !lease.is_finished()) {
        let range = match lease.hash_range {
            Some(range) => Some(range),
            None => {
                let shards = shards.ok_or(NeedsShards)?;
                let listed = listed.get_or_insert_with(|| by_id(shards));
                listed.get(lease.key.as_str()).map(|shard| shard.hash_range)
            }
        };
        ranges.extend(range);
    }
    Ok(uncovered(ranges))
}

/// Some leases do not say which hash keys they cover: their shards must be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsShards;

fn uncovered(mut ranges: Vec<HashRange>) -> Option<Hole> {
    ranges.sort_unstable();
    let mut next = Some(0);
    for range in ranges {
        let from = next?;
        if range.start > from {
            return Some(Hole {
                from,
                to: range.start - 1,
            });
        }
        // They overlap: while a shard is read to its end its children have leases.
        next = range.end.checked_add(1).map(|behind| behind.max(from));
    }
    next.map(|from| Hole {
        from,
        to: u128::MAX,
    })
}

/// Remembers what earlier looks have found.
#[derive(Debug, Default)]
pub struct Audit {
    last: Option<Hole>,
    times: u32,
}

impl Audit {
    /// Takes note of what a look has found, and says whether it is certain by now.
    pub fn found(&mut self, hole: Option<Hole>) -> bool {
        self.times = match hole {
            Some(_) if hole == self.last => self.times.saturating_add(1),
            Some(_) => 1,
            None => 0,
        };
        self.last = hole;
        self.times >= CERTAIN
    }

    /// How often in a row the last hole was found.
    pub fn times(&self) -> u32 {
        self.times
    }
}
