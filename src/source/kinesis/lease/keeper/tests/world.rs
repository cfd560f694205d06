//! Many workers over one table, with clocks that do not agree, pauses, deaths, and answers that are lost.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::Duration;

use super::{FAILOVER, at, commit, ms, plan};
use crate::mutation::{Mutation, switch};
use crate::source::kinesis::lease::keeper::{Command, Event, Keeper, Request, Settings, Term};
use crate::source::kinesis::lease::rules::Chance;
use crate::source::kinesis::lease::{Answer, Ask, Lease, LeaseError, LeasePosition, MemoryLeases};

/// What a worker does with a lease: it plans the next place, commits it, and plans the next.
#[derive(Debug)]
struct Work {
    term: Term,
    next: u64,
    planned: bool,
    waiting: bool,
}

struct Worker {
    keeper: Keeper,
    /// Added to the true time, and how fast this clock runs, in millionths.
    offset: Duration,
    rate: u32,
    paused_until: Duration,
    dead: bool,
    works: BTreeMap<String, Work>,
}

impl Worker {
    fn clock(&self, now: Duration) -> Duration {
        self.offset + now * self.rate / 1_000_000
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Tick(usize),
    Arrives(usize, u64),
    Answered(usize, u64),
}

/// What the faults of a world are.
#[derive(Clone, Copy)]
struct Climate {
    workers: usize,
    leases: usize,
    steal: usize,
    faults_until: Duration,
    end: Duration,
}

struct World {
    climate: Climate,
    chance: Chance,
    now: Duration,
    table: MemoryLeases,
    workers: Vec<Worker>,
    queue: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    order: u64,
    asks: HashMap<(usize, u64), Ask>,
    answers: HashMap<(usize, u64), Result<Answer, LeaseError>>,
    /// The last place that was committed in each lease.
    committed: BTreeMap<String, u64>,
}

/// Places in a shard; behind the last is its end.
const PLACES: u64 = 60;

impl World {
    fn new(climate: Climate, seed: u64) -> Self {
        let table = MemoryLeases::default();
        for n in 0..climate.leases {
            let mut lease = Lease::new(format!("s{n:02}"), at(0));
            if n >= 4 && n % 3 == 0 {
                lease.parents = [format!("s{:02}", n - 2), format!("s{:02}", n - 1)].into();
            }
            table.put(lease);
        }
        let mut world = Self {
            climate,
            chance: Chance(seed),
            now: Duration::ZERO,
            table,
            workers: Vec::new(),
            queue: BinaryHeap::new(),
            order: 0,
            asks: HashMap::new(),
            answers: HashMap::new(),
            committed: BTreeMap::new(),
        };
        for _ in 0..climate.workers {
            world.join();
        }
        world
    }

    fn join(&mut self) {
        let number = self.workers.len();
        let settings = Settings {
            most_stolen: self.climate.steal,
            parallel: 2 + self.chance.below(6),
            ..Settings::new(format!("alluvium:{number}"), FAILOVER)
        };
        self.workers.push(Worker {
            keeper: Keeper::new(settings, self.chance.below(usize::MAX) as u64),
            offset: ms(self.chance.below(1_000_000) as u64),
            rate: 995_000 + self.chance.below(10_000) as u32,
            paused_until: Duration::ZERO,
            dead: false,
            works: BTreeMap::new(),
        });
        self.at(ms(self.chance.0 % 3000), Happening::Tick(number));
    }

    fn at(&mut self, after: Duration, what: Happening) {
        self.order += 1;
        self.queue
            .push(Reverse((self.now + after, self.order, what)));
    }

    fn faulty(&mut self, of_a_thousand: usize) -> bool {
        self.now < self.climate.faults_until && self.chance.below(1000) < of_a_thousand
    }

    fn run(&mut self) {
        while let Some(Reverse((time, _, what))) = self.queue.pop() {
            if time > self.climate.end {
                return;
            }
            self.now = time;
            match what {
                Happening::Tick(worker) => self.tick(worker),
                Happening::Arrives(worker, id) => self.arrives(worker, id),
                Happening::Answered(worker, id) => self.answered(worker, id),
            }
        }
    }

    fn tick(&mut self, number: usize) {
        if self.workers[number].dead {
            return;
        }
        if self.faulty(1) {
            // Dies, by force or in peace; another one comes.
            if self.chance.below(2) == 0 {
                self.workers[number].dead = true;
                self.join();
                return;
            }
            let clock = self.workers[number].clock(self.now);
            self.workers[number].keeper.command(Command::Close, clock);
            self.join();
        }
        if self.faulty(2) {
            let pause = ms(self.chance.below(60_000) as u64);
            self.workers[number].paused_until = self.now + pause;
        }
        if self.workers[number].paused_until > self.now {
            let rest = self.workers[number].paused_until - self.now;
            self.at(rest, Happening::Tick(number));
            return;
        }
        self.drive(number);
        if !self.workers[number].keeper.is_over() {
            let pause = ms(20 + self.chance.below(200) as u64);
            self.at(pause, Happening::Tick(number));
        }
    }

    /// One turn of a worker: its keeper's requests go out, its news come in.
    fn drive(&mut self, number: usize) {
        self.work(number);
        let worker = &mut self.workers[number];
        let clock = worker.clock(self.now);
        for Request { id, ask } in worker.keeper.tick(clock) {
            self.asks.insert((number, id), ask);
            let delay = self.delay();
            self.at(delay, Happening::Arrives(number, id));
        }
        while let Some(event) = self.workers[number].keeper.next_event() {
            self.hear(number, event);
        }
    }

    fn delay(&mut self) -> Duration {
        if self.faulty(10) {
            return ms(self.chance.below(15_000) as u64);
        }
        ms(1 + self.chance.below(40) as u64)
    }

    fn arrives(&mut self, number: usize, id: u64) {
        let ask = self.asks.remove(&(number, id)).unwrap();
        let down = || Err(LeaseError::Unavailable("down".into()));
        let outcome = if self.faulty(30) {
            down()
        } else {
            let before = self.table.rows();
            let outcome = self.table.apply(&ask);
            if outcome.is_ok() {
                self.check(number, &ask, &before);
            }
            if self.faulty(30) { down() } else { outcome }
        };
        self.answers.insert((number, id), outcome);
        let delay = self.delay();
        self.at(delay, Happening::Answered(number, id));
    }

    fn answered(&mut self, number: usize, id: u64) {
        let worker = &mut self.workers[number];
        if worker.dead {
            return;
        }
        if worker.paused_until > self.now {
            let rest = worker.paused_until - self.now;
            self.at(rest, Happening::Answered(number, id));
            return;
        }
        let outcome = self.answers.remove(&(number, id)).unwrap();
        let clock = worker.clock(self.now);
        worker.keeper.answered(id, outcome, clock);
    }

    /// What must hold when a request was carried out.
    fn check(&mut self, number: usize, ask: &Ask, before: &[Lease]) {
        let row = |key: &str| before.iter().find(|row| row.key == *key).unwrap();
        match ask {
            Ask::Take { seen, .. } if self.climate.steal == 0 => {
                let Some(owner) = &row(&seen.key).owner else {
                    return;
                };
                let index: usize = owner.strip_prefix("alluvium:").unwrap().parse().unwrap();
                if index == number {
                    return;
                }
                let other = &self.workers[index];
                let clock = other.clock(self.now);
                let believes = other
                    .keeper
                    .beliefs()
                    .any(|(key, until)| key == seen.key && until > clock);
                assert!(
                    other.dead || !believes,
                    "{} was taken from {owner}, who still believes in it",
                    seen.key
                );
            }
            Ask::Checkpoint(claim, write) => {
                let Some(LeasePosition::At { sequence, .. }) = write.checkpoint else {
                    return;
                };
                let place: u64 = sequence.to_string().parse().unwrap();
                let row = row(&claim.key);
                let last = self.committed.insert(claim.key.clone(), place).unwrap_or(0);
                assert_eq!(place, last + 1, "{} goes from place to place", claim.key);
                let planned = row.pending.as_ref().map(|pending| pending.position);
                assert_eq!(
                    planned,
                    Some(at(place)),
                    "only what was planned is committed"
                );
            }
            _ => {}
        }
    }

    fn hear(&mut self, number: usize, event: Event) {
        let worker = &mut self.workers[number];
        match event {
            Event::Gained { lease, term } => {
                let rows = self.table.rows();
                let unfinished = |parent: &&String| {
                    rows.iter()
                        .any(|row| row.key == **parent && !row.is_finished())
                };
                let waits = lease.parents.iter().find(unfinished);
                assert_eq!(waits, None, "{} before its parents", lease.key);
                let LeasePosition::At { sequence, .. } = lease.checkpoint else {
                    panic!("{lease:?}");
                };
                let work = Work {
                    term,
                    next: sequence.to_string().parse::<u64>().unwrap() + 1,
                    planned: lease.pending.is_some(),
                    waiting: false,
                };
                let before = worker.works.insert(lease.key.clone(), work);
                assert!(before.is_none(), "{} was gained twice", lease.key);
            }
            Event::Lost { key, term } | Event::Finished { key, term } => {
                let work = worker.works.remove(&key).unwrap();
                assert_eq!(work.term, term);
            }
            Event::Stored(results) => {
                for (key, result) in results {
                    let Some(work) = worker.works.get_mut(&key) else {
                        continue;
                    };
                    work.waiting = false;
                    match (result, work.planned) {
                        (Ok(()), false) => work.planned = true,
                        (Ok(()), true) => {
                            work.planned = false;
                            work.next += 1;
                        }
                        // It is done again: the same plan, the same commit.
                        (Err(_), _) => {}
                    }
                }
            }
            Event::Looked | Event::Noted { .. } => {}
            Event::Blocked(_) | Event::Failed(_) => panic!("{event:?}"),
        }
    }

    fn work(&mut self, number: usize) {
        let worker = &mut self.workers[number];
        if worker.works.values().any(|work| work.waiting) {
            return;
        }
        let clock = worker.clock(self.now);
        let mut writes = Vec::new();
        for (key, work) in &mut worker.works {
            // Not everybody has something to say each time.
            if self.chance.below(8) > 0 {
                continue;
            }
            if work.next > PLACES {
                worker.keeper.command(
                    Command::Finish {
                        key: key.clone(),
                        term: work.term,
                        create: vec![],
                        children: BTreeSet::new(),
                    },
                    clock,
                );
                continue;
            }
            work.waiting = true;
            let write = match work.planned {
                false => plan(work.next),
                true => commit(work.next),
            };
            writes.push((key.clone(), work.term, write));
        }
        if !writes.is_empty() {
            worker.keeper.command(Command::Store(writes), clock);
        }
    }
}

fn seeds() -> u64 {
    let seeds = std::env::var("ALLUVIUM_SEEDS").ok();
    seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(60)
}

/// The seeds to try: one, if it is named.
fn each_seed(run: impl Fn(u64)) {
    match std::env::var("ALLUVIUM_SEED") {
        Ok(seed) => run(seed.parse().unwrap()),
        Err(_) => (0..seeds()).for_each(|seed| {
            if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed)))
            {
                eprintln!("ALLUVIUM_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }),
    }
}

fn climate(seed: u64, steal: usize) -> Climate {
    let mut chance = Chance(seed ^ 0xc11a);
    Climate {
        workers: 1 + chance.below(5),
        leases: 1 + chance.below(14),
        steal,
        faults_until: Duration::from_secs(300),
        end: Duration::from_secs(900),
    }
}

/// Who takes a lease because nobody renews it, takes it after its owner has stopped believing in it; and whatever happens, every shard is
/// read place by place to its end, parents first.
#[test]
fn nobody_owns_a_lease_twice_within_its_term() {
    each_seed(|seed| {
        let mut world = World::new(climate(seed, 0), seed);
        world.run();
        let rows = world.table.rows();
        assert!(
            rows.iter().all(Lease::is_finished),
            "seed {seed}: {rows:#?}"
        );
    });
}

/// A late write of a worker that has got its lease back meanwhile.
#[test]
fn counters_that_are_ignored_are_noticed() {
    switch(Some(Mutation::CounterIgnored));
    let noticed = (0..200).find(|seed| {
        let run = || {
            let mut world = World::new(climate(*seed, 0), *seed);
            world.run();
            assert!(world.table.rows().iter().all(Lease::is_finished));
        };
        std::panic::catch_unwind(run).is_err()
    });
    switch(None);
    assert!(noticed.is_some());
}

#[test]
fn stolen_leases_go_on_where_they_were() {
    each_seed(|seed| {
        let mut world = World::new(climate(seed, usize::MAX), seed);
        world.run();
        let rows = world.table.rows();
        assert!(
            rows.iter().all(Lease::is_finished),
            "seed {seed}: {rows:#?}"
        );
    });
}
