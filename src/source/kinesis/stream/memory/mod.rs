//! A Kinesis in memory, for tests: it keeps the service's rules and limits, and fails when it is told to.
//!
//! Its time is the runtime's, so that a test can stop it.

mod consumers;
mod shards;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::consumers::{MemoryEvents, Registered};
use self::shards::Kept;
use super::{Answer, Consumer, Event, Events, Filter, From, RawRecord, Shard, Stream, StreamError};
use crate::record::Sequence;
use crate::source::kinesis::lease::HashRange;

/// What the service does, with numbers a test may want smaller.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) iterator_life: Duration,
    pub(crate) reads_per_second: usize,
    pub(crate) bytes_per_second: u64,
    pub(crate) answer_bytes: usize,
    pub(crate) event_records: usize,
    pub(crate) subscription: Duration,
    /// In which a subscription is not taken over.
    pub(crate) protected: Duration,
    pub(crate) heartbeat: Duration,
    /// What it takes a consumer to become active.
    pub(crate) activation: Duration,
    pub(crate) consumers: usize,
    /// What a call takes.
    pub(crate) latency: Duration,
    /// Whether ends tell who goes on.
    pub(crate) tells_children: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            iterator_life: Duration::from_secs(300),
            reads_per_second: 5,
            bytes_per_second: 2 << 20,
            answer_bytes: 10 << 20,
            event_records: 1000,
            subscription: Duration::from_secs(300),
            protected: Duration::from_secs(5),
            heartbeat: Duration::from_secs(5),
            activation: Duration::from_secs(10),
            consumers: 20,
            latency: Duration::from_millis(5),
            tells_children: true,
        }
    }
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    List,
    Iterator,
    Records,
    Consumer,
    Subscribe,
    Event,
}

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It fails.
    Fail(StreamError),
    /// It works, but its answer is lost.
    Lose,
    /// It brings no records although there are some.
    Empty,
}

type Troubles = Box<dyn FnMut(Call) -> Option<Trouble> + Send>;

/// A stream. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Inner>);

struct Inner {
    name: String,
    limits: Limits,
    began: Instant,
    began_wall: SystemTime,
    state: Mutex<State>,
    /// Something was written, or a subscription taken over.
    changed: Notify,
    /// Bytes of payloads that were given out and not dropped yet, and the most there ever were.
    given: Arc<Given>,
}

#[derive(Default)]
struct Given {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[derive(Default)]
struct State {
    shards: Vec<Kept>,
    numbers: u64,
    consumers: BTreeMap<String, Registered>,
    subscriptions: u64,
    throttled: u64,
    troubles: Option<Troubles>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Memory").field(&self.0.name).finish()
    }
}

/// Payload bytes that are counted as long as they live.
struct Payload(Vec<u8>, Arc<Given>);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.1.now.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

impl Memory {
    /// A stream of so many shards that divide the hash keys evenly.
    pub(crate) fn new(name: &str, shards: u32, limits: Limits) -> Self {
        let memory = Self(Arc::new(Inner {
            name: name.into(),
            limits,
            began: Instant::now(),
            began_wall: SystemTime::now(),
            state: Mutex::default(),
            changed: Notify::new(),
            given: Arc::default(),
        }));
        let width = u128::MAX / u128::from(shards);
        for number in 0..shards {
            let start = width * u128::from(number);
            let end = match number + 1 == shards {
                true => u128::MAX,
                false => start + (width - 1),
            };
            let wall = memory.wall();
            memory
                .state()
                .add(Vec::new(), HashRange { start, end }, wall);
        }
        memory
    }

    /// What goes wrong from now on.
    pub(crate) fn set_troubles(
        &self,
        troubles: impl FnMut(Call) -> Option<Trouble> + Send + 'static,
    ) {
        self.state().troubles = Some(Box::new(troubles));
    }

    /// Writes a record to the open shard that has the hash key. Returns the shard's id, and the record's number.
    pub(crate) fn put(&self, hash: u128, key: &str, data: &[u8]) -> (String, Sequence) {
        let put = self.state().put(hash, key, data, self.now(), self.wall());
        self.0.changed.notify_waiters();
        put
    }

    /// Splits an open shard in the middle. Returns the children's ids.
    pub(crate) fn split(&self, shard: &str) -> Vec<String> {
        let children = self.state().split(shard, self.wall());
        self.0.changed.notify_waiters();
        children
    }

    /// Merges two open shards that are neighbours. Returns the child's id.
    pub(crate) fn merge(&self, one: &str, other: &str) -> String {
        let child = self.state().merge(one, other, self.wall());
        self.0.changed.notify_waiters();
        child
    }

    /// Deletes the shard's oldest records, up to and without `before`.
    pub(crate) fn trim(&self, shard: &str, before: Sequence) {
        self.state().shard(shard).unwrap().trim(before);
    }

    /// Forgets a closed shard.
    pub(crate) fn forget(&self, shard: &str) {
        self.state().shard(shard).unwrap().forgotten = true;
    }

    /// The shards that are written to.
    pub(crate) fn open(&self) -> Vec<Shard> {
        self.state().list(&Filter::AtLatest)
    }

    /// All shards there are.
    pub(crate) fn all(&self) -> Vec<Shard> {
        self.state().list(&Filter::All)
    }

    /// Calls that were refused because of a limit.
    pub(crate) fn throttled(&self) -> u64 {
        self.state().throttled
    }

    /// The most bytes of payloads that were given out and not dropped.
    pub(crate) fn most_given(&self) -> usize {
        self.0.given.most.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// The time of day, which goes on as the runtime's time does.
    pub(crate) fn wall(&self) -> SystemTime {
        self.0.began_wall + self.now()
    }

    /// Waits as long as a call takes, and says what goes wrong with it.
    async fn call(&self, call: Call) -> Result<Option<Trouble>, StreamError> {
        tokio::time::sleep(self.0.limits.latency).await;
        let mut state = self.state();
        match state.troubles.as_mut().and_then(|troubles| troubles(call)) {
            Some(Trouble::Fail(error)) => Err(error),
            trouble => Ok(trouble),
        }
    }

    /// A copy to be given out, which is counted.
    fn give(&self, record: &RawRecord) -> RawRecord {
        let given = &self.0.given;
        let bytes = record.data.len();
        let now = given.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        given.most.fetch_max(now, Ordering::Relaxed);
        let payload = Payload(record.data.to_vec(), given.clone());
        RawRecord {
            data: Bytes::from_owner(payload),
            ..record.clone()
        }
    }
}

fn lost() -> StreamError {
    StreamError::Unavailable("the answer was lost".into())
}

#[async_trait]
impl Stream for Memory {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn list_shards(&self, filter: &Filter) -> Result<Vec<Shard>, StreamError> {
        self.call(Call::List).await?;
        Ok(self.state().list(filter))
    }

    async fn iterator(&self, shard: &str, from: From) -> Result<String, StreamError> {
        let trouble = self.call(Call::Iterator).await?;
        let now = self.now();
        let state = self.state();
        let (number, kept) = state.find(shard)?;
        let iterator = format!("{number}:{}:{}", kept.place(from), now.as_millis());
        match trouble {
            Some(Trouble::Lose) => Err(lost()),
            _ => Ok(iterator),
        }
    }

    async fn records(&self, iterator: &str, limit: u32) -> Result<Answer, StreamError> {
        let trouble = self.call(Call::Records).await?;
        let now = self.now();
        let limits = &self.0.limits;
        let mut state = self.state();
        let (number, place) = shards::parse(iterator, now, limits)?;
        let read = state.read(number, place, limit as usize, now, limits, trouble.as_ref())?;
        let answer = Answer {
            records: read.records.iter().map(|r| self.give(r)).collect(),
            next: read
                .next
                .map(|next| format!("{number}:{next}:{}", now.as_millis())),
            behind_ms: Some(read.behind_ms),
            children: read.children,
        };
        match trouble {
            Some(Trouble::Lose) => Err(lost()),
            _ => Ok(answer),
        }
    }

    async fn register_consumer(&self, name: &str) -> Result<Consumer, StreamError> {
        let trouble = self.call(Call::Consumer).await?;
        let made = self.state().register(name, self.now(), &self.0.limits)?;
        match trouble {
            Some(Trouble::Lose) => Err(lost()),
            _ => Ok(made),
        }
    }

    async fn describe_consumer(&self, name: &str) -> Result<Consumer, StreamError> {
        self.call(Call::Consumer).await?;
        let (now, state) = (self.now(), self.state());
        let found = state.consumers.get(name);
        found
            .map(|found| found.consumer(name, now))
            .ok_or_else(|| StreamError::NotFound(format!("consumer {name}")))
    }

    async fn deregister_consumer(&self, name: &str) -> Result<(), StreamError> {
        self.call(Call::Consumer).await?;
        let removed = self.state().consumers.remove(name);
        self.0.changed.notify_waiters();
        removed
            .map(|_| ())
            .ok_or_else(|| StreamError::NotFound(format!("consumer {name}")))
    }

    async fn subscribe(
        &self,
        consumer: &str,
        shard: &str,
        from: From,
    ) -> Result<Box<dyn Events>, StreamError> {
        let trouble = self.call(Call::Subscribe).await?;
        let now = self.now();
        let events = {
            let mut state = self.state();
            let (number, kept) = state.find(shard)?;
            let place = kept.place(from);
            let id = state.subscribe(consumer, number, now, &self.0.limits)?;
            MemoryEvents {
                memory: self.clone(),
                consumer: consumer.into(),
                shard: number,
                place,
                id,
                until: now + self.0.limits.subscription,
            }
        };
        self.0.changed.notify_waiters();
        match trouble {
            Some(Trouble::Lose) => Err(lost()),
            _ => Ok(Box::new(events)),
        }
    }
}
