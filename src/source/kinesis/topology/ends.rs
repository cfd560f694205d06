//! What must stand in the lease table before a shard is said to be done: the leases of who goes on.

use std::collections::{BTreeSet, HashSet};

use super::by_key;
use crate::source::kinesis::lease::{Lease, LeasePosition};
use crate::source::kinesis::stream::{Child, Shard};

/// What to do at the end of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Make these leases, then write the children down in the shard's own, then `SHARD_END`.
    Finish {
        /// Leases of children that have none.
        create: Vec<Lease>,
        /// All its children. None if the shard is gone from the stream, and so are they.
        children: BTreeSet<String>,
    },
    /// Keep the lease as it is, and ask again: why.
    Wait(String),
}

/// What to do at the end of the shard, whose lease is held. `told` are its children, if its end has told any, and `listed` is all that the stream
/// keeps something of. `leases` has at least those of the children, of their parents and of whatever is listed that comes from the children.
pub fn at_end(shard: &str, told: &[Child], leases: &[Lease], listed: &[Shard]) -> Ending {
    let wait = |why: String| Ending::Wait(format!("{shard} is read to its end, but {why}"));
    let looked_up;
    let children = if told.is_empty() {
        looked_up = children_of(shard, listed);
        if looked_up.is_empty() && listed.iter().any(|listed| listed.id == shard) {
            return wait("the list of shards has no child of it".into());
        }
        &looked_up
    } else {
        told
    };
    for child in children {
        if let Err(why) = check(shard, child, children.len(), leases, listed) {
            return wait(why);
        }
    }
    let known = by_key(leases);
    let unread = children.iter().filter(|child| {
        let id = child.id.as_str();
        !known.contains_key(id) && !is_passed(id, listed, |id| known.contains_key(id))
    });
    Ending::Finish {
        create: unread.map(lease).collect(),
        children: children.iter().map(|child| child.id.clone()).collect(),
    }
}

/// Whether a child's lease is there or may be made.
fn check(
    shard: &str,
    child: &Child,
    siblings: usize,
    leases: &[Lease],
    listed: &[Shard],
) -> Result<(), String> {
    let id = &child.id;
    if !child.parents.iter().any(|parent| parent == shard) {
        return Err(format!(
            "its child {id} is said to be of {:?}",
            child.parents
        ));
    }
    let leased = |key: &str| leases.iter().any(|lease| lease.key == key);
    let others = child.parents.iter().filter(|parent| *parent != shard);
    let others: Vec<_> = others.collect();
    let other = match (&others[..], siblings) {
        ([], 1) => {
            return Err(format!(
                "its only child {id} is said to have no other parent"
            ));
        }
        ([], _) => return Ok(()),
        ([other], _) => other,
        _ => {
            return Err(format!(
                "its child {id} is said to be of {:?}",
                child.parents
            ));
        }
    };
    // Without the other's lease, who reads the other is not there yet: the child would not wait for it.
    let gone = listed.iter().all(|shard| shard.id != **other);
    if leased(id) || leased(other) || gone || is_passed(id, listed, leased) {
        return Ok(());
    }
    Err(format!(
        "{other}, with which it was merged to {id}, has no lease yet"
    ))
}

/// Whether a shard that comes from this one has a lease: then this one was read and its lease deleted, or reading was begun behind it. Who makes a
/// lease for it would have it read a second time, or too late.
fn is_passed(of: &str, listed: &[Shard], leased: impl Fn(&str) -> bool) -> bool {
    let mut line = HashSet::from([of]);
    let mut ancestors = vec![of];
    while let Some(ancestor) = ancestors.pop() {
        let is_child = |shard: &&Shard| shard.parents.iter().any(|parent| parent == ancestor);
        for child in listed.iter().filter(is_child) {
            if leased(&child.id) {
                return true;
            }
            if line.insert(&child.id) {
                ancestors.push(&child.id);
            }
        }
    }
    false
}

/// The children of a shard, which may be forgotten itself, by what the shards there are say of their parents.
pub fn children_of(shard: &str, listed: &[Shard]) -> Vec<Child> {
    let children = listed
        .iter()
        .filter(|other| other.parents.iter().any(|parent| parent == shard));
    let child = |child: &Shard| Child {
        id: child.id.clone(),
        parents: child.parents.clone(),
        hash_range: child.hash_range,
    };
    children.map(child).collect()
}

/// The lease of a child: from its first record on.
fn lease(child: &Child) -> Lease {
    Lease {
        parents: child.parents.iter().cloned().collect(),
        hash_range: Some(child.hash_range),
        ..Lease::new(child.id.as_str(), LeasePosition::TrimHorizon)
    }
}
