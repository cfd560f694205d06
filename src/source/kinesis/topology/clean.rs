//! Which finished leases nobody needs any more, and what is missing behind those that are still needed.

use std::collections::BTreeSet;

use super::{Ending, at_end, by_id, by_key, children_of};
use crate::source::kinesis::lease::{Lease, LeasePosition};
use crate::source::kinesis::stream::Shard;

/// The finished leases that may be deleted.
///
/// One whose children are known may go when each of them was begun, so that nobody waits for it any more, and the leases of its own parents
/// are gone: a line goes from its oldest on. One whose shard is gone from the stream may, when all children that are listed have leases.
pub fn deletable<'a>(leases: &'a [Lease], listed: Option<&[Shard]>) -> Vec<&'a Lease> {
    let known = by_key(leases);
    let shards = listed.filter(|listed| !listed.is_empty());
    let ids = shards.map(by_id);
    let finished = leases.iter().filter(|lease| lease.is_finished());
    let done = finished.filter(|lease| {
        let begun = |child: &String| {
            let child = known.get(child.as_str());
            child.is_some_and(|child| is_begun(child.checkpoint))
        };
        let oldest = lease
            .parents
            .iter()
            .all(|parent| !known.contains_key(parent.as_str()));
        if !lease.children.is_empty() && lease.children.iter().all(begun) && oldest {
            return true;
        }
        let (Some(shards), Some(ids)) = (shards, &ids) else {
            return false;
        };
        let mut children = children_of(&lease.key, shards).into_iter();
        !ids.contains_key(lease.key.as_str())
            && children.all(|child| known.contains_key(child.id.as_str()))
    });
    done.collect()
}

/// Whether something of the shard was read, or nothing of it is to be that was there before.
fn is_begun(checkpoint: LeasePosition) -> bool {
    !matches!(
        checkpoint,
        LeasePosition::TrimHorizon | LeasePosition::AtTimestamp
    )
}

/// A finished lease that was left without its children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished<'a> {
    /// The lease.
    pub lease: &'a Lease,
    /// The children that are listed, of which it names none.
    pub children: BTreeSet<String>,
    /// Leases of those that have none.
    pub create: Vec<Lease>,
}

/// The finished leases that do not name their children, though the shards that are listed do: whoever finished them was not told.
pub fn untold<'a>(leases: &'a [Lease], listed: &[Shard]) -> Vec<Unfinished<'a>> {
    let finished = leases
        .iter()
        .filter(|lease| lease.is_finished() && lease.children.is_empty());
    let untold = finished.filter_map(|lease| {
        let ending = at_end(&lease.key, &[], leases, listed);
        let Ending::Finish { create, children } = ending else {
            return None;
        };
        (!children.is_empty()).then_some(Unfinished {
            lease,
            children,
            create,
        })
    });
    untold.collect()
}
