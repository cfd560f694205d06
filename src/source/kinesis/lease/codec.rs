//! A lease as the attributes of a DynamoDB row, with the names and types KCL gives them.
//!
//! Reads what any KCL since 1.x has written: what is missing is taken for nothing. A row that says it is something else than a lease
//! is none of ours; one that should be a lease and has no readable counter or checkpoint is an error, since a guess would read records twice or
//! not at all.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::{HashRange, Lease, LeasePosition, Pending};

pub(super) const KEY: &str = "leaseKey";
pub(super) const OWNER: &str = "leaseOwner";
pub(super) const COUNTER: &str = "leaseCounter";
pub(super) const SWITCHES: &str = "ownerSwitchesSinceCheckpoint";
pub(super) const CHECKPOINT: &str = "checkpoint";
pub(super) const CHECKPOINT_SUB: &str = "checkpointSubSequenceNumber";
pub(super) const PENDING: &str = "pendingCheckpoint";
pub(super) const PENDING_SUB: &str = "pendingCheckpointSubSequenceNumber";
pub(super) const PENDING_STATE: &str = "pendingCheckpointState";
pub(super) const CHILDREN: &str = "childShardIds";
pub(super) const CHECKPOINT_OWNER: &str = "checkpointOwner";
const PARENTS: &str = "parentShardId";
const FIRST_HASH: &str = "startingHashKey";
const LAST_HASH: &str = "endingHashKey";
const KIND: &str = "entityType";
const KIND_OF_LEASE: &str = "LEASE";

pub(super) type Item = HashMap<String, AttributeValue>;

/// A row that should be a lease, and cannot be read as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attribute {attribute} is {what}")]
pub(super) struct Unreadable {
    attribute: &'static str,
    what: &'static str,
}

/// The key of a row, whatever it is.
pub(super) fn key_of(item: &Item) -> &str {
    text(item, KEY).unwrap_or("(no key)")
}

/// Reads a row. `None` if it says that it is no lease.
pub(super) fn read(item: &Item) -> Result<Option<Lease>, Unreadable> {
    if text(item, KIND).is_some_and(|kind| kind != KIND_OF_LEASE) {
        return Ok(None);
    }
    let missing = |attribute| Unreadable {
        attribute,
        what: "missing or of another type",
    };
    let key = text(item, KEY).ok_or(missing(KEY))?;
    let counter = number(item, COUNTER).ok_or(missing(COUNTER))?;
    let checkpoint =
        position(item, CHECKPOINT, CHECKPOINT_SUB)?.ok_or_else(|| missing(CHECKPOINT))?;
    Ok(Some(Lease {
        key: key.to_owned(),
        owner: text(item, OWNER).map(str::to_owned),
        counter,
        checkpoint,
        pending: pending(item)?,
        owner_switches: number(item, SWITCHES).unwrap_or(0),
        parents: texts(item, PARENTS),
        children: texts(item, CHILDREN),
        hash_range: hash_range(item),
        checkpoint_owner: text(item, CHECKPOINT_OWNER).map(str::to_owned),
    }))
}

/// A whole row, for a lease that is created.
pub(super) fn write(lease: &Lease) -> Item {
    let mut item = Item::from([
        (KEY.into(), AttributeValue::S(lease.key.clone())),
        (COUNTER.into(), whole(lease.counter)),
        (SWITCHES.into(), whole(lease.owner_switches)),
    ]);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    let [sequence, sub] = place(&lease.checkpoint);
    put(CHECKPOINT, sequence);
    put(CHECKPOINT_SUB, sub);
    if let Some(owner) = &lease.owner {
        put(OWNER, AttributeValue::S(owner.clone()));
    }
    if let Some(pending) = &lease.pending {
        let [sequence, sub] = place(&pending.position);
        put(PENDING, sequence);
        put(PENDING_SUB, sub);
        put(PENDING_STATE, bytes(&pending.state));
    }
    // A set cannot be empty.
    if !lease.parents.is_empty() {
        put(PARENTS, set(&lease.parents));
    }
    if !lease.children.is_empty() {
        put(CHILDREN, set(&lease.children));
    }
    if let Some(HashRange { start, end }) = lease.hash_range {
        put(FIRST_HASH, AttributeValue::S(start.to_string()));
        put(LAST_HASH, AttributeValue::S(end.to_string()));
    }
    item
}

/// A position as the two attributes it has.
pub(super) fn place(position: &LeasePosition) -> [AttributeValue; 2] {
    let (text, sub) = match position {
        LeasePosition::At { sequence, sub } => (sequence.to_string(), *sub),
        sentinel => (sentinel.to_string(), 0),
    };
    [AttributeValue::S(text), whole(sub)]
}

pub(super) fn bytes(state: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(state))
}

pub(super) fn whole(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn set(texts: &BTreeSet<String>) -> AttributeValue {
    AttributeValue::Ss(texts.iter().cloned().collect())
}

fn pending(item: &Item) -> Result<Option<Pending>, Unreadable> {
    let position = position(item, PENDING, PENDING_SUB)?;
    // A row that KCL creates with a prepared checkpoint has a number here, by a mistake of KCL's: no state of anybody.
    let state = match item.get(PENDING_STATE) {
        Some(AttributeValue::B(state)) => state.as_ref().to_vec(),
        _ => Vec::new(),
    };
    Ok(position.map(|position| Pending { position, state }))
}

/// A position, `None` if it is missing or empty.
fn position(
    item: &Item,
    attribute: &'static str,
    sub: &'static str,
) -> Result<Option<LeasePosition>, Unreadable> {
    let Some(text) = text(item, attribute).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(match text {
        "TRIM_HORIZON" => LeasePosition::TrimHorizon,
        "LATEST" => LeasePosition::Latest,
        "AT_TIMESTAMP" => LeasePosition::AtTimestamp,
        "SHARD_END" => LeasePosition::ShardEnd,
        decimal => LeasePosition::At {
            sequence: decimal.parse().map_err(|_| Unreadable {
                attribute,
                what: "no sequence number",
            })?,
            sub: match item.contains_key(sub) {
                true => number(item, sub).ok_or(Unreadable {
                    attribute: sub,
                    what: "no whole number",
                })?,
                false => 0,
            },
        },
    }))
}

fn hash_range(item: &Item) -> Option<HashRange> {
    let bound = |attribute| text(item, attribute)?.parse().ok();
    Some(HashRange {
        start: bound(FIRST_HASH)?,
        end: bound(LAST_HASH)?,
    })
}

fn text<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.as_s().ok().map(String::as_str)
}

fn number(item: &Item, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

fn texts(item: &Item, attribute: &str) -> BTreeSet<String> {
    let found = item.get(attribute).and_then(|value| value.as_ss().ok());
    found.into_iter().flatten().cloned().collect()
}

#[cfg(test)]
#[path = "codec/tests.rs"]
mod tests;
