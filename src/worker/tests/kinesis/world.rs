//! A stream, its writers, processes that come and go, and the order in which everything happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use alluvium_target::memory::MemoryTarget;
use tokio::runtime::Runtime;

use super::super::simulation::random::Random;
use super::check;
use super::gate::{Arrow, Trap};
use super::process::{FAILOVER, Process};
use crate::flush::Policy;
use crate::metrics::Metrics;
use crate::source::kinesis::aggregate::written::aggregate;
use crate::source::kinesis::lease::{Ask, Fault, Lease, MemoryLeases};
use crate::source::kinesis::stream::StreamError;
use crate::source::kinesis::stream::memory::{Limits, Memory, Trouble};
use crate::source::kinesis::stream::shard::Mode;
use crate::source::kinesis::topology::Initial;

/// How long a world has trouble, and how long it may take to get over it, both in simulated time.
const TROUBLED: Duration = Duration::from_secs(400);
const HEALING: Duration = Duration::from_secs(1200);

/// What all processes share.
pub(super) struct Services {
    pub(super) runtime: Arc<Runtime>,
    pub(super) stream: Memory,
    pub(super) leases: MemoryLeases,
    pub(super) target: MemoryTarget,
    pub(super) initial: Initial,
    pub(super) metrics: Arc<Metrics>,
    /// Writes in the lease table of those who had lost the lease.
    pub(super) refused: Arc<AtomicU64>,
}

impl Services {
    pub(super) fn new(shards: u32, limits: Limits, initial: Initial) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let stream = {
            let _inside = runtime.enter();
            Memory::new("s", shards, limits)
        };
        Self {
            runtime: Arc::new(runtime),
            stream,
            leases: MemoryLeases::default(),
            target: MemoryTarget::new(),
            initial,
            metrics: Metrics::new().unwrap(),
            refused: Arc::default(),
        }
    }
}

/// What happens to a process whose trap has sprung.
#[derive(Clone, Copy)]
enum Fate {
    Killed,
    Frozen(Duration),
}

/// How often what has happened.
pub(super) type Tally = BTreeMap<String, u64>;

pub(super) struct World {
    services: Services,
    random: Random,
    processes: Vec<Process>,
    frozen: Vec<(usize, Duration)>,
    names: usize,
    mode: Mode,
    /// The number of the next record.
    next: u64,
    /// From which record on all must be there, as soon as that is settled.
    begun: Option<u64>,
    fates: BTreeMap<usize, Fate>,
    /// Services that are away, and until when.
    away: [(Arc<AtomicBool>, Duration); 2],
    /// What the target had when it was looked at last.
    seen: (u64, usize),
    tally: Tally,
    tells: bool,
}

impl World {
    pub(super) fn new(seed: u64, tells: bool) -> Self {
        let mut random = Random::new(seed);
        let limits = Limits {
            iterator_life: random.pick(&[Duration::from_secs(300), Duration::from_secs(4)]),
            tells_children: random.chance(8000),
            ..Limits::default()
        };
        let shards = random.pick(&[1, 2, 3, 5]);
        let initial = random.pick(&[Initial::TrimHorizon, Initial::TrimHorizon, Initial::Latest]);
        Self {
            services: Services::new(shards, limits, initial),
            begun: (initial == Initial::TrimHorizon).then_some(0),
            mode: random.pick(&[Mode::Polling, Mode::Polling, Mode::FanOut, Mode::Auto]),
            random,
            processes: Vec::new(),
            frozen: Vec::new(),
            names: 0,
            next: 0,
            fates: BTreeMap::new(),
            away: Default::default(),
            seen: (0, 0),
            tally: Tally::new(),
            tells,
        }
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        if self.tells {
            println!("{:>9.3} {what}", self.now().as_secs_f64());
        }
    }

    fn now(&self) -> Duration {
        self.services
            .stream
            .wall()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.tally.entry(what.into()).or_default() += 1;
    }

    /// The whole story: what has happened how often, and which promise was broken, if any.
    pub(super) fn run(mut self) -> (Tally, Result<(), String>) {
        let runtime = self.services.runtime.clone();
        let _inside = runtime.enter();
        let end = self.unfold();
        let metrics = &self.services.metrics;
        let counts = [
            ("records", self.next),
            ("plans recovered", metrics.plans_recovered.get()),
            (
                "writes refused",
                self.services.refused.load(Ordering::Relaxed),
            ),
            ("reads throttled", self.services.stream.throttled()),
        ];
        let counts = counts.map(|(what, count)| (what.to_owned(), count));
        self.tally.extend(counts);
        (self.tally, end)
    }

    fn unfold(&mut self) -> Result<(), String> {
        let began = self.now();
        self.make_trouble();
        while self.now() < began + TROUBLED {
            self.happen();
            self.step_all()?;
        }
        self.services.stream.set_troubles(|_| None);
        self.services.leases.trouble(|_| None);
        for process in &self.processes {
            process.gate.disarm();
        }
        for (name, _) in std::mem::take(&mut self.frozen) {
            self.freeze(name, false);
        }
        let healed = self.now();
        self.tell(format_args!("everything heals"));
        while self.now() < healed + HEALING {
            if self.processes.is_empty() {
                self.start();
            }
            self.step_all()?;
            if check::is_settled(&self.services) && self.missing().is_some_and(|all| all.is_empty())
            {
                return check::each_once(&self.services);
            }
        }
        let leases = self.services.leases.rows();
        let missing = self.missing();
        Err(format!(
            "not all is there after {HEALING:?}: {missing:?} of {} are missing; leases {leases:?}",
            self.next
        ))
    }

    fn make_trouble(&mut self) {
        let often = self.random.pick(&[0, 50, 300]);
        let mut random = Random::new(self.random.next());
        let [(stream, _), (table, _)] = &self.away;
        let (stream, table) = (stream.clone(), table.clone());
        self.services.stream.set_troubles(move |_| {
            if stream.load(Ordering::Relaxed) {
                return Some(Trouble::Fail(StreamError::Throttled("all of it".into())));
            }
            random.chance(often).then(|| match random.index(5) {
                0 => Trouble::Lose,
                1 => Trouble::Empty,
                2 => Trouble::Fail(StreamError::Expired),
                3 => Trouble::Fail(StreamError::Throttled("too much".into())),
                _ => Trouble::Fail(StreamError::Unavailable("the test said so".into())),
            })
        });
        let often = self.random.pick(&[0, 100, 500]);
        let mut random = Random::new(self.random.next());
        self.services.leases.trouble(move |_| {
            if table.load(Ordering::Relaxed) {
                return Some(Fault::Down);
            }
            random.chance(often).then(|| match random.index(2) {
                0 => Fault::Down,
                _ => Fault::LostAnswer,
            })
        });
    }

    /// Something that happens, or nothing.
    fn happen(&mut self) {
        if self.random.chance(3000) {
            self.write();
        }
        match self.random.index(1000) {
            0..5 if self.processes.len() < 3 => self.start(),
            5..7 => self.kill(),
            7..10 => self.stop(),
            10..12 => self.freeze_one(),
            12..16 => self.reshard(),
            16..19 => self.services.target.fail_commits(self.random.range(1, 5)),
            19..21 => {
                let slow = self.random.ms(0, 4000);
                self.services.target.slow_commits(slow);
            }
            21..29 => self.lay_trap(),
            29..31 => self.steal(),
            31 if self.random.chance(5000) => self.take_away(),
            _ => {}
        }
        self.come_back();
        let now = self.now();
        let thawed: Vec<usize> = self
            .frozen
            .iter()
            .filter(|(_, until)| now >= *until)
            .map(|(name, _)| *name)
            .collect();
        self.frozen.retain(|(_, until)| now < *until);
        for name in thawed {
            self.freeze(name, false);
        }
    }

    /// A service is not to be had for a while.
    fn take_away(&mut self) {
        let which = self.random.index(self.away.len());
        let until = self.now() + self.random.ms(5000, 60_000);
        let what = ["the stream", "the lease table"][which];
        self.tell(format_args!("{what} is away"));
        self.count(format!("{what} is away"));
        let (away, end) = &mut self.away[which];
        away.store(true, Ordering::Relaxed);
        *end = until;
    }

    fn come_back(&mut self) {
        let now = self.now();
        for (away, end) in &self.away {
            if now >= *end {
                away.store(false, Ordering::Relaxed);
            }
        }
    }

    /// A process is cut off at its next step of some kind.
    fn lay_trap(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let at = self.random.index(self.processes.len());
        let name = self.processes[at].name;
        let trap = Trap {
            arrow: self.random.pick(&Arrow::ALL),
            before: self.random.chance(5000),
        };
        let fate = match self.random.chance(5000) {
            true => Fate::Killed,
            false => Fate::Frozen(self.random.ms(100, 4 * FAILOVER.as_millis() as u64)),
        };
        self.processes[at].gate.lay(trap);
        self.fates.insert(name, fate);
    }

    fn spring_traps(&mut self) {
        for at in (0..self.processes.len()).rev() {
            let Some(Trap { arrow, before }) = self.processes[at].gate.sprung() else {
                continue;
            };
            let name = self.processes[at].name;
            let place = if before { "before" } else { "behind" };
            match self.fates.remove(&name) {
                Some(Fate::Frozen(length)) if !self.processes[at].is_stopping() => {
                    self.count(format!("frozen {place} {arrow:?}"));
                    self.tell(format_args!(
                        "process {name} stands still for {length:?} {place} {arrow:?}"
                    ));
                    self.frozen.retain(|(frozen, _)| *frozen != name);
                    self.frozen.push((name, self.now() + length));
                }
                _ => {
                    self.count(format!("killed {place} {arrow:?}"));
                    self.tell(format_args!("process {name} is killed {place} {arrow:?}"));
                    self.frozen.retain(|(frozen, _)| *frozen != name);
                    self.processes.swap_remove(at).kill();
                }
            }
        }
    }

    /// A worker of a KCL takes a lease from whoever has it, and dies.
    fn steal(&mut self) {
        let rows = self.services.leases.rows();
        let rows: Vec<&Lease> = rows.iter().filter(|row| row.owner.is_some()).collect();
        if rows.is_empty() {
            return;
        }
        let seen = Box::new(rows[self.random.index(rows.len())].clone());
        self.tell(format_args!("{} is taken by another program", seen.key));
        let planned = check::has_plan(&seen);
        let owner = "kcl".to_owned();
        if self
            .services
            .leases
            .apply(&Ask::Take { seen, owner })
            .is_ok()
        {
            self.count(match planned {
                true => "stolen with a plan",
                false => "stolen",
            });
        }
    }

    fn write(&mut self) {
        for _ in 0..self.random.range(1, 12) {
            let hash = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
            if !self.random.chance(2500) {
                self.write_one(hash);
                continue;
            }
            // Another hash key in an aggregate may be of another shard after a reshard.
            let apart = self.random.chance(2000);
            let hashes: Vec<u128> = (0..self.random.range(1, 9))
                .map(|nth| {
                    if apart && nth > 0 {
                        u128::MAX - hash
                    } else {
                        hash
                    }
                })
                .collect();
            self.write_aggregate(&hashes);
        }
    }

    fn write_one(&mut self, hash: u128) {
        let data = self.event();
        self.services.stream.put(hash, "k", data.as_bytes());
    }

    fn write_aggregate(&mut self, hashes: &[u128]) {
        let open = self.services.stream.open();
        let within = |hash: &u128| {
            let shard = open.iter().find(|shard| {
                shard.hash_range.start <= hashes[0] && hashes[0] <= shard.hash_range.end
            });
            shard.is_some_and(|shard| {
                shard.hash_range.start <= *hash && *hash <= shard.hash_range.end
            })
        };
        // The producer sends the records of an aggregate again one by one if some of them belong elsewhere.
        let whole = hashes.iter().all(within);
        let begin = self.next;
        let users: Vec<(String, String)> = hashes
            .iter()
            .map(|hash| (self.event(), hash.to_string()))
            .collect();
        let users: Vec<_> = users
            .iter()
            .map(|(data, hash)| ("k", Some(hash.as_str()), data.as_bytes()))
            .collect();
        self.services.stream.put(hashes[0], "a", &aggregate(&users));
        self.count(if whole {
            "aggregates"
        } else {
            "aggregates cut"
        });
        if !whole {
            self.next = begin;
            for hash in hashes {
                self.write_one(*hash);
            }
        }
    }

    fn event(&mut self) -> String {
        let number = self.next;
        self.next += 1;
        format!(r#"{{"c":"t","n":{number}}}"#)
    }

    fn start(&mut self) {
        self.names += 1;
        let policy = Policy {
            max_span_age: self.random.ms(500, 20_000),
            max_batch_age: Duration::from_secs(5),
            max_output: 1 << 40,
            batch_rows: self.random.pick(&[1, 5, 100]),
            batch_bytes: 1 << 20,
            max_in_flight: 3,
        };
        self.tell(format_args!("process {} starts", self.names));
        let process = Process::start(self.names, &self.services, self.mode, policy);
        self.processes.push(process);
    }

    fn kill(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let at = self.random.index(self.processes.len());
        let process = self.processes.swap_remove(at);
        self.tell(format_args!("process {} is killed", process.name));
        self.count("killed");
        self.frozen.retain(|(name, _)| *name != process.name);
        process.kill();
    }

    fn stop(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let at = self.random.index(self.processes.len());
        let name = self.processes[at].name;
        if self.frozen.iter().all(|(frozen, _)| *frozen != name) {
            self.tell(format_args!("process {name} is asked to stop"));
            self.count("stopped");
            self.processes[at].begin_stop();
        }
    }

    fn freeze_one(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let at = self.random.index(self.processes.len());
        let name = self.processes[at].name;
        let length = self.random.ms(100, 4 * FAILOVER.as_millis() as u64);
        if self.processes[at].is_stopping() || self.frozen.iter().any(|(frozen, _)| *frozen == name)
        {
            return;
        }
        self.tell(format_args!("process {name} stands still for {length:?}"));
        self.count("frozen");
        self.freeze(name, true);
        self.frozen.push((name, self.now() + length));
    }

    fn freeze(&self, name: usize, frozen: bool) {
        if let Some(process) = self.processes.iter().find(|process| process.name == name) {
            process.freeze(frozen);
        }
    }

    fn reshard(&mut self) {
        let mut open = self.services.stream.open();
        open.sort_by_key(|shard| shard.hash_range.start);
        if open.len() > 1 && self.random.chance(5000) {
            let at = self.random.index(open.len() - 1);
            self.count_reshard("merges", &[&open[at].id, &open[at + 1].id]);
            let child = self.services.stream.merge(&open[at].id, &open[at + 1].id);
            self.tell(format_args!(
                "{} and {} are merged to {child}",
                open[at].id,
                open[at + 1].id
            ));
        } else if open.len() < 6 {
            let at = self.random.index(open.len());
            self.count_reshard("splits", &[&open[at].id]);
            let children = self.services.stream.split(&open[at].id);
            self.tell(format_args!("{} is split to {children:?}", open[at].id));
        }
    }

    fn count_reshard(&mut self, what: &str, shards: &[&String]) {
        let rows = self.services.leases.rows();
        let planned = |row: &Lease| shards.contains(&&row.key) && check::has_plan(row);
        match rows.iter().any(planned) {
            true => self.count(format!("{what} in the middle of a plan")),
            false => self.count(what),
        }
    }

    fn step_all(&mut self) -> Result<(), String> {
        if self.processes.is_empty() {
            let runtime = self.services.runtime.clone();
            runtime.block_on(tokio::time::sleep(Duration::from_millis(100)));
        }
        let mut ended = Vec::new();
        for at in 0..self.processes.len() {
            let name = self.processes[at].name;
            if self.frozen.iter().any(|(frozen, _)| *frozen == name) {
                continue;
            }
            match self.processes[at].step() {
                Ok(false) => {}
                Ok(true) => ended.push(name),
                Err(error) => return Err(format!("process {name} gave up: {error}")),
            }
        }
        if self.processes.len() == self.frozen.len() {
            let runtime = self.services.runtime.clone();
            runtime.block_on(tokio::time::sleep(Duration::from_millis(100)));
        }
        for name in ended {
            self.tell(format_args!("process {name} has stopped"));
            self.processes.retain(|process| process.name != name);
            self.frozen.retain(|(frozen, _)| *frozen != name);
        }
        self.spring_traps();
        self.look()
    }

    /// What must hold at any time.
    fn look(&mut self) -> Result<(), String> {
        if self.begun.is_none() && check::has_begun(&self.services) {
            self.begun = Some(self.next);
            self.tell(format_args!(
                "all from record {} on must be there",
                self.next
            ));
        }
        if check::parent_lags(&self.services) {
            self.count("steps with one parent of a merge lagging");
        }
        check::leases(&self.services)?;
        let target = &self.services.target;
        let seen = (target.commit_attempts(), target.spans().len());
        if std::mem::replace(&mut self.seen, seen) == seen {
            return Ok(());
        }
        check::spans(&self.services)?;
        check::each_once(&self.services)
    }

    /// The first of those records that must be there and are not; `None` if it is not settled which must be.
    fn missing(&self) -> Option<Vec<u64>> {
        let rows = check::rows(&self.services);
        let all = self.begun?..self.next;
        Some(all.filter(|n| !rows.contains_key(n)).take(10).collect())
    }
}
