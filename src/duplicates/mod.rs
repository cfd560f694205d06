//! Which events were there before: those of equal project, collection, time and user.
//!
//! Owns what is remembered of events, on the disk of this machine, and the rule by which a record repeats one. It must never
//! take a record for a repeat of one that does not come to be in the target. So an event counts only
//!
//! 1. in the same span: both come to be durable, or neither;
//! 2. in another span that this process is bringing to the target for the first time: whoever has to finish that one instead reads
//!    the record again and, since it is remembered nowhere, keeps it;
//! 3. in the store, where it comes when its span has become durable, with its coordinates: a record that is read again
//!    does not repeat itself.
//!
//! Spans that are read again under a plan are judged by the first and the third, and add nothing to the second and the third:
//! what stands in the target of them may have been judged by another process, which had seen other records.
//! How old an event is, is told by the times at which spans were opened, which plans keep, and by no clock.

mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::{HashMap, HashSet};
use sha2::{Digest, Sha256};

use self::store::Store;
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Partition, Position};

/// How long an event is remembered: the original's time, 30.4 days.
pub const REMEMBERED_MS: i64 = 2_629_746 * 1000;
/// Workers that look at different keys seldom wait for each other.
const SHARDS: usize = 64;

/// Why the store does not serve, named by what the caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum DuplicatesError {
    /// A person must see to the directory before the program can start.
    #[error("committer.duplicate-handler-rocksdb-directory: cannot open {directory}: {reason}")]
    Misconfigured {
        /// The directory.
        directory: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A disk that fails or is full: try again.
    #[error("the store of committer.duplicate-handler-rocksdb-directory fails: {0}")]
    Unavailable(String),
}

/// An event, as far as repeats are concerned. Those of one time are neighbours in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 24]);

impl Key {
    /// The key of an event: its table, its time in milliseconds, and its user as text.
    pub fn of(project: &str, collection: &str, time: i64, user: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [project, collection] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(user);
        let mut key = [0; 24];
        // Times before the epoch come first.
        let time = time.cast_unsigned() ^ (1 << 63);
        let bytes = time.to_be_bytes().into_iter().chain(hash.finalize());
        key.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        Self(key)
    }
}

/// Where an event was taken, and when the span was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    partition: Partition,
    stamp: u64,
    opened_ms: i64,
}

/// Where the events of durable spans are kept.
pub(crate) trait EventStore: Send + Sync {
    /// Where the event was taken, if it is known. May read the disk.
    fn get(&self, key: &Key) -> Result<Option<Seen>, DuplicatesError>;

    /// Keeps events of a span opened at `opened_ms`. After a failure, some of them may be kept.
    fn put(
        &self,
        opened_ms: i64,
        events: &mut dyn Iterator<Item = (Key, Seen)>,
    ) -> Result<(), DuplicatesError>;

    /// Whether to keep events takes so long that it must not be done on the async runtime.
    fn blocks(&self) -> bool;
}

/// What this process remembers. Shared by all workers.
pub struct Duplicates {
    store: Box<dyn EventStore>,
    /// Events of spans that are on their way for the first time.
    under_way: Vec<Mutex<HashSet<Key>>>,
}

impl fmt::Debug for Duplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duplicates").finish_non_exhaustive()
    }
}

impl Duplicates {
    /// Opens what `directory` remembers, or begins anew. The store keeps to about `memory` bytes. Blocks.
    ///
    /// # Errors
    /// [`DuplicatesError::Misconfigured`] if it cannot be used, or another process uses it.
    pub fn open(directory: &Path, memory: u64) -> Result<Arc<Self>, DuplicatesError> {
        Ok(Self::kept_in(Store::open(directory, memory)?))
    }

    /// What `store` remembers.
    pub(crate) fn kept_in(store: impl EventStore + 'static) -> Arc<Self> {
        Arc::new(Self {
            store: Box::new(store),
            under_way: (0..SHARDS).map(|_| Mutex::default()).collect(),
        })
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, HashSet<Key>> {
        // The last byte of a hash.
        let shard = &self.under_way[usize::from(key.0[23]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of one span. Dropped before they are [remembered](Gathering::remember), they are forgotten.
#[derive(Debug)]
pub struct Gathering {
    duplicates: Arc<Duplicates>,
    partition: Partition,
    opened_ms: i64,
    /// Whether no plan holds the span yet.
    first_time: bool,
    events: HashMap<Key, u64>,
}

impl Gathering {
    /// A span of `partition`, opened at `opened_ms`; not `first_time` if a plan says where it ends.
    pub fn new(
        duplicates: Arc<Duplicates>,
        partition: Partition,
        opened_ms: i64,
        first_time: bool,
    ) -> Self {
        #[cfg(test)]
        let first_time = first_time || mutation::on(Mutation::AgainCountsForOthers);
        Self {
            duplicates,
            partition,
            opened_ms,
            first_time,
            events: HashMap::new(),
        }
    }

    /// Whether the record at `position` repeats an event; if not, its event is one of the span from now on. May read the disk.
    ///
    /// # Errors
    /// [`DuplicatesError::Unavailable`] if that cannot be told.
    pub fn repeats(&mut self, key: Key, position: Position) -> Result<bool, DuplicatesError> {
        if self.events.contains_key(&key) {
            return Ok(true);
        }
        // Before the store is asked: of two workers with one event, one finds the other's here, or in the store.
        if self.first_time && !self.duplicates.shard(&key).insert(key) {
            return Ok(true);
        }
        let repeats = self.is_stored(&key, position);
        if matches!(repeats, Ok(false)) {
            self.events.insert(key, position.stamp());
            #[cfg(test)]
            if mutation::on(Mutation::RememberedEarly) || mutation::on(Mutation::RepeatsItself) {
                let mut event = std::iter::once((key, self.seen(position.stamp())));
                self.duplicates.store.put(self.opened_ms, &mut event)?;
            }
        } else {
            self.release(&key);
        }
        repeats
    }

    fn is_stored(&self, key: &Key, position: Position) -> Result<bool, DuplicatesError> {
        let stored = self.duplicates.store.get(key)?;
        Ok(stored.is_some_and(|seen| {
            let itself = seen.stamp == position.stamp() && seen.partition == self.partition;
            #[cfg(test)]
            let itself = itself && !mutation::on(Mutation::RepeatsItself);
            let apart = seen.opened_ms.abs_diff(self.opened_ms);
            !itself && apart <= REMEMBERED_MS.unsigned_abs()
        }))
    }

    fn release(&self, key: &Key) {
        #[cfg(test)]
        if mutation::on(Mutation::UnderWayForEver) {
            return;
        }
        if self.first_time {
            self.duplicates.shard(key).remove(key);
        }
    }

    fn seen(&self, stamp: u64) -> Seen {
        Seen {
            partition: self.partition.clone(),
            stamp,
            opened_ms: self.opened_ms,
        }
    }

    /// Bytes of memory in use.
    pub fn memory(&self) -> usize {
        let event = size_of::<(Key, i64)>() + 1;
        let under_way = if self.first_time {
            size_of::<Key>() * 2
        } else {
            0
        };
        self.events.capacity() * event + self.events.len() * under_way
    }

    /// The span is durable: its events are stored. Blocks.
    ///
    /// # Errors
    /// [`DuplicatesError::Unavailable`] if they are not: repeats of them will not be known as such.
    pub fn remember(&self) -> Result<(), DuplicatesError> {
        if !self.first_time {
            return Ok(());
        }
        let events = self.events.iter();
        let mut events = events.map(|(key, stamp)| (*key, self.seen(*stamp)));
        self.duplicates.store.put(self.opened_ms, &mut events)
    }

    /// As [`remember`](Gathering::remember), where the async runtime does not wait for it.
    ///
    /// # Errors
    /// As there.
    pub async fn remember_aside(self) -> Result<(), DuplicatesError> {
        if !self.duplicates.store.blocks() {
            return self.remember();
        }
        let remembered = tokio::task::spawn_blocking(move || self.remember()).await;
        remembered.unwrap_or_else(|error| Err(DuplicatesError::Unavailable(error.to_string())))
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        for key in self.events.keys() {
            self.release(key);
        }
    }
}
