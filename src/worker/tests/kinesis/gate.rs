//! What one process has of the services: nothing while it is stopped, and nothing ever when it was killed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::source::kinesis::lease::{
    Claim, Lease, LeaseError, LeasePosition, LeaseStore, Listing, MemoryLeases, State, Write,
};
use crate::source::kinesis::stream::memory::Memory;
use crate::source::kinesis::stream::{
    Answer, Consumer, Events, Filter, From, Shard, Stream, StreamError,
};

/// What is written in the lease table, on the way of a shard through a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrow {
    Take,
    Note,
    Plan,
    Commit,
    Create,
    Children,
    End,
    Evict,
    Renew,
}

impl Arrow {
    pub(super) const ALL: [Self; 9] = [
        Self::Take,
        Self::Note,
        Self::Plan,
        Self::Commit,
        Self::Create,
        Self::Children,
        Self::End,
        Self::Evict,
        Self::Renew,
    ];

    fn of(write: &Write) -> Self {
        let is_note = |state: &[u8]| State::read(state).is_some_and(|state| state.plan.is_empty());
        match (&write.checkpoint, &write.pending) {
            (Some(LeasePosition::ShardEnd), _) => Self::End,
            (Some(_), _) => Self::Commit,
            (None, Some(pending)) if is_note(&pending.state) => Self::Note,
            (None, _) => Self::Plan,
        }
    }
}

/// Where the process is cut off: before the request is made, or behind it, before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trap {
    pub(super) arrow: Arrow,
    pub(super) before: bool,
}

/// Calls wait at it before they are made and before they are answered.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    open: Arc<watch::Sender<bool>>,
    trap: Arc<Mutex<Option<Trap>>>,
    sprung: Arc<Mutex<Option<Trap>>>,
}

impl Gate {
    pub(super) fn open() -> Self {
        Self {
            open: Arc::new(watch::channel(true).0),
            trap: Arc::default(),
            sprung: Arc::default(),
        }
    }

    pub(super) fn set(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// Shuts the gate at the next request of this kind.
    pub(super) fn lay(&self, trap: Trap) {
        *lock(&self.trap) = Some(trap);
    }

    /// Takes away the trap that is laid.
    pub(super) fn disarm(&self) {
        *lock(&self.trap) = None;
    }

    /// The trap that has shut the gate since this was asked last.
    pub(super) fn sprung(&self) -> Option<Trap> {
        lock(&self.sprung).take()
    }

    async fn pass(&self) {
        let mut open = self.open.subscribe();
        // This holds the sender.
        let _ = open.wait_for(|open| *open).await;
    }

    async fn through<T>(&self, call: impl Future<Output = T>) -> T {
        self.pass().await;
        let answer = call.await;
        self.pass().await;
        answer
    }

    async fn along<T>(&self, arrow: Arrow, call: impl Future<Output = T>) -> T {
        self.pass().await;
        self.spring(arrow, true);
        self.pass().await;
        let answer = call.await;
        self.spring(arrow, false);
        self.pass().await;
        answer
    }

    fn spring(&self, arrow: Arrow, before: bool) {
        let trap = Trap { arrow, before };
        let mut laid = lock(&self.trap);
        if *laid == Some(trap) {
            *laid = None;
            *lock(&self.sprung) = Some(trap);
            self.set(false);
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(super) struct GatedLeases {
    pub(super) gate: Gate,
    pub(super) leases: MemoryLeases,
    /// Writes of those who had lost the lease.
    pub(super) refused: Arc<AtomicU64>,
}

#[async_trait]
impl LeaseStore for GatedLeases {
    async fn prepare(&self) -> Result<(), LeaseError> {
        self.gate.through(self.leases.prepare()).await
    }

    async fn scan(&self) -> Result<Listing, LeaseError> {
        self.gate.through(self.leases.scan()).await
    }

    async fn get(&self, key: &str) -> Result<Option<Lease>, LeaseError> {
        self.gate.through(self.leases.get(key)).await
    }

    async fn create(&self, lease: &Lease) -> Result<bool, LeaseError> {
        let call = self.leases.create(lease);
        self.gate.along(Arrow::Create, call).await
    }

    async fn renew(&self, claim: &Claim) -> Result<(), LeaseError> {
        self.gate
            .along(Arrow::Renew, self.leases.renew(claim))
            .await
    }

    async fn take(&self, seen: &Lease, owner: &str) -> Result<Lease, LeaseError> {
        let call = self.leases.take(seen, owner);
        self.gate.along(Arrow::Take, call).await
    }

    async fn checkpoint(&self, claim: &Claim, write: &Write) -> Result<(), LeaseError> {
        let call = self.leases.checkpoint(claim, write);
        let stored = self.gate.along(Arrow::of(write), call).await;
        if stored == Err(LeaseError::Refused) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        stored
    }

    async fn evict(&self, claim: &Claim) -> Result<(), LeaseError> {
        self.gate
            .along(Arrow::Evict, self.leases.evict(claim))
            .await
    }

    async fn set_children(&self, key: &str, children: &BTreeSet<String>) -> Result<(), LeaseError> {
        let call = self.leases.set_children(key, children);
        self.gate.along(Arrow::Children, call).await
    }

    async fn delete(&self, seen: &Lease) -> Result<(), LeaseError> {
        self.gate.through(self.leases.delete(seen)).await
    }
}

#[derive(Debug)]
pub(super) struct GatedStream {
    pub(super) gate: Gate,
    pub(super) stream: Memory,
}

#[async_trait]
impl Stream for GatedStream {
    fn name(&self) -> &str {
        self.stream.name()
    }

    async fn list_shards(&self, filter: &Filter) -> Result<Vec<Shard>, StreamError> {
        self.gate.through(self.stream.list_shards(filter)).await
    }

    async fn iterator(&self, shard: &str, from: From) -> Result<String, StreamError> {
        self.gate.through(self.stream.iterator(shard, from)).await
    }

    async fn records(&self, iterator: &str, limit: u32) -> Result<Answer, StreamError> {
        self.gate
            .through(self.stream.records(iterator, limit))
            .await
    }

    async fn register_consumer(&self, name: &str) -> Result<Consumer, StreamError> {
        self.gate.through(self.stream.register_consumer(name)).await
    }

    async fn describe_consumer(&self, name: &str) -> Result<Consumer, StreamError> {
        self.gate.through(self.stream.describe_consumer(name)).await
    }

    async fn deregister_consumer(&self, name: &str) -> Result<(), StreamError> {
        self.gate
            .through(self.stream.deregister_consumer(name))
            .await
    }

    async fn subscribe(
        &self,
        consumer: &str,
        shard: &str,
        from: From,
    ) -> Result<Box<dyn Events>, StreamError> {
        self.gate
            .through(self.stream.subscribe(consumer, shard, from))
            .await
    }
}
