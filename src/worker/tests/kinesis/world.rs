//! A stream, its writers, processes that come and go, and the order in which everything happens.

mod happen;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use tokio::runtime::Runtime;

use super::super::simulation::random::Random;
use super::check;
use super::gate::Trap;
use super::process::{Process, Ways};
use super::target::SimTarget;
use super::written::Written;
use crate::flush::Policy;
use crate::metrics::Metrics;
use crate::source::kinesis::lease::MemoryLeases;
use crate::source::kinesis::stream::memory::{Limits, Memory};
use crate::source::kinesis::stream::shard::Mode;
use crate::source::kinesis::topology::Initial;

/// How long a world has trouble, how long it may take to get over it, and how long no checkpoint may move meanwhile: leases that nobody made are made when three
/// rounds of the topology, two minutes apart, have missed them. All in simulated time.
const TROUBLED: Duration = Duration::from_secs(400);
const HEALING: Duration = Duration::from_secs(7200);
const STANDSTILL: Duration = Duration::from_secs(600);
/// How long a process may take a partition for one that only a person can mend: until it hears that another has it.
const MISTAKEN: Duration = Duration::from_secs(60);
/// Between two things that happen while nobody reads.
const PAUSE: Duration = Duration::from_millis(100);

/// What all processes share.
pub(super) struct Services {
    pub(super) runtime: Arc<Runtime>,
    pub(super) stream: Memory,
    pub(super) leases: MemoryLeases,
    pub(super) target: SimTarget,
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
            target: SimTarget::default(),
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

/// Where the settings say that reading begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    Oldest,
    Latest,
    /// With what arrives from some time on, before anybody reads.
    AtTimestamp,
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
    /// How often other threads get on while a worker is busy.
    lags: u64,
    /// The number of the next record.
    next: u64,
    /// From which record on all must be there, as soon as that is settled.
    begun: Option<u64>,
    fates: BTreeMap<usize, Fate>,
    /// Services that are away, and until when.
    away: [(Arc<AtomicBool>, Duration); 2],
    /// Leases that another program takes again and again, and until when.
    fights: Vec<(String, Duration)>,
    written: Written,
    /// Whether the target refuses some rows.
    refusals: bool,
    /// How long there was somebody who had given a partition up.
    stopped: Option<(Duration, String)>,
    /// How long the stream is written to before anybody reads it, and what the settings say of where to begin then.
    before: Duration,
    begins: Begins,
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
        let begins = random.pick(&[Begins::Oldest, Begins::Latest, Begins::AtTimestamp]);
        let initial = match begins {
            Begins::Oldest => Initial::TrimHorizon,
            Begins::Latest => Initial::Latest,
            // It is told when the time has come.
            Begins::AtTimestamp => Initial::AtTimestamp(UNIX_EPOCH),
        };
        let before = match begins == Begins::AtTimestamp || random.chance(3000) {
            true => random.ms(5_000, 100_000),
            false => Duration::ZERO,
        };
        Self {
            services: Services::new(shards, limits, initial),
            begun: (begins == Begins::Oldest).then_some(0),
            before,
            begins,
            refusals: random.chance(3000),
            fights: Vec::new(),
            written: Written::default(),
            stopped: None,
            mode: random.pick(&[Mode::Polling, Mode::Polling, Mode::FanOut, Mode::Auto]),
            lags: random.pick(&[0, 3000]),
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
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.now().as_millis()).unwrap()
    }

    fn rest(&self) {
        let runtime = self.services.runtime.clone();
        runtime.block_on(tokio::time::sleep(PAUSE));
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

    /// What the stream was before anybody read it.
    fn go_before(&mut self) {
        let now = self.now();
        let (end, since) = (now + self.before, now + self.random.part(self.before));
        while self.now() < end {
            match self.random.index(100) {
                0..30 => self.write(),
                30 => self.reshard(),
                _ => {}
            }
            self.rest();
        }
        if self.begins == Begins::AtTimestamp {
            self.services.initial = Initial::AtTimestamp(UNIX_EPOCH + since);
            let since = i64::try_from(since.as_millis()).unwrap();
            let first = self.written.first_since(since);
            self.begun = Some(first.unwrap_or(self.next));
            self.tell(format_args!(
                "it is to be read from record {:?} on",
                self.begun
            ));
        }
    }

    fn unfold(&mut self) -> Result<(), String> {
        self.go_before();
        let began = self.now();
        self.make_trouble();
        while self.now() < began + TROUBLED {
            self.happen();
            self.step_all()?;
        }
        self.heal();
        self.settle()?;
        check::each_once(&self.services)
    }

    /// No service makes trouble any more, and nobody stands still. Rows that are refused stay so.
    fn heal(&mut self) {
        let Services {
            stream,
            leases,
            target,
            ..
        } = &self.services;
        stream.set_troubles(|_| None);
        leases.trouble(|_| None);
        target.slow_commits(Duration::ZERO);
        target.hesitate(Duration::ZERO);
        for process in &self.processes {
            process.gate.disarm();
        }
        for (name, _) in std::mem::take(&mut self.frozen) {
            self.freeze(name, false);
        }
        self.tell(format_args!("everything heals"));
    }

    /// Goes on until everything is there. That may take long where many rows are refused, as each is a reason to read a span again; but something
    /// must move.
    fn settle(&mut self) -> Result<(), String> {
        let healed = self.now();
        let (mut moved, mut checkpoints) = (healed, BTreeMap::new());
        while self.now() < (healed + HEALING).min(moved + STANDSTILL) {
            if self.processes.is_empty() {
                self.start();
            }
            self.step_all()?;
            if check::is_settled(&self.services) && self.missing().is_some_and(|all| all.is_empty())
            {
                return Ok(());
            }
            let seen = check::checkpoints(&self.services);
            if checkpoints != seen {
                (moved, checkpoints) = (self.now(), seen);
            }
        }
        let (now, leases) = (self.now(), self.services.leases.rows());
        Err(format!(
            "not all is there after {:?}, {:?} after the last checkpoint: {:?} of {} are missing; leases {leases:?}",
            now - healed,
            now - moved,
            self.missing(),
            self.next
        ))
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

    fn start(&mut self) {
        self.names += 1;
        let ways = Ways {
            mode: self.mode,
            lags: self.lags,
            policy: Policy {
                max_span_age: self.random.ms(500, 20_000),
                max_batch_age: Duration::from_secs(5),
                // What the second span under way is sealed for.
                max_output: self.random.pick(&[1 << 40, 1 << 40, 3000]),
                batch_rows: self.random.pick(&[1, 5, 100]),
                batch_bytes: 1 << 20,
                max_in_flight: 3,
            },
        };
        self.tell(format_args!("process {} starts", self.names));
        let process = Process::start(self.names, &self.services, ways);
        self.processes.push(process);
    }

    fn step_all(&mut self) -> Result<(), String> {
        if self.processes.is_empty() {
            self.rest();
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
            self.rest();
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
        self.look_for_stopped()?;
        if let Some(begun) = self.begun {
            self.written.check(&self.services, begun)?;
        }
        let target = &self.services.target;
        let seen = (target.commit_attempts(), target.spans().len());
        if std::mem::replace(&mut self.seen, seen) == seen {
            return Ok(());
        }
        check::spans(&self.services)?;
        if let (Begins::AtTimestamp, Some(begun)) = (self.begins, self.begun) {
            check::none_before(&self.services, begun)?;
        }
        check::each_once(&self.services)
    }

    /// Nothing that happens is for a person to mend.
    fn look_for_stopped(&mut self) -> Result<(), String> {
        let frozen = |name| self.frozen.iter().any(|(frozen, _)| *frozen == name);
        let mut awake = self.processes.iter().filter(|p| !frozen(p.name));
        let why = awake.find_map(Process::stopped);
        self.stopped = match (self.stopped.take(), why) {
            (Some((since, why)), Some(_)) if self.now() > since + MISTAKEN => return Err(why),
            (None, Some(why)) => {
                self.tell(format_args!("somebody gives up {why}"));
                Some((self.now(), why))
            }
            (before, Some(_)) => before,
            (_, None) => None,
        };
        Ok(())
    }

    /// The first of those records that must be there and are not; `None` if it is not settled which must be.
    fn missing(&self) -> Option<Vec<u64>> {
        let target = &self.services.target;
        let all = self.begun?..self.next;
        Some(all.filter(|n| !target.has(*n)).take(10).collect())
    }
}
