//! A Kinesis stream as its readers see it: shards, iterators, records, subscriptions.
//!
//! Owns the nouns, the trait [`Stream`], the service behind it ([`aws`]) and the reading of shards ([`shard`]). It refuses to know who has
//! the lease of a shard, what records mean, and where to begin: it is told.

pub mod aws;
mod failure;
mod line;
#[cfg(test)]
pub(crate) mod memory;
pub mod shard;

use std::fmt::Debug;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use super::lease::HashRange;
use crate::record::Sequence;

/// A shard of the stream, open or closed, as long as the stream keeps something of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Such as `shardId-000000000012`.
    pub id: String,
    /// What it was made from: nothing, one shard by a split, or two by a merge. They may be forgotten already.
    pub parents: Vec<String>,
    /// The keys that come here.
    pub hash_range: HashRange,
    /// Whether nothing is written to it any more.
    pub closed: bool,
    /// Where its numbers begin.
    pub first: Sequence,
    /// Where they end, if it is closed.
    pub last: Option<Sequence>,
}

/// A shard that goes on where another has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its id.
    pub id: String,
    /// What it was made from, the ended one among them.
    pub parents: Vec<String>,
    /// The keys that come to it.
    pub hash_range: HashRange,
}

/// Which shards are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All that the stream keeps something of.
    All,
    /// The open ones.
    AtLatest,
    /// Those that were open at the oldest moment that is retained.
    AtTrimHorizon,
    /// Those that were open then.
    AtTimestamp(SystemTime),
}

/// Where reading begins in a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the oldest record that is retained.
    TrimHorizon,
    /// With the first record written from now on.
    Latest,
    /// With the first record that arrived then or later.
    AtTimestamp(SystemTime),
    /// With the first record that has this number or a greater one.
    At(Sequence),
}

/// A record as the stream has it; several of a producer's may be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Its number in the shard.
    pub sequence: Sequence,
    /// When it came to the stream, in milliseconds since the epoch.
    pub arrival_ms: Option<i64>,
    /// What decided about its shard.
    pub partition_key: String,
    /// Its payload.
    pub data: Bytes,
}

impl RawRecord {
    /// Bytes as the service counts them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }
}

/// What an iterator gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Records in order; may be none although more follow.
    pub records: Vec<RawRecord>,
    /// The iterator behind them; `None` at the end of a closed shard.
    pub next: Option<String>,
    /// How old what comes next is; 0 at the tip.
    pub behind_ms: Option<u64>,
    /// At the end: who goes on.
    pub children: Vec<Child>,
}

/// What a subscription gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Records in order; may be none.
    pub records: Vec<RawRecord>,
    /// Where another subscription goes on: at the last record or behind it, before the next; `None` at the end of a closed shard.
    pub continuation: Option<Sequence>,
    /// How old what comes next is; 0 at the tip.
    pub behind_ms: Option<u64>,
    /// At the end: who goes on.
    pub children: Vec<Child>,
}

/// Somebody whom the stream sends records to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// How it is named in a subscription.
    pub arn: String,
    /// Whether it can subscribe.
    pub active: bool,
}

/// A failure of the service, named by what the caller does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The iterator is too old: get another one.
    #[error("the iterator has expired")]
    Expired,
    /// Too much was asked for: ask less often.
    #[error("throttled: {0}")]
    Throttled(String),
    /// Somebody else has it: wait five seconds at least.
    #[error("in use: {0}")]
    InUse(String),
    /// Heals by itself or with another attempt.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// There is no such stream, shard or consumer, or not any more.
    #[error("not found: {0}")]
    NotFound(String),
    /// A person must change something.
    #[error("misconfigured: {0}")]
    Misconfigured(String),
}

/// The records a subscription brings. Nothing is sent ahead of what is asked for but what lies on the connection.
#[async_trait]
pub trait Events: Debug + Send {
    /// Waits for the next event; `None` when the subscription's time is over. May be given up and called again.
    ///
    /// # Errors
    /// The subscription has ended; a new one goes on where the last event said.
    async fn next(&mut self) -> Result<Option<Event>, StreamError>;
}

/// One stream of the service. Shared by all workers of a process; repeats nothing by itself.
///
/// Every method fails with the [`StreamError`] that says what to do about it.
#[async_trait]
pub trait Stream: Debug + Send + Sync {
    /// The stream's name.
    fn name(&self) -> &str;

    /// The shards there are, all pages of them, in the order of their ids.
    async fn list_shards(&self, filter: &Filter) -> Result<Vec<Shard>, StreamError>;

    /// An iterator of the shard. It lives for five minutes.
    async fn iterator(&self, shard: &str, from: From) -> Result<String, StreamError>;

    /// At most `limit` records behind the iterator, which stays good for another attempt.
    async fn records(&self, iterator: &str, limit: u32) -> Result<Answer, StreamError>;

    /// Makes a consumer of this name. It is not active at once. [`StreamError::InUse`] if there is one.
    async fn register_consumer(&self, name: &str) -> Result<Consumer, StreamError>;

    /// The consumer of this name.
    async fn describe_consumer(&self, name: &str) -> Result<Consumer, StreamError>;

    /// Ends the consumer of this name, and its subscriptions.
    async fn deregister_consumer(&self, name: &str) -> Result<(), StreamError>;

    /// Has the shard's records sent to the consumer, for five minutes. Whoever was subscribed as the same consumer is not any more, unless that
    /// happened within the last five seconds ([`StreamError::InUse`]).
    async fn subscribe(
        &self,
        consumer: &str,
        shard: &str,
        from: From,
    ) -> Result<Box<dyn Events>, StreamError>;
}
