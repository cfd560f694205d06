mod decisions;
mod world;

use std::collections::BTreeSet;

use super::*;
use crate::source::kinesis::lease::HashRange;

/// A shard by its number. The numbers are in the order in which shards were made.
fn shard(number: u64, parents: &[u64], range: (u128, u128), closed: bool) -> Shard {
    let first = format!("{}", 100 + number).parse().unwrap();
    Shard {
        id: id(number),
        parents: parents.iter().copied().map(id).collect(),
        hash_range: HashRange {
            start: range.0,
            end: range.1,
        },
        closed,
        first,
        last: closed.then_some(first),
    }
}

fn id(number: u64) -> String {
    format!("shardId-{number:012}")
}

fn ids(numbers: &[u64]) -> BTreeSet<String> {
    numbers.iter().copied().map(id).collect()
}
