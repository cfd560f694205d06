//! A stream and its lease table seen from outside.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::aggregate::{Unpacked, Unpacker};
use super::lease::{Claim, HashRange, Lease, LeaseError, LeasePosition, LeaseStore};
use super::stored;
use super::stream::{Filter, From, RawRecord, Shard, Stream, StreamError};
use crate::record::{Partition, PartitionId, Position, Span};
use crate::source::{Checkpoint, SourceError, Survey};

/// Who writes in a lease from outside.
const OUTSIDER: &str = "alluvium-recover";
/// Records asked for at once where a hole is looked through, and the answers without one that end that.
const RECORDS: u32 = 1000;
const EMPTY: usize = 20;
/// Between two of them: five a second are allowed for all readers of a shard.
const PAUSE: Duration = Duration::from_millis(400);

/// A stream, and the table of its leases.
#[derive(Clone, Debug)]
pub struct KinesisSurvey {
    /// The stream.
    pub stream: Arc<dyn Stream>,
    /// The table.
    pub leases: Arc<dyn LeaseStore>,
    /// After so long without a sign of life a lease has no owner.
    pub failover: Duration,
}

impl KinesisSurvey {
    fn partition(&self, shard: &str) -> Option<Partition> {
        match shard.parse() {
            Ok(id @ PartitionId::Shard(_)) => Some(Partition::of(self.stream.name(), id)),
            _ => None,
        }
    }

    /// Whether the lease has stood still for as long as one that nobody reads does.
    async fn is_free(&self, seen: &Lease) -> Result<bool, LeaseError> {
        if seen.owner.is_none() {
            return Ok(true);
        }
        tokio::time::sleep(self.failover).await;
        let now = self.leases.get(&seen.key).await?;
        Ok(now.is_some_and(|now| now.counter == seen.counter))
    }

    async fn store_one(
        &self,
        partition: &Partition,
        checkpoint: &Checkpoint,
    ) -> Result<(), SourceError> {
        let key = partition.id().to_string();
        let refused = || {
            SourceError::Unavailable(format!(
                "{partition}: its lease is held by a worker that is alive: stop all copies; one that was killed counts as alive \
                 until kinesis.failover-time has passed"
            ))
        };
        let of_lease = |error| match error {
            LeaseError::Refused => refused(),
            error => of_table(&error),
        };
        let seen = self.leases.get(&key).await.map_err(of_lease)?;
        let seen = seen.ok_or_else(|| {
            SourceError::Unavailable(format!("{partition}: there is no lease of it"))
        })?;
        if !self.is_free(&seen).await.map_err(of_lease)? {
            return Err(refused());
        }
        let taken = self.leases.take(&seen, OUTSIDER).await.map_err(of_lease)?;
        let mut claim = Claim {
            key,
            owner: OUTSIDER.into(),
            counter: taken.counter,
        };
        let began = stored::begun(&taken).began;
        let write = stored::write(checkpoint, began);
        self.leases
            .checkpoint(&claim, &write)
            .await
            .map_err(of_lease)?;
        claim.counter += 1;
        self.leases.evict(&claim).await.map_err(of_lease)
    }
}

#[async_trait]
impl Survey for KinesisSurvey {
    async fn partitions(&self) -> Result<Vec<Partition>, SourceError> {
        let shards = self.stream.list_shards(&Filter::All).await;
        let shards = shards.map_err(|error| of_stream(&error))?;
        let listing = self.leases.scan().await.map_err(|error| of_table(&error))?;
        let leased = listing.leases.into_iter().map(|lease| lease.key);
        let all: BTreeSet<String> = leased
            .chain(shards.into_iter().map(|shard| shard.id))
            .collect();
        Ok(all
            .iter()
            .filter_map(|shard| self.partition(shard))
            .collect())
    }

    async fn checkpoints(
        &self,
        partitions: &[Partition],
    ) -> Result<HashMap<Partition, Checkpoint>, SourceError> {
        let listing = self.leases.scan().await.map_err(|error| of_table(&error))?;
        let shards = self.stream.list_shards(&Filter::All).await;
        let shards = shards.map_err(|error| of_stream(&error))?;
        let mut found = HashMap::new();
        for shard in done_and_forgotten(&shards, &listing.leases) {
            let wanted = self.partition(shard);
            if let Some(partition) = wanted.filter(|partition| partitions.contains(partition)) {
                let checkpoint = Checkpoint {
                    position: Position::END,
                    reach: None,
                    note: String::new(),
                };
                found.insert(partition, checkpoint);
            }
        }
        for lease in listing.leases {
            let wanted = self.partition(&lease.key);
            let Some(partition) = wanted.filter(|partition| partitions.contains(partition)) else {
                continue;
            };
            let begun = stored::begun(&lease);
            let position = match lease.checkpoint {
                LeasePosition::ShardEnd => Position::END,
                LeasePosition::At { .. } => begun.position,
                _ if begun.note.is_empty() => continue,
                _ => begun.position,
            };
            let checkpoint = Checkpoint {
                position,
                reach: None,
                note: begun.note,
            };
            found.insert(partition, checkpoint);
        }
        Ok(found)
    }

    /// A shard does not say it.
    async fn oldest(&self, _: &[Partition]) -> Result<HashMap<Partition, Position>, SourceError> {
        Ok(HashMap::new())
    }

    /// Nor this, unless it is closed: then it ends where it ends, and not where nothing more is there for a moment.
    async fn ends(
        &self,
        partitions: &[Partition],
    ) -> Result<HashMap<Partition, Option<Position>>, SourceError> {
        let shards = self.stream.list_shards(&Filter::All).await;
        let shards = shards.map_err(|error| of_stream(&error))?;
        let closed = shards.iter().filter(|shard| shard.closed);
        let closed: BTreeSet<&str> = closed.map(|shard| shard.id.as_str()).collect();
        let end = |partition: &Partition| {
            let closed = closed.contains(partition.id().to_string().as_str());
            (partition.clone(), closed.then_some(Position::END))
        };
        Ok(partitions.iter().map(end).collect())
    }

    async fn is_gap(&self, span: &Span) -> Result<bool, SourceError> {
        // What ends behind a record holds that record, whether the stream still retains it or not.
        if span.to != Position::END && span.to.sequence().is_some_and(|(_, sub)| sub > 0) {
            return Ok(false);
        }
        let shard = span.partition.id().to_string();
        let begin = match span.from.sequence() {
            Some((sequence, sub)) if sub > 0 => From::At(sequence),
            _ => From::TrimHorizon,
        };
        let of = |error: StreamError| of_stream(&error);
        let mut iterator = Some(self.stream.iterator(&shard, begin).await.map_err(of)?);
        let mut empty = 0;
        while let Some(at) = iterator {
            let answer = self.stream.records(&at, RECORDS).await.map_err(of)?;
            let next = answer
                .records
                .iter()
                .filter_map(|record| first_from(record, span.from));
            if let Some(next) = next.min() {
                return Ok(next >= span.to);
            }
            empty = if answer.records.is_empty() {
                empty + 1
            } else {
                0
            };
            if empty == EMPTY || (answer.records.is_empty() && answer.behind_ms == Some(0)) {
                break;
            }
            iterator = answer.next;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(true)
    }

    async fn store(&self, checkpoints: &[(Partition, Checkpoint)]) -> Result<(), SourceError> {
        for (partition, checkpoint) in checkpoints {
            self.store_one(partition, checkpoint).await?;
        }
        Ok(())
    }
}

/// The shards that were read to their end and whose leases were deleted since: those without one whose children have, or had, theirs. A shard that
/// was older than where reading began is among them; nothing of it was ever to be read.
pub fn done_and_forgotten<'a>(shards: &'a [Shard], leases: &[Lease]) -> BTreeSet<&'a str> {
    let leased: BTreeSet<&str> = leases.iter().map(|lease| lease.key.as_str()).collect();
    let mut done = BTreeSet::new();
    loop {
        let known = |id: &str| leased.contains(id) || done.contains(id);
        let of_known = shards.iter().filter(|shard| known(&shard.id));
        let parents: BTreeSet<&String> = of_known.flat_map(|shard| &shard.parents).collect();
        let more = shards
            .iter()
            .filter(|shard| parents.contains(&shard.id) && !known(&shard.id));
        let more: Vec<&str> = more.map(|shard| shard.id.as_str()).collect();
        if more.is_empty() {
            return done;
        }
        done.extend(more);
    }
}

/// The first user record of a record that is not before `from`. Those of a foreign aggregate are nowhere, but who looks from outside
/// cannot tell: that counts as nothing, as for readers.
fn first_from(record: &RawRecord, from: Position) -> Option<Position> {
    let at = |sub| Position::in_shard(record.sequence, sub);
    match Unpacker::default().unpack(&record.data, HashRange::ALL) {
        Unpacked::Plain | Unpacked::Foreign => Some(at(0)).filter(|at| *at >= from),
        Unpacked::Aggregate(mut users) => {
            let found = users.find(|user| at(user.sub_sequence) >= from);
            found.map(|user| at(user.sub_sequence))
        }
    }
}

/// What a failure of the stream is to who only looks.
pub fn of_stream(error: &StreamError) -> SourceError {
    match error {
        StreamError::Misconfigured(_) | StreamError::NotFound(_) => {
            SourceError::Misconfigured(error.to_string())
        }
        _ => SourceError::Unavailable(error.to_string()),
    }
}

/// The same for the lease table.
pub fn of_table(error: &LeaseError) -> SourceError {
    match error {
        LeaseError::Misconfigured(_) => SourceError::Misconfigured(error.to_string()),
        LeaseError::Refused | LeaseError::Unavailable(_) => {
            SourceError::Unavailable(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str]) -> Shard {
        Shard {
            id: id.into(),
            parents: parents.iter().map(|parent| (*parent).into()).collect(),
            hash_range: HashRange::ALL,
            closed: true,
            first: crate::record::Sequence::ZERO,
            last: None,
        }
    }

    #[test]
    fn a_shard_whose_lease_was_deleted_was_read_to_its_end() {
        let shards = [
            shard("a", &[]),
            shard("b", &["a"]),
            shard("c", &["b"]),
            shard("d", &["b"]),
            shard("x", &[]),
        ];
        let leases = |keys: &[&str]| -> Vec<Lease> {
            let lease = |key: &&str| Lease::new(*key, LeasePosition::TrimHorizon);
            keys.iter().map(lease).collect()
        };
        let done = |keys: &[&str]| -> Vec<String> {
            let leases = leases(keys);
            let done = done_and_forgotten(&shards, &leases);
            done.into_iter().map(str::to_owned).collect()
        };
        assert_eq!(done(&["c", "d"]), ["a", "b"]);
        assert_eq!(done(&["b", "c"]), ["a"]);
        assert!(done(&["a"]).is_empty());
        assert!(done(&[]).is_empty());
    }
}
