//! Any history of writes and reshards, with any failures: every record comes once and in order.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;

/// What happens, besides what the seed decides.
#[derive(Clone, Debug)]
struct World {
    seed: u64,
    mode: Mode,
    shards: u32,
    records: u32,
    reshards: u32,
    /// Calls in a hundred that go wrong.
    troubles: u64,
    /// Whether the worker starts readers anew, pauses them, and keeps batches.
    restless: bool,
    /// Answers that fit what may be held.
    answers_held: usize,
}

const ANSWER: usize = 32 << 10;
/// With what records take beside their payload.
const ANSWER_MEMORY: usize = 2 * ANSWER;

fn worlds() -> impl Strategy<Value = World> {
    let modes = prop_oneof![Just(Mode::Polling), Just(Mode::FanOut), Just(Mode::Auto)];
    let troubles = prop_oneof![Just(0), 1..60_u64];
    let sizes = (1..5_u32, 0..400_u32, 0..6_u32);
    (
        any::<u64>(),
        modes,
        sizes,
        troubles,
        any::<bool>(),
        1..6_usize,
    )
        .prop_map(
            |(seed, mode, (shards, records, reshards), troubles, restless, answers_held)| World {
                seed,
                mode,
                shards,
                records,
                reshards,
                troubles,
                restless,
                answers_held,
            },
        )
}

#[derive(Clone)]
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn hash(&mut self) -> u128 {
        u128::from(self.below(u64::MAX)) << 64
    }
}

impl World {
    fn limits(&self) -> Limits {
        Limits {
            answer_bytes: ANSWER,
            event_records: 7,
            iterator_life: Duration::from_secs(20),
            subscription: Duration::from_secs(30),
            activation: Duration::from_secs(3),
            tells_children: self.seed.is_multiple_of(2),
            ..Limits::default()
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            mode: self.mode,
            limit: 20,
            answer_bytes: ANSWER_MEMORY,
            ..Settings::default()
        }
    }

    fn held(&self) -> usize {
        self.answers_held * ANSWER_MEMORY
    }

    /// What goes wrong with calls.
    fn trouble(&self) -> impl FnMut(Call) -> Option<Trouble> + Send + 'static {
        let (mut random, percent) = (Random(self.seed ^ 1), self.troubles);
        move |call| {
            if !random.chance(percent) {
                return None;
            }
            let fail = |error| Some(Trouble::Fail(error));
            match (random.below(7), call) {
                (0 | 1, _) => fail(StreamError::Unavailable("now and then".into())),
                (2, _) => fail(StreamError::Throttled("too much".into())),
                (3, Call::Records) => fail(StreamError::Expired),
                (3, Call::Subscribe | Call::Event) => fail(StreamError::InUse("a thief".into())),
                (4, Call::Records | Call::Iterator | Call::Subscribe) => {
                    fail(StreamError::NotFound("not so".into()))
                }
                (5, _) => Some(Trouble::Lose),
                _ => Some(Trouble::Empty),
            }
        }
    }

    /// Writes everything, and reshards in between. Returns what was written, a list a shard.
    async fn write(&self, memory: Memory) -> BTreeMap<String, Vec<Sequence>> {
        let mut random = Random(self.seed ^ 2);
        let mut written = BTreeMap::<String, Vec<Sequence>>::new();
        let steps = u64::from(self.records + self.reshards).max(1);
        let mut reshards = self.reshards;
        for _ in 0..self.records {
            if reshards > 0 && random.below(steps) < u64::from(self.reshards) {
                reshards -= 1;
                reshard(&memory, &mut random).await;
            }
            let payload = vec![7; random.below(8000) as usize];
            let (shard, sequence) = memory.put(random.hash(), "key", &payload);
            written.entry(shard).or_default().push(sequence);
            if random.chance(30) {
                sleep(Duration::from_millis(random.below(3000))).await;
            }
        }
        written
    }
}

async fn reshard(memory: &Memory, random: &mut Random) {
    let mut open = memory.open();
    open.sort_by_key(|shard| shard.hash_range);
    let chosen = random.below(open.len() as u64) as usize;
    match open.get(chosen + 1) {
        Some(next) if random.chance(50) => {
            memory.merge(&open[chosen].id, &next.id);
        }
        _ => {
            memory.split(&open[chosen].id);
        }
    }
}

/// A worker that notes what it gets.
struct Worker {
    rig: Rig,
    random: Random,
    read: BTreeMap<String, Vec<Sequence>>,
    ended: HashSet<String>,
    started: HashSet<String>,
    kept: VecDeque<Batch>,
    paused: VecDeque<String>,
}

impl Worker {
    fn new(world: &World) -> Self {
        let (limits, settings) = (world.limits(), world.settings());
        Self {
            rig: Rig::with_memory(world.shards, limits, settings, world.held()),
            random: Random(world.seed ^ 3),
            read: BTreeMap::new(),
            ended: HashSet::new(),
            started: HashSet::new(),
            kept: VecDeque::new(),
            paused: VecDeque::new(),
        }
    }

    fn start_once(&mut self, shard: &str) {
        if self.started.insert(shard.to_owned()) {
            self.rig.start_oldest(shard);
        }
    }

    fn count(&self) -> usize {
        self.read.values().map(Vec::len).sum()
    }

    fn take(&mut self, shard: &str, batch: Batch, restless: bool) {
        let read = self.read.entry(shard.to_owned()).or_default();
        for record in &batch.records {
            // What is read again behind a start is the caller's to drop.
            if restless && read.last().is_some_and(|last| *last >= record.sequence) {
                continue;
            }
            read.push(record.sequence);
        }
        if restless {
            self.kept.push_back(batch);
        }
    }

    fn end(&mut self, shard: &str, children: Vec<Child>) {
        self.ended.insert(shard.to_owned());
        for child in children {
            if child
                .parents
                .iter()
                .all(|parent| self.ended.contains(parent))
            {
                self.start_once(&child.id);
            }
        }
    }

    /// Does something that workers do.
    fn fidget(&mut self, shard: &str) {
        match self.random.below(12) {
            0 if !self.ended.contains(shard) => {
                let last = self.read.get(shard).and_then(|read| read.last());
                let start = last.map_or(Start::Begin(From::TrimHorizon), |l| Start::Resume(*l));
                self.rig.start(shard, start);
            }
            1 => {
                self.rig.readers.pause(shard);
                self.paused.push_back(shard.to_owned());
            }
            2 | 3 => {
                if let Some(shard) = self.paused.pop_front() {
                    self.rig.readers.resume(&shard);
                }
            }
            4..=8 => drop(self.kept.pop_front()),
            _ => {}
        }
    }

    /// Lets go of everything that could keep readers from reading.
    fn calm(&mut self) {
        self.kept.clear();
        for shard in std::mem::take(&mut self.paused) {
            self.rig.readers.resume(&shard);
        }
    }

    async fn work(&mut self, world: &World, until: &Mutex<Option<usize>>) {
        let mut idle = 0;
        loop {
            let all = *until.lock().unwrap();
            if all.is_some_and(|all| self.count() >= all) {
                return;
            }
            let next = timeout(Duration::from_secs(30), self.rig.readers.next()).await;
            let Ok(Fetched { shard, news, .. }) = next else {
                self.calm();
                idle += 1;
                assert!(
                    idle < 100 || all.is_none(),
                    "nothing comes any more: {} of {all:?}",
                    self.count()
                );
                continue;
            };
            idle = 0;
            match news {
                News::Records(batch) => self.take(&shard, batch, world.restless),
                News::Ended(children) => self.end(&shard, children),
                other => panic!("{shard}: {other:?}"),
            }
            if world.restless {
                self.fidget(&shard);
            }
        }
    }
}

async fn run(world: &World) {
    let mut worker = Worker::new(world);
    let memory = worker.rig.memory.clone();
    memory.set_troubles(world.trouble());
    for shard in memory.open() {
        worker.start_once(&shard.id);
    }
    let (until, written) = (Mutex::new(None), Mutex::default());
    let write = async {
        let all = world.write(memory.clone()).await;
        *until.lock().unwrap() = Some(all.values().map(Vec::len).sum());
        *written.lock().unwrap() = all;
    };
    tokio::join!(write, worker.work(world, &until));
    let mut read = worker.read;
    read.retain(|_, sequences| !sequences.is_empty());
    assert_eq!(read, written.into_inner().unwrap());
    let events = if world.mode == Mode::Polling {
        0
    } else {
        worker.started.len()
    };
    let bound = world.held() + events * ANSWER;
    assert!(
        memory.most_given() <= bound,
        "{} > {bound}",
        memory.most_given()
    );
    if world.troubles == 0 {
        assert_eq!(memory.throttled(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_record_comes_once_and_in_order(world in worlds()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(&world));
    }
}
