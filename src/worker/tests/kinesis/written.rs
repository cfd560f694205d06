//! What was written where: so it can be told which of it a checkpoint says is done.

use std::collections::BTreeMap;

use super::world::Services;
use crate::record::Sequence;
use crate::source::kinesis::lease::{Lease, LeasePosition};

/// A record as the stream has it.
#[derive(Clone, Copy, Debug)]
struct One {
    sequence: Sequence,
    /// Its place in an aggregate.
    sub: u64,
    number: u64,
}

#[derive(Default)]
struct InShard {
    records: Vec<One>,
    /// So many of them were found when a checkpoint came behind them.
    checked: usize,
}

/// All records by their shards, in their order.
#[derive(Default)]
pub(super) struct Written {
    shards: BTreeMap<String, InShard>,
    /// When each arrived, in milliseconds.
    arrived: BTreeMap<u64, i64>,
}

impl Written {
    /// These numbers stand in a record of the stream, one behind the other.
    pub(super) fn note(
        &mut self,
        (shard, sequence): (String, Sequence),
        numbers: impl Iterator<Item = u64>,
        arrived: i64,
    ) {
        let shard = self.shards.entry(shard).or_default();
        for (sub, number) in (0..).zip(numbers) {
            shard.records.push(One {
                sequence,
                sub,
                number,
            });
            self.arrived.insert(number, arrived);
        }
    }

    /// The first record that arrived then or later, if any has.
    pub(super) fn first_since(&self, time: i64) -> Option<u64> {
        let mut arrived = self.arrived.iter();
        arrived
            .find(|(_, arrived)| **arrived >= time)
            .map(|(number, _)| *number)
    }

    /// Nothing is said to be done that is not in the target, of all from the record `begun` on.
    pub(super) fn check(&mut self, services: &Services, begun: u64) -> Result<(), String> {
        for lease in services.leases.rows() {
            let Some(shard) = self.shards.get_mut(&lease.key) else {
                continue;
            };
            while let Some(one) = shard.records.get(shard.checked) {
                if !is_done(one, &lease) {
                    break;
                }
                if one.number >= begun && !services.target.has(one.number) {
                    return Err(format!(
                        "{} is said to be done to {}, and record {} of it, {}/{}, is not there",
                        lease.key, lease.checkpoint, one.number, one.sequence, one.sub
                    ));
                }
                shard.checked += 1;
            }
        }
        Ok(())
    }
}

fn is_done(one: &One, lease: &Lease) -> bool {
    match lease.checkpoint {
        LeasePosition::ShardEnd => true,
        LeasePosition::At { sequence, sub } => (one.sequence, one.sub) <= (sequence, sub),
        LeasePosition::TrimHorizon | LeasePosition::Latest | LeasePosition::AtTimestamp => false,
    }
}
