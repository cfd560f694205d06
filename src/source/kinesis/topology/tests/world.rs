//! A stream that is resharded at any time, a lease table that fails now and then, and workers that read, look after leases and die.
//!
//! One seed is one history. What is checked is said where it is seen: [`World::read`], [`World::deleted`], [`World::created`].

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use proptest::prelude::*;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::sleep;

use super::*;
use crate::source::kinesis::lease::{Claim, HashRange, LeaseError, LeaseStore, Listing, Write};
use crate::source::kinesis::stream::{Answer, Child, Consumer, Events, From, Stream, StreamError};
use crate::source::kinesis::topology::{Ending, Rounds};

/// A shard with all that ever happens to it.
#[derive(Debug)]
struct Sim {
    parents: Vec<u64>,
    range: (u128, u128),
    made: u64,
    closed: Option<u64>,
    written: u64,
    /// How many of its records were read, in their order.
    read: u64,
    /// Where reading began, if it did.
    begun: Option<u64>,
    /// Whether it must be read from its first record on, when it is.
    whole: bool,
}

#[derive(Debug)]
struct World {
    random: u64,
    /// Whether anything goes wrong.
    faults: bool,
    now: u64,
    /// Shards that were closed by then are forgotten.
    horizon: u64,
    initial: Initial,
    shards: Vec<Sim>,
    leases: BTreeMap<String, Lease>,
    ever: BTreeSet<String>,
    /// Shards that somebody reads.
    busy: BTreeSet<u64>,
    /// The list as it was before the last reshard.
    stale: Vec<Shard>,
}

impl World {
    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn fails(&mut self, one_in: u64) -> bool {
        self.faults && self.random(one_in) == 0
    }

    fn add(&mut self, parents: Vec<u64>, range: (u128, u128)) {
        let whole = !parents.is_empty();
        self.shards.push(Sim {
            parents,
            range,
            made: self.now,
            closed: None,
            written: 0,
            read: 0,
            begun: None,
            whole,
        });
    }

    fn open(&self) -> Vec<u64> {
        let open = |number: &u64| self.sim(*number).closed.is_none();
        (0..self.shards.len() as u64).filter(open).collect()
    }

    fn sim(&self, number: u64) -> &Sim {
        &self.shards[number as usize]
    }

    fn list(&self, filter: &Filter) -> Vec<Shard> {
        let numbered = (0..).zip(&self.shards);
        let open_at =
            |sim: &Sim, time| sim.made <= time && sim.closed.is_none_or(|closed| closed > time);
        let asked = numbered.filter(|(_, sim)| match filter {
            Filter::All => sim.closed.is_none_or(|closed| closed > self.horizon),
            Filter::AtLatest => sim.closed.is_none(),
            Filter::AtTrimHorizon => open_at(sim, self.horizon),
            Filter::AtTimestamp(time) => open_at(sim, seconds(*time).max(self.horizon)),
        });
        let listed =
            asked.map(|(number, sim)| shard(number, &sim.parents, sim.range, sim.closed.is_some()));
        listed.collect()
    }

    /// Splits, merges, writes, forgets.
    fn happen(&mut self) {
        self.now += 1;
        let open = self.open();
        let one = open[self.random(open.len() as u64) as usize];
        match self.random(10) {
            0 | 1 => self.split(one),
            2 => self.merge(one),
            3 if self.random(4) == 0 => self.forget(),
            _ => self.shards[one as usize].written += 1,
        }
    }

    fn split(&mut self, number: u64) {
        let (start, end) = self.sim(number).range;
        if end - start < 4 {
            return;
        }
        self.close(number);
        let at = start + (end - start) / 4 * u128::from(1 + self.random(3));
        self.add(vec![number], (start, at));
        self.add(vec![number], (at + 1, end));
    }

    fn merge(&mut self, number: u64) {
        let (start, end) = self.sim(number).range;
        let beside = |other: &u64| end.checked_add(1) == Some(self.sim(*other).range.0);
        let Some(other) = self.open().into_iter().find(beside) else {
            return;
        };
        let end = self.sim(other).range.1;
        self.close(number);
        self.close(other);
        let parents = if self.random(2) == 0 {
            vec![number, other]
        } else {
            vec![other, number]
        };
        self.add(parents, (start, end));
    }

    fn close(&mut self, number: u64) {
        self.stale = self.list(&Filter::All);
        self.shards[number as usize].closed = Some(self.now);
    }

    /// Moves the horizon as far as nothing is lost that should be read.
    fn forget(&mut self) {
        let is_needed = |number: u64, sim: &&Sim| {
            let lease = self.leases.get(&id(number));
            let done = lease.is_some_and(Lease::is_finished)
                || lease.is_none() && self.ever.contains(&id(number));
            !done && sim.closed.is_some()
        };
        let needed = (0..)
            .zip(&self.shards)
            .filter(|(number, sim)| is_needed(*number, sim));
        let oldest = needed.filter_map(|(_, sim)| sim.closed).min();
        let to = oldest.map_or(self.now, |oldest| oldest.saturating_sub(1));
        // Before there are leases, nothing is known of what is needed.
        if !self.leases.is_empty() {
            self.horizon = self.horizon.max(to);
        }
    }

    /// A worker makes the next record of a shard durable: each in its order, once, and none before all of its parents'.
    fn read(&mut self, number: u64) -> bool {
        let lease = &self.leases[&id(number)];
        let sim = self.sim(number);
        let from = match lease.checkpoint {
            LeasePosition::At { sub, .. } => sub + 1,
            LeasePosition::Latest => sim.begun.map_or(sim.written, |_| sim.read),
            _ => 0,
        };
        if sim.begun.is_none() {
            for parent in &sim.parents {
                let parent_lease = self.leases.get(&id(*parent));
                let parent = self.sim(*parent);
                let done = parent_lease.is_none_or(Lease::is_finished);
                assert!(done, "{number} is read before its parents");
                let all = parent.begun.is_none() || parent.read == parent.written;
                assert!(
                    parent.closed.is_some() && all,
                    "{number} is read before its parents"
                );
            }
            if sim.whole && self.initial == Initial::TrimHorizon {
                assert_eq!(from, 0, "{number} is not read from its beginning");
            }
        }
        let fresh = sim.begun.is_none();
        let sim = &mut self.shards[number as usize];
        if fresh {
            (sim.begun, sim.read) = (Some(from), from);
        }
        assert_eq!(
            sim.read, from,
            "{number} is read from another place than it was left at"
        );
        if from == sim.written {
            return false;
        }
        sim.read += 1;
        let checkpoint = LeasePosition::At {
            sequence: sim.made.to_string().parse().unwrap(),
            sub: from,
        };
        self.leases.get_mut(&id(number)).unwrap().checkpoint = checkpoint;
        true
    }

    /// A lease goes only when it is finished and nobody waits for it.
    fn deleted(&self, key: &str) {
        let lease = &self.leases[key];
        assert!(lease.is_finished(), "{key} is deleted before it is done");
        let number = number_of(key);
        let children = (0..)
            .zip(&self.shards)
            .filter(|(_, sim)| sim.parents.contains(&number));
        for (child, _) in children {
            let known = self.ever.contains(&id(child));
            assert!(
                known,
                "{key} is deleted before its child {child} has a lease"
            );
            let begun = self.leases.get(&id(child)).is_none_or(|child| {
                !matches!(
                    child.checkpoint,
                    LeasePosition::TrimHorizon | LeasePosition::AtTimestamp
                )
            });
            let forgotten = self
                .sim(number)
                .closed
                .is_some_and(|closed| closed <= self.horizon);
            assert!(
                begun || forgotten,
                "{key} is deleted before its child {child} is begun"
            );
        }
    }

    /// No lease is made twice.
    fn created(&mut self, lease: &Lease) {
        assert!(
            self.ever.insert(lease.key.clone()),
            "{} is made again",
            lease.key
        );
        let number = number_of(&lease.key);
        let sim = self.sim(number);
        assert_eq!(
            lease.hash_range,
            Some(HashRange {
                start: sim.range.0,
                end: sim.range.1
            })
        );
        assert_eq!(lease.parents, ids(&sim.parents));
    }
}

fn number_of(key: &str) -> u64 {
    key.trim_start_matches("shardId-").parse().unwrap()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The world behind its two doors.
#[derive(Clone, Debug)]
struct Doors(Arc<Mutex<World>>);

impl Doors {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Others come first, as many as chance has it.
    async fn wait(&self) {
        let turns = self.world().random(4);
        for _ in 0..turns {
            yield_now().await;
        }
    }

    /// Does something to the table, which may fail before or after.
    async fn table<T>(
        &self,
        act: impl FnOnce(&mut World) -> Result<T, LeaseError>,
    ) -> Result<T, LeaseError> {
        self.wait().await;
        let fault = || Err(LeaseError::Unavailable("a fault".into()));
        if self.world().fails(20) {
            return fault();
        }
        let done = act(&mut self.world())?;
        self.wait().await;
        if self.world().fails(20) {
            return fault();
        }
        Ok(done)
    }
}

#[async_trait]
impl LeaseStore for Doors {
    async fn prepare(&self) -> Result<(), LeaseError> {
        Ok(())
    }

    /// Row by row: between two of them anything may happen.
    async fn scan(&self) -> Result<Listing, LeaseError> {
        let mut listing = Listing::default();
        let mut next = String::new();
        loop {
            let row = self.table(|world| {
                let mut rows = world.leases.range(next.clone()..);
                Ok(rows.next().map(|(_, lease)| lease.clone()))
            });
            let Some(lease) = row.await? else {
                return Ok(listing);
            };
            next = format!("{}\0", lease.key);
            listing.leases.push(lease);
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Lease>, LeaseError> {
        self.table(|world| Ok(world.leases.get(key).cloned())).await
    }

    async fn create(&self, lease: &Lease) -> Result<bool, LeaseError> {
        let create = |world: &mut World| {
            if world.leases.contains_key(&lease.key) {
                return Ok(false);
            }
            world.created(lease);
            world.leases.insert(lease.key.clone(), lease.clone());
            Ok(true)
        };
        self.table(create).await
    }

    async fn renew(&self, _: &Claim) -> Result<(), LeaseError> {
        Err(LeaseError::Refused)
    }

    async fn take(&self, _: &Lease, _: &str) -> Result<Lease, LeaseError> {
        Err(LeaseError::Refused)
    }

    async fn checkpoint(&self, claim: &Claim, write: &Write) -> Result<(), LeaseError> {
        let store = |world: &mut World| {
            let lease = world
                .leases
                .get_mut(&claim.key)
                .ok_or(LeaseError::Refused)?;
            lease.checkpoint = write.checkpoint.unwrap_or(lease.checkpoint);
            lease.counter += 1;
            Ok(())
        };
        self.table(store).await
    }

    async fn evict(&self, _: &Claim) -> Result<(), LeaseError> {
        Err(LeaseError::Refused)
    }

    async fn set_children(&self, key: &str, children: &BTreeSet<String>) -> Result<(), LeaseError> {
        let store = |world: &mut World| {
            let lease = world.leases.get_mut(key).ok_or(LeaseError::Refused)?;
            lease.children.clone_from(children);
            Ok(())
        };
        self.table(store).await
    }

    async fn delete(&self, seen: &Lease) -> Result<(), LeaseError> {
        let delete = |world: &mut World| {
            let lease = world.leases.get(&seen.key).ok_or(LeaseError::Refused)?;
            if lease.counter != seen.counter {
                return Err(LeaseError::Refused);
            }
            world.deleted(&seen.key);
            world.leases.remove(&seen.key);
            Ok(())
        };
        self.table(delete).await
    }
}

#[async_trait]
impl Stream for Doors {
    fn name(&self) -> &str {
        "s"
    }

    /// As things are, as they were, or half and half.
    async fn list_shards(&self, filter: &Filter) -> Result<Vec<Shard>, StreamError> {
        self.wait().await;
        let mut world = self.world();
        if world.fails(10) {
            return Err(StreamError::Throttled("a fault".into()));
        }
        let mut listed = world.list(filter);
        if *filter == Filter::All && world.fails(6) {
            let stale = world.stale.clone();
            if world.random(2) == 0 {
                return Ok(stale);
            }
            for shard in &mut listed {
                let before = stale.iter().find(|before| before.id == shard.id);
                shard.closed = before.map_or(shard.closed, |before| before.closed);
            }
        } else if world.fails(6) {
            let gone = world.random(listed.len() as u64) as usize;
            // Only where a whole list is asked for can it be told that one is missing.
            if *filter != Filter::All {
                listed.remove(gone);
            }
        }
        Ok(listed)
    }

    async fn iterator(&self, _: &str, _: From) -> Result<String, StreamError> {
        nothing()
    }

    async fn records(&self, _: &str, _: u32) -> Result<Answer, StreamError> {
        nothing()
    }

    async fn register_consumer(&self, _: &str) -> Result<Consumer, StreamError> {
        nothing()
    }

    async fn describe_consumer(&self, _: &str) -> Result<Consumer, StreamError> {
        nothing()
    }

    async fn deregister_consumer(&self, _: &str) -> Result<(), StreamError> {
        nothing()
    }

    async fn subscribe(&self, _: &str, _: &str, _: From) -> Result<Box<dyn Events>, StreamError> {
        nothing()
    }
}

fn nothing<T>() -> Result<T, StreamError> {
    Err(StreamError::Unavailable("not of this world".into()))
}

/// Who reads a shard; nobody else does until it is dropped.
struct Holding<'a>(&'a Doors, u64);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        let world = self.0.0.lock();
        let mut world = world.unwrap_or_else(PoisonError::into_inner);
        world.busy.remove(&self.1);
    }
}

/// Reads whatever may be read, a shard after the other.
async fn reader(doors: Doors, rounds: Arc<Rounds>) {
    loop {
        sleep(Duration::from_secs(7)).await;
        let Ok(listing) = doors.scan().await else {
            continue;
        };
        let free = {
            let mut world = doors.world();
            let open = listing.leases.iter().filter(|lease| !lease.is_finished());
            let ready = open.filter(|lease| waits_for(lease, &listing.leases).is_none());
            let numbers = ready.map(|lease| number_of(&lease.key));
            let free: Vec<_> = numbers
                .filter(|number| !world.busy.contains(number))
                .collect();
            if free.is_empty() {
                continue;
            }
            let number = free[world.random(free.len() as u64) as usize];
            world.busy.insert(number);
            number
        };
        let holding = Holding(&doors, free);
        let _ = read_on(&doors, &rounds, free).await;
        drop(holding);
    }
}

async fn read_on(doors: &Doors, rounds: &Rounds, number: u64) -> Result<(), LeaseError> {
    // What another has seen may be old: who takes a lease sees it as it is.
    let own = doors.get(&id(number)).await?;
    let Some(own) = own.filter(|own| !own.is_finished()) else {
        return Ok(());
    };
    for parent in &own.parents {
        if doors
            .get(parent)
            .await?
            .is_some_and(|parent| !parent.is_finished())
        {
            return Ok(());
        }
    }
    let some = doors.world().random(6);
    for _ in 0..some {
        doors.wait().await;
        if !doors.world().read(number) {
            break;
        }
    }
    let (ended, told) = {
        let mut world = doors.world();
        let sim = world.sim(number);
        let ended = sim.closed.is_some() && sim.begun.is_some() && sim.read == sim.written;
        let children = children_of(&id(number), &world.list(&Filter::All));
        // A service that does not tell.
        let told = if world.fails(4) { Vec::new() } else { children };
        (ended, told)
    };
    if ended {
        end(doors, rounds, number, &told).await?;
    }
    Ok(())
}

/// Each step after the other; whoever dies between two leaves it to the next.
async fn end(
    doors: &Doors,
    rounds: &Rounds,
    number: u64,
    told: &[Child],
) -> Result<(), LeaseError> {
    let Ok(Ending::Finish { create, children }) = rounds.end_of(&id(number), told).await else {
        return Ok(());
    };
    for lease in create {
        doors.create(&lease).await?;
    }
    if !children.is_empty() {
        doors.set_children(&id(number), &children).await?;
    }
    let claim = Claim {
        key: id(number),
        owner: String::new(),
        counter: 0,
    };
    let write = Write {
        checkpoint: Some(LeasePosition::ShardEnd),
        pending: None,
    };
    doors.checkpoint(&claim, &write).await
}

/// Looks after the leases, as the leader does. There may be two for a while.
async fn leader(doors: Doors, rounds: Arc<Rounds>) {
    loop {
        if let Ok(listing) = doors.scan().await {
            let _ = rounds.round(&listing.leases).await;
        }
        sleep(Duration::from_secs(20)).await;
    }
}

fn rounds(doors: &Doors, initial: Initial) -> Arc<Rounds> {
    Rounds::new(Arc::new(doors.clone()), Arc::new(doors.clone()), initial).into()
}

fn spawn<F: Future<Output = ()> + Send + 'static>(tasks: &mut Vec<AbortHandle>, task: F) {
    tasks.push(tokio::spawn(task).abort_handle());
}

async fn history(seed: u64, initial: Initial, before: u64, events: u64) {
    let world = World {
        random: seed | 1,
        faults: true,
        now: 0,
        horizon: 0,
        initial,
        shards: Vec::new(),
        leases: BTreeMap::new(),
        ever: BTreeSet::new(),
        busy: BTreeSet::new(),
        stale: Vec::new(),
    };
    let doors = Doors(Arc::new(Mutex::new(world)));
    {
        let mut world = doors.world();
        world.add(Vec::new(), (0, u128::MAX / 2));
        world.add(Vec::new(), (u128::MAX / 2 + 1, u128::MAX));
        world.stale = world.list(&Filter::All);
        for _ in 0..before {
            world.happen();
        }
    }
    let mut tasks = Vec::new();
    let workers = |tasks: &mut Vec<AbortHandle>| {
        for _ in 0..2 {
            spawn(tasks, leader(doors.clone(), rounds(&doors, initial)));
        }
        for _ in 0..3 {
            spawn(tasks, reader(doors.clone(), rounds(&doors, initial)));
        }
    };
    workers(&mut tasks);
    for _ in 0..events {
        let pause = doors.world().random(90);
        sleep(Duration::from_secs(pause)).await;
        doors.world().happen();
        // A process dies, and another comes.
        if doors.world().random(8) == 0 {
            for task in tasks.drain(..) {
                task.abort();
            }
            yield_now().await;
            workers(&mut tasks);
        }
    }
    doors.world().faults = false;
    // Each shard that is left has something to begin with.
    sleep(Duration::from_secs(600)).await;
    for _ in 0..200 {
        {
            let mut world = doors.world();
            for number in world.open() {
                let sim = &mut world.shards[number as usize];
                if sim.begun.is_none_or(|begun| begun == sim.read) {
                    sim.written += 1;
                }
            }
        }
        sleep(Duration::from_secs(200)).await;
        if settled(&doors.world()) {
            break;
        }
    }
    check(&doors.world());
    for task in tasks {
        task.abort();
    }
}

/// Whether the table has a lease for each open shard, and no other.
fn settled(world: &World) -> bool {
    let open: BTreeSet<_> = world.open().into_iter().map(id).collect();
    world.leases.keys().eq(open.iter())
}

fn check(world: &World) {
    let left: Vec<_> = world
        .leases
        .values()
        .map(|lease| (&lease.key, lease.checkpoint.to_string()))
        .collect();
    assert!(settled(world), "open: {:?}, leases: {left:?}", world.open());
    for (number, sim) in (0..).zip(&world.shards) {
        // What was closed before anybody began, and is not behind where reading began.
        if !world.ever.contains(&id(number)) {
            assert!(
                sim.closed.is_some() && sim.begun.is_none(),
                "{number} was never read"
            );
            continue;
        }
        let read_all = sim.closed.is_none() || sim.begun.is_some() && sim.read == sim.written;
        assert!(read_all, "{number}: {sim:?}");
    }
    if world.initial == Initial::TrimHorizon {
        for (number, sim) in (0..).zip(&world.shards) {
            assert!(
                sim.begun == Some(0) && (sim.closed.is_none() || sim.read == sim.written),
                "{number}: {sim:?}"
            );
        }
    }
}

fn run(seed: u64, initial: Initial, before: u64, events: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    // A panic in a task would be its own affair otherwise.
    let failed = Arc::new(Mutex::new(None));
    runtime.block_on(async {
        let run = tokio::spawn(history(seed, initial, before, events));
        if let Err(error) = run.await {
            *failed.lock().unwrap() = Some(error);
        }
    });
    let failed = failed.lock().unwrap().take();
    assert!(
        failed.is_none(),
        "seed {seed} {initial:?} {before} {events}: {failed:?}"
    );
}

/// A few, unless `PROPTEST_CASES` says how many.
fn histories() -> ProptestConfig {
    let usual = ProptestConfig::default();
    let cases = std::env::var("PROPTEST_CASES").map_or(60, |_| usual.cases);
    ProptestConfig {
        cases,
        max_shrink_iters: 300,
        ..usual
    }
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn every_shard_is_read_once_behind_its_parents_from_the_beginning(seed: u64, before in 0..30u64, events in 0..60u64) {
        run(seed, Initial::TrimHorizon, before, events);
    }

    #[test]
    fn every_shard_is_read_once_behind_its_parents_from_the_end(seed: u64, before in 0..30u64, events in 0..60u64) {
        run(seed, Initial::Latest, before, events);
    }

    #[test]
    fn every_shard_is_read_once_behind_its_parents_from_some_time(seed: u64, before in 0..30u64, events in 0..60u64, time in any::<prop::sample::Index>()) {
        // Which shards there will be nobody knows.
        let time = time.index(before as usize + 1) as u64;
        run(seed, Initial::AtTimestamp(UNIX_EPOCH + Duration::from_secs(time)), before, events);
    }
}
