//! One worker's part of a stream: shards whose leases it holds, and their records in order.
//!
//! Owns the slots, what is fetched and not handed over yet, and what stands in a lease beside a checkpoint. The leases themselves are kept by
//! [`lease`](super::lease), reading is done by [`stream`](super::stream), and which leases there must be is [`topology`](super::topology)'s.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::aggregate::Unpacker;
use super::lease::{self, Command, HashRange, Holder, Lease, LeaseError, Term};
use super::seen::SeenFrom;
use super::slots::{Assigned, Beginning, Slots};
use super::stored;
use super::stream::shard::{Fetched, News, Readers};
use super::stream::{Child, Filter};
use super::topology::{Ending, Rounds};
use crate::metrics::Metrics;
use crate::metrics::cloudwatch::{Batch, KclMetrics};
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Partition, PartitionId, Position, Record};
use crate::source::{self, Checkpoint, Event, Slot, Source, SourceError};

/// Between two attempts to find out what follows a shard that has ended, at first and at most.
const AGAIN: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// How often it is said how far shards that pause have fallen behind.
const AGE: Duration = Duration::from_secs(1);
/// Shards that may have ended and wait to be told so.
const ENDINGS: usize = 64;

/// A shard that was read and committed to its end, and what its lease is to say of that.
struct Concluded {
    key: String,
    term: Term,
    create: Vec<Lease>,
    children: BTreeSet<String>,
}

/// How a worker waits on its own thread for what runs on others.
#[derive(Clone, Debug)]
pub enum Runs {
    /// A runtime with threads of its own.
    Beside(Handle),
    /// A runtime that runs only while somebody waits: a simulation's.
    #[cfg(test)]
    Within(Arc<tokio::runtime::Runtime>),
}

impl Runs {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Beside(handle) => handle.block_on(future),
            #[cfg(test)]
            Self::Within(runtime) => runtime.block_on(future),
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        match self {
            Self::Beside(handle) => handle.spawn(task).abort_handle(),
            #[cfg(test)]
            Self::Within(runtime) => runtime.spawn(task).abort_handle(),
        }
    }
}

/// What a worker reads a stream with.
pub struct Parts {
    /// The stream's name.
    pub stream: Arc<str>,
    /// Its leases.
    pub holder: Holder,
    /// Its readers.
    pub readers: Readers,
    /// Who knows what follows a shard.
    pub rounds: Arc<Rounds>,
    /// Where reading begins in leases that were made for that ([`lease::LeasePosition::AtTimestamp`]).
    pub initial: super::topology::Initial,
    /// Where requests run.
    pub runtime: Runs,
    /// Where to count.
    pub metrics: Arc<Metrics>,
    /// Where to count as a KCL does, if anybody wants that.
    pub kcl: Option<Arc<KclMetrics>>,
}

/// A worker among those that share the leases of a stream.
pub struct KinesisSource {
    seen: SeenFrom,
    parts: Parts,
    slots: Slots,
    unpacker: Unpacker,
    generations: u64,
    /// The hash keys of shards whose leases do not say them.
    ranges: HashMap<String, HashRange>,
    /// What was asked to be stored, until it is answered.
    storing: Option<Vec<(Slot, Term, Position)>>,
    concluding: HashMap<String, (Term, AbortHandle)>,
    conclude: mpsc::Sender<Concluded>,
    concluded: mpsc::Receiver<Concluded>,
    /// Whose turn it is to hand over records.
    turn: usize,
    events: Vec<Event>,
    /// Whether the first look at the leases is over and was not told yet.
    looked: bool,
    failed: Option<SourceError>,
    /// When the gauges of shards that pause were set last.
    aged: Instant,
}

impl KinesisSource {
    /// A worker that has no shards yet.
    pub fn new(parts: Parts) -> Self {
        let (conclude, concluded) = mpsc::channel(ENDINGS);
        let (metrics, kcl) = (parts.metrics.clone(), parts.kcl.clone());
        Self {
            seen: SeenFrom::new(metrics, kcl, parts.holder.worker()),
            parts,
            slots: Slots::default(),
            unpacker: Unpacker::default(),
            generations: 0,
            ranges: HashMap::new(),
            storing: None,
            concluding: HashMap::new(),
            conclude,
            concluded,
            turn: 0,
            events: Vec::new(),
            looked: false,
            failed: None,
            aged: Instant::now(),
        }
    }

    /// Hands over what was fetched of the shards the worker knows of, each in its turn. Returns how many records.
    fn hand_over(
        &mut self,
        max: usize,
        take: &mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>,
    ) -> usize {
        let slots = self.slots.ready();
        let mut taken = 0;
        for nth in 0..slots.len() {
            let slot = slots[(self.turn + nth) % slots.len()];
            let Some(assigned) = self.slots.get_mut(slot) else {
                continue;
            };
            let began = self.seen.wants_batches().then(Instant::now);
            let (before, mut bytes) = (taken, 0);
            let flow = assigned.hand_over(&mut self.unpacker, &mut taken, max, &mut |record| {
                bytes += record.payload.map_or(0, <[u8]>::len);
                take(slot, record)
            });
            if let Some(began) = began.filter(|_| taken > before) {
                let batch = Batch {
                    records: (taken - before) as u64,
                    bytes: bytes as u64,
                    behind_ms: assigned.behind.take(),
                    took: began.elapsed(),
                    success: true,
                };
                self.seen.batch(&assigned.key, batch);
            }
            if flow.is_break() {
                self.turn = (self.turn + nth) % slots.len();
                return taken;
            }
        }
        self.turn = self.turn.wrapping_add(1);
        taken
    }

    /// Tells what is known only when all records before were handed over.
    fn tell_ends(&mut self) {
        for (slot, assigned) in self.slots.iter_mut() {
            if !assigned.is_drained() {
                continue;
            }
            if std::mem::take(&mut assigned.at_tip) {
                self.events.push(Event::CaughtUp(slot));
            }
            if let Some(oldest) = assigned.tell_trimmed() {
                self.events.push(Event::Expired(slot, oldest));
            }
            if let Some(successors) = assigned.tell_ended() {
                self.events.push(Event::Ended { slot, successors });
            }
        }
    }

    /// Takes in whatever has come in meanwhile.
    fn take_in(&mut self) {
        if let Some(tally) = self.parts.holder.new_tally() {
            self.seen.tally(tally);
        }
        while let Some(event) = self.parts.holder.next_event() {
            self.on_lease(event);
        }
        if self.parts.holder.has_ended() {
            let why = "the task that keeps the leases has ended; report this as a bug";
            self.failed = Some(SourceError::Misconfigured(why.into()));
        }
        while let Some(fetched) = self.parts.readers.try_next() {
            self.on_fetched(fetched);
        }
        while let Ok(concluded) = self.concluded.try_recv() {
            self.on_concluded(concluded);
        }
        self.free_memory();
        self.age();
    }

    /// Waits until something comes in.
    fn wait(&mut self, wait: Duration) {
        enum Came {
            Lease(lease::Event),
            Fetched(Fetched),
            Concluded(Concluded),
            Nothing,
        }
        let Parts {
            holder,
            readers,
            runtime,
            ..
        } = &mut self.parts;
        let concluded = &mut self.concluded;
        let came = runtime.block_on(async {
            tokio::select! {
                Some(event) = holder.events().recv() => Came::Lease(event),
                fetched = readers.next() => Came::Fetched(fetched),
                Some(concluded) = concluded.recv() => Came::Concluded(concluded),
                () = tokio::time::sleep(wait) => Came::Nothing,
            }
        });
        match came {
            Came::Lease(event) => self.on_lease(event),
            Came::Fetched(fetched) => self.on_fetched(fetched),
            Came::Concluded(concluded) => self.on_concluded(concluded),
            Came::Nothing => {}
        }
    }

    fn on_lease(&mut self, event: lease::Event) {
        match event {
            lease::Event::Gained { lease, term } => self.gain(&lease, term),
            lease::Event::Lost { key, term } => {
                self.stop_concluding(&key, term);
                self.lose(&key, term);
            }
            lease::Event::Stored(results) => self.on_stored(results),
            lease::Event::Noted { key, term } => self.on_noted(&key, term),
            lease::Event::Finished { key, term } => {
                self.stop_concluding(&key, term);
                tracing::info!(stream = %self.parts.stream, shard = key, "shard read to its end");
            }
            lease::Event::Looked => self.looked = true,
            lease::Event::Blocked(message) => {
                tracing::error!(stream = %self.parts.stream, "{message}");
            }
            lease::Event::Failed(error) => {
                self.failed = Some(SourceError::Misconfigured(error.to_string()));
            }
        }
    }

    fn gain(&mut self, lease: &Lease, term: Term) {
        let key = lease.key.clone();
        let Ok(id @ PartitionId::Shard(_)) = key.parse() else {
            tracing::error!(stream = %self.parts.stream, shard = key, "the lease has a name that no shard has; nobody reads it");
            self.parts.holder.send(Command::Release(vec![(key, term)]));
            return;
        };
        let range = match lease.hash_range {
            Some(range) => range,
            None => match self.range_of(&key) {
                // Its reader will find that the stream has forgotten it.
                Ok(range) => range.unwrap_or(HashRange::ALL),
                Err(why) => {
                    tracing::warn!(stream = %self.parts.stream, shard = key, why, "cannot tell which hash keys the shard has; its lease is given back");
                    self.parts.holder.send(Command::Release(vec![(key, term)]));
                    return;
                }
            },
        };
        let partition = Partition::of(self.parts.stream.clone(), id);
        let begun = stored::begun(lease);
        let start = begun.start(self.parts.initial);
        tracing::info!(%partition, checkpoint = %lease.checkpoint, plan = !begun.note.is_empty(), "shard assigned");
        self.generations += 1;
        let since = begun.since(self.parts.initial, self.parts.readers.wall());
        self.parts.readers.start(&key, self.generations, start);
        let assigned = Assigned::new(key, term, partition, range, self.generations, begun, since);
        let slot = self.slots.insert(assigned);
        self.parts.metrics.partitions.inc();
        self.assign(slot);
    }

    /// Tells of a shard, unless it is not stored yet where its reading has begun.
    fn assign(&mut self, slot: Slot) {
        let assigned = self.slots.get(slot);
        let Some(assigned) = assigned.filter(|held| held.beginning == Beginning::Stored) else {
            return;
        };
        self.events.push(Event::Assigned(Box::new(source::Assigned {
            slot,
            partition: assigned.partition.clone(),
            checkpoint: assigned.checkpoint(),
            oldest: None,
            end: None,
        })));
    }

    /// A reader has begun: at the tip, perhaps. Others are to begin there, too.
    fn note_beginning(&mut self, slot: Slot) {
        if let Some(assigned) = self.slots.get_mut(slot)
            && let Some(since) = assigned.note_beginning()
        {
            let (key, term) = (assigned.key.clone(), assigned.term);
            let note = stored::note(since);
            self.parts.holder.send(Command::Note { key, term, note });
        }
    }

    fn on_noted(&mut self, key: &str, term: Term) {
        if let Some(slot) = self.slots.of(key, term)
            && let Some(assigned) = self.slots.get_mut(slot)
        {
            assigned.beginning = Beginning::Stored;
            self.assign(slot);
        }
    }

    /// Tells that all shards of the first look are told.
    fn tell_looked(&mut self) {
        let mut slots = self.slots.iter();
        if self.looked && slots.all(|(_, held)| held.beginning == Beginning::Stored) {
            self.looked = false;
            self.events.push(Event::Joined);
        }
    }

    /// Old tables do not say it. All that are known are remembered: such a table has many.
    fn range_of(&mut self, key: &str) -> Result<Option<HashRange>, String> {
        if let Some(range) = self.ranges.get(key) {
            return Ok(Some(*range));
        }
        let stream = self.parts.rounds.stream().clone();
        let listed = self
            .parts
            .runtime
            .block_on(async move { stream.list_shards(&Filter::All).await });
        let shards = listed.map_err(|error| error.to_string())?;
        let ranges = shards.into_iter().map(|shard| (shard.id, shard.hash_range));
        self.ranges = ranges.collect();
        Ok(self.ranges.get(key).copied())
    }

    fn lose(&mut self, key: &str, term: Term) {
        if let Some(slot) = self.slots.of(key, term)
            && let Some(assigned) = self.forget(slot)
            && assigned.beginning == Beginning::Stored
        {
            self.events.push(Event::Lost(vec![slot]));
        }
    }

    fn forget(&mut self, slot: Slot) -> Option<Assigned> {
        let assigned = self.slots.remove(slot)?;
        self.parts.readers.stop(&assigned.key);
        let partition = &assigned.partition;
        let id = partition.id().to_string();
        self.parts.metrics.forget_partition(partition.topic(), &id);
        self.parts.metrics.partitions.dec();
        Some(assigned)
    }

    fn on_fetched(&mut self, fetched: Fetched) {
        let Some(slot) = self.slots.read_as(&fetched.shard, fetched.generation) else {
            return;
        };
        let Some(assigned) = self.slots.get_mut(slot) else {
            return;
        };
        match fetched.news {
            News::Records(batch) => {
                if let Some(behind) = batch.behind_ms {
                    assigned.told_behind = Some((behind, Instant::now()));
                    self.seen.behind(&assigned.partition, behind);
                }
                assigned.behind = batch.behind_ms;
                if batch.records.is_empty() {
                    let batch = Batch {
                        behind_ms: assigned.behind.take(),
                        success: true,
                        ..Batch::default()
                    };
                    self.seen.batch(&assigned.key, batch);
                }
                assigned.keep(batch);
            }
            News::Ended(children) => assigned.ends(children),
            News::Gone => {
                tracing::error!(
                    partition = %assigned.partition, next = %assigned.next,
                    "the stream has forgotten the shard: if it had records that were not read yet, they are lost"
                );
                assigned.ends(Vec::new());
            }
            News::Trimmed { expected, oldest } => {
                assigned.trims(match oldest {
                    Some(oldest) => Position::in_shard(oldest, 0),
                    // Whatever comes is behind it.
                    None => Position::in_shard(expected, u64::MAX),
                });
            }
            News::Failed(why) => {
                let why = format!("{}: {why}", assigned.partition);
                self.failed = Some(SourceError::Misconfigured(why));
            }
        }
        self.note_beginning(slot);
    }

    /// Shards that pause fall further behind, of which the stream tells nothing.
    fn age(&mut self) {
        if self.aged.elapsed() < AGE {
            return;
        }
        self.aged = Instant::now();
        for (_, assigned) in self.slots.iter().filter(|(_, held)| held.paused) {
            if let Some((told, at)) = assigned.told_behind {
                let since = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.seen
                    .behind(&assigned.partition, told.saturating_add(since));
            }
        }
    }

    /// What is kept of shards that pause is fetched again when others could fetch nothing because of it.
    fn free_memory(&mut self) {
        let reading = || self.slots.iter().filter(|(_, held)| !held.paused);
        // Where nothing is read nobody needs the room, and whoever has something to hand over makes room with that.
        if !self.parts.readers.is_short()
            || reading().next().is_none()
            || reading().any(|(_, held)| !held.is_drained())
        {
            return;
        }
        for (_, assigned) in self.slots.iter_mut() {
            if assigned.paused && assigned.discard() {
                self.parts.readers.stop(&assigned.key);
            }
        }
    }

    fn restart(&mut self, slot: Slot) {
        let Some(assigned) = self.slots.get_mut(slot) else {
            return;
        };
        self.generations += 1;
        let start = assigned.restart(self.generations, self.parts.initial);
        self.parts
            .readers
            .start(&assigned.key, self.generations, start);
    }

    fn on_stored(&mut self, results: Vec<(String, Result<(), LeaseError>)>) {
        let Some(asked) = self.storing.take() else {
            return;
        };
        let results: HashMap<String, Result<(), LeaseError>> = results.into_iter().collect();
        let mut failure = None;
        for (slot, term, position) in asked {
            let Some(assigned) = self
                .slots
                .get_mut(slot)
                .filter(|assigned| assigned.term == term)
            else {
                continue;
            };
            let key = assigned.key.clone();
            match results.get(&key) {
                Some(Ok(())) => assigned.store(position),
                // Before the answer, so that nobody takes it for stored.
                Some(Err(LeaseError::Refused)) | None => self.lose(&key, term),
                Some(Err(error)) => {
                    failure.get_or_insert_with(|| SourceError::Unavailable(error.to_string()));
                }
            }
        }
        let answer = failure.map_or(Ok(()), Err);
        self.events.push(Event::Committed(answer));
    }

    /// Finds out what follows a shard, for as long as that takes, and keeps its lease meanwhile.
    fn conclude(&mut self, key: String, term: Term, children: Vec<Child>) {
        let (rounds, conclude) = (self.parts.rounds.clone(), self.conclude.clone());
        let shard = key.clone();
        let task = self.parts.runtime.spawn(async move {
            let (mut told, mut pause) = (String::new(), AGAIN);
            loop {
                let why = match rounds.end_of(&shard, &children).await {
                    Ok(Ending::Finish { create, children }) => {
                        let key = shard;
                        let concluded = Concluded {
                            key,
                            term,
                            create,
                            children,
                        };
                        let _ = conclude.send(concluded).await;
                        return;
                    }
                    Ok(Ending::Wait(why)) => why,
                    Err(error) => error.to_string(),
                };
                if why != told {
                    tracing::warn!(
                        shard,
                        why,
                        "the shard's end cannot be written down yet, and nobody reads its children"
                    );
                    told = why;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
        self.concluding.insert(key, (term, task));
    }

    fn on_concluded(&mut self, concluded: Concluded) {
        let Concluded {
            key,
            term,
            create,
            children,
        } = concluded;
        let current = self.concluding.get(&key).is_some_and(|(of, _)| *of == term);
        if current {
            self.parts.holder.send(Command::Finish {
                key,
                term,
                create,
                children,
            });
        }
    }

    fn stop_concluding(&mut self, key: &str, term: Term) {
        if self.concluding.get(key).is_some_and(|(of, _)| *of == term)
            && let Some((_, task)) = self.concluding.remove(key)
        {
            task.abort();
        }
    }
}

impl Source for KinesisSource {
    fn poll(
        &mut self,
        wait: Duration,
        max: usize,
        take: &mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Event>, SourceError> {
        self.take_in();
        let mut taken = self.hand_over(max, take);
        if taken == 0 && self.events.is_empty() && self.failed.is_none() {
            self.wait(wait);
            taken = self.hand_over(max, take);
        }
        if taken < max {
            self.tell_ends();
        }
        self.tell_looked();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.slots.announce();
        Ok(std::mem::take(&mut self.events))
    }

    fn pause(&mut self, slots: &[Slot]) {
        for slot in slots {
            if let Some(assigned) = self.slots.get_mut(*slot) {
                assigned.paused = true;
                self.parts.readers.pause(&assigned.key);
            }
        }
    }

    fn resume(&mut self, slots: &[Slot]) {
        for &slot in slots {
            let Some(assigned) = self.slots.get_mut(slot) else {
                continue;
            };
            assigned.paused = false;
            // A reader that finds it unchanged does not tell it again.
            if let Some((told, _)) = assigned.told_behind {
                self.seen.behind(&assigned.partition, told);
            }
            if assigned.discarded {
                self.restart(slot);
            } else {
                self.parts.readers.resume(&assigned.key);
            }
        }
    }

    fn rewind(&mut self, slot: Slot, to: Position) {
        if let Some(assigned) = self.slots.get_mut(slot) {
            if assigned.go_back(to) {
                return;
            }
            assigned.rewind(to);
            let paused = assigned.paused;
            self.restart(slot);
            if paused {
                self.pause(&[slot]);
            }
        }
    }

    fn commit(&mut self, checkpoints: &[(Slot, Checkpoint)]) {
        let (mut asked, mut writes) = (Vec::new(), Vec::new());
        for (slot, checkpoint) in checkpoints {
            if let Some(assigned) = self.slots.get(*slot) {
                let write = stored::write(checkpoint, assigned.began_at(checkpoint.position));
                writes.push((assigned.key.clone(), assigned.term, write));
                asked.push((*slot, assigned.term, checkpoint.position));
            }
        }
        if writes.is_empty() {
            self.events.push(Event::Committed(Ok(())));
            return;
        }
        self.storing = Some(asked);
        self.parts.holder.send(Command::Store(writes));
    }

    fn release(&mut self, slots: &[Slot]) {
        for &slot in slots {
            let Some(assigned) = self.slots.get_mut(slot) else {
                continue;
            };
            let (key, term) = (assigned.key.clone(), assigned.term);
            let ended = assigned.ended.take();
            let complete = assigned.is_committed();
            #[cfg(test)]
            let complete = complete || mutation::on(Mutation::EndedUncommitted);
            self.forget(slot);
            match ended.filter(|_| complete) {
                Some(children) => self.conclude(key, term, children),
                None => self.parts.holder.send(Command::Release(vec![(key, term)])),
            }
        }
    }

    fn stopping(&mut self) {
        self.parts.holder.send(Command::TakeNoMore);
    }

    /// Where a shard has no record a plan says that there was one: it is not for this to decide that it may be passed over.
    fn nothing_before(&mut self, _: Slot, _: Position) -> bool {
        false
    }

    fn close(self) {
        self.seen.close();
        for (_, task) in self.concluding.into_values() {
            task.abort();
        }
        let Parts {
            mut holder,
            runtime,
            ..
        } = self.parts;
        // Nothing is read or stored from here on, so whatever has happened meanwhile is for the next owners.
        runtime.block_on(async {
            holder.pass(Command::Close).await;
            while holder.events().recv().await.is_some() {}
        });
    }
}
