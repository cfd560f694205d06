//! Events on disk, by key: a log-structured store below the configured directory, in little memory.
//!
//! What is too old is taken away when the store merges its files; until then it is there and counts for nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fjall::compaction::Leveled;
use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};
use fjall::config::{PartitioningPolicy, PinningPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::{DuplicatesError, EventStore, Key, REMEMBERED_MS, Seen};
use crate::record::{Partition, PartitionId};

/// The store's own directory, beside whatever the original has left in the configured one.
const NAME: &str = "alluvium-events";
/// The journal of what is in no file yet, on disk: the least that the library takes.
const JOURNAL_BYTES: u64 = 64 << 20;
/// One brings full buffers to files while the other merges files: with one alone, a buffer grows for as long as a merge lasts.
const THREADS: usize = 2;
/// Events in memory before they go to a file, and how large merged files are. The library keeps both for as long as the store is
/// there, so they are the same whatever the memory.
const BUFFER_BYTES: u64 = 1 << 20;
const FILE_BYTES: u64 = 8 << 20;
/// What is taken besides the blocks that are kept in memory: up to five buffers before writers wait, each two or three times as large as what
/// is in it, and what is known of files while they are merged.
const BESIDES_BYTES: u64 = 8 << 20;
const MIN_CACHE_BYTES: u64 = 1 << 20;
/// As measured, blocks take twice as much as the cache says that it holds.
const CACHE_COSTS: u64 = 2;
/// Events of one write.
const BATCH: usize = 1024;
/// Beyond the time for which they count, events are kept for spans that are read again long after they were opened.
const MARGIN_MS: i64 = 7 * 24 * 60 * 60 * 1000;

pub(super) struct Store {
    database: Database,
    events: Keyspace,
    newest_ms: Arc<AtomicI64>,
}

impl Store {
    /// Opens what is in `directory`, in about so much memory.
    pub(super) fn open(directory: &Path, memory: u64) -> Result<Self, DuplicatesError> {
        let newest_ms = Arc::new(AtomicI64::new(i64::MIN));
        let old = Arc::new(Old(newest_ms.clone()));
        let cache = memory.saturating_sub(BESIDES_BYTES) / CACHE_COSTS;
        let opened = Database::builder(directory.join(NAME))
            .cache_size(cache.max(MIN_CACHE_BYTES))
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(THREADS)
            .with_compaction_filter_factories(Arc::new(move |_| Some(old.clone())))
            .open();
        let made = opened.and_then(|database| {
            let events = database.keyspace("events", options)?;
            Ok((database, events))
        });
        let (database, events) = made.map_err(|error| DuplicatesError::Misconfigured {
            directory: directory.display().to_string(),
            reason: match error {
                fjall::Error::Locked => "another process uses it".into(),
                error => error.to_string(),
            },
        })?;
        Ok(Self {
            database,
            events,
            newest_ms,
        })
    }

    /// Merges all files, and counts what is left.
    #[cfg(test)]
    pub(super) fn merged(&self) -> usize {
        self.events.rotate_memtable_and_wait().unwrap();
        self.events.major_compact().unwrap();
        self.events.len().unwrap()
    }
}

impl EventStore for Store {
    fn get(&self, key: &Key) -> Result<Option<Seen>, DuplicatesError> {
        let found = self.events.get(key.0).map_err(unavailable)?;
        // What cannot be read is of no use to anybody.
        Ok(found.and_then(|value| read(&value)))
    }

    fn put(
        &self,
        opened_ms: i64,
        events: &mut dyn Iterator<Item = (Key, Seen)>,
    ) -> Result<(), DuplicatesError> {
        self.newest_ms.fetch_max(opened_ms, Ordering::Relaxed);
        let mut batch = self.database.batch();
        for (key, seen) in events {
            batch.insert(&self.events, key.0, written(&seen));
            if batch.len() >= BATCH {
                let full = std::mem::replace(&mut batch, self.database.batch());
                full.commit().map_err(unavailable)?;
            }
        }
        batch.commit().map_err(unavailable)
    }

    fn blocks(&self) -> bool {
        true
    }
}

/// Nothing that grows with the store stays in memory but what the cache has room for.
fn options() -> KeyspaceCreateOptions {
    let merging = Leveled::default().with_table_target_size(FILE_BYTES);
    KeyspaceCreateOptions::default()
        .max_memtable_size(BUFFER_BYTES)
        .compaction_strategy(Arc::new(merging))
        .filter_block_pinning_policy(PinningPolicy::all(false))
        .index_block_pinning_policy(PinningPolicy::all(false))
        .filter_block_partitioning_policy(PartitioningPolicy::all(true))
        .index_block_partitioning_policy(PartitioningPolicy::all(true))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: fjall::Error) -> DuplicatesError {
    DuplicatesError::Unavailable(error.to_string())
}

fn written(seen: &Seen) -> Vec<u8> {
    let shard =
        matches!(seen.partition.id(), PartitionId::Shard(_)).then(|| seen.partition.to_string());
    let name = shard
        .as_deref()
        .unwrap_or(seen.partition.topic())
        .as_bytes();
    let mut value = Vec::with_capacity(20 + name.len());
    value.extend_from_slice(&seen.opened_ms.to_be_bytes());
    value.extend_from_slice(&seen.stamp.to_be_bytes());
    value.extend_from_slice(&seen.partition.number().to_be_bytes());
    value.extend_from_slice(name);
    value
}

fn read(value: &[u8]) -> Option<Seen> {
    let (opened_ms, rest) = value.split_first_chunk()?;
    let (stamp, rest) = rest.split_first_chunk()?;
    let (number, name) = rest.split_first_chunk()?;
    let name = std::str::from_utf8(name).ok()?;
    let number = i32::from_be_bytes(*number);
    Some(Seen {
        partition: match number {
            // The whole name of a shard.
            -1 => name.parse().ok()?,
            number => Partition::new(name, number),
        },
        stamp: u64::from_be_bytes(*stamp),
        opened_ms: i64::from_be_bytes(*opened_ms),
    })
}

/// Takes away what is too old, against the newest span there was.
struct Old(Arc<AtomicI64>);

impl Factory for Old {
    fn name(&self) -> &str {
        "old events"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        let newest = self.0.load(Ordering::Relaxed);
        Box::new(Before(newest.saturating_sub(REMEMBERED_MS + MARGIN_MS)))
    }
}

struct Before(i64);

impl CompactionFilter for Before {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let value = item.value()?;
        let opened_ms = value.first_chunk().map(|bytes| i64::from_be_bytes(*bytes));
        Ok(match opened_ms {
            Some(opened_ms) if opened_ms >= self.0 => Verdict::Keep,
            _ => Verdict::Remove,
        })
    }
}
