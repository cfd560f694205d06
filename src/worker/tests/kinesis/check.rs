//! What must hold in every world.

use std::collections::BTreeMap;

use super::world::Services;
use crate::source::kinesis::lease::{Lease, LeasePosition};

/// No record is in two spans.
pub(super) fn each_once(services: &Services) -> Result<(), String> {
    match services.target.repeated() {
        Some((number, count)) => Err(format!("record {number} is there {count} times")),
        None => Ok(()),
    }
}

/// Nothing is there that arrived before the time from which on the stream is read.
pub(super) fn none_before(services: &Services, begun: u64) -> Result<(), String> {
    match services.target.first() {
        Some(first) if first < begun => Err(format!(
            "record {first} is there, and reading begins at {begun}"
        )),
        _ => Ok(()),
    }
}

pub(super) fn has_plan(lease: &Lease) -> bool {
    lease.state().is_some_and(|state| !state.plan.is_empty())
}

/// Whether every checkpoint says that all is done.
pub(super) fn is_settled(services: &Services) -> bool {
    let (leases, open) = (services.leases.rows(), services.stream.open());
    let is_open = |lease: &Lease| open.iter().any(|shard| shard.id == lease.key);
    let mut shards = open.iter();
    leases
        .iter()
        .all(|lease| !has_plan(lease) && (lease.is_finished() || is_open(lease)))
        && shards.all(|shard| leases.iter().any(|lease| lease.key == shard.id))
}

/// What each lease says is done.
pub(super) fn checkpoints(services: &Services) -> BTreeMap<String, LeasePosition> {
    let leases = services.leases.rows().into_iter();
    leases.map(|lease| (lease.key, lease.checkpoint)).collect()
}

/// Whether it is settled of all shards where they begin: each has a lease, or comes from one that has, and no lease begins at the tip
/// of another time.
pub(super) fn has_begun(services: &Services) -> bool {
    let (leases, shards) = (services.leases.rows(), services.stream.all());
    let adrift = |lease: &Lease| {
        lease.checkpoint == LeasePosition::Latest
            && lease.state().is_none_or(|state| state.began.is_none())
    };
    let leased = |id: &String| leases.iter().any(|lease| lease.key == *id);
    let comes_from = |shard: &str| {
        let mut line = vec![shard.to_owned()];
        while let Some(id) = line.pop() {
            if leased(&id) {
                return true;
            }
            let found = shards.iter().find(|shard| shard.id == id);
            line.extend(found.into_iter().flat_map(|shard| shard.parents.clone()));
        }
        false
    };
    !leases.iter().any(adrift)
        && shards
            .iter()
            .filter(|shard| !shard.closed)
            .all(|shard| comes_from(&shard.id))
}

/// Whether some shard waits for one of its two parents.
pub(super) fn parent_lags(services: &Services) -> bool {
    let leases = services.leases.rows();
    let done = |id: &String| {
        leases
            .iter()
            .any(|lease| lease.key == *id && lease.is_finished())
    };
    let shards = services.stream.all();
    let mut merged = shards.iter().filter(|shard| shard.parents.len() == 2);
    merged.any(|shard| done(&shard.parents[0]) != done(&shard.parents[1]))
}

/// Nobody is said to be done before those who go on have leases, or are done themselves.
pub(super) fn leases(services: &Services) -> Result<(), String> {
    let (leases, shards) = (services.leases.rows(), services.stream.all());
    let leased = |id: &str| leases.iter().any(|lease| lease.key == id);
    let goes_on = |shard: &str| {
        let mut line = vec![shard];
        while let Some(id) = line.pop() {
            if leased(id) {
                return true;
            }
            let children = shards
                .iter()
                .filter(|shard| shard.parents.iter().any(|p| p == id));
            line.extend(children.map(|child| child.id.as_str()));
        }
        false
    };
    for lease in leases.iter().filter(|lease| lease.is_finished()) {
        let mut children = shards
            .iter()
            .filter(|shard| shard.parents.contains(&lease.key));
        if let Some(child) = children.find(|child| !goes_on(&child.id)) {
            return Err(format!(
                "{} is done, and its child {} has no lease",
                lease.key, child.id
            ));
        }
    }
    Ok(())
}

/// Nothing of a shard is written before its parents are done.
pub(super) fn spans(services: &Services) -> Result<(), String> {
    let (leases, shards) = (services.leases.rows(), services.stream.all());
    for span in services.target.spans() {
        let id = span.partition.id().to_string();
        let shard = shards.iter().find(|shard| shard.id == id);
        for parent in shard.into_iter().flat_map(|shard| &shard.parents) {
            if leases
                .iter()
                .any(|lease| lease.key == *parent && !lease.is_finished())
            {
                return Err(format!(
                    "{id} is written before its parent {parent} is done"
                ));
            }
        }
    }
    Ok(())
}
